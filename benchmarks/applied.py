"""When rows were applied, seen from the target: from the first that are visible to the last."""

import time
from collections.abc import Sequence

from benchmarks.children.report import NotRun
from benchmarks.connectors import Command
from benchmarks.processes import cpu_seconds, server_pids
from benchmarks.rows import Lanes
from benchmarks.run import Run
from benchmarks.targets import Target
from cdc.local import Server

WORKERS = 2
"""Processes of the sink: one for each core."""

_LOOK_SECONDS = 0.02


def until_applied(
    command: Command,
    target: Target,
    table: str,
    lanes: Lanes,
    *,
    least_k: int,
    servers: Sequence[Server],
    seconds: float,
) -> Run:
    """Waits until each lane's last row is visible. The clock starts when the first row of any lane is, and rows that are there
    by then do not count: so neither Python's start nor the taking of leases is in it."""
    pids = server_pids(servers)

    def first() -> bool:
        return target.has(table) and target.visible(table, lanes.first) > 0

    def last() -> bool:
        return target.visible(table, lanes.last) == len(lanes.last)

    command.until(first, seconds, "the first row's appearance", _LOOK_SECONDS)
    before = target.count(table, least_k)
    began = time.monotonic()
    cpu, server_cpu = command.cpu_seconds, cpu_seconds(pids)
    ended = command.until(last, seconds, "the last row's appearance", _LOOK_SECONDS)
    taken = command.cpu_seconds - cpu, cpu_seconds(pids) - server_cpu
    if (there := target.count(table, least_k)) != lanes.rows:
        raise NotRun(f"{there} of {lanes.rows} rows are there, though each lane's last one is")
    if before >= lanes.rows or ended <= began:
        raise NotRun("all rows were there at the first look: too few to measure")
    return Run(lanes.rows - before, ended - began, *taken, max(command.peaks.values(), default=0))
