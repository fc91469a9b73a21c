"""A process that runs beside others, watched until the block ends."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.children.report import NotRun
from benchmarks.processes import ROOT, Watch, clean, cpu_seconds, telling

RARE_LOOK_SECONDS = 0.1
"""A look is work for the server that is measured, which a bare loop does not have beside it: so rare until the end is near."""

_LOOK_SECONDS = 0.01


class Background:
    """`job` goes to its stdin. `peaks`: the most memory by role, see Watch."""

    def __init__(
        self,
        argv: Sequence[str],
        job: Mapping[str, Any] | None,
        folder: Path,
        *,
        roles: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._log = folder / f"background-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE if job is not None else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        if job is not None and self._process.stdin is not None:
            with self._process.stdin as stdin:
                stdin.write(json.dumps(job).encode())
        self._watch = Watch(self._process.pid, roles)

    def __enter__(self) -> Self:
        self._watch.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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

    def until(
        self, reached: Callable[[], bool], seconds: float, what: str, look_seconds: float = _LOOK_SECONDS
    ) -> float:
        """Waits for `reached`; the time (monotonic) at which it was seen. Raises NotRun where the process ended or time is up."""
        deadline = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if reached():
                return now
            if self._process.poll() is not None:
                raise NotRun(f"it ended before {what}: {clean(self._said())}")
            if now > deadline:
                raise NotRun(f"{what} did not happen within {seconds:.0f} s; last words: {clean(self._said())}")
            time.sleep(look_seconds)

    def _said(self) -> str:
        return telling(self._log.read_text(errors="replace"))
