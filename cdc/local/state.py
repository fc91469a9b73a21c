"""What `cdc local up` left running, written down so that `cdc local down` stops exactly that."""

import json
import shutil
import signal
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from cdc.local.docker import ContainerRun
from cdc.local.process import Identity, Process, Running
from cdc.local.server import Server
from cdc.model.errors import LocalServerError

_FILE = "state.json"
_GRACE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Record:
    """One server; `asked` is the kind that was asked for (MariaDB may stand in for MySQL).

    `started` is when its process began, in the kernel's words: a process id alone may be another's by now.
    `container` is a container's name, or "". A server that was given by URL has neither.
    """

    asked: str
    kind: str
    version: str
    url: str
    how: str
    pid: int
    started: str
    stop_signal: int
    container: str
    folders: tuple[str, ...]

    def running(self) -> Running | None:
        """A handle of what runs; None for a server that was given by URL."""
        if self.container:
            return ContainerRun(self.container)
        if not self.pid:
            return None
        return Process(Identity(self.pid, self.started), signal.Signals(self.stop_signal))

    def alive(self) -> bool:
        running = self.running()
        return running is None or running.alive()


def record(asked: str, server: Server) -> Record:
    running = server.running
    process = running if isinstance(running, Process) else None
    return Record(
        asked=asked,
        kind=server.kind,
        version=server.version,
        url=server.url,
        how=server.how,
        pid=server.pid,
        started=process.identity.started if process else "",
        stop_signal=int(process.stop_signal if process else signal.SIGTERM),
        container=running.name if isinstance(running, ContainerRun) else "",
        folders=tuple(str(folder.absolute()) for folder in (*server.folders, server.directory)) if server.ours else (),
    )


def load(directory: Path) -> list[Record]:
    """The records of the state file; none where there is no file."""
    file = directory / _FILE
    try:
        entries = json.loads(file.read_text())
        return [Record(**{**entry, "folders": tuple(entry["folders"])}) for entry in entries]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise LocalServerError(
            f"{file} cannot be read: {error}", hint="stop the servers by hand, then remove the folder"
        ) from error


def save(directory: Path, records: Iterable[Record]) -> None:
    """Replace the state file; it holds passwords, so only its owner can read it."""
    part = directory / f"{_FILE}.part"
    part.touch(mode=0o600)
    part.write_text(json.dumps([asdict(one) for one in records], indent=2))
    part.replace(directory / _FILE)


def take_down(directory: Path) -> list[Record]:
    """Stop the recorded servers that still run, remove their folders and the state; answers with the stopped ones."""
    stopped = []
    records = load(directory)
    for one in records:
        running = one.running()
        if running is not None and running.alive():
            running.stop(_GRACE_SECONDS)
            stopped.append(one)
        clear(one)
    (directory / _FILE).unlink(missing_ok=True)
    return stopped


def clear(one: Record) -> None:
    """Remove what a server that ended has left."""
    running = one.running()
    if running is not None:
        running.discard()
    for folder in one.folders:
        shutil.rmtree(folder, ignore_errors=True)
