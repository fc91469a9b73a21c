# ruff: noqa: S608 — identifiers come quoted from the plan, values go as parameters.
"""Reads a table of SQLite back. A statement for each key is no round trip: one prepared statement runs in this process."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from cdc.model.batch import Key
from cdc.model.row_digest import Form, row_number
from cdc.target.sql.digests import AGGREGATE, forms
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
        connection.create_aggregate(AGGREGATE, -1, _aggregate(forms(plan)))
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


def _aggregate(columns: Sequence[Form | None]) -> Any:
    """The class of SQLite's aggregate function: SQLite has no hash of its own."""

    class Digest:
        def __init__(self) -> None:
            self._total = 0

        def step(self, *values: Any) -> None:
            self._total += row_number(map(_text, columns, values))

        def finalize(self) -> str:
            return str(self._total)

    return Digest


def _text(form: Form | None, value: Any) -> str | None:
    """What others put into a column of another type has a text that no value of the source's has."""
    if value is None:
        return None
    if isinstance(value, bytes) or form == "bytes":
        return value.hex() if isinstance(value, bytes) and form == "bytes" else f"\0{value!r}"
    return str(value)
