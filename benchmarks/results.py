"""What a run found, for tables, JSON and plots."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.run import Outcome

ABSENT = "not in this run"


@dataclass(frozen=True, slots=True)
class Section:
    """One comparison: all outcomes against that of `baseline`. `key` is `part.name`."""

    key: str
    title: str
    outcomes: Sequence[Outcome]
    baseline: str = ""

    def __getitem__(self, name: str) -> Outcome:
        found = next((one for one in self.outcomes if one.name == name), None)
        return found or Outcome(name, reason=ABSENT)

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "title": self.title,
            "baseline": self.baseline,
            "outcomes": [_outcome(one, self[self.baseline]) for one in self.outcomes],
        }


@dataclass(frozen=True, slots=True)
class Point:
    """What a thing costs at one size: `x` is the size; `outcome` may be a reason."""

    x: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Curve:
    """How cost grows with `what`."""

    key: str
    what: str
    points: Sequence[Point]

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "what": self.what,
            "points": [{"x": point.x, **_outcome(point.outcome, None)} for point in self.points],
        }


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from commit to visible, at one rate of one path."""

    path: str
    rate: int
    reached_rate: float = 0.0
    transactions: int = 0
    percentiles_ms: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A single number, like the memory of one process; None where it was not had, for `reason`."""

    key: str
    title: str
    value: float | None
    unit: str
    reason: str = ""


@dataclass(slots=True)
class Report:
    """All of a run."""

    quick: bool
    parts: Sequence[str]
    versions: dict[str, str] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    def section(self, key: str) -> Section:
        return next((one for one in self.sections if one.key == key), Section(key, "", ()))

    def figure(self, key: str) -> Figure:
        return next((one for one in self.figures if one.key == key), Figure(key, "", None, "", ABSENT))

    def to_json(self) -> dict[str, Any]:
        return {
            "quick": self.quick,
            "parts": list(self.parts),
            "machine": machine(),
            "versions": self.versions,
            "sections": [one.to_json() for one in self.sections],
            "curves": [one.to_json() for one in self.curves],
            "latencies": [asdict(one) for one in self.latencies],
            "figures": [asdict(one) for one in self.figures],
        }


def machine() -> dict[str, Any]:
    """What matters of the machine, without its name."""
    return {"cores": os.cpu_count(), "system": platform.system(), "processor": platform.machine()}


def _outcome(one: Outcome, baseline: Outcome | None) -> dict[str, Any]:
    told: dict[str, Any] = {"name": one.name}
    if one.reason:
        return {**told, "not_run": one.reason}
    told |= {
        "rows_per_second": round(one.rate),
        "rows_per_second_of_rounds": [round(run.rows / run.seconds) for run in one.runs],
        "rows": one.runs[0].rows if one.runs else 0,
        "cpu_us_per_row": round(one.cpu_us_a_row, 3),
        "server_cpu_us_per_row": round(one.server_cpu_us_a_row, 3),
        "peak_mb": round(one.peak_bytes / 1e6, 1),
    }
    ratio = one.ratio(baseline) if baseline is not None else None
    return told if ratio is None else {**told, "of_baseline": round(ratio, 3)}
