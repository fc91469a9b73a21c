"""Lengths of time, as `30m` or `6h`."""

import re

_FORM = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds_of(text: str) -> int:
    """Raises ValueError."""
    found = _FORM.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise ValueError(f"'{text}' is not a length of time: write it as 90s, 30m, 6h or 1d")
    return int(found[1]) * _SECONDS[found[2]]
