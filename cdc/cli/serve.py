"""What every long-running process has: signals that end it cleanly, failpoints, and a status page when asked."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from cdc.observe import failpoints
from cdc.observe.health import Health

if TYPE_CHECKING:
    from cdc.observe.metrics import Metrics


@dataclass
class Service:
    """`stop` is set by SIGTERM, SIGINT, or (`supervised`) when the supervisor is gone."""

    stop: threading.Event = field(default_factory=threading.Event)
    health: Health = field(default_factory=Health)
    on_stop: list[Callable[[], None]] = field(default_factory=list)

    @cached_property
    def metrics(self) -> "Metrics":
        """Made by who counts: `cdc run` only watches over those."""
        from cdc.observe.metrics import Metrics  # noqa: PLC0415

        return Metrics()

    def end(self) -> None:
        self.stop.set()
        for callback in self.on_stop:
            callback()


@contextmanager
def service(*, supervised: bool, metrics_port: int | None, metrics_host: str = "127.0.0.1") -> Iterator[Service]:
    """Raises UsageError where the status page cannot be opened, or CDC_FAILPOINT is wrong."""
    failpoints.arm(os.environ.get("CDC_FAILPOINT"))
    served = Service()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: served.end())
    if supervised:
        threading.Thread(target=_watch_supervisor, args=(served,), name="supervisor-watch", daemon=True).start()
    page = None
    if metrics_port is not None:
        from cdc.observe.status_page import StatusPage  # noqa: PLC0415 - most processes serve none

        token = os.environ.get("CDC_METRICS_TOKEN")
        page = StatusPage(served.metrics, served.health, port=metrics_port, host=metrics_host, token=token)
        page.start()
    try:
        yield served
    finally:
        if page is not None:
            page.close()


def _watch_supervisor(served: Service) -> None:
    """The supervisor holds the other end of our stdin: whatever way it ends, we learn it."""
    while os.read(sys.stdin.fileno(), 4096):
        continue
    served.end()
