"""Whether a copy may read on: within its hours, and while the source and its replicas have not too much else to do."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import UTC, datetime

from cdc.binlog.rows_port import RowSource
from cdc.model.config import SnapshotConfig
from cdc.model.errors import RetryableError
from cdc.observe.logs import fields, get_logger

log = get_logger(__name__)

_ASK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Hindrance:
    """`text`: for people; `kind`: the same while only numbers in it change. Of the two `measured` is more than `most`, which
    is not so where they could not be measured."""

    kind: str
    text: str
    measured: float | None = None
    most: float | None = None


_UNKNOWN = _Hindrance("unknown", "the source was not asked yet")


class Throttle:
    """Asked by the reader's thread, which never waits here: source and replicas are asked in a thread of `executor`."""

    def __init__(
        self,
        settings: SnapshotConfig,
        rows: RowSource,
        executor: Callable[[], Executor],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._hours = settings.hours
        self._rows = rows
        self._executor = executor
        self._now = now
        self._asks = settings.max_running_threads is not None or bool(settings.replicas)
        self._asked: Future[_Hindrance | None] | None = None
        self._next = 0.0
        self._hindrance = _UNKNOWN if self._asks else None
        self._said = ""
        self.why = ""
        """Why the last `allows` said no, for people; "" where it said yes."""

    def allows(self) -> bool:
        if self._hours is not None and not self._hours.has(self._now().time()):
            self.why = f"it is not {self._settings.window} UTC"
            return False
        if self._asks:
            self._ask()
        self.why = "" if self._hindrance is None else self._hindrance.text
        return self._hindrance is None

    def _ask(self) -> None:
        if self._asked is not None and self._asked.done():
            self._take(self._asked.result())
            self._asked = None
        if self._asked is None and time.monotonic() >= self._next:
            self._next = time.monotonic() + _ASK_SECONDS
            self._asked = self._executor().submit(self._look)

    def _look(self) -> _Hindrance | None:
        return self._busy() or self._behind()

    def _busy(self) -> _Hindrance | None:
        most = self._settings.max_running_threads
        if most is None:
            return None
        try:
            running = self._rows.running_threads()
        except RetryableError:
            return _Hindrance("away", "the source does not answer")
        if running <= most:
            return None
        return _Hindrance("threads", f"the source has {running} running threads", running, most)

    def _behind(self) -> _Hindrance | None:
        most = self._settings.max_replica_lag_seconds
        if most is None:
            return None
        for lag in self._rows.replica_lags():
            if lag.seconds is None:
                return _Hindrance(f"unknown {lag.replica}", f"replica {lag.replica} {lag.problem}")
            if lag.seconds > most:
                text = f"replica {lag.replica} is {lag.seconds:g} s behind"
                return _Hindrance(f"lag {lag.replica}", text, lag.seconds, most)
        return None

    def _take(self, hindrance: _Hindrance | None) -> None:
        self._hindrance = hindrance
        kind = "" if hindrance is None else hindrance.kind
        if kind == self._said:
            return
        self._said = kind
        if hindrance is None:
            log.info("the copy goes on", extra=fields("copy.resumed"))
            return
        log.info(
            f"the copy waits: {hindrance.text}",
            extra=fields("copy.paced", measured=hindrance.measured, most=hindrance.most),
        )
