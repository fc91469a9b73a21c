"""Whether a Redis is fit for leases: rights, kind of server, eviction. That it may forget is no fault: see docs/guarantees.md."""

from collections.abc import Sequence

from cdc.connect.redis import Client
from cdc.connect.redis_doctor import Command, eviction, facts_of, place, probe, rights, sentinels, server_for, version
from cdc.coordination.redis import OLDEST
from cdc.model.config import Url
from cdc.model.finding import Finding


def findings(client: Client, url: Url, prefix: str) -> Sequence[Finding]:
    """Raises cdc.connect.redis.ERRORS."""
    key = f"{prefix}:lease:check"
    server = server_for(client, key)
    refused = probe(server, _commands(key))
    found = [*rights(refused, url, f"{prefix}:")]
    if any(one.command == "INFO" for one in refused):
        return found
    facts = facts_of(server)
    kept = "on" if int(facts.get("aof_enabled", 0)) else "off"
    restart = (
        "leases and tokens outlive a restart" if kept == "on" else "a restart may forget leases; tokens still grow"
    )
    return [
        version(facts, OLDEST, url),
        *found,
        *sentinels(client, url),
        *place(facts, url),
        eviction(facts, "leases and counters"),
        Finding("ok", "persistence", f"append-only file {kept}: {restart}"),
    ]


def _commands(key: str) -> Sequence[Command]:
    """All that the adapter and its scripts run; a script's commands need their rights too."""
    sha = "0" * 40
    return (
        ("INFO", "server"),
        ("EVALSHA", sha, 1, key),
        ("EVAL", "return 1", 1, key),
        ("GET", key),
        ("SET", key, ""),
        ("PTTL", key),
        ("PEXPIRE", key, 1),
        ("DEL", key),
        ("EXISTS", key),
        ("SADD", key, "m"),
        ("SMEMBERS", key),
        ("HSET", key, "f", "v"),
        ("HDEL", key, "f"),
        ("HGETALL", key),
        ("TIME",),
    )
