"""How large the captured tables are, by the server's statistics, which are estimates ("The INFORMATION_SCHEMA TABLES Table":
InnoDB's row count is one, and may be cached for information_schema_stats_expiry seconds)."""

from collections import defaultdict
from collections.abc import Callable

from cdc.binlog.port import TableSize
from cdc.binlog.server import Server

_SIZES = """
    SELECT TABLE_SCHEMA, TABLE_NAME, COALESCE(TABLE_ROWS, 0), COALESCE(DATA_LENGTH, 0)
    FROM information_schema.TABLES
    WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')
      AND TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
"""
# Of the types whose values may be longer than 16 MiB. JSON is left out: documents of that size are rare, and all would be named.
_LARGE = """
    SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE DATA_TYPE IN ('longblob', 'longtext')
"""


def table_sizes(server: Server, captures: Callable[[str, str], bool]) -> dict[str, TableSize]:
    large: dict[tuple[str, str], list[str]] = defaultdict(list)
    for db, table, column in server.query(_LARGE):
        large[str(db), str(table)].append(str(column))
    return {
        f"{db}.{table}": TableSize(int(rows), int(size), tuple(large.get((str(db), str(table)), ())))
        for db, table, rows, size in server.query(_SIZES)
        if captures(str(db), str(table))
    }
