"""`cdc tail --table --key` and `cdc replay --dry-run` on real servers: the live binlog, archived files, and files alone."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cdc.local import Server
from tests.fixtures.servers import Database
from tests.support.binlog_copies import copy_binlogs, file_names, purge_to
from tests.support.events import assert_valid_event
from tests.support.looking_back import LookedAt
from tests.support.own_source import fresh_database, start_own_source
from tests.support.shop import called
from tests.support.sources import execute

TABLES = (
    "CREATE TABLE orders (id INT PRIMARY KEY, total DECIMAL(10,2), note VARCHAR(40))",
    "CREATE TABLE stock (sku VARCHAR(20), n INT, place INT, PRIMARY KEY (place, sku))",
)


@pytest.fixture
def shop(any_source_db: Database, tmp_path: Path) -> LookedAt:
    looked_at = LookedAt(any_source_db, tmp_path)
    looked_at.sql(*TABLES)
    looked_at.mark()
    return looked_at


def brief(events: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Operation, and the row's first column."""
    return [(event["op"], next(iter((event["after"] or event["before"] or {"": None}).values()))) for event in events]


def work(shop: LookedAt) -> None:
    shop.sql(
        "INSERT INTO orders VALUES (1, 1.5, 'x'), (2, 2.5, 'y')",
        "BEGIN",
        "UPDATE orders SET total = 9 WHERE id = 1",
        "INSERT INTO stock VALUES ('a', 1, 7), ('b', 2, 7)",
        "COMMIT",
        "UPDATE orders SET id = 5 WHERE id = 1",
        "UPDATE stock SET n = n + 1",
        "DELETE FROM orders WHERE id = 5",
    )


def test_a_row_is_followed_through_its_changes_of_key(shop: LookedAt) -> None:
    work(shop)
    everything = shop.events()
    assert brief(shop.events("--table", shop.name("orders"), "--key", "1")) == [("c", 1), ("u", 1), ("d", 1), ("c", 5)]
    assert brief(shop.events("--key", "5")) == [("d", 1), ("c", 5), ("d", 5)]
    assert brief(shop.events("--key", '{"place": 7, "sku": "b"}')) == [("c", "b"), ("u", "b")]
    assert brief(shop.events("--key", '[7, "b"]', "--key", "2")) == [("c", 2), ("c", "b"), ("u", "b")]
    assert brief(shop.events("--table", "*.sto*", "--limit", "1")) == [("c", "a")]
    # What is chosen is, but for the moment of its rendering, what it is among all: places, counts and orders too.
    for event in (chosen := shop.events("--table", shop.name("orders"), "--key", "5")):
        assert_valid_event(json.dumps(event).encode())
    for event in (*everything, *chosen):
        del event["ts_ms"]
    assert all(event in everything for event in chosen)


def test_rows_of_one_compressed_or_prepared_transaction_are_told_apart(shop: LookedAt) -> None:
    """They share one place in the binlog, and a delete beside an insert is no change of a key."""
    shop.sql("INSERT INTO orders VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z')")
    shop.mark()
    changes = (
        "DELETE FROM orders WHERE id = 1",
        "INSERT INTO orders VALUES (4, 4, 'new')",
        "UPDATE orders SET id = 9 WHERE id = 2",
    )
    compressed = shop.database.server.kind == "mysql"
    frame = ("BEGIN", "COMMIT") if compressed else ("XA START 'a'", "XA END 'a'")
    after = () if compressed else ("XA PREPARE 'a'", "XA COMMIT 'a'")
    session = "SET SESSION binlog_transaction_compression = ON" if compressed else "SET @nothing = 1"
    before = shop.rows("SELECT * FROM orders")
    shop.sql(frame[0], *changes, frame[1], *after, session=session)
    assert brief(shop.events("--key", "1")) == [("d", 1)]
    assert brief(shop.events("--key", "4")) == [("c", 4)]
    assert brief(shop.events("--key", "9")) == [("d", 2), ("c", 9)]
    assert brief(shop.events("--key", "3")) == []
    assert shop.dry_run()["tables"][0]["rows"] == 4
    shop.run(shop.reverse_sql())
    assert shop.rows("SELECT * FROM orders") == before


def test_truncate_and_schema_changes_of_the_table_are_shown_whatever_the_key(shop: LookedAt) -> None:
    shop.sql(
        "INSERT INTO orders VALUES (1, 1, 'x')", "TRUNCATE orders", "TRUNCATE stock", "ALTER TABLE orders ADD x INT"
    )
    assert brief(shop.events("--table", shop.name("orders"), "--key", "9")) == [("t", None), ("m", None)]


def test_what_nobody_changed_is_said_so(shop: LookedAt) -> None:
    work(shop)
    done = shop.tail("--key", "77")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no change" in done.stderr


def test_a_terminal_gets_a_form_for_people(shop: LookedAt) -> None:
    shop.sql("INSERT INTO orders VALUES (1, 1.5, 'x')", "UPDATE orders SET total = 2, id = 3", "TRUNCATE orders")
    text = on_a_terminal("tail", shop.file, "--from", shop.start, "--to", "latest", "--key", "3")
    head, *columns, truncate = text.splitlines()
    # MariaDB's binlog has no thread beside rows.
    assert ("thread " in head) is (shop.database.server.kind == "mysql")
    assert head.endswith(f"UPDATE  {shop.name('orders')}  id=1 → id=3")
    assert [" ".join(line.split()) for line in columns] == ["id 1 → 3", 'total "1.50" → "2.00"']
    assert truncate.endswith(f"TRUNCATE  {shop.name('orders')}")
    without = on_a_terminal("tail", shop.file, "--from", shop.start, "--to", "latest", "--table", shop.name("orders"))
    assert "1.50" not in without
    assert "changed: id, total" in without
    as_json = on_a_terminal("tail", shop.file, "--from", shop.start, "--limit", "1", "--json")
    assert brief([json.loads(as_json)]) == [("c", 1)]


def on_a_terminal(*arguments: str) -> str:
    """What the command writes to a terminal, where errors go elsewhere."""
    mine, its = pty.openpty()
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "200"}
    process = subprocess.Popen(
        [sys.executable, "-m", "cdc", *arguments], stdout=its, stderr=subprocess.PIPE, env=environment
    )
    os.close(its)
    found = b""
    try:
        while piece := os.read(mine, 65536):
            found += piece
    except OSError:  # Linux's word for the end of a terminal's other side
        pass
    os.close(mine)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return found.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_the_statement_is_shown_where_it_is_asked_for(
    flavor: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    shop = LookedAt(request.getfixturevalue(f"{flavor}_db"), tmp_path)
    shop.sql(*TABLES)
    shop.mark()
    setting = "binlog_rows_query_log_events" if flavor == "mysql" else "binlog_annotate_row_events"
    statement = "INSERT INTO orders VALUES (1, 1.5, 'from here')"
    shop.sql(statement, session=f"SET SESSION {setting} = ON")
    assert [event["source"]["query"] for event in shop.events("--query")] == [statement]
    assert [event["source"]["query"] for event in shop.events()] == [None]
    assert f"-- was: {statement}" in shop.reverse_sql("--query")


def test_a_statements_text_stays_where_columns_are_kept_back(mysql_db: Database, tmp_path: Path) -> None:
    shop = LookedAt(mysql_db, tmp_path, exclude_columns=["*.orders.note"])
    done = shop.tail("--query")
    assert done.returncode == 2
    assert "kept back" in done.stderr or "keep back" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("tail", "--query"),
        ("tail", "--from", "beginning", "--reverse-sql"),
        ("tail", "--from", "earliest", "--reverse-sql", "--limit", "1"),
        ("tail", "--from", "earliest", "--reverse-sql", "--json"),
        ("tail", "--from", "earliest", "--key", "[1"),
        ("tail", "--from", "earliest", "--table", "orders"),
        ("tail", "--from", "earliest", "--generated", "a.b.c"),
        ("replay", "--from", "earliest", "--to", "latest"),
        ("replay", "--from", "earliest", "--table", "a.b"),
        ("replay", "--from", "earliest", "--dry-run", "--table", "orders"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(
    mysql_db: Database, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    shop = LookedAt(mysql_db, tmp_path)
    command, *options = arguments
    done = called(command, shop.file, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_a_dry_run_counts_rows_transactions_and_gtids(shop: LookedAt) -> None:
    work(shop)
    shop.sql("ALTER TABLE stock ADD x INT", "TRUNCATE stock")
    found = shop.dry_run()
    assert found["from"] == shop.start
    assert found["to"] == shop.now()
    assert found["bytes"] == int(shop.now().partition(":")[2]) - int(shop.start.partition(":")[2])
    assert found["transactions"] == 7
    assert found["gtids"]
    orders, stock = found["tables"]
    assert {name: orders[name] for name in ("rows", "inserts", "updates", "deletes", "transactions", "all_rows")} == {
        "rows": 3,
        "inserts": 3,
        "updates": 1,
        "deletes": 2,
        "transactions": 4,
        "all_rows": None,
    }
    assert (stock["rows"], stock["updates"], stock["truncates"]) == (2, 2, 1)
    assert "TRUNCATE" in stock["all_rows"]
    assert [change["kind"] for change in found["schema_changes"]] == ["alter"]
    assert found["first"] <= found["last"]
    only = shop.dry_run("--table", shop.name("orders"))
    assert [one["table"] for one in only["tables"]] == ["orders"]
    assert (only["transactions"], only["schema_changes"]) == (4, [])


def test_a_dry_run_ends_where_it_is_told_and_says_it_to_people_too(shop: LookedAt) -> None:
    shop.sql("INSERT INTO orders VALUES (1, 1, 'x')")
    middle = shop.now()
    shop.sql("INSERT INTO orders VALUES (2, 1, 'x')")
    assert shop.dry_run("--to", middle)["tables"][0]["rows"] == 1
    done = called("replay", shop.file, "--from", shop.start, "--to", middle, "--dry-run")
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith(shop.name("orders")))
    assert line.split()[1:6] == ["1", "1", "0", "0", "1"]
    assert f"from {shop.start} to {middle}" in done.stdout
    empty = called("replay", shop.file, "--from", middle, "--to", middle, "--dry-run")
    assert "0 bytes" in empty.stdout


def test_a_masked_key_counts_by_what_it_is(any_source_db: Database, tmp_path: Path) -> None:
    shop = LookedAt(any_source_db, tmp_path, mask_columns=["*.orders.id"], mask_salt="salt")
    shop.sql(*TABLES)
    shop.mark()
    work(shop)
    assert next(one["rows"] for one in shop.dry_run()["tables"] if one["table"] == "orders") == 3


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
def own_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    server = start_own_source(request.param, tmp_path_factory.mktemp("own"))
    yield server
    server.remove()


def test_what_was_purged_is_looked_at_in_the_archive_and_in_files_alone(own_server: Server, tmp_path: Path) -> None:
    database = fresh_database(own_server)
    folder = tmp_path / "binlogs"
    folder.mkdir()
    shop = LookedAt(database, tmp_path, archives=[f"file://{folder}/"])
    shop.sql(*TABLES)
    start = shop.mark()
    work(shop)
    execute(database, "FLUSH BINARY LOGS")
    shop.sql("INSERT INTO orders VALUES (8, 8, 'later')")
    *old, newest = file_names(database)
    # MariaDB writes a checkpoint event behind, some time after a new file was begun.
    end = shop.now()
    live = seen(shop, end)
    copy_binlogs(database, folder, *old)
    purge_to(database, newest)
    for now, then in zip(seen(shop, end), live, strict=True):
        assert now == then
    assert shop.dry_run("--to", end)["bytes"] > 0
    url = f"file://{folder}/{start}"
    alone = shop.dry_run(start=f"{url}, file://{folder}/")
    assert [(one["table"], one["rows"]) for one in alone["tables"]] == [("orders", 3), ("stock", 2)]
    done = called("tail", shop.file, "--from", f"{url}, file://{folder}/", "--key", "5")
    assert brief([json.loads(line) for line in done.stdout.splitlines()]) == [("d", 1), ("c", 5), ("d", 5)]
    script = called("tail", shop.file, "--from", url, "--reverse-sql", "--key", "2")
    assert script.returncode == 0, script.stderr
    shop.run(script.stdout)
    assert [row[0] for row in shop.rows("SELECT id FROM orders")] == [8]


def seen(shop: LookedAt, end: str) -> tuple[Any, ...]:
    """All that can be seen up to `end`, but for the moment of its rendering."""
    events = shop.events("--key", "5", to=end)
    for event in events:
        del event["ts_ms"]
    return events, shop.dry_run("--to", end), shop.reverse_sql("--table", "*.orders", to=end)
