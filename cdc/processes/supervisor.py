"""Keeps a set of child processes running: restarts what was killed, ends all when one fails for good."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cdc.observe.logs import fields, get_logger
from cdc.processes.backoff import Backoff

log = get_logger(__name__)

_POLL_SECONDS = 0.1
_HEALTHY_SECONDS = 30.0
_GRACE_SECONDS = 30.0


@dataclass
class Child:
    """`argv` starts it; it ends cleanly (status 0) on SIGTERM, and when its stdin ends because we are gone."""

    name: str
    argv: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    not_before: float = 0.0
    backoff: Backoff = field(default_factory=Backoff)

    def start(self) -> None:
        # A session of its own, so that Ctrl-C reaches the supervisor alone, which then ends the children in order.
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, start_new_session=True)
        self.started = time.monotonic()
        log.info("started", extra=fields(action="child.started", child=self.name, pid=self.process.pid))


class Supervisor:
    def __init__(self, children: Sequence[Child]) -> None:
        self._children = list(children)

    def run(self, stop: threading.Event, done: Callable[[], bool] | None = None) -> int:
        """Until `stop` is set or `done()` says so (0), or a child fails for good (its exit status).

        A child that a signal ended is started again with back-off; one that exits with a status other than 0 has said why
        on stderr, and ends the whole.
        """
        try:
            while not stop.wait(_POLL_SECONDS):
                status = self._turn()
                if status:
                    return status
                if done is not None and done():
                    return 0
            return 0
        finally:
            self.stop()

    def _turn(self) -> int:
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.not_before:
                    child.start()
                continue
            status = child.process.poll()
            if status is None:
                continue
            if status > 0:
                return status
            self._ended(child, status, now)
        return 0

    def _ended(self, child: Child, status: int, now: float) -> None:
        if now - child.started > _HEALTHY_SECONDS:
            child.backoff.reset()
        if child.process is not None and child.process.stdin is not None:
            child.process.stdin.close()
        child.process = None
        child.not_before = now + child.backoff.next()
        why = signal.Signals(-status).name if status else "exit"
        log.warning("a process ended; starting it again", extra=fields(action="child.ended", child=child.name, why=why))

    def stop(self) -> None:
        """SIGTERM to all; SIGKILL to what is still there after the grace time."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + _GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
