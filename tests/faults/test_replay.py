"""`cdc replay FILE --from` a position in the middle of a run mends what was changed at the targets by hand."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.servers import Database
from tests.support.equality import ordered, unlike
from tests.support.fleet import Fleet
from tests.support.pipeline import Process, cdc
from tests.support.sinks import applied, end_of_binlog, statement_at, write_three_sinks
from tests.support.sysbench import COLUMNS, Running, Sizes, Sysbench
from tests.support.wait import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

DAMAGED = 200


@pytest.mark.parametrize(
    ("queue", "order", "running"),
    [("redis", "key", False), ("kafka", "transaction", True)],
    ids=["redis-key-nothing-runs", "kafka-transaction-while-it-runs"],
)
def test_a_replay_from_the_middle_of_a_run_mends_the_targets(
    queue: str,
    order: str,
    running: bool,
    mysql_db: Database,
    sinks: dict[str, str],
    queue_sections: Callable[[str], dict[str, Any]],
    tmp_path: Path,
) -> None:
    sizes = Sizes.of_environment()
    load = Sysbench(mysql_db.url, sizes, tmp_path, seed=515)
    file = write_three_sinks(tmp_path, mysql_db, sinks, queue_sections(queue), order=order)
    with Fleet(file, tmp_path) as fleet:
        fleet.run()
        load.prepare()
        with load.start() as transactions:
            position, then = _in_the_middle(mysql_db, sizes, transactions)
            transactions.finish()
        fleet.require_running()
        fleet.end()
        fleet.drain(1800)
        assert _differences(mysql_db, sinks, sizes) == []
        touched = {table: _changed_since(mysql_db, table, then[table]) for table in sizes.table_names}
        assert min(map(len, touched.values())) >= 10, "the position was captured too late"

        member = fleet.run() if running else None
        if member:
            fleet.wait_for("reader.started", member)
        for url in sinks.values():
            for table in sizes.table_names:
                _damage(url, table, touched[table])
        for name, url in sinks.items():
            assert _differences(mysql_db, {name: url}, sizes), f"{name} was not damaged"

        done = cdc("replay", str(file), "--from", position, "--json")
        assert done.returncode == 0, done.stderr
        assert '"generation":2' in done.stdout.replace(" ", "")
        if member:
            _wait_until_applied(fleet, member, sinks)
            fleet.end()
        fleet.drain(1800)
        fleet.no_traceback()
    assert _differences(mysql_db, sinks, sizes) == []


def _in_the_middle(source: Database, sizes: Sizes, transactions: Running) -> tuple[str, dict[str, dict[int, int]]]:
    """A position while sysbench works, at about a third of its way; and each table's rows as they were just after it."""
    begin = _deleted(source)
    enough = sizes.transactions // 3
    until(lambda: _deleted(source) - begin > enough or not transactions.running, 1800, "a third of the transactions")
    position = end_of_binlog(source)
    return position, {
        table: {row[0]: hash(row) for row in ordered(source.url, table, COLUMNS)} for table in sizes.table_names
    }


def _deleted(source: Database) -> int:
    """Rows that the server has deleted since its start: one in each of sysbench's transactions."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Handler_delete'")
        found = cursor.fetchone()
    assert found is not None, "the server does not count what it deletes"
    return int(found[1])


def _changed_since(source: Database, table: str, then: dict[int, int]) -> list[int]:
    """Keys of rows that are not as they were: the stream behind the position holds them."""
    return [row[0] for row in ordered(source.url, table, COLUMNS) if then.get(row[0]) != hash(row)]


def _damage(url: str, table: str, keys: list[int]) -> None:
    """Deletes and changes rows, as a person would who has the wrong window open."""
    chosen = random.Random(1).sample(keys, min(len(keys), 2 * DAMAGED))
    half = len(chosen) // 2
    statement_at(url, f"DELETE FROM {table} WHERE id IN ({', '.join(map(str, chosen[:half]))})")
    statement_at(
        url, f"UPDATE {table} SET k = -1, c = 'by hand', pad = '' WHERE id IN ({', '.join(map(str, chosen[half:]))})"
    )


def _wait_until_applied(fleet: Fleet, member: Process, sinks: dict[str, str]) -> None:
    """The running processes take the new generation up by themselves."""

    def in_step() -> bool:
        return all(
            statement_at(url, "SELECT MIN(generation) FROM _cdc_progress")[0][0] == 2 and applied(url) > 0
            for url in sinks.values()
        )

    until(lambda: in_step() or not member.running, 300, fleet.logs)
    fleet.require_running()


def _differences(source: Database, sinks: dict[str, str], sizes: Sizes) -> list[str]:
    return [
        f"{name}: {line}"
        for name, url in sinks.items()
        for table in sizes.table_names
        for line in unlike(source.url, url, table, COLUMNS)
    ]
