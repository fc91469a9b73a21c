"""`cdc tail`: change events on stdout: one JSON document a line, or, on a terminal, what people want to know of each."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from tempfile import TemporaryFile

import click

from cdc.binlog.port import Item
from cdc.cli.range_progress import RangeProgress
from cdc.cli.screen import coloured, say_error, stdout_is_gone
from cdc.cli.tail_lines import Shown, lines, of_message, of_row, of_table
from cdc.model.change import Message, Received
from cdc.model.checkpoint import Progress
from cdc.model.config import ConnectorConfig
from cdc.model.errors import CdcError, UsageError
from cdc.model.file_url import is_file_urls
from cdc.observe.logs import fields, get_logger
from cdc.processes import tail as processes
from cdc.processes.look import RowSeen, TableSeen, look
from cdc.processes.row_choice import Choice, choice
from cdc.wiring.connector_file import load
from cdc.wiring.looking_back import Range, as_onlooker, kept_back, opened
from cdc.wiring.parts import Parts

log = get_logger(__name__)

_BEGINNING = "beginning"
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Asked:
    """The options. `human`: for people; `values`: with what the columns had."""

    start: str | None
    end: str | None
    limit: int | None
    markers: bool
    choice: Choice
    human: bool
    values: bool
    query: bool
    reverse_sql: bool
    generated: tuple[str, ...]

    @property
    def of_queue(self) -> bool:
        return self.start is None or self.start == _BEGINNING


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
@click.option(
    "--table", "tables", multiple=True, metavar="DB.TABLE", help="these tables only, with * and ?; again for more"
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="""this row only: the key's value; of several columns as JSON, '{"id": 5, "place": "a"}' or '[5, "a"]' in key order; """
    "again for more. A row whose key changed is found by the old one and by the new one",
)
@click.option("--values", is_flag=True, help="on a terminal: what the columns had, also without --key")
@click.option("--query", is_flag=True, help="with the statement, where the binlog has it")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, as they come in a pipe, on a terminal too")
@click.option(
    "--reverse-sql",
    is_flag=True,
    help="instead of events the statements that undo them, newest first, in the source's own SQL; without --to up to now",
)
@click.option(
    "--generated",
    multiple=True,
    metavar="DB.TABLE.COLUMN",
    help="with --reverse-sql, of files alone: columns that the server computes, with * and ? (a server is asked)",
)
def tail(  # noqa: PLR0917 — click gives them by name
    file: str,
    start: str | None,
    end: str | None,
    limit: int | None,
    markers: bool,
    tables: tuple[str, ...],
    keys: tuple[str, ...],
    values: bool,
    query: bool,
    as_json: bool,
    reverse_sql: bool,
    generated: tuple[str, ...],
) -> int:
    """Change events as JSON lines, on a terminal for people: from the queue (all lanes, as they come), or from the binlog where a
    position is given.

    It only looks on: no checkpoint, lease or acknowledgement moves. Files are read to their end, and no server is asked.
    """
    config = load(file)
    human = sys.stdout.isatty() and not as_json
    asked = _Asked(
        start, end, limit, markers, choice(tables, keys), human, values or bool(keys), query, reverse_sql, generated
    )
    _refuse_impossible(asked, config, as_json)
    if reverse_sql:
        return _reverse(config, asked)
    if asked.of_queue:
        with Parts(_of_many_processes(config)) as parts:
            written = _write(_texts(_from_queue(parts, asked), asked), limit)
    else:
        with opened(as_onlooker(config, **({"include_query": True} if query else {})), start or "", end) as looked_at:
            written = _write(_from_binlog(looked_at, asked), limit)
    if not written and not asked.choice.is_all:
        log.info("no change of what was chosen was seen", extra=fields("tail.nothing"))
    return 0


def _refuse_impossible(asked: _Asked, config: ConnectorConfig, as_json: bool) -> None:
    if asked.of_queue and (asked.query or asked.reverse_sql):
        raise UsageError(
            "--query and --reverse-sql read the binlog",
            hint="give --from a position: earliest, file:offset, a GTID set, an ISO time, or binlog files",
        )
    if asked.reverse_sql and (asked.limit or asked.markers or as_json):
        raise UsageError(
            "--reverse-sql undoes whole transactions, as SQL: --limit, --markers and --json do not go with it",
            hint="narrow the range with --from and --to, or the rows with --table and --key",
        )
    if asked.generated and not asked.reverse_sql:
        raise UsageError("--generated is for --reverse-sql", hint="leave it out")
    if asked.query and (config.source.mask_columns or config.source.exclude_columns):
        raise UsageError(
            "a statement's text holds the values that mask_columns and exclude_columns keep back",
            hint="leave --query out, or use a connector file that may show these columns",
        )


def _of_many_processes(config: ConnectorConfig) -> ConnectorConfig:
    if config.queue.url.scheme == "memory":
        raise UsageError(
            "a memory:// queue lives inside the process that runs the connector",
            hint="read the binlog instead: cdc tail FILE --from earliest",
        )
    return config


def _from_queue(parts: Parts, asked: _Asked) -> Iterator[Received | None]:
    to = None if asked.end is None else parts.source.resolve(asked.end).position
    start = processes.QueueStart({})
    if asked.start is None:
        start = processes.from_now_on(parts.queue.checkpoint(), processes.furthest(_progress(parts)))
    return processes.from_queue(parts.queue, start, to=to, markers=asked.markers, choice=asked.choice)


def _progress(parts: Parts) -> list[Mapping[str, Progress]]:
    """A target that is down only means more to skip."""
    found = []
    for sink in parts.config.all_sinks:
        try:
            found.append(parts.target(sink).progress())
        except CdcError as error:
            log.debug("a target does not answer", extra=fields("tail.target", sink=sink, error=str(error)))
    return found


def _from_binlog(looked_at: Range, asked: _Asked) -> Iterator[bytes | None]:
    progress = RangeProgress(looked_at, "reading")
    if not asked.human:
        if sys.stdout.isatty():
            return _texts(_messages(looked_at, looked_at.items(), asked), asked)
        return _texts(_messages(looked_at, progress.items(), asked), asked)
    return _seen(progress, asked)


def _messages(looked_at: Range, items: Iterable[Item | None], asked: _Asked) -> Iterator[Message | None]:
    return processes.from_binlog(looked_at.config, looked_at.begin, items, asked.choice)


def _seen(progress: RangeProgress, asked: _Asked) -> Iterator[bytes | None]:
    for seen in look(progress.items(), asked.choice):
        if isinstance(seen, RowSeen | TableSeen):
            with progress.hidden():
                yield _for_people(of_row(seen) if isinstance(seen, RowSeen) else of_table(seen), asked)
        else:
            yield None


def _texts(messages: Iterable[Message | Received | None], asked: _Asked) -> Iterator[bytes | None]:
    for message in messages:
        if message is None or not asked.human:
            yield None if message is None else message.value
        else:
            yield _for_people(of_message(message.key, message.value), asked)


def _for_people(shown: Shown, asked: _Asked) -> bytes:
    return lines(shown, values=asked.values, coloured=coloured(sys.stdout)).encode()


def _write(texts: Iterator[bytes | None], limit: int | None) -> int:
    """How many were written."""
    out = sys.stdout.buffer
    written, looked = 0, 0.0
    for text in texts:
        if text is None:
            if time.monotonic() - looked < _LOOK_SECONDS:
                continue
            looked = time.monotonic()
            out.flush()
            if stdout_is_gone():
                return written
            continue
        out.write(text + b"\n")
        written += 1
        if written == limit:
            break
    out.flush()
    return written


def _reverse(config: ConnectorConfig, asked: _Asked) -> int:
    """Exit status 1 where something in the range cannot be undone, or not exactly."""
    start = asked.start or ""
    end = asked.end or (None if is_file_urls(start) else "latest")
    # Values that are kept back are read, so that a table that has any is known for sure, and refused.
    shown = as_onlooker(config, exclude_columns=(), mask_columns=(), include_query=asked.query)
    with opened(shown, start, end, ask_tables=True) as looked_at, TemporaryFile() as spool:
        reversal = looked_at.reversal(spool, kept_back(config), asked.generated)
        for seen in look(RangeProgress(looked_at, "reading").items(), asked.choice):
            reversal.take(seen)
        title = [
            f"Undoes {_what(asked.choice)}, newest first,",
            f"from {looked_at.begin.position} to {looked_at.to or 'the end of the files'}.",
            f"{'MariaDB' if looked_at.flavor == 'mariadb' else 'MySQL'}, connector {config.name}.",
        ]
        for piece in reversal.lines(title):
            sys.stdout.buffer.write(piece.encode())
        sys.stdout.buffer.flush()
    if not reversal.refused:
        return 0
    say_error(
        f"{reversal.refused} changes in the range cannot be undone, or not exactly",
        "look for NOT UNDONE and NOT EXACT in the script: what stands there is left to you",
    )
    return 1


def _what(chosen: Choice) -> str:
    rows = f"{len(chosen.keys)} chosen rows of " if chosen.keys else ""
    return f"what was done to {rows}{', '.join(chosen.tables) or 'all captured tables'}"
