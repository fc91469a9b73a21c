"""A copy waits for its hours, and for a source that has too much to do."""

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, time
from typing import Any

import pytest

from cdc.binlog.replica_lag import lag_of
from cdc.binlog.rows_port import ReplicaLag
from cdc.model.config import SnapshotConfig
from cdc.model.errors import SourceUnavailable
from cdc.model.hours import Hours
from cdc.processes import copy_throttle
from cdc.processes.copy_throttle import Throttle


class AtOnce(Executor):
    """Does what it is given before it returns."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except SourceUnavailable as error:
            done.set_exception(error)
        return done


class Source:
    """How many threads run there; an error where they cannot be asked for. `lags`: what its replicas say."""

    def __init__(self, running: int, lags: Sequence[ReplicaLag] = ()) -> None:
        self.running: int | None = running
        self.lags = lags

    def running_threads(self) -> int:
        if self.running is None:
            raise SourceUnavailable("away", hint="")
        return self.running

    def replica_lags(self) -> Sequence[ReplicaLag]:
        return self.lags


def settings(**given: Any) -> SnapshotConfig:
    return SnapshotConfig.model_validate(given)


def at(hour: int) -> datetime:
    return datetime(2026, 1, 1, hour, 30, tzinfo=UTC)


def throttle(given: SnapshotConfig, source: Source, hour: int = 12) -> Throttle:
    return Throttle(given, source, AtOnce, lambda: at(hour))  # type: ignore[arg-type]


def test_without_limits_it_never_waits_and_asks_nothing() -> None:
    source = Source(999)
    source.running = None
    assert throttle(settings(), source).allows()


def test_it_waits_until_it_knows_that_the_source_is_calm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_throttle, "_ASK_SECONDS", 0.0)
    source = Source(9)
    paced = throttle(settings(max_running_threads=3), source)
    assert [paced.allows() for _ in range(3)] == [False, False, False]
    source.running = 3
    assert [paced.allows() for _ in range(3)] == [False, True, True]
    source.running = None
    assert [paced.allows() for _ in range(2)] == [True, False]
    source.running = 1
    assert [paced.allows() for _ in range(2)] == [False, True]


def test_it_asks_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    source = Source(1)
    monkeypatch.setattr(source, "running_threads", lambda: asked.append(1) or 1)
    paced = throttle(settings(max_running_threads=3), source)
    for _ in range(50):
        paced.allows()
    assert len(asked) == 1


REPLICAS = ["mysql://a:b@one:3306", "mysql://a:b@two:3306"]


def test_it_waits_while_a_replica_is_too_far_behind_or_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_throttle, "_ASK_SECONDS", 0.0)
    near = ReplicaLag("one:3306", 1.0)
    source = Source(1, [near, ReplicaLag("two:3306", 11.0)])
    paced = throttle(settings(max_replica_lag_seconds=10, replicas=REPLICAS), source)
    assert [paced.allows() for _ in range(2)] == [False, False]
    assert paced.why == "replica two:3306 is 11 s behind"
    source.lags = [ReplicaLag("one:3306", None, "does not replicate"), near]
    assert [paced.allows() for _ in range(2)] == [False, False]
    assert paced.why == "replica one:3306 does not replicate"
    source.lags = [near, ReplicaLag("two:3306", 10.0)]
    assert [paced.allows() for _ in range(2)] == [False, True]
    assert paced.why == ""


def test_what_it_waits_for_is_logged_once_not_with_each_number(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(copy_throttle, "_ASK_SECONDS", 0.0)
    caplog.set_level("INFO")
    source = Source(1)
    paced = throttle(settings(max_replica_lag_seconds=1, replicas=REPLICAS[:1]), source)
    for seconds in (2.0, 3.0, 4.0, None, None, 0.0, 0.0):
        source.lags = [ReplicaLag("one:3306", seconds, "away")]
        paced.allows()
    paced.allows()
    actions = [getattr(record, "action", "") for record in caplog.records]
    assert actions == ["copy.paced", "copy.paced", "copy.resumed"]


@pytest.mark.parametrize(
    ("channels", "seconds", "problem"),
    [
        ([{"Seconds_Behind_Source": 3}], 3.0, ""),
        ([{"Seconds_Behind_Master": 0}, {"Seconds_Behind_Master": 7}], 7.0, ""),
        (
            [
                {"Connection_name": "a", "Seconds_Behind_Master": 0},
                {"Connection_name": "b", "Seconds_Behind_Master": None},
            ],
            None,
            "does not replicate (channel b)",
        ),
        ([{"Channel_Name": "", "Seconds_Behind_Source": None}], None, "does not replicate"),
        ([], None, "is no replica"),
    ],
)
def test_the_worst_channel_counts(channels: list[dict[str, Any]], seconds: float | None, problem: str) -> None:
    assert lag_of("one:3306", channels) == ReplicaLag("one:3306", seconds, problem)


@pytest.mark.parametrize("given", [{"max_replica_lag_seconds": 1}, {"replicas": REPLICAS}])
def test_a_limit_and_replicas_belong_together(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="replicas"):
        settings(**given)


@pytest.mark.parametrize(("hour", "open_"), [(21, False), (22, True), (3, True), (6, False), (12, False)])
def test_it_keeps_its_hours_over_midnight(hour: int, open_: bool) -> None:
    assert throttle(settings(window="22:00-06:00"), Source(1), hour).allows() is open_


def test_hours_within_a_day() -> None:
    hours = Hours.parse("09:00-17:30")
    assert hours.has(time(9, 0))
    assert hours.has(time(17, 29))
    assert not hours.has(time(17, 30))
    assert not hours.has(time(8, 59))


@pytest.mark.parametrize("text", ["9:00-10:00", "24:00-01:00", "10:00-10:00", "10:00", "10:00-11:60", ""])
def test_what_is_no_part_of_a_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a part of the day"):
        Hours.parse(text)
