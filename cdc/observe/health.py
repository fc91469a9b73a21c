"""What a process says about itself: alive (nothing is stuck) and ready (it does its work now)."""

import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """`lines` say why not; empty or a remark where `ok`."""

    ok: bool
    lines: tuple[str, ...]


class Health:
    """Fed by the process, asked by the HTTP server; thread-safe.

    Each loop of the process beats before it may be stuck, and says until when it will beat again: who is overdue is stuck,
    and the process is not healthy. Idle loops go on beating. A standby is healthy, and not ready.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[str, float] = {}
        self._ready = False
        self._reason = "starting"

    def beat(self, what: str, within_seconds: float) -> None:
        """`what` is alive, and beats again within that time."""
        with self._lock:
            self._due[what] = time.monotonic() + within_seconds

    def ended(self, what: str) -> None:
        """`what` ended as it should: no more beats are expected."""
        with self._lock:
            self._due.pop(what, None)

    def ready(self, ready: bool, reason: str = "") -> None:
        """Whether it does its work now; if not, why (`standby`, `the target does not answer`)."""
        with self._lock:
            self._ready, self._reason = ready, reason

    def healthy(self) -> Verdict:
        now = time.monotonic()
        with self._lock:
            late = sorted((what, now - due) for what, due in self._due.items() if due < now)
        return Verdict(not late, tuple(f"{what} is overdue by {seconds:.1f} s" for what, seconds in late))

    def readiness(self) -> Verdict:
        """Ready is also healthy: a stuck process does not do its work."""
        health = self.healthy()
        with self._lock:
            reason = (self._reason,) if self._reason else ()
            return Verdict(self._ready and health.ok, reason + health.lines)
