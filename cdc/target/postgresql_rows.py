"""Reads a table of PostgreSQL back: keys go as one JSON parameter, as in the sink's own statements."""

from collections.abc import Sequence
from typing import Any

from cdc.model.batch import Key
from cdc.target.postgresql_bulk import Shape, TargetTable, key_records
from cdc.target.postgresql_connection import Connection
from cdc.target.postgresql_errors import mapping
from cdc.target.sql.names import doubled
from cdc.target.sql.rows import Answers, row_values

# Names cannot contain U+0000, so this is never part of one.
_PARAMETER = "\0parameter\0"


class PostgresqlAsker:
    """See cdc.target.sql.rows.Asker. Owns the connection, which has autocommit."""

    def __init__(self, connection: Connection, table: TargetTable) -> None:
        self._connection = connection
        self._table = table
        self._keys = Shape(table, table.plan.key_indexes)

    def rows(self, sql: str, parameters: Sequence[Any]) -> Answers:
        with mapping():
            return self._connection.execute(doubled(sql).replace(_PARAMETER, "%s"), tuple(parameters)).fetchall()

    def of_keys(self, select: str, keys: Sequence[Key]) -> Answers:
        with mapping():
            sql = self._keys.select_records(select)
            return self._connection.execute(sql, (key_records(self._keys, keys),)).fetchall()

    def beside(self, operator: str, key: Key) -> tuple[str, Sequence[Any]]:
        """As text, which the column's type reads: a key's value that JSON or a number would not tell exactly is none."""
        plan = self._table.plan
        converters = dict(plan.key_converters)
        texts = []
        for at, value in enumerate(key):
            change = converters.get(at)
            texts.append(str(value if change is None or value is None else change(value)))
        casts = [f"{_PARAMETER}::{self._table.formats[index]}" for index in plan.key_indexes]
        return row_values(plan.quoted_key, operator, casts), texts

    def close(self) -> None:
        self._connection.close()
