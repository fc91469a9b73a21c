"""Contestants, and rounds in which each has its turn: what disturbs the machine for a while disturbs all of them."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.children.report import NotRun

Say = Callable[[str], None]


class Run(NamedTuple):
    """One turn. CPU is user and system; `server_cpu_seconds` of the servers that it talked to, while it ran."""

    rows: int
    seconds: float
    cpu_seconds: float = 0.0
    server_cpu_seconds: float = 0.0
    peak_bytes: int = 0


class Contestant(NamedTuple):
    """`most_rounds`: of a slow one that nothing close is held to; None: it has its turn in each round."""

    name: str
    run: Callable[[], Run]
    most_rounds: int | None = None


@dataclass(slots=True)
class Outcome:
    """What became of a contestant: its runs, or the reason why there are none."""

    name: str
    runs: list[Run] = field(default_factory=list)
    reason: str = ""

    @property
    def rate(self) -> float:
        """Rows a second, the median; 0 where it did not run."""
        return statistics.median(run.rows / run.seconds for run in self.runs) if self.runs else 0.0

    @property
    def seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs) if self.runs else 0.0

    @property
    def cpu_us_a_row(self) -> float:
        return statistics.median(run.cpu_seconds / run.rows * 1e6 for run in self.runs) if self.runs else 0.0

    @property
    def server_cpu_us_a_row(self) -> float:
        return statistics.median(run.server_cpu_seconds / run.rows * 1e6 for run in self.runs) if self.runs else 0.0

    @property
    def peak_bytes(self) -> int:
        return max((run.peak_bytes for run in self.runs), default=0)

    def ratios(self, other: "Outcome") -> list[float]:
        """This one's rate over the other's, round by round."""
        return [
            (mine.rows / mine.seconds) / (theirs.rows / theirs.seconds)
            for mine, theirs in zip(self.runs, other.runs, strict=False)
        ]

    def ratio(self, other: "Outcome") -> float | None:
        """The median of the rounds' ratios; None where one of them did not run."""
        found = self.ratios(other)
        return statistics.median(found) if found else None


def interleaved(contestants: Sequence[Contestant], rounds: int, say: Say) -> dict[str, Outcome]:
    """All of them in turn, `rounds` times, each round beginning with another one."""
    outcomes = {one.name: Outcome(one.name) for one in contestants}
    for number in range(rounds):
        turn = number % max(1, len(contestants))
        for one in (*contestants[turn:], *contestants[:turn]):
            outcome = outcomes[one.name]
            if outcome.reason or (one.most_rounds is not None and number >= one.most_rounds):
                continue
            say(f"round {number + 1} of {rounds}: {one.name}")
            try:
                outcome.runs.append(one.run())
            except NotRun as error:
                # Part of the rounds would not be comparable.
                outcome.runs.clear()
                outcome.reason = str(error)
    return outcomes


def fastest(outcomes: Mapping[str, Outcome], names: Sequence[str]) -> Outcome | None:
    """The one with the highest rate among those that ran."""
    ran = [outcomes[name] for name in names if name in outcomes and outcomes[name].runs]
    return max(ran, key=lambda one: one.rate, default=None)
