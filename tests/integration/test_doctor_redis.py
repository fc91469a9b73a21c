"""What `cdc check` finds at a real Redis: each missing right by its command, kind of server, room, and nothing written by
looking."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from cdc.coordination.redis import RedisCoordination
from cdc.local import Server
from cdc.model.config import Url
from cdc.model.finding import Finding
from cdc.queue.redis_doctor import backlog_bytes
from cdc.queue.redis_streams import RedisStreamsQueue
from tests.support.doctor import about, only
from tests.support.own_redis import start_cluster_node, start_own_redis
from tests.support.queues import connector
from tests.support.wait import until

PASSWORD = "canary-5e1f"
ALL_QUEUE = "+@read +@write +@scripting +@connection +@transaction +info"
ALL_COORDINATION = "+@read +@write +@scripting +@connection +multi +info +time"


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(*options: str) -> Server:
        started.append(start_own_redis(tmp_path / f"redis{len(started)}", *options))
        return started[-1]

    yield start
    for server in started:
        server.remove()


def of_queue(url: str, message_bytes: int = 1000, **queue: object) -> list[Finding]:
    one = RedisStreamsQueue(connector(url, name="shop", **queue))  # type: ignore[arg-type]
    try:
        return list(one.findings(message_bytes))
    finally:
        one.close()


def of_coordination(url: str) -> list[Finding]:
    one = RedisCoordination("shop", Url(url))
    try:
        return list(one.findings())
    finally:
        one.close()


def as_user(server: Server, *rules: str) -> str:
    """The URL of a user with these rights."""
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL SETUSER", "weak", "reset", "on", f">{PASSWORD}", *rules)
    return f"redis://weak:{PASSWORD}@127.0.0.1:{urlsplit(server.url).port}/0"


@pytest.mark.parametrize(("look", "rights"), [(of_queue, ALL_QUEUE), (of_coordination, ALL_COORDINATION)])
def test_each_command_that_the_user_may_not_run_is_named(
    start_redis: Callable[..., Server], look: Callable[[str], list[Finding]], rights: str
) -> None:
    server = start_redis()
    enough = as_user(server, "~{shop}:*", *rights.split())
    assert about(look(enough), "rights") == []
    lacking = as_user(server, "~{shop}:*", *rights.split(), "-hset", "-evalsha")
    found = only(look(lacking), "rights", "error")
    assert "EVALSHA, HSET" in found.text
    assert found.fix == "ACL SETUSER weak +evalsha +hset"
    assert PASSWORD not in found.text


@pytest.mark.parametrize(("look", "rights"), [(of_queue, ALL_QUEUE), (of_coordination, ALL_COORDINATION)])
def test_keys_that_the_user_may_not_use(
    start_redis: Callable[..., Server], look: Callable[[str], list[Finding]], rights: str
) -> None:
    found = only(look(as_user(start_redis(), "~other:*", *rights.split())), "rights", "error")
    assert "{shop}:*" in found.text
    assert found.fix == "ACL SETUSER weak ~{shop}:*"


def test_a_user_who_may_not_ask_for_info_is_told_so(start_redis: Callable[..., Server]) -> None:
    url = as_user(start_redis(), "~{shop}:*", *ALL_QUEUE.split(), "-info")
    assert "INFO" in only(of_queue(url), "rights", "error").text


def test_leases_do_not_need_multi(start_redis: Callable[..., Server]) -> None:
    url = as_user(start_redis(), "~{shop}:*", *ALL_COORDINATION.split(), "-multi")
    (found,) = about(of_coordination(url), "rights")
    assert (found.level, "not looked at" in found.text) == ("ok", True)


def test_looking_writes_nothing(start_redis: Callable[..., Server]) -> None:
    server = start_redis()
    of_queue(server.url)
    of_coordination(server.url)
    with redis.Redis.from_url(server.url) as client:
        assert client.dbsize() == 0
        assert client.info("persistence")["rdb_changes_since_last_save"] == 0


def test_a_full_backlog_that_has_no_room(start_redis: Callable[..., Server]) -> None:
    server = start_redis("--maxmemory", "100mb")
    assert backlog_bytes(2, 100_000, 1000) > 100 * 2**20
    found = only(of_queue(server.url, max_backlog=100_000), "memory", "warning")
    fitting = int(found.fix.partition("max_backlog to ")[2].split()[0])
    assert [one.level for one in about(of_queue(server.url, max_backlog=fitting), "memory")] == ["ok"]


def test_an_evicting_policy(start_redis: Callable[..., Server]) -> None:
    server = start_redis("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    for look in (of_queue, of_coordination):
        assert "allkeys-lru" in only(look(server.url), "eviction", "error").text
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
    for look in (of_queue, of_coordination):
        assert [one.level for one in about(look(server.url), "eviction")] == ["ok"]


def test_persistence(start_redis: Callable[..., Server]) -> None:
    assert "read again" in only(of_queue(start_redis().url), "persistence", "warning").text
    kept = start_redis("--appendonly", "yes")
    assert [one.level for one in about(of_queue(kept.url), "persistence")] == ["ok"]
    assert [one.level for one in about(of_coordination(kept.url), "persistence")] == ["ok"]


def test_a_replica_and_its_master(start_redis: Callable[..., Server]) -> None:
    master = start_redis()
    replica = start_redis("--replicaof", "127.0.0.1", str(urlsplit(master.url).port))
    with redis.Redis.from_url(master.url) as client:
        until(lambda: client.info("replication")["connected_slaves"] == 1, 20, "the replica is connected")
    for look in (of_queue, of_coordination):
        found = look(replica.url)
        only(found, "role", "error")
        assert about(look(master.url), "role") == []
        assert "1 connected" in about(look(master.url), "replicas", "ok")[0].text
    assert "read only replica" in only(of_queue(replica.url), "state", "error").text


def test_a_server_that_is_full_says_so(start_redis: Callable[..., Server]) -> None:
    server = start_redis()
    assert about(of_queue(server.url), "state") == []
    with redis.Redis.from_url(server.url) as client:
        client.set("ballast", "x" * 10**6)
        client.config_set("maxmemory", "500kb")
    assert "memory" in only(of_queue(server.url), "state", "error").text


def test_a_node_of_a_cluster_by_a_url_for_one_server(tmp_path: Path) -> None:
    node = start_cluster_node(tmp_path / "node")
    try:
        with redis.Redis.from_url(node.url) as client:
            client.execute_command("CLUSTER ADDSLOTS", *range(16384))
            until(lambda: b"cluster_state:ok" in bytes(_info(client)), 20, "the cluster is up")
        for look in (of_queue, of_coordination):
            assert "redis+cluster://" in only(look(node.url), "cluster", "error").fix
            assert about(look(node.url.replace("redis://", "redis+cluster://").removesuffix("/0")), "cluster") == []
    finally:
        node.remove()


def _info(client: redis.Redis) -> bytes:
    told = client.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]
    return told if isinstance(told, bytes) else repr(told).replace("': '", ":").encode()
