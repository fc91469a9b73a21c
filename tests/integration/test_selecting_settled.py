"""What was told is seen: a chunk has the effect of every transaction before `settled`, though a binlog tells of a transaction
before the tables show it; and no transaction behind `high` has any."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cdc.binlog.port import End, Rows, Stream
from cdc.binlog.rows_port import Wanted
from cdc.binlog.selecting import settling
from cdc.binlog.selecting.settling import place
from cdc.binlog.source import BinlogSource
from cdc.local import Server
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import SourceRefused, SourceUnavailable
from tests.fixtures.servers import Database
from tests.support.own_source import fresh_database, start_own_source
from tests.support.sources import execute, open_source, streaming

TRANSACTIONS = 450
WRITERS = 6


@pytest.fixture(scope="module")
def without_gtids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A MySQL as it is by default: gtid_mode=OFF."""
    server = start_own_source(
        "mysql", tmp_path_factory.mktemp("without_gtids"), "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"
    )
    yield server
    server.remove()


@pytest.fixture
def silent_db(without_gtids: Server) -> Database:
    return fresh_database(without_gtids)


@pytest.fixture(params=["mysql_db", "silent_db", "mariadb_db"])
def every_db(request: pytest.FixtureRequest) -> Database:
    database: Database = request.getfixturevalue(request.param)
    return database


@pytest.fixture(params=["mysql_db", "silent_db"])
def mysql_of_both_kinds(request: pytest.FixtureRequest) -> Database:
    database: Database = request.getfixturevalue(request.param)
    return database


@contextmanager
def slow_commits(database: Database, order_commits: str = "ON") -> Iterator[None]:
    """A second passes between a transaction's flush to the binlog and its commit (the most that MySQL has)."""
    execute(
        database,
        f"SET GLOBAL binlog_order_commits = {order_commits}",
        "SET GLOBAL binlog_group_commit_sync_delay = 1000000",
    )
    try:
        yield
    finally:
        execute(database, "SET GLOBAL binlog_group_commit_sync_delay = 0", "SET GLOBAL binlog_order_commits = ON")


@contextmanager
def running(*work: Callable[[], None]) -> Iterator[None]:
    """In threads, whose errors are the test's."""
    errors: list[BaseException] = []

    def run(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must not pass
            errors.append(error)

    threads = [threading.Thread(target=run, args=(one,), daemon=True) for one in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(60)
    assert not errors, errors


def told(stream: Stream, seconds: float = 30) -> Iterator[tuple[list[int], SourcePoint]]:
    """Of each transaction the ids that its rows have, and the boundary behind it, as soon as the stream has it."""
    deadline = time.monotonic() + seconds
    ids: list[int] = []
    for item in stream.items(lambda: 0.05):
        if isinstance(item, Rows):
            ids += [int((draft.after or draft.key)["id"]) for draft in item.drafts]  # type: ignore[arg-type]
        elif isinstance(item, End):
            yield ids, item.point
            ids = []
        assert time.monotonic() < deadline, "the stream tells nothing"


def ids_in(source: BinlogSource, database: Database, settled: SourcePoint | None, **wanted: Any) -> set[int]:
    chunk = source.chunk(Wanted(database.dbname, "t", **wanted), settled)
    return {int(row.key["id"]) for row in chunk.rows}  # type: ignore[arg-type]


def make(database: Database) -> None:
    execute(database, "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL DEFAULT 0)")


WAYS_TO_COMMIT = {
    "insert": ("INSERT INTO t (id) VALUES ({id})",),
    "update": ("UPDATE t SET id = {id} WHERE id = -{id}",),
    "prepared statement": ("PREPARE p FROM 'UPDATE t SET id = {id} WHERE id = -{id}'", "EXECUTE p"),
    "commit": ("BEGIN", "INSERT INTO t (id) VALUES ({id})", "COMMIT"),
    "begin": ("BEGIN", "INSERT INTO t (id) VALUES ({id})", "BEGIN"),
    "definition": ("BEGIN", "INSERT INTO t (id) VALUES ({id})", "CREATE TABLE other_{id} (a INT PRIMARY KEY)"),
    "procedure": ("CALL put({id})",),
    "xa": ("XA START 'y'", "INSERT INTO t (id) VALUES ({id})", "XA END 'y'", "XA COMMIT 'y' ONE PHASE"),
}
ATTEMPTS = 24


def falls_into_the_trap(source: BinlogSource, database: Database, key: int, work: Callable[[], None]) -> bool:
    """Whether a chunk that waits for nothing lacked the row that the stream had shown; one that waits must have it always."""
    with streaming_of(source) as stream, running(work):
        ids, point = next(told(stream))
        assert key in ids
        trapped = not ids_in(source, database, None, keys=[(key,)])
        assert ids_in(source, database, point, keys=[(key,)]) == {key}
    return trapped


@contextmanager
def streaming_of(source: BinlogSource) -> Iterator[Stream]:
    point = source.resolve("latest")
    stream = source.stream(point, source.tables_at(point, ()))
    try:
        yield stream
    finally:
        stream.close()


@pytest.mark.parametrize(
    ("way", "order_commits"), [*((way, "ON") for way in WAYS_TO_COMMIT), ("insert", "OFF"), ("commit", "OFF")]
)
def test_a_transaction_that_the_stream_has_shown_is_in_the_chunk_though_it_is_not_committed_yet(
    mysql_of_both_kinds: Database, way: str, order_commits: str
) -> None:
    database = mysql_of_both_kinds
    make(database)
    execute(
        database,
        *(f"INSERT INTO t (id) VALUES (-{number})" for number in range(1, ATTEMPTS + 1)),
        "CREATE PROCEDURE put(number INT) BEGIN START TRANSACTION; INSERT INTO t (id) VALUES (number); COMMIT; END",
    )
    source = open_source(database)
    source.chunk(Wanted(database.dbname, "t"))  # describes the table
    with slow_commits(database, order_commits):
        # On a busy machine a second is not always enough to look before the commit.
        assert any(
            falls_into_the_trap(source, database, key, lambda key=key: execute(database, *statements(way, key)))  # type: ignore[misc]
            for key in range(1, ATTEMPTS + 1)
        )
    source.close()


def statements(way: str, key: int) -> list[str]:
    return [statement.format(id=key) for statement in WAYS_TO_COMMIT[way]]


def test_a_transaction_that_another_session_prepared_is_waited_for_too(mysql_of_both_kinds: Database) -> None:
    database = mysql_of_both_kinds
    make(database)
    source = open_source(database)
    source.chunk(Wanted(database.dbname, "t"))
    trapped = False
    for key in range(1, ATTEMPTS + 1):
        with database.connect() as first, first.cursor() as cursor:
            for statement in ("XA START 'x'", f"INSERT INTO t (id) VALUES ({key})", "XA END 'x'", "XA PREPARE 'x'"):
                cursor.execute(statement)
        with slow_commits(database):
            trapped = falls_into_the_trap(source, database, key, lambda: commit_prepared(database))
        if trapped:
            break
    assert trapped
    source.close()


def commit_prepared(database: Database) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            execute(database, "XA COMMIT 'x'")
        except Exception:  # the session that prepared it is not gone yet
            if time.monotonic() > deadline:
                raise
        else:
            return


def writer(database: Database, number: int) -> Callable[[], None]:
    def write() -> None:
        with database.connect(autocommit=False) as connection, connection.cursor() as cursor:
            for count in range(TRANSACTIONS // WRITERS):
                cursor.execute(f"INSERT INTO t (id) VALUES ({count * WRITERS + number})")
                cursor.execute(f"UPDATE t SET n = n + 1 WHERE id = {count * WRITERS + number}")
                connection.commit()

    return write


def test_with_many_writers_every_row_that_was_told_is_in_the_next_chunk(every_db: Database) -> None:
    make(every_db)
    source = open_source(every_db)
    seen: set[int] = set()
    count = TRANSACTIONS // WRITERS * WRITERS
    with streaming(source) as stream, running(*(writer(every_db, number) for number in range(WRITERS))):
        for ids, point in told(stream, 60):
            seen.update(ids)
            found = ids_in(source, every_db, point, keys=[(number,) for number in ids])
            assert found == set(ids)
            if len(seen) == count:
                break
        assert ids_in(source, every_db, point) == set(range(count))


def test_no_row_of_a_chunk_was_written_behind_its_high(every_db: Database) -> None:
    make(every_db)
    source = open_source(every_db)
    count = TRANSACTIONS // WRITERS * WRITERS
    chunks: list[tuple[set[int], SourcePoint]] = []
    with streaming(source) as stream:
        with running(*(writer(every_db, number) for number in range(WRITERS))):
            while not chunks or len(chunks[-1][0]) < count:
                chunk = source.chunk(Wanted(every_db.dbname, "t"), source.end())
                chunks.append(({int(row.key["id"]) for row in chunk.rows}, chunk.high))  # type: ignore[arg-type]
                assert len(chunks) < 10_000
        behind: dict[int, tuple[int, int]] = {}
        for ids, point in told(stream):
            behind.update(dict.fromkeys(ids, place(point)))
            if len(behind) == count:
                break
    assert any(0 < len(ids) < count for ids, _ in chunks)
    for ids, high in chunks:
        assert high.source_id == source.identity()
        before_high = {number for number, where in behind.items() if where <= place(high)}
        assert ids <= before_high
        if every_db.server.kind == "mariadb":
            assert ids == before_high  # it says exactly which place a snapshot belongs to


def test_a_place_behind_the_last_transaction_is_settled_on_a_quiet_server(every_db: Database) -> None:
    make(every_db)
    execute(every_db, "INSERT INTO t (id) VALUES (1)", "FLUSH BINARY LOGS")
    source = open_source(every_db)
    end = source.end()
    chunk = source.chunk(Wanted(every_db.dbname, "t"), end)
    assert [row.key for row in chunk.rows] == [{"id": 1}]
    assert place(chunk.high) >= place(end)
    assert chunk.high.gtid_set == end.gtid_set
    source.close()


def test_transactions_that_stay_open_are_not_waited_for(silent_db: Database) -> None:
    make(silent_db)
    execute(silent_db, "INSERT INTO t (id) VALUES (1), (2)")
    source = open_source(silent_db)
    with silent_db.connect(autocommit=False) as idle, silent_db.connect(autocommit=False) as busy:
        with idle.cursor() as cursor:
            cursor.execute("UPDATE t SET n = 5 WHERE id = 1")
        with busy.cursor() as cursor:
            cursor.execute("UPDATE t SET n = 5 WHERE id = 2")
        with running(lambda: sleep_at(busy)):
            begin = time.monotonic()
            assert ids_in(source, silent_db, source.end()) == {1, 2}
            assert time.monotonic() - begin < 2
    source.close()


def sleep_at(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT SLEEP(3)")


def test_what_does_not_settle_is_tried_again_later(every_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    make(every_db)
    execute(every_db, "INSERT INTO t (id) VALUES (1)")
    source = open_source(every_db)
    end = source.end()
    if every_db.server.kind == "mariadb":
        domain, server, number = end.gtid_set.split("-")
        beyond = SourcePoint(end.source_id, end.file, end.offset + 1_000_000, f"{domain}-{server}-{int(number) + 1000}")
    else:
        gtids = "" if not end.gtid_set else f"{end.source_id}:1-1000000"
        beyond = SourcePoint(end.source_id, end.file, end.offset, gtids)
        execute(every_db, "SET GLOBAL binlog_group_commit_sync_delay = 1000000")
    monkeypatch.setattr(settling, "PATIENCE_SECONDS", 0.3)
    try:
        with streaming(source) as stream, running(lambda: execute(every_db, "INSERT INTO t (id) VALUES (2)")):
            _, told_at = next(told(stream))
            with pytest.raises(SourceUnavailable, match=r"committed after 0\.3 s"):
                source.chunk(Wanted(every_db.dbname, "t"), beyond if beyond.gtid_set else told_at)
    finally:
        if every_db.server.kind == "mysql":
            execute(every_db, "SET GLOBAL binlog_group_commit_sync_delay = 0")


def test_a_user_without_the_process_privilege_is_told_so_where_it_is_needed(silent_db: Database) -> None:
    make(silent_db)
    execute(
        silent_db,
        "DROP USER IF EXISTS poor",
        "CREATE USER poor IDENTIFIED BY 'secret'",
        "GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO poor",
    )
    source = open_source(
        silent_db, url=silent_db.server.url.partition("://")[0] + "://poor:secret@" + address(silent_db)
    )
    assert ids_in(source, silent_db, None) == set()
    with pytest.raises(SourceRefused, match=r"no PROCESS privilege.*GRANT PROCESS"):
        source.chunk(Wanted(silent_db.dbname, "t"), source.end())
    source.close()


def address(database: Database) -> str:
    return database.server.url.rpartition("@")[2]


def test_nothing_is_written_and_nothing_is_locked(every_db: Database, tmp_path: Path) -> None:
    make(every_db)
    execute(every_db, "INSERT INTO t (id) VALUES (1)")
    source = open_source(every_db)
    with every_db.connect(autocommit=False) as other, other.cursor() as cursor:
        cursor.execute("SELECT * FROM t FOR UPDATE")
        before = source.end()
        assert ids_in(source, every_db, before) == {1}
        assert place(source.end()) == place(before)
    source.close()
