"""What a measured program is told, and what it tells."""

import json
import sys
import time
from pathlib import Path
from typing import Any


class NotRun(Exception):
    """It cannot be measured here; the text says why, and stands in the results."""


def job() -> dict[str, Any]:
    """The job that stands on stdin."""
    read: dict[str, Any] = json.load(sys.stdin)
    return read


def peak_bytes(pid: int | str = "self") -> int:
    """The most memory that the process ever had (VmHWM, proc(5)); 0 where that is not told."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


class Meter:
    """Wall clock and CPU (all threads, user and system) of this process since it was made."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._cpu = time.process_time()

    def tell(self, rows: int, **more: object) -> None:
        """Ends the measurement and writes the report."""
        seconds, cpu_seconds = time.monotonic() - self._wall, time.process_time() - self._cpu
        tell({"rows": rows, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": peak_bytes(), **more})


def tell(report: dict[str, object]) -> None:
    sys.stdout.write("\n" + json.dumps(report) + "\n")
    sys.stdout.flush()
