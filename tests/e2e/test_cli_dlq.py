"""`cdc dlq` on a real pipeline: what a target refused is applied after all, never an old image over a newer one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.fixtures.servers import Database
from tests.support.shop import Shop, called


class Refusing:
    """A shop whose PostgreSQL refuses orders below 0, and what stands in it."""

    def __init__(self, shop: Shop, url: str) -> None:
        self.shop = shop
        self.url = url

    def target(self, statement: str) -> Sequence[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def rows(self) -> list[tuple[Any, ...]]:
        return [
            (i, float(total), note) for i, total, note in self.target("SELECT id, total, note FROM orders ORDER BY id")
        ]

    def letters(self) -> list[dict[str, Any]]:
        done = called("dlq", "list", self.shop.file, "--json")
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)["dead_letters"]
        return found


@pytest.fixture
def refusing(mysql_db: Database, redis_url: str, pg_db: str, tmp_path: Path) -> Refusing:
    sinks = {"pg": {"url": pg_db, "on_error": "dead_letter"}}
    found = Refusing(Shop(mysql_db, tmp_path, sinks, queue={"url": redis_url, "lanes": 2}), pg_db)
    found.target(
        "CREATE TABLE orders (id BIGINT PRIMARY KEY, total DECIMAL(10,2) CONSTRAINT low CHECK (total >= 0), note TEXT)"
    )
    found.shop.sql("INSERT INTO orders VALUES (1, 1, 'good'), (2, -1, 'bad'), (3, -1, 'bad, then gone')")
    # In one batch with what follows, the net change would be a good one.
    found.shop.drain()
    found.shop.sql(
        "UPDATE orders SET total = 5, note = 'good later' WHERE id = 2",
        "UPDATE orders SET note = 'newest' WHERE id = 2",
        "DELETE FROM orders WHERE id = 3",
    )
    found.shop.drain()
    return found


def test_what_was_refused_waits_with_all_later_changes_of_its_row_and_a_retry_brings_the_present_state(
    refusing: Refusing,
) -> None:
    assert refusing.rows() == [(1, 1.0, "good")]
    letters = refusing.letters()
    assert {letter["key"] for letter in letters} and len(letters) == 5  # noqa: PT018
    assert sum("low" in letter["reason"] for letter in letters) >= 2

    refusing.target("ALTER TABLE orders ADD CONSTRAINT still CHECK (note <> 'never')")
    done = called("dlq", "retry", refusing.shop.file, "--all", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["sinks"]["pg"] == {"applied": 5, "rows": 2, "refused": []}
    assert refusing.rows() == [(1, 1.0, "good"), (2, 5.0, "newest")]
    assert refusing.letters() == []

    refusing.shop.sql("UPDATE orders SET note = 'flows again' WHERE id = 2")
    refusing.shop.drain()
    assert refusing.rows()[1] == (2, 5.0, "flows again")


def test_a_row_that_is_refused_again_keeps_its_letters_and_no_other_waiting(refusing: Refusing) -> None:
    refusing.shop.sql("INSERT INTO orders VALUES (4, -4, 'bad still')")
    refusing.shop.drain()
    done = called("dlq", "retry", refusing.shop.file, "--all")
    assert done.returncode == 1
    assert "is refused again" in done.stdout
    assert refusing.rows() == [(1, 1.0, "good"), (2, 5.0, "newest")]
    (left,) = refusing.letters()
    assert left["table"].endswith(".orders")


def test_one_letter_takes_all_of_its_row_along(refusing: Refusing) -> None:
    letters = refusing.letters()
    of_row = [letter for letter in letters if letter["key"] == letters[-1]["key"]]
    done = called("dlq", "retry", refusing.shop.file, "--id", str(of_row[0]["id"]), "--json")
    assert json.loads(done.stdout)["sinks"]["pg"]["applied"] == len(of_row)
    assert len(refusing.letters()) == len(letters) - len(of_row)


def test_dropped_letters_are_gone_and_the_row_flows_again(refusing: Refusing) -> None:
    done = called("dlq", "drop", refusing.shop.file, "--all")
    assert done.returncode == 0, done.stderr
    assert "5 dead letters of 2 rows dropped" in done.stdout
    assert refusing.letters() == []
    assert refusing.rows() == [(1, 1.0, "good")]


def test_a_letter_is_shown_whole_and_listed_without_its_values(refusing: Refusing) -> None:
    first = refusing.letters()[0]
    shown = called("dlq", "show", refusing.shop.file, "--id", str(first["id"]), "--json")
    (letter,) = json.loads(shown.stdout)["dead_letters"]
    assert letter["event"]["op"] == "c"
    assert letter["event"]["after"]["note"].startswith("bad")
    listed = called("dlq", "list", refusing.shop.file)
    assert "5 dead letters" in listed.stdout
    assert "newest" not in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["retry"], "say which"),
        (["drop", "--all", "--id", "1"], "say which"),
        (["retry", "--id", "999999"], "there is no dead letter 999999"),
        (["list", "--sink", "nobody"], "there is no sink nobody"),
        (["show"], "name the letters"),
    ],
)
def test_a_wrong_choice_is_exit_status_2_and_settles_nothing(
    mysql_db: Database, redis_url: str, tmp_path: Path, arguments: list[str], words: str
) -> None:
    shop = Shop(mysql_db, tmp_path, {"lite": {"url": f"sqlite:///{tmp_path}/t.db"}}, queue={"url": redis_url})
    done = called("dlq", arguments[0], shop.file, *arguments[1:])
    assert done.returncode == 2, done.stdout
    assert words in done.stderr
