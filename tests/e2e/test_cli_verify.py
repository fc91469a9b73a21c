"""`cdc verify` on a real pipeline that runs: equal is said of what is equal, what is planted is found, and nothing else."""

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import position, queue_sections
from tests.fixtures.servers import Database
from tests.support.chaos import Load, fresh_target
from tests.support.pipeline import Process, connector, write_connector
from tests.support.shop import Done, called
from tests.support.sides import mysql_connection
from tests.support.sinks import statement_at
from tests.support.workload import Work

ALL = ("postgresql", "mysql", "sqlite")


class Verified:
    """`orders` (a number as key), `places` (text and a number) and `kinds` at a source, and sinks that follow it while `running`.

    `sql` at the source; `at` a sink, in its own words."""

    def __init__(self, source: Database, sinks: dict[str, str], folder: Path, **more: Any) -> None:
        self.source = source
        self.sinks = sinks
        self.folder = folder
        self.sql(
            "CREATE TABLE orders (id BIGINT PRIMARY KEY, total DECIMAL(10,2), note VARCHAR(100), secret VARCHAR(20))",
            "CREATE TABLE places (name VARCHAR(30), n INT, v DOUBLE, PRIMARY KEY (name, n)) CHARACTER SET utf8mb4",
        )
        self.document = connector(
            f"c-{source.dbname.replace('_', '-')}",
            source_url=source.server.url,
            target_url="",
            tables=[f"{source.dbname}.*"],
            **{"queue": {"url": "memory://"}, **more},
        )
        del self.document["sink"]
        self.document["source"] |= {"start": position(source), "heartbeat_seconds": 0.2}
        self.document["sinks"] = {name: {"url": url} for name, url in sinks.items()}

    @property
    def file(self) -> str:
        return str(write_connector(self.folder, self.document))

    @contextmanager
    def running(self) -> Iterator[Process]:
        with Process(self.folder, "run", self.file) as process:
            yield process

    def sql(self, *statements: str) -> None:
        with self.source.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def fill(self, count: int = 500) -> None:
        orders = ", ".join(f"({n}, {n}.25, 'note {n}', 's{n}')" for n in range(count))
        places = ", ".join(f"('{name}', {n}, {n / 7})" for n in range(count // 10) for name in ("a", "B", "é", "zz"))
        self.sql(f"INSERT INTO orders VALUES {orders}", f"INSERT INTO places VALUES {places}")

    def at(self, sink: str, statement: str) -> Sequence[tuple[Any, ...]]:
        return statement_at(self.sinks[sink], statement)

    def at_all(self, statement: str) -> None:
        for sink in self.sinks:
            self.at(sink, statement)

    def verify(self, *options: str) -> Done:
        done = called("verify", self.file, *options)
        assert "Traceback" not in done.stderr
        return done

    def found(self, *options: str, status: int) -> dict[tuple[str, str], dict[str, Any]]:
        """By sink and table, what `--json` says."""
        done = self.verify("--json", *options)
        assert done.returncode == status, done.stdout[:3000] + done.stderr[-3000:]
        document = json.loads(done.stdout)
        assert document["result"] == ("different" if status else "equal")
        return {(one["sink"], one["table"].partition(".")[2]): one for one in document["tables"]}


@contextmanager
def _verified(source: Database, kinds: Sequence[str], request: pytest.FixtureRequest) -> Iterator[Verified]:
    with ExitStack() as stack:
        sinks = {kind: stack.enter_context(fresh_target(request, kind)) for kind in kinds}
        yield Verified(source, sinks, request.getfixturevalue("tmp_path"))


@pytest.fixture
def verified(source: Database, request: pytest.FixtureRequest) -> Iterator[Verified]:
    """From MySQL to each kind of target. How a target is read does not depend on the source, so from MariaDB to one of them."""
    with _verified(source, ALL if source.server.kind == "mysql" else ALL[:1], request) as found:
        yield found


@pytest.fixture
def at_postgresql(source: Database, request: pytest.FixtureRequest) -> Iterator[Verified]:
    with _verified(source, ("postgresql",), request) as found:
        yield found


@pytest.fixture
def at_sqlite(source: Database, request: pytest.FixtureRequest) -> Iterator[Verified]:
    with _verified(source, ("sqlite",), request) as found:
        yield found


def _counts(one: dict[str, Any]) -> tuple[int, int, int, int, int]:
    return one["missing"], one["extra"], one["different"], one["waiting"], one["unsettled"]


BOTH_SOURCES = pytest.mark.parametrize("source", ["mysql", "mariadb"], indirect=True)
ONE_SOURCE = pytest.mark.parametrize("source", ["mysql"], indirect=True)


@BOTH_SOURCES
def test_what_is_planted_at_each_target_is_found_with_keys_and_columns_and_nothing_else(verified: Verified) -> None:
    verified.fill()
    with verified.running():
        tables = verified.found(status=0)
        assert {*tables} == {(sink, table) for sink in verified.sinks for table in ("orders", "places")}
        assert {one["rows"] for (_, table), one in tables.items() if table == "orders"} == {500}
        assert all(_counts(one) == (0, 0, 0, 0, 0) for one in tables.values())
        assert all(one["rows_per_second"] > 0 for one in tables.values())

        verified.at_all("UPDATE orders SET total = 1.26 WHERE id = 1")
        verified.at_all("DELETE FROM orders WHERE id = 300")
        verified.at_all("INSERT INTO orders VALUES (1000, 1, 'nobody', 'x')")
        verified.at_all("UPDATE places SET v = 0.5 WHERE name = 'é' AND n = 3")
        verified.at_all("DELETE FROM places WHERE name = 'B' AND n = 0")
        verified.at_all("INSERT INTO places VALUES ('Zürich', 7, 1)")
        tables = verified.found(status=1)
        for sink in verified.sinks:
            orders, places = tables[sink, "orders"], tables[sink, "places"]
            assert _counts(orders) == _counts(places) == (1, 1, 1, 0, 0)
            assert _rows(orders) == {
                ("different", (1,), ("total",)),
                ("missing", (300,), ()),
                ("extra", (1000,), ()),
            }
            assert _rows(places) == {
                ("different", ("é", 3), ("v",)),
                ("missing", ("B", 0), ()),
                ("extra", ("Zürich", 7), ()),
            }
            assert all("source" not in one for one in orders["differences"])

        # Once more for people, and with the values.
        done = verified.verify("--sink", "postgresql", "--table", "*.orders", "--values")
        assert done.returncode == 1
        assert "different id=1 in total (total: 1.25 ≠ 1.26)" in done.stdout
        assert "missing id=300 (id=300, total=300.25" in done.stdout
        assert "extra id=1000 (id=1000" in done.stdout
        assert "different: 3 rows of 1 table, 500 rows" in done.stdout
        assert "places" not in done.stdout
        assert "nobody" not in done.stderr


def _rows(one: dict[str, Any]) -> set[tuple[str, tuple[Any, ...], tuple[str, ...]]]:
    return {(row["kind"], tuple(row["key"].values()), tuple(row["columns"])) for row in one["differences"]}


@pytest.mark.parametrize(
    ("source", "queue", "kinds"), [("mysql", "redis", ALL), ("mariadb", "memory", ("sqlite",))], indirect=["source"]
)
def test_no_false_alarm_under_a_write_load_and_what_is_planted_is_found_all_the_same(
    source: Database, queue: str, kinds: Sequence[str], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    connection = mysql_connection(source.url, autocommit=False)
    request.addfinalizer(connection.close)
    with ExitStack() as stack:
        sinks = {kind: stack.enter_context(fresh_target(request, kind)) for kind in kinds}
        verified = Verified(source, sinks, tmp_path, **queue_sections(queue, request))
        work = Work(connection, seed=secrets.randbelow(10**6))
        work.create()
        verified.fill(200)
        with verified.running() as process, Load(work, pause_seconds=0.005) as load:
            load.more(100)
            before = load.transactions
            assert len(verified.found(status=0)) == 4 * len(kinds)
            assert load.transactions > before
            verified.at_all("UPDATE orders SET note = 'planted' WHERE id = 77")
            verified.at_all("DELETE FROM places WHERE name = 'zz' AND n = 5")
            tables = verified.found(status=1)
            for (_, table), one in tables.items():
                expected = {"orders": (0, 0, 1, 0), "places": (1, 0, 0, 0)}
                assert _counts(one)[:4] == expected.get(table, (0, 0, 0, 0)), one
            assert process.running


@ONE_SOURCE
def test_only_what_a_sink_takes_is_compared_under_its_own_name_without_what_is_hidden(
    source: Database, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with fresh_target(request, "postgresql") as pg:
        verified = Verified(source, {"pg": pg, "lite": f"sqlite:///{tmp_path / 'target.db'}"}, tmp_path)
        db = source.dbname
        verified.document["source"] |= {
            "exclude_columns": [f"{db}.orders.note"],
            "mask_columns": [f"{db}.orders.secret"],
            "mask_salt": "salt",
        }
        verified.document["sinks"]["pg"] |= {"table": "{db}_{table}", "tables": ["*.*", "!*.places"]}
        verified.fill(50)
        with verified.running():
            tables = verified.found(status=0)
            assert {*tables} == {("pg", "orders"), ("lite", "orders"), ("lite", "places")}
            verified.at("pg", f"UPDATE {db}_orders SET secret = 's7' WHERE id = 7")
            tables = verified.found("--table", "orders", "--values", status=1)
            assert {*tables} == {("pg", "orders"), ("lite", "orders")}
            (one,) = tables["pg", "orders"]["differences"]
            assert one["columns"] == ["secret"]
            assert len(one["source"]["secret"]) == 64
            assert "note" not in one["source"]
            assert tables["lite", "orders"]["result"] == "equal"


@ONE_SOURCE
def test_a_masked_key_is_said_and_the_other_tables_are_compared(at_sqlite: Verified) -> None:
    db = at_sqlite.source.dbname
    at_sqlite.document["source"] |= {"mask_columns": [f"{db}.orders.id"], "mask_salt": "salt"}
    at_sqlite.fill(20)
    with at_sqlite.running():
        tables = at_sqlite.found("--sink", "sqlite", status=1)
    assert tables["sqlite", "orders"]["result"] == "not compared"
    assert "mask" in tables["sqlite", "orders"]["problem"]["text"]
    assert tables["sqlite", "places"]["result"] == "equal"


@ONE_SOURCE
def test_a_table_that_is_gone_at_the_target_is_said_once(at_postgresql: Verified) -> None:
    at_postgresql.fill(60)
    with at_postgresql.running():
        at_postgresql.found(status=0)
        at_postgresql.at("postgresql", "DROP TABLE orders")
        tables = at_postgresql.found("--sink", "postgresql", status=1)
        orders = tables["postgresql", "orders"]
        assert _counts(orders) == (60, 0, 0, 0, 0)
        assert (orders["note"], orders["differences"]) == ("the target has no such table", [])
        assert tables["postgresql", "places"]["result"] == "equal"
        done = at_postgresql.verify("--sink", "postgresql")
        assert "the target has no such table" in done.stdout
        assert "id=" not in done.stdout


@ONE_SOURCE
def test_rows_that_wait_as_dead_letters_are_told_as_such(at_postgresql: Verified) -> None:
    at_postgresql.document["sinks"]["postgresql"]["on_error"] = "dead_letter"
    at_postgresql.at(
        "postgresql",
        "CREATE TABLE orders (id BIGINT PRIMARY KEY, total DECIMAL(10,2) CHECK (total < 100), note VARCHAR(100),"
        " secret VARCHAR(20))",
    )
    at_postgresql.fill(103)
    with at_postgresql.running():
        orders = at_postgresql.found("--sink", "postgresql", "--table", "orders", status=1)["postgresql", "orders"]
        assert _counts(orders) == (0, 0, 0, 3, 0)
        assert {(row["kind"], row["key"]["id"], row["waiting"]) for row in orders["differences"]} == {
            ("missing", number, True) for number in (100, 101, 102)
        }
        assert "waits as a dead letter" in at_postgresql.verify("--sink", "postgresql").stdout


@ONE_SOURCE
def test_a_sink_that_does_not_run_is_an_error_that_says_so(at_sqlite: Verified) -> None:
    at_sqlite.fill(10)
    done = at_sqlite.verify("--json", "--patience", "1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "does not come to" in done.stderr
    assert "is nowhere yet" in done.stderr
    assert "cdc run" in done.stderr


@ONE_SOURCE
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sink", "nobody"], "there is no sink nobody"),
        (["--table", "shop.nothing"], "matches shop.nothing"),
        (["--rows-per-second", "0"], "rows-per-second"),
        (["--limit", "-1"], "limit"),
    ],
)
def test_a_wrong_choice_is_exit_status_2(at_sqlite: Verified, options: list[str], words: str) -> None:
    done = at_sqlite.verify(*options)
    assert done.returncode == 2, done.stdout
    assert words in done.stderr
    assert done.stdout == ""
