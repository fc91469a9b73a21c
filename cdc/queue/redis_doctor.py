"""Whether a Redis is fit for Redis Streams as a queue: rights, kind of server, eviction, persistence, and room for a full
backlog."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cdc.connect.redis_doctor import Command, eviction, facts_of, place, probe, rights, sentinels, server_for, version
from cdc.connect.redis_reply import takes_raw
from cdc.model.config import ConnectorConfig
from cdc.model.finding import Finding
from cdc.queue.redis_store import RedisStore
from cdc.queue.redis_streams import OLDEST

_ENTRY_BYTES: Final = 64
"""What an entry of a stream takes beside key and value: its id, and its part of a node."""
_MOST_OF_A_MACHINE: Final = 0.75


def findings(config: ConnectorConfig, store: RedisStore, message_bytes: int) -> Sequence[Finding]:
    """Raises QueueUnavailable and QueueRefused."""
    key = store.key("epoch")
    server = store.run(lambda client: server_for(client, key))
    # See RedisStore.publish: only so are entries sent by a transaction of their own.
    transacts = takes_raw(store.client)
    before: Sequence[Command] = (("WATCH", key), ("UNWATCH",)) if transacts else ()
    refused = store.run(lambda _: probe(server, _commands(key), before=before, transacts=transacts))
    found = [*rights(refused, config.queue.url, store.key(""), transacts=transacts)]
    if any(one.command == "INFO" for one in refused):
        return found
    facts = store.run(lambda _: facts_of(server))
    found = [version(facts, OLDEST, config.queue.url), *found, *sentinels(store.client, config.queue.url)]
    return [*found, *_judged(config, facts, message_bytes)]


def _commands(key: str) -> Sequence[Command]:
    """All that the adapter and its scripts run; a script's commands need their rights too (https://redis.io/docs/latest/operate/
    oss_and_stack/management/security/acl/)."""
    sha = "0" * 40
    return (
        ("INFO", "server"),
        ("EVALSHA", sha, 1, key),
        ("EVAL", "return 1", 1, key),
        ("GET", key),
        ("SET", key, ""),
        ("HGET", key, "f"),
        ("HMGET", key, "f"),
        ("HGETALL", key),
        ("HSET", key, "f", "v"),
        ("XADD", key, "1-1", "v", ""),
        ("XLEN", key),
        ("XRANGE", key, "-", "+"),
        ("XREVRANGE", key, "+", "-"),
        ("XREAD", "STREAMS", key, "0"),
        ("XTRIM", key, "MINID", "0"),
        ("XINFO", "STREAM", key),
    )


def _judged(config: ConnectorConfig, facts: Mapping[str, Any], message_bytes: int) -> Iterator[Finding]:
    yield from place(facts, config.queue.url)
    yield eviction(facts, "the queue")
    yield _persistence(facts)
    yield _room(config, facts, message_bytes)


def _persistence(facts: Mapping[str, Any]) -> Finding:
    if int(facts.get("aof_enabled", 0)):
        return Finding("ok", "persistence", "append-only file on: a restart keeps all but what was not yet synced")
    return Finding(
        "warning",
        "persistence",
        "append-only file off: after a restart the queue is read again from the source, from where the targets are, as far as its"
        " binlog reaches back",
        "CONFIG SET appendonly yes (and in redis.conf)",
    )


def backlog_bytes(lanes: int, max_backlog: int, message_bytes: int) -> int:
    """What lanes take in memory when all of them are as full as they may be."""
    return lanes * max_backlog * (message_bytes + _ENTRY_BYTES)


def _room(config: ConnectorConfig, facts: Mapping[str, Any], message_bytes: int) -> Finding:
    queue = config.queue
    needed = backlog_bytes(config.lanes, queue.max_backlog, message_bytes)
    limit = int(facts.get("maxmemory", 0))
    machine = int(int(facts.get("total_system_memory", 0)) * _MOST_OF_A_MACHINE)
    text = (
        f"full lanes ({config.lanes} × {queue.max_backlog} messages of about {message_bytes} bytes) take about"
        f" {needed / 2**20:,.0f} MiB"
    )
    room, name = (limit, "maxmemory") if limit else (machine, "three quarters of its machine's memory")
    if not room or needed <= room:
        return Finding("ok", "memory", text)
    fitting = max(1000, room // (config.lanes * (message_bytes + _ENTRY_BYTES)))
    return Finding(
        "warning",
        "memory",
        f"{text}, {name} is {room / 2**20:,.0f} MiB: Redis is full before the reader waits",
        f"set queue.max_backlog to {fitting} or less, or give Redis more memory",
    )
