# ruff: noqa: S608 — identifiers come quoted, there are no values.
"""Schema changes at SQLite: ALTER TABLE where it can, else the table is made anew; all inside the lane's transaction."""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cdc.model.errors import TargetRefused
from cdc.model.schema_change import SchemaChange
from cdc.observe.failpoints import failpoint
from cdc.target.sql.changes import planned, table_letters
from cdc.target.sql.dialects import SQLITE
from cdc.target.sql.evolve import Rebuild
from cdc.target.sql.names import TargetName, quote, quote_table, shown
from cdc.target.sql.plan import Planner
from cdc.target.sql.reflect import Found

_NEW = "_cdc_rebuilt"
_QUOTED = re.compile(r"\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]|'(?:[^']|'')*'")
# What a rebuild from the columns alone would lose.
_MORE = re.compile(
    r"\b(CHECK|GENERATED|AS|COLLATE|REFERENCES|UNIQUE|WITHOUT|STRICT|AUTOINCREMENT|CONFLICT)\b", re.IGNORECASE
)


class _Column(NamedTuple):
    """A row of pragma_table_xinfo."""

    name: str
    type: str
    not_null: bool
    default: str | None


class SchemaHands:
    """See cdc.target.sql.changes.Hands. sqlite3's errors pass through."""

    def __init__(self, connection: sqlite3.Connection, planner: Planner, names: Mapping[str, str]) -> None:
        self._connection = connection
        self._planner = planner
        self._names = dict(names)

    def do(self, sql: str) -> None:
        failpoint("sink.altering")
        self._connection.execute(sql)

    def alter(self, name: TargetName, found: Found, change: SchemaChange) -> None:
        evolution = planned(self._planner, self, name, found, change)
        for statement in evolution.alter:
            self.do(statement)
        if evolution.rebuild is not None:
            _rebuild(self._connection, name, evolution.rebuild)
        for statement in evolution.tail:
            self.do(statement)

    def is_so(self, sql: str) -> bool:
        return self._connection.execute(sql).fetchone() is not None

    def letters(self, statement: str, change: SchemaChange) -> bool:
        cursor = self._connection.execute(statement, table_letters(**self._names, change=change))
        return cursor.description is not None and cursor.fetchone() is not None


def _rebuild(connection: sqlite3.Connection, name: TargetName, rebuild: Rebuild) -> None:
    """The steps of https://www.sqlite.org/lang_altertable.html, 7; foreign keys are off on our connections."""
    indexes = _indexes(connection, name)
    columns = [column for column in _columns(connection, name) if column.name not in rebuild.omitted]
    new = TargetName(name.schema, _NEW)
    old, made = quote_table(SQLITE, name), quote_table(SQLITE, new)
    definitions = [_definition(column, rebuild) for column in columns]
    key = ", ".join(quote(SQLITE, column) for column in rebuild.key)
    connection.execute(f"CREATE TABLE {made} ({', '.join(definitions)}, PRIMARY KEY ({key}))")
    listed = ", ".join(quote(SQLITE, column.name) for column in columns)
    values = ", ".join(_value(column, rebuild) for column in columns)
    connection.execute(f"INSERT INTO {made} ({listed}) SELECT {values} FROM {old}")
    connection.execute(f"DROP TABLE {old}")
    connection.execute(f"ALTER TABLE {made} RENAME TO {quote(SQLITE, name.table)}")
    for index in indexes:
        connection.execute(index)


def _definition(column: _Column, rebuild: Rebuild) -> str:
    in_key = column.name in rebuild.key
    type_ = rebuild.types.get(column.name, column.type)
    # A former key's NOT NULL goes with it: only keys have one here.
    null = " NOT NULL" if in_key else ""
    default = "" if column.default is None else f" DEFAULT {column.default}"
    return f"{quote(SQLITE, column.name)} {type_}{null}{default}"


def _value(column: _Column, rebuild: Rebuild) -> str:
    quoted = quote(SQLITE, column.name)
    return f"CAST({quoted} AS {rebuild.types[column.name]})" if column.name in rebuild.types else quoted


def _columns(connection: sqlite3.Connection, name: TargetName) -> list[_Column]:
    rows = connection.execute(
        'SELECT name, type, "notnull", dflt_value FROM pragma_table_xinfo(?, ?) ORDER BY cid', _place(name)
    )
    return [_Column(str(row[0]), str(row[1]), bool(row[2]), row[3]) for row in rows]


def _indexes(connection: sqlite3.Connection, name: TargetName) -> Sequence[str]:
    """The statements of the table's own indexes. Raises TargetRefused for a table that has more than columns, key and
    indexes."""
    table, schema = _place(name)
    rows = connection.execute(
        f"SELECT type, sql FROM {quote(SQLITE, schema)}.sqlite_master WHERE lower(tbl_name) = lower(?) AND sql IS NOT NULL",
        (table,),
    ).fetchall()
    more = [_MORE.search(_QUOTED.sub("", text)) for kind, text in rows if kind == "table"]
    if any(more) or any(kind == "trigger" for kind, _ in rows):
        raise TargetRefused(
            f"the target's table {shown(str(name))} would have to be made anew for this schema change, and it has triggers or"
            " constraints that would be lost",
            hint="bring it by hand to the source's shape; what fits is taken as it is",
        )
    return [text for kind, text in rows if kind == "index"]


def _place(name: TargetName) -> tuple[str, str]:
    return name.table, name.schema or "main"
