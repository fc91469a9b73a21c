"""The MySQL and MariaDB target beyond the contract: values at their edges, unique indexes, locks, rights, limits."""

import threading
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from cdc.model.batch import TableBatch
from cdc.model.config import SinkConfig
from cdc.model.errors import CdcError, RowRefused, TargetBusy, TargetRefused, TargetUnavailable
from cdc.model.schema import Column, TableSchema
from cdc.target.mysql_session import Session
from cdc.target.port import LaneWriter, Target
from cdc.target.registry import open_target
from tests.fixtures.servers import Database, connect
from tests.support.targets import inserts, letter, moved, order, problems, updates, write
from tests.support.wait import until

LEASE_SECONDS = 2.0
TEXT = {"charset": "utf8mb4", "collation": "utf8mb4_general_ci"}


@pytest.fixture
def db(any_source_db: Database) -> Database:
    return any_source_db


@pytest.fixture
def target(db: Database) -> Iterator[Target]:
    opened = open_target("shop", "sink", SinkConfig(url=db.url))
    yield opened
    opened.close()


@pytest.fixture
def writer(target: Target) -> Iterator[LaneWriter]:
    opened = target.writer(LEASE_SECONDS)
    opened.take_over("0", 5)
    yield opened
    opened.close()


@pytest.fixture
def other(target: Target) -> Iterator[LaneWriter]:
    """A writer that has taken over lane 1. Closed before the database goes, which would wait for its transaction."""
    opened = target.writer(LEASE_SECONDS)
    opened.take_over("1", 1)
    yield opened
    opened.close()


def ask(db: Database, sql: str) -> list[tuple[Any, ...]]:
    with db.connect(init_command="SET time_zone = '+00:00'") as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def schema_of(*columns: Column, table: str = "edges") -> TableSchema:
    return TableSchema("shop", table, (Column("id", "int", nullable=False), *columns), ("id",))


# Values.

EDGES: list[tuple[Column, list[Any], str]] = [
    (Column("c", "bigint", unsigned=True), [0, 18446744073709551615], "c"),
    (Column("c", "bigint"), [-9223372036854775808, 9223372036854775807], "c"),
    (Column("c", "bit", length=64), [0, 18446744073709551615], "CAST(c AS UNSIGNED)"),
    (Column("c", "decimal", precision=65, scale=30), ["-" + "9" * 35 + "." + "9" * 30], "CAST(c AS CHAR)"),
    (Column("c", "double"), [1.7976931348623157e308, 5e-324, 0.1, -0.0], "c"),
    (Column("c", "year"), [0, 1901, 2155], "c"),
    (Column("c", "date"), ["0000-00-00", "2024-02-31", "2024-00-10", "9999-12-31"], "CAST(c AS CHAR)"),
    (Column("c", "time", scale=6), ["-838:59:59.000000", "00:00:00.000001"], "CAST(c AS CHAR)"),
    (Column("c", "char", length=20, **TEXT), ["", "it's \\ 100% %s", "😀\n\t\0"], "c"),
    (Column("c", "enum", members=("a", "b,c"), **TEXT), ["b,c"], "c"),
    (Column("c", "set", members=("a", "b"), **TEXT), ["", "a,b"], "c"),
]


@pytest.mark.parametrize(("column", "values", "read"), EDGES, ids=lambda part: getattr(part, "type", None))
def test_values_at_the_edges_of_their_types_arrive_as_they_are(
    writer: LaneWriter, db: Database, column: Column, values: list[Any], read: str
) -> None:
    schema = schema_of(column)
    rows = [{"id": number, "c": value} for number, value in enumerate([None, *values])]
    write(writer, inserts(*rows, schema=schema))
    assert ask(db, f"SELECT id, {read} FROM edges ORDER BY id") == [(row["id"], row["c"]) for row in rows]
    # Once more as updates of that one column only, which take another statement.
    write(writer, updates(*({"id": row["id"], "c": None} for row in rows), schema=schema))
    wide = schema_of(column, Column("d", "int"), table="wide")
    write(writer, inserts(*({**row, "c": None, "d": 1} for row in rows), schema=wide))
    write(writer, updates(*rows, schema=wide))
    assert ask(db, f"SELECT id, {read}, d FROM wide ORDER BY id") == [(row["id"], row["c"], 1) for row in rows]


@pytest.mark.parametrize("type_", ["datetime", "timestamp"])
def test_times_arrive_to_the_microsecond_zero_and_invalid_ones_too(
    writer: LaneWriter, db: Database, type_: str
) -> None:
    zone = "Z" if type_ == "timestamp" else ""
    texts = ["2024-03-31T02:30:00.123456", "0000-00-00T00:00:00.000000"]
    texts += [] if zone else ["2024-02-31T10:00:00.000000", "2024-00-00T00:00:00.000000"]
    rows = [{"id": number, "c": text + zone} for number, text in enumerate(texts)]
    write(writer, inserts(*rows, schema=schema_of(Column("c", type_, scale=6))))
    found = ask(db, "SELECT CAST(c AS CHAR) FROM edges ORDER BY id")
    assert [text for (text,) in found] == [text.replace("T", " ") for text in texts]


def test_bytes_and_documents_arrive(writer: LaneWriter, db: Database) -> None:
    every = bytes(range(256))
    schema = schema_of(
        Column("b", "blob"), Column("f", "binary", length=4), Column("v", "varbinary", length=300), Column("j", "json")
    )
    encoded = b64encode(every).decode()
    row = {"id": 1, "b": encoded, "f": b64encode(b"a\0b\0").decode(), "v": encoded, "j": '{"ü": [1, "\\"x\\\\"]}'}
    write(writer, inserts({"id": 1, "b": "", "f": None, "v": None, "j": None}, schema=schema))
    write(writer, updates(row, schema=schema))
    assert ask(db, "SELECT b, f, v, JSON_EXTRACT(j, '$.\"ü\"[1]') FROM edges") == [
        (every, b"a\0b\0", every, '"\\"x\\\\"')
    ]
    write(writer, updates({"id": 1, "v": "", "j": "[]"}, schema=schema))
    assert ask(db, "SELECT b, v, CAST(j AS CHAR) FROM edges") == [(every, b"", "[]")]


@pytest.mark.parametrize(
    ("column", "keys"),
    [
        (
            Column("k", "decimal", precision=30, scale=10),
            ["12345678901234567890.0000000001", "12345678901234567890.0000000002"],
        ),
        (Column("k", "datetime", scale=6), ["2024-01-01T00:00:00.000001", "2024-01-01T00:00:00.000002"]),
        (Column("k", "varbinary", length=8), [b64encode(b"'\xff\0").decode(), b64encode(b"'\xff").decode()]),
        (Column("k", "varchar", length=20, charset="utf8mb4", collation="utf8mb4_bin"), ["it's \\", "IT'S \\"]),
        (Column("k", "bigint", unsigned=True), [18446744073709551615, 18446744073709551614]),
        (Column("k", "enum", members=("x", "y"), **TEXT), ["x", "y"]),
        (Column("k", "bit", length=10), [1, 1023]),
    ],
    ids=lambda part: getattr(part, "type", None),
)
def test_rows_are_found_again_by_keys_of_any_type(
    writer: LaneWriter, db: Database, column: Column, keys: list[Any]
) -> None:
    schema = TableSchema("shop", "keyed", (column, Column("v", "int")), ("k",))
    first, second = keys
    write(writer, inserts({"k": first, "v": 1}, {"k": second, "v": 2}, schema=schema))
    write(writer, updates({"k": first, "v": 3}, schema=schema))
    write(writer, inserts({"k": second, "v": 4}, schema=schema))
    assert sorted(v for (v,) in ask(db, "SELECT v FROM keyed")) == [3, 4]
    write(writer, TableBatch(schema, deletes=[(first,)]))
    assert ask(db, "SELECT v FROM keyed") == [(4,)]


def test_hostile_names_and_values_arrive_exactly(writer: LaneWriter, db: Database) -> None:
    table = "a\"b'c; DROP TABLE t-- %s"
    name = "we\\ird %(x)s 'col'"
    schema = TableSchema("shop", table, (Column("id", "int", nullable=False), Column(name, "text", **TEXT)), ("id",))
    hostile = "'); DROP TABLE `_cdc_progress`; -- \\' %s"
    write(writer, inserts({"id": 1, name: "x"}, {"id": 2, name: hostile}, schema=schema))
    write(writer, updates({"id": 1, name: hostile}, schema=schema))
    assert ask(db, f"SELECT * FROM `{table}`") == [(1, hostile), (2, hostile)]


# Unique indexes and foreign keys.


def _pets(db: Database) -> TableSchema:
    ask(db, "CREATE TABLE pets (id INT PRIMARY KEY, tag INT NOT NULL UNIQUE, ours INT DEFAULT 3)")
    return TableSchema("shop", "pets", (Column("id", "int", nullable=False), Column("tag", "int")), ("id",))


def test_an_upsert_never_changes_the_row_that_holds_the_unique_value(writer: LaneWriter, db: Database) -> None:
    schema = _pets(db)
    write(writer, inserts({"id": 1, "tag": 10}, {"id": 2, "tag": 20}, schema=schema))
    for batch in (
        inserts({"id": 3, "tag": 10}, schema=schema),
        updates({"id": 2, "tag": 10}, schema=schema),
        inserts({"id": 2, "tag": 10}, {"id": 4, "tag": 40}, schema=schema),
    ):
        for tolerant in (False, True):
            writer.begin()
            with pytest.raises(RowRefused, match="Duplicate entry for key"):
                writer.apply([batch], tolerant=tolerant)
            writer.rollback()
    assert ask(db, "SELECT id, tag FROM pets ORDER BY id") == [(1, 10), (2, 20)]


def test_a_replay_over_rows_that_are_there_and_rows_that_are_not_goes_by_the_primary_key(
    writer: LaneWriter, db: Database
) -> None:
    schema = _pets(db)
    write(writer, inserts(*({"id": n, "tag": n} for n in range(0, 600, 2)), schema=schema))
    ask(db, "UPDATE pets SET ours = 9")
    batch = inserts(*({"id": n, "tag": n + 1000} for n in range(600)), schema=schema)
    write(writer, batch)
    write(writer, TableBatch(schema, updates=batch.inserts), tolerant=True)
    expected = [(n, n + 1000, 3 if n % 2 else 9) for n in range(600)]
    assert ask(db, "SELECT * FROM pets ORDER BY id") == expected


def test_a_swap_of_unique_values_leaves_the_rows_that_refer_to_them(writer: LaneWriter, db: Database) -> None:
    """Taking the rows out and putting them back must not cascade."""
    schema = _pets(db)
    write(writer, inserts({"id": 1, "tag": 10}, {"id": 2, "tag": 20}, schema=schema))
    ask(db, "CREATE TABLE toys (id INT PRIMARY KEY, pet INT, FOREIGN KEY (pet) REFERENCES pets (id) ON DELETE CASCADE)")
    ask(db, "INSERT INTO toys VALUES (7, 1), (8, 2)")
    write(writer, updates({"id": 1, "tag": 20}, {"id": 2, "tag": 10}, schema=schema))
    assert ask(db, "SELECT id, tag FROM pets ORDER BY id") == [(1, 20), (2, 10)]
    assert ask(db, "SELECT * FROM toys ORDER BY id") == [(7, 1), (8, 2)]
    # And foreign keys are looked at again.
    toys = TableSchema("shop", "toys", (Column("id", "int", nullable=False), Column("pet", "int")), ("id",))
    writer.begin()
    with pytest.raises(RowRefused, match="1452"):
        writer.apply([inserts({"id": 9, "pet": 77}, schema=toys)])
    writer.rollback()


def test_generated_columns_are_left_to_the_target(writer: LaneWriter, db: Database) -> None:
    ask(db, "CREATE TABLE sums (id INT PRIMARY KEY, a INT UNIQUE, b INT GENERATED ALWAYS AS (a * 2) STORED)")
    schema = TableSchema(
        "shop", "sums", (Column("id", "int", nullable=False), Column("a", "int"), Column("b", "int")), ("id",)
    )
    write(writer, inserts({"id": 1, "a": 1, "b": 2}, {"id": 2, "a": 2, "b": 4}, schema=schema))
    write(writer, updates({"id": 1, "a": 2, "b": 4}, {"id": 2, "a": 1, "b": 2}, schema=schema))
    assert ask(db, "SELECT * FROM sums ORDER BY id") == [(1, 2, 4), (2, 1, 2)]


# Locks and sessions.


def test_lanes_do_not_wait_for_each_others_rows_even_in_a_small_table(
    other: LaneWriter, writer: LaneWriter, db: Database
) -> None:
    """The optimizer would read it from end to end, and lock what it reads."""
    write(writer, inserts(*(order(number) for number in range(40))))
    ask(db, "ANALYZE TABLE orders")
    first, second = writer.begin(), other.begin()
    writer.apply([TableBatch(inserts().schema, deletes=[(0,), (39,)], updates=[order(1, "a"), order(38, "a")])])
    other.apply(
        [
            TableBatch(
                inserts().schema,
                deletes=[(number,) for number in range(2, 20)],
                updates=[order(number, "b") for number in range(20, 37)] + [{"id": 37, "total": 5}],
                inserts=[order(50, "b")],
            )
        ]
    )
    other.commit(moved(second, 1))
    writer.commit(moved(first, 1))
    assert len(ask(db, "SELECT id FROM orders")) == 40 - 2 - 18 + 1


def test_a_deadlock_is_busy_and_the_writer_works_on(writer: LaneWriter, other: LaneWriter, db: Database) -> None:
    write(writer, inserts(order(1), order(2)))
    writer.begin()
    other.begin()
    writer.apply([updates(order(1, "a"))], savepoint=True)
    other.apply([updates(order(2, "b"))], savepoint=True)
    seen: list[CdcError] = []

    def go_on(one: LaneWriter, number: int) -> None:
        try:
            one.apply([updates(order(number, "x"))], savepoint=True)
        except CdcError as error:
            seen.append(error)
            one.rollback()

    thread = threading.Thread(target=go_on, args=(other, 1))
    thread.start()
    go_on(writer, 2)
    thread.join(30)
    assert [type(error) for error in seen] == [TargetBusy]
    writer.rollback()
    other.rollback()
    write(writer, updates(order(1, "y")))
    write(other, updates(order(1, "z")))
    assert ask(db, "SELECT note FROM orders WHERE id = 1") == [("z",)]


def test_only_the_connection_that_holds_the_name_is_ended(db: Database) -> None:
    config = SinkConfig(url=db.url)
    first, second = Session(config, LEASE_SECONDS), Session(config, LEASE_SECONDS)
    try:
        assert not second.end_session("")
        assert not second.end_session(second.name)
        assert not second.end_session("lockstep-of-nobody")
        assert first.rows("SELECT 1") == ((1,),)
        assert second.end_session(first.name)
        with pytest.raises(pymysql.err.MySQLError):
            first.rows("SELECT 1")
        until(
            lambda: second.rows("SELECT IS_USED_LOCK(%(n)s)", {"n": first.name}) == ((None,),), 5, "the name to be free"
        )
        assert not second.end_session(first.name)
    finally:
        first.close()
        second.close()


def test_a_connection_that_was_ended_is_an_outage_and_a_new_writer_goes_on(
    target: Target, writer: LaneWriter, db: Database
) -> None:
    write(writer, inserts(order(1)))
    writer.begin()
    writer.apply([inserts(order(2))])
    ((name,),) = ask(db, "SELECT session FROM _cdc_progress")
    ((connection_id,),) = ask(db, f"SELECT IS_USED_LOCK('{name}')")
    ask(db, f"KILL {connection_id}")
    with pytest.raises(TargetUnavailable):
        writer.apply([inserts(order(3))], savepoint=True)
    writer.rollback()
    writer.close()
    fresh = target.writer(LEASE_SECONDS)
    fresh.take_over("0", 6)
    write(fresh, inserts(order(4)))
    fresh.close()
    assert ask(db, "SELECT id FROM orders ORDER BY id") == [(1,), (4,)]


def test_making_a_table_does_not_commit_what_is_open(writer: LaneWriter, db: Database, target: Target) -> None:
    write(writer, inserts(order(1)))
    other = TableSchema("shop", "other", inserts().schema.columns, ("id",))
    writer.begin()
    writer.apply([inserts(order(2))])
    writer.apply([inserts(order(1), schema=other)])
    writer.rollback()
    assert ask(db, "SELECT id FROM orders") == [(1,)]
    assert ask(db, "SELECT id FROM other") == []
    assert target.progress()["0"].count == 1


def test_truncate_takes_as_many_statements_as_it_needs(writer: LaneWriter, db: Database) -> None:
    write(writer, inserts(*(order(number) for number in range(45_000))))
    progress = writer.begin()
    writer.truncate("shop", "orders")
    writer.commit(moved(progress, 2))
    assert ask(db, "SELECT COUNT(*) FROM orders") == [(0,)]


# Limits, rights, findings.


def test_a_row_beyond_max_allowed_packet_is_refused_and_the_connection_lives(
    writer: LaneWriter, target: Target, db: Database
) -> None:
    schema = schema_of(Column("c", "longtext", **TEXT))
    ((usual,),) = ask(db, "SELECT @@global.max_allowed_packet")
    ask(db, "SET GLOBAL max_allowed_packet = 1048576")
    try:
        small = target.writer(LEASE_SECONDS)
        small.take_over("1", 1)
        rows = [{"id": number, "c": "x" * 400_000} for number in range(5)]
        write(small, inserts(*rows, schema=schema))
        progress = small.begin()
        with pytest.raises(RowRefused, match=r"edges, key id=9: .*max_allowed_packet"):
            small.apply([inserts({"id": 9, "c": "x" * 1_048_576}, schema=schema)], savepoint=True)
        small.commit(moved(progress, 2))
        small.close()
    finally:
        ask(db, f"SET GLOBAL max_allowed_packet = {usual}")
    assert ask(db, "SELECT id, LENGTH(c) FROM edges ORDER BY id") == [(number, 400_000) for number in range(5)]


@pytest.mark.parametrize(
    ("column", "value", "number"),
    [
        (Column("c", "tinyint"), 128, 1264),
        (Column("c", "varchar", length=3, **TEXT), "four", 1406),
        (Column("c", "enum", members=("a",), **TEXT), "b", 1265),
        (Column("c", "json"), "{", 3140),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_never_cut(
    writer: LaneWriter, db: Database, column: Column, value: Any, number: int
) -> None:
    schema = schema_of(column)
    writer.begin()
    with pytest.raises(RowRefused) as caught:
        writer.apply([inserts({"id": 1, "c": value}, schema=schema)])
    writer.rollback()
    # MariaDB's JSON is text with a CHECK.
    assert f"(error {number})" in str(caught.value) or "(error 4025)" in str(caught.value)
    assert ask(db, "SELECT * FROM edges") == []


def _user(db: Database, rights: str) -> SinkConfig:
    """A user of the test's own with these rights on its database."""
    name = f"u_{db.dbname}"
    with connect(db.server) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP USER IF EXISTS {name}@'%'")
        cursor.execute(f"CREATE USER {name}@'%' IDENTIFIED BY 'canary-pw'")
        if rights:
            cursor.execute(f"GRANT {rights} ON {db.dbname}.* TO {name}@'%'")
    address = db.url.rpartition("@")[2]
    return SinkConfig(url=f"mysql://{name}:canary-pw@{address}")


def test_a_user_without_the_right_to_create_uses_tables_that_are_there(writer: LaneWriter, db: Database) -> None:
    write(writer, inserts(order(1)))
    target = open_target("shop", "sink", _user(db, "SELECT, INSERT, UPDATE, DELETE"))
    assert problems(target, inserts().schema) == {}
    poor = target.writer(LEASE_SECONDS)
    poor.take_over("1", 1)
    write(poor, inserts(order(2)), updates(order(1, "x")))
    poor.begin()
    poor.park([letter(1)])
    poor.rollback()
    other = TableSchema("shop", "other", inserts().schema.columns, ("id",))
    poor.begin()
    with pytest.raises(TargetRefused) as caught:
        poor.apply([inserts(order(1), schema=other)])
    assert "CREATE" in caught.value.hint
    poor.rollback()
    poor.close()


def test_a_missing_right_is_found_by_the_check(writer: LaneWriter, db: Database) -> None:
    write(writer, inserts(order(1)))
    for rights in ("SELECT, INSERT, UPDATE", "SELECT, INSERT, DELETE", "SELECT, UPDATE, DELETE"):
        target = open_target("shop", "sink", _user(db, rights))
        with pytest.raises(TargetRefused) as caught:
            target.inspect([inserts().schema])
        assert "grant" in caught.value.hint
    assert ask(db, "SELECT id FROM orders") == [(1,)]


def test_a_holder_of_another_user_cannot_be_ended_and_that_is_said(writer: LaneWriter, db: Database) -> None:
    progress = writer.begin()
    rival = open_target("shop", "sink", _user(db, "SELECT, INSERT, UPDATE, DELETE")).writer(1.0)
    with pytest.raises(TargetBusy, match="another user") as caught:
        rival.take_over("0", 6)
    assert "KILL" in caught.value.hint
    rival.close()
    writer.commit(moved(progress, 1))


def test_wrong_passwords_hosts_and_databases_are_told_apart_without_a_secret(db: Database) -> None:
    good = _user(db, "ALL").url.get_secret_value()
    for url, expected in (
        (good.replace("canary-pw", "canary-no"), TargetRefused),
        (good.replace(f"/{db.dbname}", "/nothing_there"), TargetRefused),
        ("mysql://root:canary-pw@127.0.0.1:1/x", TargetUnavailable),
    ):
        target = open_target("shop", "sink", SinkConfig(url=url))
        with pytest.raises(expected) as caught:
            target.progress()
        assert "canary" not in f"{caught.value!r}{caught.value}"
    for url in (good.rpartition("/")[0], good + "?charset=latin1"):
        with pytest.raises(TargetRefused):
            open_target("shop", "sink", SinkConfig(url=url))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("id INT PRIMARY KEY, c VARCHAR(20)) ENGINE=MyISAM", "no transactions"),
        ("own INT PRIMARY KEY AUTO_INCREMENT, id INT NOT NULL UNIQUE, c VARCHAR(20))", "primary key"),
        ("id INT, c VARCHAR(20), PRIMARY KEY (id, c(3)))", "key"),
        ("id INT PRIMARY KEY)", "missing"),
    ],
)
def test_a_table_that_cannot_be_kept_in_step_is_a_finding_and_refused(
    target: Target, writer: LaneWriter, db: Database, table: str, problem: str
) -> None:
    ask(db, f"CREATE TABLE edges ({table}")
    schema = schema_of(Column("c", "varchar", length=20, **TEXT))
    found = problems(target, schema)["shop.edges"]
    assert any(problem in finding.problem for finding in found)
    writer.begin()
    with pytest.raises(TargetRefused, match=problem):
        writer.apply([inserts({"id": 1, "c": "x"}, schema=schema)])
    writer.rollback()


def test_a_key_that_the_target_would_fold_is_a_finding(target: Target, writer: LaneWriter, db: Database) -> None:
    column = Column("k", "varchar", length=20, nullable=False, charset="utf8mb4", collation="utf8mb4_bin")
    schema = TableSchema("shop", "folded", (column,), ("k",))
    ask(db, "CREATE TABLE folded (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY)")
    (finding,) = problems(target, schema)["shop.folded"]
    assert finding.column == "k"
    assert "utf8mb4_general_ci" in finding.problem
    # The one that the writer makes itself keeps them apart.
    own = TableSchema("shop", "kept", (column,), ("k",))
    write(writer, inserts({"k": "a"}, {"k": "A"}, schema=own))
    assert len(ask(db, "SELECT k FROM kept")) == 2


def test_a_check_makes_no_table(target: Target, db: Database) -> None:
    assert problems(target, inserts().schema) == {}
    assert ask(db, "SHOW TABLES") == []
