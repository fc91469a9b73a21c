"""`cdc tail`: change events on stdout, one JSON document a line."""

import secrets
import sys
from collections.abc import Iterator, Mapping

import click

from cdc.binlog.registry import open_files
from cdc.cli.screen import stdout_is_gone
from cdc.model.checkpoint import Progress
from cdc.model.config import ConnectorConfig
from cdc.model.errors import CdcError, UsageError
from cdc.model.file_url import is_file_urls
from cdc.model.position import FilePosition
from cdc.observe.logs import fields, get_logger
from cdc.processes import tail as processes
from cdc.wiring.connector_file import load
from cdc.wiring.parts import Parts

log = get_logger(__name__)

_BEGINNING = "beginning"
_IDLE_SECONDS = 0.25


@click.command()
@click.argument("file", metavar="FILE")
@click.option(
    "--from",
    "start",
    metavar="POS",
    help="`beginning` of what the queue still has; or, from the binlog: earliest, latest, file:offset, a GTID set, an ISO time; "
    "or binlog files alone: file:///folder/ or file:///folder/mysql-bin.000042:4, several with commas between them. "
    "Without it: from now on, from the queue",
)
@click.option("--to", "end", metavar="POS", help="stop there: file:offset, latest, a GTID set, an ISO time")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="stop after N events")
@click.option(
    "--markers", is_flag=True, help="also what the reader tells the sinks beside change events (from the queue)"
)
def tail(file: str, start: str | None, end: str | None, limit: int | None, markers: bool) -> None:
    """Change events as JSON lines, from the queue (all lanes, as they come), or from the binlog where a position is given.

    It only looks on: no checkpoint, lease or acknowledgement moves. Files are read to their end, and no server is asked.
    """
    config = load(file)
    if start is None or start == _BEGINNING:
        with Parts(_of_many_processes(config)) as parts:
            _write(_queue(parts, _position(parts, end), markers, from_now_on=start is None), limit)
    elif is_file_urls(start):
        _write(_files(_as_onlooker(config), start, end), limit)
    else:
        with Parts(_as_onlooker(config)) as parts:
            _write(_binlog(parts, start, _position(parts, end)), limit)


def _of_many_processes(config: ConnectorConfig) -> ConnectorConfig:
    if config.queue.url.scheme == "memory":
        raise UsageError(
            "a memory:// queue lives inside the process that runs the connector",
            hint="read the binlog instead: cdc tail FILE --from earliest",
        )
    return config


def _as_onlooker(config: ConnectorConfig) -> ConnectorConfig:
    """The server throws out the older of two replicas with one id: under the file's, this would stop the reader. And a
    table that was dropped is no reason to stop for who only looks."""
    other = {
        "server_id": 2**31 + secrets.randbelow(2**31 - 1),
        "schema_changes": "apply",
        "destructive_changes": "apply",
    }
    return config.model_copy(update={"source": config.source.model_copy(update=other)})


def _position(parts: Parts, end: str | None) -> FilePosition | None:
    return None if end is None else parts.source.resolve(end).position


def _queue(parts: Parts, to: FilePosition | None, markers: bool, *, from_now_on: bool) -> Iterator[bytes | None]:
    queue = parts.queue
    start = processes.QueueStart({})
    if from_now_on:
        start = processes.from_now_on(queue.checkpoint(), processes.furthest(_progress(parts)))
    return processes.from_queue(queue, start, to=to, markers=markers)


def _progress(parts: Parts) -> list[Mapping[str, Progress]]:
    """A target that is down only means more to skip."""
    found = []
    for sink in parts.config.all_sinks:
        try:
            found.append(parts.target(sink).progress())
        except CdcError as error:
            log.debug("a target does not answer", extra=fields("tail.target", sink=sink, error=str(error)))
    return found


def _binlog(parts: Parts, start: str, to: FilePosition | None) -> Iterator[bytes | None]:
    point = parts.source.resolve(start)
    if ":" in start and start != str(point.position):
        log.info("reading from a boundary", extra=fields("tail.from", asked=start, position=str(point.position)))
    tables = parts.source.tables_at(point, ())
    return processes.from_binlog(parts.config, parts.source, point, to=to, wait=lambda: _IDLE_SECONDS, tables=tables)


def _files(config: ConnectorConfig, start: str, end: str | None) -> Iterator[bytes | None]:
    source = open_files(config.source, start)
    to = None if end is None else source.resolve(end).position
    return processes.from_binlog(config, source, source.begin(), to=to, wait=lambda: _IDLE_SECONDS)


def _write(values: Iterator[bytes | None], limit: int | None) -> None:
    out = sys.stdout.buffer
    written = 0
    for value in values:
        if value is None:
            out.flush()
            if stdout_is_gone():
                return
            continue
        out.write(value + b"\n")
        written += 1
        if written == limit:
            break
    out.flush()
