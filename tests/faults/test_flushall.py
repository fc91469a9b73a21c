"""Redis forgets, goes back in time, or is away: the pipeline notices, goes on by what the target has, and stays correct."""

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from cdc.local import Server
from tests.support.chaos import CANARY, LEASE_SECONDS, Chaos, Kinds, Load, chaos, new_seed, queue_sections
from tests.support.own_redis import start_own_redis
from tests.support.wait import until
from tests.support.zombies import all_higher, begin_with_tables, of, stopped

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

OUTAGE_SECONDS = float(os.environ.get("CDC_FAULT_OUTAGE_SECONDS", "15"))
KINDS = [
    Kinds("mysql", "kafka", "postgresql", "key"),
    Kinds("mysql", "redis", "postgresql", "key"),
    Kinds("mariadb", "redis", "mariadb", "transaction"),
    Kinds("mysql", "kafka", "mysql", "transaction"),
]


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    """One that may be hurt, with a password; nothing on its disk but what SAVE writes."""
    server = start_own_redis(tmp_path / "redis", "--requirepass", f"{CANARY}-redis")
    try:
        yield server
    finally:
        server.remove()


@contextmanager
def on(own_redis: Server, request: pytest.FixtureRequest, kinds: Kinds, **more: Any) -> Iterator[Chaos]:
    """A connector on that Redis: as coordination only, or as the queue too."""
    sections = queue_sections(request, kinds.queue, own_redis.url)
    with chaos(request, kinds, sections=sections, **more) as case:
        yield case


def client(server: Server) -> "redis.Redis":
    return redis.Redis.from_url(server.url)


def warmed_up(case: Chaos, load: Load) -> dict[str, tuple[int, int]]:
    """Waits until every lane has applied something; its tokens then."""
    load.more(50)
    lanes = case.document["queue"]["lanes"]
    until(
        lambda: case.begun() and sum(row["events"] > 0 for row in case.progress().values()) == lanes,
        60,
        "all lanes work",
    )
    return case.tokens()


def higher(before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]]) -> bool:
    """Whether every lane's sink and reader have higher tokens than before."""
    return all(now[lane][0] > sink and now[lane][1] > reader for lane, (sink, reader) in before.items())


@pytest.mark.parametrize("kinds", KINDS, ids=str)
def test_after_flushall_the_loss_is_noticed_and_made_good_with_higher_tokens(
    kinds: Kinds, own_redis: Server, request: pytest.FixtureRequest
) -> None:
    pick = random.Random(new_seed())
    with on(own_redis, request, kinds) as case, client(own_redis) as raw:
        reader = case.reader()
        sinks = [case.sink(), case.sink()]
        with Load(case.work, pause_seconds=0.01) as load:
            for flush in range(3):
                tokens = warmed_up(case, load)
                # Twice there certainly is something in the queue that no sink has.
                asleep = sinks if flush else []
                for sink in asleep:
                    sink.pause()
                load.more(pick.randint(5, 60))
                raw.flushall()
                for sink in asleep:
                    sink.resume()
                until(lambda tokens=tokens: higher(tokens, case.tokens()), 90, f"higher tokens than {tokens}")
                case.fleet.require_running()
        case.until_equal()
        notice = "reader.recovering" if kinds.queue == "redis" else "lease.lost"
        assert notice in reader.text(), reader.text()
        case.finish()


@pytest.mark.parametrize("kinds", KINDS, ids=str)
def test_a_sink_whose_lease_redis_forgot_is_held_off_by_the_target_alone(
    kinds: Kinds, own_redis: Server, request: pytest.FixtureRequest
) -> None:
    """Its own clock says that the lease is good for a long time yet: nothing but the token in the progress row stops it."""
    with on(own_redis, request, kinds, lease_seconds=60) as case, client(own_redis) as raw:
        case.reader()
        witness = begin_with_tables(case)
        sleeper = case.doomed("sink", "sink.begun:stop@6")
        with Load(case.work, pause_seconds=0.01) as load:
            until(lambda: stopped(sleeper), 60, lambda: f"the stop: {sleeper.text()}")
            tokens, old = case.tokens(), set(witness.writers())
            raw.flushall()
            heir = case.sink()
            until(lambda: all_higher(tokens, case.tokens()), 40, lambda: f"every lane is taken over: {heir.text()}")
            before = of(witness, old)
            sleeper.resume()
            until(lambda: "held with token" in sleeper.text(), 40, lambda: f"it is fenced: {sleeper.text()}")
            load.more(50)
        case.until_equal()
        assert of(witness, old) == before
        assert sleeper.end() == 0, sleeper.text()
        case.finish()


@pytest.mark.parametrize("kinds", KINDS[:2], ids=str)
def test_flushall_while_nothing_runs_is_made_good(
    kinds: Kinds, own_redis: Server, request: pytest.FixtureRequest
) -> None:
    with on(own_redis, request, kinds) as case, client(own_redis) as raw:
        reader, sink = case.reader(), case.sink()
        with Load(case.work) as load:
            tokens = warmed_up(case, load)
            case.fleet.kill(sink)
            load.more(50)
            case.fleet.kill(reader)
            raw.flushall()
            load.more(20)
        case.reader()
        case.sink()
        case.until_equal()
        assert higher(tokens, case.tokens())
        case.finish()


@pytest.mark.parametrize("kinds", KINDS, ids=str)
@pytest.mark.parametrize("sinks_sleep", [False, True], ids=["awake", "asleep"])
def test_a_redis_restored_to_a_state_some_seconds_old_is_noticed_and_made_good(
    kinds: Kinds, sinks_sleep: bool, own_redis: Server, request: pytest.FixtureRequest
) -> None:
    with on(own_redis, request, kinds) as case, client(own_redis) as raw:
        case.reader()
        sinks = [case.sink(), case.sink()]
        with Load(case.work, pause_seconds=0.01) as load:
            tokens = warmed_up(case, load)
            raw.save()
            load.more(100)
            if sinks_sleep:
                for sink in sinks:
                    sink.pause()
            load.more(100)
            own_redis.kill()
            load.more(10)
            own_redis.restart()
            assert raw.dbsize() > 0, "the old state is not back"
            if sinks_sleep:
                for sink in sinks:
                    sink.resume()
            until(lambda: higher(tokens, case.tokens()), 90, lambda: f"higher tokens than {tokens}")
            load.more(50)
        case.finish()


@pytest.mark.parametrize("kinds", KINDS[:3], ids=str)
def test_a_redis_that_is_away_for_a_while_stops_the_sinks_within_the_lease_and_all_resume_by_themselves(
    kinds: Kinds, own_redis: Server, request: pytest.FixtureRequest
) -> None:
    with on(own_redis, request, kinds) as case:
        case.reader()
        case.sink()
        with Load(case.work, pause_seconds=0.01) as load:
            warmed_up(case, load)
            own_redis.pause()
            away = time.monotonic()
            until(lambda: time.monotonic() - away > LEASE_SECONDS + 1, 60, "the lease has passed")
            applied = case.applied()
            until(lambda: time.monotonic() - away > OUTAGE_SECONDS, OUTAGE_SECONDS + 5, "the outage")
            assert case.applied() == applied, "a sink wrote without a lease"
            case.fleet.require_running()
            own_redis.resume()
            until(lambda: case.applied() > applied, 60, "the sinks go on")
            load.more(20)
            own_redis.stop()
            load.more(100)
            own_redis.restart()  # empty
        case.finish(120)
