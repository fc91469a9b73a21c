"""`cdc dlq`: the dead letters of a connector's sinks."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import click
import orjson

from cdc.cli.screen import print_json, show, table
from cdc.model.errors import UsageError
from cdc.observe.logs import escape, redact
from cdc.processes import dead_letters
from cdc.processes.dead_letters import Settled
from cdc.target.port import StoredLetter, Target
from cdc.wiring.connector_file import load
from cdc.wiring.parts import Parts

_FILE = click.argument("file", metavar="FILE")
_SINK = click.option("--sink", metavar="S", help="only this sink")
_IDS = click.option("--id", "ids", type=int, multiple=True, metavar="N", help="of this letter's row; may be repeated")
_ALL = click.option("--all", "everything", is_flag=True, help="of all rows")
_JSON = click.option("--json", "as_json", is_flag=True, help="one JSON document on stdout")


class _Shown(NamedTuple):
    sink: str
    letter: StoredLetter


@click.group()
def dlq() -> None:
    """The dead letters: change events that a target refused, and those of the same row that wait behind them."""


@dlq.command("list")
@_FILE
@_SINK
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="of each sink, oldest first")
@_JSON
def list_(file: str, sink: str | None, limit: int, as_json: bool) -> None:
    """Which letters there are, oldest first, and why."""
    with Parts(load(file)) as parts:
        shown, total = [], 0
        for name, target in _targets(parts, sink):
            total += target.dead_letter_count()
            letters = (letter for page in dead_letters.pages(target) for letter in page)
            shown += [_Shown(name, letter) for letter in islice(letters, limit)]
    if as_json:
        print_json({"count": total, "dead_letters": [_summary(one) for one in shown]})
        return
    if shown:
        rows = [
            (
                str(of.letter.id),
                of.sink,
                f"{of.letter.db}.{of.letter.table}",
                of.letter.key,
                of.letter.parked_at,
                redact(of.letter.reason),
            )
            for of in shown
        ]
        show(table(("id", "sink", "table", "key", "parked", "reason"), rows))
    more = f", {len(shown)} shown" if total > len(shown) else ""
    click.echo(f"{_letters(total)}{more}")


@dlq.command("show")
@_FILE
@_SINK
@_IDS
@_JSON
def show_(file: str, sink: str | None, ids: tuple[int, ...], as_json: bool) -> None:
    """The whole change events of one or several letters, with their values."""
    if not ids:
        raise click.UsageError("name the letters: --id N")
    with Parts(load(file)) as parts:
        found = [
            _Shown(name, letter)
            for name, target in _targets(parts, sink)
            for page in dead_letters.pages(target)
            for letter in page
            if letter.id in ids
        ]
    _all_found(ids, {one.letter.id for one in found})
    documents = [{**_summary(one), "event": _event(one.letter)} for one in found]
    if as_json:
        print_json({"dead_letters": documents})
        return
    for document in documents:
        click.echo(escape_lines(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()))


@dlq.command()
@_FILE
@_SINK
@_IDS
@_ALL
@_JSON
@click.pass_context
def retry(
    ctx: click.Context, file: str, sink: str | None, ids: tuple[int, ...], everything: bool, as_json: bool
) -> None:
    """Applies what waits: of each row the net change of all its letters, so its present state.

    A letter's whole row is retried with it. Exit status 1 where the target refuses a row again; that row's letters stay.
    """
    with Parts(load(file)) as parts:
        queue = parts.queue
        done = _settle(parts, sink, _wanted(ids, everything), lambda t, letters: dead_letters.retry(t, queue, letters))
    _report(done, "applied", as_json)
    ctx.exit(int(any(settled.refused for settled in done.values())))


@dlq.command()
@_FILE
@_SINK
@_IDS
@_ALL
@_JSON
def drop(file: str, sink: str | None, ids: tuple[int, ...], everything: bool, as_json: bool) -> None:
    """Gives letters up, and with each all others of its row; later changes of the row are then applied again."""
    with Parts(load(file)) as parts:
        done = _settle(parts, sink, _wanted(ids, everything), dead_letters.drop)
    _report(done, "dropped", as_json)


def _wanted(ids: tuple[int, ...], everything: bool) -> tuple[int, ...] | None:
    if bool(ids) == everything:
        raise click.UsageError("say which: --id N (may be repeated), or --all")
    return None if everything else ids


def _targets(parts: Parts, sink: str | None) -> Iterator[tuple[str, Target]]:
    sinks = parts.config.all_sinks
    if sink is not None and sink not in sinks:
        raise UsageError(f"there is no sink {sink}", hint=f"there are {', '.join(sinks)}")
    for name in sinks if sink is None else [sink]:
        yield name, parts.target(name)


def _settle(
    parts: Parts,
    sink: str | None,
    ids: tuple[int, ...] | None,
    settle: Callable[[Target, list[StoredLetter]], Settled],
) -> dict[str, Settled]:
    if ids is not None and sink is None and len(parts.config.all_sinks) > 1:
        raise UsageError("--id without --sink: each sink counts its own letters", hint="add --sink S")
    done = {}
    for name, target in _targets(parts, sink):
        letters = dead_letters.chosen(target, ids)
        _all_found(ids or (), {letter.id for letter in letters})
        done[name] = settle(target, letters)
    return done


def _all_found(ids: tuple[int, ...], found: set[int]) -> None:
    if missing := [str(number) for number in ids if number not in found]:
        raise UsageError(
            f"there is no dead letter {', '.join(missing)}", hint="cdc dlq list FILE shows those there are"
        )


def _report(done: dict[str, Settled], verb: str, as_json: bool) -> None:
    if as_json:
        print_json({"sinks": {sink: _settled(settled, verb) for sink, settled in done.items()}})
        return
    for sink, settled in done.items():
        click.echo(f"{sink}: {_letters(settled.letters)} of {settled.rows} row{'s' * (settled.rows != 1)} {verb}")
        for row, why in settled.refused.items():
            click.echo(escape(redact(f"  {row.db}.{row.table} {row.shown} is refused again: {why}")))


def _settled(settled: Settled, verb: str) -> dict[str, Any]:
    refused = [
        {"table": f"{row.db}.{row.table}", "key": row.shown, "reason": redact(why)}
        for row, why in settled.refused.items()
    ]
    return {verb: settled.letters, "rows": settled.rows, "refused": refused}


def _letters(count: int) -> str:
    return f"{count} dead letter{'s' * (count != 1)}"


def _summary(one: _Shown) -> dict[str, Any]:
    letter = one.letter
    return {
        "id": letter.id,
        "sink": one.sink,
        "lane": letter.lane,
        "table": f"{letter.db}.{letter.table}",
        "key": letter.key,
        "seq": letter.seq,
        "parked_at": letter.parked_at,
        "reason": redact(letter.reason),
    }


def _event(letter: StoredLetter) -> Any:
    try:
        return orjson.loads(letter.value)
    except orjson.JSONDecodeError:
        return letter.value.decode("utf-8", "backslashreplace")


def escape_lines(text: str) -> str:
    """Harmless to a terminal, line by line: row values come from elsewhere."""
    return "\n".join(map(escape, text.split("\n")))
