"""Which implementation a coordination URL means: one literal table, its modules imported when asked for."""

from typing import Final

from cdc.coordination.port import Coordination
from cdc.model.config import CoordinationConfig


def _redis(connector: str, config: CoordinationConfig) -> Coordination:
    from cdc.coordination.redis import RedisCoordination  # noqa: PLC0415 — only who uses Redis loads its driver

    # A third of the lease: a holder whose server hangs can ask twice before its deadline.
    timeout_seconds = max(0.25, min(5.0, config.lease_seconds / 3))
    return RedisCoordination(connector, config.url, config.tls, timeout_seconds=timeout_seconds)


def _memory(connector: str, config: CoordinationConfig) -> Coordination:
    from cdc.coordination.memory import MemoryCoordination  # noqa: PLC0415

    return MemoryCoordination(connector)


IMPLEMENTATIONS: Final = {
    "redis": _redis,
    "rediss": _redis,
    "redis+sentinel": _redis,
    "rediss+sentinel": _redis,
    "redis+cluster": _redis,
    "rediss+cluster": _redis,
    "memory": _memory,
}


def open_coordination(connector: str, config: CoordinationConfig) -> Coordination:
    """The coordination of the connector of that name; only a Redis Cluster is connected to at once.

    Raises UsageError (an impossible URL), CoordinationUnavailable or CoordinationRefused (Cluster).
    """
    return IMPLEMENTATIONS[config.url.scheme](connector, config)
