"""A connector under faults: random work at its source, processes that can die, and what must hold at the end.

Everything that is asserted is read with the drivers alone. All passwords that the pipeline is given carry `CANARY`.
"""

import os
import secrets
import signal
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pymysql
import pytest

from tests.fixtures.servers import Database
from tests.support.fleet import Fleet
from tests.support.pipeline import Process, connector, write_connector
from tests.support.sides import Rows, differences, mysql_connection, rows
from tests.support.wait import until
from tests.support.workload import TABLES, Work

CANARY = f"canary{secrets.token_hex(6)}"
LEASE_SECONDS = 1.5


class Load:
    """Random transactions, one after the other, in a thread of its own until the block ends. `pause_seconds` between them."""

    def __init__(self, work: Work, pause_seconds: float = 0.005) -> None:
        self._work = work
        self._pause_seconds = pause_seconds
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.transactions = 0

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def more(self, count: int, seconds: float = 60) -> None:
        """Waits until so many more transactions are committed."""
        wanted = self.transactions + count
        until(lambda: self.transactions >= wanted or self._error, seconds, f"{wanted} transactions at the source")

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._pause_seconds):
                self._work.transactions(1)
                self.transactions += 1
        except BaseException as error:  # noqa: BLE001 - it rises again in the test's thread
            self._error = error


@dataclass
class Chaos:
    """One connector. `target_url` is the owner's, for looking; the pipeline has users of its own."""

    folder: Path
    source: Database
    target_url: str
    document: dict[str, Any]
    work: Work
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: TABLES)

    def __post_init__(self) -> None:
        self.file = write_connector(self.folder, self.document)
        self.fleet = Fleet(self.file, self.folder)
        self.loose: list[Process] = []

    def reader(self) -> Process:
        return self.fleet.reader()

    def sink(self) -> Process:
        return self.fleet.sink()

    def doomed(self, command: str, failpoint: str) -> Process:
        """A process with a failpoint. The fleet does not know it: it may end."""
        return self.alone(command, CDC_FAILPOINT=failpoint)

    def alone(self, command: str, **environment: str) -> Process:
        """A process that the test ends by itself."""
        process = Process(self.folder, command, str(self.file), environment=environment)
        self.loose.append(process)
        return process

    def unlike(self) -> list[str]:
        """What differs between the two sides now."""
        found: list[str] = []
        for table, key in self.keys.items():
            found += differences(rows(self.source.url, table, key), rows(self.target_url, table, key))
        return found

    def until_equal(self, seconds: float = 90) -> None:
        """Fails at once where a process of the fleet has ended by itself."""
        members = len(self.fleet.running)
        try:
            until(
                lambda: len(self.fleet.running) < members or not self.unlike(),
                seconds,
                lambda: f"both sides equal: {self.unlike()}",
            )
        except AssertionError as error:
            error.add_note(self.fleet.logs())
            raise
        self.fleet.require_running()

    def progress(self) -> Rows:
        """The progress rows by lane."""
        return rows(self.target_url, "_cdc_progress", ("lane",))

    def tokens(self) -> dict[str, tuple[int, int]]:
        """By lane: the sink's token, the reader's."""
        return {str(lane): (row["token"], row["reader_token"]) for (lane,), row in self.progress().items()}

    def begun(self) -> bool:
        """Whether a sink has been here."""
        try:
            return bool(self.progress())
        except (psycopg.errors.UndefinedTable, pymysql.err.ProgrammingError, sqlite3.OperationalError):
            return False

    def applied(self) -> int:
        """Change events that count, over all lanes."""
        return sum(row["events"] for row in self.progress().values())

    def finish(self, seconds: float = 90) -> None:
        """Equal, every process ends with status 0, no log holds a password or a traceback."""
        self.until_equal(seconds)
        # A process that is still being loaded would end by the signal itself.
        until(lambda: all(map(_catches_sigterm, self.fleet.running)), 60, "every process has started")
        self.fleet.end()
        assert self.unlike() == []
        self.clean_logs()

    def clean_logs(self) -> None:
        for log in self.folder.glob("process-*.log"):
            text = log.read_text(errors="replace")
            assert CANARY not in text, f"a password in {log.name}"
            for word in ("Traceback", "fault in Lockstep"):
                assert word not in text, f"{log.name}: {text[-4000:]}"

    def close(self) -> None:
        for process in self.loose:
            if process.running:
                process.kill()


def new_seed() -> int:
    """Printed, so that it shows where a test fails; to repeat one: CDC_FAULT_SEED."""
    seed = int(os.environ.get("CDC_FAULT_SEED") or secrets.randbelow(2**31))
    print(f"seed {seed}")  # noqa: T201
    return seed


class Kinds(NamedTuple):
    """What a connector goes between."""

    source: str
    queue: str
    target: str
    order: str = "key"

    def __str__(self) -> str:
        return "-".join(self)


def _catches_sigterm(process: Process) -> bool:
    """SigCgt of proc(5): the mask of the signals for which there is a handler."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) & 1 << (signal.SIGTERM - 1))


@contextmanager
def chaos(
    request: pytest.FixtureRequest,
    kinds: Kinds,
    *,
    lanes: int = 2,
    lease_seconds: float = LEASE_SECONDS,
    seed: int = 0,
    sections: Mapping[str, Any] | None = None,
    source: Database | None = None,
    **more: Any,
) -> Iterator[Chaos]:
    """A connector on fresh databases of the session's servers. Its tables are there and have some rows; nothing of the
    pipeline runs yet. `sections`: queue and coordination on other servers; `more`: further keys of the document."""
    folder: Path = request.getfixturevalue("tmp_path")
    source = source or request.getfixturevalue(f"{kinds.source}_db")
    work = Work(mysql_connection(source.url, autocommit=False), seed)
    start = position(source)
    work.create()
    work.transactions(20)
    with fresh_target(request, kinds.target) as target_url:
        document = connector(
            f"t-{source.dbname.replace('_', '-')}",
            source_url=reading_user(source),
            target_url=writing_user(target_url),
            tables=[f"{source.dbname}.*"],
            order=kinds.order,
            **{**(sections or queue_sections(request, kinds.queue)), **more},
        )
        document["source"] |= {"start": start, "heartbeat_seconds": 1}
        document["queue"]["lanes"] = 1 if kinds.order == "transaction" else lanes
        document["coordination"]["lease_seconds"] = lease_seconds
        case = Chaos(folder, source, target_url, document, work)
        try:
            with case.fleet:
                yield case
        finally:
            case.close()


def position(source: Database) -> str:
    """The source's end now, so that a test reads its own events only."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW BINARY LOG STATUS" if source.server.kind == "mysql" else "SHOW MASTER STATUS")
        row = cursor.fetchone()
    assert row is not None
    return f"{row[0]}:{row[1]}"


def reading_user(source: Database) -> str:
    """The URL of a user with the rights that a reader needs, and no more."""
    user, password = f"r{secrets.token_hex(6)}", f"{CANARY}-source"
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE USER {user} IDENTIFIED BY '{password}'")
        cursor.execute(f"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {user}")
        if source.server.kind == "mariadb":
            cursor.execute(f"GRANT BINLOG MONITOR ON *.* TO {user}")
        cursor.execute(f"GRANT SELECT ON {source.dbname}.* TO {user}")
    return with_user(source.server.url, user, password)


def writing_user(url: str) -> str:
    """The URL of a user who may do in the target's database what a sink does."""
    parts = urlsplit(url)
    user, password, database = f"w{secrets.token_hex(6)}", f"{CANARY}-target", parts.path.lstrip("/")
    if parts.scheme == "postgresql":
        with psycopg.connect(url, autocommit=True) as postgresql:
            postgresql.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'".encode())
            postgresql.execute(f"GRANT ALL ON SCHEMA public TO {user}".encode())
    elif parts.scheme in {"mysql", "mariadb"}:
        with mysql_connection(url) as mysql, mysql.cursor() as cursor:
            cursor.execute(f"CREATE USER {user} IDENTIFIED BY '{password}'")
            cursor.execute(f"GRANT ALL ON {database}.* TO {user}")
    else:
        return url
    return with_user(url, user, password)


def with_user(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}"))


@contextmanager
def fresh_target(request: pytest.FixtureRequest, kind: str) -> Iterator[str]:
    """The owner's URL of an empty database."""
    if kind == "sqlite":
        yield f"sqlite:///{request.getfixturevalue('tmp_path') / 'target.db'}"
    elif kind == "postgresql":
        yield request.getfixturevalue("pg_db")
    else:
        server = request.getfixturevalue(kind)
        name = f"target_{secrets.token_hex(4)}"
        with mysql_connection(server.url) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(server.url)._replace(path=f"/{name}"))
        finally:
            with mysql_connection(server.url) as connection, connection.cursor() as cursor:
                cursor.execute(f"DROP DATABASE {name}")


def queue_sections(request: pytest.FixtureRequest, kind: str, redis_url: str | None = None) -> dict[str, Any]:
    """The sections `queue` and `coordination` on the session's servers, or on another Redis."""
    redis = redis_url or request.getfixturevalue("redis_url")
    url = redis if kind == "redis" else request.getfixturevalue("kafka").url
    return {"queue": {"url": url}, "coordination": {"url": redis}}


class Witness:
    """Triggers at the target that note which connection wrote, in the same transaction as the write."""

    def __init__(self, target_url: str, tables: Sequence[str] = ("items", "stock", "_cdc_progress")) -> None:
        self._url = target_url
        self._postgresql = urlsplit(target_url).scheme == "postgresql"
        for statement in self._statements(tables):
            self._execute(statement)

    def _statements(self, tables: Sequence[str]) -> Iterator[str]:
        if self._postgresql:
            yield "CREATE TABLE witness (id BIGSERIAL PRIMARY KEY, connection BIGINT NOT NULL, name TEXT NOT NULL)"
            yield "GRANT ALL ON witness, witness_id_seq TO PUBLIC"
            yield """CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO witness (connection, name) VALUES (pg_backend_pid(), TG_TABLE_NAME); RETURN NULL; END $$"""
            for table in tables:
                yield f"""CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON {table}
                    FOR EACH STATEMENT EXECUTE FUNCTION note()"""
            return
        yield """CREATE TABLE witness (id BIGINT AUTO_INCREMENT PRIMARY KEY, connection BIGINT NOT NULL,
            name VARCHAR(64) NOT NULL)"""
        for table in tables:
            for event in ("INSERT", "UPDATE", "DELETE"):
                yield f"""CREATE TRIGGER note_{table}_{event.lower()} AFTER {event} ON {table} FOR EACH ROW
                    INSERT INTO witness (connection, name) VALUES (CONNECTION_ID(), '{table}')"""

    def _execute(self, statement: str) -> list[tuple[Any, ...]]:
        if self._postgresql:
            with psycopg.connect(self._url, autocommit=True) as connection:
                found = connection.execute(statement.encode())
                return list(found.fetchall()) if found.description else []
        with mysql_connection(self._url) as mysql, mysql.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def writers(self) -> dict[int, int]:
        """Connections by the number of their committed writes."""
        return {
            int(connection): int(count)
            for connection, count in self._execute("SELECT connection, count(*) FROM witness GROUP BY connection")
        }
