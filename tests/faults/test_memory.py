"""Memory stays bounded whatever the size of a transaction: one of 500,000 rows passes."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.servers import Database
from tests.support.equality import unlike
from tests.support.fleet import Fleet, peak_bytes
from tests.support.sinks import applied, write_three_sinks
from tests.support.sysbench import COLUMNS
from tests.support.wait import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

ROWS = int(os.environ.get("CDC_MEMORY_ROWS", "500000"))
READER_BYTES = 150_000_000
SINK_BYTES = 200_000_000

TABLE = """CREATE TABLE large (
    id INT NOT NULL PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL)"""
DIGITS = (
    "(SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 \
UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
)


def insert_all(database: Database, rows: int) -> None:
    """One statement, so one transaction; rows of about 200 bytes, as sysbench has them."""
    number = "a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n + 100000 * f.n"
    tables = ", ".join(f"{DIGITS} {name}" for name in "abcdef")
    statement = (
        f"INSERT INTO large SELECT 1 + n, n % 1000, RPAD(SHA2(n, 512), 120, '-'), LEFT(SHA2(n, 256), 60) "
        f"FROM (SELECT {number} AS n FROM {tables}) AS numbers WHERE n < {rows}"
    )
    with database.connect() as connection, connection.cursor() as cursor:
        assert cursor.execute(statement) == rows


@pytest.mark.parametrize("order", ["key", "transaction"])
@pytest.mark.parametrize(
    "route", [(queue, target) for queue in ("redis", "kafka") for target in ("postgresql", "mysql")], ids="-".join
)
def test_one_transaction_of_500_000_rows_passes_in_bounded_memory(
    route: tuple[str, str],
    order: str,
    mysql_db: Database,
    sinks: dict[str, str],
    queue_sections: Callable[[str], dict[str, Any]],
    measured: Callable[[str], None],
    tmp_path: Path,
) -> None:
    queue, target = route
    with mysql_db.connect() as connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
    file = write_three_sinks(tmp_path, mysql_db, {target: sinks[target]}, queue_sections(queue), order=order)
    with Fleet(file, tmp_path) as fleet:
        reader, sink = fleet.reader(), fleet.sink()
        fleet.wait_for("reader.started", reader)
        fleet.wait_for("lane.taken", sink)
        insert_all(mysql_db, ROWS)
        began = time.monotonic()
        until(lambda: applied(sinks[target]) >= ROWS or len(fleet.running) < 2, 1500, fleet.logs)
        fleet.require_running()
        seconds = time.monotonic() - began
        peaks = {"reader": peak_bytes(reader.process.pid), "sink": peak_bytes(sink.process.pid)}
        fleet.no_traceback()
    measured(
        f"{ROWS} rows in one transaction: reader {peaks['reader'] / 1e6:.0f} MB, sink {peaks['sink'] / 1e6:.0f} MB at "
        f"their peaks; {seconds:.0f} s, {ROWS / seconds:.0f} rows a second"
    )
    assert unlike(mysql_db.url, sinks[target], "large", COLUMNS) == []
    assert peaks["reader"] < READER_BYTES
    assert peaks["sink"] < SINK_BYTES
