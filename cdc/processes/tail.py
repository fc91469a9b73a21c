"""`cdc tail`: change events as they lie on the wire, from the queue's lanes or straight from the binlog. Changes nothing."""

import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from cdc.binlog.port import Altered, Begin, End, Item, Passed, Rows, Stream, Truncated
from cdc.model.change import Change, Marker, parse
from cdc.model.checkpoint import Checkpoint, Progress, SourcePoint
from cdc.model.config import ConnectorConfig
from cdc.model.position import ORIGIN, FilePosition, Sequence, file_number
from cdc.model.table_version import TableVersion
from cdc.processes.outbound import Outbound
from cdc.processes.spread import Routing
from cdc.queue.port import LaneReader, Queue

_SHOWN_ACTIONS = frozenset(("truncate", "schema"))
_ONLOOKER = ""  # the sink's name with which a lane reader counts for nothing
_MOST_MESSAGES = 500
_MOST_BYTES = 4 * 1024 * 1024
_ROUND_SECONDS = 0.2
_EMPTY_SECONDS = (
    3.0  # a lane that brought nothing for so long is empty; a Kafka consumer needs a while before its first message
)


class Place(NamedTuple):
    """A position as two integers, so that file 1000000 follows 999999."""

    file: int
    offset: int

    @classmethod
    def of(cls, position: FilePosition) -> "Place":
        return cls(file_number(position.file), position.offset)


@dataclass(frozen=True, slots=True)
class QueueStart:
    """Where to begin in each lane: `progress`, the furthest of any sink, and what is skipped from there on."""

    progress: Mapping[str, Progress]
    skip_to: Sequence = ORIGIN


def from_now_on(checkpoint: Checkpoint | None, progress: Mapping[str, Progress]) -> QueueStart:
    """Skips what the checkpoint says was sent already. The queue cannot tell where a lane ends, but a sink knows a place
    near it, so little has to be read to get there."""
    if checkpoint is None:
        return QueueStart(progress)
    point = checkpoint.point
    boundary = Sequence(checkpoint.generation, file_number(point.file), point.offset, 0)
    return QueueStart(progress, max(checkpoint.after, boundary))


def furthest(all_progress: list[Mapping[str, Progress]]) -> dict[str, Progress]:
    """By lane, the progress of the sink that is ahead."""
    best: dict[str, Progress] = {}
    for progress in all_progress:
        for lane, row in progress.items():
            if row.offset and (lane not in best or row.watermark > best[lane].watermark):
                best[lane] = row
    return best


def from_queue(queue: Queue, start: QueueStart, *, to: FilePosition | None, markers: bool) -> Iterator[bytes | None]:
    """Values of messages, lane by lane as they come; None after each round that brought nothing.

    Ends when every lane is at `to`. Messages that a restarted reader sent again are left out. Raises QueueUnavailable, Gap.
    """
    lanes: dict[str, _Lane] = {}
    try:
        while True:
            for name in queue.lanes():
                if name not in lanes:
                    after = start.progress[name].offset if name in start.progress else ""
                    lanes[name] = _Lane(queue.reader(_ONLOOKER, name, after), start.skip_to, to and Place.of(to))
            open_lanes = [lane for lane in lanes.values() if not lane.done]
            if to is not None and lanes and not open_lanes:
                return
            quiet = True
            reached = None if to is None else _reached(queue.checkpoint())
            for lane in open_lanes:
                for value in lane.read(_ROUND_SECONDS / len(open_lanes), reached, markers):
                    quiet = False
                    yield value
            if quiet:
                yield None
    finally:
        for lane in lanes.values():
            lane.reader.close()


def _reached(checkpoint: Checkpoint | None) -> Place | None:
    return None if checkpoint is None else Place.of(checkpoint.point.position)


@dataclass(slots=True)
class _Lane:
    reader: LaneReader
    seen: Sequence
    to: Place | None
    empty_since: float = field(default_factory=time.monotonic)
    done: bool = False

    def read(self, wait_seconds: float, reached: Place | None, markers: bool) -> Iterator[bytes]:
        received = self.reader.read(_MOST_MESSAGES, _MOST_BYTES, wait_seconds)
        for message in received:
            item = parse(message.key, message.value)
            if self.to is not None and (item.seq.file, item.seq.offset) >= self.to:
                self.done = True
                return
            if _shown(item, markers) and item.seq > self.seen:
                self.seen = item.seq
                yield message.value
        if received or self.to is None or reached is None or reached < self.to:
            self.empty_since = time.monotonic()
        # All below `to` was sent (the checkpoint says so, and was asked for before the lane was).
        self.done = time.monotonic() - self.empty_since > _EMPTY_SECONDS


def _shown(item: Change | Marker, markers: bool) -> bool:
    if isinstance(item, Change) or markers:
        return True
    return item.content.get("action") in _SHOWN_ACTIONS and item.content.get("home") == item.lane


class Streams(Protocol):
    """What of a source is needed here: cdc.binlog.port.Source has it, and so have files alone, whose stream ends."""

    def stream(self, point: SourcePoint, tables: Many[TableVersion] = ()) -> Stream: ...


def from_binlog(
    config: ConnectorConfig,
    source: Streams,
    start: SourcePoint,
    *,
    to: FilePosition | None,
    wait: Callable[[], float],
    tables: Many[TableVersion] = (),
) -> Iterator[bytes | None]:
    """Values as the reader would send them (one lane, token 0, generation 0), transaction by transaction in commit order;
    None whenever nothing came for `wait()` seconds. Ends before the first transaction that begins at `to` or later, or
    where the stream ends."""
    end = None if to is None else Place.of(to)
    if end is not None and Place.of(start.position) >= end:
        return
    checkpoint = Checkpoint(generation=0, point=start, token=0, fingerprint="")
    outbound = Outbound(checkpoint, Routing(config.name, config.source.url.scheme, 1))
    outbound.begin_run()
    outbound.take()
    stream = source.stream(start, tables)
    try:
        for item in stream.items(wait):
            reached = _take(outbound, item)
            yield from (message.value for message in outbound.take()[0])
            if item is None:
                yield None
            if end is not None and reached is not None and Place.of(reached.position) >= end:
                return
    finally:
        stream.close()


def _take(outbound: Outbound, item: Item | None) -> SourcePoint | None:
    """Hands an item on; returns the boundary that was reached with it."""
    match item:
        case Begin():
            outbound.begin(item.transaction)
            return item.transaction.point
        case Rows():
            outbound.rows(item.offset, item.drafts, item.first_row, item.query)
        case Truncated():
            outbound.truncate(item.offset, item.db, item.table)
        case Altered():
            outbound.alter(item.offset, item.row, item.change)
        case End():
            outbound.end(item.point)
            return item.point
        case Passed():
            outbound.passed(item.point)
            return item.point
    return None
