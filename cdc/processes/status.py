"""`cdc status`: where a connector stands, told as far as its parts can be asked."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cdc.coordination.port import Holder
from cdc.model.change import Change, parse
from cdc.model.checkpoint import Checkpoint, LaneCount, Progress
from cdc.model.errors import CdcError
from cdc.processes.copy_requests import COPY_WAITS
from cdc.processes.parts import Parts
from cdc.processes.verified import VERIFY, Verified
from cdc.queue.port import Queue

T = TypeVar("T")
_LOOK_AHEAD_MESSAGES = 200
_LOOK_AHEAD_BYTES = 1024 * 1024
_WAIT_SECONDS = 0.5  # for a message that the checkpoint says is there


@dataclass(frozen=True, slots=True)
class Problem:
    """A part that could not be asked, and what to do about it."""

    part: str
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """One lane at one sink. `owner`, `token`: of the lease now, or the token that is stored at the target where nobody holds it.
    `watermark`: (generation, file, offset, row). `behind`: change events between the checkpoint and the target; None where
    unknown. `lag_seconds`: how long ago the first change event that waits was committed at the source; 0 where none waits."""

    lane: str
    owner: str | None
    token: int
    watermark: tuple[int, int, int, int] | None
    count: int
    behind: int | None
    lag_seconds: float | None


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """`dead_letters`: None where the target could not be asked."""

    name: str
    target: str
    lanes: Sequence[LaneStatus]
    dead_letters: int | None

    @property
    def behind(self) -> int | None:
        known = [lane.behind for lane in self.lanes if lane.behind is not None]
        return sum(known) if len(known) == len(self.lanes) else None


@dataclass(frozen=True, slots=True)
class ReaderStatus:
    """The lease's holder now; None in all fields where nobody reads."""

    owner: str | None = None
    token: int | None = None
    expires_in_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CheckpointStatus:
    """`position` as file:offset; `token` that of the reader that wrote it."""

    generation: int
    position: str
    gtid_set: str
    token: int


@dataclass(frozen=True, slots=True)
class CopyStatus:
    """A table that is being copied: `sent` rows of about `estimated`. `waits`: why no more is read now, or ""."""

    table: str
    sent: int
    estimated: int
    paused: bool
    waits: str = ""


@dataclass(frozen=True, slots=True)
class VerifyStatus:
    """Of `verify:`. `owner`: the process that compares, now or when it is time; None: there is none. `last`: None where the
    coordination does not answer."""

    owner: str | None
    every_seconds: int
    last: Verified | None


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    """`lag_bytes`: binlog between checkpoint and the source's end. `lag_seconds`: the worst of the lanes."""

    connector: str
    source: str
    checkpoint: CheckpointStatus | None
    lag_bytes: int | None
    lag_seconds: float | None
    purged_in_seconds: float | None
    reader: ReaderStatus
    sinks: Sequence[SinkStatus]
    copies: Sequence[CopyStatus] = field(default_factory=tuple)
    verify: VerifyStatus | None = None
    problems: Sequence[Problem] = field(default_factory=tuple)


def look(parts: Parts, now: Callable[[], float] = time.time) -> ConnectorStatus:
    """Asks every part once; what does not answer becomes a Problem. Never raises a CdcError."""
    asked = _Asked(parts)
    config = parts.config
    checkpoint = asked.of("queue", lambda p: p.queue.checkpoint(), None)
    holders: Mapping[str, Holder] = asked.of("coordination", lambda p: p.coordination.holders(), {})
    lag_bytes, purged_in = _lag(checkpoint, asked)
    known = _Known(checkpoint, holders, int(now() * 1_000_000))
    sinks = [_sink(name, known, asked) for name in config.all_sinks]
    lags = [lane.lag_seconds for sink in sinks for lane in sink.lanes if lane.lag_seconds is not None]
    return ConnectorStatus(
        connector=config.name,
        source=config.source.url.redacted,
        checkpoint=_checkpoint(checkpoint),
        lag_bytes=lag_bytes,
        lag_seconds=max(lags, default=None),
        purged_in_seconds=purged_in,
        reader=_reader(holders.get("reader")),
        sinks=sinks,
        copies=_copies(checkpoint, asked),
        verify=_verify(holders, asked),
        problems=asked.problems,
    )


def _copies(checkpoint: Checkpoint | None, asked: "_Asked") -> tuple[CopyStatus, ...]:
    if checkpoint is None or not checkpoint.copies.tables:
        return ()
    copies = checkpoint.copies
    waits = asked.of("coordination", lambda p: p.coordination.marks().get(COPY_WAITS, ""), "")
    return tuple(CopyStatus(copy.name, copy.rows, copy.estimated, copies.paused, waits) for copy in copies.tables)


def _verify(holders: Mapping[str, Holder], asked: "_Asked") -> VerifyStatus | None:
    wanted = asked.parts.config.verify
    if wanted is None:
        return None
    last = asked.of("coordination", lambda p: Verified.of(p.coordination.marks().get(VERIFY)), None)
    holder = holders.get(VERIFY)
    return VerifyStatus(holder.owner if holder else None, wanted.every_seconds, last)


class _Asked:
    """Collects what does not answer; a part that is down is said once, and not asked a second time."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.problems: list[Problem] = []

    def of(self, part: str, ask: Callable[[Parts], T], otherwise: T) -> T:
        if any(problem.part == part for problem in self.problems):
            return otherwise
        try:
            return ask(self.parts)
        except CdcError as error:
            self.problems.append(Problem(part, error.message, error.hint))
            return otherwise


@dataclass(frozen=True, slots=True)
class _Known:
    checkpoint: Checkpoint | None
    holders: Mapping[str, Holder]
    now_us: int


def _lag(checkpoint: Checkpoint | None, asked: _Asked) -> tuple[int | None, float | None]:
    if checkpoint is None:
        return None, None
    point = checkpoint.point
    lag_bytes = asked.of("source", lambda p: p.source.bytes_behind(point.position), None)
    return lag_bytes, asked.of("source", lambda p: p.source.seconds_until_purged(point.file), None)


def _checkpoint(checkpoint: Checkpoint | None) -> CheckpointStatus | None:
    if checkpoint is None:
        return None
    point = checkpoint.point
    return CheckpointStatus(checkpoint.generation, str(point.position), point.gtid_set, checkpoint.token)


def _reader(holder: Holder | None) -> ReaderStatus:
    return ReaderStatus() if holder is None else ReaderStatus(holder.owner, holder.token, holder.expires_in_seconds)


def _sink(name: str, known: _Known, asked: _Asked) -> SinkStatus:
    part = f"sink {name}"
    progress: Mapping[str, Progress] | None = asked.of(part, lambda p: p.target(name).progress(), None)
    dead_letters = asked.of(part, lambda p: p.target(name).dead_letter_count(), None)
    held = [resource.partition("/")[2] for resource in known.holders if resource.startswith(f"{name}/")]
    lanes = {*(known.checkpoint.lanes if known.checkpoint else ()), *(progress or ()), *held}
    return SinkStatus(
        name,
        asked.parts.config.all_sinks[name].url.redacted,
        [_lane(name, lane, progress, known, asked) for lane in sorted(lanes, key=_natural)],
        dead_letters,
    )


def _natural(lane: str) -> tuple[str, int]:
    """`10` after `9`, and `shop.orders/10` after `shop.orders/9`."""
    topic, _, number = lane.rpartition("/")
    return topic, int(number) if number.isdecimal() else 0


def _lane(sink: str, lane: str, progress: Mapping[str, Progress] | None, known: _Known, asked: _Asked) -> LaneStatus:
    holder = known.holders.get(f"{sink}/{lane}")
    row = Progress(lane) if progress is None else progress.get(lane, Progress(lane))
    behind = None if progress is None else _behind(lane, row, known.checkpoint)
    return LaneStatus(
        lane,
        holder.owner if holder else None,
        holder.token if holder else row.token,
        None if progress is None else (*row.watermark,),
        row.count,
        behind,
        _lag_seconds(row, behind, known, asked),
    )


def _behind(lane: str, row: Progress, checkpoint: Checkpoint | None) -> int | None:
    """In another generation than the checkpoint's a lane's count starts anew: then what it lacks of the old one is added."""
    if checkpoint is None:
        return None
    expected = checkpoint.lanes.get(lane, LaneCount()).count
    if row.watermark.generation == checkpoint.generation or row.count == 0:
        return max(0, expected - row.count)
    if checkpoint.previous is not None and checkpoint.previous[0] == row.watermark.generation:
        return expected + max(0, checkpoint.previous[1].get(lane, 0) - row.count)
    return None


def _lag_seconds(row: Progress, behind: int | None, known: _Known, asked: _Asked) -> float | None:
    """Idle is not lag: the age of the first change event that waits, not the time since the last one applied."""
    if not behind:
        return None if behind is None else 0.0
    waits = asked.of("queue", lambda p: _commit_us_after(p.queue, row), None)
    return None if waits is None else max(0.0, (known.now_us - waits) / 1_000_000)


def _commit_us_after(queue: Queue, row: Progress) -> int | None:
    """Of the first change event that counts: markers and what a restarted reader sent again come before it."""
    reader = queue.reader("", row.lane, row.offset)
    try:
        for received in reader.read(_LOOK_AHEAD_MESSAGES, _LOOK_AHEAD_BYTES, _WAIT_SECONDS):
            item = parse(received.key, received.value)
            if isinstance(item, Change) and item.seq > row.watermark:
                return item.commit_us
        return None
    finally:
        reader.close()
