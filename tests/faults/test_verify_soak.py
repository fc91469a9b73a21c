"""`cdc verify`, again and again, while sysbench writes at full rate: never a false alarm, and what is planted is found under it.

CDC_VERIFY_SECONDS sets how long (600 for the full run), CDC_LOAD_ROWS how many rows each table has.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.servers import Database
from tests.support.fleet import Fleet
from tests.support.pipeline import cdc
from tests.support.sinks import statement_at, write_three_sinks
from tests.support.sysbench import Sizes, Sysbench

SECONDS = float(os.environ.get("CDC_VERIFY_SECONDS", "60"))

# Of one comparison at most. Where the sinks are slower than the source each comparison waits for all that came before it: with
# more a run has few comparisons, and those of its end wait for minutes.
TRANSACTIONS = 10_000

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800 + 2 * SECONDS)]


@pytest.mark.parametrize("queue", ["redis", "kafka"])
def test_no_false_alarm_under_sysbench_and_planted_differences_are_found(
    queue: str,
    mysql_db: Database,
    sinks: dict[str, str],
    queue_sections: Callable[[str], dict[str, Any]],
    measured: Callable[[str], None],
    tmp_path: Path,
) -> None:
    sizes = Sizes.of_environment()
    transactions = min(TRANSACTIONS, sizes.transactions)
    load = Sysbench(mysql_db.url, sizes, tmp_path, seed=7)
    file = write_three_sinks(tmp_path, mysql_db, sinks, queue_sections(queue), order="key")
    # No load touches this one, so that what is planted there stands still.
    with mysql_db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE quiet (id INT PRIMARY KEY, v VARCHAR(20))")
    with Fleet(file, tmp_path) as fleet:
        fleet.run()
        load.prepare()
        with mysql_db.connect() as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO quiet VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        began, turns, rows, unsettled = time.monotonic(), 0, 0, 0
        while time.monotonic() - began < SECONDS:
            with load.start(transactions) as running:
                tables = _verified(file, status=0)
                running.finish()
            turns += 1
            rows += sum(one["rows"] for one in tables)
            unsettled += sum(one["unsettled"] for one in tables)
        for url in sinks.values():
            statement_at(url, "UPDATE quiet SET v = 'x' WHERE id = 1")
            statement_at(url, "DELETE FROM quiet WHERE id = 2")
            statement_at(url, "INSERT INTO quiet VALUES (9, 'nobody')")
        with load.start(transactions) as running:
            tables = _verified(file, status=1)
            running.finish()
        for one in tables:
            planted = (1, 1, 1) if one["table"].endswith(".quiet") else (0, 0, 0)
            assert (one["missing"], one["extra"], one["different"]) == planted, one
        fleet.require_running()
        fleet.no_traceback()
    measured(f"{turns} comparisons of {rows} rows all together, none a false alarm, {unsettled} unsettled")


def _verified(file: Path, status: int) -> list[dict[str, Any]]:
    done = cdc("verify", str(file), "--json", "--patience", "120", timeout=900)
    assert done.returncode == status, done.stdout[:4000] + done.stderr[-4000:]
    tables: list[dict[str, Any]] = json.loads(done.stdout)["tables"]
    assert tables
    return tables
