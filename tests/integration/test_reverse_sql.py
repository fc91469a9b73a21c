"""`cdc tail --reverse-sql` run by the server that wrote the binlog: SELECT afterwards gives what it gave before.

CDC_VALUES_ROWS sets how many rows each type gets.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.fixtures.servers import Database
from tests.support.binlog_copies import copy_binlogs
from tests.support.hostile import NAMES
from tests.support.looking_back import LookedAt, commands
from tests.support.type_space import SQL_MODE, Kind, kinds
from tests.support.value_oracle import TEXT_ANSWERS
from tests.support.workload import TABLES, Work

ROWS = int(os.environ.get("CDC_VALUES_ROWS", "24"))
TABLE_WIDTH = 12

pytestmark = pytest.mark.timeout(600 + ROWS)


@pytest.fixture
def looked_at(any_source_db: Database, tmp_path: Path) -> LookedAt:
    return LookedAt(any_source_db, tmp_path)


class TypeTables:
    """Tables of the columns `id` and one for each kind; with `as_key` of `id` and a key of the one kind."""

    def __init__(self, database: Database, seed: int, tables: Mapping[str, Sequence[Kind]], *, as_key: bool) -> None:
        self.tables = tables
        self._rng = Random(seed)
        self._connection = database.connect(conv=TEXT_ANSWERS)
        self._as_key = as_key
        self.run(f"SET time_zone = '+00:00', sql_mode = '{SQL_MODE}'")
        for table, columns in tables.items():
            listed = "".join(f", c{number} {_definition(kind, as_key)}" for number, kind in enumerate(columns))
            key = "c0" if as_key else "id"
            self.run(f"CREATE TABLE {table} (id INT NOT NULL{listed}, PRIMARY KEY ({key}))")

    def close(self) -> None:
        self._connection.close()

    def run(self, sql: str) -> Sequence[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql.replace("%", "%%"), ())
            return cursor.fetchall()  # type: ignore[no-any-return]

    def insert(self, first: int) -> None:
        """Every edge, a row of NULLs, and random ones. What a key has already, or refuses, is left out."""
        for table, columns in self.tables.items():
            most = max(ROWS, *(len(kind.edges) + 4 for kind in columns))
            for number in range(most):
                literals = ", ".join(self._literal(kind, number) for kind in columns)
                self.run(f"INSERT IGNORE INTO {table} VALUES ({first + number}, {literals})")

    def change(self) -> None:
        """Everything that rows can suffer, in transactions of several statements."""
        for table, columns in self.tables.items():
            self.run("BEGIN")
            for number, kind in enumerate(columns):
                values = [self._literal(kind, self._rng.randrange(60)) for _ in range(3)]
                for rest, value in enumerate(values):
                    self.run(f"UPDATE IGNORE {table} SET c{number} = {value} WHERE id % 4 = {rest}")
            self.run("COMMIT")
            self.run(f"UPDATE {table} SET id = id + 1000 WHERE id % 5 = 1")
            self.run("BEGIN")
            self.run(f"DELETE FROM {table} WHERE id % 3 = 1")
            self.run("COMMIT")
        self.insert(5000)
        for table in self.tables:
            self.run(f"DELETE FROM {table} WHERE id % 2 = 1")

    def selected(self) -> dict[str, list[tuple[Any, ...]]]:
        """What change events hold of all rows."""
        found = {}
        for table, columns in self.tables.items():
            listed = "".join(f", {kind.select.format(c=f'c{number}')}" for number, kind in enumerate(columns))
            found[table] = sorted(self.run(f"SELECT id{listed} FROM {table}"), key=repr)
        return found

    def _literal(self, kind: Kind, number: int) -> str:
        # A decimal in a JSON document becomes a double: see test_a_decimal_in_json_is_marked.
        edges = [edge for edge in kind.edges if "'k', 1.10" not in edge]
        if number < len(edges):
            return edges[number]
        return "NULL" if not self._as_key and self._rng.random() < 0.05 else kind.random(self._rng)


def _definition(kind: Kind, as_key: bool) -> str:
    return f"{kind.definition.removesuffix(' NULL')} NOT NULL" if as_key else kind.definition


def _is_key(kind: Kind) -> bool:
    """Of texts in many charsets a few are enough; what cannot be a whole key is left out, and an ENUM with a member ''."""
    column = kind.column
    if "" in column.members:
        return False
    if column.type in {"char", "varchar"}:
        few = column.charset in {"utf8mb4", "latin1", "sjis", "utf16"} and "compressed" not in kind.name
        return few and (column.length or 0) < 700
    others = {"tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year", "decimal", "float", "double", "date"}
    more = {"datetime", "timestamp", "time", "enum", "set", "uuid", "inet4", "inet6", "binary"}
    return column.type in others | more


def undo_and_compare(looked_at: LookedAt, tables: TypeTables, before: Mapping[str, list[tuple[Any, ...]]]) -> None:
    assert tables.selected() != before
    looked_at.run(looked_at.reverse_sql())
    after = tables.selected()
    for table, rows in before.items():
        assert len(after[table]) == len(rows), table
        for has, had in zip(after[table], rows, strict=True):
            for number, (now, then) in enumerate(zip(has[1:], had[1:], strict=True)):
                assert now == then, f"{tables.tables[table][number].name} in row {had[0]}"
            assert has == had


def test_values_of_every_type_come_back(looked_at: LookedAt) -> None:
    found = kinds(looked_at.database.server.kind)
    named = {f"t{at // TABLE_WIDTH}": found[at : at + TABLE_WIDTH] for at in range(0, len(found), TABLE_WIDTH)}
    with closing(TypeTables(looked_at.database, 1, named, as_key=False)) as tables:
        tables.insert(1)
        before = tables.selected()
        looked_at.mark()
        tables.change()
        undo_and_compare(looked_at, tables, before)


def test_rows_are_found_by_keys_of_every_type(looked_at: LookedAt) -> None:
    found = [kind for kind in kinds(looked_at.database.server.kind) if _is_key(kind)]
    with closing(
        TypeTables(looked_at.database, 2, {f"k{number}": [kind] for number, kind in enumerate(found)}, as_key=True)
    ) as tables:
        tables.insert(1)
        before = tables.selected()
        assert all(before.values())
        looked_at.mark()
        tables.change()
        undo_and_compare(looked_at, tables, before)


def test_random_work_with_changing_and_swapped_keys_comes_back(looked_at: LookedAt) -> None:
    with looked_at.database.connect(autocommit=False) as connection:
        work = Work(connection, seed=5)
        work.create()
        work.transactions(40)
        before = {table: looked_at.rows(f"SELECT * FROM {table}") for table in TABLES}
        looked_at.mark()
        work.transactions(150)
    middle = looked_at.rows("SELECT * FROM items")
    assert middle != before["items"]
    script = looked_at.reverse_sql()
    looked_at.mark()
    looked_at.run(script)
    assert {table: looked_at.rows(f"SELECT * FROM {table}") for table in TABLES} == before
    # What undid it is in the binlog too: undone in its turn, what was there in between is there again.
    looked_at.run(looked_at.reverse_sql())
    assert looked_at.rows("SELECT * FROM items") == middle


# The text file through which the test reads the script makes a line's end of a carriage return.
HOSTILE = [name for name in NAMES if "\r" not in name]


def test_hostile_names_and_texts_stay_what_they_are(looked_at: LookedAt) -> None:
    tables = [_quoted(name) for name in HOSTILE]
    wide = ", ".join(f"{_quoted(name)} VARCHAR(80)" for name in HOSTILE)
    charset = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    with looked_at.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE wide (id INT PRIMARY KEY, {wide}) {charset}")
        marks = ", ".join(["%s"] * len(HOSTILE))
        cursor.execute(f"INSERT INTO wide VALUES (1, {marks})", HOSTILE)
        for table, name in zip(tables, HOSTILE, strict=True):
            cursor.execute(f"CREATE TABLE {table} (k VARCHAR(80) PRIMARY KEY, {table} VARCHAR(80)) {charset}")
            cursor.execute(f"INSERT INTO {table.replace('%', '%%')} VALUES (%s, %s)", (name, name))
        tables.append("wide")
        before = [looked_at.rows(f"SELECT * FROM {table}") for table in tables]
        looked_at.mark()
        cursor.execute("UPDATE wide SET " + ", ".join(f"{_quoted(name)} = NULL" for name in HOSTILE[::2]))
        for table in tables[:-1]:
            cursor.execute(f"UPDATE {table} SET k = 'other', {table} = NULL")
        for table in tables:
            cursor.execute(f"DELETE FROM {table}")
    looked_at.run(looked_at.reverse_sql())
    assert [looked_at.rows(f"SELECT * FROM {table}") for table in tables] == before


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def test_only_the_chosen_row_comes_back_and_later_changes_of_other_columns_stay(looked_at: LookedAt) -> None:
    looked_at.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, "
        "seen TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))",
        "INSERT INTO t (id, a, b, seen) VALUES (1, 1, 1, '2020-01-01'), (2, 2, 2, '2020-01-01')",
    )
    looked_at.mark()
    looked_at.sql("UPDATE t SET a = 10, seen = seen", "UPDATE t SET id = 7, seen = seen WHERE id = 1")
    end = looked_at.now()
    looked_at.sql("UPDATE t SET b = 99, seen = seen")
    assert len(commands(looked_at.reverse_sql("--table", looked_at.name("t"), "--key", "7", to=end))) == 1
    looked_at.run(looked_at.reverse_sql("--table", looked_at.name("t"), "--key", "1", to=end))
    rows = looked_at.rows("SELECT id, a, b, CAST(seen AS CHAR) FROM t")
    assert [row[:3] for row in rows] == [(1, 1, 99), (2, 10, 99)]
    assert len({row[3] for row in rows}) == 1, "a TIMESTAMP with ON UPDATE moved"


def test_generated_columns_are_left_to_the_server(looked_at: LookedAt) -> None:
    looked_at.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, v INT GENERATED ALWAYS AS (a + 1) VIRTUAL, "
        "s INT GENERATED ALWAYS AS (a * 2) STORED, KEY (v))",
        "INSERT INTO t (id, a) VALUES (1, 1), (2, 2), (3, 3)",
    )
    before = looked_at.rows("SELECT * FROM t")
    looked_at.mark()
    looked_at.sql(
        "UPDATE t SET a = 50 WHERE id = 1", "DELETE FROM t WHERE id = 2", "INSERT INTO t (id, a) VALUES (9, 9)"
    )
    looked_at.run(looked_at.reverse_sql())
    assert looked_at.rows("SELECT * FROM t") == before


def test_invisible_columns_and_keys_come_back(looked_at: LookedAt) -> None:
    mysql = looked_at.database.server.kind == "mysql"
    key = "" if mysql else "my_row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE PRIMARY KEY, "
    session = "SET SESSION sql_generate_invisible_primary_key = ON" if mysql else "SET @nothing = 1"
    looked_at.sql(
        f"CREATE TABLE t ({key}a INT, hidden INT INVISIBLE DEFAULT 7)",
        "INSERT INTO t (a, hidden) VALUES (1, 1), (2, 2), (3, NULL)",
        session=session,
    )
    select = "SELECT my_row_id, a, hidden FROM t"
    before = looked_at.rows(select)
    looked_at.mark()
    looked_at.sql("UPDATE t SET hidden = 9 WHERE a < 3", "DELETE FROM t WHERE a > 1", "INSERT INTO t (a) VALUES (8)")
    looked_at.run(looked_at.reverse_sql())
    assert looked_at.rows(select) == before


def test_rows_of_foreign_keys_come_back_in_an_order_that_they_allow(looked_at: LookedAt) -> None:
    looked_at.sql(
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, FOREIGN KEY (parent_id) REFERENCES parent (id))",
        "INSERT INTO parent VALUES (1), (2)",
        "INSERT INTO child VALUES (10, 1), (20, 2)",
    )
    before = [looked_at.rows("SELECT * FROM parent"), looked_at.rows("SELECT * FROM child")]
    looked_at.mark()
    looked_at.sql(
        "BEGIN",
        "INSERT INTO parent VALUES (3)",
        "UPDATE child SET parent_id = 3",
        "DELETE FROM parent WHERE id < 3",
        "INSERT INTO child VALUES (30, 3)",
        "COMMIT",
    )
    looked_at.run(looked_at.reverse_sql())
    assert [looked_at.rows("SELECT * FROM parent"), looked_at.rows("SELECT * FROM child")] == before


@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB"])
def test_what_partial_images_do_not_hold_is_said_and_all_else_undone(looked_at: LookedAt, image: str) -> None:
    looked_at.sql("CREATE TABLE t (id INT PRIMARY KEY, a INT, b TEXT)", "INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'y')")
    looked_at.mark()
    looked_at.sql(
        "INSERT INTO t VALUES (3, 3, 'z')", "DELETE FROM t WHERE id = 2", session=f"SET binlog_row_image = {image}"
    )
    script = looked_at.reverse_sql(status=1)
    assert script.count("NOT UNDONE") == 1
    assert f"NOT UNDONE: DELETE of a row of {looked_at.name('t')} (key id)" in script
    looked_at.run(script)
    assert looked_at.rows("SELECT * FROM t") == [(1, 1, "x")]


def test_truncate_and_schema_changes_are_said_loudly(looked_at: LookedAt) -> None:
    looked_at.sql("CREATE TABLE t (id INT PRIMARY KEY, a INT)", "INSERT INTO t VALUES (1, 1)")
    looked_at.mark()
    looked_at.sql(
        "TRUNCATE t", "INSERT INTO t VALUES (2, 2)", "ALTER TABLE t ADD COLUMN c INT", "INSERT INTO t VALUES (3, 3, 3)"
    )
    done = looked_at.tail("--reverse-sql")
    assert done.returncode == 1
    assert "2 changes in the range cannot be undone" in done.stderr
    assert done.stdout.index("NOT UNDONE: ALTER") < done.stdout.index("NOT UNDONE: TRUNCATE")
    looked_at.run(done.stdout)
    assert looked_at.rows("SELECT * FROM t") == []


def test_a_decimal_in_json_is_marked(mysql_db: Database, tmp_path: Path) -> None:
    looked_at = LookedAt(mysql_db, tmp_path)
    looked_at.sql("CREATE TABLE t (id INT PRIMARY KEY, j JSON)", "INSERT INTO t VALUES (1, JSON_OBJECT('k', 1.10))")
    looked_at.mark()
    looked_at.sql("DELETE FROM t")
    script = looked_at.reverse_sql(status=1)
    assert "NOT EXACT: column j" in script
    looked_at.run(script)
    assert looked_at.rows("SELECT CAST(j AS CHAR) FROM t") == [('{"k": 1.1}',)]


@pytest.mark.parametrize("keys", ["exclude_columns", "mask_columns"])
def test_columns_that_are_kept_back_refuse_their_table_and_no_other(
    any_source_db: Database, tmp_path: Path, keys: str
) -> None:
    looked_at = LookedAt(any_source_db, tmp_path, **{keys: ["*.t.secret"], "mask_salt": "salt"})
    looked_at.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, secret VARCHAR(20))",
        "CREATE TABLE u (id INT PRIMARY KEY, secret VARCHAR(20))",
        "INSERT INTO t VALUES (1, 'canary')",
        "INSERT INTO u VALUES (1, 'plain')",
    )
    done = looked_at.tail("--reverse-sql", "--table", looked_at.name("t"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "secret" in done.stderr
    assert "canary" not in done.stderr
    assert len(commands(looked_at.tail("--reverse-sql", "--table", looked_at.name("u")).stdout)) == 1


def test_archived_files_alone_are_undone_too(any_source_db: Database, tmp_path: Path) -> None:
    looked_at = LookedAt(any_source_db, tmp_path)
    looked_at.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, s INT GENERATED ALWAYS AS (a * 2) STORED)",
        "INSERT INTO t (id, a) VALUES (1, 1)",
    )
    before = looked_at.rows("SELECT * FROM t")
    start = looked_at.mark()
    looked_at.sql("UPDATE t SET a = 5", "DELETE FROM t")
    end = looked_at.now()
    folder = tmp_path / "copies"
    (copy,) = copy_binlogs(any_source_db, folder, start.partition(":")[0])
    url = f"file://{copy}:{start.partition(':')[2]}"
    done = looked_at.tail("--reverse-sql", "--generated", "*.t.s", start=url, to=end)
    assert done.returncode == 0, done.stderr
    looked_at.run(done.stdout)
    assert looked_at.rows("SELECT * FROM t") == before


def test_a_binary_that_may_be_a_uuid_is_not_guessed(mariadb_db: Database, tmp_path: Path) -> None:
    """The server says which one it is; files alone do not."""
    looked_at = LookedAt(mariadb_db, tmp_path)
    looked_at.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, u UUID)",
        "INSERT INTO t VALUES (1, '123e4567-e89b-12d3-a456-426655440000')",
    )
    before = looked_at.rows("SELECT id, CAST(u AS CHAR) FROM t")
    start = looked_at.mark()
    looked_at.sql("DELETE FROM t")
    end = looked_at.now()
    file, _, offset = start.partition(":")
    (copy,) = copy_binlogs(mariadb_db, tmp_path / "copies", file)
    done = looked_at.tail("--reverse-sql", start=f"file://{copy}:{offset}", to=end)
    assert done.returncode == 1
    assert "NOT UNDONE: DELETE" in done.stdout
    assert "UUID" in done.stdout
    assert commands(done.stdout) == []
    looked_at.run(looked_at.reverse_sql())
    assert looked_at.rows("SELECT id, CAST(u AS CHAR) FROM t") == before
