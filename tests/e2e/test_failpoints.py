"""A reader and a sink killed at every step between read and ack: whoever starts next goes on, once and in order."""

import signal
from dataclasses import dataclass, field

import pytest

from tests.support.chaos import Chaos, Kinds, Load, chaos
from tests.support.pipeline import Process
from tests.support.wait import until

READER = ("reader.read", "reader.publish", "reader.published", "reader.checkpointed")
SINK = ("sink.received", "sink.begun", "sink.locked", "sink.applied", "sink.progress", "sink.committed", "sink.acked")
FEW = ("sink.applied", "sink.committed")
COMBINATIONS = [
    (Kinds("mysql", "redis", "postgresql", "key"), READER, SINK),
    (Kinds("mysql", "kafka", "mysql", "transaction"), ("reader.published", "reader.checkpointed"), FEW),
    (Kinds("mariadb", "redis", "sqlite", "transaction"), (), FEW),
]


@dataclass
class Chain:
    """Whoever was killed is followed by one that is killed a step further on, and the last by one that lives."""

    case: Chaos = field(repr=False)
    command: str
    steps: tuple[str, ...]
    done: int = 0
    victim: Process | None = field(default=None, repr=False)

    def turn(self) -> bool:
        """Looks once; whether the last one runs."""
        if self.victim is not None and self.victim.running:
            return self.done == len(self.steps)
        if self.victim is not None:
            assert self.victim.process.returncode == -signal.SIGKILL, self.victim.text()
            self.done += 1
        if self.done == len(self.steps):
            self.victim = self.case.fleet.start(self.command)
        else:
            self.victim = self.case.doomed(self.command, f"{self.steps[self.done]}:kill@3")
        return False


@pytest.mark.parametrize(
    ("kinds", "reader_steps", "sink_steps"),
    COMBINATIONS,
    ids=lambda value: str(value) if isinstance(value, Kinds) else "",
)
def test_a_kill_at_any_step_loses_nothing_and_doubles_nothing(
    kinds: Kinds, reader_steps: tuple[str, ...], sink_steps: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    with chaos(request, kinds, lease_seconds=2) as case:
        with Load(case.work, pause_seconds=0.03):
            chains = [Chain(case, "reader", reader_steps), Chain(case, "sink", sink_steps)]
            until(lambda: min(chain.turn() for chain in chains), 120, lambda: f"the kills: {chains}")
        case.finish()
