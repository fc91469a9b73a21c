"""Tables of columns of every type on a source, filled with each type's edges and random values, changed, and read by SELECT.

CDC_VALUES_ROWS sets how many rows each type gets (10000 for the full run).
"""

import os
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from tests.fixtures.servers import Database
from tests.support.type_space import SQL_MODE, Kind, kinds
from tests.support.value_oracle import TEXT_ANSWERS

ROWS = int(os.environ.get("CDC_VALUES_ROWS", "24"))
_BATCH = 200
_TABLE_WIDTH = 12

Cells = tuple[Any, ...]
Table = dict[int, Cells]


class TypedTables:
    """`tables` of the columns `id`, `c0`, `c1`, … on a source."""

    def __init__(self, database: Database, seed: int, tables: Mapping[str, Sequence[Kind]]) -> None:
        self.tables = dict(tables)
        self._rng = Random(seed)
        self._connection = database.connect(conv=TEXT_ANSWERS)
        self.run(f"SET time_zone = '+00:00', sql_mode = '{SQL_MODE}'")
        for table, columns in self.tables.items():
            listed = "".join(f", c{number} {kind.definition}" for number, kind in enumerate(columns))
            self.run(f"CREATE TABLE {table} (id INT PRIMARY KEY{listed})")

    def close(self) -> None:
        self._connection.close()

    def insert(self) -> None:
        """Each edge, and a row of NULLs, in an order that changes nothing: the row's number."""
        for table, columns in self.tables.items():
            most = max(ROWS, *(len(kind.edges) + 4 for kind in columns))
            self._write(table, columns, [(number, number) for number in range(most)])

    def insert_by_key(self, table: str, kind: Kind) -> None:
        """One more table, with `c0` as its key: what the server takes for equal is there once."""
        definition = kind.definition.removesuffix(" NULL")
        self.tables[table] = [kind]
        self.run(f"CREATE TABLE {table} (id INT NOT NULL, c0 {definition} NOT NULL PRIMARY KEY)")
        literals = [*kind.edges, *(kind.random(self._rng) for _ in range(8))]
        values = ", ".join(f"({number}, {literal})" for number, literal in enumerate(literals))
        self.run(f"INSERT IGNORE INTO {table} VALUES {values}".replace("%", "%%"))

    def update(self) -> None:
        """Every second row gets the values of another number."""
        for table, columns in self.tables.items():
            found = sorted(self.selected(table))
            self._write(table, columns, [(number, (number * 7 + 3) % len(found)) for number in found[::2]])

    def delete(self) -> None:
        for table in self.tables:
            self.run(f"DELETE FROM {table} WHERE id % 3 = 1")

    def selected(self, table: str) -> Table:
        """As change events must have the values."""
        columns = self.tables[table]
        listed = "".join(f", {kind.select.format(c=f'c{number}')}" for number, kind in enumerate(columns))
        return {
            int(key): tuple(
                None if text is None else kind.render(text) for text, kind in zip(texts, columns, strict=True)
            )
            for key, *texts in self.run(f"SELECT id{listed} FROM {table}")
        }

    def _write(self, table: str, columns: Sequence[Kind], rows: Sequence[tuple[int, int]]) -> None:
        names = [f"c{number}" for number in range(len(columns))]
        sets = ", ".join(f"{name} = VALUES({name})" for name in names)
        for start in range(0, len(rows), _BATCH):
            values = ", ".join(
                f"({key}, {', '.join(self._literal(kind, number) for kind in columns)})"
                for key, number in rows[start : start + _BATCH]
            )
            statement = f"INSERT INTO {table} (id, {', '.join(names)}) VALUES {values} ON DUPLICATE KEY UPDATE {sets}"
            self.run(statement.replace("%", "%%"))

    def _literal(self, kind: Kind, number: int) -> str:
        if number < len(kind.edges):
            return kind.edges[number]
        return "NULL" if self._rng.random() < 0.05 else kind.random(self._rng)

    def run(self, sql: str) -> Sequence[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()  # type: ignore[no-any-return]


def all_types(database: Database) -> dict[str, list[Kind]]:
    found = kinds(database.server.kind)
    return {
        f"t{start // _TABLE_WIDTH}": found[start : start + _TABLE_WIDTH] for start in range(0, len(found), _TABLE_WIDTH)
    }
