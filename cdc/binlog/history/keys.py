"""Which columns the binlog names as the key: the primary key's, or else those of a unique key that stands in for it.

Both servers sort a table's keys: primary, unique without NULL, unique, others, in the order in which they were made
(sort_keys in sql/sql_table.cc), and where there is no primary key the first unique one whose columns are all NOT NULL and
whole takes its place ("If the table has no PRIMARY KEY … MySQL locates the first UNIQUE index where all the key columns are NOT
NULL", https://dev.mysql.com/doc/refman/8.4/en/innodb-index-types.html).
"""

from collections.abc import Mapping, Sequence

from cdc.binlog.history.indexes import Index, Part
from cdc.model.schema import Column
from cdc.model.table_version import TableVersion

PRIMARY = "PRIMARY"


def in_server_order(indexes: Sequence[Index], columns: Mapping[str, Column]) -> list[Index]:
    return sorted(indexes, key=lambda index: _rank(index, columns))


def _rank(index: Index, columns: Mapping[str, Column]) -> int:
    if index.kind == "primary":
        return 0
    if index.kind != "unique":
        return 4
    if any(part.column in columns and columns[part.column].nullable for part in index.parts):
        return 3
    return 1 if all(part.whole for part in index.parts) else 2


def key(indexes: Sequence[Index], columns: Mapping[str, Column]) -> tuple[str, ...]:
    """In key order; () where there is neither."""
    for index in in_server_order(indexes, columns):
        if _rank(index, columns) < 2:
            return tuple(part.column for part in index.parts)
    return ()


def stored(indexes: Sequence[Index]) -> dict[str, tuple[str, ...]]:
    """As `TableVersion.indexes` has them."""
    return {
        index.name: (index.kind, *(part.column if part.whole else f"({part.column}" for part in index.parts))
        for index in indexes
    }


def of_version(version: TableVersion) -> list[Index]:
    """Where they were never told (a table map says the key alone), the key counts as the primary key."""
    if version.indexes is not None:
        return [_index(name, *raw) for name, raw in version.indexes.items()]
    if version.schema is None or not version.schema.key:
        return []
    return [Index(PRIMARY, "primary", tuple(Part(name) for name in version.schema.key))]


def _index(name: str, kind: str, *parts: str) -> Index:
    return Index(name, kind, tuple(Part(part.removeprefix("("), not part.startswith("(")) for part in parts))
