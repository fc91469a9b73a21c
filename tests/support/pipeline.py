"""Runs the command `cdc` as a user would: connector files on disk, processes, exit statuses."""

import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml


def write_connector(folder: Path, document: Mapping[str, Any], name: str = "connector.yaml") -> Path:
    file = folder / name
    file.write_text(yaml.safe_dump(dict(document), sort_keys=False))
    return file


def connector(name: str, *, source_url: str, target_url: str, tables: Sequence[str], **more: Any) -> dict[str, Any]:
    """A connector document; `more` sets keys of sections, like `order="transaction"` or `queue={"url": …, "lanes": 2}`."""
    document: dict[str, Any] = {
        "name": name,
        "source": {
            "url": source_url,
            "server_id": 7000 + zlib.crc32(name.encode()) % 1000,
            "tables": list(tables),
            "start": "earliest",
        },
        "queue": {},
        "sink": {"url": target_url},
    }
    for key, value in more.items():
        document[key] = {**document.get(key, {}), **value} if isinstance(value, Mapping) else value
    return document


def cdc(
    *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = 120
) -> "subprocess.CompletedProcess[str]":
    """Runs the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "cdc", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **(environment or {})},
    )


class Process:
    """A long-running `cdc …`, its stderr in a file. A context manager that ends it cleanly."""

    def __init__(self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        number = len(list(folder.glob("process-*.log")))
        self.log = folder / f"process-{number}-{arguments[0]}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cdc", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL, to the process and everything it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def pause(self) -> None:
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self.process.pid, signal.SIGCONT)

    def end(self, seconds: float = 40) -> int:
        """SIGTERM; the exit status."""
        if self.running:
            self.process.terminate()
        return self.process.wait(seconds)
