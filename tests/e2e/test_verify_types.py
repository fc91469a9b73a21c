"""`cdc verify` over every type: what the real sinks wrote is equal, row by row and type by type, but for rows that wait as dead
letters; and in each column of each type one cell that is another is found."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import position
from tests.fixtures.servers import Database
from tests.support.chaos import fresh_target
from tests.support.pipeline import Process, cdc, connector, write_connector
from tests.support.shop import called
from tests.support.sinks import statement_at
from tests.support.typed_tables import ROWS, Table, TypedTables, all_types

TARGETS = ("postgresql", "mysql", "mariadb", "sqlite")

pytestmark = pytest.mark.timeout(1800 + ROWS)


@pytest.mark.faults  # minutes: dozens of tables at four targets; tests/contract/test_target_rows.py is the short one
def test_every_type_is_equal_at_every_target_and_each_planted_cell_is_found_from_mysql(
    mysql_db: Database, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    _run_all(mysql_db, request, tmp_path)


@pytest.mark.faults
def test_every_type_is_equal_at_every_target_and_each_planted_cell_is_found_from_mariadb(
    mariadb_db: Database, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    _run_all(mariadb_db, request, tmp_path)


def _run_all(database: Database, request: pytest.FixtureRequest, folder: Path) -> None:
    start = position(database)
    with closing(TypedTables(database, ROWS, all_types(database))) as source, _targets(request) as urls:
        document = connector(
            f"y-{database.dbname.replace('_', '-')}",
            source_url=database.server.url,
            target_url="",
            tables=[f"{database.dbname}.*"],
            queue={"url": "memory://"},
        )
        del document["sink"]
        document["source"] |= {"start": start, "heartbeat_seconds": 0.2}
        document["sinks"] = {name: {"url": url, "on_error": "dead_letter"} for name, url in urls.items()}
        file = str(write_connector(folder, document))
        with Process(folder, "run", file):
            for change in (source.insert, source.update, source.delete):
                change()
                tables = _verified(file)
                waiting = _waiting(file)
                unlike = [one for one in tables if _unlike(one)]
                assert not unlike, f"after {change.__name__}: {json.dumps(unlike, indent=1)[:6000]}"
                assert len(tables) == len(urls) * len(source.tables)
                for one in tables:
                    name = one["table"].partition(".")[2]
                    # Of rows that wait, those that both sides lack by now are equal.
                    assert one["waiting"] <= len(waiting.get((one["sink"], name), ())), one
                    assert one["rows"] == len(source.selected(name))
            _each_cell_is_found(source, urls, file)


def _each_cell_is_found(source: TypedTables, urls: dict[str, str], file: str) -> None:
    """In each column of each table a value becomes NULL, in a row of its own where there are enough."""
    planted: dict[tuple[str, str], dict[int, set[str]]] = {}
    waiting = _waiting(file)
    for table, columns in source.tables.items():
        now = source.selected(table)
        for sink, url in urls.items():
            rows = _there(now, waiting.get((sink, table), set()))
            for number in range(len(columns)):
                key = next(key for key in (*rows[number:], *rows) if now[key][number] is not None)
                statement_at(url, f"UPDATE {table} SET c{number} = NULL WHERE id = {key}")
                planted.setdefault((sink, table), {}).setdefault(key, set()).add(f"c{number}")
    found = {
        (one["sink"], one["table"].partition(".")[2]): {
            row["key"]["id"]: {*row["columns"]} for row in one["differences"] if not row["waiting"]
        }
        for one in _verified(file)
    }
    assert found == planted


def _there(now: Table, waiting: set[int]) -> list[int]:
    return [key for key in sorted(now) if key not in waiting]


def _verified(file: str) -> list[dict[str, Any]]:
    """All sinks at the same time: six looks at what differs are pauses, mostly, and nearly every table has rows that wait."""
    with ThreadPoolExecutor(len(TARGETS)) as threads:
        return [table for tables in threads.map(lambda name: _verified_at(file, name), TARGETS) for table in tables]


def _verified_at(file: str, sink: str) -> list[dict[str, Any]]:
    done = cdc("verify", file, "--sink", sink, "--json", "--limit", "1000", timeout=900)
    assert done.returncode in {0, 1}, done.stderr[-6000:]
    tables: list[dict[str, Any]] = json.loads(done.stdout)["tables"]
    return tables


def _unlike(one: dict[str, Any]) -> bool:
    return bool(one["problem"] or one["missing"] or one["extra"] or one["different"] or one["unsettled"])


def _waiting(file: str) -> dict[tuple[str, str], set[int]]:
    """By sink and table, the ids of the rows that have dead letters."""
    done = called("dlq", "list", file, "--json", "--limit", "1000000")
    assert done.returncode == 0, done.stderr
    found: dict[tuple[str, str], set[int]] = {}
    for letter in json.loads(done.stdout)["dead_letters"]:
        table = letter["table"].partition(".")[2]
        found.setdefault((letter["sink"], table), set()).add(json.loads(letter["key"])[0])
    return found


@contextmanager
def _targets(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(fresh_target(request, name)) for name in TARGETS}
