"""Hostile names and values, from real sources to every SQL target: exact copies, or refused in one line; a table beside them that
they name again and again is untouched; every line of output is whole, and no password is in it."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from tests.fixtures.servers import Database
from tests.support.hostile import (
    NAMES,
    NOT_AT_THE_SERVER,
    VALUES,
    broken_lines,
    mysql_name,
    mysql_text,
    quoted,
    refuses,
)
from tests.support.sides import mysql_connection, rows
from tests.support.three_sinks import TARGETS, ThreeSinks, three_sinks

SOURCES = ("mysql", "mariadb")
MARIADB_LATER = ("mysql", pytest.param("mariadb", marks=pytest.mark.faults))
"""For what takes more than ten seconds, and hangs on the names and values more than on the server."""
CANARY_TABLE = "CREATE TABLE canary (id INT PRIMARY KEY, v VARCHAR(20))"
ERRORS = ("error: ", "  ")
"""How a command ends that failed: what happened, and below it what to do."""


@pytest.fixture
def case(request: pytest.FixtureRequest, source: Database) -> Iterator[ThreeSinks]:
    with three_sinks(request, source) as found:
        found.at_targets(CANARY_TABLE)
        found.at_targets("INSERT INTO canary VALUES (1, 'alive')")
        yield found
        assert found.at_targets("SELECT id, v FROM canary") == {target: [(1, "alive")] for target in found.targets}


def only(case: ThreeSinks, target: str) -> None:
    """One sink only, in a connector of its own."""
    case.document["name"] = f"{case.document['name'][:30]}-{target[:5]}"
    case.document["sinks"] = {target: case.document["sinks"][target]}
    case.targets = {target: case.targets[target]}


def content(case: ThreeSinks, target: str, table: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows by their first column, a number, at a target or the `source`."""
    listed = ", ".join(quoted(target, column) for column in columns)
    statement = f"SELECT {listed} FROM {quoted(target, table)} ORDER BY 1"
    if target != "source":
        return [tuple(row) for row in case.at(target, statement)]
    with closing(mysql_connection(case.source.url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


@pytest.mark.parametrize("source", SOURCES, indirect=True)
def test_hostile_tables_and_columns_are_exact_copies(case: ThreeSinks) -> None:
    """A table of each name, half of them at each source, whose key and whose other column have that name too but for a letter."""
    good = [name for name in NAMES if not any(refuses(target, name + "_") for target in TARGETS)]
    assert len(good) > 35
    good = good[SOURCES.index(case.source.server.kind) :: 2]
    for name in good:
        table, key, other = mysql_name(name), mysql_name(name), mysql_name(name[:-1] + "_")
        case.sql(
            f"CREATE TABLE {table} ({key} INT PRIMARY KEY, {other} VARCHAR(100) CHARACTER SET utf8mb4)",
            f"INSERT INTO {table} VALUES (1, {mysql_text(name)}), (2, 'to update'), (3, 'to delete')",
        )
    case.drain()
    for name in good:
        table, key, other = mysql_name(name), mysql_name(name), mysql_name(name[:-1] + "_")
        case.sql(
            f"UPDATE {table} SET {other} = {mysql_text(name * 2)} WHERE {key} = 2",
            f"DELETE FROM {table} WHERE {key} = 3",
            f"UPDATE {table} SET {key} = 4 WHERE {key} = 1",
        )
    done = case.run()
    assert done.returncode == 0, done.stderr
    assert broken_lines(done.stderr) == []
    for name in good:
        columns = (name, name[:-1] + "_")
        expected = [(2, name * 2), (4, name)]
        for target in ("source", *case.targets):
            assert content(case, target, name, columns) == expected, (target, name)
    for command in (("status",), ("dlq", "list"), ("check",)):
        said = case.run(*command)
        assert said.returncode in (0, 1), said.stderr
        assert not any(character in said.stdout for character in "\x1b\x7f\u202e\u2028\r\t"), said.stdout


REFUSED = [
    (target, name, of) for target in TARGETS for name in NAMES for of in ("table", "column") if refuses(target, name)
]
KEPT = [
    ("sqlite", "sqlite_master", "table"),
    ("postgresql", "_cdc_progress", "table"),
    ("mysql", "_cdc_dead_letters", "table"),
    ("sqlite", "_CDC_INTENTS", "table"),
]
"""Names that a target, or Lockstep there, keeps for itself."""


@pytest.mark.faults  # a run of the whole pipeline for each name; the names themselves are in tests/unit and tests/contract
@pytest.mark.parametrize("source", ["mysql"], indirect=True)
@pytest.mark.parametrize(("target", "name", "of"), [*REFUSED, *KEPT], ids=ascii)
def test_a_name_that_a_target_cannot_have_is_refused_in_one_line(
    case: ThreeSinks, target: str, name: str, of: str
) -> None:
    only(case, target)
    table, column = (name, "v") if of == "table" else ("plain", name)
    case.sql(
        f"CREATE TABLE {mysql_name(table)} (id INT PRIMARY KEY, {mysql_name(column)} INT)",
        f"INSERT INTO {mysql_name(table)} VALUES (1, 1)",
    )
    done = case.run()
    assert done.returncode == 1, done.stderr
    assert broken_lines(done.stderr, ERRORS) == []
    assert ascii(name)[1:8].split("\\")[0] in done.stderr


@pytest.mark.parametrize("source", SOURCES, indirect=True)
def test_a_source_cannot_have_the_other_hostile_names(source: Database) -> None:
    """So that nobody misses them above."""
    refused = (*NOT_AT_THE_SERVER, *([] if source.server.kind == "mysql" else ["a😀"]))
    with source.connect() as connection, connection.cursor() as cursor:
        for name in refused:
            with pytest.raises(Exception, match=r"(?i)incorrect|invalid|too long"):
                cursor.execute(f"CREATE TABLE {mysql_name(name)} (id INT PRIMARY KEY)")


@pytest.mark.parametrize("source", ["mysql"], indirect=True)
def test_an_emoji_in_a_name_is_what_mysql_makes_of_it(case: ThreeSinks) -> None:
    """A question mark; the statements in the binlog have the emoji."""
    case.sql("CREATE TABLE `a😀b` (id INT PRIMARY KEY, `c😀` INT)", "INSERT INTO `a😀b` VALUES (1, 1)")
    case.drain()
    case.sql(
        "ALTER TABLE `a😀b` ADD COLUMN `d🦊` VARCHAR(20) DEFAULT '😀', RENAME COLUMN `c😀` TO `e👍`",
        "INSERT INTO `a😀b` (id, `e👍`) VALUES (2, 2)",
    )
    case.drain()
    for target in ("source", *case.targets):
        assert content(case, target, "a?b", ("id", "e?", "d?")) == [(1, 1, "😀"), (2, 2, "😀")], target


@pytest.mark.parametrize("source", MARIADB_LATER, indirect=True)
def test_hostile_values_are_exact_copies_in_keys_too(case: ThreeSinks) -> None:
    case.sql(
        "CREATE TABLE by_number (id INT PRIMARY KEY, v TEXT, b BLOB) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "CREATE TABLE by_text (n INT NOT NULL, k VARCHAR(210) PRIMARY KEY) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    )
    keys = [value for value in dict.fromkeys(VALUES) if value == value.rstrip(" ") or value == "trailing "]
    for number, value in enumerate(VALUES):
        text = mysql_text(value)
        case.sql(f"INSERT INTO by_number VALUES ({number}, {text}, {text}), ({1000 + number}, 'x', 'y')")
    for number, value in enumerate(keys):
        case.sql(f"INSERT INTO by_text VALUES ({number}, {mysql_text(value)})")
    case.drain()
    for number, value in enumerate(VALUES):
        case.sql(
            f"UPDATE by_number SET v = {mysql_text(value + value)}, b = {mysql_text(value)} WHERE id = {1000 + number}"
        )
    for number, value in enumerate(keys):
        if number % 3 == 0:
            case.sql(f"DELETE FROM by_text WHERE k = {mysql_text(value)}")
        elif number % 3 == 1:
            case.sql(f"UPDATE by_text SET n = n + 1000 WHERE k = {mysql_text(value)}")
        else:
            case.sql(f"UPDATE by_text SET k = CONCAT(k, 'é') WHERE n = {number}")
    done = case.run()
    assert done.returncode == 0, done.stderr
    assert broken_lines(done.stderr) == []
    for table, columns in (("by_number", ("id", "v", "b")), ("by_text", ("n", "k"))):
        expected = content(case, "source", table, columns)
        assert len(expected) > 30
        for target in case.targets:
            found = [
                tuple(bytes(one) if isinstance(one, memoryview) else one for one in row)
                for row in content(case, target, table, columns)
            ]
            assert found == expected, target


@pytest.mark.parametrize("source", MARIADB_LATER, indirect=True)
def test_hostile_columns_come_are_renamed_and_go_while_running(case: ThreeSinks) -> None:
    good = [name for name in NAMES if not any(refuses(target, name + "2") for target in TARGETS)]
    good = good[SOURCES.index(case.source.server.kind) :: 2]
    case.document["source"]["destructive_changes"] = "apply"
    case.sql("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    for name in good:
        column, later = mysql_name(name), mysql_name(name + "2")
        case.sql(
            f"ALTER TABLE t ADD COLUMN {column} VARCHAR(40) CHARACTER SET utf8mb4 DEFAULT {default(name)}",
            f"INSERT INTO t (id, {column}) VALUES ({10 + 2 * good.index(name)}, 'x')",
            f"ALTER TABLE t CHANGE COLUMN {column} {later} VARCHAR(40) CHARACTER SET utf8mb4",
            f"UPDATE t SET {later} = CONCAT({later}, '!') WHERE id = 1",
        )
    case.drain()
    columns = ("id", *(name + "2" for name in good))
    expected = content(case, "source", "t", columns)
    assert expected[0][1:] == tuple(name + "!" for name in good)
    for target in case.targets:
        assert content(case, target, "t", columns) == expected, target
    case.sql(
        *(f"ALTER TABLE t DROP COLUMN {mysql_name(name + '2')}" for name in good[:-1]), "INSERT INTO t (id) VALUES (3)"
    )
    done = case.run()
    assert done.returncode == 0, done.stderr
    assert broken_lines(done.stderr) == []
    last = good[-1] + "2"
    for target, url in case.targets.items():
        assert {name for row in rows(url, "t", ("id",)).values() for name in row} == {"id", last}, target
        assert content(case, target, "t", ("id", last)) == content(case, "source", "t", ("id", last)), target


def default(text: str) -> str:
    """As a person would write it; a default takes no CONVERT."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@pytest.mark.parametrize("source", MARIADB_LATER, indirect=True)
def test_tables_are_made_renamed_and_dropped_under_hostile_names(case: ThreeSinks) -> None:
    """Every third name, at each source another third: each is three barriers at three targets."""
    good = [name for name in NAMES if not any(refuses(target, name + "2") for target in TARGETS)]
    good = good[SOURCES.index(case.source.server.kind) :: 3]
    case.document["source"]["destructive_changes"] = "apply"
    for name in good:
        table, later = mysql_name(name), mysql_name(name + "2")
        case.sql(
            f"CREATE TABLE {table} (id INT PRIMARY KEY)",
            f"INSERT INTO {table} VALUES (1)",
            f"RENAME TABLE {table} TO {later}",
            f"INSERT INTO {later} VALUES (2)",
            f"TRUNCATE TABLE {later}",
            f"INSERT INTO {later} VALUES (3)",
        )
    case.drain()
    for name in good:
        for target in case.targets:
            assert content(case, target, name + "2", ("id",)) == [(3,)], (target, name)
    case.sql(*(f"DROP TABLE {mysql_name(name + '2')}" for name in good))
    done = case.run()
    assert done.returncode == 0, done.stderr
    assert broken_lines(done.stderr) == []
    for target in case.targets:
        with pytest.raises(Exception, match=r"(?i)exist|no such table"):
            content(case, target, good[0] + "2", ("id",))


@pytest.mark.parametrize("source", MARIADB_LATER, indirect=True)
def test_hostile_databases_are_captured_under_their_names(case: ThreeSinks) -> None:
    """`sink.table: "{db}__{table}"`; the databases are the test's own."""
    base = case.source.dbname
    names = [f"{base}{name}" for name in ('a"b', "x; DROP--", "%s", "{0}", "\\", "it's", " é", "$1", "a-b")]
    user = case.document["source"]["url"].partition("//")[2].partition(":")[0]
    try:
        for name in names:
            case.sql(
                f"CREATE DATABASE {mysql_name(name)}",
                f"GRANT SELECT ON {mysql_name(name)}.* TO {user}",
                f"CREATE TABLE {mysql_name(name)}.t (id INT PRIMARY KEY, v VARCHAR(90))",
                f"INSERT INTO {mysql_name(name)}.t VALUES (1, {mysql_text(name)})",
            )
        case.document["source"]["tables"] = [f"{base}*.*"]
        for sink in case.document["sinks"].values():
            sink["table"] = "{db}__{table}"
        done = case.run()
        assert done.returncode == 0, done.stderr
        assert broken_lines(done.stderr) == []
        for name in names:
            for target in case.targets:
                assert content(case, target, f"{name}__t", ("id", "v")) == [(1, name)], (target, name)
    finally:
        case.sql(*(f"DROP DATABASE IF EXISTS {mysql_name(name)}" for name in names))
