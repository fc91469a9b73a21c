"""How far a download or an unpacking has come, told to whoever waits for it."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Bars


class Step(NamedTuple):
    """`done_bytes` of `total_bytes` of `what`; a total of 0 says that the size is not known."""

    what: str
    done_bytes: int = 0
    total_bytes: int = 0


# Called from several threads when several servers start at once.
Progress = Callable[[Step], None]


def silent(step: Step) -> None:
    """For callers that show nothing."""


class PlainLines:
    """One line when something begins and one for each further quarter: for logs and CI."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, step: Step) -> None:
        quarter = step.done_bytes * 4 // step.total_bytes if step.total_bytes else 0
        with self._lock:
            if self._told.get(step.what, -1) >= quarter:
                return
            self._told[step.what] = quarter
            size = f": {_megabytes(step.done_bytes)} of {_megabytes(step.total_bytes)}" if step.total_bytes else ""
            print(f"{step.what}{size}", file=self._stream, flush=True)


class _LiveBars:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def __call__(self, step: Step) -> None:
        with self._lock:
            task = self._tasks.get(step.what)
            if task is None:
                task = self._tasks[step.what] = self._bars.add_task(step.what, total=step.total_bytes or None)
            self._bars.update(task, completed=step.done_bytes, total=step.total_bytes or None)


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[Progress]:
    """Bars on a terminal, plain lines elsewhere; on stderr unless told, so that stdout stays the answer's."""
    target = stream or sys.stderr
    if not target.isatty():
        yield PlainLines(target)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bars(*columns, console=Console(file=target), transient=True) as bars:
        yield _LiveBars(bars)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
