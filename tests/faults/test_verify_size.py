"""`cdc verify` over large tables: how fast, against a bare scan of both sides; what is planted is found and repaired under load.

CDC_VERIFY_ROWS sets how many rows there are all together (10,000,000 for the full run).
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.fixtures.servers import Database
from tests.support import twins
from tests.support.chaos import new_seed, position, queue_sections
from tests.support.equality import scanned, unlike
from tests.support.fleet import Fleet
from tests.support.pipeline import cdc, connector, write_connector
from tests.support.sinks import statement_at
from tests.support.twins import TWINS, Writer
from tests.support.wait import until

ROWS = int(os.environ.get("CDC_VERIFY_ROWS", "40000"))
STILL = 10
SECONDS = 600 + ROWS / 2000

pytestmark = [pytest.mark.faults, pytest.mark.timeout(6 * SECONDS)]


@contextmanager
def _filled(source: Database, target_url: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """A connector that runs, in step; both sides were filled beside it."""
    document = connector(
        f"size-{source.dbname.replace('_', '-')}",
        source_url=source.server.url,
        target_url=target_url,
        tables=[f"{source.dbname}.*"],
        **queue_sections(request, "redis"),
    )
    document["source"]["start"] = position(source)
    with Fleet(write_connector(folder, document), folder) as fleet:
        fleet.run()
        twins.create(source)
        for twin in TWINS:
            until(lambda name=twin.name: not statement_at(target_url, f"SELECT 1 FROM {name}"), 60, twin.name)  # type: ignore[misc]
        twins.fill(source, target_url, ROWS)
        yield fleet
        fleet.require_running()
        fleet.no_traceback()


def test_what_is_planted_in_large_tables_is_found_and_repaired_under_load(
    mysql_db: Database,
    pg_db: str,
    request: pytest.FixtureRequest,
    measured: Callable[[str], None],
    tmp_path: Path,
) -> None:
    seed = new_seed()
    with _filled(mysql_db, pg_db, tmp_path, request) as fleet:
        bare = _scan_seconds(mysql_db.url, pg_db)
        began = time.monotonic()
        equal = _verified(fleet, status=0)
        seconds = time.monotonic() - began
        assert sum(table["rows"] for table in equal["tables"]) == _all_rows()
        began = time.monotonic()
        _verified(fleet, "--by-rows", status=0)
        by_rows = time.monotonic() - began

        planted = twins.plant(pg_db, ROWS, STILL, random.Random(seed))
        with Writer(mysql_db, ROWS, STILL, seed) as writer:
            assert _found(_verified(fleet, status=1)) == planted
            repaired = _verified(fleet, "--repair", status=1)
            assert _found(repaired) == planted
            assert repaired["repaired"] == 3 * len(TWINS)
            before = writer.transactions
            again = _verified(fleet, status=0)
            assert writer.transactions > before
        fleet.drain(SECONDS)
        assert [line for twin in TWINS for line in unlike(mysql_db.url, pg_db, twin.name, twin.read)] == []
    rates = ", ".join(f"{table['table'].partition('.')[2]} {table['rows_per_second']:.0f}" for table in equal["tables"])
    measured(
        f"{_all_rows()} rows: a bare scan of both sides {bare:.1f} s; verify {seconds:.1f} s ({seconds / bare:.2f} of it), rows a"
        f" second: {rates}; by rows {by_rows:.1f} s ({by_rows / bare:.2f}); {writer.transactions} transactions under the rest,"
        f" {sum(table['unsettled'] for table in again['tables'])} rows unsettled at the end"
    )


def _all_rows() -> int:
    return sum(ROWS * twin.share // 10 for twin in TWINS)


def _scan_seconds(*urls: str) -> float:
    """Of reading all rows of one side after the other, and doing nothing with them."""
    began = time.monotonic()
    for url in urls:
        assert sum(1 for twin in TWINS for _ in scanned(url, twin.name, twin.read)) == _all_rows()
    return time.monotonic() - began


def _verified(fleet: Fleet, *options: str, status: int) -> dict[str, Any]:
    done = cdc("verify", str(fleet.file), "--json", "--patience", "300", *options, timeout=SECONDS)
    assert done.returncode == status, done.stdout[:4000] + done.stderr[-4000:]
    document: dict[str, Any] = orjson.loads(done.stdout)
    return document


def _found(document: dict[str, Any]) -> dict[str, dict[str, int]]:
    """By table and kind the number of the row; fails where there is more than one of a kind."""
    found: dict[str, dict[str, int]] = {}
    for table in document["tables"]:
        name = table["table"].partition(".")[2]
        number = next(twin.number for twin in TWINS if twin.name == name)
        assert (table["missing"], table["extra"], table["different"], table["problem"]) == (1, 1, 1, None), table
        found[name] = {row["kind"]: row["key"][number] for row in table["differences"]}
    return found
