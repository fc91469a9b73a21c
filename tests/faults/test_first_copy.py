"""Ten full tables come to an empty target while all of them are written to at full rate, and every process dies three times.

CDC_COPY_ROWS sets how many rows each table has (1,000,000 for the full run). sysbench's `oltp_read_write` works on eight of them,
`Edits` on one with a composite text key and one with BLOBs.
"""

import os
import random
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.fixtures.servers import Database
from tests.support.chaos import fresh_target, new_seed, queue_sections, reading_user, writing_user
from tests.support.copied_rows import SINK, CopiedRows
from tests.support.edits import COLUMNS as EDITED
from tests.support.edits import Edits, create
from tests.support.equality import unlike
from tests.support.fleet import Fleet
from tests.support.pipeline import cdc, connector, write_connector
from tests.support.rows_examined import counted, rows_examined
from tests.support.sysbench import COLUMNS, Sizes, Sysbench
from tests.support.wait import until

ROWS = int(os.environ.get("CDC_COPY_ROWS", "5000"))
SIZES = Sizes(tables=8, rows=ROWS, threads=4, transactions=10**9)  # more than there is time for: it ends with the copy
TABLES = {**dict.fromkeys(SIZES.table_names, COLUMNS), **EDITED}
CHUNK_ROWS = max(20, min(4000, ROWS // 50))
PARALLEL = 2
KILLS = 3
SECONDS = 600 + ROWS / 100

pytestmark = [pytest.mark.faults, pytest.mark.timeout(5 * SECONDS)]


def document_of(source: Database, target_url: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The second sink is the test's own: it is never started."""
    document = connector(
        f"first-{source.dbname.replace('_', '-')}",
        source_url=reading_user(source),
        target_url="",
        tables=[f"{source.dbname}.*"],
        **queue_sections(request, "redis"),
    )
    del document["sink"]
    document["source"] |= {
        "start": "snapshot",
        "heartbeat_seconds": 1,
        "snapshot": {"chunk_rows": CHUNK_ROWS, "parallel": PARALLEL},
    }
    document["coordination"]["lease_seconds"] = 1.5
    nowhere = f"sqlite:///{request.getfixturevalue('tmp_path') / 'witness.db'}"
    document["sinks"] = {"target": {"url": writing_user(target_url)}, SINK: {"url": nowhere}}
    return document


@pytest.mark.parametrize("target", ["postgresql", "mysql", "sqlite"])
@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_ten_tables_under_full_load_come_once_whoever_dies(
    flavor: str, target: str, request: pytest.FixtureRequest, measured: Callable[[str], None], tmp_path: Path
) -> None:
    seed = new_seed()
    pick = random.Random(seed)
    source: Database = request.getfixturevalue(f"{flavor}_db")
    load = Sysbench(source.url, SIZES, tmp_path, seed=seed % 2**31)
    load.prepare(SECONDS)
    create(source, ROWS)
    with ExitStack() as stack:
        # A second server where both are of one kind: what the sink writes is not to be in the binlog that the reader reads.
        own = request.getfixturevalue("mysql_target_db") if target == flavor else None
        target_url = own or stack.enter_context(fresh_target(request, target))
        document = document_of(source, target_url, request)
        file = write_connector(tmp_path, document)
        stack.enter_context(counted(source))
        witness = stack.enter_context(CopiedRows(file, 2 * ROWS + 1, {"composed": "code"}))
        fleet = stack.enter_context(Fleet(file, tmp_path))
        with load.start() as running, Edits(source, ROWS, seed) as edits:
            readers = _killed_and_started_again(fleet, witness, pick)
            until(lambda: _copied(fleet, witness), SECONDS, lambda: f"the copy is done\n{fleet.logs()}")
            assert running.running
            assert edits.transactions > 0
        examined = rows_examined(source, document["source"]["url"])
        assert "copy.begun" in readers[0].text()
        # Those that came later went on with what was left, and there was something left for the last one.
        assert "copy.begun" not in "".join(reader.text() for reader in readers[1:])
        assert "copy.done" in readers[-1].text()
        done = cdc("verify", str(file), "--sink", "target", "--json", "--patience", "600", timeout=SECONDS)
        assert done.returncode == 0, done.stdout[:4000] + done.stderr[-4000:]
        assert {one["table"].partition(".")[2] for one in orjson.loads(done.stdout)["tables"]} == TABLES.keys()
        fleet.require_running()
        fleet.no_traceback()
        assert [
            line for table, columns in TABLES.items() for line in unlike(source.url, target_url, table, columns)
        ] == []
    _sent_once(witness)
    # What a killed reader had asked for is read again, and nothing else. Each chunk takes a look at the row behind it.
    again = KILLS * (PARALLEL + 2) * (CHUNK_ROWS + 1)
    assert witness.rows <= examined <= 1.05 * len(TABLES) * ROWS + again
    measured(
        f"{witness.rows} rows copied of {len(TABLES) * ROWS}, {examined} examined at the source, {KILLS} times all killed,"
        f" beside {edits.transactions} transactions and sysbench's"
    )


def _killed_and_started_again(fleet: Fleet, witness: CopiedRows, pick: random.Random) -> list[Any]:
    """All readers, in the order of their lives."""
    readers, sinks = [fleet.reader()], [fleet.sink("target")]
    for moment in sorted(pick.uniform(0.02, 0.75) for _ in range(KILLS)):
        goal = max(moment * len(TABLES) * ROWS, witness.rows + 1)
        until(lambda goal=goal: _reached(witness, goal), SECONDS, lambda goal=goal: f"{goal} rows\n{fleet.logs()}")  # type: ignore[misc]
        victims = [readers[-1], sinks[-1]]
        pick.shuffle(victims)
        for victim in victims:
            fleet.kill(victim)
        readers.append(fleet.reader())
        sinks.append(fleet.sink("target"))
    return readers


def _reached(witness: CopiedRows, goal: float) -> bool:
    witness.check()
    return witness.rows >= goal


def _copied(fleet: Fleet, witness: CopiedRows) -> bool:
    witness.check()
    fleet.require_running()
    return witness.begun and not witness.working


def _sent_once(witness: CopiedRows) -> None:
    """No row twice; and most were sent as rows of the copy, so that this says something."""
    sent = witness.by_table()
    assert sent.keys() == TABLES.keys()
    assert {table: twice for table, (_, twice) in sent.items() if twice} == {}
    assert all(count > ROWS // 3 for count, _ in sent.values()), sent
