"""The place of a message in a lane of Redis Streams and of the in-memory queue: reader's token and count within its run.

Ids that grow with every run, whatever a clock says, are what lets a lane be rebuilt after the store forgot it; ids without
holes are what lets a sink see that one is missing.
"""

from typing import NamedTuple

from cdc.model.errors import Gap


class EntryId(NamedTuple):
    """Written `<token>-<number>`; `number` counts from 1 in each lane of each run."""

    token: int
    number: int

    def __str__(self) -> str:
        return f"{self.token}-{self.number}"

    @classmethod
    def parse(cls, lane: str, text: str) -> "EntryId":
        """Reads an offset of `lane` ("" = its beginning); raises Gap for one of another kind of queue."""
        if not text:
            return BEGINNING
        token, dash, number = text.partition("-")
        if not (dash and token.isdecimal() and number.isdecimal()):
            raise gap(lane, text, "the offset was made by another kind of queue")
        return cls(int(token), int(number))

    @property
    def next(self) -> "EntryId":
        return EntryId(self.token, self.number + 1)

    def follows(self, previous: "EntryId") -> bool:
        """Whether nothing can lie between: the next of the same run, or the first of a later one."""
        return self == previous.next or (self.token > previous.token and self.number == 1)


BEGINNING = EntryId(0, 0)


def gap(lane: str, after: str, found: str) -> Gap:
    return Gap(
        f"messages are missing in lane {lane} after offset '{after}': {found}",
        hint="run `cdc replay FILE --from POSITION` with the position that `cdc status` shows for this lane",
    )


def check_follows(lane: str, previous: EntryId, entry: EntryId) -> None:
    """Raises Gap where messages are missing between the two."""
    if not entry.follows(previous):
        raise gap(lane, "" if previous == BEGINNING else str(previous), f"the next one there is {entry}")


def check_not_trimmed(lane: str, after: EntryId, trimmed: EntryId) -> None:
    """Raises Gap where the lane was trimmed beyond `after`: a run that follows would hide it."""
    if trimmed > after:
        raise gap(lane, "" if after == BEGINNING else str(after), f"the lane is trimmed up to {trimmed}")
