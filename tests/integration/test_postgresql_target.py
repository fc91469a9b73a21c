"""What only PostgreSQL can show: its locks, sessions, rights, constraints, TLS and restarts."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from cdc.local import Server
from cdc.model.batch import TableBatch
from cdc.model.checkpoint import Progress
from cdc.model.errors import RowRefused, TargetBusy, TargetRefused, TargetUnavailable
from cdc.model.schema import Column, TableSchema
from cdc.target.port import LaneWriter, Target
from tests.support.targets import ORDERS, Place, deletes, inserts, letter, moved, order, problems, updates, write
from tests.support.wait import until

LEASE_SECONDS = 2.0
PASSWORD = "canary-hunter2"


@pytest.fixture
def place(pg_db: str) -> Place:
    return Place("postgresql", pg_db)


@pytest.fixture
def open_target(place: Place) -> Iterator[Callable[..., Target]]:
    opened: list[Target] = []

    def one(**settings: Any) -> Target:
        opened.append(place.open(**settings))
        return opened[-1]

    yield one
    for target in opened:
        target.close()


@pytest.fixture
def open_writer(open_target: Callable[..., Target]) -> Iterator[Callable[..., LaneWriter]]:
    """A writer that has taken over lane 0 (with token 5, unless said)."""
    opened: list[LaneWriter] = []

    def one(token: int = 5, lease_seconds: float = LEASE_SECONDS, **settings: Any) -> LaneWriter:
        writer = open_target(**settings).writer(lease_seconds)
        opened.append(writer)
        if token:
            writer.take_over("0", token)
        return writer

    yield one
    for writer in opened:
        writer.close()


def _with(url: str, **parts: str) -> str:
    return urlunsplit(urlsplit(url)._replace(**parts))


def _as_role(place: Place, role: str, password: str = PASSWORD) -> Place:
    server = urlsplit(place.url)
    return Place("postgresql", _with(place.url, netloc=f"{role}:{password}@{server.hostname}:{server.port}"))


@pytest.fixture
def role(place: Place) -> Iterator[str]:
    """A role that may log in, and nothing else."""
    name = f"r_{place.url[-8:]}"
    place.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    place.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    yield name
    place.execute(f"DROP OWNED BY {name}")
    place.execute(f"DROP ROLE {name}")


# Connecting.


def test_a_wrong_password_is_refused_and_appears_nowhere(place: Place, role: str) -> None:
    target = _as_role(place, role, "wrong-canary").open()
    with pytest.raises(TargetRefused) as caught:
        target.describe()
    assert "wrong-canary" not in f"{caught.value!r} {caught.value} {caught.value.__cause__} {target!r}"
    target.close()


def test_a_database_that_is_not_there_is_refused_and_a_dead_port_is_an_outage(place: Place) -> None:
    missing = Place("postgresql", _with(place.url, path="/nothing_here")).open()
    with pytest.raises(TargetRefused, match="nothing_here"):
        missing.progress()
    dead = Place("postgresql", "postgresql://u:p@127.0.0.1:1/x").open()
    with pytest.raises(TargetUnavailable, match=r"127\.0\.0\.1:1"):
        dead.progress()
    missing.close()
    dead.close()


def test_a_connection_is_encrypted_and_the_server_checked_as_the_sink_says(
    postgresql: Server, place: Place, tmp_path: Path
) -> None:
    certificate, key = _self_signed()
    ca = tmp_path / "ca.pem"
    ca.write_text(certificate)
    other = tmp_path / "other.pem"
    other.write_text(_self_signed()[0])
    data = place.execute("SHOW data_directory")[0][0]
    # The server writes its own files: they get its owner and its mode.
    for name, text in (("test.crt", certificate), ("test.key", key)):
        rows = ",".join(f"('{line}')" for line in text.splitlines())
        place.execute(
            f"COPY (SELECT * FROM (VALUES {rows}) AS lines(line)) TO PROGRAM 'umask 077; cat > \"{data}/{name}\"'"
        )
    for setting in ("ssl_cert_file = 'test.crt'", "ssl_key_file = 'test.key'", "ssl = on"):
        place.execute(f"ALTER SYSTEM SET {setting}")
    place.execute("SELECT pg_reload_conf()")
    try:
        until(lambda: place.execute("SHOW ssl")[0][0] == "on", 10, "TLS on at the server")
        for mode, file in (("required", None), ("verify-ca", ca), ("verify-full", ca)):
            target = place.open(tls={"mode": mode, "ca": file and str(file)})
            assert target.describe().startswith("PostgreSQL")
            target.close()
        for mode in ("verify-ca", "verify-full"):
            target = place.open(tls={"mode": mode, "ca": str(other)})
            with pytest.raises(TargetRefused, match="certificate"):
                target.describe()
            target.close()
    finally:
        for name in ("ssl", "ssl_cert_file", "ssl_key_file"):
            place.execute(f"ALTER SYSTEM RESET {name}")
        place.execute("SELECT pg_reload_conf()")
        until(lambda: place.execute("SHOW ssl")[0][0] == "off", 10, "TLS off at the server")


def _self_signed() -> tuple[str, str]:
    """A certificate for 127.0.0.1 and its key, as PEM."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


# Rights.


def test_check_says_which_right_is_missing(place: Place, role: str) -> None:
    limited = _as_role(place, role)
    target = limited.open()
    with pytest.raises(TargetRefused, match="may not make tables"):
        target.inspect([ORDERS])
    place.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
    assert not problems(target, ORDERS)
    place.execute("CREATE TABLE orders (id int PRIMARY KEY, note varchar(40), total int)")
    place.execute(f"GRANT SELECT, INSERT ON orders TO {role}")
    with pytest.raises(TargetRefused, match="UPDATE, DELETE"):
        target.inspect([ORDERS])
    writer = target.writer(LEASE_SECONDS)
    writer.take_over("0", 1)
    writer.begin()
    with pytest.raises(TargetRefused, match="permission denied"):
        writer.apply([inserts(order(1))])
    writer.rollback()
    place.execute(f"GRANT UPDATE, DELETE ON orders TO {role}")
    assert not problems(target, ORDERS)
    write(writer, inserts(order(1)))
    writer.close()
    target.close()


# The holder that does not move.

_HOLDER = """
import sys
from cdc.model.errors import CdcError
from tests.support.targets import Place, inserts, moved, order
target = Place("postgresql", sys.argv[1]).open()
writer = target.writer(2.0)
writer.take_over("0", 5)
progress = writer.begin()
writer.apply([inserts(order(2))])
print("inside", flush=True)
sys.stdin.readline()
try:
    writer.commit(moved(progress, 1))
    print("committed", flush=True)
except CdcError as error:
    print(type(error).__name__, flush=True)
"""


def test_a_process_stopped_inside_its_transaction_loses_the_lane_and_writes_nothing_when_it_wakes(
    place: Place, open_writer: Callable[..., LaneWriter]
) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, place.url],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline().strip() == "inside"
            holder.send_signal(signal.SIGSTOP)
            begun = time.monotonic()
            rival = open_writer(token=6)
            assert time.monotonic() - begun < 2 * LEASE_SECONDS
            write(rival, inserts(order(3)))
            holder.send_signal(signal.SIGCONT)
            holder.stdin.write("\n")
            holder.stdin.flush()
            assert holder.stdout.readline().strip() in {"TargetUnavailable", "Fenced"}
        finally:
            holder.kill()
    assert place.rows() == [(3, "new", 0)]


_LAST_ACTS: dict[str, Callable[[LaneWriter], None]] = {
    "begin": lambda writer: None,
    "one small step": lambda writer: writer.apply([inserts(order(1))]),
    "several steps": lambda writer: writer.apply([inserts(order(1)), deletes(2), inserts(order(3), schema=_OTHER)]),
    "a large step": lambda writer: writer.apply([inserts(*(order(n) for n in range(400)))]),
    "a savepoint": lambda writer: writer.apply([inserts(order(1)), deletes(2)], savepoint=True),
    "letters": lambda writer: writer.park([letter(1), letter(2)]),
    "parked": lambda writer: (writer.parked(), None)[1],
    "truncate": lambda writer: writer.truncate("shop", "orders"),
}
_OTHER = TableSchema("shop", "other", ORDERS.columns, ORDERS.key)


@pytest.mark.parametrize("last", list(_LAST_ACTS))
def test_a_session_that_idles_in_its_transaction_for_a_lease_is_ended_by_the_server(
    place: Place, open_writer: Callable[..., LaneWriter], last: str
) -> None:
    writer = open_writer(lease_seconds=0.5)
    write(writer, inserts(order(7)), inserts(order(7), schema=_OTHER))
    progress = writer.begin()
    _LAST_ACTS[last](writer)
    sessions = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'cdc/%' AND datname = current_database()"
    )
    until(lambda: place.execute(sessions) == [(0,)], 10, "the server ends the idle session")
    with pytest.raises(TargetUnavailable):
        writer.commit(moved(progress, 1))
    writer.rollback()
    with pytest.raises(TargetUnavailable):
        writer.begin()
    assert place.rows() == [(7, "new", 0)]
    assert place.execute("SELECT count(*) FROM _cdc_dead_letters") == [(0,)]


def test_a_row_locked_by_others_makes_the_target_busy_not_stuck(
    place: Place, open_writer: Callable[..., LaneWriter]
) -> None:
    writer = open_writer(lease_seconds=1.0)
    write(writer, inserts(order(1)))
    with psycopg.connect(place.url) as other:
        other.execute("UPDATE orders SET total = 9")
        progress = writer.begin()
        with pytest.raises(TargetBusy):
            writer.apply([updates(order(1, "x"))])
        writer.rollback()
    progress = writer.begin()
    writer.apply([updates(order(1, "x"))])
    writer.commit(moved(progress, 2))
    assert place.rows() == [(1, "x", 0)]


def test_a_deadlock_makes_the_target_busy(place: Place, open_writer: Callable[..., LaneWriter]) -> None:
    place.execute("ALTER ROLE CURRENT_USER SET deadlock_timeout = '100ms'")
    try:
        writer = open_writer(lease_seconds=20.0)
        write(writer, inserts(order(1), order(2)))
        with psycopg.connect(place.url) as other:
            writer.begin()
            writer.apply([updates(order(1, "x"))])
            other.execute("UPDATE orders SET total = 9 WHERE id = 2")
            thread = threading.Thread(target=lambda: _quietly(other, "UPDATE orders SET total = 9 WHERE id = 1"))
            thread.start()
            blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            until(lambda: place.execute(blocked) == [(1,)], 10, "the other session waits for our row")
            outcome: list[Exception] = []
            try:
                writer.apply([updates(order(2, "x"))])
            except TargetBusy as error:
                outcome.append(error)
            writer.rollback()
            thread.join(10)
        # PostgreSQL picks the victim; either is right, and neither hangs.
        assert outcome == [] or "deadlock" in str(outcome[0])
    finally:
        place.execute("ALTER ROLE CURRENT_USER RESET deadlock_timeout")


def _quietly(connection: "psycopg.Connection[Any]", sql: str) -> None:
    try:
        connection.execute(sql.encode())
    except psycopg.errors.DeadlockDetected:
        connection.rollback()


def test_a_restart_of_the_server_is_an_outage_that_a_new_writer_gets_over(
    postgresql: Server, place: Place, open_writer: Callable[..., LaneWriter]
) -> None:
    if not postgresql.ours:
        pytest.skip("this PostgreSQL was given by URL")
    writer = open_writer()
    write(writer, inserts(order(1)))
    progress = writer.begin()
    writer.apply([inserts(order(2))])
    postgresql.restart()
    with pytest.raises(TargetUnavailable):
        writer.commit(moved(progress, 2))
    writer.rollback()
    write(open_writer(token=6), inserts(order(3)))
    assert [row[0] for row in place.rows()] == [1, 3]


# Constraints.


@pytest.mark.parametrize(
    ("ddl", "condition"),
    [
        ("ALTER TABLE orders ADD FOREIGN KEY (total) REFERENCES orders (id)", "foreign key violation"),
        ("ALTER TABLE orders ADD CHECK (total < 100)", "check violation"),
        ("ALTER TABLE orders ADD UNIQUE (total) DEFERRABLE INITIALLY DEFERRED", "unique violation"),
        (
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.total > 99 THEN"
            " RAISE 'SECRET'; END IF; RETURN NEW; END $$; CREATE TRIGGER no BEFORE INSERT ON orders"
            " FOR EACH ROW EXECUTE FUNCTION no()",
            "raise exception",
        ),
    ],
    ids=["foreign key", "check", "deferred", "trigger"],
)
def test_a_row_that_violates_a_constraint_of_the_target_is_refused_without_its_values(
    place: Place, open_writer: Callable[..., LaneWriter], ddl: str, condition: str
) -> None:
    place.execute("CREATE TABLE orders (id int PRIMARY KEY, note varchar(40), total int)")
    place.execute(ddl)
    writer = open_writer()
    write(writer, inserts(order(1, "ok", 1)))
    progress = writer.begin()

    def apply_and_commit() -> None:
        writer.apply([inserts(order(2, "SECRET", 4711), order(3, "SECRET", 4711))])
        writer.commit(moved(progress, 2))

    with pytest.raises(RowRefused, match=condition) as caught:
        apply_and_commit()
    writer.rollback()
    assert "SECRET" not in str(caught.value)
    assert "4711" not in str(caught.value)
    assert place.rows() == [(1, "ok", 1)]


def test_an_extra_column_that_must_have_a_value_refuses_rows(
    place: Place, open_writer: Callable[..., LaneWriter]
) -> None:
    place.execute("CREATE TABLE orders (id int PRIMARY KEY, note varchar(40), total int, ours int NOT NULL)")
    writer = open_writer()
    writer.begin()
    with pytest.raises(RowRefused, match="column ours"):
        writer.apply([inserts(order(1))])
    writer.rollback()


def test_a_swap_keeps_generated_and_identity_columns_and_never_cascades(
    place: Place, open_writer: Callable[..., LaneWriter]
) -> None:
    place.execute(
        "CREATE TABLE orders (serial bigint GENERATED ALWAYS AS IDENTITY, id int PRIMARY KEY, note varchar(40) UNIQUE,"
        " total int, twice int GENERATED ALWAYS AS (total * 2) STORED)"
    )
    writer = open_writer()
    write(writer, inserts(order(1, "a", 1), order(2, "b", 2)))
    write(writer, updates(order(1, "b", 1), order(2, "a", 2)))
    assert place.rows(columns=["id", "note", "serial", "twice"]) == [(1, "b", 1, 2), (2, "a", 2, 4)]
    place.execute("CREATE TABLE lines (id int REFERENCES orders ON DELETE CASCADE)")
    place.execute("INSERT INTO lines VALUES (1)")
    fresh = open_writer(token=6)
    progress = fresh.begin()
    with pytest.raises(RowRefused, match="CASCADE"):
        fresh.apply([updates(order(1, "a", 1), order(2, "b", 2))], savepoint=True)
    fresh.apply([updates(order(1, "c", 1), order(2, "a", 2))])
    fresh.commit(moved(progress, 2))
    assert place.execute("SELECT id FROM lines") == [(1,)]
    assert place.rows(columns=["id", "note"]) == [(1, "c"), (2, "a")]


def test_an_exclusion_constraint_lets_values_move_and_refuses_what_overlaps(
    place: Place, open_writer: Callable[..., LaneWriter]
) -> None:
    place.execute("CREATE TABLE orders (id int PRIMARY KEY, note varchar(40), total int)")
    place.execute("ALTER TABLE orders ADD EXCLUDE USING btree (total WITH =)")
    writer = open_writer()
    write(writer, inserts(order(1, "a", 1), order(2, "b", 2)))
    write(writer, updates(order(1, "a", 2), order(2, "b", 1)))
    assert place.rows() == [(1, "a", 2), (2, "b", 1)]
    writer.begin()
    with pytest.raises(RowRefused, match="exclusion"):
        writer.apply([inserts(order(3, "c", 1))])
    writer.rollback()


# Tables made by others, and the staging tables.


def test_types_of_other_makers_are_written_as_their_own(place: Place, open_writer: Callable[..., LaneWriter]) -> None:
    place.execute("CREATE TYPE mood AS ENUM ('happy', 'sad', 'so so')")
    place.execute("CREATE TABLE people (id numeric PRIMARY KEY, j jsonb, e mood, n text, d numeric, p point)")
    columns = (
        Column("id", "bigint", unsigned=True, nullable=False),
        Column("j", "json"),
        Column("e", "enum", members=("happy", "sad")),
        Column("n", "varchar", length=5),
        Column("d", "decimal", precision=30, scale=10),
    )
    schema = TableSchema("shop", "people", columns, ("id",))
    writer = open_writer()
    for number in (3, 400):
        rows = [
            {"id": 2**64 - n, "j": '{"a": "b"}', "e": "sad", "n": "ü", "d": "1.0000000001"} for n in range(1, number)
        ]
        write(writer, TableBatch(schema, inserts=list(rows)))
        write(writer, TableBatch(schema, updates=list(rows)))
    (found,) = place.execute(f"SELECT j->>'a', e::text, n, d::text FROM people WHERE id = {2**64 - 1}")
    assert found == ("b", "sad", "ü", "1.0000000001")


@pytest.mark.parametrize("rows", [3, 400])
def test_columns_that_the_target_computes_are_left_to_it(
    place: Place, open_writer: Callable[..., LaneWriter], rows: int
) -> None:
    """A generated column of the source's is a column like others there; a target may have it generated too."""
    place.execute(
        "CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note varchar(40),"
        " total int GENERATED ALWAYS AS (id * 10) STORED)"
    )
    writer = open_writer()
    write(writer, inserts(*(order(n, "new", n * 10) for n in range(rows))))
    write(writer, updates(*(order(n, "x", n * 10) for n in range(rows))))
    assert place.rows() == [(n, "x", n * 10) for n in range(rows)]


def test_a_schema_in_the_template_is_postgresql_s(place: Place, open_writer: Callable[..., LaneWriter]) -> None:
    writer = open_writer(table="{db}.{table}")
    writer.begin()
    with pytest.raises(TargetRefused, match="shop"):
        writer.apply([inserts(order(1))])
    writer.rollback()
    place.execute("CREATE SCHEMA shop")
    write(writer, inserts(order(1)))
    assert place.execute("SELECT id FROM shop.orders") == [(1,)]


def test_many_tables_and_rolled_back_staging_do_not_confuse_one_another(
    place: Place, open_writer: Callable[..., LaneWriter]
) -> None:
    """More tables than staging tables, twice each in one transaction, and after a rollback."""
    writer = open_writer(lease_seconds=20.0)
    schemas = [TableSchema("shop", f"t{n}", ORDERS.columns, ORDERS.key) for n in range(34)]
    many = [order(n) for n in range(250)]
    for commits in (False, True):
        progress = writer.begin()
        for schema in schemas:
            writer.apply([inserts(*many, schema=schema)])
            writer.apply([updates(*({**row, "note": schema.table} for row in many), schema=schema)], savepoint=True)
        if commits:
            writer.commit(moved(progress, 1))
        else:
            writer.rollback()
    for schema in schemas:
        assert place.execute(f"SELECT count(*), min(note), max(note) FROM {schema.table}") == [
            (250, schema.table, schema.table)
        ]


def test_a_refused_row_of_many_is_named_by_its_key(open_writer: Callable[..., LaneWriter]) -> None:
    writer = open_writer()
    for rows in (20, 400):
        writer.begin()
        bad = [order(n, "x" * (41 if n == 13 else 1)) for n in range(rows)]
        with pytest.raises(RowRefused, match=r"table orders.* row id=13\b"):
            writer.apply([inserts(*bad)], savepoint=True)
        writer.rollback()


def test_a_settlement_waits_for_the_sink_and_the_sink_for_it(
    place: Place, open_target: Callable[..., Target], open_writer: Callable[..., LaneWriter]
) -> None:
    writer = open_writer(lease_seconds=20.0)
    progress = writer.begin()
    writer.park([letter(1)])
    writer.commit(moved(progress, 1))
    target = open_target()
    (stored,) = target.dead_letters(5)
    progress = writer.begin()
    writer.apply([inserts(order(1, "of the sink"))])
    settling = threading.Thread(target=lambda: target.settle([stored], [updates(order(1, "of the settlement"))]))
    settling.start()
    until(lambda: place.execute("SELECT count(*) FROM pg_locks WHERE NOT granted") == [(1,)], 10, "settle waits")
    assert target.dead_letter_count() == 1
    writer.commit(moved(progress, 2))
    settling.join(20)
    assert place.rows() == [(1, "of the settlement", 0)]
    assert target.dead_letter_count() == 0


# A transaction in one statement.


@pytest.mark.parametrize("overtaken", [True, False])
def test_who_waits_for_the_progress_row_looks_at_its_token_anew(
    place: Place, open_writer: Callable[..., LaneWriter], overtaken: bool
) -> None:
    """Whatever isolation the database has by default."""
    place.execute(f"ALTER DATABASE {urlsplit(place.url).path[1:]} SET default_transaction_isolation = 'serializable'")
    writer = open_writer(lease_seconds=20.0)
    write(writer, inserts(order(1)))
    done: list[bool] = []
    waiting = threading.Thread(
        target=lambda: done.append(writer.apply_at_once([inserts(order(2))], moved(Progress("0", 5), 2)))
    )
    with psycopg.connect(place.url) as other:
        other.execute(f"UPDATE _cdc_progress SET token = {6 if overtaken else 5}".encode())
        waiting.start()
        until(lambda: place.execute("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), 10, "it waits")
        other.commit()
    waiting.join(10)
    assert done == [not overtaken]
    assert len(place.rows()) == (1 if overtaken else 2)


def test_one_statement_that_finds_the_session_ended_is_an_outage(
    place: Place, open_writer: Callable[..., LaneWriter]
) -> None:
    writer = open_writer()
    write(writer, inserts(order(1)))
    place.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'cdc/%'")
    with pytest.raises(TargetUnavailable):
        writer.apply_at_once([inserts(order(2))], moved(Progress("0", 5), 2))
    assert place.rows() == [(1, "new", 0)]
