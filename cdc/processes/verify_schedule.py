"""Compares both sides again and again, as `verify:` in the connector file says.

In a process of its own, so that it takes no time from the reader and the sinks, and in one process at a time: it has a lease, and
others stand by. When the last comparison ended is a mark in the coordination: a restart goes on from there, and where the mark is
lost the next comparison comes too early, which does no harm. It never changes anything at either side.

While tables are copied the target lacks rows that are on their way, so it waits for the end of the copy; and what was found while
a copy began does not count.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from cdc.coordination.port import Coordination
from cdc.model.config import VerifyConfig
from cdc.model.copies import NO_COPIES, Copies
from cdc.model.errors import CdcError, CoordinationUnavailable, LeaseLost
from cdc.observe.health import Health
from cdc.observe.logs import fields, get_logger, redact
from cdc.observe.verify_metrics import VerifyMetrics
from cdc.processes.backoff import Backoff
from cdc.processes.lease import Held, LeaseKeeper
from cdc.processes.table_sides import Clock
from cdc.processes.verified import KINDS, VERIFY, Result, Verified
from cdc.processes.verify import Watcher
from cdc.processes.verify_report import TableReport

log = get_logger(__name__)

_LOOK_SECONDS = 5.0
_STEP_SECONDS = 0.5
_BEAT_SECONDS = 900.0  # one statement at a busy server may take long
_MOST_PAUSE_SECONDS = 300.0


class _Ended(Exception):
    """The comparison is to end: the process stops, or has lost the lease."""


class ScheduledVerify:
    """`compare`: one whole comparison, with connections of its own. `copies`: what is being copied, None where the connector has
    not read anything yet. Both may raise any CdcError, which ends an attempt, never the process: it is tried again."""

    def __init__(
        self,
        config: VerifyConfig,
        coordination: Coordination,
        compare: Callable[[Watcher, Clock], Sequence[TableReport]],
        copies: Callable[[], Copies | None],
        *,
        lease_seconds: float,
        metrics: VerifyMetrics,
        health: Health,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._every = config.every_seconds
        self._coordination = coordination
        self._compare = compare
        self._copies = copies
        self._lease_seconds = lease_seconds
        self._metrics = metrics
        self._health = health
        self._now = now
        self._last = Verified()
        self._not_before = 0.0
        self._backoff = Backoff(1.0, min(float(self._every), _MOST_PAUSE_SECONDS))

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. CoordinationRefused rises."""
        with LeaseKeeper(self._coordination, self._lease_seconds) as keeper:
            while not stop.is_set():
                self._health.ready(False, "standby")
                held = keeper.wait(VERIFY, lambda: 0, stop, beat=self._beat)
                if held is None:
                    return
                try:
                    self._health.ready(True, "verifying")
                    self._while_held(held, stop)
                except _Ended:
                    continue
                except CoordinationUnavailable as error:
                    self._retry(error)
                    stop.wait(max(0.0, self._not_before - self._now()))
                finally:
                    keeper.release(held)

    def _while_held(self, held: Held, stop: threading.Event) -> None:
        self._take(Verified.of(self._coordination.marks().get(VERIFY)))
        while True:
            due = max(self._last.ended + self._every, self._not_before)
            if (left := due - self._now()) > 0:
                # A clock that was set back must not put it off for ever.
                self._pause(min(left, self._every), held, stop)
            self._attempt(held, stop)

    def _attempt(self, held: Held, stop: threading.Event) -> None:
        try:
            before = self._copies()
            if before is None or before.working:
                self._wait("the first change" if before is None else "a copy of tables")
                self._pause(_LOOK_SECONDS, held, stop)
                return
            began = self._now()
            self._metrics.running(True)
            try:
                reports = self._compare(_Watch(self._metrics, lambda: self._go_on(held, stop)), self._clock(held, stop))
            finally:
                self._metrics.running(False)
            after = self._copies() or NO_COPIES
            if after.step != before.step and any(report.unequal for report in reports):
                log.info("a copy began meanwhile: compared again", extra=fields("verify.void"))
                return
        except LeaseLost:
            raise _Ended from None
        except CdcError as error:
            self._retry(error)
            return
        self._backoff.reset()
        self._done(reports, began)

    def _done(self, reports: Sequence[TableReport], began: float) -> None:
        ended = self._now()
        unequal = sum(report.unequal for report in reports)
        broken = [report for report in reports if report.problem is not None]
        found: dict[str, dict[str, int]] = {}
        for report in reports:
            counts = found.setdefault(report.sink, dict.fromkeys(KINDS, 0))
            for kind in KINDS:
                counts[kind] += getattr(report, kind)
        result: Result = "different" if unequal else "incomplete" if broken else "equal"
        last = Verified(ended, max(0.0, ended - began), result, sum(report.rows for report in reports), found)
        if broken:
            last = replace(last, problem=_problem(broken[0]))
        said = fields("verify.done", result=result, rows=last.rows, unequal=unequal, seconds=round(last.seconds, 1))
        if result == "equal":
            log.info("both sides are equal", extra=said)
        else:
            log.warning("both sides are not the same: `cdc verify` lists the rows", extra=said)
        self._tell(last)

    def _retry(self, error: CdcError) -> None:
        pause = self._backoff.next()
        self._not_before = self._now() + pause
        self._metrics.failed()
        log.warning(
            "both sides could not be compared; it is tried again",
            extra=fields("verify.retry", error=str(error), seconds=round(pause, 1)),
        )
        if not isinstance(error, CoordinationUnavailable):
            self._tell(replace(self._last, problem=redact(error.message), waits=""))

    def _wait(self, why: str) -> None:
        if self._last.waits != why:
            self._tell(replace(self._last, waits=why))

    def _tell(self, last: Verified) -> None:
        self._take(last)
        try:
            self._coordination.mark({VERIFY: last.to_json()})
        except CoordinationUnavailable as error:
            log.debug("the end of a comparison is not noted", extra=fields("verify.mark_failed", error=str(error)))

    def _take(self, last: Verified) -> None:
        self._last = last
        self._metrics.last(last.ended, last.seconds, last.result, last.found)

    def _clock(self, held: Held, stop: threading.Event) -> Clock:
        return Clock(pause=lambda seconds: self._pause(seconds, held, stop))

    def _pause(self, seconds: float, held: Held, stop: threading.Event) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            stop.wait(min(left, _STEP_SECONDS))
            self._go_on(held, stop)

    def _go_on(self, held: Held, stop: threading.Event) -> None:
        self._beat()
        if stop.is_set() or not held.valid():
            raise _Ended

    def _beat(self) -> None:
        self._health.beat(VERIFY, _BEAT_SECONDS)


class _Watch:
    """See cdc.processes.verify.Watcher. `go_on` raises where the comparison is to end."""

    def __init__(self, metrics: VerifyMetrics, go_on: Callable[[], None]) -> None:
        self._metrics = metrics
        self._go_on = go_on
        self._rows = 0

    def begins(self, report: TableReport) -> None:
        self._rows = report.rows
        self._go_on()

    def moves(self, report: TableReport) -> None:
        self._metrics.compared(report.rows - self._rows)
        self._rows = report.rows
        self._go_on()

    def ends(self, report: TableReport) -> None:
        """Counts by table, never keys: they are values of rows."""
        if report.problem is not None:
            log.warning(
                "a table could not be compared",
                extra=fields("verify.not_compared", sink=report.sink, table=report.table, error=str(report.problem)),
            )
        if report.unequal:
            log.warning(
                "the target's table is not the same as the source's",
                extra=fields(
                    "verify.different",
                    sink=report.sink,
                    table=report.table,
                    missing=report.missing,
                    extra=report.extra,
                    different=report.different,
                    waiting=report.waiting,
                    unsettled=report.unsettled,
                ),
            )


def _problem(report: TableReport) -> str:
    assert report.problem is not None  # noqa: S101 - chosen for it
    return f"{report.table} at sink {report.sink}: {redact(report.problem.message)}"
