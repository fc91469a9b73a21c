# ruff: noqa: S608 — identifiers come quoted from the plan, values go as parameters.
"""Applies net changes to SQLite tables, so that only the rows of the given primary keys ever change.

`INSERT … ON CONFLICT (key) DO UPDATE` updates on a conflict of that key alone and fails on any other
(https://www.sqlite.org/lang_upsert.html). A statement for each row is no round trip here: executemany runs one
prepared statement in this process.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from cdc.model.batch import Key, TableBatch
from cdc.model.change import Row
from cdc.model.errors import RowRefused, TargetRefused
from cdc.model.schema import TableSchema
from cdc.target.row_images import key_of, missing_row, sorted_by_image
from cdc.target.sql.dialects import SQLITE
from cdc.target.sql.names import TargetName, quote, shown
from cdc.target.sql.plan import Planner, TablePlan
from cdc.target.sql.values import convert
from cdc.target.sqlite_connection import is_taken

_SCRATCH = 'temp."_cdc_rearranged"'


@dataclass(frozen=True)
class TargetTable:
    """A plan and its statements. `written`: indexes of the columns that are not generated; `stored_columns`: all quoted
    columns of the target that are not."""

    plan: TablePlan
    written: tuple[int, ...]
    stored_columns: tuple[str, ...]

    @cached_property
    def delete(self) -> str:
        return f"DELETE FROM {self.plan.quoted} WHERE {self.matches}"

    @cached_property
    def exists(self) -> str:
        return f"SELECT 1 FROM {self.plan.quoted} WHERE {self.matches}"

    @cached_property
    def matches(self) -> str:
        return " AND ".join(f"{column} = ?" for column in self.plan.quoted_key)

    def upsert(self, into: str) -> str:
        quoted = [self.plan.quoted_columns[i] for i in self.written]
        changed = [self.plan.quoted_columns[i] for i in self.written if i not in self.plan.key_indexes]
        sets = ",".join(f"{column}=excluded.{column}" for column in changed)
        return (
            f"INSERT INTO {into} ({','.join(quoted)}) VALUES ({','.join('?' * len(quoted))}) "
            f"ON CONFLICT ({','.join(self.plan.quoted_key)}) DO {f'UPDATE SET {sets}' if sets else 'NOTHING'}"
        )

    def update(self, into: str, indexes: Sequence[int]) -> str:
        """Of the columns `indexes`; where there is nothing to change, it still finds (and counts) the row."""
        changed = [self.plan.quoted_columns[i] for i in indexes] or [self.plan.quoted_key[0]]
        values = [f"{column}=?" for column in changed] if indexes else [f"{changed[0]}={changed[0]}"]
        return f"UPDATE {into} SET {','.join(values)} WHERE {self.matches}"

    def __str__(self) -> str:
        return shown(str(self.plan.name))


class Applier:
    """Writes through one connection, inside its open transaction. sqlite3's errors pass through; RowRefused is raised
    for rows that are missing."""

    def __init__(self, connection: sqlite3.Connection, planner: Planner) -> None:
        self._connection = connection
        self._planner = planner
        self._tables: dict[str, TargetTable] = {}

    def table(self, schema: TableSchema) -> TargetTable:
        fingerprint = schema.fingerprint()
        table = self._tables.get(fingerprint)
        if table is None:
            plan = self._planner.plan(schema)
            _check_collations(self._connection, plan)
            generated, stored = _columns(self._connection, plan.name)
            written = tuple(i for i, column in enumerate(plan.columns) if column not in generated)
            table = self._tables[fingerprint] = TargetTable(plan, written, stored)
        return table

    def forget(self) -> None:
        self._planner.forget()
        self._tables.clear()

    def delete(self, table: TargetTable, keys: Sequence[Key]) -> None:
        self._connection.executemany(table.delete, convert(keys, table.plan.key_converters))

    def write(self, table: TargetTable, batch: TableBatch, *, tolerant: bool) -> None:
        """The batch's updates, then its inserts."""
        if not batch.updates and not batch.inserts:
            return
        self._connection.execute("SAVEPOINT cdc_write")
        try:
            self._write_straight(table, batch, tolerant=tolerant)
        except sqlite3.IntegrityError as error:
            self._connection.execute("ROLLBACK TO cdc_write")
            if not is_taken(error):
                raise
            self._write_rearranged(table, batch, tolerant=tolerant)
        self._connection.execute("RELEASE cdc_write")

    def _write_straight(self, table: TargetTable, batch: TableBatch, *, tolerant: bool) -> None:
        into = table.plan.quoted
        whole, partial = sorted_by_image(table.plan, batch)
        self._update(table, partial, into)
        if tolerant:
            self._upsert(table, whole, into)
        else:
            self._update(table, whole, into)
        self._upsert(table, batch.inserts, into)

    def _write_rearranged(self, table: TargetTable, batch: TableBatch, *, tolerant: bool) -> None:
        """Unique values that change places among the batch's rows: a copy without the unique indexes takes the changes,
        with the columns that are not ours, and the rows leave the table and come back."""
        run, columns, quoted = self._connection.execute, ",".join(table.stored_columns), table.plan.quoted
        keys = convert([key_of(table.plan, row) for row in (*batch.updates, *batch.inserts)], table.plan.key_converters)
        run(f"DROP TABLE IF EXISTS {_SCRATCH}")
        run(f"CREATE TABLE {_SCRATCH} AS SELECT {columns} FROM {quoted} WHERE 0")
        run(f'CREATE UNIQUE INDEX temp."_cdc_rearranged_key" ON "_cdc_rearranged" ({",".join(table.plan.quoted_key)})')
        copy = f"INSERT INTO {_SCRATCH} ({columns}) SELECT {columns} FROM {quoted} WHERE {table.matches}"
        self._connection.executemany(copy, keys)
        whole, partial = sorted_by_image(table.plan, batch)
        self._update(table, partial, _SCRATCH)
        if tolerant:
            self._upsert(table, whole, _SCRATCH)
        else:
            self._update(table, whole, _SCRATCH)
        self._upsert(table, batch.inserts, _SCRATCH)
        self._connection.executemany(table.delete, keys)
        run(f"INSERT INTO {quoted} ({columns}) SELECT {columns} FROM {_SCRATCH}")
        run(f"DROP TABLE {_SCRATCH}")

    def _upsert(self, table: TargetTable, rows: Sequence[Row], into: str) -> None:
        if rows:
            self._connection.executemany(table.upsert(into), _values(table, rows, table.written))

    def _update(self, table: TargetTable, rows: Sequence[Row], into: str) -> None:
        """Rows that must be there, each with the columns that came; grouped by these."""
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            groups.setdefault(tuple(row), []).append(row)
        for names, group in groups.items():
            present = {table.plan.index(name) for name in names}
            changed = [i for i in table.written if i in present and i not in table.plan.key_indexes]
            parameters = _values(table, group, (*changed, *table.plan.key_indexes))
            if self._connection.executemany(table.update(into, changed), parameters).rowcount != len(group):
                raise self._missing(table, group)

    def _missing(self, table: TargetTable, rows: Sequence[Row]) -> RowRefused:
        keys = [key_of(table.plan, row) for row in rows]
        stored = convert(keys, table.plan.key_converters)
        missing = next(
            (key for key, values in zip(keys, stored, strict=True) if not self._is_there(table, values)), None
        )
        return missing_row(table.plan, missing or ())

    def _is_there(self, table: TargetTable, key: Sequence[Any]) -> bool:
        return self._connection.execute(table.exists, key).fetchone() is not None


def _values(table: TargetTable, rows: Sequence[Row], indexes: Sequence[int]) -> Sequence[Sequence[Any]]:
    names = [table.plan.source_columns[i] for i in indexes]
    pick: Callable[[Row], Any] = itemgetter(*names)
    by_index = dict(table.plan.converters)
    converters = tuple((at, by_index[i]) for at, i in enumerate(indexes) if i in by_index)
    tuples = [(pick(row),) for row in rows] if len(names) == 1 else [pick(row) for row in rows]
    return convert(tuples, converters)


def _columns(connection: sqlite3.Connection, name: TargetName) -> tuple[frozenset[str], tuple[str, ...]]:
    """Names of generated columns, and quoted names of the others (https://www.sqlite.org/pragma.html#pragma_table_xinfo)."""
    found = connection.execute(
        "SELECT name, hidden FROM pragma_table_xinfo(?, ?)", (name.table, name.schema or "main")
    ).fetchall()
    generated = frozenset(column for column, hidden in found if hidden)
    return generated, tuple(quote(SQLITE, column) for column, hidden in found if not hidden)


def _check_collations(connection: sqlite3.Connection, plan: TablePlan) -> None:
    """A key under NOCASE or RTRIM would take two rows of the source for one."""
    place = (plan.name.table, plan.name.schema or "main")
    listed = connection.execute('SELECT name FROM pragma_index_list(?, ?) WHERE "unique"', place).fetchall()
    key = {plan.columns[i] for i in plan.key_indexes}
    for (index,) in listed:
        parts = connection.execute(
            'SELECT name, coll FROM pragma_index_xinfo(?, ?) WHERE "key"', (index, place[1])
        ).fetchall()
        loose = [(column, collation) for column, collation in parts if collation != "BINARY"]
        if loose and {column for column, _ in parts} == key:
            column, collation = loose[0]
            raise TargetRefused(
                f"column {shown(column)} of the target's table {shown(str(plan.name))}: its collation {collation} takes for "
                "equal what the source keeps apart",
                hint="make the key's columns COLLATE BINARY",
            )
