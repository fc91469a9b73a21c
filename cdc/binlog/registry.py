"""Sources by the scheme of their URL."""

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from cdc.binlog.digest_port import DigestSource
from cdc.binlog.port import Source
from cdc.binlog.rows_port import RowSource
from cdc.model.config import SourceConfig
from cdc.model.errors import UsageError

if TYPE_CHECKING:
    from cdc.binlog.archive.files_source import FilesSource

SOURCES = {
    "mysql": "cdc.binlog.source:BinlogSource",
    "mariadb": "cdc.binlog.source:BinlogSource",
}


def open_files(config: SourceConfig, text: str) -> "FilesSource":
    """The binlog files that a `file://` text names, as a source of their own; of `config` counts what is captured."""
    from cdc.binlog.archive.files_source import FilesSource  # noqa: PLC0415 - as the others, when it is asked for

    return FilesSource(config, text)


class TableSource(Source, RowSource, DigestSource, Protocol):
    """A server, of which both the binlog and the tables can be read."""


def open_source(config: SourceConfig, *, connector: str) -> TableSource:
    """The source of a connector. Opens no connection yet; `connector` names it in logs."""
    place = SOURCES.get(config.url.scheme)
    if place is None:
        raise UsageError(f"there is no source for {config.url.scheme}://", hint=f"use one of {', '.join(SOURCES)}")
    module, _, name = place.partition(":")
    source: TableSource = getattr(import_module(module), name)(config, connector)
    return source
