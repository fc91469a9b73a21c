"""The table of what must be reached, with what this run reached beside it."""

from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import NamedTuple

from rich.table import Table

from benchmarks import apply, capture, end_to_end, first_copy, kafka_connect, latency
from benchmarks.results import ABSENT, Latency, Report, Section
from benchmarks.run import Outcome

MET = "met"
NOT_MET = "not met"
NOT_RUN = "not run"


class Line(NamedTuple):
    what: str
    at_least: str
    reached: str
    verdict: str


class _Part(NamedTuple):
    """One number of a line: `ratio` None where it was not measured, for `reason`."""

    label: str
    ratio: float | None
    wanted: float
    reason: str = ""


def lines(report: Report) -> list[Line]:
    bulk, small = report.section("capture.bulk"), report.section("capture.small")
    ahead = "ahead of each; 5 × Debezium"
    flow = "end to end MySQL → PostgreSQL, both servers, queue and all processes on the same two cores"
    return [
        _line(
            "capture to a null queue, bulk",
            "0.55 × `mysqlbinlog --raw`, 15 × python-mysql-replication",
            _capture(bulk, 0.55, 15),
        ),
        _line(
            "capture to a null queue, small transactions",
            "0.85 × `mysqlbinlog --raw`, 7 × python-mysql-replication",
            _capture(small, 0.85, 7),
        ),
        _line(
            "capture to Kafka, to Redis Streams, bulk",
            "0.7 × a bare loop that produces the same finished messages in batches",
            [
                _queue(bulk, "Kafka", ("bare loop to Kafka, produce_batch", "bare loop to Kafka, produce")),
                _queue(bulk, "Redis Streams", ("bare loop to Redis, script", "bare loop to Redis, pipeline")),
            ],
        ),
        _line(
            "against go-mysql's canal, Debezium's engine, Maxwell, same binlog, events as JSON",
            ahead,
            [
                _against(section, capture.COMPILED, name, wanted, f"{name}, {short}")
                for section, short in ((bulk, "bulk"), (small, "small"))
                for name, wanted in ((capture.CANAL, 1.0), (capture.DEBEZIUM, 5.0), (capture.MAXWELL, 1.0))
            ],
        ),
        _line(
            "sink to PostgreSQL and to MySQL, inserts and updates",
            "0.85 × the bare loop",
            [
                _against(report.section(f"apply.{flavor}.{kind}"), apply.SINK, apply.BARE, 0.85, f"{flavor}, {kind}")
                for flavor in ("postgresql", "mysql")
                for kind in ("inserts", "updates")
            ],
        ),
        _line(
            flow,
            "0.5 × the bare COPY-and-merge loop; 10 × Debezium with its JDBC sink, over a queue as ours",
            _end_to_end(report),
        ),
        _line(
            "first copy into an empty PostgreSQL",
            "0.7 × `mysql --quick` piped into COPY",
            [_against(report.section("first-copy.rows"), first_copy.PRODUCT, first_copy.BARE, 0.7, first_copy.BARE)],
        ),
        _copy_memory(report),
        _latency(report.latencies),
        _memory(report),
        _line(
            "decoder in plain Python",
            "not slower than python-mysql-replication",
            [
                _against(section, capture.PYTHON, capture.PYTHON_MYSQL_REPLICATION, 1.0, short)
                for section, short in ((bulk, "bulk"), (small, "small"))
            ],
        ),
    ]


def table(found: Sequence[Line]) -> Table:
    shown = Table(title="Must reach", title_justify="left", show_lines=True)
    for name in ("what", "at least", "reached", ""):
        shown.add_column(name, overflow="fold")
    for line in found:
        shown.add_row(*line)
    return shown


def _capture(section: Section, of_limit: float, of_peer: float) -> list[_Part]:
    return [
        _against(section, capture.COMPILED, capture.LIMIT, of_limit, capture.LIMIT),
        _against(section, capture.COMPILED, capture.PYTHON_MYSQL_REPLICATION, of_peer, "python-mysql-replication"),
    ]


def _queue(section: Section, queue: str, bare: Sequence[str]) -> _Part:
    """Against the faster of the bare loops."""
    best = max((section[name] for name in bare), key=lambda one: one.rate)
    return _ratio(section[f"{capture.COMPILED}, to {queue}"], best, 0.7, queue)


def _end_to_end(report: Report) -> list[_Part]:
    """Held to the peer with a queue, as the line says; the one without is told beside it, and stands in where the other did not
    run."""
    section = report.section("end-to-end.rows")
    ours, queued = section[end_to_end.COMPILED], section[kafka_connect.NAME]
    beside, label = (10, "") if queued.reason else (0, ", only told beside it")
    return [
        _ratio(ours, section[end_to_end.BARE], 0.5, "the bare loop"),
        _ratio(ours, queued, 10, f"{kafka_connect.NAME} (with a queue)"),
        _ratio(
            ours, section[end_to_end.DEBEZIUM_PIPELINE], beside, f"{end_to_end.DEBEZIUM_PIPELINE} (no queue{label})"
        ),
    ]


def _against(section: Section, ours: str, theirs: str, wanted: float, label: str) -> _Part:
    return _ratio(section[ours], section[theirs], wanted, label)


def _ratio(ours: Outcome, theirs: Outcome, wanted: float, label: str) -> _Part:
    reason = next((f"{one.name}: {one.reason}" for one in (ours, theirs) if one.reason), "")
    return _Part(label, None if reason else ours.ratio(theirs), wanted, reason)


def _line(what: str, at_least: str, parts: Sequence[_Part]) -> Line:
    if all(part.reason.endswith(f": {ABSENT}") for part in parts):
        return Line(what, at_least, ABSENT, NOT_RUN)
    told = [
        f"{part.label}: {part.ratio:.2f} ×"
        if part.ratio is not None
        else f"{part.label}: not run ({shorten(part.reason, 110, placeholder=' …')})"
        for part in parts
    ]
    return Line(what, at_least, "\n".join(told), _verdict(parts))


def _enough(part: _Part) -> bool:
    return part.ratio is not None and part.ratio >= part.wanted


def _verdict(parts: Sequence[_Part]) -> str:
    """Met where all that ran reached it; what did not run is named beside it."""
    ran = [part for part in parts if part.ratio is not None]
    if not ran:
        return NOT_RUN
    verdict = MET if all(map(_enough, ran)) else NOT_MET
    return verdict if len(ran) == len(parts) else f"{verdict}, in part {NOT_RUN}"


def _latency(found: Sequence[Latency]) -> Line:
    at_500 = [one for one in found if one.rate == 500]
    ours = next((one for one in at_500 if one.path.startswith(latency.PRODUCT)), None)
    what = "latency at 500 transactions/s, Redis Streams"
    at_least = "p50 ≤ 8 ms, p99 ≤ 30 ms on a quiet machine; below every peer in the same run"
    if ours is None or ours.reason:
        return Line(what, at_least, ours.reason if ours else ABSENT, NOT_RUN)
    peers = [one for one in at_500 if one is not ours]
    met = (
        ours.percentiles_ms["p50"] <= 8
        and ours.percentiles_ms["p99"] <= 30
        and all(
            ours.percentiles_ms[at] < one.percentiles_ms[at] for one in peers if not one.reason for at in ("p50", "p99")
        )
    )
    told = [
        f"{one.path}: {one.reason or 'p50 {p50:.1f} ms, p99 {p99:.1f} ms'.format(**one.percentiles_ms)}"
        for one in (ours, *peers)
    ]
    verdict = MET if met else NOT_MET
    missing = not peers or any(one.reason for one in peers)
    return Line(what, at_least, "\n".join(told), f"{verdict}, in part {NOT_RUN}" if missing else verdict)


def _memory(report: Report) -> Line:
    bounds = {"memory.reader": 150.0, "memory.sink": 250.0}
    return _most(report, "memory, 1 GB transaction", "reader ≤ 150 MB, sink ≤ 250 MB", bounds)


def _copy_memory(report: Report) -> Line:
    bounds = {"copy.memory.reader": 250.0, "copy.memory.sink": 250.0}
    return _most(report, "memory, first copy", "reader and sink ≤ 250 MB each", bounds)


def _most(report: Report, what: str, at_least: str, bounds: Mapping[str, float]) -> Line:
    figures = [(report.figure(key), most) for key, most in bounds.items()]
    if any(figure.value is None for figure, _ in figures):
        return Line(what, at_least, figures[0][0].reason, NOT_RUN)
    told = ", ".join(f"{figure.key.rpartition('.')[2]} {figure.value:.0f} MB" for figure, _ in figures)
    met = all(figure.value is not None and figure.value <= most for figure, most in figures)
    return Line(what, at_least, told, MET if met else NOT_MET)
