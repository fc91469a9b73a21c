"""Whether a copy may read on: within its hours, and while the source has not too much else to do."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import UTC, datetime

from cdc.binlog.rows_port import RowSource
from cdc.model.config import SnapshotConfig
from cdc.model.errors import RetryableError
from cdc.observe.logs import fields, get_logger

log = get_logger(__name__)

_ASK_SECONDS = 1.0


class Throttle:
    """Asked by the reader's thread, which never waits here: the source is asked in a thread of `executor`."""

    def __init__(
        self,
        settings: SnapshotConfig,
        rows: RowSource,
        executor: Callable[[], Executor],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._most = settings.max_running_threads
        self._hours = settings.hours
        self._rows = rows
        self._executor = executor
        self._now = now
        self._asked: Future[int] | None = None
        self._next = 0.0
        self._calm = self._most is None
        self._said = False

    def allows(self) -> bool:
        if self._hours is not None and not self._hours.has(self._now().time()):
            return False
        if self._most is not None:
            self._ask(self._most)
        return self._calm

    def _ask(self, most: int) -> None:
        if self._asked is not None and self._asked.done():
            self._take(self._asked, most)
            self._asked = None
        if self._asked is None and time.monotonic() >= self._next:
            self._next = time.monotonic() + _ASK_SECONDS
            self._asked = self._executor().submit(self._rows.running_threads)

    def _take(self, asked: "Future[int]", most: int) -> None:
        try:
            running = asked.result()
        except RetryableError:
            self._calm = False
            return
        self._calm = running <= most
        if self._calm == self._said:
            self._said = not self._calm
            log.info(
                "the copy goes on" if self._calm else "the source is busy: the copy waits",
                extra=fields(action="copy.paced", running=running, most=most),
            )
