"""The captured tables and their keys."""

from collections.abc import Iterator

from cdc.binlog.decoder.second_codes import SECOND_CODES
from cdc.binlog.server import Server
from cdc.binlog.tables import captured_tables
from cdc.model.config import SourceConfig
from cdc.model.finding import Finding
from cdc.model.routing import TableFilter, matches
from cdc.model.schema import TableSchema


def tables(config: SourceConfig, server: Server) -> Iterator[Finding]:
    found = captured_tables(server, TableFilter(config.tables))
    names = [table.name for table in found]
    for pattern in config.tables:
        if not pattern.startswith("!") and not any(matches((pattern,), name) for name in names):
            yield Finding(
                "error",
                "tables",
                f"no table matches {pattern}",
                "correct the pattern, create the table, or GRANT SELECT on it",
            )
    for table in found:
        if not table.key:
            yield Finding(
                "error",
                "tables",
                f"{table.name} has no primary key: its rows cannot be kept in step",
                f"give it one, or exclude it: '!{table.name}'",
            )
        yield from _second_codes(table)
    keyed = sum(bool(table.key) for table in found)
    if keyed:
        yield Finding("ok", "tables", f"{keyed} captured, with primary keys")


def _second_codes(table: TableSchema) -> Iterator[Finding]:
    for name in table.key:
        column = table.column(name)
        if column.charset in SECOND_CODES and column.type not in ("enum", "set"):
            yield Finding(
                "warning",
                "key charset",
                f"{table.name}.{name} belongs to the key, and {column.charset} has two codes for some characters: a row with the "
                "second one stops the reader, since as text it is that of another row",
                f"convert the column to utf8mb4 (ALTER TABLE {table.name} MODIFY {name} … CHARACTER SET utf8mb4)",
            )
