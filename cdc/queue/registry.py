"""The queue adapters, by scheme of `queue.url`; one is imported only when it is asked for.

A new adapter: its file, a line here, its extra in pyproject.toml. tests/contract/test_queue.py takes it from here.
"""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from cdc.model.config import ConnectorConfig
from cdc.model.errors import MissingExtra
from cdc.queue.port import Queue

_REDIS = ("cdc.queue.redis_streams:RedisStreamsQueue", "")
_KAFKA = ("cdc.queue.kafka:KafkaQueue", "kafka")

ADAPTERS: dict[str, tuple[str, str]] = {
    "memory": ("cdc.queue.memory:MemoryQueue", ""),
    "redis": _REDIS,
    "rediss": _REDIS,
    "redis+sentinel": _REDIS,
    "rediss+sentinel": _REDIS,
    "redis+cluster": _REDIS,
    "rediss+cluster": _REDIS,
    "kafka": _KAFKA,
    "kafka+ssl": _KAFKA,
}
"""Scheme → (`module:Class`, the extra that installs its driver, or "" where the package has it anyway)."""


def open_queue(config: ConnectorConfig) -> Queue:
    """The queue of a connector; opens no connection. Raises MissingExtra where its driver is not installed."""
    path, extra = ADAPTERS[config.queue.url.scheme]
    module, _, name = path.partition(":")
    try:
        adapter = cast(Callable[[ConnectorConfig], Queue], getattr(import_module(module), name))
    except ModuleNotFoundError as error:
        if not extra or (error.name or "").startswith("cdc"):
            raise
        raise MissingExtra(
            f"{config.queue.url.scheme}:// needs the driver {error.name}, which is not installed",
            hint=f"pip install 'lockstep-cdc[{extra}]'",
        ) from error
    return adapter(config)
