"""A table of versions that only grow, a connector that keeps it in step, and a watcher who sees where one falls at the target."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import psycopg

from tests.fixtures.servers import Database
from tests.support.background import Background
from tests.support.chaos import position
from tests.support.equality import unlike
from tests.support.fleet import Fleet
from tests.support.numbers import numbered
from tests.support.pipeline import cdc, connector, write_connector
from tests.support.sides import mysql_connection

DELETED = 10
"""Of the rows, the last ones."""

_PAUSE_SECONDS = 0.002


class Versions(Background):
    """Of the first `rows` one after the other, of each `step`th, gets its next version; or so many neighbours at once."""

    def __init__(self, source: Database, rows: int, *, step: int = 1, neighbours: int = 1) -> None:
        super().__init__()
        self._source = source
        self._rows = rows
        self._step = step
        self._neighbours = neighbours
        self.changed = 0

    def run(self) -> None:
        with closing(mysql_connection(self._source.url)) as connection, connection.cursor() as cursor:
            number = 0
            while not self.stop.wait(_PAUSE_SECONDS):
                number += 1
                first = number * 7 * self._neighbours * self._step % self._rows
                last = first + self._neighbours - 1
                cursor.execute("UPDATE v SET version = version + 1 WHERE id BETWEEN %s AND %s", (first, last))
                self.changed += cursor.rowcount


class Watcher(Background):
    """Looks at all versions at the target again and again. `back`: rows that were seen with a lower one than before."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target
        self.back: list[tuple[int, int, int]] = []
        self.looks = 0

    def run(self) -> None:
        seen: dict[int, int] = {}
        with psycopg.connect(self._target, autocommit=True) as connection:
            while not self.stop.is_set():
                for number, version in connection.execute("SELECT id, version FROM v").fetchall():
                    if version < seen.get(number, 0):
                        self.back.append((number, seen[number], version))
                    seen[number] = version
                self.looks += 1


@contextmanager
def in_step(
    source: Database, target_url: str, queue: Mapping[str, Any], folder: Path, rows: int, seconds: float = 60
) -> Iterator[tuple[Fleet, str]]:
    """A connector that runs, and the place in the binlog before all rows were made. `queue`: its sections of that name and
    `coordination`; `seconds`: how long the rows may take."""
    begin = position(source)
    with closing(mysql_connection(source.url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE v (id INT PRIMARY KEY, version INT NOT NULL, note VARCHAR(20))")
        for numbers in numbered(rows, portion=10_000):
            cursor.execute(f"INSERT INTO v SELECT n, 1, CONCAT('n', n) FROM {numbers}")
        cursor.execute("DELETE FROM v WHERE id >= %s", (rows - DELETED,))
    document = connector(
        f"refresh-{source.dbname.replace('_', '-')}",
        source_url=source.server.url,
        target_url=target_url,
        tables=[f"{source.dbname}.*"],
        **queue,
    )
    document["source"]["start"] = begin
    # Of rows that somebody took away an update may come before the refresh does.
    document["sink"]["missing_rows"] = "insert"
    with Fleet(write_connector(folder, document), folder) as fleet:
        fleet.run()
        fleet.drain(seconds)
        yield fleet, begin
        fleet.no_traceback()


def spoil(target_url: str, rows: int) -> None:
    """By hand: rows are gone, rows are old, and one is there that the source has deleted."""
    with psycopg.connect(target_url, autocommit=True) as hand:
        hand.execute("DELETE FROM v WHERE id % 10 = 3")
        hand.execute("UPDATE v SET version = 0, note = 'spoilt' WHERE id % 10 = 5")
        hand.execute("INSERT INTO v VALUES (%s, 1, 'ghost')", (rows - 1,))


def refreshed_under_change(
    source: Database,
    target_url: str,
    queue: Mapping[str, Any],
    folder: Path,
    rows: int,
    *,
    neighbours: int = 1,
    seconds: float = 120,
) -> tuple[int, int]:
    """A refresh of all rows while they go on changing: they come to the present, and none of them goes back meanwhile. How many
    were changed while it ran, and how often all were looked at."""
    with in_step(source, target_url, queue, folder, rows, seconds) as (fleet, begin):
        end = position(source)
        spoil(target_url, rows)
        with Versions(source, rows, neighbours=neighbours) as versions, Watcher(target_url) as watcher:
            done = cdc("replay", str(fleet.file), "--from", begin, "--to", end, "--json", timeout=seconds)
            assert done.returncode == 0, done.stderr
        fleet.drain(seconds)
        assert versions.changed > 0
        assert watcher.looks > 3
        assert watcher.back == []
        document = orjson.loads(done.stdout)
        assert document["tables"] == [{"table": f"{source.dbname}.v", "keys": rows, "all_rows": None}]
        assert document["deleted"] == DELETED
    assert unlike(source.url, target_url, "v", "id, version, note") == []
    return versions.changed, watcher.looks
