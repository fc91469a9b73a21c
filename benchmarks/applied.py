"""When rows were applied, seen from the target."""

import time
from collections.abc import Callable, Sequence

from benchmarks.background import RARE_LOOK_SECONDS, Background
from benchmarks.children.report import NotRun
from benchmarks.processes import cpu_seconds, server_pids
from benchmarks.rows import Lanes, Pair
from benchmarks.run import Run
from benchmarks.targets import PostgreSQL, Target
from cdc.local import Server

WORKERS = 2
"""Processes of the sink: one for each core."""

SHARING_SECONDS = 4
"""In which they have shared the lanes among themselves."""

_LOOK_SECONDS = 0.02
# A count is a scan.
_COUNT_SECONDS = 0.1


class Clock:
    """Wall clock, and CPU of commands and servers, from when it was made."""

    def __init__(self, commands: Sequence[Background], servers: Sequence[Server]) -> None:
        self._commands = commands
        self._pids = server_pids(servers)
        self.began = time.monotonic()
        self._cpu = self._used()

    def _used(self) -> tuple[float, float]:
        return sum(one.cpu_seconds for one in self._commands), cpu_seconds(self._pids)

    def until_applied(self, target: Target, table: str, lanes: Lanes, *, least_k: int, seconds: float) -> Run:
        """Waits until each lane's last row is visible at the target."""
        command = self._commands[-1]

        def wait(reached: Callable[[], bool], what: str, look_seconds: float) -> float:
            return command.until(reached, seconds, what, look_seconds)

        wait(lambda: target.has(table), "the table's appearance", RARE_LOOK_SECONDS)
        wait(lambda: target.visible(table, lanes.near) > 0, "the appearance of most rows", RARE_LOOK_SECONDS)
        all_lanes = len(lanes.last)
        ended = wait(lambda: target.visible(table, lanes.last) == all_lanes, "the last row's appearance", _LOOK_SECONDS)
        run = self._run(lanes.rows, ended)
        if (there := target.count(table, least_k)) != lanes.rows:
            raise NotRun(f"{there} of {lanes.rows} rows are there, though each lane's last one is")
        return run

    def until_counted(self, target: Target, table: str, last: Pair, rows: int, *, seconds: float) -> Run:
        """The same for one whose lanes are not ours: all rows are counted, once the last one of the binlog is visible."""

        def all_there() -> bool:
            return target.visible(table, [last]) == 1 and target.count(table, 0) >= rows

        ended = self._commands[-1].until(all_there, seconds, "the last row's appearance", _COUNT_SECONDS)
        return self._run(rows, ended)

    def until_copied(self, target: PostgreSQL, table: str, lanes: int, rows: int, *, seconds: float) -> Run:
        """The same for a first copy: what sinks have stored of it, in one commit with the last rows, says that none is left. To
        count rows meanwhile takes a fifth of the server's time."""
        ended = self._commands[-1].until(
            lambda: target.lanes_copied() == lanes, seconds, "the end of the copy", _LOOK_SECONDS
        )
        run = self._run(rows, ended)
        if (there := target.rows(table)) != rows:
            raise NotRun(f"{there} of {rows} rows are there, though nothing is left to copy")
        return run

    def _run(self, rows: int, ended: float) -> Run:
        cpu, server_cpu = self._used()
        peak = max((peak for one in self._commands for peak in one.peaks.values()), default=0)
        return Run(rows, ended - self.began, cpu - self._cpu[0], server_cpu - self._cpu[1], peak)
