"""sysbench's oltp_read_write, while `cdc run` syncs to three targets at once: equal afterwards, row by row."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.servers import Database
from tests.support.equality import unlike
from tests.support.fleet import Fleet
from tests.support.sinks import write_three_sinks
from tests.support.sysbench import COLUMNS, Sizes, Sysbench

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("order", ["key", "transaction"])
@pytest.mark.parametrize("queue", ["redis", "kafka"])
def test_three_targets_are_equal_to_the_source_after_sysbench(
    queue: str,
    order: str,
    mysql_db: Database,
    sinks: dict[str, str],
    queue_sections: Callable[[str], dict[str, Any]],
    measured: Callable[[str], None],
    tmp_path: Path,
) -> None:
    sizes = Sizes.of_environment()
    load = Sysbench(mysql_db.url, sizes, tmp_path, seed=20_240)
    file = write_three_sinks(tmp_path, mysql_db, sinks, queue_sections(queue), order=order)
    with Fleet(file, tmp_path) as fleet:
        fleet.run()
        began = time.monotonic()
        load.prepare()
        with load.start() as running:
            per_second = running.finish()
        loaded = time.monotonic() - began
        fleet.require_running()
        fleet.end()
        fleet.drain(1800)
        seconds = time.monotonic() - began
        events = sum(lane["count"] for lane in fleet.status()["sinks"][0]["lanes"])
        fleet.no_traceback()
    found = [
        f"{name}: {line}"
        for name, url in sinks.items()
        for table in sizes.table_names
        for line in unlike(mysql_db.url, url, table, COLUMNS)
    ]
    assert found == []
    measured(
        f"{events} change events to each of {len(sinks)} targets in {seconds:.0f} s, {events / seconds:.0f} a second each; "
        f"the load itself took {loaded:.0f} s, sysbench's part at {per_second:.0f} transactions a second"
    )
