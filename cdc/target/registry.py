"""Which adapter serves which scheme of `sink.url`. A new one: its file, a line here, its extra in pyproject.toml."""

from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple, cast

from cdc.model.config import SinkConfig
from cdc.model.errors import MissingExtra
from cdc.target.port import Target


class Adapter(NamedTuple):
    """`path` is module:Class; `extra` the optional dependency group that it needs, or None."""

    path: str
    extra: str | None


ADAPTERS: Mapping[str, Adapter] = {
    "memory": Adapter("cdc.target.memory:MemoryTarget", None),
    "postgresql": Adapter("cdc.target.postgresql:PostgresqlTarget", "postgresql"),
    "mysql": Adapter("cdc.target.mysql:MySqlTarget", None),
    "mariadb": Adapter("cdc.target.mysql:MySqlTarget", None),
    "sqlite": Adapter("cdc.target.sqlite:SqliteTarget", None),
}


def open_target(connector: str, sink: str, config: SinkConfig) -> Target:
    """The target of one sink of one connector; no connection is opened yet. Raises MissingExtra."""
    adapter = ADAPTERS[config.url.scheme]
    module, _, name = adapter.path.partition(":")
    try:
        made = getattr(import_module(module), name)(connector, sink, config)
    except ImportError as error:
        if adapter.extra is None:
            raise
        raise MissingExtra(
            f"{config.url.scheme}:// needs a driver that cannot be loaded: {error}",
            hint=f"pip install 'lockstep-cdc[{adapter.extra}]'",
        ) from error
    return cast(Target, made)
