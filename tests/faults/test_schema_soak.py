"""Random DDL in between random DML, to two targets at once: both sides equal afterwards, columns included.

SQLite is left out: it keeps a FLOAT as the double of its text, so that some conversions are refused there, as they must be."""

import os
import random
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymysql
import pytest

from tests.fixtures.servers import Database
from tests.support import ddl_space
from tests.support.ddl_space import DdlSpace, Held, quoted
from tests.support.fleet import Fleet
from tests.support.pipeline import connector, write_connector
from tests.support.sides import Rows, differences, mysql_connection, rows
from tests.support.sinks import end_of_binlog

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

STATEMENTS = int(os.environ.get("CDC_SOAK_STATEMENTS", "200"))
SEED = int(os.environ.get("CDC_SOAK_SEED", "0")) or random.randrange(10**9)
"""Printed with a failure; the same seed makes the same statements."""

# Each conversion of these is another at another product, and stops the sink, as it must: tests/contract has them one by one.
OTHER_AT_TARGETS = ("modify_any", "nullability", "key", "convert")
# Literals that every member of a family of tests/support/ddl_space.py holds.
VALUES = {
    ("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT"): ("0", "7", "100"),
    ("DECIMAL", "FLOAT", "DOUBLE"): ("0", "1.25", "-2.5"),
    ("VARCHAR", "CHAR", "TEXT", "MEDIUMTEXT"): ("''", "'a'", "'bü'", "' c'"),
    ("VARBINARY", "BLOB", "LONGBLOB"): ("''", "x'00ff'", "'b'"),
    ("BINARY",): ("'abcd'", "x'00ff'"),
    ("ENUM",): ("'a'", "'b'"),
    ("SET",): ("''", "'x'", "'y,x'"),
    ("BIT",): ("b'0'", "b'101'"),
    ("DATE", "DATETIME", "TIMESTAMP"): ("'2024-02-29'", "'2001-01-01'"),
    ("TIME",): ("'-01:02:03'", "'23:59:59'"),
    ("YEAR",): ("2024", "1999"),
    ("JSON",): ("'[1, 2]'", "'{\"a\": null}'"),
}
LITERALS = {word: literals for words, literals in VALUES.items() for word in words}


class Work:
    """The source's side: one session, rows of their own for each table."""

    def __init__(self, connection: Any, space: DdlSpace, seed: int) -> None:
        self._cursor = connection.cursor()
        self._space = space
        self._random = random.Random(seed)
        self._next_id = 1
        self.refused = 0

    def setup(self) -> None:
        for statement in self._space.setup():
            self._cursor.execute(statement)

    def step(self) -> None:
        step = self._space.next()
        try:
            for statement in step.statements:
                self._cursor.execute(statement)
        except pymysql.err.MySQLError:
            self.refused += 1  # the rows that are there do not allow it
            return
        self._space.done(step)

    def rows(self) -> None:
        for table, columns in self._space.tables.items():
            for _ in range(self._random.randrange(4)):
                self._row(table, columns)

    def _row(self, table: str, columns: tuple[Held, ...]) -> None:
        named = [column for column in columns if self._random.random() < 0.8]
        known = self._random.randrange(1, self._next_id + 1)
        match self._random.randrange(4):
            case 0 | 1:
                names = ", ".join(["id", *(quoted(column.name) for column in named)])
                values = ", ".join([str(self._next_id), *map(self._value, named)])
                sql = f"INSERT INTO {quoted(table)} ({names}) VALUES ({values})"
                self._next_id += 1
            case 2 if named:
                sets = ", ".join(f"{quoted(column.name)} = {self._value(column)}" for column in named)
                sql = f"UPDATE {quoted(table)} SET {sets} WHERE id BETWEEN {known} AND {known + 20}"
            case _:
                sql = f"DELETE FROM {quoted(table)} WHERE id = {known}"
        try:
            self._cursor.execute(sql)
        except pymysql.err.MySQLError:
            self.refused += 1  # a NOT NULL column that was not named

    def _value(self, column: Held) -> str:
        word = column.type.partition("(")[0].split()[0]
        return self._random.choice(LITERALS[word])


@pytest.mark.parametrize("order", ["key", "transaction"])
def test_random_ddl_between_dml_leaves_both_sides_equal(
    order: str,
    mysql_db: Database,
    sinks: dict[str, str],
    queue_sections: Callable[[str], dict[str, Any]],
    measured: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A MySQL target refuses names with a backtick (docs/types.md).
    monkeypatch.setattr(ddl_space, "_NAMES", tuple(name for name in ddl_space._NAMES if "`" not in name))
    sinks = {name: sinks[name] for name in ("postgresql", "mysql")}
    sys.stdout.write(f"CDC_SOAK_SEED={SEED}\n")  # shown where it fails, in whatever way
    space = DdlSpace(SEED, flavor="mysql", without=OTHER_AT_TARGETS)
    file = connector_file(tmp_path, mysql_db, sinks, queue_sections("redis"), order)
    with closing(mysql_connection(mysql_db.url)) as connection, Fleet(file, tmp_path) as fleet:
        work = Work(connection, space, SEED)
        work.setup()
        fleet.run()
        for _ in range(STATEMENTS):
            work.step()
            work.rows()
            fleet.require_running()
        fleet.end()
        fleet.drain(900)
        fleet.no_traceback()
    found = [line for name, url in sinks.items() for line in unlike(mysql_db, name, url, space)]
    assert found == [], f"seed {SEED}"
    measured(
        f"seed {SEED}: {STATEMENTS} statements on {len(space.tables)} tables, {work.refused} refused by the source"
    )


def connector_file(folder: Path, source: Database, sinks: dict[str, str], queue: dict[str, Any], order: str) -> Path:
    name = f"soak-{source.dbname.replace('_', '-')}"
    tables = [f"{source.dbname}.*", f"!{source.dbname}._*"]
    document = connector(name, source_url=source.server.url, target_url="", tables=tables, order=order, **queue)
    document["source"] |= {"start": end_of_binlog(source), "destructive_changes": "apply"}
    del document["sink"]
    document["sinks"] = {kind: {"url": url} for kind, url in sinks.items()}
    if order == "transaction":
        document["queue"].pop("lanes", None)
    return write_connector(folder, document)


def unlike(source: Database, sink: str, url: str, space: DdlSpace) -> Iterator[str]:
    mysql = urlsplit(url).scheme == "mysql"
    for table in space.tables:
        if table.startswith("_"):
            continue
        there = quoted(table) if mysql else '"' + table.replace('"', '""') + '"'
        bits = [column.name for column in space.tables[table] if column.type.startswith("BIT")]
        left = numbers(rows(source.url, quoted(table), ("id",)), bits)
        try:
            right = numbers(rows(url, there, ("id",)), bits)
        except Exception as error:  # noqa: BLE001 — a table that is missing is a difference like any other
            yield f"{sink}: {table}: {error}"
            continue
        yield from (f"{sink}: {table}: {line}" for line in differences(left, right))
        columns = [{name for row in side.values() for name in row} for side in (left, right)]
        if columns[0] != columns[1]:
            yield f"{sink}: {table}: columns {sorted(columns[0] ^ columns[1])} on one side only"


def numbers(found: Rows, columns: list[str]) -> Rows:
    """MySQL's driver gives a BIT as bytes, which are base64 here; in a change event and at PostgreSQL it is a number."""
    for row in found.values():
        for name in columns:
            if isinstance(row.get(name), str):
                row[name] = int.from_bytes(b64decode(row[name]))
    return found
