"""Every file in connectors/ does what it says, on real servers."""

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import pytest

from cdc.local import Server
from cdc.wiring.connector_file import load
from cdc.wiring.parts import Parts
from tests.e2e.test_pipeline import position
from tests.fixtures.servers import Database
from tests.support.connectors import EXAMPLES, SECRETS, with_urls
from tests.support.events import validate_all
from tests.support.pipeline import cdc
from tests.support.sides import differences, mysql_connection, rows

PLAIN = "(id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, amount DECIMAL(8,2) NULL) CHARACTER SET utf8mb4"
ROWS = [(1, "one", "1.50"), (2, "zwei", None), (3, "三", "-0.01")]


class Example(NamedTuple):
    """What to run an example with, and where each captured table must stand afterwards: table → (sink, target's table)."""

    file: str
    source: str
    queue: str
    sinks: dict[str, str]
    tables: list[str]
    expected: dict[str, list[tuple[str, str]]]


EXPECTATIONS = [
    Example("redis-to-postgresql.yaml", "mysql", "redis", {"sink": "postgresql"}, ["shop.items", "shop.sessions"],
            {"shop.items": [("sink", "items")]}),
    Example("kafka-to-mysql.yaml", "mariadb", "kafka", {"sink": "mysql"}, ["shop.orders", "shop.order_lines", "shop.other"],
            {"shop.orders": [("sink", "shop_orders")], "shop.order_lines": [("sink", "shop_order_lines")]}),
    Example("two-sinks.yaml", "mysql", "redis", {"warehouse": "postgresql", "catalogue": "sqlite"},
            ["shop.products", "shop.visits"],
            {"shop.products": [("warehouse", "raw_products"), ("catalogue", "products")],
             "shop.visits": [("warehouse", "raw_visits")]}),
    Example("order-transaction.yaml", "mysql", "redis", {"sink": "sqlite"}, ["bank.accounts", "bank.transfers", "bank.log"],
            {"bank.accounts": [("sink", "accounts")], "bank.transfers": [("sink", "transfers")]}),
    Example("compose.yaml", "mysql", "kafka", {"sink": "postgresql"}, ["shop.items"], {"shop.items": [("sink", "items")]}),
]  # fmt: skip


def test_every_example_is_run_by_a_test() -> None:
    assert {path.name for path in EXAMPLES.glob("*.yaml")} == {one.file for one in EXPECTATIONS} | {
        "masks-and-filters.yaml"
    }


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Gives the URL of an empty target of a kind; drops what it made."""
    made: list[tuple[Server, str]] = []

    def url(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / 'target.db'}"
        if kind == "postgresql":
            found: str = request.getfixturevalue("pg_db")
            return found
        server = request.getfixturevalue(kind)
        name = f"target_{secrets.token_hex(4)}"
        made.append((server, name))
        execute(server, f"CREATE DATABASE {name}")
        return urlunsplit(urlsplit(server.url)._replace(path=f"/{name}"))

    yield url
    for server, name in made:
        execute(server, f"DROP DATABASE {name}")


@pytest.fixture
def databases(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes databases of the names that the examples have, and drops them."""
    made: list[tuple[Server, str]] = []

    def create(server: Server, name: str) -> None:
        execute(server, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
        made.append((server, name))

    yield create
    for server, name in made:
        execute(server, f"DROP DATABASE {name}")


def execute(server: Server, *statements: str) -> None:
    connection = mysql_connection(server.url)
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


def fill(server: Server, table: str) -> None:
    values = ", ".join(f"({key}, '{name}', {amount or 'NULL'})" for key, name, amount in ROWS)
    execute(
        server,
        f"CREATE TABLE {table} {PLAIN}",
        f"INSERT INTO {table} VALUES {values}",
        f"UPDATE {table} SET amount = 7 WHERE id = 2",
        f"DELETE FROM {table} WHERE id = 1",
        f"UPDATE {table} SET id = 9 WHERE id = 3",
    )


def queue_urls(kind: str, request: pytest.FixtureRequest) -> dict[str, str]:
    redis = request.getfixturevalue("redis_url")
    if kind == "redis":
        return {"queue": redis}
    return {"queue": request.getfixturevalue("kafka").url, "coordination": redis}


@pytest.mark.parametrize("example", EXPECTATIONS, ids=[one.file for one in EXPECTATIONS])
def test_the_example_keeps_its_tables_in_step(
    example: Example,
    request: pytest.FixtureRequest,
    place: Any,
    databases: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server: Server = request.getfixturevalue(example.source)
    for db in {table.partition(".")[0] for table in example.tables}:
        databases(server, db)
    start = position(Database(server, example.tables[0].partition(".")[0]))
    for table in example.tables:
        fill(server, table)
    sinks = {name: place(kind) for name, kind in example.sinks.items()}
    file = with_urls(
        EXAMPLES / example.file,
        tmp_path,
        source=server.url,
        sinks=sinks,
        start=start,
        **queue_urls(example.queue, request),
    )

    done = cdc("run", str(file), "--drain", environment=SECRETS)
    assert done.returncode == 0, done.stderr
    for table, places in example.expected.items():
        for sink, name in places:
            assert differences(rows(server.url, table, ("id",)), rows(sinks[sink], name, ("id",))) == []
    written = {(sink, name) for places in example.expected.values() for sink, name in places}
    for sink, url in sinks.items():
        assert {(sink, name) for name in table_names(url)} == {one for one in written if one[0] == sink}

    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with Parts(load(file)) as parts:
        # Redis Streams are trimmed behind the sinks; Kafka still has them all.
        seen = validate_all(parts.queue, first_seconds=5 if example.queue == "kafka" else 0.5)
        assert seen > 0 or example.queue == "redis"


def table_names(url: str) -> set[str]:
    """The target's tables, without those of the pipeline."""
    if url.startswith("sqlite"):
        found = rows(url, "sqlite_master", ("name",))
        names = {str(row["name"]) for row in found.values() if row["type"] == "table"}
    else:
        schema = "public" if url.startswith("postgresql") else urlsplit(url).path[1:]
        query = f"(SELECT table_name AS name FROM information_schema.tables WHERE table_schema = '{schema}') AS t"
        names = {key[0] for key in rows(url, query, ("name",))}
    return {name for name in names if not name.startswith(("_cdc_", "sqlite_"))}


def test_what_masks_and_filters_hide_leaves_the_source_nowhere(
    mysql: Server, redis_url: str, pg_db: str, databases: Any, tmp_path: Path
) -> None:
    databases(mysql, "crm")
    start = position(Database(mysql, "crm"))
    execute(
        mysql,
        "CREATE TABLE crm.customers (id INT PRIMARY KEY, email VARCHAR(80), phone VARCHAR(20), notes TEXT, password BLOB)",
        "CREATE TABLE crm.tmp_import (id INT PRIMARY KEY, email VARCHAR(80))",
        "CREATE TABLE crm.tmp_leads (id INT PRIMARY KEY, phone VARCHAR(20))",
        "INSERT INTO crm.customers VALUES (1, 'canary@mail', '555-canary', 'canary note', 'canary-pw'), "
        "(2, 'canary@mail', NULL, NULL, NULL)",
        "INSERT INTO crm.tmp_import VALUES (1, 'canary@import')",
        "INSERT INTO crm.tmp_leads VALUES (1, '555-canary')",
        "UPDATE crm.customers SET notes = 'another canary' WHERE id = 1",
    )
    file = with_urls(
        EXAMPLES / "masks-and-filters.yaml", tmp_path, source=mysql.url, queue=redis_url, sinks=pg_db, start=start
    )
    done = cdc("--log-level", "debug", "run", str(file), "--drain", environment=SECRETS)
    assert done.returncode == 0, done.stderr
    hidden = hashlib.sha256(b"a saltcanary@mail").hexdigest()
    customers = rows(pg_db, "customers", ("id",))
    assert [row["email"] for row in customers.values()] == [hidden, hidden]
    assert {tuple(row) for row in customers.values()} == {("id", "email", "phone")}
    assert customers["2",]["phone"] is None
    assert table_names(pg_db) == {"customers", "tmp_leads"}
    assert "canary" not in done.stderr
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        with Parts(load(file)) as parts:
            for lane in parts.queue.lanes():
                reader = parts.queue.reader("", lane, "")
                while received := reader.read(1000, 1 << 20, 0.2):
                    assert not [one for one in received if b"canary" in one.value or b"canary" in (one.key or b"")]
                reader.close()
