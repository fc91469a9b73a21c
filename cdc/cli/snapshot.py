"""`cdc snapshot FILE`: copies tables while the stream runs on."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from cdc.cli.screen import print_json
from cdc.model.errors import UsageError
from cdc.processes.copy_client import CopyState, ask, state, watched
from cdc.processes.copy_requests import CopyRequest, Kind
from cdc.wiring.connector_file import load
from cdc.wiring.parts import Parts

if TYPE_CHECKING:
    from rich.progress import Progress

_LOOK_SECONDS = 0.5


@click.command()
@click.argument("file")
@click.option("--table", "tables", multiple=True, metavar="DB.TABLE", help="only this one; may be repeated")
@click.option("--where", default="", metavar="SQL", help="only rows for which this condition of the source's SQL holds")
@click.option("--pause", "verb", flag_value="pause", help="reads no more until --resume")
@click.option("--resume", "verb", flag_value="resume")
@click.option("--cancel", "verb", flag_value="cancel", help="gives up what is not copied yet")
@click.option("--no-wait", is_flag=True, help="returns when the reader has taken it up")
@click.option("--json", "as_json", is_flag=True, help="one JSON document on stdout")
def snapshot(file: str, tables: tuple[str, ...], where: str, verb: str | None, no_wait: bool, as_json: bool) -> None:
    """Copies the rows of tables as they are into all sinks, while the stream goes on.

    A running reader does it (or the next one that is started). Rows that change meanwhile are not set back. It goes on where it
    was after a crash of any process.
    """
    config = load(file)
    if config.queue.url.scheme == "memory":
        raise UsageError(
            "a queue in memory ends with its process", hint="set source.start to snapshot, and use `cdc run`"
        )
    if verb is not None and where:
        raise click.UsageError(f"--where and --{verb} do not go together")
    with Parts(config) as parts:
        names = tables or tuple(schema.name for schema in parts.source.tables())
        kind: Kind = "copy" if verb is None else _KINDS[verb]
        request = ask(parts, CopyRequest(kind, names, where))
        done = state(parts, names)
        if verb is None and not no_wait:
            done = _watch(parts, request, names)
    if as_json:
        print_json({"tables": list(names), "asked": kind, "in_step": done.in_step, "tables_left": done.tables_left})
    elif verb is not None or no_wait:
        click.echo(f"the reader has taken it up: {kind}, {len(names)} tables")
    else:
        click.echo(f"copied: {len(names)} tables, in step")


_KINDS: dict[str, Kind] = {"pause": "pause", "resume": "resume", "cancel": "cancel"}


def _watch(parts: Parts, request: str, names: tuple[str, ...]) -> CopyState:
    with _shown() as shown:
        while True:
            now = watched(parts, request, names)
            shown.show(now)
            if now.in_step:
                return now
            time.sleep(_LOOK_SECONDS)


class _Shown(Protocol):
    def show(self, now: CopyState) -> None: ...


class _Lines:
    """A line whenever another tenth is done."""

    def __init__(self) -> None:
        self._told = -1

    def show(self, now: CopyState) -> None:
        tenth = 10 * now.sent // max(now.estimated, 1)
        if tenth != self._told:
            self._told = tenth
            click.echo(f"{now.sent} of about {now.estimated} rows sent, {now.tables_left} tables left", err=True)


class _Bar:
    def __init__(self, bar: "Progress") -> None:
        self._bar = bar
        self._task = bar.add_task("rows")

    def show(self, now: CopyState) -> None:
        what = "paused" if now.paused else "rows" if now.tables_left else "applying"
        self._bar.update(self._task, completed=now.sent, total=max(now.estimated, now.sent) or None, description=what)


@contextmanager
def _shown() -> Iterator[_Shown]:
    """A bar on a terminal, lines elsewhere; on stderr, so that stdout stays the answer's."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        yield _Bar(bar)
