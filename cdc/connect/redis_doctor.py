"""What `cdc check` asks of a Redis, whatever it is used for. Nothing is written: commands are put to the server inside a
transaction that is never executed, and it refuses at once those that it would not do.

The order of the server's checks (processCommand in server.c): name and number of arguments, rights (ACL) to command and keys,
slot, memory, state of disk and replicas, and only then is the command queued by MULTI.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import redis
from redis import exceptions as driver
from redis.cluster import RedisCluster
from redis.sentinel import SentinelConnectionPool

from cdc.connect.redis import ERRORS, Client, classify, explain, packed
from cdc.model.config import Url
from cdc.model.finding import Finding, named

Command = Sequence[str | bytes | int]
_MULTI: Command = ("MULTI",)
_SECTIONS = ("server", "memory", "persistence", "replication", "cluster")


class Refused(NamedTuple):
    command: str
    error: driver.ResponseError


def server_for(client: Client, key: str) -> redis.Redis:
    """The server that has `key`. Raises cdc.connect.redis.ERRORS."""
    if isinstance(client, RedisCluster):
        node = client.get_node_from_key(key)  # type: ignore[no-untyped-call]
        return client.get_redis_connection(node)
    return client


def probe(
    server: redis.Redis, commands: Sequence[Command], *, before: Sequence[Command] = (), transacts: bool = False
) -> Sequence[Refused]:
    """Which of them the server would not do now. `before`: done, outside of the transaction: such as write nothing and MULTI does
    not queue. `transacts`: EXEC is one of them (of a transaction without commands). Raises cdc.connect.redis.ERRORS where the
    server does not answer."""
    pool = server.connection_pool
    connection: Any = pool.get_connection()
    refused: list[Refused] = []

    def done(command: Command) -> bool:
        connection.send_packed_command(packed(command))
        try:
            connection.read_response()
        except driver.ResponseError as error:
            refused.append(Refused(str(command[0]), error))
            return False
        return True

    try:
        for command in before:
            done(command)
        # Where EXEC is refused the first transaction stays open; without one, what follows would be done.
        if done(_MULTI) and (not transacts or not done(("EXEC",)) or done(_MULTI)):
            for command in commands:
                done(command)
    finally:
        # With its connection the server forgets the transaction.
        connection.disconnect()
        pool.release(connection)
    return refused


def facts_of(server: redis.Redis) -> Mapping[str, Any]:
    """https://redis.io/docs/latest/commands/info/"""
    facts: dict[str, Any] = {}
    for section in _SECTIONS:
        facts |= server.info(section)
    return facts


def rights(refused: Sequence[Refused], url: Url, prefix: str, *, transacts: bool = False) -> Iterator[Finding]:
    """`prefix`: with which all keys begin; `transacts`: as in `probe`."""
    user = url.user or "default"
    if not transacts and any(one.command == "MULTI" for one in refused):
        text = f"not looked at: without MULTI, which {user} may not run, and which is not needed, they cannot be without writing"
        yield Finding("ok", "rights", text)
        return
    denied = [one for one in refused if classify(one.error) == "refused"]
    keys = [one.command for one in denied if re.search(r"\bkeys?\b", str(one.error))]
    commands = [one.command for one in denied if one.command not in keys]
    if commands:
        allowed = " ".join(f"+{name.lower()}" for name in dict.fromkeys(commands))
        yield Finding(
            "error",
            "rights",
            f"the user {user} may not run {', '.join(dict.fromkeys(commands))}",
            f"ACL SETUSER {user} {allowed}",
        )
    if keys:
        yield Finding(
            "error",
            "rights",
            f"the user {user} may not use the keys {prefix}* with {', '.join(dict.fromkeys(keys))}",
            f"ACL SETUSER {user} ~{prefix}*",
        )
    others = {explain(one.error, url): one.command for one in refused if one not in denied}
    for text, command in others.items():
        yield Finding(
            "error", "state", f"{command} is refused now: {text}", "look at the server's memory, disk and role"
        )


def version(facts: Mapping[str, Any], oldest: tuple[int, int], url: Url) -> Finding:
    found = str(facts.get("redis_version", "0"))
    if tuple(int(part) for part in re.findall(r"\d+", found)[:2]) < oldest:
        wanted = ".".join(map(str, oldest))
        return Finding("error", "version", f"Redis {found} at {url} is too old", f"use Redis {wanted} or newer")
    return Finding("ok", "version", f"Redis {found} at {url}")


def eviction(facts: Mapping[str, Any], what: str) -> Finding:
    """`what` may be evicted. Without maxmemory nothing ever is."""
    policy, most = str(facts.get("maxmemory_policy", "noeviction")), int(facts.get("maxmemory", 0))
    if most and policy != "noeviction":
        return Finding(
            "error",
            "eviction",
            f"Redis may evict {what}: maxmemory is {most} bytes and maxmemory-policy {policy}",
            "CONFIG SET maxmemory-policy noeviction (and in redis.conf), or give it a Redis of its own",
        )
    return Finding("ok", "eviction", f"maxmemory {most} bytes, noeviction" if most else "no maxmemory")


def sentinels(client: Client, url: Url) -> Iterator[Finding]:
    """Whether those that the URL names could bring a failover about, each by its own account; nothing where it names none.
    https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/ (SENTINEL CKQUORUM)"""
    pool = client.connection_pool if isinstance(client, redis.Redis) else None
    if not isinstance(pool, SentinelConnectionPool):
        return
    asked, troubles = pool.sentinel_manager.sentinels, []
    for one in asked:
        known: dict[str, Any] = one.connection_pool.connection_kwargs
        try:
            one.execute_command("SENTINEL CKQUORUM", pool.service_name)
        except ERRORS as error:
            troubles.append(f"{known.get('host')}:{known.get('port')}: {explain(error, url)}")
    if troubles:
        text = f"{len(troubles)} of {len(asked)} say that no failover would come about, or do not answer: {named(troubles)}"
        yield Finding("warning", "sentinel", text, "see that enough Sentinels run, and reach each other and the master")
    else:
        yield Finding("ok", "sentinel", f"{len(asked)} asked, a failover can come about")


def place(facts: Mapping[str, Any], url: Url) -> Iterator[Finding]:
    """Whether it is the kind of server that the URL means."""
    if str(facts.get("role", "master")) != "master":
        yield Finding(
            "error", "role", f"Redis at {url} is a replica", "name its master, or use redis+sentinel:// to find it"
        )
    clustered = bool(int(facts.get("cluster_enabled", 0)))
    if clustered and not url.scheme.endswith("+cluster"):
        yield Finding(
            "error",
            "cluster",
            f"Redis at {url} is a node of a Cluster: keys of other nodes are refused",
            f"write {url.scheme.partition('+')[0]}+cluster:// with some of its nodes",
        )
    behind = int(facts.get("connected_slaves", 0))
    if behind:
        yield Finding(
            "ok", "replicas", f"{behind} connected: a failover may lose the last writes, which are then made again"
        )
