"""Connector files, and the product's own commands as measured processes."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from benchmarks.background import Background


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


class Command(Background):
    """A `cdc …` that runs until the block ends. `peaks`: the most memory by role (`reader`, `sink`)."""

    def __init__(self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        argv = [sys.executable, "-m", "cdc", *arguments]
        super().__init__(argv, None, folder, roles=("reader", "sink", "run"), environment=environment)
