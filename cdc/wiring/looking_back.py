"""What commands that look at a stretch of the binlog open: the live server with its archives, or binlog files alone."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Protocol

from cdc.binlog.port import Item
from cdc.binlog.registry import open_files
from cdc.model.checkpoint import SourcePoint
from cdc.model.config import ConnectorConfig
from cdc.model.file_url import is_file_urls
from cdc.model.position import FilePosition
from cdc.model.routing import matches
from cdc.model.table_version import TableVersion
from cdc.observe.logs import fields, get_logger
from cdc.processes.reversal import KeptBack, Reversal, TypesTold
from cdc.processes.span import Streams, between
from cdc.wiring.parts import Parts

log = get_logger(__name__)

_IDLE_SECONDS = 0.25


class _Source(Streams, Protocol):
    """What cdc.binlog.port.Source and files alone both have."""

    def flavor(self) -> str: ...
    def bytes_between(self, begin: FilePosition, end: FilePosition) -> int: ...


@dataclass(frozen=True, slots=True)
class Present:
    """What a server says of its tables as they stand now; nothing where no server was asked."""

    generated: frozenset[str] = frozenset()
    types: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """`to`: the place before which it ends; None: it goes on, or ends with the files. `tables`: the schema history at `begin`."""

    config: ConnectorConfig
    source: _Source
    begin: SourcePoint
    to: FilePosition | None
    tables: Sequence[TableVersion]
    present: Present

    @property
    def flavor(self) -> str:
        return self.source.flavor()

    def items(self) -> Iterator[Item | None]:
        return between(self.source, self.begin, self.to, wait=lambda: _IDLE_SECONDS, tables=self.tables)

    def bytes_up_to(self, position: FilePosition) -> int:
        """From the beginning on."""
        return self.source.bytes_between(self.begin.position, position)

    def reversal(self, spool: IO[bytes], kept_back: KeptBack, generated: Sequence[str]) -> Reversal:
        """`generated`: patterns of `db.table.column` that the server computes, for files alone, which do not tell."""
        known = self.present.generated

        def computed(column: str) -> bool:
            return column in known or matches(generated, column)

        types = TypesTold(self.flavor, self.present.types or {}, self.tables)
        return Reversal(spool, kept_back, types, computed)


def kept_back(config: ConnectorConfig) -> KeptBack:
    return KeptBack(config.source.exclude_columns, config.source.mask_columns)


def as_onlooker(config: ConnectorConfig, **source: object) -> ConnectorConfig:
    """The server throws out the older of two replicas with one id: under the file's, this would stop the reader. And a
    table that was dropped is no reason to stop for who only looks. `source`: keys of that section over these."""
    other = {
        "server_id": 2**31 + secrets.randbelow(2**31 - 1),
        "schema_changes": "apply",
        "destructive_changes": "apply",
        **source,
    }
    return config.model_copy(update={"source": config.source.model_copy(update=other)})


@contextmanager
def opened(config: ConnectorConfig, start: str, end: str | None, *, ask_tables: bool = False) -> Iterator[Range]:
    """`config`: an onlooker's. `start`, `end`: positions as users write them; `start` may name binlog files, then no server is
    asked for anything. `ask_tables`: a server says what its tables are now. Raises what resolving a position raises."""
    if is_file_urls(start):
        files = open_files(config.source, start)
        yield Range(config, files, files.begin(), None if end is None else files.resolve(end).position, (), Present())
        return
    with Parts(config) as parts:
        source = parts.source
        to = None if end is None else source.resolve(end).position
        begin = source.resolve(start)
        if ":" in start and start != str(begin.position):
            log.info("reading from a boundary", extra=fields("tail.from", asked=start, position=str(begin.position)))
        present = Present()
        if ask_tables:
            types = {
                f"{table.name}.{column.name}": column.type for table in source.tables() for column in table.columns
            }
            present = Present(source.generated_columns(), types)
        yield Range(config, source, begin, to, source.tables_at(begin, ()), present)
