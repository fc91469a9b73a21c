"""A sink worker: shares the lanes of one sink with all other workers of it, on any number of machines.

Each worker takes its fair share of the lanes by lease, gives back what is more when others join, and takes over what a dead one
leaves. One thread works on each lane; the first fatal error ends the worker.
"""

import math
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from cdc.coordination.port import Coordination
from cdc.model.checkpoint import Progress
from cdc.model.config import ConnectorConfig
from cdc.model.errors import (
    CdcError,
    CoordinationUnavailable,
    Fenced,
    Gap,
    NotUnderstood,
    QueueUnavailable,
    RetryableError,
)
from cdc.model.routing import TableFilter
from cdc.model.schema import TableSchema
from cdc.observe.health import Health
from cdc.observe.logs import fields, get_logger
from cdc.observe.metrics import SinkMetrics
from cdc.processes.backoff import Backoff
from cdc.processes.lane import LaneDuty, LaneWorker
from cdc.processes.lease import Held, LeaseKeeper, worker_name
from cdc.queue.port import Queue
from cdc.target.port import Target

log = get_logger(__name__)

_TURN_SECONDS = 1.0


@dataclass
class _Work:
    """One lane that this worker has, or tries to have again."""

    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    worker: LaneWorker | None = None
    error: BaseException | None = None
    owner: str = ""
    fenced_by: int = 0
    backoff: Backoff = field(default_factory=Backoff)
    not_before: float = 0.0

    @property
    def running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()


class SinkWorker:
    """`run` returns when `stop` is set and every lane is committed or left; the first fatal error rises."""

    def __init__(
        self,
        config: ConnectorConfig,
        sink: str,
        queue: Queue,
        target: Target,
        coordination: Coordination,
        *,
        metrics: SinkMetrics,
        health: Health,
    ) -> None:
        self._config = config
        self._sink = sink
        self._queue = queue
        self._target = target
        self._coordination = coordination
        self._metrics = metrics
        self._health = health
        self._lease_seconds = config.coordinator.lease_seconds
        self._member = worker_name()
        self._schemas: dict[str, TableSchema] = {}
        self._progress_lock = threading.Lock()
        self._works: dict[str, _Work] = {}
        self._turn = threading.Event()
        self._fit = False  # whether coordination and queue were found fit: one that may evict is refused at the start

    def run(self, stop: threading.Event) -> None:
        with LeaseKeeper(self._coordination, self._lease_seconds) as keeper:
            try:
                while not stop.is_set():
                    self._share(keeper)
                    self._turn.wait(min(_TURN_SECONDS, self._lease_seconds / 4))
                    self._turn.clear()
                    self._raise_fatal()
            finally:
                self._leave()
            self._raise_fatal()

    def wake(self) -> None:
        """Makes `run` look at `stop` at once."""
        self._turn.set()

    def _share(self, keeper: LeaseKeeper) -> None:
        """Takes free lanes up to the fair share, and gives back what is above it."""
        self._health.beat("sink", 30)
        try:
            if not self._fit:
                self._coordination.check()
                self._queue.check()
                self._fit = True
            members = self._coordination.join(self._sink, self._member, self._lease_seconds)
            lanes = list(self._queue.lanes())
            holders = self._coordination.holders()
            self._mark()
        except RetryableError as error:
            log.warning(
                "cannot share lanes now", extra=fields(action="sink.waiting", sink=self._sink, error=str(error))
            )
            return
        mine = [lane for lane, work in self._works.items() if work.running]
        share = math.ceil(len(lanes) / max(1, len(members)))
        for lane in mine[share:]:
            self._works[lane].stop.set()
        # Workers begin their search at different lanes, so that they do not all ask for the same one.
        first = sorted(members).index(self._member) * share if self._member in members else 0
        wanted = share - len(mine)
        for lane in lanes[first:] + lanes[:first]:
            if wanted <= 0:
                break
            holder = holders.get(f"{self._sink}/{lane}")
            if (holder is None or holder.owner == self._owner(lane)) and self._try(lane, keeper):
                wanted -= 1
        running = sum(work.running for work in self._works.values())
        self._health.ready(running > 0, f"{running} lanes" if running else "standby")

    def _mark(self) -> None:
        marks = {
            f"{self._sink}/{lane}": work.worker.mark()
            for lane, work in self._works.items()
            if work.running and work.worker is not None
        }
        if marks:
            self._coordination.mark(marks)

    def _owner(self, lane: str) -> str:
        """The same for all attempts at a lane (should an answer be lost, the next finds itself the holder), another one each
        time that the lane was held."""
        work = self._works.setdefault(lane, _Work())
        work.owner = work.owner or f"{self._member}/{uuid.uuid4().hex[:6]}"
        return work.owner

    def _try(self, lane: str, keeper: LeaseKeeper) -> bool:
        work = self._works.setdefault(lane, _Work())
        if work.running or time.monotonic() < work.not_before:
            return False
        try:
            stored = self._progress().get(lane)
            floor = max(work.fenced_by, stored.token if stored else 0)
            held = keeper.acquire(f"{self._sink}/{lane}", self._owner(lane), floor=floor)
        except RetryableError as error:
            self._postpone(lane, work, error)
            return False
        if held is None:
            return False
        work.stop = threading.Event()
        work.thread = threading.Thread(
            target=self._work, args=(lane, work, held, keeper), name=f"lane-{self._sink}-{lane}", daemon=True
        )
        work.thread.start()
        return True

    def _work(self, lane: str, work: _Work, held: Held, keeper: LeaseKeeper) -> None:
        try:
            self._apply(lane, work, held)
            log.info("left the lane", extra=fields(action="lane.left", sink=self._sink, lane=lane, token=held.token))
        except RetryableError as error:
            if isinstance(error, QueueUnavailable):
                self._metrics.lost_queue(lane)
            if isinstance(error, Fenced):
                work.fenced_by = max(work.fenced_by, error.stored)
                self._metrics.fenced(lane)
            self._postpone(lane, work, error)
        except Gap as error:
            overtaken = self._overtaken(lane, held)
            if overtaken is None:
                work.error = error
            else:
                self._postpone(lane, work, overtaken)
        except BaseException as error:  # noqa: BLE001 - it rises again in the worker's own thread
            work.error = error
        finally:
            work.owner = ""
            keeper.release(held)
            self._turn.set()

    def _apply(self, lane: str, work: _Work, held: Held) -> None:
        writer = self._target.writer(self._lease_seconds)
        try:
            progress = writer.take_over(lane, held.token) or Progress(lane, held.token)
            log.info(
                "took over the lane",
                extra=fields(
                    action="lane.taken",
                    sink=self._sink,
                    lane=lane,
                    token=held.token,
                    watermark=list(progress.watermark),
                ),
            )
            reader = self._queue.reader(self._sink, lane, progress.offset)
            self._metrics.took(lane, held.token)
            try:
                work.worker = LaneWorker(
                    self._duty(), held, reader, writer=writer, progress=progress, metrics=self._metrics
                )
                work.worker.run(work.stop, lambda: self._beat(lane, work))
            finally:
                work.worker = None
                reader.close()
                self._metrics.gave_up(lane)
                self._health.ended(lane)
        finally:
            writer.close()

    def _overtaken(self, lane: str, held: Held) -> RetryableError | None:
        """Why a gap is none: who was stopped and wakes finds the lane trimmed behind what its new holder has applied."""
        try:
            held.require()
            stored = self._progress().get(lane)
        except RetryableError as error:
            return error
        if stored is None or stored.token <= held.token:
            return None
        return Fenced(
            f"lane {lane} is held with token {stored.token}, ours is {held.token}",
            hint="another worker has taken it over; this one queues up for a lease again",
            stored=stored.token,
        )

    def _beat(self, lane: str, work: _Work) -> None:
        work.backoff.reset()
        self._health.beat(lane, 60)

    def _duty(self) -> LaneDuty:
        return LaneDuty(
            sink=self._config.all_sinks[self._sink],
            whole_transactions=self._config.order == "transaction",
            side_by_side=len(self._queue.lanes()) > 1,
            captured=TableFilter(self._config.source.tables),
            schema_of=self._schema,
            all_progress=self._progress,
            generation=self._generation,
        )

    def _generation(self) -> int:
        checkpoint = self._queue.checkpoint()
        return checkpoint.generation if checkpoint else 0

    def _progress(self) -> Mapping[str, Progress]:
        with self._progress_lock:
            return self._target.progress()

    def _schema(self, fingerprint: str) -> TableSchema:
        schema = self._schemas.get(fingerprint) or self._queue.schema(fingerprint)
        if schema is None:
            raise NotUnderstood(
                f"the table version {fingerprint} is not described in the queue",
                hint="restart the reader: it publishes every table version again before its first event",
            )
        self._schemas[fingerprint] = schema
        return schema

    def _postpone(self, lane: str, work: _Work, error: CdcError) -> None:
        pause = work.backoff.next()
        work.not_before = time.monotonic() + pause
        log.warning(
            "the lane stopped and is taken up again",
            extra=fields(action="lane.retry", sink=self._sink, lane=lane, error=str(error), seconds=round(pause, 2)),
        )

    def _raise_fatal(self) -> None:
        for work in self._works.values():
            if work.error is not None:
                raise work.error

    def _leave(self) -> None:
        for work in self._works.values():
            work.stop.set()
        for work in self._works.values():
            if work.thread is not None:
                work.thread.join()
        try:
            self._coordination.leave(self._sink, self._member)
        except CoordinationUnavailable as error:
            log.debug("could not say goodbye", extra=fields(action="sink.leave_failed", error=str(error)))
