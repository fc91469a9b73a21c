"""The reader: streams a source's row changes into the queue.

Why the order of operations is right: messages are published first, the checkpoint moves only when they are confirmed (the
queue's promise), and a run begins with an epoch marker on every lane. So a crash anywhere leaves at most messages beyond the
checkpoint; they are sent again with the same sequence and count, and dropped at the sinks.
"""

import threading
from collections.abc import Mapping
from functools import partial

from cdc.binlog.port import Source
from cdc.binlog.rows_port import RowSource
from cdc.coordination.port import Coordination
from cdc.model.checkpoint import Checkpoint, Progress
from cdc.model.config import ConnectorConfig
from cdc.model.errors import (
    BinlogDamaged,
    Fenced,
    RetryableError,
    TargetUnavailable,
)
from cdc.model.position import Sequence
from cdc.observe.health import Health
from cdc.observe.logs import fields, get_logger
from cdc.observe.metrics import ReaderMetrics
from cdc.processes.backoff import Backoff
from cdc.processes.copier import Copier
from cdc.processes.lease import Held, LeaseKeeper
from cdc.processes.reader_run import READER, ReaderRun
from cdc.processes.resume import SinkProgress, noted, resume
from cdc.queue.port import Queue
from cdc.target.port import Target

log = get_logger(__name__)

_HANDOVER_SECONDS = 2.0  # in which whoever asked for the handover takes the lease


class Reader:
    """One reader process. `run` returns when `stop` is set and everything published is confirmed; fatal errors rise.

    `drain_to`: a sequence (generation ignored) from which on idle lanes are told at once, not at the next heartbeat.
    """

    def __init__(
        self,
        config: ConnectorConfig,
        source: Source,
        rows: RowSource,
        queue: Queue,
        targets: Mapping[str, Target],
        coordination: Coordination,
        *,
        metrics: ReaderMetrics,
        health: Health,
        drain_to: Sequence | None = None,
    ) -> None:
        self._config = config
        self._source = source
        self._rows = rows
        self._queue = queue
        self._targets = targets
        self._coordination = coordination
        self._metrics = metrics
        self._health = health
        self._drain_to = drain_to
        self._seen_token = 0

    def run(self, stop: threading.Event) -> None:
        lease_seconds = self._config.coordinator.lease_seconds
        backoff = Backoff()
        with LeaseKeeper(self._coordination, lease_seconds) as keeper:
            while not stop.is_set():
                self._health.ready(False, "standby")
                self._metrics.state("standby")
                try:
                    # Before every session: one that may evict leases or entries is refused, at the start and later.
                    self._coordination.check()
                    self._queue.check()
                    held = keeper.wait(READER, self._floor, stop, beat=lambda: self._health.beat(READER, 60))
                    if held is not None:
                        self._seen_token = max(self._seen_token, held.token)
                        try:
                            self._session(held, stop, backoff)
                        finally:
                            keeper.release(held)
                        if held.handover:
                            stop.wait(_HANDOVER_SECONDS)
                except RetryableError as error:
                    self._seen_token = max(self._seen_token, error.stored if isinstance(error, Fenced) else 0)
                    self._metrics.state("reconnecting")
                    pause = backoff.next()
                    log.warning(
                        "the reader stopped and begins again",
                        extra=fields(action="reader.retry", error=str(error), seconds=round(pause, 2)),
                    )
                    stop.wait(pause)

    def _floor(self) -> int:
        """The highest reader token that is written anywhere or was ours: Redis may have forgotten it."""
        stored = self._queue.checkpoint()
        rows = [row.reader_token for lanes in self._progress(stored).values() for row in lanes.values()]
        return max([self._seen_token, stored.token if stored else 0, *rows])

    def _progress(self, stored: Checkpoint | None) -> SinkProgress:
        """What the sinks have applied. A target that is down only matters where the checkpoint is gone."""
        found: dict[str, Mapping[str, Progress]] = {}
        for name, target in self._targets.items():
            try:
                found[name] = target.progress()
            except TargetUnavailable as error:
                if stored is None:
                    raise
                log.warning(
                    "a target does not answer; going on by the checkpoint",
                    extra=fields(action="reader.target_unavailable", sink=name, error=str(error)),
                )
        return found

    def _session(self, held: Held, stop: threading.Event, backoff: Backoff) -> None:
        producer = self._queue.producer()
        try:
            stored = producer.open(held.token)
            progress = self._progress(stored)
            certain = partial(noted, progress, self._targets)
            start = resume(stored, progress, self._source, self._rows, self._config, certain).with_token(held.token)
            known = self._queue.versions()
            tables = self._source.tables_at(start.point, known)
            copier = Copier(self._config.source, self._rows, self._coordination, start.copies)
            stream = self._source.stream(start.point, tables)
            try:
                run = ReaderRun(
                    self._config,
                    self._source,
                    producer,
                    copier,
                    start=start,
                    held=held,
                    metrics=self._metrics,
                    health=self._health,
                )
                stored_versions = {version.name: version for version in known}
                run.announce([one for one in tables if stored_versions.get(one.name) != one])
                backoff.reset()
                self._health.ready(True, "reading")
                self._metrics.state("working")
                self._metrics.token(held.token)
                run.read(stream, stop, self._drain_to)
            except BinlogDamaged:
                # A dump over which its source is reset reads the new file from the old one's place: that is told first.
                self._source.verify(start.point)
                raise
            finally:
                copier.close()
                stream.close()
        finally:
            producer.close()
