"""One lane at one sink: reads it, drops what does not count, applies the rest, acknowledges after the commit.

Why the order of operations is right: the progress row is locked first, the rows and the watermark commit together, and the
queue hears of it last. A crash before the commit leaves nothing; a crash after it leaves a redelivery that the watermark drops;
a holder that was overtaken finds another token in the row and writes nothing.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from cdc.model.batch import DeadLetter, TableBatch
from cdc.model.change import Change, Marker, parse
from cdc.model.checkpoint import Progress, SourcePoint
from cdc.model.compiled_received import ReceivedBlock
from cdc.model.config import SinkConfig
from cdc.model.errors import Gap, LeaseLost, PoisonMessage, RowRefused, TargetBusy
from cdc.model.position import ORIGIN
from cdc.model.routing import TableFilter
from cdc.model.schema import TableSchema
from cdc.model.schema_change import SchemaChange
from cdc.observe.failpoints import armed, failpoint
from cdc.observe.latency import LatencyWindow
from cdc.observe.logs import fields, get_logger
from cdc.observe.metrics import SinkMetrics
from cdc.processes.backoff import Backoff
from cdc.processes.compactor import compact, runs, tallied
from cdc.processes.gate import LaneGate, Verdict, reached
from cdc.processes.lease import Held
from cdc.processes.pending import Pending
from cdc.processes.read_ahead import ReadAhead, value_bytes
from cdc.processes.refusals import Refusals
from cdc.queue.port import LaneReader, Received
from cdc.target.port import AT_ONCE_CHANGES, LaneWriter

log = get_logger(__name__)

_IDLE_WAIT_SECONDS = 0.5
_GATHER_SECONDS = 0.25
_GATHER_WAIT_SECONDS = 0.03
_BARRIER_POLL_SECONDS = 0.05
_BUSY_ATTEMPTS = 8
_REFUSED_ATTEMPTS = 4  # about two seconds, in which another lane may apply what a constraint waits for
_NOWHERE = SourcePoint("", "none.000000", 0)
_INSIDE = ("sink.begun", "sink.locked", "sink.applied", "sink.progress")


@dataclass(frozen=True, slots=True)
class LaneDuty:
    """What a lane's worker must know of the connector.

    `captured` says which tables the source sends. `side_by_side`: other lanes are applied at the same time, so a unique key
    that a row of theirs gives free, or a parent that they insert, may come a moment later. `schema_of` finds a published
    schema by its fingerprint; `all_progress` reads the committed progress of all lanes of this sink; `generation` that of
    the queue's checkpoint (0: none).
    """

    sink: SinkConfig
    whole_transactions: bool
    side_by_side: bool
    captured: TableFilter
    schema_of: Callable[[str], TableSchema]
    all_progress: Callable[[], Mapping[str, Progress]]
    generation: Callable[[], int]


class LaneWorker:
    """From a lane's take-over (`progress`) until `stop` is set or the lease is lost. Errors rise to the caller."""

    def __init__(
        self,
        duty: LaneDuty,
        held: Held,
        reader: LaneReader,
        writer: LaneWriter,
        progress: Progress,
        metrics: SinkMetrics,
    ) -> None:
        self._duty = duty
        self._held = held
        self._reader = ReadAhead(reader, duty.sink.batch_rows, duty.sink.batch_bytes)
        self._writer = writer
        self._metrics = metrics
        self._lane = progress.lane
        self._duplicates = 0
        self._events = 0
        self._latency = LatencyWindow()
        self._gate = LaneGate(progress)
        self._pending = Pending(self._gate.progress, whole_transactions=duty.whole_transactions)
        self._wanted = TableFilter(duty.sink.tables)
        self._refusals = Refusals(writer, duty.sink.on_error == "dead_letter", self._go_on)
        self._stop: threading.Event | None = None
        self._beat: Callable[[], None] = lambda: None
        self._open = False
        self._patient = False
        self._copies = ""
        self._copying = True
        self._gathered_bytes = 0
        self._gather_until = 0.0

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """`beat` is called at every turn: a lane that does not turn is stuck."""
        self._stop, self._beat = stop, beat
        try:
            while not stop.is_set():
                self._held.require()
                beat()
                count = self._gate.count
                received = self._read()
                failpoint("sink.received")
                self._take_all(received, stop)
                if self._gate.count == count and self._gathers(received):
                    if len(received) < self._duty.sink.batch_rows // 4:
                        # Then many come at once: to take each few as they come costs the queue and this process more.
                        stop.wait(_GATHER_WAIT_SECONDS)
                    continue
                if received or self._gathered_bytes:
                    self._flush()
                else:
                    self._metrics.caught_up(self._lane)
        finally:
            self._writer.rollback()
            self._reader.close()

    def _gathers(self, received: Sequence[Received]) -> bool:
        """Whether rows that were copied wait for others, until they are three batches; `received` came last, and was not counted.
        Readers send a chunk in parts, and to commit each part costs more than its rows. A change never waits, nor do the last
        rows of a copy."""
        if not len(self._pending) or self._open or not (self._copying and (received or self._gathered_bytes)):
            return False
        if not self._gathered_bytes:
            self._gather_until = time.monotonic() + _GATHER_SECONDS
        self._gathered_bytes += value_bytes(received)
        sink = self._duty.sink
        # A little less is as good: the queue may hand out a few rows less than a batch at a time.
        many = len(self._pending) >= 11 * sink.batch_rows // 4 or self._gathered_bytes >= sink.batch_bytes // 2
        return not many and time.monotonic() < self._gather_until

    def _read(self) -> Sequence[Received]:
        try:
            return self._reader.read(0 if self._gathered_bytes else _IDLE_WAIT_SECONDS)
        except Gap as gap:
            self._skip(gap)
            self._reader.pass_gap()
            return ()

    def _skip(self, gap: Gap) -> None:
        """A rewind makes a gap good: then what comes before its generation's epoch marker is of no use."""
        newest = self._duty.generation()
        if newest <= self._gate.watermark.generation or self._gate.watermark == ORIGIN:
            raise gap
        if not self._gate.skip_to:
            log.warning(
                "messages are missing; going on where the new generation begins",
                extra=fields(action="sink.skipping", lane=self._lane, generation=newest, gap=gap.message),
            )
        self._gate.skip_to = newest

    def _offer(self, offset: str, item: Change | Marker) -> Verdict:
        try:
            return self._gate.offer(offset, item)
        except Gap as gap:
            if self._gate.skip_to:
                raise
            self._skip(gap)
            return self._gate.offer(offset, item)

    def _take_all(self, received: Sequence[Received], stop: threading.Event) -> None:
        if not isinstance(received, ReceivedBlock):
            for at, message in enumerate(received):
                self._take(message, stop, ends=at + 1 == len(received) or received[at + 1].offset != message.offset)
            return
        tables = received.tables
        captured = [self._duty.captured(db, table) for db, table, _ in tables]
        wanted = [self._wanted(db, table) for db, table, _ in tables]
        at = 0
        while at < len(received):
            end = self._gate.run(received, at, captured)
            if end == at:
                ends = at + 1 == len(received) or received.offset(at + 1) != received.offset(at)
                self._take(received[at], stop, ends=ends)
                at += 1
            elif self._duty.whole_transactions:
                middle = received.last_end(at, end)
                self._take_run(received, at, middle, wanted)
                self._take_run(received, middle, end, wanted)
                at = end
            else:
                self._take_run(received, at, end, wanted)
                at = end

    def _take_run(self, block: ReceivedBlock, start: int, end: int, wanted: Sequence[bool]) -> None:
        """Of messages that count, one after the other, all or none end a transaction or stand before one that does."""
        if start == end:
            return
        ends_transaction = block.last_end(start, end) == end
        self._gate.pass_run(block, start, end)
        self._pending.add_run(block.changes(start, end, wanted), ends_transaction=ends_transaction)
        self._pending.reach(self._gate.progress)

    def _take(self, message: Received, stop: threading.Event, *, ends: bool) -> None:
        """`ends`: it is the last one, or the only one, that lies at its offset."""
        item = self._parse(message, ends=ends)
        if item is None:
            return
        verdict = self._offer(message.offset, item)
        if isinstance(item, Change):
            if verdict is Verdict.APPLY:
                wanted = self._wanted(item.db, item.table)
                if self._pending.add(item if wanted else None, ends_transaction=item.ends_transaction):
                    self._pending.reach(self._gate.progress)
            else:
                self._duplicates += 1
        elif verdict is Verdict.BARRIER:
            self._barrier(message.offset, item, stop)
        elif verdict is Verdict.COPIES:
            # With whatever is committed next: all that was copied before it is in that, or was committed before.
            self._copies = orjson.dumps(item.content["copies"]).decode()
            self._copying = bool(item.content["copies"]["tables"])

    def _parse(self, message: Received, *, ends: bool) -> Change | Marker | None:
        """None: a message that is not one of ours, and was parked."""
        try:
            item = parse(message.key, message.value)
            if isinstance(item, Change) and not self._duty.captured(item.db, item.table):
                raise PoisonMessage(
                    f"a message at {message.offset} names the table {item.db}.{item.table}, which is not captured",
                    hint="find out who else writes to this queue",
                )
        except PoisonMessage as error:
            if not self._refusals.allowed:
                raise
            self._park_poison(message, error, ends=ends)
            return None
        return item

    def _park_poison(self, message: Received, error: PoisonMessage, *, ends: bool) -> None:
        """Kept with its place in the lane; it has no count, so nothing waits for it.

        Inside a source transaction, or a bundle, the offset stays before it, with its changes: a crash then brings the message
        again, and perhaps a second letter, but loses nothing.
        """
        self._flush()
        if ends:
            self._gate.offset = message.offset
        place = self._gate.watermark
        letter = Change("?", "", "", "", (message.offset,), None, place, 0, 0, True, False, _NOWHERE, 0, message.value)
        poison = [DeadLetter(letter, error.message)]
        if self._open:
            self._writer.park(poison)
            return
        progress = self._pending.committed if self._pending.inside else self._gate.progress
        self._transaction(lambda: self._writer.park(poison), progress)

    def _flush(self) -> None:
        """Commits all that may be shown; of a transaction larger than a batch, applies what there is."""
        self._gathered_bytes = 0
        self._pending.reach(self._gate.progress)
        if self._pending.moved:
            changes, progress = self._pending.take_ready()
            began = time.monotonic()
            self._commit(changes, progress)
            self._count(changes, progress, time.monotonic() - began)
        if len(self._pending) >= self._duty.sink.batch_rows:
            self._held.require()
            if not self._open:
                self._begin()
                self._open = True
            self._apply(self._pending.take_part())

    def mark(self) -> str:
        """What people may know of the lane without asking the target: JSON for the coordination's marks."""
        progress = self._pending.committed
        document = {
            "token": progress.token,
            "generation": progress.watermark.generation,
            "watermark": f"{progress.watermark.file}:{progress.watermark.offset}",
            "count": progress.count,
            "events": self._events,
            "latency": self._latency.to_json(),
        }
        return orjson.dumps(document).decode()

    def _count(self, changes: Sequence[Change], progress: Progress, seconds: float) -> None:
        now = time.time()
        ops, of_commit = tallied(changes)
        commits = of_commit.items()
        for commit_us, count in commits:
            self._latency.add(max(0.0, now - commit_us / 1e6), count)
        self._events += len(changes)
        self._metrics.applied(
            self._lane,
            ops,
            events=len(changes),
            duplicates=self._duplicates,
            watermark=progress.watermark,
            seconds=seconds,
            commits=commits,
        )
        self._duplicates = 0

    def _commit(self, changes: Sequence[Change], progress: Progress) -> None:
        if self._open:
            self._apply(changes)
            self._finish(progress)
        elif not self._at_once(changes, progress):
            self._transaction(lambda: self._apply(changes), progress)

    def _at_once(self, changes: Sequence[Change], progress: Progress) -> bool:
        """In one step where the target does that. False: nothing has happened, and the transaction's own steps will tell why."""
        if len(changes) > AT_ONCE_CHANGES or self._copies or armed(*_INSIDE):
            return False
        parts = list(runs(changes)) if changes else []
        if len(parts) > 1:
            return False
        self._held.require()
        if not self._writer.apply_at_once(self._compact(changes) if changes else (), progress):
            return False
        self._committed(progress)
        return True

    def _transaction(self, work: Callable[[], object], progress: Progress) -> None:
        """begin, work, commit. A deadlock or lock timeout rolls back and is tried again while the lease lasts; so is, a few
        times, a refusal that another lane may be about to resolve."""
        backoff = Backoff(0.05, 2.0)
        for attempt in range(1, _BUSY_ATTEMPTS + 1):
            self._patient = self._duty.side_by_side and attempt <= _REFUSED_ATTEMPTS
            try:
                self._begin()
                work()
                self._finish(progress)
                return
            except (TargetBusy, RowRefused) as error:
                self._writer.rollback()
                if attempt == _BUSY_ATTEMPTS or not (self._patient or isinstance(error, TargetBusy)):
                    raise
                self._metrics.retried(self._lane)
                log.info("the target did not take it; trying again", extra=fields(action="sink.busy", error=str(error)))
                time.sleep(backoff.next())
            finally:
                self._patient = False

    def _go_on(self) -> None:
        """Long work inside one transaction: raises LeaseLost where it must not be gone on with."""
        self._held.require()
        self._beat()
        if self._stop is not None and self._stop.is_set():
            raise LeaseLost(
                "stopped while refused rows were told from others",
                hint="nothing to do: it is rolled back and done again",
            )

    def _begin(self) -> None:
        self._held.require()
        self._writer.begin()
        failpoint("sink.locked")
        self._refusals.begin()

    def _apply(self, changes: Sequence[Change]) -> None:
        for run in runs(self._refusals.pass_parked(changes)):
            try:
                self._writer.apply(self._compact(run), savepoint=self._refusals.allowed)
            except RowRefused as error:
                if not self._refusals.allowed:
                    raise
                parked = self._refusals.isolate(run, self._compact, error, patient=self._patient)
                self._metrics.dead_lettered(self._lane, parked)
        failpoint("sink.applied")

    def _compact(self, changes: Sequence[Change]) -> list[TableBatch]:
        return compact(changes, self._duty.schema_of, upsert=self._duty.sink.missing_rows == "insert")

    def _finish(self, progress: Progress) -> None:
        self._held.require()
        failpoint("sink.progress")
        if self._copies:
            self._writer.remember(self._copies)
        self._writer.commit(progress)
        self._copies = ""
        self._open = False
        self._committed(progress)

    def _committed(self, progress: Progress) -> None:
        self._pending.committed = progress
        failpoint("sink.committed")
        self._reader.ack(progress.offset)
        failpoint("sink.acked")

    def _barrier(self, offset: str, marker: Marker, stop: threading.Event) -> None:
        """All before it is applied and this lane says so; when every lane has, its action is done once."""
        if self._pending.inside:
            # Only a new generation begins inside a transaction, and it sends that transaction again from its start.
            self._gate = LaneGate(self._pending.abandon())
            self._writer.rollback()
            self._open = False
        self._flush()
        self._transaction(lambda: None, replace(self._pending.committed, arrived=marker.seq))
        log.info("waiting at a barrier", extra=fields(action="sink.barrier", lane=marker.lane, kind=marker.kind))
        while not self._may_pass(marker):
            self._held.require()
            if stop.wait(_BARRIER_POLL_SECONDS):
                raise LeaseLost(
                    "stopped at a barrier before all lanes arrived", hint="nothing to do: it is entered again"
                )
        self._gate.pass_barrier(offset, marker)
        self._transaction(self._action(marker), self._gate.progress)
        if marker.content.get("action") == "schema":
            self._writer.forget()
        self._pending.reach(self._gate.progress)

    def _action(self, marker: Marker) -> Callable[[], object]:
        """What this lane has to do at a barrier: nothing, but for the one that is its home."""
        content = marker.content
        db, table = str(content.get("db")), str(content.get("table"))
        if content.get("home") != marker.lane or not self._wanted(db, table):
            return lambda: None
        if content["action"] == "truncate":
            return lambda: self._writer.truncate(db, table)
        change = SchemaChange.from_json(content["change"])
        log.info(
            "changing the target's table as the source's was",
            extra=fields(action="sink.schema", lane=marker.lane, kind=change.kind, table=change.name),
        )
        return lambda: self._writer.change_schema(change)

    def _may_pass(self, marker: Marker) -> bool:
        lanes = self._duty.all_progress()
        home = marker.content.get("home", marker.lane)
        if home != marker.lane:
            return home in lanes and lanes[home].watermark >= marker.seq
        return all(lane in lanes and reached(lanes[lane], marker.seq) for lane in marker.content["lanes"])
