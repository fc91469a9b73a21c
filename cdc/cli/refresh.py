"""`cdc replay FILE --from A --to B`: the rows that a range touched, brought to their present state."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import click

from cdc.binlog.rows_port import Key
from cdc.cli.range_progress import RangeProgress
from cdc.cli.screen import print_json
from cdc.model.config import ConnectorConfig
from cdc.processes.copy_client import Sending, ask, watched
from cdc.processes.copy_requests import CopyRequest
from cdc.processes.row_choice import Choice
from cdc.processes.touched import Touched
from cdc.wiring import build
from cdc.wiring.looking_back import as_onlooker, opened
from cdc.wiring.parts import Parts

if TYPE_CHECKING:
    from rich.progress import Progress

_LOOK_SECONDS = 0.2


def refresh(config: ConnectorConfig, start: str, end: str | None, choice: Choice, *, as_json: bool) -> None:
    """`start`, `end` as for cdc.wiring.looking_back.opened. Returns when all is applied at every sink."""
    # The key must be the true one, to be the same row's.
    with (
        opened(as_onlooker(config, mask_columns=()), start, end) as looked_at,
        Touched(looked_at.begin, looked_at.flavor, choice) as touched,
    ):
        for item in RangeProgress(looked_at, "reading").items():
            touched.take(item)
        with Parts(config) as parts:
            document = _sent(parts, touched)
    if as_json:
        print_json(document)
        return
    for one in document["tables"]:
        what = "all rows" if one["all_rows"] else f"{one['keys']:,} keys"
        click.echo(f"{one['table']}: {what}")
    click.echo(
        f"from {document['from']} to {document['to']}: {document['rows']:,} rows are as at the source now, "
        f"{document['deleted']:,} are not there any more; what changed meanwhile came with the stream. In step"
    )


def _sent(parts: Parts, touched: Touched) -> dict[str, Any]:
    sending = Sending(parts)
    tables: list[dict[str, Any]] = []
    with _shown(sum(touched.key_count(table) for table in touched.tables)) as shown:

        def send(db: str, table: str, keys: Iterable[Key]) -> None:
            before = sending.keys
            sending.send(f"{db}.{table}", keys, told=lambda: shown(sending.keys))
            tables.append({"table": f"{db}.{table}", "keys": sending.keys - before, "all_rows": None})

        whole = build.refresh(parts, touched, send)
        names = tuple(table.name for table in whole)
        request = ask(parts, CopyRequest("copy", names)) if names else ""
        if names:
            tables += [
                {"table": table.name, "keys": None, "all_rows": table.whole or "its key changed"} for table in whole
            ]
        while not sending.applied() or (names and not watched(parts, request, names).in_step):
            time.sleep(_LOOK_SECONDS)
    return {
        "from": str(touched.begin.position),
        "to": str(touched.end.position),
        "rows": sending.rows,
        "deleted": sending.deleted,
        "tables": tables,
    }


class _Shown(Protocol):
    def __call__(self, keys: int, /) -> None: ...


@contextmanager
def _shown(total: int) -> Iterator[_Shown]:
    """A bar on a terminal, on stderr; elsewhere nothing until the end."""
    if not sys.stderr.isatty():
        yield lambda _keys: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        yield _bar(bar, total)


def _bar(bar: "Progress", total: int) -> _Shown:
    task = bar.add_task("keys", total=total)
    return lambda keys: bar.update(task, completed=keys)
