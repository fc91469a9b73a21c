"""Metrics as Prometheus reads them."""

import math
import re
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cdc.model.position import Sequence
from cdc.observe.metrics import LATENCY_BOUNDS, STATES, Lag, Metrics, SinkMetrics

DOCUMENT = Path(__file__).parents[2] / "docs" / "observability.md"


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def apply(sink: SinkMetrics, lane: str = "0", *, waits: tuple[tuple[float, int], ...] = ((0.2, 10),)) -> None:
    now_us = time.time_ns() // 1000
    sink.applied(
        lane,
        {"c": 3, "u": 5},
        events=10,
        duplicates=2,
        watermark=Sequence(1, 7, 5_000_000_000, 0),
        seconds=0.004,
        commits=[(now_us - int(wait * 1e6), count) for wait, count in waits],
    )


def test_the_text_is_what_prometheus_parses_and_the_document_promises() -> None:
    metrics = Metrics()
    metrics.reader("shop").published({"c": 1}, transactions=1, message_bytes=10, commit_us=0, seconds=0.1)
    sink = metrics.sink("shop", "sink")
    sink.took("0", 3)
    apply(sink)
    sink.dead_lettered("0", 1)
    sink.fenced("0")
    sink.retried("0")
    metrics.verify("shop").last(1.0, 2.0, "equal", {"sink": {"missing": 0}})
    families = {family.name: family for family in text_string_to_metric_families(metrics.text().decode())}
    names = {
        f"{name}_total" if family.type == "counter" else name
        for name, family in families.items()
        if not name.endswith("_created")
    }
    assert all(name.startswith("lockstep_") for name in names)
    promised = set(re.findall(r"`(lockstep_\w+)`", DOCUMENT.read_text()))
    assert promised == names


def test_a_reader_counts_what_it_published() -> None:
    metrics = Metrics()
    reader = metrics.reader("shop")
    for _ in range(2):
        reader.published({"c": 5, "d": 1}, transactions=2, message_bytes=1000, commit_us=0, seconds=0.02)
    reader.token(9)
    reader.until_purged(math.inf)
    assert value(metrics, "lockstep_reader_rows_total", connector="shop", op="c") == 10
    assert value(metrics, "lockstep_reader_rows_total", connector="shop", op="d") == 2
    assert value(metrics, "lockstep_reader_bytes_total", connector="shop") == 2000
    assert value(metrics, "lockstep_reader_transactions_total", connector="shop") == 4
    assert value(metrics, "lockstep_reader_publish_seconds_count", connector="shop") == 2
    assert value(metrics, "lockstep_reader_token", connector="shop") == 9
    assert value(metrics, "lockstep_reader_until_purged_seconds", connector="shop") == math.inf


def test_idle_is_not_lag() -> None:
    metrics = Metrics()
    reader = metrics.reader("shop")
    hour_ago_us = (time.time_ns() // 1000) - 3_600_000_000
    reader.published({"c": 1}, transactions=1, message_bytes=1, commit_us=hour_ago_us, seconds=0.1)
    assert value(metrics, "lockstep_reader_lag_seconds", connector="shop") == pytest.approx(3600, abs=5)
    reader.source_end(lag_bytes=17)
    assert value(metrics, "lockstep_reader_lag_seconds", connector="shop") == pytest.approx(3600, abs=5)
    assert value(metrics, "lockstep_reader_lag_bytes", connector="shop") == 17
    reader.source_end(lag_bytes=0)
    assert value(metrics, "lockstep_reader_lag_seconds", connector="shop") == 0


def test_a_lost_source_is_lag_from_then_on() -> None:
    metrics = Metrics()
    reader = metrics.reader("shop")
    reader.source_end(lag_bytes=0)
    reader.state("reconnecting")
    first = value(metrics, "lockstep_reader_lag_seconds", connector="shop")
    second = value(metrics, "lockstep_reader_lag_seconds", connector="shop")
    assert first is not None
    assert second is not None
    assert 0 < first < second
    assert value(metrics, "lockstep_reader_reconnects_total", connector="shop") == 1


def test_a_clock_behind_the_sources_is_no_negative_lag() -> None:
    lag = Lag()
    lag.behind(time.time_ns() // 1000 + 60_000_000)
    assert lag.seconds() == 0


def test_one_state_at_a_time() -> None:
    metrics = Metrics()
    reader = metrics.reader("shop")
    for state in STATES:
        reader.state(state)
        assert [one for one in STATES if value(metrics, "lockstep_reader_state", connector="shop", state=one)] == [
            state
        ]


def test_the_checkpoints_age_begins_with_the_checkpoint() -> None:
    metrics = Metrics()
    reader = metrics.reader("shop")
    assert value(metrics, "lockstep_reader_checkpoint_age_seconds", connector="shop") == 0
    reader.checkpointed()
    assert 0 < (value(metrics, "lockstep_reader_checkpoint_age_seconds", connector="shop") or 0) < 5


def test_a_sink_counts_by_lane() -> None:
    metrics = Metrics()
    sink = metrics.sink("shop", "warehouse")
    sink.took("0", 4)
    apply(sink)
    apply(sink)
    apply(sink, "1")
    labels = {"connector": "shop", "sink": "warehouse", "lane": "0"}
    assert value(metrics, "lockstep_sink_rows_total", **labels, op="u") == 10
    assert value(metrics, "lockstep_sink_events_total", **labels) == 20
    assert value(metrics, "lockstep_sink_duplicates_total", **labels) == 4
    assert value(metrics, "lockstep_sink_watermark_file", **labels) == 7
    assert value(metrics, "lockstep_sink_watermark_offset", **labels) == 5_000_000_000
    assert value(metrics, "lockstep_sink_batch_seconds_count", **labels) == 2
    assert value(metrics, "lockstep_sink_events_total", **{**labels, "lane": "1"}) == 10


def test_latencies_are_counted_by_event_into_the_right_bucket() -> None:
    metrics = Metrics()
    sink = metrics.sink("shop", "sink")
    apply(sink, waits=((0.03, 7), (400.0, 2), (-5.0, 1)))
    labels = {"connector": "shop", "sink": "sink", "lane": "0"}
    name = "lockstep_sink_commit_to_applied_seconds"
    assert value(metrics, f"{name}_count", **labels) == 10
    assert value(metrics, f"{name}_bucket", **labels, le="0.001") == 1
    assert value(metrics, f"{name}_bucket", **labels, le="0.25") == 8
    assert value(metrics, f"{name}_bucket", **labels, le="300.0") == 8
    assert value(metrics, f"{name}_bucket", **labels, le="+Inf") == 10
    assert value(metrics, f"{name}_sum", **labels) == pytest.approx(800.2, abs=5)
    assert len(sink.latencies) == 10
    assert (LATENCY_BOUNDS[0], LATENCY_BOUNDS[-1]) == (0.001, 300.0)


def test_a_sinks_lag_ends_when_it_has_caught_up_and_counts_while_the_queue_is_lost() -> None:
    metrics = Metrics()
    sink = metrics.sink("shop", "sink")
    labels = {"connector": "shop", "sink": "sink", "lane": "0"}
    sink.took("0", 1)
    apply(sink, waits=((50.0, 1),))
    assert value(metrics, "lockstep_sink_lag_seconds", **labels) == pytest.approx(50, abs=5)
    sink.caught_up("0")
    assert value(metrics, "lockstep_sink_lag_seconds", **labels) == 0
    sink.lost_queue("0")
    assert value(metrics, "lockstep_sink_lag_seconds", **labels) != 0


def test_a_lane_given_up_says_nothing_of_its_present_and_keeps_its_counts() -> None:
    metrics = Metrics()
    sink = metrics.sink("shop", "sink")
    labels = {"connector": "shop", "sink": "sink", "lane": "0"}
    sink.took("0", 1)
    sink.gave_up("0")
    sink.took("0", 2)
    apply(sink)
    sink.gave_up("0")
    sink.caught_up("0")
    for name in ("token", "lag_seconds", "watermark_file", "watermark_offset"):
        assert value(metrics, f"lockstep_sink_{name}", **labels) is None
    assert value(metrics, "lockstep_sink_events_total", **labels) == 10


def test_a_lane_that_comes_back_is_shown_again() -> None:
    metrics = Metrics()
    sink = metrics.sink("shop", "sink")
    labels = {"connector": "shop", "sink": "sink", "lane": "0"}
    for token in (1, 2):
        sink.took("0", token)
        apply(sink)
        assert value(metrics, "lockstep_sink_watermark_offset", **labels) is not None
        sink.gave_up("0")
    assert value(metrics, "lockstep_sink_events_total", **labels) == 20


def test_processes_and_connectors_do_not_share_counts() -> None:
    first, second = Metrics(), Metrics()
    first.reader("shop").published({"c": 1}, transactions=1, message_bytes=1, commit_us=0, seconds=0.1)
    first.reader("bank")
    assert value(first, "lockstep_reader_bytes_total", connector="bank") == 0
    assert value(second, "lockstep_reader_bytes_total", connector="shop") is None
