"""The SQLite target beyond the contract: values, names, several processes, a full or read-only place."""

import os
import signal
import sqlite3
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdc.model.batch import TableBatch
from cdc.model.config import SinkConfig
from cdc.model.errors import RowRefused, TargetBusy, TargetRefused, TargetUnavailable
from cdc.model.schema import Column, TableSchema
from cdc.target.port import LaneWriter, Target
from cdc.target.registry import open_target
from tests.support.targets import ORDERS, inserts, order, problems, updates, write

LEASE_SECONDS = 1.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "target.db"


@pytest.fixture
def target(file: Path) -> Iterator[Target]:
    opened = open_target("shop", "sink", SinkConfig(url=f"sqlite:///{file}"))
    yield opened
    opened.close()


@pytest.fixture
def writer(target: Target) -> Iterator[LaneWriter]:
    opened = target.writer(LEASE_SECONDS)
    opened.take_over("0", 5)
    yield opened
    opened.close()


def ask(file: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(file, isolation_level=None, timeout=10)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def schema_of(*columns: Column, table: str = "edges") -> TableSchema:
    return TableSchema("shop", table, (Column("id", "int", nullable=False), *columns), ("id",))


@pytest.mark.parametrize(
    ("column", "wire", "stored"),
    [
        (Column("c", "bigint"), -(2**63), -(2**63)),
        (Column("c", "bigint", unsigned=True), 2**64 - 1, str(2**64 - 1)),
        (Column("c", "bit", length=64), 2**64 - 1, str(2**64 - 1)),
        (Column("c", "decimal", precision=40, scale=10), "-123456789012345678.1000000000", None),
        (Column("c", "decimal", precision=10, scale=2), "1.50", None),
        (Column("c", "double"), 5e-324, None),
        (Column("c", "char", length=20), "007", None),
        (Column("c", "varchar", length=20), "1e5\0😀 %s ?", None),
        (Column("c", "datetime", scale=6), "0000-00-00T00:00:00.000000", None),
        (Column("c", "time", scale=0), "-838:59:59", None),
        (Column("c", "year"), 0, None),
        (Column("c", "json"), '{"a": 1.0, "b": 10}', None),
        (Column("c", "blob"), b64encode(bytes(range(256))).decode(), bytes(range(256))),
        (Column("c", "blob"), "", b""),
    ],
)
def test_values_arrive_as_they_are(writer: LaneWriter, file: Path, column: Column, wire: Any, stored: Any) -> None:
    schema = schema_of(column, Column("d", "int"))
    expected = wire if stored is None else stored
    write(writer, inserts({"id": 1, "c": wire, "d": 1}, {"id": 2, "c": None, "d": 1}, schema=schema))
    write(writer, updates({"id": 2, "c": wire}, schema=schema))
    assert ask(file, "SELECT id, c, d FROM edges") == [(1, expected, 1), (2, expected, 1)]
    assert {type(c) for (c,) in ask(file, "SELECT c FROM edges")} == {type(expected)}


def test_keys_that_differ_in_case_padding_or_type_stay_apart(writer: LaneWriter, file: Path) -> None:
    schema = TableSchema("shop", "keyed", (Column("k", "varchar", length=9), Column("v", "int")), ("k",))
    keys = ["a", "A", "a ", "1", "1.0", "01", ""]
    write(writer, inserts(*({"k": key, "v": 0} for key in keys), schema=schema))
    write(writer, updates(*({"k": key, "v": n} for n, key in enumerate(keys)), schema=schema))
    write(writer, TableBatch(schema, deletes=[("1.0",)]))
    assert dict(ask(file, "SELECT * FROM keyed")) == {key: n for n, key in enumerate(keys) if key != "1.0"}


def test_keys_of_bytes_and_of_wide_integers_are_found_again(writer: LaneWriter, file: Path) -> None:
    columns = (Column("b", "varbinary", length=9), Column("n", "bigint", unsigned=True), Column("v", "int"))
    schema = TableSchema("shop", "keyed", columns, ("n", "b"))
    row = {"b": b64encode(b"\xff\0").decode(), "n": 2**64 - 1, "v": 1}
    write(writer, inserts(row, schema=schema))
    write(writer, updates({**row, "v": 2}, schema=schema))
    assert ask(file, "SELECT v FROM keyed") == [(2,)]
    write(writer, TableBatch(schema, deletes=[(row["n"], row["b"])]))
    assert ask(file, "SELECT v FROM keyed") == []


def test_hostile_names_arrive_exactly(writer: LaneWriter, file: Path) -> None:
    table, name = "a'b; DROP TABLE t-- %s ?", 'we"ird :x [c] `d`'
    schema = TableSchema("shop", table, (Column("id", "int", nullable=False), Column(name, "text")), ("id",))
    write(writer, inserts({"id": 1, name: "x"}, schema=schema))
    write(writer, updates({"id": 1, name: "'); DROP TABLE _cdc_progress; --"}, schema=schema))
    assert ask(file, f'SELECT * FROM "{table}"') == [(1, "'); DROP TABLE _cdc_progress; --")]


def test_a_key_under_nocase_is_refused(writer: LaneWriter, file: Path) -> None:
    ask(file, "CREATE TABLE keyed (k TEXT COLLATE NOCASE PRIMARY KEY, v INT)")
    schema = TableSchema("shop", "keyed", (Column("k", "varchar", length=9), Column("v", "int")), ("k",))
    writer.begin()
    with pytest.raises(TargetRefused, match="NOCASE"):
        writer.apply([inserts({"k": "a", "v": 1}, schema=schema)])
    writer.rollback()


def test_generated_columns_are_left_to_the_target(writer: LaneWriter, file: Path) -> None:
    ask(file, "CREATE TABLE sums (id INTEGER PRIMARY KEY, a INT UNIQUE, b INT GENERATED ALWAYS AS (a * 2) STORED)")
    columns = (Column("id", "int", nullable=False), Column("a", "int"), Column("b", "int"))
    schema = TableSchema("shop", "sums", columns, ("id",))
    write(writer, inserts({"id": 1, "a": 1, "b": 2}, {"id": 2, "a": 2, "b": 4}, schema=schema))
    write(writer, updates({"id": 1, "a": 2, "b": 4}, {"id": 2, "a": 1, "b": 2}, schema=schema))
    assert ask(file, "SELECT * FROM sums ORDER BY id") == [(1, 2, 4), (2, 1, 2)]


def test_a_table_made_in_a_transaction_that_was_rolled_back_is_made_again(writer: LaneWriter, file: Path) -> None:
    writer.begin()
    writer.apply([inserts(order(1))])
    writer.rollback()
    assert ask(file, "SELECT name FROM sqlite_master WHERE name = 'orders'") == []
    write(writer, inserts(order(2)))
    assert ask(file, "SELECT id FROM orders") == [(2,)]


def test_a_commit_is_durable_and_readers_do_not_wait(writer: LaneWriter, file: Path) -> None:
    """WAL: readers see the last commit while a writer is inside its transaction. FULL: a commit is on the disk."""
    write(writer, inserts(order(1)))
    writer.begin()
    writer.apply([inserts(order(2))])
    assert ask(file, "PRAGMA journal_mode") == [("wal",)]
    assert ask(file, "SELECT id FROM orders") == [(1,)]
    writer.rollback()
    connection = writer._connection()  # type: ignore[attr-defined]
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


_HOLDER = """
import sys
from cdc.model.config import SinkConfig
from cdc.target.registry import open_target
from tests.support.targets import inserts, order
writer = open_target("shop", "sink", SinkConfig(url=sys.argv[1])).writer(5.0)
writer.take_over("0", 6)
writer.begin()
writer.apply([inserts(order(66))])
print("inside", flush=True)
sys.stdin.read()
"""


def test_others_wait_for_a_holder_inside_its_transaction_until_it_dies(target: Target, file: Path) -> None:
    with subprocess.Popen(
        (sys.executable, "-c", _HOLDER, f"sqlite:///{file}"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "inside\n"
            holder.send_signal(signal.SIGSTOP)
            writer = target.writer(LEASE_SECONDS)
            with pytest.raises(TargetBusy):
                writer.take_over("0", 7)
        finally:
            holder.kill()
    writer.take_over("0", 7)
    write(writer, inserts(order(1)))
    writer.close()
    assert ask(file, "SELECT id FROM orders") == [(1,)]


_FULL = """
import resource, signal, sys
from cdc.model.config import SinkConfig
from cdc.model.errors import TargetUnavailable
from cdc.target.registry import open_target
from tests.support.targets import inserts, order, write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = open_target("shop", "sink", SinkConfig(url=sys.argv[1])).writer(5.0)
writer.take_over("0", 5)
write(writer, inserts(order(1)))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    write(writer, inserts(*(order(n, "x" * 40) for n in range(20_000))), savepoint=True)
except TargetUnavailable as error:
    print(error.hint)
writer.rollback()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
write(writer, inserts(order(2)))
writer.close()
"""


def test_a_full_disk_is_an_outage_and_nothing_of_the_transaction_stays(file: Path) -> None:
    """A limit on the file's size stands in for the disk's end: the same failed write(2)."""
    done = subprocess.run(
        (sys.executable, "-c", _FULL, f"sqlite:///{file}"), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    assert "make room" in done.stdout
    assert ask(file, "SELECT id FROM orders") == [(1,), (2,)]


def test_a_check_makes_nothing_and_says_what_is_wrong_with_the_place(
    target: Target, file: Path, tmp_path: Path
) -> None:
    assert problems(target, ORDERS) == {}
    assert list(tmp_path.iterdir()) == []
    nowhere = open_target("shop", "sink", SinkConfig(url=f"sqlite:///{tmp_path}/no/such/x.db"))
    with pytest.raises(TargetRefused, match="folder"):
        nowhere.inspect([ORDERS])
    with pytest.raises(TargetRefused):
        nowhere.writer(LEASE_SECONDS).take_over("0", 1)
    strict = open_target("shop", "sink", SinkConfig(url=f"sqlite:///{file}", create_tables=False))
    with pytest.raises(TargetRefused, match="orders"):
        strict.inspect([ORDERS])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_place_is_an_outage(target: Target, writer: LaneWriter, file: Path, tmp_path: Path) -> None:
    write(writer, inserts(order(1)))
    writer.close()
    file.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(TargetUnavailable):
            target.inspect([ORDERS])
        with pytest.raises(TargetUnavailable):
            target.writer(LEASE_SECONDS).take_over("0", 9)
    finally:
        tmp_path.chmod(0o700)


def test_a_file_that_is_no_database_is_refused(target: Target, file: Path) -> None:
    file.write_bytes(b"something else entirely, and long enough to be looked at" * 20)
    with pytest.raises(TargetRefused, match="NOTADB"):
        target.progress()
    with pytest.raises(TargetRefused):
        target.writer(LEASE_SECONDS).take_over("0", 1)


def test_a_value_beyond_the_column_is_refused_under_a_strict_table(writer: LaneWriter, file: Path) -> None:
    ask(file, "CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT CHECK (length(note) < 5), total INTEGER) STRICT")
    writer.begin()
    with pytest.raises(RowRefused, match="orders"):
        writer.apply([inserts(order(1, "too long"))])
    writer.rollback()
