"""What the adapters' settle has in common: which lanes it locks, and that the letters are still there."""

from collections.abc import Sequence

from cdc.model.errors import TargetBusy
from cdc.target.port import StoredLetter


def lanes_of(letters: Sequence[StoredLetter]) -> list[str]:
    """In the order in which every settlement locks them, so that no two wait for each other."""
    return sorted({letter.lane for letter in letters})


def expect_dropped(letters: Sequence[StoredLetter], dropped: int) -> None:
    """`dropped`: how many of the letters went. Raises TargetBusy where that is not all; the caller rolls back."""
    given = len({letter.id for letter in letters})
    if dropped != given:
        raise TargetBusy(
            f"{given - dropped} of {given} dead letters are not there any more: nothing was changed",
            hint="somebody else settled some of them; list again",
        )
