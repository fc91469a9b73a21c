"""A stretch of the binlog, from one boundary to another: its items in order, until the end is reached."""

from collections.abc import Callable, Iterator
from collections.abc import Sequence as Many
from typing import NamedTuple, Protocol

from cdc.binlog.port import Begin, End, Item, Passed, Stream, Stretched
from cdc.model.checkpoint import SourcePoint
from cdc.model.position import FilePosition, file_number
from cdc.model.table_version import TableVersion


class Place(NamedTuple):
    """A position as two integers, so that file 1000000 follows 999999."""

    file: int
    offset: int

    @classmethod
    def of(cls, position: FilePosition) -> "Place":
        return cls(file_number(position.file), position.offset)


class Streams(Protocol):
    """What of a source is needed here: cdc.binlog.port.Source has it, and so have files alone, whose stream ends."""

    def stream(self, point: SourcePoint, tables: Many[TableVersion] = ()) -> Stream: ...


def between(
    source: Streams,
    start: SourcePoint,
    to: FilePosition | None,
    *,
    wait: Callable[[], float],
    tables: Many[TableVersion] = (),
) -> Iterator[Item | None]:
    """Whole transactions in commit order; None whenever nothing came for `wait()` seconds. Ends before the first transaction that
    begins at `to` or later, or where the stream ends."""
    end = None if to is None else Place.of(to)
    if end is not None and Place.of(start.position) >= end:
        return
    stream = source.stream(start, tables)
    try:
        for item in stream.items(wait):
            reached = None if end is None else boundary(item)
            beyond = end is not None and reached is not None and Place.of(reached.position) >= end
            if beyond and isinstance(item, Begin):
                return
            yield item
            if beyond:
                return
    finally:
        stream.close()


def boundary(item: Item | None) -> SourcePoint | None:
    """The boundary that was reached with an item."""
    match item:
        case Begin(transaction):
            return transaction.point
        case End(point) | Passed(point, _):
            return point
        case Stretched():
            return item.end
    return None
