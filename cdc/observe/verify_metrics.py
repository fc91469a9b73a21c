"""Prometheus metrics of the process that compares both sides again and again. Names: docs/observability.md."""

from collections.abc import Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge

RESULTS: Final = ("never", "equal", "different", "incomplete")

_LABELS: Final = ("connector",)


class VerifyFamilies:
    def __init__(self, registry: CollectorRegistry) -> None:
        own: dict[str, Any] = {"namespace": "lockstep", "subsystem": "verify", "registry": registry}
        self.rows = Counter("rows", "Rows of the source that were compared.", _LABELS, **own)
        self.failures = Counter("failures", "Attempts that came to no end.", _LABELS, **own)
        self.running = Gauge("running", "1 while rows are compared, else 0.", _LABELS, **own)
        self.ended = Gauge(
            "last_end_timestamp_seconds", "When the last comparison ended, since 1970; 0: never.", _LABELS, **own
        )
        self.seconds = Gauge("last_run_seconds", "How long the last comparison took.", _LABELS, **own)
        self.result = Gauge("last_result", "1 for how the last comparison ended, else 0.", (*_LABELS, "result"), **own)
        self.differences = Gauge(
            "last_differences", "Rows that the last comparison found, by kind.", (*_LABELS, "sink", "kind"), **own
        )


class VerifyMetrics:
    """What is told of one connector. Thread-safe."""

    def __init__(self, connector: str, families: VerifyFamilies) -> None:
        self._connector = connector
        self._families = families
        self._rows = families.rows.labels(connector)
        self._failures = families.failures.labels(connector)
        self._running = families.running.labels(connector)
        self._ended = families.ended.labels(connector)
        self._seconds = families.seconds.labels(connector)
        self._results = {result: families.result.labels(connector, result) for result in RESULTS}

    def running(self, running: bool) -> None:
        self._running.set(running)

    def compared(self, rows: int) -> None:
        """So many more rows of the source."""
        self._rows.inc(rows)

    def failed(self) -> None:
        self._failures.inc()

    def last(self, ended: float, seconds: float, result: str, found: Mapping[str, Mapping[str, int]]) -> None:
        """How the last comparison ended, whichever process made it: one of RESULTS; `found`: rows by sink and kind."""
        self._ended.set(ended)
        self._seconds.set(seconds)
        for name, gauge in self._results.items():
            gauge.set(name == result)
        for sink, counts in found.items():
            for kind, count in counts.items():
                self._families.differences.labels(self._connector, sink, kind).set(count)
