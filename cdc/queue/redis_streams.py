"""Redis Streams as a queue: one stream for each lane, a checkpoint that moves in the same script call as the entries.

Nothing is capped (no MAXLEN): a lane is trimmed behind what every configured sink has committed, and by nothing else.
docs/decisions/0004-queues.md has the reasons.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from redis.cluster import RedisCluster

from cdc.connect.redis import Client
from cdc.model.checkpoint import Checkpoint
from cdc.model.config import ConnectorConfig
from cdc.model.errors import QueueRefused
from cdc.model.finding import Finding
from cdc.model.schema import TableSchema
from cdc.model.table_version import TableVersion
from cdc.queue.entry_id import EntryId
from cdc.queue.layout import known_lanes
from cdc.queue.redis_producer import RedisProducer
from cdc.queue.redis_reader import RedisReader
from cdc.queue.redis_store import Ends, RedisStore

OLDEST = (6, 2)
"""XTRIM MINID and exclusive ranges came with Redis 6.2 (https://redis.io/docs/latest/commands/xtrim/)."""


class RedisStreamsQueue:
    """See cdc.queue.port.Queue."""

    def __init__(self, config: ConnectorConfig) -> None:
        self._config = config
        self._store = RedisStore(config)

    def producer(self) -> RedisProducer:
        return RedisProducer(self._store, self._config.queue.max_backlog, self._config.queue.max_message_bytes)

    def reader(self, sink: str, lane: str, after: str) -> RedisReader:
        return RedisReader(self._store, sink, lane, after)

    def lanes(self) -> Sequence[str]:
        return known_lanes(self._config, self.checkpoint())

    def checkpoint(self) -> Checkpoint | None:
        stored = self._store.get("checkpoint")
        return None if stored is None else Checkpoint.from_json(stored)

    def versions(self) -> Sequence[TableVersion]:
        # A version's name has a slash, a schema's has none.
        return [TableVersion.from_json(value) for key, value in self._store.fields("schemas").items() if b"/" in key]

    def schema(self, fingerprint: str) -> TableSchema | None:
        stored = self._store.field("schemas", fingerprint)
        return None if stored is None else TableSchema.from_json(stored)

    def backlog(self, lane: str, after: str) -> int | None:
        return _behind(self._store.ends(lane), EntryId.parse(lane, after))

    def check(self) -> Sequence[str]:
        facts = self._store.run(self._facts)
        version = str(facts.get("redis_version", "0"))
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            raise QueueRefused(
                f"Redis {version} is too old for Redis Streams as a queue", hint="use Redis 6.2 or newer"
            )
        most, policy = int(facts.get("maxmemory", 0)), str(facts.get("maxmemory_policy", "noeviction"))
        if most and policy != "noeviction":
            raise QueueRefused(
                f"Redis may evict the queue: maxmemory is {most} bytes and maxmemory-policy {policy}",
                hint="CONFIG SET maxmemory-policy noeviction, or give the queue a Redis of its own",
            )
        memory = f"maxmemory {most} bytes, noeviction" if most else "no maxmemory"
        return (f"Redis {version}, {memory}", _persistence(facts))

    def findings(self, message_bytes: int) -> Sequence[Finding]:
        from cdc.queue.redis_doctor import findings  # noqa: PLC0415 - for `cdc check` alone

        return findings(self._config, self._store, message_bytes)

    def _facts(self, client: Client) -> Mapping[str, Any]:
        where: dict[str, Any] = {}
        if isinstance(client, RedisCluster):
            where["target_nodes"] = client.get_node_from_key(self._store.key("epoch"))  # type: ignore[no-untyped-call]
        facts: dict[str, Any] = {}
        for section in ("server", "memory", "persistence"):
            facts |= client.info(section, **where)
        return facts

    def close(self) -> None:
        self._store.close()


def _behind(ends: Ends, after: EntryId) -> int | None:
    """Ids have no holes within a run, so the ends tell, but where whole runs lie between them and `after`."""
    if not ends.length or after >= ends.last:
        return 0
    if after < ends.first:
        return ends.length
    if after.token == ends.last.token:
        return ends.last.number - after.number
    if after.token == ends.first.token:
        return ends.length - (after.number - ends.first.number + 1)
    return None


def _persistence(facts: Mapping[str, Any]) -> str:
    if int(facts.get("aof_enabled", 0)):
        return "append-only file on: a restart keeps the queue, but for what was not yet synced"
    saved = int(facts.get("rdb_last_save_time", 0))
    return (
        "append-only file off: a restart loses the queue, or goes back to the last snapshot"
        f" ({'none since the start' if saved <= _started(facts) else 'there is one'}); it is then read again from the"
        " source, from where the targets are"
    )


def _started(facts: Mapping[str, Any]) -> int:
    """rdb_last_save_time begins as the time of the start (server.c, initServer)."""
    return int(facts.get("server_time_usec", 0)) // 1_000_000 - int(facts.get("uptime_in_seconds", 0)) + 1
