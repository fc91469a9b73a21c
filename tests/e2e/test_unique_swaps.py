"""What a sink that applies change after change in any order would break on: keys and unique values that change places,
deletes and inserts of one key, TRUNCATE and reload. With several lanes, in both orders: equal, and nothing crashes."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.chaos import Chaos, Kinds, chaos
from tests.support.sinks import statement_at

TABLES: dict[str, tuple[str, ...]] = {"seats": ("id",), "names": ("id",), "bulk": ("id",)}
DDL = (
    "CREATE TABLE seats (id INT PRIMARY KEY, guest VARCHAR(20) NOT NULL)",
    "CREATE TABLE names (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL, email VARCHAR(40) NULL, UNIQUE (name), UNIQUE (email))",
    "CREATE TABLE bulk (id INT PRIMARY KEY, n INT NOT NULL)",
)
KINDS = [
    Kinds("mysql", "redis", "postgresql", "key"),
    Kinds("mysql", "redis", "mysql", "transaction"),
    Kinds("mysql", "kafka", "mysql", "key"),
    Kinds("mariadb", "kafka", "postgresql", "transaction"),
    Kinds("mariadb", "redis", "sqlite", "key"),
]
Do = Callable[..., None]


def updates(do: Do, pick: random.Random) -> None:
    """One key update, and a chain of them in one transaction."""
    do("UPDATE seats SET id = 100 WHERE id = 1")
    do("UPDATE seats SET id = 101 WHERE id = 100", "UPDATE seats SET id = 1 WHERE id = 101")
    do("UPDATE seats SET id = id + 1000 ORDER BY id DESC")
    do("UPDATE seats SET id = id - 1000 ORDER BY id")


def key_swaps(do: Do, pick: random.Random) -> None:
    for _ in range(10):
        one, two = pick.sample(range(1, 9), 2)
        do(
            f"UPDATE seats SET id = -1 WHERE id = {one}",
            f"UPDATE seats SET id = {one} WHERE id = {two}",
            f"UPDATE seats SET id = {two} WHERE id = -1",
        )


def unique_swaps(do: Do, pick: random.Random) -> None:
    """Two rows exchange a unique value; one row hands it to the next; a deleted row's value is taken at once."""
    for _ in range(10):
        one, two = pick.sample(range(1, 9), 2)
        do(
            f"SELECT name INTO @one FROM names WHERE id = {one}",
            f"SELECT name INTO @two FROM names WHERE id = {two}",
            f"UPDATE names SET name = 'nobody' WHERE id = {one}",
            f"UPDATE names SET name = @one WHERE id = {two}",
            f"UPDATE names SET name = @two WHERE id = {one}",
        )
    do("UPDATE names SET email = NULL WHERE id = 1", "UPDATE names SET email = 'mail1' WHERE id = 2")
    do("DELETE FROM names WHERE id = 2")
    do("INSERT INTO names VALUES (20, 'freed', 'mail1')")
    do("DELETE FROM names WHERE id = 20", "INSERT INTO names VALUES (21, 'freed', 'mail1')")
    do("UPDATE names SET id = 22 WHERE id = 21")
    do("INSERT INTO names VALUES (2, 'name2 again', 'mail2 again')")


def last_one_wins(do: Do, pick: random.Random) -> None:
    """Delete, then insert again; insert, update, delete; all of one key, in one batch and in one transaction."""
    do("DELETE FROM seats WHERE id = 3", "INSERT INTO seats VALUES (3, 'again')")
    do("INSERT INTO seats VALUES (50, 'new')")
    do("UPDATE seats SET guest = 'newer' WHERE id = 50")
    do("DELETE FROM seats WHERE id = 50")
    do("INSERT INTO seats VALUES (51, 'a')", "DELETE FROM seats WHERE id = 51", "INSERT INTO seats VALUES (51, 'b')")
    do("REPLACE INTO names VALUES (3, 'name3', 'mail4 of 3')", "UPDATE names SET email = 'mail3' WHERE id = 3")
    do("DELETE FROM seats WHERE id = 51")


def truncate_and_reload(do: Do, pick: random.Random) -> None:
    """Rows of many lanes, before and after."""
    rows = ", ".join(f"({number}, {pick.randint(0, 99)})" for number in range(200))
    for _ in range(3):
        do(f"INSERT INTO bulk VALUES {rows}")
        do("TRUNCATE TABLE bulk")
        do(f"INSERT INTO bulk VALUES {rows}")
        do("UPDATE bulk SET n = n + 1 WHERE id < 50")
        do("TRUNCATE bulk")
    do(f"INSERT INTO bulk VALUES {rows}")
    do("DELETE FROM bulk WHERE id < 20", "INSERT INTO seats VALUES (77, 'after')")


STEPS = (updates, key_swaps, unique_swaps, last_one_wins, truncate_and_reload)


def doer(connection: Any) -> Do:
    def do(*statements: str) -> None:
        """One transaction."""
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.commit()

    return do


def fill(do: Do) -> None:
    do("DELETE FROM seats", "DELETE FROM names", "DELETE FROM bulk")
    do(*(f"INSERT INTO seats VALUES ({number}, 'guest{number}')" for number in range(1, 9)))
    do(*(f"INSERT INTO names VALUES ({number}, 'name{number}', 'mail{number}')" for number in range(1, 9)))


@pytest.mark.parametrize("kinds", KINDS, ids=str)
def test_rows_that_change_places_and_tables_that_are_emptied_arrive_equal(
    kinds: Kinds, request: pytest.FixtureRequest
) -> None:
    pick = random.Random(34)
    with chaos(request, kinds, lanes=3, lease_seconds=5) as case, case.source.connect(autocommit=False) as connection:
        case.keys = TABLES
        do = doer(connection)
        do(*DDL)
        fill(do)
        make_unique(case)
        # All at once, so that many of them are one batch …
        for step in STEPS:
            step(do, pick)
        reader, sinks = case.reader(), [case.sink(), case.sink()]
        case.until_equal(60)
        # … and one after the other, each on its own way.
        fill(do)
        for step in STEPS:
            step(do, pick)
            case.until_equal(60)
        case.finish()
        assert reader.process.returncode == 0
        assert [sink.process.returncode for sink in sinks] == [0, 0]


def make_unique(case: Chaos) -> None:
    """The target has the source's unique indexes, which a sink does not make by itself."""
    statement_at(case.target_url, DDL[1])
    if case.target_url.startswith("postgresql:"):
        statement_at(case.target_url, "GRANT ALL ON names TO PUBLIC")
