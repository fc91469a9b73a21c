"""Server processes: started under a guard or on their own, and ended by process id and start time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from cdc.model.errors import LocalServerError

_GUARD = Path(__file__).with_name("guard.py")
_LOOK_SECONDS = 0.02
# SIGKILL takes effect when the process leaves the kernel: on a stalled disk that can take long.
_END_SECONDS = 60


class Account(NamedTuple):
    uid: int
    gid: int


class Identity(NamedTuple):
    """A process, and not another one that got the same id later: `started` is the kernel's note of when."""

    pid: int
    started: str


class Running(Protocol):
    """A server that was started: a process of this machine, or a container."""

    @property
    def pid(self) -> int: ...
    def alive(self) -> bool: ...
    def stop(self, grace_seconds: float) -> None: ...
    def kill(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def discard(self) -> None: ...


class Process:
    """`stop_signal` asks for a clean end.

    `own`: what this process started itself, the server or its guard; `life_fd`: the end of the guard's pipe.
    """

    def __init__(
        self,
        identity: Identity,
        stop_signal: signal.Signals,
        own: "subprocess.Popen[bytes] | None" = None,
        life_fd: int = -1,
    ) -> None:
        self.identity = identity
        self.stop_signal = stop_signal
        self._own = own
        self._life_fd = life_fd

    @property
    def pid(self) -> int:
        return self.identity.pid

    def alive(self) -> bool:
        if self._own is not None:
            self._own.poll()
        return _is_alive(self.identity)

    def stop(self, grace_seconds: float) -> None:
        """Ask for a clean end, and after `grace_seconds` do not ask."""
        family = descendants(self.pid)
        _signal(family, signal.SIGCONT)
        _signal([self.identity], self.stop_signal)
        if not _gone(self.alive, grace_seconds):
            self.kill()
        self._let_go()

    def kill(self) -> None:
        """SIGKILL for the server and its children (PostgreSQL has one for each session)."""
        family = [self.identity, *descendants(self.pid)]
        _signal(family, signal.SIGKILL)
        ended = _gone(lambda: self.alive() or any(_is_alive(one) for one in family), _END_SECONDS)
        self._let_go()
        if not ended:
            raise LocalServerError(f"process {self.pid} does not end", hint="end it by hand")

    def pause(self) -> None:
        _signal([self.identity, *descendants(self.pid)], signal.SIGSTOP)

    def resume(self) -> None:
        _signal([self.identity, *descendants(self.pid)], signal.SIGCONT)

    def discard(self) -> None:
        """Nothing is left of it, nor of its guard."""
        if self.alive():
            self.kill()
        self._let_go()

    def _let_go(self) -> None:
        if self._life_fd >= 0:
            os.close(self._life_fd)
            self._life_fd = -1
        if self._own is not None:
            self._own.wait()


class Wish(NamedTuple):
    """What to run: as which account (None: the caller's), and where its words go.

    `at_end`: a command for the guard to run when the asking process was killed.
    """

    argv: Sequence[str]
    log: Path
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    at_end: Sequence[str] = ()


def start_guarded(wish: Wish) -> Process:
    """A process that ends when this one does, however this one ends."""
    life_read, life_write = os.pipe()
    report_read, report_write = os.pipe()
    text = json.dumps(
        {
            "argv": list(wish.argv),
            "uid": wish.account and wish.account.uid,
            "gid": wish.account and wish.account.gid,
            "life_fd": life_read,
            "report_fd": report_write,
            "at_end": list(wish.at_end),
        }
    )
    try:
        with wish.log.open("ab") as log:
            guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), text],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(life_read, report_write),
                start_new_session=True,
            )
    finally:
        os.close(life_read)
        os.close(report_write)
    with os.fdopen(report_read, "rb") as report:
        said = report.read().decode()
    if not said.isdigit():
        os.close(life_write)
        guard.wait()
        raise LocalServerError(
            f"{wish.argv[0]} cannot be run: {said[1:] or 'the guard ended'}", hint="see " + str(wish.log)
        )
    return Process(_identity(int(said)), wish.stop_signal, guard, life_write)


def start_detached(wish: Wish) -> Process:
    """A process that goes on when this one ends."""
    with wish.log.open("ab") as log:
        try:
            own = subprocess.Popen(
                list(wish.argv),
                user=wish.account.uid if wish.account else None,
                group=wish.account.gid if wish.account else None,
                extra_groups=[] if wish.account else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            raise LocalServerError(f"{wish.argv[0]} cannot be run: {error}", hint="see " + str(wish.log)) from error
    return Process(_identity(own.pid), wish.stop_signal, own)


def started(pid: int) -> str:
    """When the living process `pid` was started, in the system's own words; "" where there is none.

    A zombie has ended: it only waits for its parent to take note.
    """
    if not sys.platform.startswith("linux"):
        told = subprocess.run(
            ("ps", "-o", "state=,lstart=", "-p", str(pid)), capture_output=True, text=True, check=False
        )
        state, _, when = told.stdout.strip().partition(" ")
        return "" if state.startswith("Z") else when.strip()
    fields = _stat(pid)
    return "" if not fields or fields[0] in {"Z", "X"} else fields[19]


def descendants(pid: int) -> list[Identity]:
    """The living processes below `pid`, nearest first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(entry.name)):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[Identity] = []
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(0), ()):
            waiting.append(child)
            # One that ended a moment ago, or is a zombie, has no start time, and nothing to end.
            if (identity := _identity(child)).started:
                found.append(identity)
    return found


def _identity(pid: int) -> Identity:
    return Identity(pid, started(pid))


def _is_alive(one: Identity) -> bool:
    return bool(one.started) and started(one.pid) == one.started


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (state) on (proc(5)); the second, a name, may hold anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()


def _signal(targets: Sequence[Identity], number: signal.Signals) -> None:
    for target in targets:
        if _is_alive(target):
            try:
                os.kill(target.pid, number)
            except ProcessLookupError:
                continue  # it ended by itself in between


def _gone(alive: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
