"""`check` and the tables of a real source: one finding for each fault, with its fix."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cdc.binlog.port import Rows
from cdc.binlog.source import BinlogSource
from cdc.model.finding import Finding
from tests.fixtures.servers import Database, connect
from tests.support.doctor import not_fine
from tests.support.sources import execute, open_source, streaming, transactions


def findings(source: BinlogSource) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in source.check():
        found.setdefault(finding.subject, []).append(finding)
    source.close()
    return found


def faults(source: BinlogSource) -> list[Finding]:
    return not_fine((finding for group in findings(source).values() for finding in group), "source")


@contextmanager
def globally(database: Database, variable: str, bad: str, good: str) -> Iterator[None]:
    with connect(database.server) as connection, connection.cursor() as cursor:
        cursor.execute(f"SET GLOBAL {variable} = {bad}")
        try:
            yield
        finally:
            cursor.execute(f"SET GLOBAL {variable} = {good}")


def test_a_fit_source_has_no_fault(any_source_db: Database) -> None:
    execute(any_source_db, "CREATE TABLE items (id int PRIMARY KEY)")
    source = open_source(any_source_db)
    assert faults(source) == []
    assert all(finding.fix == "" for finding in source.check() if finding.level == "ok")


@pytest.mark.parametrize(
    ("variable", "bad", "good", "level"),
    [
        ("binlog_format", "'MIXED'", "'ROW'", "error"),
        ("binlog_row_image", "'NOBLOB'", "'FULL'", "warning"),
        ("binlog_row_metadata", "'MINIMAL'", "'FULL'", "warning"),
        ("binlog_checksum", "'NONE'", "'CRC32'", "warning"),
        ("binlog_expire_logs_seconds", "3600", "2592000", "warning"),
    ],
)
def test_settings_of_mysql(mysql_db: Database, variable: str, bad: str, good: str, level: str) -> None:
    execute(mysql_db, "CREATE TABLE items (id int PRIMARY KEY)")
    with globally(mysql_db, variable, bad, good):
        (fault,) = faults(open_source(mysql_db))
    assert fault.level == level
    assert "SET GLOBAL" in fault.fix


@pytest.mark.parametrize(
    ("variable", "bad", "good", "level"),
    [
        ("binlog_format", "'STATEMENT'", "'ROW'", "error"),
        ("binlog_row_image", "'MINIMAL'", "'FULL'", "warning"),
        ("binlog_row_metadata", "'NO_LOG'", "'FULL'", "warning"),
        ("expire_logs_days", "0.5", "0", "warning"),
    ],
)
def test_settings_of_mariadb(mariadb_db: Database, variable: str, bad: str, good: str, level: str) -> None:
    execute(mariadb_db, "CREATE TABLE items (id int PRIMARY KEY)")
    with globally(mariadb_db, variable, bad, good):
        (fault,) = faults(open_source(mariadb_db))
    assert fault.level == level
    assert fault.fix


def test_a_user_without_rights(any_source_db: Database) -> None:
    user = f"u{secrets.token_hex(4)}"
    execute(any_source_db, "CREATE TABLE items (id int PRIMARY KEY)", f"CREATE USER {user} IDENTIFIED BY 'Some-pass-1'")
    url = f"mysql://{user}:Some-pass-1@{any_source_db.server.url.rpartition('@')[2]}"
    found = faults(open_source(any_source_db, url=url))
    texts = " | ".join(f"{fault.subject}: {fault.text} → {fault.fix}" for fault in found)
    assert "lacks REPLICATION SLAVE" in texts
    assert "lacks REPLICATION CLIENT" in texts
    assert f"lacks SELECT on {any_source_db.dbname}.*" in texts
    assert all(fault.fix for fault in found)
    execute(
        any_source_db,
        f"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {user}",
        f"GRANT SELECT ON {any_source_db.dbname}.* TO {user}",
    )
    assert [fault for fault in faults(open_source(any_source_db, url=url)) if fault.subject == "rights"] == []
    execute(any_source_db, f"DROP USER {user}")


def test_the_servers_own_id_and_patterns_that_match_nothing(any_source_db: Database) -> None:
    db = any_source_db.dbname
    execute(any_source_db, "CREATE TABLE items (id int PRIMARY KEY)", "CREATE TABLE keyless (id int)")
    with connect(any_source_db.server) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@server_id")
        (server_id,) = cursor.fetchone() or (0,)
    found = findings(open_source(any_source_db, f"{db}.*", "nowhere.*", server_id=server_id))
    assert found["server_id"][0].level == "error"
    texts = [finding.text for finding in found["tables"]]
    assert f"{db}.keyless has no primary key: its rows cannot be kept in step" in texts
    assert "no table matches nowhere.*" in texts


def test_tables_are_described_as_the_binlog_describes_them(any_source_db: Database) -> None:
    execute(
        any_source_db,
        """CREATE TABLE kinds (
            b int unsigned NOT NULL, a varchar(20) CHARACTER SET latin1 NOT NULL, c char(5), d decimal(10,3), e datetime(6),
            f enum('x','it''s','a,b') CHARACTER SET latin1, g set('p','q'), h bit(13), i varbinary(9), j text, k blob,
            l year, m time(2), n float, o double, p tinyint(1), q bigint unsigned, r timestamp NULL, s binary(4), t date,
            u mediumtext, v smallint, w mediumint,
            PRIMARY KEY (a, b), UNIQUE KEY (c, d)) DEFAULT CHARSET = utf8mb4""",
        "CREATE TABLE plain (id int PRIMARY KEY, UNIQUE KEY (id))",
        "CREATE TABLE simple (id int PRIMARY KEY, v int, KEY (v))",
    )
    source = open_source(any_source_db)
    with streaming(source) as stream:
        execute(any_source_db, "INSERT INTO kinds (a, b) VALUES ('k', 1)")
        (group,) = transactions(stream, 1)
        announced = next(schema for item in group if isinstance(item, Rows) for schema in item.new_schemas)
        described = {table.table: table for table in source.tables()}
        assert described["kinds"] == announced
        assert described["kinds"].key == ("a", "b")
        db = any_source_db.dbname
        assert source.tables_with_further_unique_keys() == [f"{db}.kinds", f"{db}.plain"]
