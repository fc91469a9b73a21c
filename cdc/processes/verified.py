"""How the last comparison of `verify:` ended, as it is kept in the coordination."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import orjson

VERIFY = "verify"
"""The resource of the lease of who compares, and the mark's name."""

KINDS = ("missing", "extra", "different", "waiting", "unsettled")

Result = Literal["never", "equal", "different", "incomplete"]


@dataclass(frozen=True, slots=True)
class Verified:
    """The last comparison that came to its end. `ended`: seconds since 1970, 0: there was none yet. `incomplete`: some table
    could not be compared, and the others are equal. `found`: rows by sink and kind (KINDS). `problem`: why an attempt since then
    failed, or "". `waits`: what the next one waits for beside its time, or ""."""

    ended: float = 0.0
    seconds: float = 0.0
    result: Result = "never"
    rows: int = 0
    found: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    problem: str = ""
    waits: str = ""

    def to_json(self) -> str:
        return orjson.dumps(self).decode()

    @classmethod
    def of(cls, text: str | None) -> "Verified":
        """What is not ours, or another version's, counts as lost."""
        try:
            return cls() if text is None else cls(**orjson.loads(text))
        except (ValueError, TypeError):
            return cls()
