"""The captured tables and their keys."""

from collections.abc import Iterator

from cdc.binlog.server import Server
from cdc.binlog.tables import captured_tables
from cdc.model.config import SourceConfig
from cdc.model.finding import Finding
from cdc.model.routing import TableFilter, matches


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
    keyed = sum(bool(table.key) for table in found)
    if keyed:
        yield Finding("ok", "tables", f"{keyed} captured, with primary keys")
