"""Copied rows in bundles are single rows for whoever looks: at the queue, at a refused one, and without compiled parts."""

import json
from pathlib import Path

import psycopg
import pytest
import redis
import yaml

from cdc.model.compiled_received import COMPILED
from tests.fixtures.servers import Database
from tests.support.events import assert_valid_event
from tests.support.pipeline import Process
from tests.support.shop import Shop, called
from tests.support.wait import until

ROWS = 3000
BAD = 1234

pytestmark = pytest.mark.skipif(not COMPILED, reason="the compiled parts are not built")


@pytest.fixture
def shop(mysql_db: Database, redis_url: str, pg_db: str, tmp_path: Path) -> Shop:
    """Full already, with a row that the target refuses."""
    sinks = {"pg": {"url": pg_db, "on_error": "dead_letter"}}
    made = Shop(mysql_db, tmp_path, sinks, queue={"url": redis_url, "lanes": 2})
    numbers = ", ".join(f"({number}, {-1 if number == BAD else number}.5, 'nö')" for number in range(ROWS))
    made.sql(f"INSERT INTO orders VALUES {numbers}")
    file = Path(made.file)
    document = yaml.safe_load(file.read_text())
    document["source"]["start"] = "snapshot"
    file.write_text(yaml.safe_dump(document))
    with psycopg.connect(pg_db, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE orders (id BIGINT PRIMARY KEY, total DECIMAL(10,2) CONSTRAINT low CHECK (total >= 0), note TEXT)"
        )
    return made


def plainly(folder: Path) -> dict[str, str]:
    """The environment of a process that has no compiled parts of the sink's path."""
    folder.mkdir()
    absent = "\n".join(f"sys.modules['cdc.model.{name}'] = None" for name in ("received", "received_rows"))
    (folder / "sitecustomize.py").write_text(f"import sys\n{absent}\n")
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "plain"])
def test_rows_in_bundles_are_single_rows_for_whoever_looks(
    shop: Shop, redis_url: str, pg_db: str, tmp_path: Path, compiled: bool
) -> None:
    name = yaml.safe_load(Path(shop.file).read_text())["name"]
    with Process(tmp_path, "reader", shop.file):
        lines = until(lambda: copied(shop), 60, "all rows are in the queue")
        for line in lines:
            assert_valid_event(line.encode())
        events = [json.loads(line) for line in lines]
        assert sorted(event["after"]["id"] for event in events) == list(range(ROWS))
        assert {event["op"] for event in events} == {"r"}
        with redis.Redis.from_url(redis_url) as client:
            assert sum(client.xlen(f"{{{name}}}:lane:{lane}") for lane in (0, 1)) < 50
        with Process(tmp_path, "sink", shop.file, environment={} if compiled else plainly(tmp_path / "plain")):
            until(lambda: rows(pg_db) == ROWS - 1, 60, "all but one row is there")
            shown = until(lambda: letters(shop), 20, "a dead letter")
    (letter,) = shown
    (event,) = [event for event in events if event["after"]["id"] == BAD]
    assert letter["event"] == event


def copied(shop: Shop) -> list[str]:
    """What `cdc tail` shows of the copy, once that is whole. A later change tells it from where on nothing is copied any more."""
    shop.sql("INSERT INTO logins VALUES ('later', NULL)", "DELETE FROM logins")
    shown = called("tail", shop.file, "--from", "beginning", "--to", shop.position(), "--table", "*.orders")
    lines = shown.stdout.splitlines()
    return lines if len(lines) >= ROWS else []


def rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM orders").fetchone()
        assert found is not None
        return int(found[0])


def letters(shop: Shop) -> list[dict[str, object]]:
    listed = json.loads(called("dlq", "list", shop.file, "--json").stdout)["dead_letters"]
    ids = [part for letter in listed for part in ("--id", str(letter["id"]))]
    if not ids:
        return []
    found: list[dict[str, object]] = json.loads(called("dlq", "show", shop.file, *ids, "--json").stdout)["dead_letters"]
    return found
