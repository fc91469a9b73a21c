"""Hours of the day, as `22:00-06:00`."""

import re
from dataclasses import dataclass
from datetime import time

_FORM = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Hours:
    """From `begin` to before `end`, over midnight where that is the earlier one."""

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "Hours":
        """Raises ValueError."""
        found = _FORM.fullmatch(text)
        if found is None or found[1] + found[2] == found[3] + found[4]:
            raise ValueError(f"'{text}' is not a part of the day: write it as 22:00-06:00")
        hour, minute, last_hour, last_minute = map(int, found.groups())
        return cls(time(hour, minute), time(last_hour, last_minute))

    def has(self, moment: time) -> bool:
        if self.begin < self.end:
            return self.begin <= moment < self.end
        return moment >= self.begin or moment < self.end
