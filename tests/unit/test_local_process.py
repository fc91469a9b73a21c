"""Server processes of `cdc local` are ended with their children."""

import subprocess
import sys
from pathlib import Path

from cdc.local.process import Wish, descendants, start_guarded, started
from tests.support.wait import until

# Forks one child that ends at once and is never waited for, and one that goes on.
_PARENT = """
import os, signal, sys, time
for ends in (True, False):
    if os.fork() == 0:
        if not ends:
            signal.pause()
        os._exit(0)
print("ready", flush=True)
signal.pause()
"""


def _states(parent: int) -> list[str]:
    """The states (proc(5)) of the children of `parent`."""
    told = subprocess.run(("ps", "-o", "stat=", "--ppid", str(parent)), capture_output=True, text=True, check=False)
    return sorted(line.strip()[:1] for line in told.stdout.splitlines())


def test_a_server_with_a_zombie_is_killed_with_its_living_children(tmp_path: Path) -> None:
    process = start_guarded(Wish((sys.executable, "-c", _PARENT), tmp_path / "log"))
    try:
        until(lambda: _states(process.pid) == ["S", "Z"], 10, "one child is a zombie, the other waits")
        living = descendants(process.pid)
        assert [started(one.pid) for one in living] == [living[0].started]
        process.kill()
        assert not process.alive()
        assert started(living[0].pid) != living[0].started
    finally:
        process.discard()


def test_a_process_that_ended_has_no_start_time() -> None:
    with subprocess.Popen((sys.executable, "-c", "")) as child:
        child.wait()
    assert not started(child.pid)
