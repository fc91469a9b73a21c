"""One run of a reader: what its session reads, and its copier brings, goes into the queue, and the checkpoint behind it."""

import math
import threading
import time
from collections import Counter

from cdc.binlog.port import Altered, Begin, End, Item, Passed, Remembered, Rows, Source, Stream, Stretched, Truncated
from cdc.model.checkpoint import Checkpoint
from cdc.model.config import ConnectorConfig
from cdc.model.errors import (
    CdcError,
    QueueUnavailable,
    SourceChanged,
)
from cdc.model.position import Sequence
from cdc.model.schema import TableSchema
from cdc.model.table_version import TableVersion
from cdc.observe.failpoints import failpoint
from cdc.observe.health import Health
from cdc.observe.logs import fields, get_logger
from cdc.observe.metrics import ReaderMetrics
from cdc.processes.copier import Copier
from cdc.processes.lease import Held
from cdc.processes.outbound import Outbound
from cdc.processes.packing import ops_of
from cdc.processes.spread import Routing
from cdc.processes.stretches import taken
from cdc.queue.port import Producer

log = get_logger(__name__)

READER = "reader"
_MAX_MESSAGES = 2500
_MAX_BYTES = 2560 * 1024
_MAX_AGE_SECONDS = 0.05
_REST_WAIT_SECONDS = 0.001
_COPY_WAIT_SECONDS = 0.005
_DUTIES_EVERY_ITEMS = 64
_IDLE_WAIT_SECONDS = 0.25
_FACTS_SECONDS = 5.0


class ReaderRun:
    """From one epoch marker to the end of the session."""

    def __init__(
        self,
        config: ConnectorConfig,
        source: Source,
        producer: Producer,
        copier: Copier,
        *,
        start: Checkpoint,
        held: Held,
        metrics: ReaderMetrics,
        health: Health,
    ) -> None:
        topic = config.queue.topic
        per_table = topic if topic and ("{db}" in topic or "{table}" in topic) else None
        self._out = Outbound(
            start,
            Routing(config.name, config.source.url.scheme, config.lanes, per_table, config.source.by_table),
            bundle_bytes=producer.bundle_bytes,
        )
        self._config = config
        self._source = source
        self._producer = producer
        self._copier = copier
        self._start = start
        self._held = held
        self._metrics = metrics
        self._health = health
        self._schemas: dict[str, TableSchema] = {}
        self._versions: list[TableVersion] = []
        # With whole transactions, no sink can commit, and so make room, while it has only a part of one.
        self._whole = config.order == "transaction"
        self._midway = self._whole and start.after > self._out.reached
        self._oldest = 0.0
        self._next_heartbeat = 0.0
        self._next_facts = 0.0
        self._commit_us = 0
        self._ops: Counter[str] = Counter()
        self._transactions = 0
        self._blocked = False
        self._moved = True
        self._told_of_end = False
        self._confirmed: Checkpoint | None = None

    def announce(self, tables: list[TableVersion]) -> None:
        """`tables`: what the schema history begins with, as far as the queue does not have it."""
        self._versions = tables
        self._out.begin_run()
        if self._out.copies.step:
            # A lane that is new, or lost what it was told, has it again.
            self._out.copies_are(self._out.copies)
        self._publish()
        self._producer.flush()
        log.info(
            "reading",
            extra=fields(
                action="reader.started",
                position=str(self._start.point.position),
                generation=self._start.generation,
                token=self._held.token,
            ),
        )

    def read(self, stream: Stream, stop: threading.Event, drain_to: Sequence | None) -> None:
        seen = 0
        for item in taken(stream.items(self._patience, stretches=True), self._out, self._apart):
            seen += 1
            if item is not None:
                self._take(item)
                self._copier.saw(item)
                if seen < _DUTIES_EVERY_ITEMS and not self._presses(item):
                    continue
            seen = 0
            self._held.require()
            self._copy(stop)
            if self._full() or self._completes(item) or (item is None and len(self._out)):
                self._publish_when_ready(stop)
            self._heartbeat(drain_to, idle=item is None or isinstance(item, Passed))
            if stop.is_set() or self._held.handover:
                break
        self._publish_when_ready(stop)
        self._producer.flush()
        confirmed = self._producer.confirmed
        log.info(
            "stopped reading; everything published is confirmed",
            extra=fields(action="reader.stopped", position=str(confirmed.point.position) if confirmed else "none"),
        )

    def _copy(self, stop: threading.Event) -> None:
        """What was copied goes into the stream and is published, by itself: with what is left of the copy it is one step.
        Who asked for it hears of it once it is stored."""
        out, copier = self._out, self._copier
        if len(out) and not out.inside and copier.ready(out.point):
            self._publish_when_ready(stop)
        step = out.copies.step
        for schema in copier.turn(out):
            self._schemas[schema.fingerprint()] = schema
        if len(out) and not self._oldest:
            self._oldest = time.monotonic()
        if out.copies.step != step or copier.answers:
            self._publish_when_ready(stop)
        if copier.answers:
            self._producer.flush()
            copier.published()

    def _apart(self, item: Stretched) -> bool:
        """Whether a boundary inside of it is wanted: to wait for room there, behind the rest of a transaction that was sent in
        part, or to put in what was copied."""
        return (self._midway or self._copier.waits) and item.ended and item.end is None

    def _patience(self) -> float:
        """What has gathered goes as soon as the source has no more at hand; of an open transaction there is more to come."""
        if not len(self._out):
            if self._copier.idle:
                return _IDLE_WAIT_SECONDS
            # A turn costs more than a chunk that comes a little later: several are read ahead.
            goes_on = not self._out.inside and self._copier.ready(self._out.point)
            return 0.0 if goes_on else _COPY_WAIT_SECONDS
        return _REST_WAIT_SECONDS if self._out.inside else 0.0

    def _presses(self, item: Item) -> bool:
        """Whether there may be something to do at once; all else can wait for a few items more."""
        if isinstance(item, Rows | Stretched) and (len(self._out) >= _MAX_MESSAGES or self._out.bytes >= _MAX_BYTES):
            return True
        if isinstance(item, End) and self._copier.waits:
            return True
        return isinstance(item, Passed) or self._completes(item)

    def _take(self, item: Item) -> None:
        match item:
            case Rows():
                failpoint("reader.read")
                for schema in item.new_schemas:
                    self._schemas[schema.fingerprint()] = schema
                self._out.rows(item.offset, item.drafts, item.first_row, item.query)
                self._ops.update(ops_of(item.drafts))
            case Stretched():  # its rows are in there
                failpoint("reader.read")
                for schema in item.new_schemas:
                    self._schemas[schema.fingerprint()] = schema
                self._ops.update(item.stretch.ops())
                self._transactions += item.stretch.shown
                self._commit_us = item.stretch.commit_us or self._commit_us
                self._moved = True
            case Begin():
                self._out.begin(item.transaction)
                self._commit_us = item.transaction.commit_us
            case End():
                self._out.end(item.point)
                self._transactions += 1
                self._moved = True
            case Truncated():
                self._out.truncate(item.offset, item.db, item.table)
            case Altered():
                self._out.alter(item.offset, item.row, item.change)
            case Remembered():
                self._versions.extend(item.versions)
            case Passed():
                self._out.passed(item.point)
                self._moved = True
        if len(self._out) and not self._oldest:
            self._oldest = time.monotonic()

    def _full(self) -> bool:
        out = self._out
        if not len(out):
            return False
        if len(out) >= _MAX_MESSAGES or out.bytes >= _MAX_BYTES:
            return True
        return time.monotonic() - self._oldest > _MAX_AGE_SECONDS

    def _completes(self, item: Item | None) -> bool:
        """The rest of a transaction that was published in part goes at once, so that what follows may wait for room."""
        ends = isinstance(item, End) or (isinstance(item, Stretched) and item.ended)
        return self._midway and ends and len(self._out) > 0

    def _publish_when_ready(self, stop: threading.Event) -> None:
        """A full queue blocks the reader, it never drops; the lease is watched while waiting."""
        while not self._producer.ready(0.25, midway=self._midway):
            self._held.require()
            self._health.beat(READER, 60)
            if not self._blocked:
                self._blocked = True
                self._metrics.state("blocked")
                log.warning("the queue is full; waiting for the sinks", extra=fields(action="reader.blocked"))
            if stop.is_set():
                raise QueueUnavailable(
                    "the queue is full, and the reader was asked to stop",
                    hint="nothing is lost: what was not sent is read again; start the sinks to empty the queue",
                )
        self._held.require()
        if self._blocked:
            self._blocked = False
            self._metrics.state("working")
        self._publish()

    def _publish(self) -> None:
        size = self._out.bytes
        messages, checkpoint = self._out.take()
        began = time.monotonic()
        failpoint("reader.publish")
        self._producer.publish(messages, checkpoint, list(self._schemas.values()), self._versions)
        failpoint("reader.published")
        if self._producer.confirmed is not self._confirmed:
            self._confirmed = self._producer.confirmed
            failpoint("reader.checkpointed")
        self._schemas.clear()
        self._versions = []
        self._oldest = 0.0
        self._moved = False
        self._midway = self._whole and self._out.inside
        if self._ops:
            self._metrics.published(
                self._ops,
                transactions=self._transactions,
                message_bytes=size,
                commit_us=self._commit_us,
                seconds=time.monotonic() - began,
            )
            self._ops.clear()
            self._transactions = 0
        self._metrics.checkpointed()

    def _heartbeat(self, drain_to: Sequence | None, *, idle: bool) -> None:
        """Lanes without events hear how far the stream is: their watermarks, and the checkpoint, move along."""
        now = time.monotonic()
        self._health.beat(READER, 60)
        self._facts(now)
        if idle and not self._producer.ready(0):
            return
        if self._out.inside:
            return
        at_end = idle and self._drained(drain_to)
        if at_end and not self._told_of_end:
            # The last events may have been published, and the checkpoint with them: then nothing has moved since.
            self._told_of_end = True
        elif not self._moved or (now < self._next_heartbeat and not at_end):
            return
        self._out.heartbeat()
        self._publish()
        if idle:
            self._producer.flush()
        self._next_heartbeat = now + self._config.source.heartbeat_seconds

    def _drained(self, drain_to: Sequence | None) -> bool:
        return drain_to is not None and self._out.reached[1:3] >= drain_to[1:3]

    def _facts(self, now: float) -> None:
        """What only the server can tell, asked now and then and never in the way of the stream."""
        if now < self._next_facts:
            return
        self._next_facts = now + _FACTS_SECONDS
        confirmed = self._producer.confirmed or self._start
        try:
            self._metrics.source_end(self._source.bytes_behind(confirmed.point.position))
            until_purged = self._source.seconds_until_purged(confirmed.point.file)
            self._metrics.until_purged(math.inf if until_purged is None else until_purged)
        except SourceChanged:
            raise
        except CdcError as error:
            log.debug("the source does not tell its end", extra=fields(action="reader.facts", error=str(error)))
