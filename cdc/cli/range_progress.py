"""How far a look through a stretch of the binlog has come: a bar on a terminal, nothing elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cdc.binlog.port import Item
from cdc.model.position import FilePosition
from cdc.processes.span import boundary
from cdc.wiring.looking_back import Range

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_POLL_SECONDS = 0.2
_LONG_SECONDS = 1.0  # what is over sooner needs no bar


class RangeProgress:
    """`hidden()` takes the bar off the screen, for who writes to the same one."""

    def __init__(self, looked_at: Range, what: str) -> None:
        self._range = looked_at
        self._what = what
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._next = time.monotonic() + _LONG_SECONDS
        self._file = ""
        self._before_file = 0
        self._wanted = sys.stderr.isatty() and looked_at.to is not None

    def items(self) -> Iterator[Item | None]:
        """The range's, looked at as they pass."""
        try:
            for item in self._range.items():
                if self._wanted and time.monotonic() >= self._next and (point := boundary(item)) is not None:
                    self._show(point.position)
                yield item
        finally:
            self.close()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        self.close()
        yield
        self._next = time.monotonic() + _LONG_SECONDS

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def _show(self, position: FilePosition) -> None:
        self._next = time.monotonic() + _POLL_SECONDS
        done = self._bytes(position)
        if self._bar is None or self._task is None:
            to = self._range.to
            total = None if to is None else max(self._range.bytes_up_to(to), done)
            self._bar = _bar()
            self._task = self._bar.add_task(self._what, total=total)
            self._bar.start()
        self._bar.update(self._task, completed=done)

    def _bytes(self, position: FilePosition) -> int:
        """The sizes of files are asked for at each new file, not at each event."""
        begin = self._range.begin.position
        if position.file == begin.file:
            return position.offset - begin.offset
        if position.file != self._file:
            self._file = position.file
            self._before_file = self._range.bytes_up_to(FilePosition(position.file, 0))
        return self._before_file + position.offset


def _bar() -> "Progress":
    # Only a terminal waits for rich to load.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
