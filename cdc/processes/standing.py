"""Whether a row differs at both sides, told from looks at it while both are written to: pure, and the only place that decides.

A look reads the row at the source, waits until the target has passed the place in the binlog up to which that reading goes, and
reads the row there. One look that finds it equal ends the matter. One that finds it unequal says nothing yet: the row may have
changed at the source since, and the target may show that already. So it is looked at again, and counts as a difference when
several looks in a row have shown the very same two states. Between two of them the source had its row (or none), and the target,
which by then must have shown it, showed something else.

A row that changes at every look stays undecided, and is told as that.
"""

from dataclasses import dataclass
from enum import Enum, auto
from hashlib import blake2b

from cdc.model.change import Row

STILL_LOOKS = 6
"""So many looks in a row must show the same two states, and twice as many once any have changed. Two would do for a row that
never comes back to an earlier state; one that goes to and fro between two, faster than we look, meets both by chance: once in two
for the first look, once in four for each further one, which is once in 2048 for six."""

MOST_LOOKS = 20

State = bytes
"""A row's values as a digest; empty where there is none."""


def digest(row: Row | None) -> State:
    return b"" if row is None else blake2b(repr(row).encode("utf-8", "backslashreplace"), digest_size=16).digest()


class Verdict(Enum):
    EQUAL = auto()
    DIFFERS = auto()
    AGAIN = auto()
    UNSETTLED = auto()


@dataclass(slots=True)
class Suspect:
    """A row that may differ. `still`: how many looks in a row have shown `states` (source, target)."""

    states: tuple[State, State] | None = None
    still: int = 0
    looks: int = 0

    def look(self, source: State, target: State, *, equal: bool) -> Verdict:
        """What one more look says."""
        if equal:
            return Verdict.EQUAL
        self.looks += 1
        self.still = self.still + 1 if self.states == (source, target) else 1
        self.states = (source, target)
        if self.still >= (STILL_LOOKS if self.still == self.looks else 2 * STILL_LOOKS):
            return Verdict.DIFFERS
        return Verdict.UNSETTLED if self.looks >= MOST_LOOKS else Verdict.AGAIN


def pause_seconds(round_number: int) -> float:
    """Before round 1, 2, …: growing, so that what changes at regular times is not met at the same one again and again."""
    return min(5.0, 0.1 * 1.7 ** (round_number - 1))
