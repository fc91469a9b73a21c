"""`cdc run --drain`: a progress bar on a terminal, a line now and then elsewhere, until every lane is in step."""

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from cdc.model.config import ConnectorConfig
from cdc.observe.logs import fields, get_logger
from cdc.wiring import build
from cdc.wiring.parts import Parts

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

log = get_logger(__name__)

_POLL_SECONDS = 0.2
_LINE_SECONDS = 5.0


class DrainProgress:
    """What each connector's source had at the making is what must be applied. Context manager; empty: no drain."""

    def __init__(self, configs: Sequence[ConnectorConfig]) -> None:
        self._close = ExitStack()
        self._drains = {config.name: build.drain(self._close.enter_context(Parts(config))) for config in configs}
        self._next_poll = 0.0
        self._next_line = 0.0
        self._bar = _bar() if self._drains and sys.stderr.isatty() else None
        self._tasks: dict[str, TaskID] = {}

    @property
    def draining(self) -> bool:
        return bool(self._drains)

    def until(self, connector: str) -> str | None:
        """`file:offset` up to which the connector's lanes must come."""
        drain = self._drains.get(connector)
        return None if drain is None else drain.end

    def done(self) -> bool:
        """Asks at most five times a second."""
        now = time.monotonic()
        if now < self._next_poll:
            return False
        self._next_poll = now + _POLL_SECONDS
        found = {name: drain.behind() for name, drain in self._drains.items()}
        if self._bar is not None:
            for name, behind in found.items():
                in_step = behind.lanes - behind.lanes_behind
                self._bar.update(self._tasks[name], total=behind.lanes or None, completed=in_step)
        if all(behind.in_step for behind in found.values()):
            log.info("in step", extra=fields("drain.done", connectors=",".join(found)))
            return True
        if now >= self._next_line and self._bar is None:
            self._next_line = now + _LINE_SECONDS
            text = ", ".join(f"{name} {one.lanes - one.lanes_behind}/{one.lanes}" for name, one in found.items())
            log.info("lanes in step", extra=fields("drain.progress", lanes=text))
        return False

    def __enter__(self) -> "DrainProgress":
        if self._bar is not None:
            self._bar.start()
            self._tasks = {name: self._bar.add_task(name, total=None) for name in self._drains}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._close.close()


def _bar() -> "Progress":
    # Only a terminal waits for rich to load.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} lanes in step"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
