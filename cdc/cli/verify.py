"""`cdc verify`: whether both sides hold the same rows."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import click

from cdc.cli.screen import print_json, show, table
from cdc.cli.serve import Service, service
from cdc.cli.verify_progress import VerifyProgress
from cdc.model.change import Row
from cdc.model.config import ConnectorConfig
from cdc.model.errors import UsageError
from cdc.observe.logs import escape, redact
from cdc.processes.copy_client import Sending
from cdc.processes.verify import Options
from cdc.processes.verify_report import Difference, TableReport, all_equal
from cdc.wiring import build
from cdc.wiring.connector_file import load
from cdc.wiring.parts import Parts

_LONGEST_SHOWN = 80
_LOOK_SECONDS = 0.2


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--table", "tables", metavar="T", multiple=True, help="only these: patterns of db.table; may be repeated")
@click.option("--sink", metavar="S", help="only this sink")
@click.option("--values", is_flag=True, help="show the values of rows that differ, of both sides")
@click.option(
    "--limit", type=click.IntRange(min=0), default=100, show_default=True, help="how many of a table's rows are listed"
)
@click.option(
    "--rows-per-second",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="read no faster than this; without it, as fast as both sides go",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="how long the sink may stand still before what was just read from the source",
)
@click.option("--repair", is_flag=True, help="have the source's present rows sent where a sink has others")
@click.option(
    "--by-rows", is_flag=True, help="fetch and compare all rows, also where the servers could compare digests"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON document on stdout")
@click.option(
    "--scheduled", is_flag=True, help="again and again, as `verify` in the file says; `cdc run` does that by itself"
)
@click.option(
    "--metrics-port", type=click.IntRange(0, 65535), help="with --scheduled: serve /metrics, /healthz, /readyz here"
)
@click.option(
    "--metrics-host", default="127.0.0.1", show_default=True, help="with --metrics-port; elsewhere: CDC_METRICS_TOKEN"
)
@click.option("--supervised", is_flag=True, hidden=True)
@click.pass_context
def verify(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    file: str,
    tables: tuple[str, ...],
    sink: str | None,
    values: bool,
    limit: int,
    rows_per_second: float | None,
    patience: float,
    repair: bool,
    by_rows: bool,
    as_json: bool,
    scheduled: bool,
    metrics_port: int | None,
    metrics_host: str,
    supervised: bool,
) -> None:
    """Compares the tables of the source with those of the sinks, while both are written to. It only reads, without --repair.

    A row counts as different when it stands still and is not the same. The connector must be running, or have applied everything.

    Exit status: 0 equal, 1 differences (or a table that could not be compared), 2 a bad file or choice.
    """
    if scheduled:
        with service(supervised=supervised, metrics_port=metrics_port, metrics_host=metrics_host) as served:
            verify_on_schedule(load(file), served)
        return
    options = Options(
        limit=limit, values=values, rows_per_second=rows_per_second or 0.0, by_rows=by_rows, patience_seconds=patience
    )
    with Parts(load(file)) as parts, VerifyProgress() as progress:
        sending = Sending(parts) if repair else None
        reports = build.verification(parts, options, progress, sending).run(sink, tables)
        while sending is not None and not sending.applied():
            time.sleep(_LOOK_SECONDS)
        connector = parts.config.name
    if as_json:
        document = _document(connector, reports, values=values)
        print_json(document if sending is None else {**document, "repaired": sending.keys})
    else:
        _print(reports, values=values)
        if sending is not None:
            click.echo(f"repaired: {sending.keys} rows; verify again to see that they are equal")
    ctx.exit(0 if all_equal(reports) else 1)


def verify_on_schedule(config: ConnectorConfig, served: Service) -> None:
    """Until the service is stopped."""
    if config.verify is None:
        raise UsageError("the connector file has no `verify`", hint="add it, with `every: 6h`")
    with Parts(config) as parts:
        metrics = served.metrics.verify(config.name)
        build.scheduled_verify(parts, metrics=metrics, health=served.health).run(served.stop)


def _document(connector: str, reports: Sequence[TableReport], *, values: bool) -> dict[str, Any]:
    return {
        "result": "equal" if all_equal(reports) else "different",
        "connector": connector,
        "rows": sum(report.rows for report in reports),
        "tables": [_table(report, values=values) for report in reports],
    }


def _table(report: TableReport, *, values: bool) -> dict[str, Any]:
    problem = report.problem
    return {
        "sink": report.sink,
        "table": report.table,
        "result": _result(report),
        "rows": report.rows,
        "missing": report.missing,
        "extra": report.extra,
        "different": report.different,
        "waiting": report.waiting,
        "unsettled": report.unsettled,
        "seconds": round(report.seconds, 3),
        "rows_per_second": round(report.rows_per_second, 1),
        "note": report.note or None,
        "problem": None if problem is None else {"text": redact(problem.message), "fix": redact(problem.hint)},
        "differences": [_difference(one, values=values) for one in report.differences],
    }


def _result(report: TableReport) -> str:
    if report.problem is not None:
        return "not compared"
    return "equal" if report.equal else "different"


def _difference(one: Difference, *, values: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "kind": one.kind,
        "key": _sendable(one.key),
        "columns": list(one.columns),
        "waiting": one.waits,
    }
    if values:
        document |= {"source": _sendable(one.source), "target": _sendable(one.target)}
    return document


def _sendable(value: Any) -> Any:
    """What orjson writes: SQLite may have anything in any column, and integers beyond 64 bits go as text."""
    if isinstance(value, dict):
        return {_sendable(name): _sendable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_sendable(one) for one in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    small = isinstance(value, int) and -(2**63) <= value < 2**64
    return value if value is None or small or isinstance(value, float) else str(value)


def _print(reports: Sequence[TableReport], *, values: bool) -> None:
    headings = (
        "sink",
        "table",
        "rows",
        "missing",
        "extra",
        "different",
        "waiting",
        "unsettled",
        "seconds",
        "rows/s",
        "",
    )
    rows = [
        (
            report.sink,
            report.table,
            *(str(count) for count in (report.rows, report.missing, report.extra, report.different)),
            *(str(count) for count in (report.waiting, report.unsettled)),
            f"{report.seconds:.1f}",
            f"{report.rows_per_second:.0f}",
            f"{_result(report)}{f': {report.note}' if report.note else ''}",
        )
        for report in reports
    ]
    if rows:
        show(table(headings, rows))
    for report in reports:
        for line in _details(report, values=values):
            click.echo(escape(redact(line)))
    click.echo(_summary(reports))


def _details(report: TableReport, *, values: bool) -> Iterator[str]:
    if report.problem is not None:
        yield f"{report.table} at sink {report.sink} was not compared to its end: {report.problem.message}"
        yield f"  {report.problem.hint}"
    for one in report.differences:
        yield f"{report.sink} {report.table} {_said(one, values=values)}"
    # Of a table that is not there, the note says it all.
    unlisted = 0 if report.note else report.unequal - len(report.differences)
    if unlisted:
        yield f"{report.sink} {report.table} and {unlisted} more (--limit)"


def _said(one: Difference, *, values: bool) -> str:
    columns = f" in {', '.join(one.columns)}" if one.columns else ""
    waits = ", waits as a dead letter" if one.waits else ""
    line = f"{one.kind} {_named(one.key)}{columns}{waits}"
    if values and one.source is not None and one.target is not None:
        shown = [f"{name}: {_short(one.source.get(name))} ≠ {_short(one.target.get(name))}" for name in one.columns]
        return f"{line} ({'; '.join(shown)})"
    present = one.source if one.source is not None else one.target
    return f"{line} ({_named(present)})" if values and present is not None else line


def _named(row: Row) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in row.items())


def _short(value: Any) -> str:
    text = "NULL" if value is None else str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _summary(reports: Sequence[TableReport]) -> str:
    rows = sum(report.rows for report in reports)
    unequal = sum(report.unequal for report in reports)
    counted = f"{len(reports)} table{'s' * (len(reports) != 1)}, {rows} rows"
    if all_equal(reports):
        return f"equal: {counted}{_unsettled(reports)}"
    failed = sum(report.problem is not None for report in reports)
    not_compared = f", {failed} table{'s' * (failed != 1)} not compared" if failed else ""
    return f"different: {unequal} rows of {counted}{not_compared}{_unsettled(reports)}"


def _unsettled(reports: Sequence[TableReport]) -> str:
    count = sum(report.unsettled for report in reports)
    return f"; {count} rows changed at every look, and nothing is said of them" if count else ""
