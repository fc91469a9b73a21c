"""The stream of a real server: what is committed there comes here, once, in order, at places that do not change."""

import itertools
import secrets
import time
from collections.abc import Sequence
from typing import Any

import pymysql
import pytest

from cdc.binlog.capture import Capture, CapturedTable
from cdc.binlog.port import Begin, End, Passed, Rows, Truncated
from cdc.model.change import Draft, Transaction
from cdc.model.errors import NotUnderstood, SourceRefused, SourceUnavailable, TableRefused
from cdc.model.schema import Column
from cdc.model.schema_change import AddColumn, DropColumn
from tests.fixtures.servers import Database
from tests.support.sources import (
    alterations,
    collect,
    drafts,
    drain,
    drain_for_ever,
    execute,
    idle,
    open_source,
    streaming,
    transactions,
    truncations,
)

TABLE = "CREATE TABLE items (id int PRIMARY KEY, name varchar(40), amount decimal(8,2))"


def transaction_of(group: list[Any]) -> Transaction:
    assert isinstance(group[0], Begin)
    return group[0].transaction


def test_everyday_transactions_come_in_commit_order(any_source_db: Database) -> None:
    execute(any_source_db, TABLE)
    source = open_source(any_source_db)
    with streaming(source) as stream:
        before_us = time.time() * 1e6
        with any_source_db.connect(autocommit=False) as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO items VALUES (1, 'a', 1.50), (2, 'b', NULL)")
            cursor.execute("UPDATE items SET amount = 2 WHERE id = 1")
            connection.commit()
            cursor.execute("UPDATE items SET id = 9 WHERE id = 2")
            cursor.execute("DELETE FROM items WHERE id = 1")
            connection.commit()
            cursor.execute("INSERT INTO items VALUES (3, 'rolled back', 0)")
            connection.rollback()
            cursor.execute("INSERT INTO items VALUES (4, 'é', -1)")
            connection.commit()
        first, second, third = transactions(stream, 3)
        identity = source.identity()
    assert [(d.op, d.key, d.before, d.after) for d in drafts(first)] == [
        ("c", {"id": 1}, None, {"id": 1, "name": "a", "amount": "1.50"}),
        ("c", {"id": 2}, None, {"id": 2, "name": "b", "amount": None}),
        (
            "u",
            {"id": 1},
            {"id": 1, "name": "a", "amount": "1.50"},
            {"id": 1, "name": "a", "amount": "2.00"},
        ),
    ]
    assert [(d.op, d.key) for d in drafts(second)] == [("d", {"id": 2}), ("c", {"id": 9}), ("d", {"id": 1})]
    assert [d.after for d in drafts(third)] == [{"id": 4, "name": "é", "amount": "-1.00"}]
    groups = (first, second, third)
    assert all(abs(transaction_of(group).commit_us - before_us) < 30e6 for group in groups)
    assert all(transaction_of(group).gtid for group in groups)
    assert transaction_of(first).point.source_id == identity
    for earlier, later in itertools.pairwise(groups):
        assert isinstance(earlier[-1], End)
        assert earlier[-1].point.offset <= transaction_of(later).point.offset


def test_reading_twice_gives_the_same_places_and_the_same_rows(any_source_db: Database) -> None:
    execute(any_source_db, TABLE)
    source = open_source(any_source_db)
    start = source.resolve("latest")
    execute(any_source_db, "INSERT INTO items SELECT seq, 'x', seq FROM (SELECT 1 seq UNION SELECT 2 UNION SELECT 3) s")
    execute(any_source_db, "FLUSH BINARY LOGS", "UPDATE items SET name = 'y'", "TRUNCATE TABLE items")
    readings = []
    for _ in range(2):
        stream = source.stream(start)
        readings.append(drain(stream, source))
        stream.close()
    source.close()
    assert readings[0] == readings[1]
    assert len(drafts(readings[0])) == 6
    assert len(truncations(readings[0])) == 1


def test_a_new_stream_at_any_boundary_goes_on_without_loss_or_repetition(any_source_db: Database) -> None:
    execute(any_source_db, TABLE)
    source = open_source(any_source_db)
    start = source.resolve("latest")
    for number in range(12):
        execute(any_source_db, f"INSERT INTO items VALUES ({number}, 'n', 0)")
        if number == 5:
            execute(any_source_db, "FLUSH BINARY LOGS")
    at, seen = start, []
    while len(seen) < 12:
        stream = source.stream(source.verify(at))
        for group in transactions(stream, 2):
            seen += [draft.key["id"] for draft in drafts(group)]
            end = group[-1]
            assert isinstance(end, End)
            at = end.point
        stream.close()
    assert seen == list(range(12))
    assert source.resolve(str(at.position)) == at
    assert at.gtid_set == source.resolve("latest").gtid_set
    source.close()


def test_the_gtid_set_is_the_servers_own(any_source_db: Database) -> None:
    execute(any_source_db, TABLE)
    source = open_source(any_source_db, f"{any_source_db.dbname}.items")
    with streaming(source) as stream:
        execute(
            any_source_db, "INSERT INTO items VALUES (1, 'a', 0)", "CREATE TABLE other (id int)", "DROP TABLE other"
        )
        passed = idle(stream, source)
        variable = "gtid_executed" if "mysql" in any_source_db.server.url.split(":")[0] else "gtid_binlog_pos"
        with any_source_db.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT @@global.{variable}")
            (executed,) = cursor.fetchone() or ("",)
        assert passed.point.gtid_set == "".join(executed.split())
        assert passed.point.position == source.end().position
        assert source.bytes_behind(passed.point.position) == 0


def test_only_captured_tables_come_and_projection_and_masks_hold(any_source_db: Database) -> None:
    db = any_source_db.dbname
    execute(
        any_source_db,
        TABLE,
        "CREATE TABLE secrets (id int PRIMARY KEY, mail varchar(40), pin int)",
        "CREATE TABLE log (x int)",
    )
    source = open_source(
        any_source_db,
        f"{db}.*",
        f"!{db}.log",
        exclude_columns=(f"{db}.secrets.pin",),
        mask_columns=(f"{db}.*.mail",),
        mask_salt="salt",
    )
    with streaming(source) as stream:
        execute(
            any_source_db,
            "INSERT INTO log VALUES (1)",
            "INSERT INTO secrets VALUES (1, 'me@example.org', 1234)",
            "INSERT INTO log VALUES (2)",
        )
        (group,) = transactions(stream, 1)
        rows = [item for item in group if isinstance(item, Rows)]
    assert [schema.name for row in rows for schema in row.new_schemas] == [f"{db}.secrets"]
    (draft,) = drafts(group)
    assert draft.after is not None
    assert set(draft.after) == {"id", "mail"}
    assert draft.after["mail"] != "me@example.org"
    assert len(str(draft.after["mail"])) == 64


def test_a_schema_is_announced_once_for_each_version(any_source_db: Database) -> None:
    execute(any_source_db, TABLE)
    source = open_source(any_source_db, destructive_changes="apply")
    with streaming(source) as stream:
        execute(
            any_source_db,
            "INSERT INTO items VALUES (1, 'a', 0)",
            "INSERT INTO items VALUES (2, 'a', 0)",
            "ALTER TABLE items ADD COLUMN extra int",
            "INSERT INTO items VALUES (3, 'a', 0, 7)",
            "ALTER TABLE items DROP COLUMN extra",
            "INSERT INTO items VALUES (4, 'a', 0)",
        )
        groups = transactions(stream, 6)
    counts = [sum(len(item.new_schemas) for item in group if isinstance(item, Rows)) for group in groups]
    assert counts == [1, 0, 0, 1, 0, 0]
    assert drafts(groups[3])[0].after == {"id": 3, "name": "a", "amount": "0.00", "extra": 7}
    (added,), (dropped,) = alterations(groups[2]), alterations(groups[4])
    assert added.steps == (AddColumn(Column("extra", "int"), None, "amount"),)
    assert dropped.steps == (DropColumn("extra"),)
    published = [schema for item in groups[3] if isinstance(item, Rows) for schema in item.new_schemas]
    assert published == [added.schema], "what the statement was understood to make is what the rows come with"


@pytest.mark.parametrize("metadata", ["MINIMAL", "NO_LOG"])
def test_without_metadata_names_and_types_come_from_the_schema_history(any_source_db: Database, metadata: str) -> None:
    if metadata == "NO_LOG" and any_source_db.server.kind == "mysql":
        pytest.skip("MySQL has MINIMAL and FULL")
    execute(any_source_db, TABLE)
    source = open_source(any_source_db, destructive_changes="apply")
    with any_source_db.connect() as admin, admin.cursor() as cursor:
        cursor.execute(f"SET GLOBAL binlog_row_metadata = '{metadata}'")
        try:
            with streaming(source) as stream:
                execute(
                    any_source_db,
                    "INSERT INTO items VALUES (1, 'é', 1)",
                    "ALTER TABLE items ADD COLUMN n bigint unsigned FIRST, RENAME COLUMN name TO title",
                    "INSERT INTO items VALUES (18446744073709551615, 2, 'b', 1)",
                    "CREATE TABLE more (k enum('x', 'y') PRIMARY KEY)",
                    "INSERT INTO more VALUES ('y')",
                )
                groups = transactions(stream, 5)
        finally:
            cursor.execute("SET GLOBAL binlog_row_metadata = 'FULL'")
    assert [draft.after for draft in drafts([item for group in groups for item in group])] == [
        {"id": 1, "name": "é", "amount": "1.00"},
        {"n": 18446744073709551615, "id": 2, "title": "b", "amount": "1.00"},
        {"k": "y"},
    ]


def test_truncate_comes_in_its_place(any_source_db: Database) -> None:
    execute(any_source_db, TABLE)
    source = open_source(any_source_db)
    with streaming(source) as stream:
        execute(
            any_source_db,
            "INSERT INTO items VALUES (1, 'a', 0)",
            "truncate items",
            f"/* x */ TRUNCATE TABLE `{any_source_db.dbname}`.`items`",
            "INSERT INTO items VALUES (1, 'b', 0)",
        )
        groups = transactions(stream, 4)
    assert [[type(item) for item in group] for group in groups] == [
        [Begin, Rows, End],
        [Begin, Truncated, End],
        [Begin, Truncated, End],
        [Begin, Rows, End],
    ]


def test_savepoints_create_select_and_tables_without_transactions(any_source_db: Database) -> None:
    engine = "CREATE TABLE plain (id int PRIMARY KEY) ENGINE=MyISAM"
    execute(any_source_db, TABLE, engine)
    source = open_source(any_source_db)
    with streaming(source) as stream:
        with any_source_db.connect(autocommit=False) as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO items VALUES (1, 'a', 0)")
            cursor.execute("SAVEPOINT s")
            cursor.execute("INSERT INTO items VALUES (2, 'b', 0)")
            cursor.execute("ROLLBACK TO SAVEPOINT s")
            cursor.execute("INSERT INTO items VALUES (3, 'c', 0)")
            connection.commit()
        execute(
            any_source_db, "INSERT INTO plain VALUES (7)", "CREATE TABLE copied (PRIMARY KEY (id)) SELECT * FROM items"
        )
        groups = transactions(stream, 3)
    assert [[draft.key["id"] for draft in drafts(group)] for group in groups] == [[1, 3], [7], [1, 3]]


def test_rows_larger_than_a_packet(any_source_db: Database) -> None:
    execute(any_source_db, "CREATE TABLE big (id int PRIMARY KEY, body longtext CHARACTER SET latin1)")
    source = open_source(any_source_db)
    with streaming(source) as stream, any_source_db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@global.max_allowed_packet")
        (limit,) = cursor.fetchone() or (0,)
        cursor.execute("SET GLOBAL max_allowed_packet = 67108864")
        try:
            execute(any_source_db, "INSERT INTO big VALUES (1, REPEAT('x', 16777300)), (2, REPEAT('y', 40000000))")
        finally:
            cursor.execute(f"SET GLOBAL max_allowed_packet = {limit}")
        (group,) = transactions(stream, 1, 60)
    lengths = [len(str((draft.after or {})["body"])) for draft in drafts(group)]
    assert lengths == [16777300, 40000000]


def test_statements_of_users_and_views_pass(any_source_db: Database) -> None:
    execute(any_source_db, TABLE)
    user = f"u{secrets.token_hex(4)}"
    source = open_source(any_source_db)
    with streaming(source) as stream:
        execute(
            any_source_db,
            f"CREATE USER {user} IDENTIFIED BY 'Some-pass-1'",
            f"GRANT SELECT ON {any_source_db.dbname}.* TO {user}",
            f"DROP USER {user}",
            "CREATE VIEW v AS SELECT * FROM items",
            "CREATE INDEX i ON items (name)",
            "CREATE TEMPORARY TABLE items_tmp AS SELECT * FROM items",
            "DROP VIEW v",
            "ANALYZE TABLE items",
            "ALTER TABLE items COMMENT = 'x'",
            "CREATE PROCEDURE p() INSERT INTO items VALUES (5, 'p', 0)",
            "CALL p()",
        )
        (group,) = transactions(stream, 1)
        assert [draft.key["id"] for draft in drafts(group)] == [5]
        assert drain(stream, source) == []


@pytest.mark.parametrize(
    "statement", ["DROP TABLE items", "RENAME TABLE items TO elsewhere", "ALTER TABLE items RENAME elsewhere"]
)
def test_dropping_a_captured_table_stops_with_the_way_out(any_source_db: Database, statement: str) -> None:
    execute(any_source_db, TABLE)
    source = open_source(any_source_db, f"{any_source_db.dbname}.items")
    with streaming(source) as stream:
        execute(any_source_db, statement)
        with pytest.raises(NotUnderstood, match=r"at mysql-bin\.\d+:\d+: captured table .*items was dropped") as caught:
            drain_for_ever(stream)
    behind = caught.value.hint.split("--from ")[1].split("`")[0]
    source = open_source(any_source_db)
    assert str(source.resolve(behind).position) == behind
    source.close()


def test_a_statement_format_session_stops_the_stream(any_source_db: Database) -> None:
    execute(any_source_db, TABLE)
    source = open_source(any_source_db)
    with streaming(source) as stream:
        execute(any_source_db, "SET SESSION binlog_format = 'STATEMENT'", "INSERT INTO items VALUES (1, 'a', 0)")
        with pytest.raises(NotUnderstood, match="INSERT INTO is logged as a statement") as caught:
            drain_for_ever(stream)
    assert "binlog_format=ROW" in caught.value.hint


def test_a_table_without_a_primary_key_is_refused(any_source_db: Database) -> None:
    execute(any_source_db, "CREATE TABLE keyless (id int)")
    source = open_source(any_source_db)
    with streaming(source) as stream:
        execute(any_source_db, "INSERT INTO keyless VALUES (1)")
        with pytest.raises(TableRefused, match=rf"at mysql-bin\.\d+:\d+: table {any_source_db.dbname}\.keyless"):
            drain_for_ever(stream)


@pytest.mark.parametrize("mode", ["disabled", "required"])
def test_caching_sha2_with_and_without_tls(mysql_db: Database, mode: str) -> None:
    execute(mysql_db, TABLE)
    user, password = f"u{secrets.token_hex(4)}", "Pä:ss/w@rd-1"
    execute(
        mysql_db,
        f"CREATE USER {user} IDENTIFIED WITH caching_sha2_password BY '{password}'",
        f"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {user}",
        f"GRANT SELECT ON {mysql_db.dbname}.* TO {user}",
    )
    address = mysql_db.server.url.rpartition("@")[2]
    url = f"mysql://{user}:P%C3%A4%3Ass%2Fw%40rd-1@{address}"
    source = open_source(mysql_db, url=url, tls={"mode": mode})
    with streaming(source) as stream:
        execute(mysql_db, "INSERT INTO items VALUES (1, 'a', 0)")
        (group,) = transactions(stream, 1)
        cipher = source._server.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1]
    assert drafts(group)[0].key == {"id": 1}
    assert bool(cipher) == (mode == "required")
    execute(mysql_db, f"DROP USER {user}")


def test_an_untrusted_certificate_and_a_wrong_password_are_refused_without_the_password(mysql_db: Database) -> None:
    for url, tls, said in (
        (mysql_db.server.url, {"mode": "verify-full"}, "certificate"),
        (f"mysql://root:canary-secret@{mysql_db.server.url.rpartition('@')[2]}", None, "Access denied"),
    ):
        source = open_source(mysql_db, url=url, tls=tls)
        with pytest.raises(SourceRefused, match=said) as caught:
            source.identity()
        assert "canary" not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert source.check()[0].level == "error"


def test_unreachable_is_unavailable(mysql_db: Database) -> None:
    source = open_source(mysql_db, url="mysql://root:canary-secret@127.0.0.1:1")
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1:1 does not answer") as caught:
        source.stream(source.resolve("latest"))
    assert "canary" not in str(caught.value)


def test_closing_from_another_thread_ends_the_items(any_source_db: Database) -> None:
    import threading

    execute(any_source_db, TABLE)
    source = open_source(any_source_db)
    stream = source.stream(source.resolve("latest"))
    ended = threading.Event()
    begun = threading.Event()

    def read() -> None:
        for _ in stream.items(lambda: 60.0):
            begun.set()
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert begun.wait(10), "a heartbeat comes each 0.2 s"
    stream.close()
    assert ended.wait(5)
    thread.join()
    source.close()


def test_rows_of_other_tables_are_not_decoded(mysql_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(mysql_db, "CREATE TABLE other (id int PRIMARY KEY, c int)", TABLE)
    source = open_source(mysql_db, f"{mysql_db.dbname}.items")
    decoded: list[str] = []
    drafts_of = Capture.drafts

    def noted(capture: Capture, kind: int, body: memoryview, table: CapturedTable) -> Sequence[Draft]:
        decoded.append(table.map.table)
        return drafts_of(capture, kind, body, table)

    monkeypatch.setattr(Capture, "drafts", noted)
    with streaming(source) as stream:
        values = ", ".join(f"({n}, 7)" for n in range(5_000))
        execute(mysql_db, f"INSERT INTO other VALUES {values}", "INSERT INTO items VALUES (1, 'end', 0)")
        collect(stream, lambda found: isinstance(found[-1], Rows), 60)
    assert decoded == ["items"]


def test_idle_heartbeats_move_the_boundary_of_a_quiet_table(any_source_db: Database) -> None:
    execute(any_source_db, TABLE, "CREATE TABLE noise (id int PRIMARY KEY)")
    source = open_source(any_source_db, f"{any_source_db.dbname}.items")
    with streaming(source) as stream:
        execute(any_source_db, *(f"INSERT INTO noise VALUES ({n})" for n in range(50)))
        begin = time.monotonic()
        end = source.end().position
        passed: list[Passed] = []
        for item in stream.items(lambda: 0.05):
            if isinstance(item, Passed):
                passed.append(item)
                if item.idle and item.point.position == end:
                    break
            assert time.monotonic() - begin < 20
        seconds = time.monotonic() - begin
    # At most one in 50 ms of stream, and one for each heartbeat.
    assert len(passed) <= 3 + seconds * (1 / 0.05 + 1 / 0.2)


def test_a_second_reader_with_our_server_id_is_named(mariadb_db: Database, mysql_db: Database) -> None:
    for database in (mysql_db, mariadb_db):
        execute(database, TABLE)
        first = open_source(database, server_id=70_001)
        second = open_source(database, server_id=70_001)
        with streaming(first) as stream:
            idle(stream, first)
            assert any("70001 is connected" in finding.text for finding in second.check())
            with streaming(second) as other:
                idle(other, second)
                with pytest.raises(SourceUnavailable) as caught:
                    drain_for_ever(stream)
                assert "server_id" in str(caught.value)


def test_a_killed_dump_thread_is_unavailable_and_a_new_stream_goes_on(any_source_db: Database) -> None:
    execute(any_source_db, TABLE)
    source = open_source(any_source_db)
    stream = source.stream(source.resolve("latest"))
    execute(any_source_db, "INSERT INTO items VALUES (1, 'a', 0)")
    (group,) = transactions(stream, 1)
    with any_source_db.connect(cursorclass=pymysql.cursors.DictCursor) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW PROCESSLIST")
        dumps = [row["Id"] for row in cursor.fetchall() if "Binlog Dump" in str(row["Command"])]
        assert dumps
        for one in dumps:
            cursor.execute(f"KILL {one}")
    with pytest.raises(SourceUnavailable):
        drain_for_ever(stream)
    stream.close()
    end = group[-1]
    assert isinstance(end, End)
    again = source.stream(source.verify(end.point))
    execute(any_source_db, "INSERT INTO items VALUES (2, 'b', 0)")
    assert drafts(transactions(again, 1)[0])[0].key == {"id": 2}
    again.close()
    source.close()
