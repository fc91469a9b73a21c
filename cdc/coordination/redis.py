"""Coordination in Redis: each operation is one atomic script, so a lost reply never leaves a half-done change.

Why a repeated or lost acquire is safe: acquire.lua grants and counts in one step, and answers the same owner with the same
token; if the request was lost nothing happened, if the reply was lost the next attempt finds its own lease. The deadline
counts from before the request was sent, the server's expiry from when it arrived: so the holder stops first. Where the
server forgot, or its clock was set, two may hold a lease for a while; then the higher token wins at what is written.
"""

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from cdc.connect.redis import ERRORS, Client, Script, classify, explain, open_redis, reach_hint
from cdc.coordination.port import Holder, Lease
from cdc.model.config import Tls, Url
from cdc.model.errors import CoordinationRefused, CoordinationUnavailable
from cdc.model.finding import Finding

OLDEST: Final = (5, 0)
"""The first version that replicates what a script did, not its text: join.lua reads the time."""

_ANSWER_SECONDS: Final = 24 * 3600


class RedisCoordination:
    """`Coordination` (port.py) over Redis alone, behind Sentinel, or as a Cluster; thread-safe.

    `timeout_seconds` bounds each wait for the server. Opening a Cluster connects at once, and may raise as any call.
    """

    def __init__(self, connector: str, url: Url, tls: Tls | None = None, *, timeout_seconds: float = 5.0) -> None:
        self._prefix = f"{{{connector}}}"
        self._url = url
        self._tls = tls
        self._scripts = _Scripts()
        with self._mapped():
            self._client: Client = open_redis(url, tls, timeout_seconds=timeout_seconds)

    # --- leases

    def acquire(self, resource: str, owner: str, lease_seconds: float, *, floor: int = 0) -> Lease | None:
        asked = time.monotonic()
        with self._mapped():
            token = self._scripts.acquire(
                self._client,
                [self._key(kind, resource) for kind in ("lease", "token")]
                + [f"{self._prefix}:resources", self._key("handover", resource)],
                [owner, _milliseconds(lease_seconds), floor, resource],
            )
        return Lease(resource, owner, token, asked + lease_seconds) if token else None

    def renew(self, lease: Lease, lease_seconds: float) -> Lease | None:
        asked = time.monotonic()
        with self._mapped():
            held = self._scripts.renew(
                self._client,
                [self._key("lease", lease.resource)],
                [lease.owner, lease.token, _milliseconds(lease_seconds)],
            )
        return Lease(lease.resource, lease.owner, lease.token, asked + lease_seconds) if held else None

    def release(self, lease: Lease) -> None:
        with self._mapped():
            self._scripts.release(self._client, [self._key("lease", lease.resource)], [lease.owner, lease.token])

    def holders(self) -> Mapping[str, Holder]:
        with self._mapped():
            names: set[bytes] = self._command("SMEMBERS", f"{self._prefix}:resources")
            resources = sorted(name.decode() for name in names)
            if not resources:
                return {}
            found = self._scripts.holders(self._client, [self._key("lease", resource) for resource in resources], [])
        return {
            resource: Holder(held[1].decode(), int(held[0]), max(0, held[2]) / 1000)
            for resource, held in zip(resources, found, strict=True)
            if held
        }

    def ask_handover(self, resource: str, seconds: float) -> None:
        with self._mapped():
            self._command("SET", self._key("handover", resource), "1", "PX", _milliseconds(seconds))

    def handover_asked(self, resource: str) -> bool:
        with self._mapped():
            return bool(self._command("EXISTS", self._key("handover", resource)))

    # --- members and marks

    def join(self, group: str, member: str, alive_seconds: float) -> Mapping[str, float]:
        with self._mapped():
            flat = self._scripts.join(
                self._client, [self._key("members", group)], [member, _milliseconds(alive_seconds)]
            )
        return {name.decode(): left / 1000 for name, left in zip(flat[::2], flat[1::2], strict=True)}

    def leave(self, group: str, member: str) -> None:
        with self._mapped():
            self._command("HDEL", self._key("members", group), member)

    def mark(self, marks: Mapping[str, str]) -> None:
        if not marks:
            return
        with self._mapped():
            self._command("HSET", f"{self._prefix}:marks", *(part for pair in marks.items() for part in pair))

    def marks(self) -> Mapping[str, str]:
        with self._mapped():
            found: Mapping[bytes, bytes] = self._command("HGETALL", f"{self._prefix}:marks")
        return {name.decode(): value.decode() for name, value in found.items()}

    # --- requests

    def ask(self, request: str, text: str) -> None:
        with self._mapped():
            self._command("HSET", f"{self._prefix}:requests", request, text)

    def asked(self) -> Mapping[str, str]:
        with self._mapped():
            found: Mapping[bytes, bytes] = self._command("HGETALL", f"{self._prefix}:requests")
        return {name.decode(): text.decode() for name, text in found.items()}

    def answer(self, request: str, text: str) -> None:
        # The answer first: a request that is answered twice does no harm, one that vanishes without an answer is asked again.
        with self._mapped():
            self._command("SET", self._key("answer", request), text, "EX", _ANSWER_SECONDS)
            self._command("HDEL", f"{self._prefix}:requests", request)

    def answered(self, request: str) -> str | None:
        with self._mapped():
            found: bytes | None = self._command("GET", self._key("answer", request))
        return None if found is None else found.decode()

    # --- fitness

    def check(self) -> list[str]:
        with self._mapped():
            texts = self._scripts.check(self._client, [f"{self._prefix}:check"], [])
        return findings(_info(b"\r\n".join(texts).decode("utf-8", "replace")), self._url)

    def findings(self) -> Sequence[Finding]:
        from cdc.coordination.redis_doctor import findings as found  # noqa: PLC0415 - for `cdc check` alone

        with self._mapped():
            return found(self._client, self._url, self._prefix)

    def close(self) -> None:
        with self._mapped():
            self._client.close()

    def _key(self, kind: str, name: str) -> str:
        return f"{self._prefix}:{kind}:{name}"

    def _command(self, *parts: str | int) -> Any:
        return self._client.execute_command(*parts)  # type: ignore[no-untyped-call]

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except ERRORS as error:
            text = explain(error, self._url)
            if classify(error) == "unavailable":
                raise CoordinationUnavailable(
                    f"Redis at {self._url} does not answer: {text}", hint=reach_hint(self._url, self._tls)
                ) from None
            raise CoordinationRefused(
                f"Redis at {self._url} refuses: {text}",
                hint="check user, password, rights (+@scripting, +@read, +@write, +info) and tls in the connector file",
            ) from None


class _Scripts:
    """The Lua files of this package, each with the types of its reply."""

    def __init__(self) -> None:
        names = ("acquire", "renew", "release", "holders", "join", "check")
        self._files = {name: Script("cdc.coordination", name) for name in names}

    def acquire(self, client: Client, keys: list[str], args: list[str | bytes | int]) -> int:
        return int(self._files["acquire"](client, keys, args))

    def renew(self, client: Client, keys: list[str], args: list[str | bytes | int]) -> bool:
        return bool(self._files["renew"](client, keys, args))

    def release(self, client: Client, keys: list[str], args: list[str | bytes | int]) -> bool:
        return bool(self._files["release"](client, keys, args))

    def holders(self, client: Client, keys: list[str], args: list[str | bytes | int]) -> list[list[Any]]:
        return list(self._files["holders"](client, keys, args))

    def join(self, client: Client, keys: list[str], args: list[str | bytes | int]) -> list[Any]:
        return list(self._files["join"](client, keys, args))

    def check(self, client: Client, keys: list[str], args: list[str | bytes | int]) -> list[bytes]:
        return list(self._files["check"](client, keys, args))


def findings(info: Mapping[str, str], url: Url) -> list[str]:
    """What a server's INFO means for leases, as lines for a person; raises CoordinationRefused where it is unfit.

    https://redis.io/docs/latest/commands/info/
    """
    version = info.get("redis_version", "0")
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST:
        raise CoordinationRefused(f"Redis at {url} is version {version}", hint="Redis 5.0 or newer is needed")
    if info.get("role", "master") != "master":
        raise CoordinationRefused(
            f"Redis at {url} is a replica", hint="name its master, or use redis+sentinel:// to find it"
        )
    policy = info.get("maxmemory_policy", "noeviction")
    limit = int(info.get("maxmemory", "0"))
    if limit and policy != "noeviction":
        raise CoordinationRefused(
            f"Redis at {url} may evict leases and counters (maxmemory {limit}, maxmemory-policy {policy})",
            hint="run: redis-cli CONFIG SET maxmemory-policy noeviction (and set it in redis.conf)",
        )
    lines = [f"Redis {version} at {url}", f"maxmemory-policy {policy}" if limit else "no maxmemory"]
    if info.get("aof_enabled") == "1":
        lines.append("appendonly on: leases and tokens outlive a restart")
    else:
        lines.append("appendonly off: a restart may forget leases; tokens still grow, above those at the target")
    return lines


def _info(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _milliseconds(seconds: float) -> int:
    """Rounded up: the server never frees before the holder's own deadline."""
    return max(1, math.ceil(seconds * 1000))
