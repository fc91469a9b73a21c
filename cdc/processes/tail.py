"""`cdc tail`: change events as they lie on the wire, from the queue's lanes or straight from the binlog. Changes nothing."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat

import orjson

from cdc.binlog.port import Altered, Begin, End, Item, Passed, Rows, Truncated
from cdc.model.change import Change, Marker, Message, Received, parse
from cdc.model.checkpoint import Checkpoint, Progress, SourcePoint
from cdc.model.config import ConnectorConfig
from cdc.model.position import ORIGIN, FilePosition, Sequence, file_number
from cdc.processes.look import chosen_changes
from cdc.processes.outbound import Outbound
from cdc.processes.row_choice import Choice
from cdc.processes.span import Place
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


_ALL = Choice()


def from_queue(
    queue: Queue, start: QueueStart, *, to: FilePosition | None, markers: bool, choice: Choice = _ALL
) -> Iterator[Received | None]:
    """Messages, lane by lane as they come; None after each round that brought nothing.

    Ends when every lane is at `to`. Messages that a restarted reader sent again are left out. A change of a row's key is two of
    them, each in its own key's lane. Raises QueueUnavailable, Gap.
    """
    lanes: dict[str, _Lane] = {}
    try:
        while True:
            for name in queue.lanes():
                if name not in lanes:
                    after = start.progress[name].offset if name in start.progress else ""
                    lanes[name] = _Lane(
                        queue.reader(_ONLOOKER, name, after),
                        _Shown(markers, choice),
                        start.skip_to,
                        to and Place.of(to),
                    )
            open_lanes = [lane for lane in lanes.values() if not lane.done]
            if to is not None and lanes and not open_lanes:
                return
            quiet = True
            reached = None if to is None else _reached(queue.checkpoint())
            for lane in open_lanes:
                for message in lane.read(_ROUND_SECONDS / len(open_lanes), reached):
                    quiet = False
                    yield message
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
    shown: "_Shown"
    seen: Sequence
    to: Place | None
    empty_since: float = field(default_factory=time.monotonic)
    done: bool = False

    def read(self, wait_seconds: float, reached: Place | None) -> Iterator[Received]:
        received = self.reader.read(_MOST_MESSAGES, _MOST_BYTES, wait_seconds)
        for message in received:
            item = parse(message.key, message.value)
            if self.to is not None and (item.seq.file, item.seq.offset) >= self.to:
                self.done = True
                return
            if (item.seq > self.seen or self._is_beside(item)) and self.shown(message, item):
                self.seen = item.seq
                yield message
        if received or self.to is None or reached is None or reached < self.to:
            self.empty_since = time.monotonic()
        # All below `to` was sent (the checkpoint says so, and was asked for before the lane was).
        self.done = time.monotonic() - self.empty_since > _EMPTY_SECONDS

    def _is_beside(self, item: Change | Marker) -> bool:
        """Rows that were copied have one place, where the stream stood."""
        return isinstance(item, Change) and item.copied and item.seq == self.seen


@dataclass(frozen=True, slots=True)
class _Shown:
    """Which messages of a queue are shown."""

    markers: bool
    choice: Choice

    def __call__(self, message: Received, item: Change | Marker) -> bool:
        if isinstance(item, Change):
            return self.choice.is_all or (
                self.choice.has_table(item.db, item.table) and self.choice.has_row(orjson.loads(message.key or b"{}"))
            )
        return self.markers or _is_of_a_table(item, self.choice)


def _is_of_a_table(marker: Marker, choice: Choice) -> bool:
    """Of a barrier, the one marker in the lane where it happens."""
    content = marker.content
    if content.get("action") not in _SHOWN_ACTIONS or content.get("home") != marker.lane:
        return False
    names = [(content["db"], content["table"])]
    if to := (content.get("change") or {}).get("to"):
        names.append(to)
    return any(choice.has_table(*name) for name in names)


def from_binlog(
    config: ConnectorConfig, start: SourcePoint, items: Iterable[Item | None], choice: Choice = _ALL
) -> Iterator[Message | None]:
    """Messages as the reader would send them (one lane, token 0, generation 0), transaction by transaction in commit order;
    None wherever `items` (from `start` on) has None. Both halves of a change of a row's key come where one of them is chosen."""
    checkpoint = Checkpoint(generation=0, point=start, token=0, fingerprint="")
    outbound = Outbound(checkpoint, Routing(config.name, config.source.url.scheme, 1))
    outbound.begin_run()
    outbound.take()
    chosen = None if choice.is_all else _Chosen(choice)
    for item in items:
        if chosen is not None:
            chosen.note(item)
        _take(outbound, item)
        for message in outbound.take()[0]:
            if chosen is None or chosen.has(message):
                yield message
        if item is None:
            yield None


class _Chosen:
    """Messages come later than the items that they are made of, the last one of a transaction with its end, but in the same
    order, one for each change event: so it is known which one a message is without reading it."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._due: deque[bool] = deque()

    def note(self, item: Item | None) -> None:
        if not isinstance(item, Rows) or not item.drafts:
            return
        first, count = item.drafts[0], len(item.drafts)
        here = self._choice.has_table(first.db, first.table)
        if not here or not self._choice.keys:
            self._due.extend(repeat(here, count))
            return
        chosen = [False] * count
        for change in chosen_changes(item.drafts, self._choice):
            chosen[change.number : change.number + change.drafts] = [True] * change.drafts
        self._due.extend(chosen)

    def has(self, message: Message) -> bool:
        if message.key is not None:
            return self._due.popleft()
        marker = parse(None, message.value)
        return isinstance(marker, Marker) and _is_of_a_table(marker, self._choice)


def _take(outbound: Outbound, item: Item | None) -> None:
    match item:
        case Begin():
            outbound.begin(item.transaction)
        case Rows():
            outbound.rows(item.offset, item.drafts, item.first_row, item.query)
        case Truncated():
            outbound.truncate(item.offset, item.db, item.table)
        case Altered():
            outbound.alter(item.offset, item.row, item.change)
        case End():
            outbound.end(item.point)
        case Passed():
            outbound.passed(item.point)
