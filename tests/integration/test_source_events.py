"""Events that servers write only when a session asks for them: each one is decided when it comes, not once at the start."""

from collections.abc import Iterator
from typing import Any

import pytest

from cdc.binlog.port import Begin, Rows
from tests.fixtures.servers import Database, connect
from tests.support.sources import collect, drafts, drain, execute, open_source, streaming, transactions

TABLE = "CREATE TABLE items (id int PRIMARY KEY, name varchar(2000), amount decimal(8,2))"


@pytest.fixture
def compressing(any_source_db: Database) -> Iterator[str]:
    """What makes a session's transactions compressed; MariaDB has it for the whole server only."""
    if any_source_db.server.kind == "mysql":
        yield "SET SESSION binlog_transaction_compression = ON"
        return
    with connect(any_source_db.server) as admin, admin.cursor() as cursor:
        cursor.execute("SET GLOBAL log_bin_compress_min_len = 10")
        cursor.execute("SET GLOBAL log_bin_compress = ON")
        try:
            yield "DO 1"
        finally:
            cursor.execute("SET GLOBAL log_bin_compress = OFF")


def ids(items: list[Any]) -> list[object]:
    return [draft.key["id"] for draft in drafts(items)]


def places(items: list[Any]) -> list[tuple[int, int]]:
    """(offset, row) of each change: what its sequence is made of."""
    return [
        (item.offset, item.first_row + n) for item in items if isinstance(item, Rows) for n in range(len(item.drafts))
    ]


def test_compressed_transactions_come_like_all_others(any_source_db: Database, compressing: str) -> None:
    execute(any_source_db, TABLE)
    source = open_source(any_source_db)
    start = str(source.end().position)
    with any_source_db.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO items VALUES (1, 'plain', 0)")
        connection.commit()
        cursor.execute(compressing)
        cursor.execute("INSERT INTO items VALUES (2, REPEAT('a', 2000), 1), (3, REPEAT('b', 2000), 2)")
        cursor.execute("UPDATE items SET name = REPEAT('c', 1999) WHERE id = 2")
        cursor.execute("UPDATE items SET id = 9 WHERE id = 3")
        cursor.execute("DELETE FROM items WHERE id = 1")
        connection.commit()
    execute(any_source_db, "INSERT INTO items VALUES (5, 'after', 0)")
    with streaming(source, start) as stream:
        groups = transactions(stream, 3)
    assert [[(draft.op, draft.key["id"]) for draft in drafts(group)] for group in groups] == [
        [("c", 1)],
        [("c", 2), ("c", 3), ("u", 2), ("d", 3), ("c", 9), ("d", 1)],
        [("c", 5)],
    ]
    changed = drafts(groups[1])[2]
    assert changed.before is not None
    assert changed.after == {"id": 2, "name": "c" * 1999, "amount": "1.00"}
    assert changed.before["name"] == "a" * 2000
    at = places(groups[1])
    assert at == sorted(set(at)), "each change has a place of its own, in order"


def test_reading_a_compressed_transaction_twice_gives_the_same_places(
    any_source_db: Database, compressing: str
) -> None:
    execute(any_source_db, TABLE)
    source = open_source(any_source_db)
    start = str(source.end().position)
    rows = ", ".join(f"({n}, REPEAT('x', 500), {n})" for n in range(500))
    execute(any_source_db, compressing, f"INSERT INTO items VALUES {rows}", "UPDATE items SET amount = amount + 1")
    with streaming(source, start) as stream:
        first = transactions(stream, 2)
    again = open_source(any_source_db)
    with streaming(again, start) as stream:
        second = transactions(stream, 2)
    assert [places(group) for group in first] == [places(group) for group in second]
    assert [drafts(group) for group in first] == [drafts(group) for group in second]
    # The end of the first transaction is a boundary from which the second one is read whole.
    with streaming(open_source(any_source_db), str(first[0][-1].point.position)) as stream:
        (rest,) = transactions(stream, 1)
    assert places(rest) == places(first[1])


def test_compressed_statements_are_judged_like_plain_ones(mariadb_db: Database) -> None:
    with connect(mariadb_db.server) as admin, admin.cursor() as cursor:
        cursor.execute("SET GLOBAL log_bin_compress_min_len = 10")
        cursor.execute("SET GLOBAL log_bin_compress = ON")
        try:
            execute(mariadb_db, TABLE, "INSERT INTO items VALUES (1, 'a', 0)")
            source = open_source(mariadb_db)
            with streaming(source) as stream:
                execute(mariadb_db, "TRUNCATE TABLE items", "INSERT INTO items VALUES (2, 'b', 0)")
                emptied, filled = transactions(stream, 2)
        finally:
            cursor.execute("SET GLOBAL log_bin_compress = OFF")
    assert [type(item).__name__ for item in emptied] == ["Begin", "Truncated", "End"]
    assert ids(filled) == [2]


def prepare(database: Database, xid: str, *statements: str) -> None:
    execute(database, f"XA START '{xid}'", *statements, f"XA END '{xid}'", f"XA PREPARE '{xid}'")


def test_the_rows_of_an_xa_transaction_count_when_it_commits(any_source_db: Database) -> None:
    execute(any_source_db, TABLE, "CREATE TABLE loose (id int)")
    source = open_source(any_source_db, f"{any_source_db.dbname}.items")
    with streaming(source) as stream:
        prepare(
            any_source_db, "a", "INSERT INTO items VALUES (1, 'xa', 0), (2, 'xa', 0)", "INSERT INTO loose VALUES (1)"
        )
        execute(any_source_db, "INSERT INTO items VALUES (3, 'between', 0)")
        prepare(any_source_db, "gone", "INSERT INTO items VALUES (4, 'rolled back', 0)")
        prepare(any_source_db, "other", "INSERT INTO loose VALUES (2)")
        execute(any_source_db, "XA ROLLBACK 'gone'", "FLUSH BINARY LOGS", "XA COMMIT 'other'", "XA COMMIT 'a'")
        execute(any_source_db, "INSERT INTO items VALUES (5, 'after', 0)")
        between, committed, after = transactions(stream, 3)
    assert [ids(between), ids(committed), ids(after)] == [[3], [1, 2], [5]]
    assert isinstance(committed[0], Begin)
    start = committed[0].transaction.point
    assert start.offset < places(committed)[0][0] < committed[-1].point.offset


def test_an_xa_transaction_of_one_phase_and_a_compressed_one(any_source_db: Database, compressing: str) -> None:
    execute(any_source_db, TABLE)
    source = open_source(any_source_db)
    with streaming(source) as stream:
        execute(
            any_source_db,
            "XA START 'one'",
            "INSERT INTO items VALUES (1, 'xa', 0)",
            "XA END 'one'",
            "XA COMMIT 'one' ONE PHASE",
        )
        execute(
            any_source_db,
            compressing,
            "XA START 'two'",
            "INSERT INTO items VALUES (2, REPEAT('x', 900), 0)",
            "UPDATE items SET amount = 7 WHERE id = 1",
            "XA END 'two'",
            "XA PREPARE 'two'",
            "XA COMMIT 'two'",
        )
        one, two = transactions(stream, 2)
        assert drain(stream, source) == []
    assert ids(one) == [1]
    assert [(draft.op, draft.key["id"]) for draft in drafts(two)] == [("c", 2), ("u", 1)]


def test_an_xa_commit_is_found_whole_by_who_begins_between_prepare_and_commit(any_source_db: Database) -> None:
    execute(any_source_db, TABLE)
    prepare(any_source_db, "far", "INSERT INTO items VALUES (1, 'xa', 0)")
    execute(any_source_db, "FLUSH BINARY LOGS", "INSERT INTO items VALUES (2, 'later', 0)")
    source = open_source(any_source_db)
    start = str(source.end().position)
    execute(any_source_db, "XA COMMIT 'far'")
    with streaming(source, start) as stream:
        (committed,) = transactions(stream, 1)
    again = open_source(any_source_db)
    with streaming(again, start) as stream:
        (second,) = transactions(stream, 1)
    assert ids(committed) == [1]
    assert places(committed) == places(second)


def test_a_tagged_gtid_is_one_like_any_other(mysql_db: Database) -> None:
    execute(mysql_db, TABLE)
    source = open_source(mysql_db)
    before = source.end().gtid_set
    with streaming(source) as stream:
        execute(
            mysql_db,
            "SET gtid_next = 'AUTOMATIC:lockstep_test'",
            "INSERT INTO items VALUES (1, 'tagged', 0)",
            "INSERT INTO items VALUES (2, 'tagged', 0)",
        )
        first, second = transactions(stream, 2)
        told = source._server.executed()
    assert isinstance(first[0], Begin)
    gtid = first[0].transaction.gtid
    assert gtid is not None
    assert ":lockstep_test:" in gtid
    assert second[-1].point.gtid_set == "".join(told.split()).lower()
    # Reading can begin behind a set with tags.
    behind = first[-1].point.gtid_set
    assert behind != before
    with streaming(open_source(mysql_db), behind) as stream:
        (rest,) = transactions(stream, 1)
    assert ids(rest) == [2]


def test_the_statement_comes_along_where_it_is_asked_for(any_source_db: Database) -> None:
    execute(any_source_db, TABLE)
    mysql = any_source_db.server.kind == "mysql"
    setting = "binlog_rows_query_log_events" if mysql else "binlog_annotate_row_events"
    source, silent = open_source(any_source_db, include_query=True), open_source(any_source_db)
    start = str(source.end().position)
    text = "INSERT INTO items VALUES (1, 'é', 0) /* who */"
    execute(any_source_db, f"SET SESSION {setting} = ON", text, f"SET SESSION {setting} = OFF", "DELETE FROM items")
    with streaming(source, start) as stream:
        items = collect(stream, lambda found: sum(isinstance(item, Rows) for item in found) == 2)
    assert [item.query for item in items if isinstance(item, Rows)] == [text, None]
    with streaming(silent, start) as stream:
        items = collect(stream, lambda found: sum(isinstance(item, Rows) for item in found) == 2)
    assert [item.query for item in items if isinstance(item, Rows)] == [None, None]
