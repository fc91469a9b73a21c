"""Sources by the scheme of their URL."""

from importlib import import_module

from cdc.binlog.port import Source
from cdc.model.config import SourceConfig
from cdc.model.errors import UsageError

SOURCES = {
    "mysql": "cdc.binlog.source:BinlogSource",
    "mariadb": "cdc.binlog.source:BinlogSource",
}


def open_source(config: SourceConfig, *, connector: str) -> Source:
    """The source of a connector. Opens no connection yet; `connector` names it in logs."""
    place = SOURCES.get(config.url.scheme)
    if place is None:
        raise UsageError(f"there is no source for {config.url.scheme}://", hint=f"use one of {', '.join(SOURCES)}")
    module, _, name = place.partition(":")
    source: Source = getattr(import_module(module), name)(config, connector)
    return source
