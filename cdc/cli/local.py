"""`cdc local up`, `down` and `status`: private servers for a try-out."""

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cdc.local import KINDS, start_stack, state
from cdc.local.cache import locked
from cdc.local.progress import shown
from cdc.local.start import WAYS
from cdc.model.errors import UsageError

_DEFAULT_KINDS = "mysql,redis,postgresql"
_FACTS = ("kind", "version", "url", "how", "pid")

_directory = click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".lockstep/local"),
    show_default=True,
    help="Where the servers keep their data, and this command what it started.",
)
_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, and nothing else.")


def _url_options(command: Callable[..., None]) -> Callable[..., None]:
    for kind in reversed(KINDS):
        command = click.option(f"--{kind}-url", help=f"Use this server; also CDC_LOCAL_{kind.upper()}_URL.")(command)
    return command


@click.group()
def local() -> None:
    """Private servers for a try-out, without root and without Docker where the machine allows it."""


@local.command()
@click.option("--with", "kinds", default=_DEFAULT_KINDS, show_default=True, help=f"Of {', '.join(KINDS)}.")
@click.option("--by", "ways", default=",".join(WAYS), show_default=True, help="Ways to try, in this order.")
@_url_options
@_directory
@_json
def up(kinds: str, ways: str, directory: Path, *, as_json: bool, **urls: str | None) -> None:
    """Start servers and leave them running; those that run already are answered with."""
    wanted = _listed(kinds, KINDS, "--with")
    given = {name.removesuffix("_url"): url for name, url in urls.items() if url}
    directory = directory.absolute()
    with locked(directory, "up"), shown() as progress, _terminated_like_interrupted():
        recorded = state.load(directory)
        running = [one for one in recorded if one.alive()]
        for ended in (one for one in recorded if one not in running):
            state.clear(ended)
        missing = [kind for kind in wanted if kind not in {one.asked for one in running}]
        stack = start_stack(
            missing,
            directory,
            urls=given,
            progress=progress,
            ways=_listed(ways, WAYS, "--by"),
            detached=True,
        )
        state.save(directory, [*running, *(state.record(kind, stack[kind]) for kind in missing)])
    records = [one for one in state.load(directory) if one.asked in wanted]
    _tell([_facts(one) for one in records], as_json, _line)


@local.command()
@_directory
@_json
def down(directory: Path, *, as_json: bool) -> None:
    """Stop what `up` started, and remove its data."""
    stopped: list[state.Record] = []
    if directory.is_dir():
        with locked(directory, "up"):
            stopped = state.take_down(directory)
    _tell([_facts(one) for one in stopped], as_json, lambda fact: f"{fact['kind']} {fact['version']} stopped")


@local.command()
@_directory
@_json
def status(directory: Path, *, as_json: bool) -> None:
    """Show what `up` started, and whether it still runs."""
    facts = [{**_facts(one), "alive": one.alive()} for one in state.load(directory)]
    _tell(
        facts, as_json, lambda fact: f"{_line(fact)}{'' if fact['alive'] else chr(10) + '    it does not run any more'}"
    )


def _facts(one: state.Record) -> dict[str, Any]:
    return {name: getattr(one, name) for name in _FACTS}


def _line(fact: dict[str, Any]) -> str:
    return f"{fact['kind']} {fact['version']}  {fact['url']}\n    {fact['how']}"


def _tell(facts: Sequence[dict[str, Any]], as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
    if as_json:
        click.echo(json.dumps({"servers": list(facts)}))
        return
    for fact in facts:
        click.echo(line(fact))
    if not facts:
        click.echo("No server of `cdc local up` is running.")


def _listed(text: str, known: Sequence[str], option: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UsageError(f"{option}: not known: {', '.join(unknown) or 'nothing'}", hint=f"of {', '.join(known)}")
    return list(dict.fromkeys(names))


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM takes down what was started so far, as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
