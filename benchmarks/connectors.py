"""Connector files, and the product's own commands as measured processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import yaml

from benchmarks.children.report import NotRun
from benchmarks.processes import ROOT, Watch, clean, cpu_seconds

_LOOK_SECONDS = 0.01


class Place(NamedTuple):
    """Where one connector reads, queues and writes."""

    name: str
    source: str
    server_id: int
    table: str
    start: str
    queue: str
    sink: str
    coordination: str = ""
    lanes: int = 4
    # Where sinks stand still the reader must never wait for them.
    max_backlog: int | None = 100_000_000


def write(folder: Path, place: Place) -> Path:
    document: dict[str, Any] = {
        "name": place.name,
        "source": {
            "url": place.source,
            "server_id": place.server_id,
            "tables": [place.table],
            "start": place.start,
        },
        "queue": {"url": place.queue, "lanes": place.lanes},
        "sink": {"url": place.sink},
    }
    if place.max_backlog is not None:
        document["queue"]["max_backlog"] = place.max_backlog
    if place.coordination:
        document["coordination"] = {"url": place.coordination}
    file = folder / f"{place.name}.yaml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return file


class Command:
    """A `cdc …` that runs until the block ends. `peaks`: the most memory by role (`reader`, `sink`)."""

    def __init__(self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._log = folder / f"cdc-{arguments[0]}-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cdc", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self._watch = Watch(self._process.pid, ("reader", "sink", "run"))

    def __enter__(self) -> "Command":
        self._watch.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._watch.__exit__(kind, error, trace)
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def peaks(self) -> Mapping[str, int]:
        return self._watch.peaks

    @property
    def cpu_seconds(self) -> float:
        return cpu_seconds([self._process.pid])

    def until(self, reached: Callable[[], bool], seconds: float, what: str, look_seconds: float = _LOOK_SECONDS) -> float:
        """Waits for `reached`; the time (monotonic) at which it was seen. Raises NotRun where the command ended or time is up."""
        deadline = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if reached():
                return now
            if self._process.poll() is not None:
                raise NotRun(f"cdc ended before {what}: {clean(self._said())}")
            if now > deadline:
                raise NotRun(f"{what} did not happen within {seconds:.0f} s; last words: {clean(self._said())}")
            time.sleep(look_seconds)

    def _said(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        errors: Sequence[str] = [line for line in lines if "rror" in line]
        return (errors or lines or ["nothing"])[-1]
