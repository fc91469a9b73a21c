"""What commands write: people's text on a terminal or in a pipe, one JSON document for machines, errors on stderr."""

import os
import select
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import orjson

from cdc.model.errors import CdcError, ConnectorFileError
from cdc.observe.logs import Format, Level, escape, redact

if TYPE_CHECKING:  # rich is imported by who draws with it: `cdc --help` need not wait.
    from rich.console import Console, RenderableType
    from rich.table import Table

_PIPE_COLUMNS = 10_000  # a line in a pipe is never broken: grep and awk read it


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`--log-level` and `--log-format`; commands find it by `ctx.find_object(LogOptions)`."""

    level: Level = "info"
    format: Format = "plain"


def coloured(stream: Any) -> bool:
    """https://no-color.org"""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def stdout_is_gone() -> bool:
    """Whether stdout is a pipe whose reader has closed it."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):  # no file, as in tests, or closed
        return False
    poll = select.poll()
    poll.register(number, 0)  # POLLERR comes unasked
    return any(event & select.POLLERR for _, event in poll.poll(0))


def console() -> "Console":
    """stdout for people. Markup is off: names and errors come from elsewhere."""
    from rich.console import Console  # noqa: PLC0415

    width = None if sys.stdout.isatty() else _PIPE_COLUMNS
    return Console(markup=False, highlight=False, emoji=False, width=width, no_color=not coloured(sys.stdout))


def show(*drawn: "RenderableType") -> None:
    """Prints to stdout; in a pipe without the blanks with which rich fills lines."""
    screen = console()
    if screen.is_terminal:
        screen.print(*drawn, sep="\n")
        return
    with screen.capture() as captured:
        screen.print(*drawn, sep="\n")
    click.echo("\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n")))


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> "Table":
    """Columns without lines around them; a cell is text, or a rich Text."""
    from rich.table import Table  # noqa: PLC0415

    drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_header=any(headings))
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for row in rows:
        drawn.add_row(*(escape(cell) if isinstance(cell, str) else cell for cell in row))
    return drawn


def print_json(document: Any) -> None:
    """The one document on stdout of a command with `--json`."""
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())


def print_error(error: CdcError) -> None:
    """What happened and what to do next, on stderr, without secrets and control characters."""
    said = error.message
    if isinstance(error, ConnectorFileError):
        said = f"{place(error)} {error.message}"
    say_error(said, error.hint)


def place(error: ConnectorFileError) -> str:
    """`shop.yaml:9: queue.lanes:`"""
    file = error.file if error.line is None else f"{error.file}:{error.line}"
    return f"{file}: {error.key}:" if error.key else f"{file}:"


def say_error(said: str, hint: str = "") -> None:
    head = click.style("error:", fg="red", bold=True)
    lines = f"{head} {escape(redact(said))}" + (f"\n  {escape(redact(hint))}" if hint else "")
    click.echo(lines, err=True, color=coloured(sys.stderr))
