"""`order: transaction`: whoever reads a target sees only states that the source had."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.servers import Database
from tests.support.bank import COLUMNS, Bank, Watcher, watching
from tests.support.equality import unlike
from tests.support.fleet import Fleet
from tests.support.sinks import write_three_sinks

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

TRANSFERS = int(os.environ.get("CDC_BANK_TRANSFERS", "10000"))
SMALL_BATCHES = {"batch_rows": 50}
"""A transaction with 100 changes must not fit into one batch, and many commits must be there to be seen."""


def run_the_bank(file: Path, source: Database, sinks: dict[str, str], folder: Path, transfers: int) -> list[Watcher]:
    """Transfers at the source and watchers at the targets, until every target has everything."""
    bank = Bank(source.url, seed=4)
    with Fleet(file, folder) as fleet, watching(sinks) as watchers:
        run = fleet.run()
        fleet.wait_for("lane.taken", run)
        bank.open()
        bank.transfers(transfers)
        bank.close()
        fleet.require_running()
        fleet.end()
        fleet.drain(1200)
        fleet.no_traceback()
    return watchers


@pytest.mark.parametrize("queue", ["redis", "kafka"])
def test_with_order_transaction_no_reader_of_a_target_ever_sees_a_wrong_total(
    queue: str,
    mysql_db: Database,
    sinks: dict[str, str],
    queue_sections: Callable[[str], dict[str, Any]],
    measured: Callable[[str], None],
    tmp_path: Path,
) -> None:
    file = write_three_sinks(
        tmp_path, mysql_db, sinks, queue_sections(queue), order="transaction", sink_settings=SMALL_BATCHES
    )
    watchers = run_the_bank(file, mysql_db, sinks, tmp_path, TRANSFERS)
    for watcher in watchers:
        measured(f"{watcher.name}: {watcher.looks} looks, {watcher.states} states, {len(watcher.wrong)} wrong totals")
        assert watcher.wrong == [], f"{watcher.name} showed wrong totals"
        # One that only ever looked before or after the work would prove nothing.
        assert watcher.states >= min(20, TRANSFERS // 50), (
            f"{watcher.name}: {watcher.states} states in {watcher.looks} looks"
        )
    assert [line for url in sinks.values() for line in unlike(mysql_db.url, url, "accounts", COLUMNS)] == []


def test_the_watcher_sees_wrong_totals_where_lanes_run_in_parallel(
    mysql_db: Database, sinks: dict[str, str], queue_sections: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    file = write_three_sinks(
        tmp_path, mysql_db, sinks, queue_sections("redis"), order="key", sink_settings=SMALL_BATCHES
    )
    watchers = run_the_bank(file, mysql_db, sinks, tmp_path, min(TRANSFERS, 2000))
    assert [watcher.name for watcher in watchers if not watcher.wrong] == []
    # The end is right all the same.
    assert [line for url in sinks.values() for line in unlike(mysql_db.url, url, "accounts", COLUMNS)] == []
