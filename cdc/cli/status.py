"""`cdc status`: where each connector stands, once or again and again."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdc.cli.screen import console, print_json, show, table
from cdc.model.errors import UsageError
from cdc.observe.logs import escape, redact
from cdc.processes.status import ConnectorStatus, CopyStatus, SinkStatus, VerifyStatus, look
from cdc.wiring.connector_file import load_all
from cdc.wiring.parts import Parts

if TYPE_CHECKING:
    from rich.console import RenderableType

_FOLDER = Path("connectors")
_EVERY_SECONDS = 1.0


@click.command()
@click.argument("files", metavar="[FILE…]", nargs=-1)
@click.option("--watch", is_flag=True, help="again every second, until Ctrl-C")
@click.option("--json", "as_json", is_flag=True, help="one JSON document on stdout")
def status(files: tuple[str, ...], watch: bool, as_json: bool) -> None:
    """Checkpoint, lag in bytes and seconds, lanes with owner, token and watermark, dead letters.

    Without FILE: all of connectors/*.yaml. Parts that do not answer are named; the others are shown all the same.
    """
    if watch and as_json:
        raise click.UsageError("--watch and --json do not go together: --json is one document")
    with _opened(files or _all_files()) as connectors:
        if watch:
            _watch(connectors)
            return
        found = [look(parts) for parts in connectors]
    if as_json:
        print_json({"connectors": [_document(one) for one in found]})
    else:
        show(_drawn(found))


def _all_files() -> list[str]:
    found = sorted(str(file) for file in _FOLDER.glob("*.yaml"))
    if not found:
        raise UsageError("there is no connectors/*.yaml here", hint="name a connector file: cdc status FILE")
    return found


@contextmanager
def _opened(files: Sequence[str]) -> Iterator[list[Parts]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Parts(config)) for config in load_all(files)]


def _watch(connectors: Sequence[Parts]) -> None:
    from rich.live import Live  # noqa: PLC0415

    screen = console()
    with Live(console=screen, screen=screen.is_terminal, auto_refresh=False) as live:
        while True:
            live.update(_drawn([look(parts) for parts in connectors]), refresh=True)
            time.sleep(_EVERY_SECONDS)


def _document(one: ConnectorStatus) -> dict[str, object]:
    document = asdict(one)
    for problem in document["problems"]:
        problem["text"] = redact(problem["text"])
        problem["hint"] = redact(problem["hint"])
    for sink, drawn in zip(one.sinks, document["sinks"], strict=True):
        drawn["behind"] = sink.behind
    return document


def _drawn(found: Sequence[ConnectorStatus]) -> "RenderableType":
    from rich.console import Group  # noqa: PLC0415

    return Group(*(part for one in found for part in _connector(one)))


def _connector(one: ConnectorStatus) -> "Iterator[RenderableType]":
    from rich.text import Text  # noqa: PLC0415

    yield Text.assemble((one.connector, "bold"), "  ", escape(one.source))
    yield table(("", ""), list(_facts(one)))
    if one.copies:
        yield table(("copying", "rows", "of about", ""), [_copy(copy) for copy in one.copies])
    for sink in one.sinks:
        yield Text.assemble(("sink ", ""), (sink.name, "bold"), "  ", escape(sink.target), "  ", _dead(sink))
        if sink.lanes:
            yield table(("lane", "owner", "token", "watermark", "count", "behind", "lag"), _lanes(sink))
        else:
            yield Text("no lane yet")
    for problem in one.problems:
        yield Text(f"{problem.part}: {escape(redact(problem.text))} → {escape(redact(problem.hint))}", style="red")
    yield Text("")


def _copy(copy: CopyStatus) -> tuple[str, ...]:
    share = f"{min(100 * copy.sent // copy.estimated, 100)} %" if copy.estimated else "?"
    waits = f"{share}, waits: {escape(redact(copy.waits))}" if copy.waits else share
    return copy.table, str(copy.sent), str(copy.estimated), "paused" if copy.paused else waits


def _facts(one: ConnectorStatus) -> Iterator[tuple[str, str]]:
    checkpoint = one.checkpoint
    if checkpoint is None:
        yield "checkpoint", "none: nothing was read so far"
    else:
        gtids = f"  {_short(checkpoint.gtid_set)}" if checkpoint.gtid_set else ""
        yield (
            "checkpoint",
            f"{checkpoint.position}{gtids}  generation {checkpoint.generation}  token {checkpoint.token}",
        )
        yield "lag", f"{_bytes(one.lag_bytes)} to read, {_seconds(one.lag_seconds)} to the target"
    if one.purged_in_seconds is not None:
        yield "purged in", _seconds(one.purged_in_seconds)
    reader = one.reader
    yield "reader", f"{reader.owner}  token {reader.token}" if reader.owner else "nobody reads"
    if one.verify is not None:
        yield "verify", escape(redact("; ".join(_verify(one.verify))))


def _verify(one: VerifyStatus) -> Iterator[str]:
    last = one.last
    if last is None:
        yield "unknown"
        return
    if last.ended:
        unequal = sum(count for counts in last.found.values() for kind, count in counts.items() if kind != "unsettled")
        words = f"different: {unequal} rows" if last.result == "different" else last.result
        ago = _seconds(max(0.0, time.time() - last.ended))
        yield f"{words} of {last.rows}, {ago} ago, in {_seconds(last.seconds)}"
    else:
        yield "not compared yet"
    if last.waits:
        yield f"waits for {last.waits}"
    if last.problem:
        yield last.problem
    yield one.owner or "nobody compares"


def _lanes(sink: SinkStatus) -> list[tuple[str, ...]]:
    return [
        (
            lane.lane,
            lane.owner or "-",
            str(lane.token) if lane.token else "-",
            ":".join(map(str, lane.watermark)) if lane.watermark else "?",
            str(lane.count),
            "?" if lane.behind is None else str(lane.behind),
            _seconds(lane.lag_seconds),
        )
        for lane in sink.lanes
    ]


def _dead(sink: SinkStatus) -> str:
    if sink.dead_letters is None:
        return "dead letters unknown"
    return f"{sink.dead_letters} dead letters" if sink.dead_letters else "no dead letters"


def _short(gtid_set: str) -> str:
    one_line = gtid_set.replace("\n", "")
    return one_line if len(one_line) <= 60 else f"{one_line[:57]}…"


def _bytes(count: int | None) -> str:
    if count is None:
        return "?"
    size = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} d"
