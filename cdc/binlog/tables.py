"""The captured tables as information_schema has them now, in the shape that the decoder makes from the binlog."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from cdc.binlog.server import Server
from cdc.model.routing import TableFilter
from cdc.model.schema import Column, TableSchema

_SYSTEM = "('mysql', 'information_schema', 'performance_schema', 'sys')"
_COLUMNS = f"""
    SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.COLUMN_TYPE, c.CHARACTER_MAXIMUM_LENGTH,
           c.NUMERIC_PRECISION, c.NUMERIC_SCALE, c.DATETIME_PRECISION, c.CHARACTER_SET_NAME, c.COLLATION_NAME, c.IS_NULLABLE
    FROM information_schema.COLUMNS c
    JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
    WHERE t.TABLE_TYPE = 'BASE TABLE' AND c.TABLE_SCHEMA NOT IN {_SYSTEM}
    ORDER BY c.TABLE_SCHEMA, c.TABLE_NAME, c.ORDINAL_POSITION
"""  # noqa: S608 — constants
_UNIQUE_KEYS = f"""
    SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME
    FROM information_schema.STATISTICS
    WHERE NON_UNIQUE = 0 AND TABLE_SCHEMA NOT IN {_SYSTEM}
    ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX
"""  # noqa: S608 — constants
_GEOMETRIES = frozenset(
    {
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geomcollection",
        "geometrycollection",
    }
)
# MariaDB types that the binlog has as fixed-length bytes.
_AS_BINARY = {"uuid": 16, "inet6": 16, "inet4": 4}


class _Described(NamedTuple):
    """One row of information_schema.COLUMNS."""

    db: str
    table: str
    name: str
    data_type: str
    column_type: str
    length: Any
    precision: Any
    scale: Any
    fraction: Any
    charset: str | None
    collation: str | None
    nullable: str


def captured_tables(server: Server, captures: TableFilter) -> list[TableSchema]:
    columns: dict[tuple[str, str], list[Column]] = defaultdict(list)
    for row in map(_Described._make, server.query(_COLUMNS)):
        if captures(row.db, row.table):
            columns[row.db, row.table].append(_column(row))
    keys = _keys(server)
    return [
        TableSchema(db, table, tuple(found), keys.get((db, table), {}).get("PRIMARY", ()))
        for (db, table), found in columns.items()
    ]


def tables_with_further_unique_keys(server: Server, captures: TableFilter) -> list[str]:
    return sorted(
        f"{db}.{table}"
        for (db, table), keys in _keys(server).items()
        if captures(db, table) and set(keys) - {"PRIMARY"}
    )


def _keys(server: Server) -> dict[tuple[str, str], dict[str, tuple[str, ...]]]:
    """Unique keys by table and name, columns in key order; an expression has no column."""
    keys: dict[tuple[str, str], dict[str, tuple[str, ...]]] = defaultdict(dict)
    for db, table, index, column in server.query(_UNIQUE_KEYS):
        known = keys[db, table].get(index, ())
        keys[db, table][index] = known if column is None else (*known, column)
    return keys


def _column(row: _Described) -> Column:
    kind = row.data_type.lower()
    nullable = row.nullable == "YES"
    if kind in _GEOMETRIES:
        return Column(row.name, "geometry", nullable=nullable)
    if kind in _AS_BINARY:
        return Column(row.name, "binary", length=_AS_BINARY[kind], nullable=nullable)
    sized = kind in {"char", "varchar", "binary", "varbinary"}
    length = row.length if sized else row.precision if kind == "bit" else None
    decimal = kind == "decimal"
    temporal = kind in {"time", "datetime", "timestamp"}
    scale = row.scale if decimal else row.fraction if temporal else None
    chosen = kind in {"enum", "set"}
    return Column(
        row.name,
        kind,
        unsigned="unsigned" in row.column_type.lower() and not chosen,
        length=_number(length),
        precision=_number(row.precision) if decimal else None,
        scale=_number(scale),
        charset=None if kind == "json" else row.charset,
        collation=None if kind == "json" else row.collation,
        members=tuple(_members(row.column_type)) if chosen else (),
        nullable=nullable,
    )


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _members(column_type: str) -> Iterable[str]:
    """The strings of `enum('a','it''s')`."""
    from sqlglot.dialects.mysql import MySQL  # noqa: PLC0415 — only tables with such columns need it

    return [token.text for token in MySQL().tokenize(f"SELECT {column_type}") if token.token_type.name == "STRING"]
