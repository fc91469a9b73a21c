"""When `verify:` compares, by whom, and what it tells."""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from cdc.coordination.memory import MemoryCoordination
from cdc.model.config import VerifyConfig
from cdc.model.copies import Copies, TableCopy
from cdc.model.duration import seconds_of
from cdc.model.errors import SinkBehind, TableRefused
from cdc.observe.health import Health
from cdc.observe.metrics import Metrics
from cdc.processes import verify_schedule
from cdc.processes.verified import VERIFY, Verified
from cdc.processes.verify_report import TableReport
from cdc.processes.verify_schedule import ScheduledVerify
from tests.support.wait import until

HOUR = 3600.0


def report(**counts: Any) -> TableReport:
    return TableReport("sink", "shop.orders", rows=10, **counts)


class World:
    """A coordination, the time, what is copied, and what each comparison finds (`finds`, an error is raised)."""

    def __init__(self) -> None:
        self.name = uuid.uuid4().hex
        self.coordination = MemoryCoordination(self.name)
        self.now = 1_000_000.0
        self.copies: Copies | None = Copies()
        self.finds: list[Any] = []
        self.otherwise: Callable[[], Sequence[TableReport]] = lambda: [report()]
        self.compared = 0
        self.metrics = Metrics()

    def compare(self, watcher: Any, clock: Any) -> Sequence[TableReport]:
        found = self.finds.pop(0) if self.finds else self.otherwise()
        if isinstance(found, Exception):
            self.compared += 1
            raise found
        for one in found:
            empty = TableReport(one.sink, one.table)
            watcher.begins(empty)
            watcher.moves(one)
            watcher.ends(one)
        self.compared += 1
        return list(found)

    def scheduled(self) -> ScheduledVerify:
        return ScheduledVerify(
            VerifyConfig(every="1h", max_rows_per_second=100),
            MemoryCoordination(self.name),
            self.compare,
            lambda: self.copies,
            lease_seconds=5,
            metrics=self.metrics.verify("shop"),
            health=Health(),
            now=lambda: self.now,
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self.scheduled().run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(20)
            assert not thread.is_alive()

    @property
    def last(self) -> Verified:
        return Verified.of(self.coordination.marks().get(VERIFY))

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"lockstep_verify_{name}", {"connector": "shop", **labels})

    def comes_to(self, number: int) -> None:
        until(lambda: self.compared >= number, 20, f"comparison {number}")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(verify_schedule, "_STEP_SECONDS", 0.01)
    monkeypatch.setattr(verify_schedule, "_LOOK_SECONDS", 0.02)
    return World()


def test_the_first_comparison_comes_at_once_and_the_next_after_its_time_also_after_a_restart(world: World) -> None:
    with world.running():
        until(lambda: world.last.ended, 20, "the end is noted")
        assert world.last == Verified(world.now, 0.0, "equal", 10, world.last.found)
    assert world.compared == 1
    world.now += HOUR - 1
    with world.running():
        until(lambda: VERIFY in world.coordination.holders(), 20, "it is at work")
    assert world.compared == 1
    world.now += 1
    with world.running():
        world.comes_to(2)


def test_a_second_process_stands_by(world: World) -> None:
    blocked = threading.Event()
    world.otherwise = lambda: (blocked.wait(10), [report()])[1]
    with world.running(), world.running():
        until(lambda: VERIFY in world.coordination.holders(), 20, "one of them is at work")
        blocked.set()
        until(lambda: world.last.ended, 20, "the end is noted")
    assert world.compared == 1


def test_differences_are_counted_told_and_left_as_they_are(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.finds = [[report(missing=2, different=1, waiting=4)]]
    with world.running():
        until(lambda: world.last.ended, 20, "the end is noted")
    assert world.last.result == "different"
    assert world.last.found["sink"] == {"missing": 2, "extra": 0, "different": 1, "waiting": 4, "unsettled": 0}
    assert world.value("last_differences", sink="sink", kind="missing") == 2
    assert world.value("last_result", result="different") == 1
    assert world.value("last_result", result="equal") == 0
    assert world.value("last_end_timestamp_seconds") == world.now
    assert world.value("rows_total") == 10
    warned = {getattr(record, "action", "") for record in caplog.records if record.levelname == "WARNING"}
    assert warned == {"verify.different", "verify.done"}


def test_a_restarted_process_tells_the_last_result_before_it_compares_anew(world: World) -> None:
    world.coordination.mark({VERIFY: Verified(world.now, 5.0, "different", 7, {"sink": {"extra": 3}}).to_json()})
    with world.running():
        until(lambda: world.value("last_result", result="different") == 1, 20, "it is told")
        assert world.value("last_differences", sink="sink", kind="extra") == 3
    assert not world.compared


def test_a_mark_of_another_version_counts_as_lost(world: World) -> None:
    world.coordination.mark({VERIFY: '{"something": "else"}'})
    with world.running():
        world.comes_to(1)


@pytest.mark.parametrize("nothing_read", [True, False])
def test_it_waits_for_the_end_of_a_copy(world: World, nothing_read: bool) -> None:
    world.copies = None if nothing_read else Copies(1, tables=(TableCopy("shop", "orders"),))
    with world.running():
        until(lambda: world.last.waits, 20, "it says what it waits for")
        assert not world.compared
        world.copies = Copies(2, done=("shop.orders",))
        until(lambda: world.last.ended, 20, "the end is noted")
    assert world.last.result == "equal"
    assert not world.last.waits


def test_what_differs_while_a_copy_begins_does_not_count(world: World) -> None:
    def with_a_copy() -> Sequence[TableReport]:
        world.copies = Copies(2, done=("shop.orders",))
        world.otherwise = lambda: [report()]
        return [report(missing=5)]

    world.otherwise = with_a_copy
    with world.running():
        until(lambda: world.last.ended, 20, "the end is noted")
    assert world.compared == 2
    assert world.last.result == "equal"


def test_an_attempt_that_fails_ends_nothing_and_is_made_again(world: World) -> None:
    world.finds = [SinkBehind("stands still", hint="start it"), TableRefused("no table", hint="make one")]
    with world.running():
        until(lambda: "stands still" in world.last.problem, 20, "the first failed")
        assert world.last.result == "never"
        world.now += 400
        until(lambda: "no table" in world.last.problem, 20, "the second failed")
        world.now += 400
        until(lambda: world.last.ended, 20, "the end is noted")
    assert not world.last.problem
    assert world.value("failures_total") == 2


def test_a_table_that_could_not_be_compared_is_no_equality(world: World) -> None:
    world.finds = [[report(), report(problem=TableRefused("no key", hint="make one"))]]
    with world.running():
        until(lambda: world.last.ended, 20, "the end is noted")
    assert world.last.result == "incomplete"
    assert "no key" in world.last.problem


def test_a_stop_ends_a_comparison_that_waits(world: World) -> None:
    paused = threading.Event()

    def compare(_watcher: Any, clock: Any) -> Sequence[TableReport]:
        paused.set()
        clock.pause(1000)
        raise AssertionError

    world.compare = compare  # type: ignore[method-assign]
    with world.running():
        assert paused.wait(20)
    assert not world.last.ended


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("6h", 21600), ("1d", 86400)])
def test_lengths_of_time(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "6", "0h", "h", "1.5h", "6 h", "-1h", "1w", "9999999h"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a length of time"):
        seconds_of(text)
