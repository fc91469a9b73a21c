"""Rows that a range of the binlog touched, or that differ, come to their present state while they go on changing."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from tests.e2e.conftest import position, queue_sections
from tests.fixtures.servers import Database
from tests.support.fleet import Fleet
from tests.support.pipeline import cdc, connector, write_connector
from tests.support.sides import differences, mysql_connection, rows

ROWS = 400


class Versions:
    """One row after the other, of each `step`th, gets its next version, in a thread, until the block ends."""

    def __init__(self, source: Database, step: int = 1) -> None:
        self._source = source
        self._step = step
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Versions":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with closing(mysql_connection(self._source.url)) as connection, connection.cursor() as cursor:
            number = 0
            while not self._stop.wait(0.002):
                number += 1
                cursor.execute("UPDATE v SET version = version + 1 WHERE id = %s", (number * 7 * self._step % ROWS,))


class Watcher:
    """Looks at all versions at the target again and again. `back`: rows that were seen with a lower one than before."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.back: list[tuple[int, int, int]] = []
        self.looks = 0

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        seen: dict[int, int] = {}
        with psycopg.connect(self._target, autocommit=True) as connection:
            while not self._stop.is_set():
                for number, version in connection.execute("SELECT id, version FROM v").fetchall():
                    if version < seen.get(number, 0):
                        self.back.append((number, seen[number], version))
                    seen[number] = version
                self.looks += 1


@contextmanager
def in_step(source: Database, target_url: str, queue: str, tmp_path: Path, request: Any) -> Iterator[tuple[Fleet, str]]:
    """A connector that runs, and the place in the binlog before all rows were made."""
    begin = position(source)
    with closing(mysql_connection(source.url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE v (id INT PRIMARY KEY, version INT NOT NULL, note VARCHAR(20))")
        cursor.executemany("INSERT INTO v VALUES (%s, 1, %s)", [(n, f"n{n}") for n in range(ROWS)])
        cursor.execute("DELETE FROM v WHERE id >= %s", (ROWS - 10,))
    document = connector(
        f"refresh-{source.dbname.replace('_', '-')}",
        source_url=source.server.url,
        target_url=target_url,
        tables=[f"{source.dbname}.*"],
        **queue_sections(queue, request),
    )
    document["source"]["start"] = begin
    # Of rows that somebody took away an update may come before the refresh does.
    document["sink"]["missing_rows"] = "insert"
    file = write_connector(tmp_path, document)
    with Fleet(file, tmp_path) as fleet:
        fleet.run()
        fleet.drain(60)
        yield fleet, begin
        fleet.no_traceback()


def spoil(target_url: str) -> None:
    """By hand: rows are gone, rows are old, and one is there that the source has deleted."""
    with psycopg.connect(target_url, autocommit=True) as hand:
        hand.execute("DELETE FROM v WHERE id % 10 = 3")
        hand.execute("UPDATE v SET version = 0, note = 'spoilt' WHERE id % 10 = 5")
        hand.execute("INSERT INTO v VALUES (%s, 1, 'ghost')", (ROWS - 1,))


@pytest.mark.parametrize(
    ("source", "queue", "target_url"),
    [("mysql", "redis", "postgresql"), ("mariadb", "kafka", "postgresql")],
    indirect=["source", "target_url"],
)
def test_a_refresh_brings_touched_rows_to_the_present_and_none_goes_back(
    source: Database, queue: str, target_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with in_step(source, target_url, queue, tmp_path, request) as (fleet, begin):
        end = position(source)
        spoil(target_url)
        with Versions(source), Watcher(target_url) as watcher:
            done = cdc("replay", str(fleet.file), "--from", begin, "--to", end, "--json")
            assert done.returncode == 0, done.stderr
        fleet.drain(60)
        assert watcher.looks > 3
        assert watcher.back == []
        document = orjson.loads(done.stdout)
        assert document["tables"] == [{"table": f"{source.dbname}.v", "keys": ROWS, "all_rows": None}]
        assert document["deleted"] == 10
    assert differences(rows(source.url, "v", ("id",)), rows(target_url, "v", ("id",))) == []


@pytest.mark.parametrize(
    ("source", "queue", "target_url"), [("mysql", "redis", "postgresql")], indirect=["source", "target_url"]
)
def test_what_verify_finds_is_repaired_under_load_and_found_no_more(
    source: Database, queue: str, target_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with in_step(source, target_url, queue, tmp_path, request) as (fleet, _):
        spoil(target_url)
        # The rows that differ stand still: what changes is mended by its change.
        with Versions(source, 2 * 5):
            found = cdc("verify", str(fleet.file), "--repair", "--json")
            assert found.returncode == 1, found.stderr
            document = orjson.loads(found.stdout)
            (table,) = document["tables"]
            assert table["extra"] == 1
            assert (table["missing"], table["different"]) == (39, 39)
            assert document["repaired"] == 39 + 39 + 1
            again = cdc("verify", str(fleet.file), "--json")
        assert again.returncode == 0, again.stdout
        fleet.drain(60)
    assert differences(rows(source.url, "v", ("id",)), rows(target_url, "v", ("id",))) == []


def test_a_range_that_ends_before_it_begins_is_refused(
    mysql_db: Database, pg_db: str, redis_url: str, tmp_path: Path
) -> None:
    place = position(mysql_db)
    document = connector(
        "refresh-none", source_url=mysql_db.server.url, target_url=pg_db, tables=[f"{mysql_db.dbname}.*"],
        queue={"url": redis_url},
    )  # fmt: skip
    file = write_connector(tmp_path, document)
    done = cdc("replay", str(file), "--from", place, "--table", "x.y")
    assert done.returncode == 2
    assert "--to" in done.stderr
    assert "Traceback" not in done.stderr
