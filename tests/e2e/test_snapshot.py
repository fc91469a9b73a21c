"""Tables that are full already come to the target while they are written to, and while processes die."""

import random
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pymysql
import pytest
import redis

from tests.e2e.conftest import queue_sections
from tests.fixtures.servers import Database
from tests.support.chaos import Load
from tests.support.fleet import Fleet
from tests.support.own_redis import start_own_redis
from tests.support.pipeline import cdc, connector, write_connector
from tests.support.sides import differences, mysql_connection, rows
from tests.support.wait import until
from tests.support.workload import TABLES, Work

COMBINATIONS = [
    ("mysql", "redis", "postgresql", "key"),
    ("mysql", "kafka", "mysql", "key"),
    ("mysql", "memory", "sqlite", "transaction"),
    ("mariadb", "redis", "mariadb", "transaction"),
    ("mariadb", "redis", "sqlite", "key"),
    ("mariadb", "kafka", "postgresql", "key"),
]
BULK_ROWS = 3000


def unlike(source: Database, target: str) -> list[str]:
    keys = {**TABLES, "bulk": ("name", "id")}
    return [
        difference
        for table, key in keys.items()
        for difference in differences(rows(source.url, table, key), rows(target, table, key))
    ]


@pytest.fixture
def work(source: Database) -> Iterator[Work]:
    """Two small tables of all kinds of values that are worked on, and one with a composite text key, all of them full."""
    with closing(mysql_connection(source.url, autocommit=False)) as connection:
        work = Work(connection, seed=secrets.randbelow(10**6))
        work.create()
        work.transactions(300)
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE bulk (id INT NOT NULL, name VARCHAR(20) NOT NULL, v LONGBLOB, PRIMARY KEY (name, id))"
                " CHARACTER SET utf8mb4"
            )
            pick = random.Random(4)
            names = ["a", "B", "b ", "ä", "Z", "", "zz top"]
            values = [(n, names[n % len(names)], pick.randbytes(n % 700)) for n in range(BULK_ROWS)]
            cursor.executemany("INSERT INTO bulk VALUES (%s, %s, %s)", values)
        connection.commit()
        yield work


def document_of(source: Database, queue: str, target_url: str, request: pytest.FixtureRequest, **more: Any) -> Any:
    sections = queue_sections(queue, request)
    sections["source"] = {
        "start": "snapshot",
        "snapshot": {"chunk_rows": 70, "chunk_bytes": 20_000},
        **more.pop("source", {}),
    }
    return connector(
        f"snap-{source.dbname.replace('_', '-')}",
        source_url=source.server.url,
        target_url=target_url,
        tables=[f"{source.dbname}.*"],
        **more,
        **sections,
    )


@pytest.mark.parametrize(
    ("source", "queue", "target_url", "order"),
    COMBINATIONS,
    indirect=["source", "target_url"],
    ids=["-".join(one) for one in COMBINATIONS],
)
def test_full_tables_come_while_they_are_written_to(
    source: Database,
    queue: str,
    target_url: str,
    order: str,
    work: Work,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    file = write_connector(tmp_path, document_of(source, queue, target_url, request, order=order))
    with Fleet(file, tmp_path) as fleet:
        if queue == "memory":
            # Its queue ends with it: the second one goes on by what the target has noted.
            with Load(work) as load:
                load.more(5)
                fleet.drain(90)
        else:
            fleet.run()
            with Load(work) as load:
                load.more(300)
        fleet.drain(90)
        fleet.no_traceback()
    assert unlike(source, target_url) == []


def more_rows(source: Database) -> None:
    """So many that copying them in chunks of a few takes longer than it takes to kill and start processes."""
    with closing(mysql_connection(source.url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE n (i INT NOT NULL PRIMARY KEY)")
        cursor.executemany("INSERT INTO n VALUES (%s)", [(number,) for number in range(1000)])
        cursor.execute(
            "INSERT INTO bulk SELECT 100000 + 1000 * a.i + b.i, CONCAT('n', b.i % 7), REPEAT('x', b.i % 50)"
            " FROM n a, n b WHERE a.i < 20"
        )
        cursor.execute("DROP TABLE n")


def a_moment() -> None:
    """Processes die whenever they do."""
    threading.Event().wait(random.Random(secrets.randbelow(10**6)).uniform(0.1, 1.5))


def slowly(document: Any) -> Any:
    coordination = document.get("coordination", {"url": document["queue"]["url"]})
    document["coordination"] = {**coordination, "lease_seconds": 1.5}
    document["source"]["snapshot"] = {"chunk_rows": 20, "parallel": 1}
    document["source"]["tables"].append("!*.n")
    return document


@pytest.mark.parametrize(
    ("source", "queue", "target_url"),
    [("mysql", "redis", "postgresql"), pytest.param("mariadb", "kafka", "mysql", marks=pytest.mark.faults)],
    indirect=["source", "target_url"],
)
def test_a_copy_goes_on_where_it_was_when_processes_die(
    source: Database, queue: str, target_url: str, work: Work, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    more_rows(source)
    file = write_connector(tmp_path, slowly(document_of(source, queue, target_url, request)))
    with Fleet(file, tmp_path) as fleet:
        readers, sinks = [fleet.reader()], [fleet.sink(), fleet.sink()]
        with Load(work) as load:
            load.more(20)
            for victim in (0, 1, 0):
                fleet.wait_for("reader.started", readers[-1])
                a_moment()
                fleet.kill(readers[-1])
                fleet.kill(sinks[victim])
                readers.append(fleet.reader())
                sinks[victim] = fleet.sink()
        fleet.drain(120)
        # The last one went on with what was left: it did not begin anew, and there was something left.
        assert "copy.begun" not in "".join(reader.text() for reader in readers[1:])
        assert "copy.done" in "".join(reader.text() for reader in readers[1:])
        fleet.no_traceback()
    assert unlike(source, target_url) == []


@pytest.mark.parametrize(
    ("source", "queue", "target_url"), [("mysql", "redis", "postgresql")], indirect=["source", "target_url"]
)
def test_a_table_is_copied_again_for_the_asking(
    source: Database, queue: str, target_url: str, work: Work, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Rows that somebody took away at the target, or changed there, are as at the source afterwards."""
    import psycopg

    file = write_connector(tmp_path, document_of(source, queue, target_url, request))
    with Fleet(file, tmp_path) as fleet:
        fleet.run()
        fleet.drain(90)
        with psycopg.connect(target_url, autocommit=True) as hand:
            hand.execute("DELETE FROM bulk WHERE id % 3 = 0")
            hand.execute("UPDATE bulk SET v = NULL WHERE id % 3 = 1")
        assert unlike(source, target_url) != []
        with Load(work):
            done = cdc("snapshot", str(file), "--table", f"{source.dbname}.bulk", "--json")
            assert done.returncode == 0, done.stderr
            assert '"in_step": true' in done.stdout
        refused = cdc("snapshot", str(file), "--table", f"{source.dbname}.bulk", "--where", "no_such_column = 1")
        assert refused.returncode == 1
        assert "no_such_column" in refused.stderr
        assert "Traceback" not in refused.stderr
        none = cdc("snapshot", str(file), "--table", "other.table")
        assert none.returncode == 1
        assert "not captured" in none.stderr
        fleet.drain(60)
    assert unlike(source, target_url) == []


@pytest.mark.parametrize(
    ("source", "target_url"),
    [("mysql", "postgresql"), pytest.param("mariadb", "sqlite", marks=pytest.mark.faults)],
    indirect=["source", "target_url"],
)
def test_a_queue_that_is_lost_while_tables_are_copied_leaves_nothing_out(
    source: Database, target_url: str, work: Work, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    own = start_own_redis(tmp_path / "redis")
    request.addfinalizer(own.remove)
    more_rows(source)
    document = document_of(source, "redis", target_url, request)
    document["queue"]["url"] = own.url
    file = write_connector(tmp_path, slowly(document))
    with Fleet(file, tmp_path) as fleet, redis.Redis.from_url(own.url) as raw:
        reader = fleet.reader()
        fleet.sink()
        with Load(work):
            for number in range(1, 3):
                until(lambda: len(list(raw.scan_iter("*:lane:*"))) > 0, 60, "the queue has lanes")
                a_moment()
                raw.flushall()
                until(
                    lambda number=number: reader.text().count("action=reader.started") > number,  # type: ignore[misc]
                    60,
                    "the loss is noticed, be it by the queue or by the lease, and reading begins again",
                )
        fleet.drain(120)
        fleet.no_traceback()
    assert unlike(source, target_url) == []


@pytest.mark.parametrize(
    ("source", "target_url"), [("mysql", "sqlite"), ("mariadb", "sqlite")], indirect=["source", "target_url"]
)
def test_a_copy_waits_while_the_source_has_too_much_to_do(
    source: Database, target_url: str, work: Work, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    document = document_of(source, "redis", target_url, request)
    document["source"]["snapshot"]["max_running_threads"] = 8
    file = write_connector(tmp_path, document)
    with ExitStack() as busy:
        for _ in range(9):
            thread = threading.Thread(target=asleep, args=(busy.enter_context(closing(mysql_connection(source.url))),))
            thread.start()
            busy.callback(thread.join)
        with Fleet(file, tmp_path) as fleet, closing(mysql_connection(source.url)) as ending:
            reader = fleet.reader()
            fleet.wait_for("copy.paced", reader)
            assert "copy.done" not in reader.text()
            with ending.cursor() as cursor:
                cursor.execute("SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP(300)%'")
                for (number,) in cursor.fetchall():
                    cursor.execute(f"KILL QUERY {number}")
            fleet.drain(60)
            assert reader.text().count("copy.done") == 3
    assert unlike(source, target_url) == []


def asleep(connection: Any) -> None:
    with connection.cursor() as cursor, suppress(pymysql.err.MySQLError):
        cursor.execute("SELECT SLEEP(300)")


@pytest.mark.parametrize(
    ("source", "target_url"), [("mysql", "postgresql"), ("mariadb", "postgresql")], indirect=["source", "target_url"]
)
def test_tables_that_change_while_they_are_copied_arrive_as_they_are_then(
    source: Database, target_url: str, work: Work, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """One gets a column, one another key, one another name, one is emptied, one is gone."""
    more_rows(source)
    names = ("key_changed", "renamed", "emptied", "gone")
    with closing(mysql_connection(source.url)) as connection, connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, other INT NOT NULL)")
            cursor.executemany(f"INSERT INTO {name} VALUES (%s, %s)", [(n, -n) for n in range(1500)])
        document = slowly(document_of(source, "redis", target_url, request))
        document["source"]["destructive_changes"] = "apply"
        file = write_connector(tmp_path, document)
        with Fleet(file, tmp_path) as fleet:
            reader = fleet.reader()
            fleet.sink()
            with Load(work):
                fleet.wait_for("reader.started", reader)
                for statement in (
                    "ALTER TABLE bulk ADD COLUMN extra INT NOT NULL DEFAULT 5",
                    "ALTER TABLE key_changed DROP PRIMARY KEY, ADD PRIMARY KEY (other, id)",
                    "RENAME TABLE renamed TO moved",
                    "TRUNCATE TABLE emptied",
                    "INSERT INTO emptied VALUES (1, 1)",
                    "DROP TABLE gone",
                ):
                    cursor.execute(statement)
            fleet.drain(120)
            fleet.no_traceback()
    keys = {"key_changed": ("id",), "moved": ("id",), "emptied": ("id",)}
    assert unlike(source, target_url) == []
    for table, key in keys.items():
        assert differences(rows(source.url, table, key), rows(target_url, table, key)) == []
