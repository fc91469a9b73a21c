# ruff: noqa: S608 — identifiers come quoted from the plan, values go as parameters.
"""Reads a table of SQLite back. A statement for each key is no round trip: one prepared statement runs in this process."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from cdc.model.batch import Key
from cdc.target.sql.names import shown
from cdc.target.sql.plan import TablePlan
from cdc.target.sql.rows import Answers, row_values
from cdc.target.sql.values import convert
from cdc.target.sqlite_connection import mapping


class SqliteAsker:
    """See cdc.target.sql.rows.Asker. Owns the connection."""

    def __init__(self, connection: sqlite3.Connection, plan: TablePlan) -> None:
        # Others may have written what is no UTF-8: it differs, and is no error.
        connection.text_factory = lambda raw: raw.decode(errors="backslashreplace")
        self._connection = connection
        self._plan = plan
        self._place = f"table {shown(str(plan.name))}"

    def rows(self, sql: str, parameters: Sequence[Any]) -> Answers:
        with mapping(self._place):
            return self._connection.execute(sql, tuple(parameters)).fetchall()

    def of_keys(self, select: str, keys: Sequence[Key]) -> Iterator[Sequence[Any]]:
        matches = " AND ".join(f"t.{column} = ?" for column in self._plan.quoted_key)
        sql = f"SELECT {select} FROM {self._plan.quoted} AS t WHERE {matches}"
        with mapping(self._place):
            for key in convert(keys, self._plan.key_converters):
                yield from self._connection.execute(sql, tuple(key)).fetchall()

    def beside(self, operator: str, key: Key) -> tuple[str, Sequence[Any]]:
        (values,) = convert([key], self._plan.key_converters)
        return row_values(self._plan.quoted_key, operator, ["?"] * len(key)), values

    def close(self) -> None:
        self._connection.close()
