"""Prometheus metrics of readers and sinks; each process has one `Metrics` with a registry of its own.

The names are promised in docs/observability.md. Methods are called once for a batch, never for a row; all are thread-safe.
"""

import threading
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from cdc.model.position import Sequence
from cdc.observe.histogram import BulkHistogram
from cdc.observe.latency import LatencyWindow
from cdc.observe.verify_metrics import VerifyFamilies, VerifyMetrics

State = Literal["starting", "standby", "working", "blocked", "reconnecting", "stopped"]
STATES: Final[tuple[State, ...]] = ("starting", "standby", "working", "blocked", "reconnecting", "stopped")

BATCH_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
LATENCY_BOUNDS: Final = (*BATCH_BOUNDS, 120.0, 300.0)


class Metrics:
    """All metrics of one process, and their text form."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reader_families = _ReaderFamilies(self.registry)
        self._sink_families = _SinkFamilies(self.registry)
        self._verify_families = VerifyFamilies(self.registry)

    def reader(self, connector: str) -> "ReaderMetrics":
        return ReaderMetrics(connector, self._reader_families)

    def sink(self, connector: str, sink: str) -> "SinkMetrics":
        return SinkMetrics(connector, sink, self._sink_families)

    def verify(self, connector: str) -> VerifyMetrics:
        return VerifyMetrics(connector, self._verify_families)

    def text(self) -> bytes:
        """https://prometheus.io/docs/instrumenting/exposition_formats/ , version 0.0.4."""
        return generate_latest(self.registry)


class Lag:
    """Seconds since the commit of the last thing done, as long as there is, or may be, more to do; else 0.

    Idle is not lag: `caught_up` ends it. A lost connection is not idle: from `unknown` on it counts.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def behind(self, commit_us: int) -> None:
        """Done up to this commit (microseconds since 1970), and there may be more."""
        self._since = commit_us / 1e6

    def caught_up(self) -> None:
        self._since = None

    def unknown(self) -> None:
        if self._since is None:
            self._since = time.time()

    def seconds(self) -> float:
        since = self._since
        return 0.0 if since is None else max(0.0, time.time() - since)


class ReaderMetrics:
    """What one connector's reader counts."""

    def __init__(self, connector: str, families: "_ReaderFamilies") -> None:
        self.lag = Lag()
        self._connector = connector
        self._checkpointed: float | None = None
        self._rows = families.rows
        self._rows_by_op: dict[str, Counter] = {}
        self._bytes = families.bytes.labels(connector)
        self._transactions = families.transactions.labels(connector)
        self._reconnects = families.reconnects.labels(connector)
        self._publish = families.publish_seconds.labels(connector)
        self._lag_bytes = families.lag_bytes.labels(connector)
        self._until_purged = families.until_purged_seconds.labels(connector)
        self._token = families.token.labels(connector)
        self._states = {state: families.state.labels(connector, state) for state in STATES}
        families.lag_seconds.labels(connector).set_function(self.lag.seconds)
        families.checkpoint_age_seconds.labels(connector).set_function(self._checkpoint_age)
        self.state("starting")

    def state(self, state: State) -> None:
        """What it does now; while it is not connected, lag counts."""
        if state in {"starting", "reconnecting"}:
            self.lag.unknown()
        if state == "reconnecting":
            self._reconnects.inc()
        for name, gauge in self._states.items():
            gauge.set(name == state)

    def published(
        self, rows: Mapping[str, int], *, transactions: int, message_bytes: int, commit_us: int, seconds: float
    ) -> None:
        """A batch that the queue confirmed: change events by op, and the commit of the last one."""
        for op, count in rows.items():
            if op not in self._rows_by_op:
                self._rows_by_op[op] = self._rows.labels(self._connector, op)
            self._rows_by_op[op].inc(count)
        self._bytes.inc(message_bytes)
        self._transactions.inc(transactions)
        self._publish.observe(seconds)
        self.lag.behind(commit_us)

    def checkpointed(self) -> None:
        self._checkpointed = time.monotonic()

    def source_end(self, lag_bytes: int) -> None:
        """How far the source's end is ahead; 0 is caught up."""
        self._lag_bytes.set(lag_bytes)
        if lag_bytes <= 0:
            self.lag.caught_up()

    def until_purged(self, seconds: float) -> None:
        """Until the source may purge the checkpoint's file; `math.inf` where it never does."""
        self._until_purged.set(seconds)

    def token(self, token: int) -> None:
        self._token.set(token)

    def _checkpoint_age(self) -> float:
        stored = self._checkpointed
        return 0.0 if stored is None else time.monotonic() - stored


class SinkMetrics:
    """What one sink of a connector counts, by lane; `latencies` are those of all its lanes since the start."""

    def __init__(self, connector: str, sink: str, families: "_SinkFamilies") -> None:
        self._families = families
        self._labels = (connector, sink)
        self._lock = threading.Lock()
        self._latencies = LatencyWindow()
        self._lags: dict[str, Lag] = {}
        self._lanes: dict[str, _LaneSeries] = {}

    def took(self, lane: str, token: int) -> None:
        """The lane's lease was taken with this token."""
        lag = self._lags.setdefault(lane, Lag())
        lag.unknown()
        self._families.lag_seconds.labels(*self._labels, lane).set_function(lag.seconds)
        self._families.token.labels(*self._labels, lane).set(token)

    def gave_up(self, lane: str) -> None:
        """The lane is no longer this process's: what it says about the lane's present would go stale."""
        self._lags.pop(lane, None)
        self._lanes.pop(lane, None)
        for gauge in self._families.present:
            gauge.labels(*self._labels, lane)  # remove() may ask for a series that is there
            gauge.remove(*self._labels, lane)

    def applied(
        self,
        lane: str,
        rows: Mapping[str, int],
        *,
        events: int,
        duplicates: int,
        watermark: Sequence,
        seconds: float,
        commits: Collection[tuple[int, int]],
    ) -> None:
        """A batch that the target committed.

        `rows`: net changes by op. `commits`: for each source transaction in it, commit time (microseconds since 1970) and
        number of change events.
        """
        series = self._lanes.get(lane)
        if series is None:
            series = self._lanes[lane] = _LaneSeries(self._families, (*self._labels, lane))
        series.applied(rows, events, duplicates, watermark, seconds)
        if commits:
            now = time.time()
            waits = [(max(0.0, now - commit_us / 1e6), count) for commit_us, count in _by_millisecond(commits)]
            self._families.commit_to_applied_seconds.add(series.labels, waits)
            with self._lock:
                for wait, count in waits:
                    self._latencies.add(wait, count)
            if lag := self._lags.get(lane):
                lag.behind(max(commit_us for commit_us, _ in commits))

    def caught_up(self, lane: str) -> None:
        """The queue has no more for this lane."""
        if lag := self._lags.get(lane):
            lag.caught_up()

    def lost_queue(self, lane: str) -> None:
        """The queue does not answer: whether the lane lags is unknown, and counts as lag."""
        if lag := self._lags.get(lane):
            lag.unknown()

    def dead_lettered(self, lane: str, count: int) -> None:
        self._families.dead_letters.labels(*self._labels, lane).inc(count)

    def fenced(self, lane: str) -> None:
        self._families.fenced.labels(*self._labels, lane).inc()

    def retried(self, lane: str) -> None:
        self._families.retries.labels(*self._labels, lane).inc()

    @property
    def latencies(self) -> LatencyWindow:
        """A copy, from commit at the source to commit at the target."""
        with self._lock:
            return self._latencies.merge(())


class _LaneSeries:
    """One lane's series of the metrics that each batch moves: finding them by their labels takes longer than moving them."""

    def __init__(self, families: "_SinkFamilies", labels: tuple[str, str, str]) -> None:
        self.labels = labels
        self._families = families
        self._rows: dict[str, Counter] = {}
        self._events = families.events.labels(*labels)
        self._duplicates = families.duplicates.labels(*labels)
        self._watermark_file = families.watermark_file.labels(*labels)
        self._watermark_offset = families.watermark_offset.labels(*labels)
        self._batch_seconds = families.batch_seconds.labels(*labels)

    def applied(
        self, rows: Mapping[str, int], events: int, duplicates: int, watermark: Sequence, seconds: float
    ) -> None:
        for op, count in rows.items():
            if op not in self._rows:
                self._rows[op] = self._families.rows.labels(*self.labels, op)
            self._rows[op].inc(count)
        self._events.inc(events)
        if duplicates:
            self._duplicates.inc(duplicates)
        self._watermark_file.set(watermark.file)
        self._watermark_offset.set(watermark.offset)
        self._batch_seconds.observe(seconds)


def _by_millisecond(commits: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same number of events, with commit times to about a millisecond: a batch may have thousands of transactions."""
    groups: dict[int, int] = {}
    for commit_us, count in commits:
        groups[commit_us >> 10] = groups.get(commit_us >> 10, 0) + count
    return [((group << 10) + 512, count) for group, count in groups.items()]


_READER: Final = ("connector",)
_SINK: Final = ("connector", "sink", "lane")


class _ReaderFamilies:
    def __init__(self, registry: CollectorRegistry) -> None:
        own: dict[str, Any] = {"namespace": "lockstep", "subsystem": "reader", "registry": registry}
        self.rows = Counter("rows", "Change events published, by op.", (*_READER, "op"), **own)
        self.bytes = Counter("bytes", "Bytes of the messages published.", _READER, **own)
        self.transactions = Counter("transactions", "Source transactions published.", _READER, **own)
        self.reconnects = Counter("reconnects", "Times that the source had to be reached again.", _READER, **own)
        self.publish_seconds = Histogram(
            "publish_seconds", "From a batch to the queue's confirmation.", _READER, buckets=BATCH_BOUNDS, **own
        )
        self.state = Gauge("state", "1 for what the reader does now, else 0.", (*_READER, "state"), **own)
        self.lag_seconds = Gauge(
            "lag_seconds", "Since the commit of the last event published; 0 when caught up.", _READER, **own
        )
        self.lag_bytes = Gauge("lag_bytes", "Bytes of binlog between the reader and the source's end.", _READER, **own)
        self.checkpoint_age_seconds = Gauge("checkpoint_age_seconds", "Since a checkpoint was stored.", _READER, **own)
        self.until_purged_seconds = Gauge(
            "until_purged_seconds", "Until the source may purge the checkpoint's file.", _READER, **own
        )
        self.token = Gauge("token", "Fencing token of the reader's lease.", _READER, **own)


class _SinkFamilies:
    def __init__(self, registry: CollectorRegistry) -> None:
        own: dict[str, Any] = {"namespace": "lockstep", "subsystem": "sink", "registry": registry}
        self.rows = Counter("rows", "Net row changes committed at the target, by op.", (*_SINK, "op"), **own)
        self.events = Counter("events", "Change events applied.", _SINK, **own)
        self.duplicates = Counter("duplicates", "Change events dropped because they were applied before.", _SINK, **own)
        self.dead_letters = Counter("dead_letters", "Change events put aside.", _SINK, **own)
        self.fenced = Counter("fenced", "Times that a higher token was found: nothing was written.", _SINK, **own)
        self.retries = Counter("retries", "Batches tried again after an error that may pass.", _SINK, **own)
        self.batch_seconds = Histogram(
            "batch_seconds", "From a batch to the target's commit.", _SINK, buckets=BATCH_BOUNDS, **own
        )
        self.watermark_file = Gauge("watermark_file", "Number of the watermark's binlog file.", _SINK, **own)
        self.watermark_offset = Gauge("watermark_offset", "The watermark's offset in that file.", _SINK, **own)
        self.token = Gauge("token", "Fencing token of the lane's lease.", _SINK, **own)
        self.lag_seconds = Gauge(
            "lag_seconds", "Since the commit of the last event applied; 0 when caught up.", _SINK, **own
        )
        self.present = (self.watermark_file, self.watermark_offset, self.token, self.lag_seconds)
        self.commit_to_applied_seconds = BulkHistogram(
            "lockstep_sink_commit_to_applied_seconds",
            "From the commit at the source to the commit at the target, by change event.",
            _SINK,
            LATENCY_BOUNDS,
        )
        registry.register(self.commit_to_applied_seconds)
