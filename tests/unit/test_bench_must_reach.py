"""The rows of `make bench` that name peers: what counts for the verdict, and that each peer is told."""

import pytest

from benchmarks import end_to_end, kafka_connect, latency, must_reach
from benchmarks.results import Latency, Report, Section
from benchmarks.run import Outcome, Run

ENGINE, QUEUED = end_to_end.DEBEZIUM_PIPELINE, kafka_connect.NAME


def _outcome(name: str, rate: int | None) -> Outcome:
    return Outcome(name, reason="no mvn") if rate is None else Outcome(name, [Run(rate, 1.0)])


def _end_to_end(bare: int, ours: int, engine: int | None, queued: int | None) -> must_reach.Line:
    rates = {end_to_end.BARE: bare, end_to_end.COMPILED: ours, ENGINE: engine, QUEUED: queued}
    report = Report(quick=False, parts=["end-to-end"])
    report.sections.append(Section("end-to-end.rows", "", [_outcome(*one) for one in rates.items()], end_to_end.BARE))
    return next(line for line in must_reach.lines(report) if line.what.startswith("end to end"))


def test_end_to_end_is_held_to_the_peer_with_a_queue_and_tells_both() -> None:
    line = _end_to_end(bare=150, ours=100, engine=20, queued=10)
    assert line.verdict == must_reach.MET
    assert f"{QUEUED} (with a queue): 10.00 ×" in line.reached
    assert f"{ENGINE} (no queue, only told beside it): 5.00 ×" in line.reached


def test_end_to_end_is_not_met_below_ten_times_the_peer_with_a_queue() -> None:
    assert _end_to_end(bare=150, ours=99, engine=1, queued=10).verdict == must_reach.NOT_MET


@pytest.mark.parametrize(("engine", "verdict"), [(20, must_reach.NOT_MET), (10, must_reach.MET)])
def test_end_to_end_is_held_to_the_engine_where_the_other_did_not_run(engine: int, verdict: str) -> None:
    line = _end_to_end(bare=150, ours=100, engine=engine, queued=None)
    assert line.verdict == f"{verdict}, in part {must_reach.NOT_RUN}"
    assert f"{QUEUED}: no mvn" in line.reached


def _latency(path: str, p50: float | None, p99: float = 20.0) -> Latency:
    if p50 is None:
        return Latency(path, 500, reason="no mvn")
    return Latency(path, 500, 500.0, 7_500, {"p50": p50, "p99": p99, "p99.9": p99})


@pytest.mark.parametrize(
    ("engine", "queued", "verdict"),
    [
        (6.0, 7.0, must_reach.MET),
        (4.0, 7.0, must_reach.NOT_MET),
        (6.0, 4.0, must_reach.NOT_MET),
        (6.0, None, f"{must_reach.MET}, in part {must_reach.NOT_RUN}"),
    ],
)
def test_latency_is_below_every_peer_of_the_run(engine: float, queued: float | None, verdict: str) -> None:
    ours = f"{latency.PRODUCT}, compiled"
    report = Report(quick=False, parts=["end-to-end"])
    report.latencies += [_latency(ours, 5.0, 15.0), _latency(ENGINE, engine), _latency(QUEUED, queued)]
    line = next(line for line in must_reach.lines(report) if line.what.startswith("latency"))
    assert line.verdict == verdict
    assert all(f"{path}: " in line.reached for path in (ours, ENGINE, QUEUED))
