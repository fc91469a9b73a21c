"""What `cdc check` found out: data, made by the parts of a connector, told by the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `cdc check`: what was found, and the fix. `ok` findings have no fix.

    `subject`: what it is about, in few words that do not change (docs/doctor.md lists all). `part`: whose it is (source, queue,
    coordination, `sink NAME`); who runs the checks fills it in.
    """

    level: Level
    subject: str
    text: str
    fix: str = ""
    part: str = ""


def named(names: Sequence[str], most: int = 5) -> str:
    """`a, b and 3 more`: a finding is one line however many things it is about."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


_FAR_CLOCK_SECONDS = 5


def clock_finding(offset_seconds: float, harm: str) -> Finding:
    """`offset_seconds`: the server's clock less ours."""
    if abs(offset_seconds) <= _FAR_CLOCK_SECONDS:
        return Finding("ok", "clock", f"{offset_seconds:+.2f} s from ours")
    return Finding("warning", "clock", f"the server's is {offset_seconds:+.1f} s from ours: {harm}", "run NTP on both")
