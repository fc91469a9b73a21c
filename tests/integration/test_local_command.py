"""`cdc local up`, `status`, `down`, as a person or a script runs them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdc.local.process import started
from tests.support.wait import until

PROGRAM = "from cdc.cli.local import local; local()"


def cdc_local(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=check, timeout=280
    )


def servers(*arguments: str) -> list[dict[str, Any]]:
    return list(json.loads(cdc_local(*arguments, "--json").stdout)["servers"])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[str]:
    directory = str(tmp_path / "local")
    yield directory
    cdc_local("down", "--directory", directory)


def test_up_twice_answers_with_the_same_servers_and_down_stops_exactly_those(place: str) -> None:
    wish = ("up", "--with", "redis,postgresql", "--directory", place)
    first = servers(*wish)
    assert [one["kind"] for one in first] == ["redis", "postgresql"]
    assert all(set(one) == {"kind", "version", "url", "how", "pid"} for one in first)
    assert all(started(one["pid"]) for one in first), "they outlive the command"
    assert servers(*wish) == first
    assert [one["alive"] for one in servers("status", "--directory", place)] == [True, True]
    assert [one["pid"] for one in servers("down", "--directory", place)] == [one["pid"] for one in first]
    assert not any(started(one["pid"]) for one in first)
    assert [path.name for path in Path(place).iterdir()] == [".up.lock"]
    assert servers("down", "--directory", place) == []


def test_up_adds_what_is_missing_and_replaces_what_has_died(place: str) -> None:
    (redis,) = servers("up", "--with", "redis", "--directory", place)
    os.kill(redis["pid"], signal.SIGKILL)
    until(lambda: not started(redis["pid"]), 10, "the killed server is gone")
    assert [one["alive"] for one in servers("status", "--directory", place)] == [False]
    again = servers("up", "--with", "redis,postgresql", "--directory", place)
    assert [one["kind"] for one in again] == ["redis", "postgresql"]
    assert again[0]["pid"] != redis["pid"]


def test_down_leaves_a_process_alone_that_only_got_the_same_id(place: str) -> None:
    servers("up", "--with", "redis", "--directory", place)
    state = Path(place) / "state.json"
    assert state.stat().st_mode & 0o077 == 0, "it holds passwords"
    with subprocess.Popen(["sleep", "60"]) as innocent:
        try:
            entries = json.loads(state.read_text())
            entries.append({**entries[0], "asked": "mysql", "pid": innocent.pid, "folders": []})
            state.write_text(json.dumps(entries))
            assert len(servers("down", "--directory", place)) == 1
            assert innocent.poll() is None
        finally:
            innocent.kill()


def test_an_interrupted_up_leaves_nothing_running(tmp_path: Path) -> None:
    directory = tmp_path / "local"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "up", "--with", "redis,postgresql", "--directory", str(directory)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as command:
        until((directory / "redis/server.log").exists, 60, "the first server is being started")
        command.terminate()
        assert command.wait(timeout=60) != 0 or (directory / "state.json").exists()
    if (directory / "state.json").exists():
        cdc_local("down", "--directory", str(directory))
    assert not [line for line in processes() if str(directory) in line]


def processes() -> list[str]:
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_text(errors="replace"))
        except OSError:
            continue  # it ended in between
    return lines
