"""Measured processes: started, watched from outside by /proc, and ended."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.children.report import NotRun, peak_bytes
from benchmarks.run import Run
from cdc.local import Server
from cdc.local.process import descendants

_TICK = os.sysconf("SC_CLK_TCK")
_LOOK_SECONDS = 0.05
# Looking through all processes of a machine is work; it would show in what is measured.
_FAMILY_SECONDS = 1.0
ROOT = Path(__file__).parents[1]


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes and all below them, with what those that ended left to their parents."""
    return sum(_own_cpu(pid) + sum(_own_cpu(one.pid) for one in descendants(pid)) for pid in pids if pid)


def _own_cpu(pid: int) -> float:
    """utime, stime and, of children waited for, cutime and cstime (proc(5))."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return 0.0
    return sum(map(int, text[text.rindex(")") + 2 :].split()[11:15])) / _TICK


def server_pids(servers: Iterable[Server]) -> list[int]:
    return [server.pid for server in servers if server.pid]


def clean(text: str) -> str:
    """What a program said, without places and passwords of this machine, in a line."""
    text = re.sub(r"://[^\s@/]*@", "://", text)
    text = re.sub(r"(?<![\w:/])(?:/[\w.+@%~-]+)+/", "…/", text)
    return " ".join(text.split())[:300]


class Watch:
    """Looks at processes and what they start, by name of the first word that matches: the most memory each had."""

    def __init__(self, pid: int, roles: Sequence[str] = ()) -> None:
        self._pid = pid
        self._roles = roles
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self.peaks: dict[str, int] = {}

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        family = {self._pid: self._role(self._pid)}
        again = 0.0
        while not self._end.wait(_LOOK_SECONDS):
            if self._roles and time.monotonic() > again:
                again = time.monotonic() + _FAMILY_SECONDS
                pids = (self._pid, *(one.pid for one in descendants(self._pid)))
                family = {pid: self._role(pid) for pid in pids}
            for pid, role in family.items():
                self.peaks[role] = max(self.peaks.get(role, 0), peak_bytes(pid))

    def _role(self, pid: int) -> str:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return ""
        return next((role for role in self._roles if role in words), "")


def run_child(
    argv: Sequence[str],
    job: Mapping[str, Any],
    *,
    seconds: float,
    servers: Sequence[Server] = (),
    environment: Mapping[str, str] | None = None,
) -> tuple[Run, dict[str, Any]]:
    """Runs a program of children/ or peers/ to its end; its report. Raises NotRun with what it said where it did not work."""
    before = cpu_seconds(server_pids(servers))
    report = ask_child(argv, job, seconds=seconds, environment=environment)
    after = cpu_seconds(server_pids(servers))
    return (
        Run(int(report["rows"]), report["seconds"], report["cpu_seconds"], after - before, int(report["peak_bytes"])),
        report,
    )


def ask_child(
    argv: Sequence[str], job: Mapping[str, Any], *, seconds: float, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    with subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
    ) as child:
        try:
            out, errors = child.communicate(json.dumps(job), timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            out, errors = child.communicate()
            raise NotRun(f"it did not end within {seconds:.0f} s; it said: {clean(telling(out + errors))}") from None
        except BaseException:
            child.kill()
            raise
    lines = [line for line in out.splitlines() if line.startswith("{")]
    try:
        report: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    except ValueError:
        report = {}
    if "not_run" in report:
        raise NotRun(clean(report["not_run"]))
    if child.returncode or "rows" not in report:
        raise NotRun(f"it ended with status {child.returncode}: {clean(telling(errors or out))}")
    return report


def telling(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"error|exception|cannot|fatal", line, re.IGNORECASE)]
    return (telling or lines or ["nothing"])[-1]


def python_child(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.children.{module}", *arguments]


def run_program(argv: Sequence[str], rows: int, *, seconds: float, servers: Sequence[Server] = ()) -> Run:
    """A program that knows nothing of us, from its start to its end."""
    before = cpu_seconds(server_pids(servers))
    began = time.monotonic()
    with subprocess.Popen(list(argv), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as child:
        with Watch(child.pid) as watch:
            timer = threading.Timer(seconds, child.kill)
            timer.start()
            errors = child.stderr.read() if child.stderr else ""
            _, status, usage = os.wait4(child.pid, 0)
            taken = time.monotonic() - began
            timer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
    after = cpu_seconds(server_pids(servers))
    if child.returncode:
        raise NotRun(f"it ended with status {child.returncode}: {clean(telling(errors))}")
    return Run(rows, taken, usage.ru_utime + usage.ru_stime, after - before, max(watch.peaks.values(), default=0))
