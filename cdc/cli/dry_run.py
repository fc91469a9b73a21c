"""`cdc replay FILE --from A --to B --dry-run`: what a range touched, counted, as a table or as JSON."""

from datetime import UTC, datetime
from typing import Any

from cdc.cli.range_progress import RangeProgress
from cdc.cli.screen import print_json, show, table
from cdc.model.config import ConnectorConfig
from cdc.observe.logs import escape
from cdc.processes.row_choice import Choice
from cdc.processes.touched import Committed, TableTouched, Touched
from cdc.wiring.looking_back import as_onlooker, opened

_OPS = {"c": "inserts", "u": "updates", "d": "deletes"}


def dry_run(config: ConnectorConfig, start: str, end: str | None, choice: Choice, *, as_json: bool) -> None:
    """`start`, `end` as for cdc.wiring.looking_back.opened. Changes nothing."""
    # What of a row leaves the source does not matter here; its key must be the true one, to be the same row's.
    with (
        opened(as_onlooker(config, mask_columns=()), start, end) as looked_at,
        Touched(looked_at.begin, looked_at.flavor, choice) as touched,
    ):
        for item in RangeProgress(looked_at, "counting").items():
            touched.take(item)
        size = looked_at.bytes_up_to(touched.end.position)
        if as_json:
            print_json(_document(touched, size))
        else:
            _print(touched, size)


def _document(touched: Touched, size: int) -> dict[str, Any]:
    return {
        "from": str(touched.begin.position),
        "to": str(touched.end.position),
        "bytes": size,
        "gtids": touched.gtids(),
        **_times(touched.committed),
        "tables": [
            {
                "db": one.db,
                "table": one.table,
                "rows": touched.key_count(one),
                **{word: one.ops[op] for op, word in _OPS.items()},
                "truncates": one.truncated,
                "all_rows": one.whole or None,
                **_times(one.committed),
            }
            for one in touched.tables
        ],
        "schema_changes": [
            {"kind": change.kind, "db": change.db, "table": change.table, "statement": change.ddl}
            for change in touched.schema_changes
        ],
    }


def _times(committed: Committed) -> dict[str, Any]:
    some = committed.transactions > 0
    return {
        "transactions": committed.transactions,
        "first": _time(committed.first_us) if some else None,
        "last": _time(committed.last_us) if some else None,
    }


def _print(touched: Touched, size: int) -> None:
    headings = ["table", "rows", *_OPS.values(), "transactions", "first", "last", ""]
    if touched.tables:
        show(table(headings, [_row(touched, one) for one in touched.tables]))
    committed = touched.committed
    lines = [
        f"from {touched.begin.position} to {touched.end.position}: {size:,} bytes, {committed.transactions:,} transactions "
        "with changes of these tables"
    ]
    if gtids := touched.gtids():
        lines.append(f"GTIDs of the range: {gtids}")
    lines += [f"{change.kind.upper()} {change.name}: {change.ddl}" for change in touched.schema_changes]
    lines += [f"all rows of {one.name} count: {one.whole}" for one in touched.tables if one.whole]
    from rich.text import Text  # noqa: PLC0415 - where text is drawn

    show(*(Text(escape(line)) for line in lines))


def _row(touched: Touched, one: TableTouched) -> list[str]:
    committed = one.committed
    return [
        one.name,
        "all" if one.whole else f"{touched.key_count(one):,}",
        *(f"{one.ops[op]:,}" for op in _OPS),
        f"{committed.transactions:,}",
        _time(committed.first_us),
        _time(committed.last_us),
        f"TRUNCATE {one.truncated}" if one.truncated else "",
    ]


def _time(microseconds: int) -> str:
    return (
        datetime.fromtimestamp(microseconds / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
