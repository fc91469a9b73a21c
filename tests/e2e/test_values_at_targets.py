"""Every type with values at its edges, from MySQL and MariaDB through the whole pipeline to each SQL target: SELECT there gives
what SELECT at the source gives, by the mapping of docs/types.md; a row that a target cannot hold waits as a dead letter, and no
other does.

CDC_VALUES_ROWS sets how many rows each type gets (10000 for the full run).
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.e2e.conftest import position
from tests.fixtures.servers import Database
from tests.support.chaos import fresh_target
from tests.support.pipeline import connector, write_connector
from tests.support.shop import called
from tests.support.sides import mysql_connection
from tests.support.three_sinks import signals_kept
from tests.support.type_space import Kind, kinds
from tests.support.type_targets import NUMBERS, REFUSED, asked, given, wanted
from tests.support.typed_tables import ROWS, Table, TypedTables, all_types
from tests.support.value_oracle import TEXT_ANSWERS

TARGETS = ("postgresql", "mysql", "mariadb", "sqlite")

pytestmark = pytest.mark.timeout(600 + ROWS)


class Expected:
    """What one target must have: a row that it refuses stays as it was there, and so do all later changes of it."""

    def __init__(self, target: str, tables: Mapping[str, Sequence[Kind]]) -> None:
        self.target = target
        self._kinds = tables
        self._source: dict[str, Table] = {table: {} for table in tables}
        self.rows: dict[str, Table] = {table: {} for table in tables}
        self.waiting: set[tuple[str, int]] = set()

    def follow(self, table: str, now: Table) -> None:
        before, rows = self._source[table], self.rows[table]
        for key in (before.keys() | now.keys()) - {key for name, key in self.waiting if name == table}:
            if key not in now:
                del rows[key]
            elif before.get(key) != now[key]:
                cells = tuple(
                    wanted(self.target, kind.column, value)
                    for kind, value in zip(self._kinds[table], now[key], strict=True)
                )
                if REFUSED in cells:
                    self.waiting.add((table, key))
                else:
                    rows[key] = cells
        self._source[table] = now


def test_every_value_of_every_type_reaches_every_target_or_waits_as_a_dead_letter_at_mysql(
    mysql_db: Database, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    _run_all(mysql_db, request, tmp_path)


@pytest.mark.faults  # half a minute; the types that only MariaDB has are also in tests/contract and test_values_standing.py
def test_every_value_of_every_type_reaches_every_target_or_waits_as_a_dead_letter_at_mariadb(
    mariadb_db: Database, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    _run_all(mariadb_db, request, tmp_path)


@pytest.mark.faults  # minutes each: a table and two drains for every type
@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_rows_are_found_again_by_keys_of_every_type(
    flavor: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """In a table whose key is of the type, each row is updated, then every third one deleted: refused keys are never there."""
    database: Database = request.getfixturevalue(f"{flavor}_db")
    start = position(database)
    with closing(TypedTables(database, 0, {})) as source, _targets(request) as urls:
        for number, kind in enumerate(kind for kind in kinds(flavor) if _is_key(kind)):
            source.insert_by_key(f"k{number}", kind)
        file = _connector_file(database, start, urls, tmp_path)
        _drain(file)
        for table in source.tables:
            source.run(f"UPDATE {table} SET id = id + 1000")
            source.run(f"DELETE FROM {table} WHERE id % 3 = 0")
        _drain(file)
        found: list[str] = []
        for table, columns in source.tables.items():
            now = source.selected(table)
            assert now
            for target, url in urls.items():
                one = Expected(target, source.tables)
                one.follow(table, now)
                found += _unlike(one, table, columns, url)
        assert not found, f"{len(found)}:\n" + "\n".join(found[:40])


def _is_key(kind: Kind) -> bool:
    """Of texts in many charsets a few are enough. An ENUM with a member '' has two keys, number 0 and that one, of one text: in
    change events, and so at targets, they are one."""
    column = kind.column
    if "" in column.members:
        return False
    if column.type in {"char", "varchar"}:
        few = column.charset in {"utf8mb4", "latin1", "sjis", "utf16"} and "compressed" not in kind.name
        return few and (column.length or 0) < 700
    others = {"decimal", "float", "double", "date", "datetime", "timestamp", "time", "enum", "set"}
    return column.type in {*NUMBERS, *others, "uuid", "inet4", "inet6", "binary"}


def _run_all(database: Database, request: pytest.FixtureRequest, folder: Path) -> None:
    start = position(database)
    with closing(TypedTables(database, ROWS, all_types(database))) as source, _targets(request) as urls:
        file = _connector_file(database, start, urls, folder)
        expected = [Expected(name, source.tables) for name in urls]
        for change in (source.insert, source.update, source.delete):
            change()
            began = time.monotonic()
            _drain(file)
            print(f"{change.__name__}: {time.monotonic() - began:.1f} s")  # noqa: T201 — shown where it fails, or with -s
            found: list[str] = []
            for table in source.tables:
                now = source.selected(table)
                for one in expected:
                    one.follow(table, now)
                    found += _unlike(one, table, source.tables[table], urls[one.target])
            for one in expected:
                found += [f"{one.target}: {row} {how}" for row, how in _letters_unlike(one, urls[one.target])]
            assert not found, f"{len(found)} after {change.__name__}:\n" + "\n".join(found[:40])
        print({one.target: (sum(map(len, one.rows.values())), len(one.waiting)) for one in expected})  # noqa: T201


def _connector_file(database: Database, start: str, urls: Mapping[str, str], folder: Path) -> Path:
    document = connector(
        f"v-{database.dbname.replace('_', '-')}",
        source_url=database.server.url,
        target_url="",
        tables=[f"{database.dbname}.*"],
        queue={"url": "memory://"},
    )
    del document["sink"]
    document["source"]["start"] = start
    document["sinks"] = {name: {"url": url, "on_error": "dead_letter"} for name, url in urls.items()}
    return write_connector(folder, document)


def _drain(file: Path) -> None:
    with signals_kept():
        done = called("run", str(file), "--drain")
    assert done.returncode == 0, done.stderr[-6000:]


def _unlike(expected: Expected, table: str, columns: Sequence[Kind], url: str) -> Iterator[str]:
    """What differs, said for a person, each type once at most."""
    found = _selected(expected.target, url, table, columns)
    rows = expected.rows[table]
    for key in found.keys() ^ rows.keys():
        yield f"{expected.target}: row {key} of {table} is only {'there' if key in found else 'expected'}"
    told = set()
    for key in found.keys() & rows.keys():
        for kind, want, has in zip(columns, rows[key], found[key], strict=True):
            if (type(has), has) != (type(want), want) and kind.name not in told:
                told.add(kind.name)
                yield f"{expected.target}: {kind.name} in row {key} of {table}: expected {want!r}, has {has!r}"


def _selected(target: str, url: str, table: str, columns: Sequence[Kind]) -> Table:
    listed = "".join(f", {asked(target, kind, f'c{number}')}" for number, kind in enumerate(columns))
    answers = _ask(url, f"SELECT id{listed} FROM {table}")
    return {
        int(key): tuple(given(target, kind, cell) for kind, cell in zip(columns, cells, strict=True))
        for key, *cells in answers
    }


def _ask(url: str, sql: str) -> list[tuple[Any, ...]]:
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as sqlite:
            return sqlite.execute(sql).fetchall()
    if scheme == "postgresql":
        with psycopg.connect(url, options="-c TimeZone=UTC") as postgresql:
            return postgresql.execute(sql.encode()).fetchall()
    with closing(mysql_connection(url, conv=TEXT_ANSWERS)) as mysql, mysql.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def _letters_unlike(expected: Expected, url: str) -> Iterator[tuple[str, str]]:
    """Rows that wait and should not, with the reason, and those that should and do not."""
    found = {
        (table, json.loads(key)[0]): reason
        for table, key, reason in _ask(
            url, "SELECT table_name, key_json, reason FROM _cdc_dead_letters ORDER BY id DESC"
        )
    }
    for table, key in sorted(found.keys() ^ expected.waiting):
        yield f"row {key} of {table}", f"waits: {found[table, key]}" if (table, key) in found else "does not wait"


@contextmanager
def _targets(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """A fresh database of each kind; MySQL and MariaDB are the servers that are read from too."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(fresh_target(request, name)) for name in TARGETS}
