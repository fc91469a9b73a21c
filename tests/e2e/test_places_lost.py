"""What becomes of a pipeline whose source, queue or target is not as it was left: it goes on at the right place, or stops with
one clear error, the checkpoint and the target's progress unmoved, and the way out that the error names works."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from cdc.local import Server
from tests.fixtures.servers import Database, connect
from tests.support.chaos import CANARY, Chaos, Kinds, chaos, position, queue_sections
from tests.support.own_redis import start_own_redis
from tests.support.own_source import fresh_database, reset_statement, start_own_source
from tests.support.pipeline import Process, cdc
from tests.support.sinks import statement_at
from tests.support.wait import until

KINDS = Kinds("mysql", "redis", "postgresql")


# MariaDB behind `make faults`: ten seconds each. tests/integration/test_source_starts.py is about both, always.
@pytest.fixture(scope="module", params=["mysql", pytest.param("mariadb", marks=pytest.mark.faults)])
def own_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_own_source(request.param, tmp_path_factory.mktemp("own"))
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def own_source(own_server: Server) -> Database:
    """Its binlogs may be reset and purged."""
    return fresh_database(own_server)


@pytest.fixture
def in_step(own_source: Database, request: pytest.FixtureRequest) -> Iterator[Chaos]:
    """Both sides equal, a sink running, no reader."""
    with chaos(request, KINDS, source=own_source) as case:
        bring_in_step(case)
        yield case


def bring_in_step(case: Chaos) -> None:
    case.sink()
    reader = case.alone("reader")
    case.until_equal()
    assert reader.end() == 0, reader.text()


def add_rows(case: Chaos, name: str, count: int = 5) -> None:
    """Each a transaction; over a connection of their own, for the server may have been restarted."""
    with case.source.connect() as connection, connection.cursor() as cursor:
        for number in range(count):
            cursor.execute("INSERT INTO stock VALUES (%s, 9, %s)", (f"{name}{number}", number))


def run_sql(server: Server, *statements: str) -> None:
    with connect(server) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def expect_stop(case: Chaos, command: str, *words: str, seconds: float = 30) -> Process:
    """A process that ends by itself, with status 1, and says all these words; nothing moved."""
    before = applied(case)
    process = case.alone(command)
    until(lambda: not process.running, seconds, lambda: f"it stops: {process.text()}")
    assert process.process.returncode == 1, process.text()
    for word in words:
        assert word in process.text(), process.text()
    assert applied(case) == before
    return process


def applied(case: Chaos) -> dict[str, tuple[int, ...]]:
    """Where each lane is: not who holds it."""
    place = ("generation", "file_number", "file_offset", "event_row", "events")
    return {lane: tuple(row[name] for name in place) for (lane,), row in case.progress().items()}


def test_a_source_that_is_killed_and_comes_back_is_read_on(in_step: Chaos) -> None:
    server = in_step.source.server
    in_step.reader()
    add_rows(in_step, "before")
    server.kill()
    server.restart()
    add_rows(in_step, "after")
    in_step.until_equal()
    with connect(server) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
        dumps = [row[0] for row in cursor.fetchall()]
        assert dumps
        for thread in dumps:
            cursor.execute(f"KILL {thread}")
    add_rows(in_step, "without a thread")
    in_step.finish()


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_a_reset_source_is_refused_until_a_new_generation_is_asked_for(in_step: Chaos, running: bool) -> None:
    server = in_step.source.server
    before = applied(in_step)
    reader = in_step.alone("reader") if running else None
    if reader is not None:
        in_step.fleet.wait_for("reader.started", reader)
    run_sql(server, reset_statement(server))
    add_rows(in_step, "of the new time")
    if reader is not None:
        until(lambda: not reader.running, 40, lambda: f"the reader stops: {reader.text()}")
        assert reader.process.returncode == 1, reader.text()
    expect_stop(in_step, "reader", "reset", "cdc replay")
    assert applied(in_step) == before

    done = cdc("replay", str(in_step.file), "--from", "earliest")
    assert done.returncode == 0, done.stderr
    in_step.reader()
    in_step.finish()
    assert min(row["generation"] for row in in_step.progress().values()) == 2


def test_a_purged_checkpoint_is_a_permanent_error_with_the_file_and_the_way_out(in_step: Chaos) -> None:
    server = in_step.source.server
    file = position(in_step.source).partition(":")[0]
    add_rows(in_step, "lost")
    run_sql(server, "FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
    add_rows(in_step, "kept")
    newest = position(in_step.source).partition(":")[0]

    def purged() -> bool:
        run_sql(server, f"PURGE BINARY LOGS TO '{newest}'")
        with connect(server) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW BINARY LOGS")
            return file not in [row[0] for row in cursor.fetchall()]

    until(purged, 30, "the file is purged")  # not while a dump thread still has it open
    expect_stop(in_step, "reader", file, "purged", "replay")


def test_positions_that_are_none_are_one_clear_error_and_inside_a_transaction_moves_back(in_step: Chaos) -> None:
    begin = position(in_step.source)
    file, end = rows_event_after(in_step, begin)
    for bad, words in (
        (f"{file}:{end + 10_000}", "beyond the end"),
        (f"{file}:{end + 3}", "inside an event"),
        ("mysql-bin.000999:4", "not there yet"),
        ("nothing-bin.000001:4", "no file"),
        ("2999-01-01T00:00:00Z", "future"),
    ):
        done = cdc("replay", str(in_step.file), "--from", bad)
        assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (1, True, False), done.stderr
    done = cdc("replay", str(in_step.file), "--from", f"{file}:{end}")
    assert done.returncode == 0, done.stderr
    assert "lies inside a transaction" in done.stdout.replace("\n", " "), done.stdout
    in_step.reader()
    in_step.finish()


def rows_event_after(case: Chaos, begin: str) -> tuple[str, int]:
    """Commits a transaction at `begin`: where its rows event starts, after its table map."""
    add_rows(case, "inside", 1)
    file, _, offset = begin.partition(":")
    with case.source.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SHOW BINLOG EVENTS IN '{file}' FROM {offset}")
        return file, next(row[1] for row in cursor.fetchall() if row[2].lower().startswith("write_rows"))


def test_a_rewind_while_all_is_running_ends_equal(mysql_db: Database, request: pytest.FixtureRequest) -> None:
    with chaos(request, KINDS) as case:
        begin = case.document["source"]["start"]
        case.reader()
        case.sink()
        case.work.transactions(50)
        case.until_equal()
        statement_at(case.target_url, "DELETE FROM stock")
        statement_at(case.target_url, "UPDATE items SET name = 'by hand'")
        done = cdc("replay", str(case.file), "--from", begin)
        assert done.returncode == 0, done.stderr
        case.work.transactions(50)
        case.finish()
        assert min(row["generation"] for row in case.progress().values()) == 2


def test_a_stream_trimmed_below_what_a_sink_needs_stops_with_gap_and_the_replay_it_names_mends_it(
    request: pytest.FixtureRequest,
) -> None:
    with chaos(request, KINDS) as case:
        begin = case.document["source"]["start"]
        sink = case.alone("sink")
        case.reader()
        case.until_equal()
        assert sink.end() == 0, sink.text()
        case.work.transactions(50)
        with redis.Redis.from_url(case.document["queue"]["url"]) as raw:
            lanes = [f"{{{case.document['name']}}}:lane:{lane}" for lane in range(2)]
            until(lambda: sum(map(raw.xlen, lanes)) > 60, 30, "the work is in the streams")
            until(lambda: not grows(raw, lanes), 30, "all of it")
            for lane in lanes:
                raw.xtrim(lane, maxlen=5, approximate=False)
        expect_stop(case, "sink", "missing", "cdc replay")
        done = cdc("replay", str(case.file), "--from", begin)
        assert done.returncode == 0, done.stderr
        case.sink()
        case.finish()


def grows(raw: "redis.Redis", lanes: list[str]) -> bool:
    before = [raw.xinfo_stream(lane)["last-generated-id"] for lane in lanes]
    later = time.monotonic() + 1
    until(lambda: time.monotonic() > later, 5, "a second")
    return bool(before != [raw.xinfo_stream(lane)["last-generated-id"] for lane in lanes])


@pytest.mark.parametrize("queue", ["redis", "kafka"])
def test_an_evicting_redis_is_refused_by_the_check_and_at_the_start(
    queue: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server = start_own_redis(
        tmp_path / "redis", "--requirepass", CANARY, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"
    )
    try:
        kinds = Kinds("mysql", queue, "postgresql")
        with chaos(request, kinds, sections=queue_sections(request, queue, server.url)) as case:
            found = cdc("check", str(case.file))
            assert found.returncode == 1, found.stdout + found.stderr
            assert "noeviction" in found.stdout + found.stderr
            assert CANARY not in found.stdout + found.stderr
            for command in ("reader", "sink"):
                process = case.alone(command)
                until(lambda process=process: not process.running, 30, f"{command} stops")
                assert process.process.returncode == 1, process.text()
                assert "noeviction" in process.text()
            assert not case.begun()
            case.clean_logs()
    finally:
        server.remove()


def test_a_row_locked_at_the_target_is_waited_for(request: pytest.FixtureRequest) -> None:
    with chaos(request, KINDS) as case:
        case.reader()
        sink = case.sink()
        case.until_equal()
        with psycopg.connect(case.target_url) as other:
            other.execute("LOCK TABLE items, stock IN EXCLUSIVE MODE")
            case.work.transactions(20)
            until(lambda: "sink.busy" in sink.text() or "lane.retry" in sink.text(), 60, sink.text)
            other.rollback()
        case.finish()


def test_a_target_that_restarts_under_load_is_an_outage_and_no_more(
    postgresql: Server, request: pytest.FixtureRequest
) -> None:
    with chaos(request, KINDS) as case:
        case.reader()
        case.sink()
        case.until_equal()
        for end in (postgresql.restart, lambda: kill_and_restart(postgresql)):
            case.work.transactions(30)
            end()
            case.work.transactions(30)
        case.finish()


def kill_and_restart(server: Server) -> None:
    server.kill()
    server.restart()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("ALTER TABLE stock ADD CONSTRAINT small CHECK (quantity < 1000000)", "small"),
        (
            "ALTER TABLE stock ADD COLUMN parent INT NOT NULL DEFAULT 0; ALTER TABLE stock ALTER parent DROP DEFAULT",
            "parent",
        ),
    ],
    ids=["check", "not null"],
)
def test_a_row_that_the_target_refuses_stops_the_sink_and_mended_it_goes_on(
    spoil: str, words: str, request: pytest.FixtureRequest
) -> None:
    with chaos(request, KINDS) as case:
        case.reader()
        first = case.alone("sink")
        case.until_equal()
        assert first.end() == 0, first.text()
        statement_at(case.target_url, spoil)
        with case.source.connect() as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO stock VALUES ('refused', 1, 2000000)")
        expect_refusal(case, words)
        mend = {"small": "DROP CONSTRAINT small", "parent": "DROP COLUMN parent"}[words]
        statement_at(case.target_url, f"ALTER TABLE stock {mend}")
        case.sink()
        case.finish()


def expect_refusal(case: Chaos, word: str) -> None:
    applied = rows_of(case)
    process = case.alone("sink")
    until(lambda: not process.running, 60, lambda: f"the sink stops: {process.text()}")
    assert process.process.returncode == 1, process.text()
    assert word in process.text(), process.text()
    assert rows_of(case) == applied


rows_of: Callable[[Chaos], int] = lambda case: len(statement_at(case.target_url, "SELECT * FROM stock"))  # noqa: E731
