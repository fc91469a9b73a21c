"""Latencies in a bounded number of buckets, so that any number of them can be merged and asked for quantiles."""

import math
from collections.abc import Iterable, Mapping
from typing import Final

_GROWTH: Final = 1.05
_LOWEST_SECONDS: Final = 1e-4
_TOP: Final = math.ceil(math.log(86_400 / _LOWEST_SECONDS) / math.log(_GROWTH))
_SCALE: Final = 1 / math.log(_GROWTH)


class LatencyWindow:
    """Counts by logarithmic bucket, 5 % wide, from 0.1 ms to a day: at most 422 numbers. Not thread-safe.

    A quantile is off by 2.5 % at most. Windows of several workers are merged by adding; the JSON form is
    `{"bucket": count}`.
    """

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self._counts = {int(bucket): count for bucket, count in (counts or {}).items()}

    def __len__(self) -> int:
        return sum(self._counts.values())

    def add(self, seconds: float, count: int = 1) -> None:
        """Counts `count` events that took `seconds`; below zero (clocks differ) is zero."""
        bucket = 0
        if seconds > _LOWEST_SECONDS:
            bucket = min(_TOP, math.ceil(math.log(seconds / _LOWEST_SECONDS) * _SCALE))
        self._counts[bucket] = self._counts.get(bucket, 0) + count

    def merge(self, others: "Iterable[LatencyWindow]") -> "LatencyWindow":
        """A new window with the counts of this one and the others."""
        merged = LatencyWindow()
        for window in (self, *others):
            for bucket, count in window._counts.items():
                merged._counts[bucket] = merged._counts.get(bucket, 0) + count
        return merged

    def quantile(self, share: float) -> float | None:
        """Seconds that `share` (0…1) of the events took at most; None where there are none."""
        total = len(self)
        if not total:
            return None
        rank, seen = max(1, math.ceil(share * total)), 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return self._middle(bucket)
        return None

    def to_json(self) -> dict[str, int]:
        """For orjson and marks; the constructor reads it back."""
        return {str(bucket): count for bucket, count in sorted(self._counts.items())}

    def clear(self) -> None:
        self._counts.clear()

    @staticmethod
    def _middle(bucket: int) -> float:
        upper: float = _LOWEST_SECONDS * _GROWTH**bucket
        return upper if bucket == 0 else upper / math.sqrt(_GROWTH)
