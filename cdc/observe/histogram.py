"""A Prometheus histogram that takes many equal observations in one call: prometheus_client's own takes one at a time."""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class BulkHistogram(Collector):
    """`bounds`: upper bounds in seconds, ascending, without +Inf. Thread-safe.

    Format: https://prometheus.io/docs/instrumenting/exposition_formats/, "Histograms and summaries".
    """

    def __init__(self, name: str, documentation: str, labels: tuple[str, ...], bounds: tuple[float, ...]) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._bounds = bounds
        self._lock = threading.Lock()
        self._series: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}

    def add(self, labels: tuple[str, ...], observations: Iterable[tuple[float, int]]) -> None:
        """`observations`: (seconds, how many of them)."""
        with self._lock:
            counts, total = self._series.setdefault(labels, ([0] * (len(self._bounds) + 1), [0.0]))
            for seconds, count in observations:
                counts[bisect_left(self._bounds, seconds)] += count
                total[0] += seconds * count

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        with self._lock:
            for labels, (counts, total) in self._series.items():
                buckets, so_far = [], 0
                for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
                    so_far += count
                    buckets.append(("+Inf" if bound == float("inf") else str(bound), float(so_far)))
                family.add_metric(labels, buckets=buckets, sum_value=total[0])
        yield family
