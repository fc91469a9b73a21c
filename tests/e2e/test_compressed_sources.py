"""Sources that compress their binlog, in some sessions or for some time, under load, with readers killed in between: equal."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.fixtures.servers import Database
from tests.support.chaos import Chaos, Kinds, Load, chaos, new_seed
from tests.support.equality import unlike
from tests.support.fleet import peak_bytes
from tests.support.sides import mysql_connection
from tests.support.sinks import applied
from tests.support.wait import until
from tests.support.wide_work import TABLES, WideWork

pytestmark = pytest.mark.timeout(900)

KILLS = int(os.environ.get("CDC_COMPRESSED_KILLS", "3"))
LARGE_ROWS = int(os.environ.get("CDC_COMPRESSED_ROWS", "100000"))
LARGE_BYTES = 500
READER_BYTES = 150_000_000
SINK_BYTES = 200_000_000


def later(*kinds: str) -> Any:
    """The other order, and another target, behind `make faults`: a quarter of a minute each."""
    return pytest.param(Kinds(*kinds), marks=pytest.mark.faults)


@pytest.mark.parametrize(
    "kinds",
    [Kinds("mysql", "redis", "postgresql", "key"), later("mysql", "redis", "sqlite", "transaction")],
    ids=str,
)
def test_transactions_of_a_session_that_compresses_beside_one_that_does_not_are_equal(
    kinds: Kinds, request: pytest.FixtureRequest
) -> None:
    seed = new_seed()
    with chaos(request, kinds, seed=seed) as case:
        wide = wide_work(case, seed)
        wide.run_in_session("SET SESSION binlog_transaction_compression = ON")
        with Load(case.work) as plain, Load(wide) as compressed:
            kill_readers(case, plain, compressed, seed)
        case.finish(180)
        found = event_types(case.source)
    assert found.get("Transaction_payload", 0) > 10, found
    assert found.get("Write_rows", 0) > 10, found


@pytest.mark.parametrize(
    "kinds",
    [Kinds("mariadb", "redis", "postgresql", "transaction"), later("mariadb", "redis", "mysql", "key")],
    ids=str,
)
def test_a_log_that_compresses_now_and_then_is_equal(kinds: Kinds, request: pytest.FixtureRequest) -> None:
    seed = new_seed()
    with chaos(request, kinds, seed=seed) as case, switched_back(case.source):
        wide = wide_work(case, seed)
        with Load(case.work) as one, Load(wide) as other:
            kill_readers(case, one, other, seed, between=lambda number: compress(case.source, number % 2 == 0))
        case.finish(180)
        found = event_types(case.source)
    assert sum(count for kind, count in found.items() if "compressed" in kind) > 10, found
    assert found.get("Write_rows_v1", 0) > 10, found


def wide_work(case: Chaos, seed: int) -> WideWork:
    found = WideWork(mysql_connection(case.source.url, autocommit=False), seed)
    found.create()
    case.keys = {**case.keys, **TABLES}
    return found


def kill_readers(
    case: Chaos, one: Load, other: Load, seed: int, between: Callable[[int], None] = lambda _number: None
) -> None:
    """A reader and a sink; the reader is killed at random moments while both loads write."""
    pick = random.Random(seed)
    case.sink()
    reader = case.reader()
    for number in range(KILLS + 1):
        between(2 * number)
        one.more(pick.randint(10, 40), 120)
        between(2 * number + 1)
        before = case.applied() if case.begun() else 0
        until(lambda before=before: case.begun() and case.applied() > before, 120, "something is applied")
        other.more(pick.randint(5, 20), 120)
        if number < KILLS:
            case.fleet.kill(reader)
            reader = case.reader()


def compress(source: Database, on: bool) -> None:
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL log_bin_compress_min_len = 10")
        cursor.execute(f"SET GLOBAL log_bin_compress = {int(on)}")


@contextmanager
def switched_back(source: Database) -> Iterator[None]:
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.log_bin_compress, @@GLOBAL.log_bin_compress_min_len")
        on, least = cursor.fetchone()  # type: ignore[misc]
        try:
            yield
        finally:
            cursor.execute(f"SET GLOBAL log_bin_compress = {on}")
            cursor.execute(f"SET GLOBAL log_bin_compress_min_len = {least}")


def event_types(source: Database) -> dict[str, int]:
    """How many events of each type the server says that its last binlog files have."""
    found: dict[str, int] = {}
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW BINARY LOGS")
        for file, *_ in list(cursor.fetchall())[-2:]:
            cursor.execute(f"SHOW BINLOG EVENTS IN '{file}'")
            for row in cursor.fetchall():
                found[row[2]] = found.get(row[2], 0) + 1
    return found


@pytest.mark.parametrize(
    "kinds",
    [Kinds("mysql", "redis", "postgresql", "key"), Kinds("mysql", "redis", "postgresql", "transaction")],
    ids=str,
)
@pytest.mark.parametrize("killed", ["reader", "sink"])
@pytest.mark.faults  # minutes each
def test_a_large_compressed_transaction_passes_in_bounded_memory_with_a_kill_in_its_middle(
    kinds: Kinds, killed: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 100,000 rows and 50 MB before compression: far above batch_rows, batch_bytes and the queue's backlog for a sink."""
    with chaos(request, kinds, lanes=2) as case:
        victim = case.doomed(killed, {"reader": "reader.published:kill@9", "sink": "sink.applied:kill@3"}[killed])
        other = case.sink() if killed == "reader" else case.reader()
        compressed = insert_compressed(case.source, LARGE_ROWS)
        until(lambda: not victim.running, 240, lambda: f"the failpoint fires: {victim.text()[-3000:]}")
        assert victim.process.returncode == -signal.SIGKILL, victim.text()[-3000:]
        successor = case.fleet.start(killed)
        until(lambda: applied(case.target_url) >= LARGE_ROWS, 600, case.fleet.logs)
        peaks = {process.log.name.split("-")[-1]: peak_bytes(process.process.pid) for process in (other, successor)}
        with capsys.disabled():
            print(f"\n{kinds}, {killed} killed: {compressed / 1e6:.1f} MB compressed; peaks {peaks}")  # noqa: T201
        case.finish(300)
        assert unlike(case.source.url, case.target_url, "large", "id, n, body") == []
    assert peaks["reader.log"] < READER_BYTES
    assert peaks["sink.log"] < SINK_BYTES


def insert_compressed(source: Database, rows: int) -> int:
    """One transaction; returns the bytes that it takes in the binlog, which must be few."""
    digits = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
    joins = ", ".join(f"({digits}) AS d{power}" for power in range(6))
    number = " + ".join(f"{10**power} * d{power}.d" for power in range(6))
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE large (id INT PRIMARY KEY, n INT NOT NULL, body VARCHAR({LARGE_BYTES}) NOT NULL)")
        cursor.execute("SET SESSION binlog_transaction_compression = ON")
        cursor.execute("SHOW BINARY LOG STATUS")
        before = cursor.fetchone()
        inserted = cursor.execute(
            f"INSERT INTO large SELECT n, n % 10, RPAD(SHA2(n, 256), {LARGE_BYTES}, 'body ') "
            f"FROM (SELECT {number} AS n FROM {joins}) numbers WHERE n < {rows}"
        )
        assert inserted == rows
        cursor.execute("SHOW BINARY LOG STATUS")
        after = cursor.fetchone()
    assert before is not None
    assert after is not None
    written = int(after[1]) - int(before[1])
    assert after[0] == before[0]
    assert written < rows * LARGE_BYTES / 4, "the transaction is not compressed"
    return written
