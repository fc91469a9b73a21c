"""The processes of one connector, as an operator would start, kill, stop and wake them; with their logs, and their memory."""

import os
import re
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from tests.support.pipeline import Process, cdc
from tests.support.wait import until

_LOG_CHARACTERS = 6000


class Fleet:
    """Starts `cdc reader`, `cdc sink`, `cdc run` on `file`. A context manager: at its end whatever still runs is ended by
    SIGTERM and must leave with status 0; after a failure everything is killed and the logs go with the error."""

    def __init__(self, file: Path, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.file = file
        self._folder = folder
        self._environment = environment
        self._members: list[Process] = []
        self._killed: set[Process] = set()

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self.end()
            except AssertionError:
                self._destroy()
                raise
            return
        self._destroy()
        error.add_note(self.logs())

    def reader(self) -> Process:
        return self.start("reader")

    def sink(self, name: str | None = None) -> Process:
        """One worker process of the sink `name` (of all sinks of the file)."""
        return self.start("sink", *(("--sink", name) if name else ()))

    def run(self) -> Process:
        return self.start("run")

    def start(self, command: str, *options: str) -> Process:
        member = Process(self._folder, command, str(self.file), *options, environment=self._environment)
        self._members.append(member)
        return member

    def kill(self, member: Process) -> None:
        """SIGKILL, to it and to all that it started."""
        self._killed.add(member)
        for pid in family(member.process.pid):
            _signal(pid, signal.SIGKILL)
        member.process.wait()

    def end(self) -> None:
        """SIGTERM to all that run; every one that nobody killed must have left with status 0."""
        for member in self.running:
            member.process.terminate()
        for member in self._members:
            if member in self._killed:
                continue
            # One signal only: a second one would meet an interpreter that has taken its handlers down.
            status = member.process.wait(60)
            assert status == 0, f"{member.log.name}: status {status}\n{self.logs()}"
        self._members = []

    @property
    def running(self) -> list[Process]:
        return [member for member in self._members if member.running]

    def require_running(self) -> None:
        """Fails where a process has ended by itself."""
        for member in self._members:
            if member not in self._killed and not member.running:
                raise AssertionError(f"{member.log.name} ended with status {member.process.returncode}\n{self.logs()}")

    def drain(self, seconds: float) -> None:
        """`cdc run FILE --drain`, to its end: what was committed at the source by now is applied then. Others of this
        fleet may run beside it."""
        done = cdc("run", str(self.file), "--drain", environment=self._environment, timeout=seconds)
        errors = "\n".join(
            line for line in done.stderr.splitlines() if " INFO " not in line and " WARNING " not in line
        )
        assert done.returncode == 0, (
            f"drain: status {done.returncode}\n{done.stderr[-_LOG_CHARACTERS:]}\n{self.logs()}\n{errors}"
        )

    def status(self) -> dict[str, Any]:
        """This connector's part of `cdc status --json`."""
        done = cdc("status", str(self.file), "--json", environment=self._environment)
        assert done.returncode == 0, done.stderr
        document = orjson.loads(done.stdout)
        found: dict[str, Any] = document["connectors"][0]
        return found

    def wait_for(self, word: str, member: Process, seconds: float = 60) -> None:
        """Until the member's log has `word` (an `action`, a sentence); fails at once where it has ended."""
        until(lambda: word in member.text() or not member.running, seconds, f"'{word}' in {member.log.name}")
        assert word in member.text(), f"{member.log.name} ended without '{word}'\n{self.logs()}"

    def logs(self) -> str:
        """The end of every member's log."""
        return "\n".join(
            f"--- {file.name}\n{file.read_text(errors='replace')[-_LOG_CHARACTERS:]}"
            for file in sorted(self._folder.glob("process-*.log"))
        )

    def no_traceback(self) -> None:
        for file in self._folder.glob("process-*.log"):
            assert "Traceback" not in file.read_text(errors="replace"), self.logs()

    def _destroy(self) -> None:
        for member in self.running:
            self.kill(member)


def family(pid: int) -> Iterator[int]:
    """The process, then all that it started; parents first, so that a killed supervisor starts nothing again."""
    yield pid
    for child in _children(pid):
        yield from family(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:  # it ended while we looked
            continue
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def peak_bytes(pid: int) -> int:
    """The most memory that the process ever had resident: VmHWM of proc(5)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found, f"process {pid} has no memory any more"
    return int(found[1]) * 1024


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
