"""A process that takes megabytes for each batch does not get them from the system anew each time."""

import platform
import subprocess
import sys

import pytest

_BATCHES = """
import resource, sys, threading
from cdc.cli.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def batches():
    for _ in range(200):
        pieces = [bytes([1]) * (1 << 20) for _ in range(4)]
thread = threading.Thread(target=batches)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _pages_taken(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", _BATCHES, how], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is for glibc")
def test_freed_memory_is_kept_for_the_next_batch() -> None:
    assert 10 * _pages_taken("keep") < _pages_taken("leave")
