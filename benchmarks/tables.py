"""The results as tables on a terminal."""

from rich.console import Console
from rich.table import Table

from benchmarks.results import Curve, Figure, Latency, Report, Section
from benchmarks.run import Outcome


def show(console: Console, report: Report) -> None:
    for section in report.sections:
        console.print(_section(section))
    for curve in report.curves:
        console.print(_curve(curve))
    if report.latencies:
        console.print(_latencies(report.latencies))
    if report.figures:
        console.print(_figures(report.figures))


def _section(section: Section) -> Table:
    table = Table(title=section.title, title_justify="left")
    _columns(table, "", "rows/s", "of the first" if not section.baseline else f"of {section.baseline}", *_COSTS)
    baseline = section[section.baseline] if section.baseline else None
    for one in section.outcomes:
        if one.reason:
            table.add_row(one.name, "not run", "", "", "", "", one.reason)
            continue
        ratio = one.ratio(baseline) if baseline else None
        table.add_row(one.name, f"{one.rate:,.0f}", "" if ratio is None else f"{ratio:.2f}", *_costs(one))
    return table


def _curve(curve: Curve) -> Table:
    table = Table(title=f"Growth with {curve.what}", title_justify="left")
    _columns(table, curve.what, "rows/s", *_COSTS)
    for point in curve.points:
        one = point.outcome
        if one.reason:
            table.add_row(f"{point.x:,}", "not run", "", "", "", one.reason)
        else:
            table.add_row(f"{point.x:,}", f"{one.rate:,.0f}", *_costs(one))
    return table


_COSTS = ("CPU µs/row", "servers' CPU µs/row", "peak MB", "")


def _costs(one: Outcome) -> tuple[str, str, str, str]:
    return f"{one.cpu_us_a_row:.2f}", f"{one.server_cpu_us_a_row:.2f}", f"{one.peak_bytes / 1e6:,.0f}", ""


def _latencies(latencies: list[Latency]) -> Table:
    table = Table(title="Latency from commit to visible, milliseconds", title_justify="left")
    _columns(table, "path", "transactions/s", "reached", "p50", "p99", "p99.9", "")
    for one in latencies:
        if one.reason:
            table.add_row(one.path, f"{one.rate:,}", "not run", "", "", "", one.reason)
            continue
        found = (f"{one.percentiles_ms[name]:.1f}" for name in ("p50", "p99", "p99.9"))
        table.add_row(one.path, f"{one.rate:,}", f"{one.reached_rate:,.0f}", *found, "")
    return table


def _figures(figures: list[Figure]) -> Table:
    table = Table(title="Single figures", title_justify="left")
    _columns(table, "", "value", "")
    for one in figures:
        table.add_row(one.title, "not run" if one.value is None else f"{one.value:,.0f} {one.unit}", one.reason)
    return table


def _columns(table: Table, first: str, *others: str) -> None:
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right" if name else "left", overflow="fold")
