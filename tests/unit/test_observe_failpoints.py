"""Failpoints: what they accept, and that they stop a process where they say."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from cdc.model.errors import RetryableError, UsageError
from cdc.observe.failpoints import NAMES, arm, failpoint
from tests.support.wait import until


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm(None)


@pytest.mark.parametrize("text", [None, "", " , "])
def test_nothing_is_armed_unless_asked_for(text: str | None) -> None:
    arm(text)
    for name in NAMES:
        failpoint(name)


def test_it_fires_once_at_the_passage_that_was_named() -> None:
    arm("sink.applied:error@3")
    fired = []
    for passage in range(1, 6):
        failpoint("sink.begun")
        try:
            failpoint("sink.applied")
        except RetryableError as error:
            fired.append((passage, error.message))
    assert fired == [(3, "failpoint sink.applied fired")]


def test_several_are_armed_together_and_arming_again_forgets_them() -> None:
    arm("reader.read:error, sink.acked:error@1")
    for name in ("reader.read", "sink.acked"):
        with pytest.raises(RetryableError):
            failpoint(name)
    arm("reader.publish:error")
    failpoint("reader.read")
    failpoint("sink.acked")


def test_sleep_waits() -> None:
    arm("reader.read:sleep:0.05")
    begin = time.monotonic()
    failpoint("reader.read")
    assert time.monotonic() - begin >= 0.05


@pytest.mark.parametrize(
    "text",
    [
        "sink.applied",
        "sink.applied:explode",
        "sink.applied:kill@0",
        "sink.applied:kill@x",
        "sink.applied:sleep",
        ":kill",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="CDC_FAILPOINT"):
        arm(text)


def test_an_unknown_name_is_refused_with_the_names_that_there_are() -> None:
    arm("sink.acked:error")
    with pytest.raises(UsageError) as refused:
        arm("sink.aplied:kill")
    assert all(name in refused.value.hint for name in NAMES)
    with pytest.raises(RetryableError):
        failpoint("sink.acked")


CHILD = """
import os, sys
from cdc.observe.failpoints import arm, failpoint
arm(os.environ["CDC_FAILPOINT"])
for passage in range(5):
    print(passage, flush=True)
    failpoint("sink.committed")
"""


def child(text: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CHILD], env={**os.environ, "CDC_FAILPOINT": text}, stdout=subprocess.PIPE, text=True
    )


def test_kill_ends_the_process_as_sigkill_does() -> None:
    with child("sink.committed:kill@2") as process:
        said, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert said.split() == ["0", "1"]


def test_stop_stops_the_process_until_it_is_woken() -> None:
    with child("sink.committed:stop@2") as process:
        until(lambda: _state(process.pid) == "T", 30, "the process is stopped")
        os.kill(process.pid, signal.SIGCONT)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert said.split() == ["0", "1", "2", "3", "4"]


def _state(pid: int) -> str:
    """proc(5): the state follows the command's name in brackets."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        return file.read().rpartition(")")[2].split()[0]
