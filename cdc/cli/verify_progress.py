"""`cdc verify`: a bar for the table that is compared on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from cdc.observe.logs import fields, get_logger
from cdc.processes.verify_report import TableReport

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

log = get_logger(__name__)

_LINE_SECONDS = 5.0
_LEAST_SECONDS = 1.0  # before that a rate says little


class VerifyProgress:
    """See cdc.processes.verify.Watcher. A context manager."""

    def __init__(self) -> None:
        self._bar = _bar() if sys.stderr.isatty() else None
        self._task: TaskID | None = None
        self._next_line = 0.0

    def __enter__(self) -> "VerifyProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begins(self, report: TableReport) -> None:
        self._next_line = time.monotonic() + _LINE_SECONDS
        if self._bar is not None:
            name = f"{report.sink} {report.table}"
            self._task = self._bar.add_task(name, total=max(report.estimated, 1), rate="", left="")

    def moves(self, report: TableReport) -> None:
        if self._bar is not None and self._task is not None:
            rate = f"{report.rows_per_second:,.0f} rows/s" if report.seconds >= _LEAST_SECONDS else ""
            # An estimate may be too low: a bar that is full and goes on would be a lie.
            total = max(report.estimated, report.rows + 1)
            left = f"{_left(report)} left" if _left(report) else ""
            self._bar.update(self._task, total=total, completed=report.rows, rate=rate, left=left)
        elif self._bar is None and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_SECONDS
            log.info(
                "comparing",
                extra=fields(
                    "verify.progress",
                    sink=report.sink,
                    table=report.table,
                    rows=report.rows,
                    of_about=report.estimated,
                    rows_per_second=round(report.rows_per_second),
                    left=_left(report),
                ),
            )

    def ends(self, report: TableReport) -> None:
        if self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = None
            return
        log.info(
            "compared",
            extra=fields(
                "verify.table",
                sink=report.sink,
                table=report.table,
                rows=report.rows,
                missing=report.missing,
                extra=report.extra,
                different=report.different,
                waiting=report.waiting,
                unsettled=report.unsettled,
                seconds=round(report.seconds, 1),
            ),
        )


def _left(report: TableReport) -> str:
    """The time that is left, as far as the source's estimate is true; "" where nothing can be said."""
    if report.seconds < _LEAST_SECONDS or not report.rows_per_second or report.estimated <= report.rows:
        return ""
    seconds = round((report.estimated - report.rows) / report.rows_per_second)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"


def _bar() -> "Progress":
    # Only a terminal waits for rich to load.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=Console(stderr=True),
    )
