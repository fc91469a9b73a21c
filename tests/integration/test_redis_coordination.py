"""Coordination on a real Redis that loses replies, hangs, refuses, forgets and has its clock set."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from cdc.coordination.redis import RedisCoordination, findings
from cdc.local import Server
from cdc.model.config import Url
from cdc.model.errors import CoordinationRefused, CoordinationUnavailable
from tests.support.own_redis import start_own_redis
from tests.support.relay import Relay
from tests.support.wait import until

CANARY = "canary-pw-93"


def coordination(url: str, timeout_seconds: float = 5.0) -> RedisCoordination:
    return RedisCoordination("shop", Url(url), timeout_seconds=timeout_seconds)


@pytest.fixture
def relay(redis_url: str) -> Iterator[Relay]:
    with Relay(redis_url) as one:
        yield one


@pytest.fixture
def relayed_url(relay: Relay, redis_url: str) -> str:
    return f"redis://127.0.0.1:{relay.port}{urlsplit(redis_url).path}"


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a Redis with further options, for this test alone."""
    started: list[Server] = []

    def start(*options: str) -> Server:
        started.append(start_own_redis(tmp_path / f"redis{len(started)}", *options))
        return started[-1]

    yield start
    for server in started:
        server.remove()


# --- lost and late replies


@pytest.mark.parametrize("cut", [True, False], ids=["connection cut", "no answer"])
def test_a_holder_whose_answer_was_lost_recognises_itself(
    relay: Relay, relayed_url: str, redis_url: str, cut: bool
) -> None:
    mine, other = coordination(relayed_url, timeout_seconds=0.3), coordination(redis_url)
    assert mine.marks() == {}  # connected: the next reply is the one to the acquire
    _know_the_scripts(other)
    relay.cut, relay.lose_replies = cut, 1
    with pytest.raises(CoordinationUnavailable):
        mine.acquire("reader", "mine", 30)
    assert relay.lost == 1
    granted = other.holders()["reader"]
    assert granted.owner == "mine"
    again = mine.acquire("reader", "mine", 30)
    assert again is not None
    assert again.token == granted.token
    assert other.acquire("reader", "other", 30) is None


def _know_the_scripts(one: RedisCoordination) -> None:
    """So that a script is one request: the server may not have seen its text yet."""
    lease = one.acquire("warm", "up", 1)
    assert lease is not None
    one.renew(lease, 1)
    one.release(lease)


def test_a_renewal_whose_answer_was_lost_can_be_asked_for_again(relay: Relay, relayed_url: str) -> None:
    mine = coordination(relayed_url)
    _know_the_scripts(mine)
    lease = mine.acquire("reader", "mine", 30)
    assert lease is not None
    relay.lose_replies = 1
    with pytest.raises(CoordinationUnavailable):
        mine.renew(lease, 30)
    assert mine.renew(lease, 30) is not None


def test_the_drivers_retry_never_asks_a_second_time(relay: Relay, relayed_url: str, redis_url: str) -> None:
    mine = coordination(relayed_url)
    _know_the_scripts(mine)
    with redis.Redis.from_url(redis_url) as client:
        before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        relay.lose_replies = 1
        with pytest.raises(CoordinationUnavailable):
            mine.acquire("reader", "mine", 30)
        assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1


def test_a_late_answer_does_not_prolong_the_deadline(relay: Relay, relayed_url: str) -> None:
    mine = coordination(relayed_url)
    _know_the_scripts(mine)
    relay.delay_seconds = 0.4
    before = time.monotonic()
    lease = mine.acquire("reader", "mine", 2)
    answered = time.monotonic()
    assert lease is not None
    assert answered - before >= 0.4
    assert lease.deadline < answered + 2 - 0.35


# --- unreachable, refused


def test_a_redis_that_is_not_there_is_unavailable(relay: Relay) -> None:
    relay.close()
    with pytest.raises(CoordinationUnavailable, match="does not answer") as told:
        coordination(f"redis://u:{CANARY}@127.0.0.1:{relay.port}").check()
    assert CANARY not in str(told.value) + repr(told.value)


def test_a_redis_that_hangs_is_unavailable_within_the_timeout(start_redis: Callable[..., Server]) -> None:
    server = start_redis()
    one = coordination(server.url, timeout_seconds=0.4)
    assert one.acquire("reader", "a", 30) is not None
    server.pause()
    try:
        for _ in range(2):
            begin = time.monotonic()
            with pytest.raises(CoordinationUnavailable):
                one.acquire("reader", "a", 30)
            assert 0.3 < time.monotonic() - begin < 2
    finally:
        server.resume()
    until(lambda: one.acquire("reader", "a", 30), 5, "it goes on by itself")


def test_after_a_restart_without_persistence_it_goes_on_with_higher_tokens(start_redis: Callable[..., Server]) -> None:
    server = start_redis()
    one = coordination(server.url)
    lease = one.acquire("reader", "a", 30, floor=6)
    assert lease is not None
    server.kill()
    server.restart()
    assert until(one.check, 10, "it answers again")
    assert one.renew(lease, 30) is None
    after = one.acquire("reader", "b", 30, floor=lease.token)
    assert after is not None
    assert after.token == lease.token + 1


def test_a_wrong_password_is_refused_without_showing_it(start_redis: Callable[..., Server]) -> None:
    server = start_redis("--requirepass", "the-right-one")
    port = urlsplit(server.url).port
    for credentials in (f":{CANARY}@", f"nobody:{CANARY}@", ""):
        with pytest.raises(CoordinationRefused) as told:
            coordination(f"redis://{credentials}127.0.0.1:{port}/0").acquire("reader", "a", 30)
        assert CANARY not in str(told.value) + repr(told.value)
        assert "password" in told.value.hint
    assert coordination(server.url).check()


def test_a_user_without_rights_is_refused(start_redis: Callable[..., Server]) -> None:
    server = start_redis()
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL SETUSER", "weak", "on", f">{CANARY}", "~*", "+@all", "-@write")
        client.execute_command("ACL SETUSER", "elsewhere", "on", f">{CANARY}", "~other:*", "+@all")
    for user in ("weak", "elsewhere"):
        url = f"redis://{user}:{CANARY}@127.0.0.1:{urlsplit(server.url).port}/0"
        for ask in (lambda one: one.check(), lambda one: one.acquire("reader", "a", 30)):
            with pytest.raises(CoordinationRefused) as told:
                ask(coordination(url))
            assert CANARY not in str(told.value) + repr(told.value)


def test_the_rights_that_the_documentation_names_are_enough(start_redis: Callable[..., Server]) -> None:
    server = start_redis()
    rights = ("~{shop}:*", "+@read", "+@write", "+@scripting", "+@connection", "+info", "+time")
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL SETUSER", "shop", "on", f">{CANARY}", *rights)
    one = coordination(f"redis://shop:{CANARY}@127.0.0.1:{urlsplit(server.url).port}/0")
    assert one.check()
    lease = one.acquire("reader", "a", 30)
    assert lease is not None
    assert one.renew(lease, 30) is not None
    assert set(one.holders()) == {"reader"}
    assert one.join("sink", "m", 30)
    one.ask_handover("reader", 30)
    assert one.handover_asked("reader")
    one.mark({"a": "1"})
    one.leave("sink", "m")
    one.release(lease)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_redis_that_may_evict_is_refused_with_the_fix(start_redis: Callable[..., Server], policy: str) -> None:
    server = start_redis("--maxmemory", "64mb", "--maxmemory-policy", policy)
    with pytest.raises(CoordinationRefused, match=policy) as told:
        coordination(server.url).check()
    assert "CONFIG SET maxmemory-policy noeviction" in told.value.hint
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
    assert "maxmemory-policy noeviction" in coordination(server.url).check()


def test_a_full_redis_is_unavailable(start_redis: Callable[..., Server]) -> None:
    server = start_redis("--maxmemory", "1")
    with pytest.raises(CoordinationUnavailable, match="maxmemory"):
        coordination(server.url).acquire("reader", "a", 30)


def test_a_replica_is_not_written_to(start_redis: Callable[..., Server]) -> None:
    server = start_redis()
    one = coordination(server.url)
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(CoordinationUnavailable):
            one.acquire("reader", "a", 30)
        client.execute_command("REPLICAOF", "NO", "ONE")
    assert one.acquire("reader", "a", 30) is not None


# --- forgotten scripts, clocks, foreign keys


def test_a_server_that_forgot_the_scripts_is_given_them_again(redis_url: str) -> None:
    one = coordination(redis_url)
    lease = one.acquire("reader", "a", 30)
    assert lease is not None
    with redis.Redis.from_url(redis_url) as client:
        client.script_flush()
    assert one.renew(lease, 30) is not None


def test_a_lease_does_not_outlive_its_length_when_the_servers_clock_was_set_back(redis_url: str) -> None:
    """To the server's expiry, a clock set back by an hour is a lease that ends an hour later."""
    one = coordination(redis_url)
    assert one.acquire("reader", "dead", 0.3) is not None
    with redis.Redis.from_url(redis_url) as client:
        client.pexpire("{shop}:lease:reader", 3_600_000)
    until(lambda: one.acquire("reader", "next", 30), 5, "the next owner gets the lease")


def test_a_members_life_does_not_become_longer_when_the_servers_clock_was_set_back(redis_url: str) -> None:
    one = coordination(redis_url)
    one.join("sink", "dead", 0.3)
    with redis.Redis.from_url(redis_url) as client:
        ends, length = client.hget("{shop}:members:sink", "dead").split()
        client.hset("{shop}:members:sink", "dead", b"%d %s" % (int(ends) + 3_600_000, length))
    assert one.join("sink", "lives", 30)["dead"] <= 0.3
    until(lambda: set(one.join("sink", "lives", 30)) == {"lives"}, 5, "the dead member is gone")


def test_the_token_counter_never_expires(redis_url: str) -> None:
    one = coordination(redis_url)
    assert one.acquire("reader", "a", 30) is not None
    with redis.Redis.from_url(redis_url) as client:
        assert client.ttl("{shop}:token:reader") == -1
        assert 0 < client.pttl("{shop}:lease:reader") <= 30_000


def test_all_keys_of_a_connector_are_in_one_slot(redis_url: str) -> None:
    one = coordination(redis_url)
    assert one.acquire("reader", "a", 30) is not None
    one.ask_handover("reader", 30)
    one.join("sink", "m", 30)
    one.mark({"a": "1"})
    with redis.Redis.from_url(redis_url) as client:
        keys = client.keys()
    assert len(keys) == 6
    assert all(key.startswith(b"{shop}:") for key in keys)


def test_a_key_of_another_kind_in_our_place_is_refused_not_overwritten(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.lpush("{shop}:lease:reader", "x")
        with pytest.raises(CoordinationRefused):
            coordination(redis_url).acquire("reader", "a", 30)
        assert client.lrange("{shop}:lease:reader", 0, -1) == [b"x"]


# --- what INFO means


@pytest.mark.parametrize(
    ("info", "tells"),
    [
        ({"redis_version": "4.0.14"}, "version 4.0.14"),
        ({"redis_version": "7.2.4", "role": "slave"}, "is a replica"),
        ({"redis_version": "7.2.4", "maxmemory": "100", "maxmemory_policy": "volatile-lru"}, "volatile-lru"),
    ],
)
def test_an_unfit_server_is_refused(info: dict[str, str], tells: str) -> None:
    with pytest.raises(CoordinationRefused, match=tells):
        findings(info, Url("redis://127.0.0.1"))


def test_a_policy_without_a_limit_evicts_nothing() -> None:
    info = {"redis_version": "7.2.4", "maxmemory": "0", "maxmemory_policy": "allkeys-lru", "aof_enabled": "1"}
    assert any("appendonly on" in line for line in findings(info, Url("redis://127.0.0.1")))
