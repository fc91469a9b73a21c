"""What `cdc check` finds at a real PostgreSQL or MySQL as a server: rights, modes, time-outs, durability, limits, clocks."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from cdc.model.finding import Finding
from cdc.model.schema import Column, TableSchema
from cdc.target.doctor import mysql as mysql_doctor
from cdc.target.doctor import postgresql as postgresql_doctor
from cdc.target.port import Expected
from tests.fixtures.servers import Database
from tests.integration.test_source_check import globally
from tests.support.doctor import about, not_fine, only
from tests.support.targets import ORDERS, Place, inserts, order, write

FILES = TableSchema("shop", "files", (Column("id", "int", nullable=False), Column("body", "longblob")), ("id",))
LEASE_SECONDS = 2.0
PASSWORD = "Some-pass-1"


def found(url: str, *tables: TableSchema, **settings: Any) -> list[Finding]:
    target = Place(urlsplit(url).scheme, url).open(**settings)
    try:
        return list(target.findings([Expected(table) for table in tables or (ORDERS,)]))
    finally:
        target.close()


def make_tables(url: str) -> None:
    """Those of a sink that has applied something."""
    target = Place(urlsplit(url).scheme, url).open()
    writer = target.writer(LEASE_SECONDS)
    writer.take_over("0", 5)
    write(writer, inserts(order(1)))
    writer.close()
    target.close()


def as_user(url: str, user: str) -> str:
    return urlunsplit(urlsplit(url)._replace(netloc=f"{user}:{PASSWORD}@{urlsplit(url).netloc.rpartition('@')[2]}"))


def database_url(database: Database) -> str:
    return urlunsplit(urlsplit(database.url)._replace(scheme=database.server.kind))


# --- PostgreSQL


@contextmanager
def role(pg_db: str, *grants: str) -> Iterator[str]:
    """The URL of a role of its own. In statements `{role}` is its name."""
    name = f"r{secrets.token_hex(4)}"
    database = urlsplit(pg_db).path[1:]
    with psycopg.connect(pg_db, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'".encode())
        for grant in grants:
            connection.execute(grant.format(role=name, database=database).encode())
        try:
            yield as_user(pg_db, name)
        finally:
            connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


@pytest.mark.parametrize("setting", ["statement_timeout", "idle_session_timeout"])
def test_time_outs_that_end_a_role_s_work(pg_db: str, setting: str) -> None:
    with role(pg_db) as url:
        assert about(found(url), "time-outs") == []
    with role(pg_db, f"ALTER ROLE {{role}} SET {setting} = '90s'") as url:
        assert f"{setting} is 90 s" in only(found(url), "time-outs", "warning").text
    # A sink sets these by itself.
    with role(pg_db, "ALTER ROLE {role} SET lock_timeout = '1ms'") as url:
        assert about(found(url), "time-outs") == []


def test_commits_that_are_not_waited_for(pg_db: str) -> None:
    with role(pg_db) as url:
        assert not any("synchronous_commit" in one.text for one in about(found(url), "durability"))
    with role(pg_db, "ALTER ROLE {role} SET synchronous_commit = off") as url:
        (one,) = [one for one in about(found(url), "durability", "warning") if "synchronous_commit" in one.text]
        assert "applied again" in one.text


def test_rights_on_lockstep_s_own_tables(pg_db: str) -> None:
    make_tables(pg_db)
    usable = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    with role(pg_db, usable, "REVOKE UPDATE ON _cdc_progress FROM {role}") as url:
        found_rights = about(found(url), "rights")
        assert [one.text for one in found_rights if one.level == "error"] == [
            "the sink's role lacks UPDATE on table _cdc_progress"
        ]
        # Who does not own a table cannot alter it.
        assert [one.text.split(":")[0] for one in found_rights if one.level == "warning"] == [
            "the sink's role does not own orders"
        ]
    assert about(found(pg_db), "rights") == []


def test_postgresql_s_clock(pg_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.level for one in about(found(pg_db), "clock")] == ["ok"]
    _fast_by_a_minute(postgresql_doctor, monkeypatch)
    assert "-60.0 s" in only(found(pg_db), "clock", "warning").text


def _fast_by_a_minute(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers' clocks are this machine's: so it is ours that goes wrong."""
    true = module.time.time

    class Fast:
        time = staticmethod(lambda: true() + 60)

    monkeypatch.setattr(module, "time", Fast)


# --- MySQL and MariaDB


def test_a_good_server_has_no_findings(any_source_db: Database) -> None:
    make_tables(database_url(any_source_db))
    assert not_fine(found(database_url(any_source_db)), "target") == []


@pytest.mark.parametrize(
    ("variable", "bad", "good", "subject"),
    [
        ("read_only", "ON", "OFF", "read-only"),
        ("innodb_flush_log_at_trx_commit", "0", "2", "durability"),
    ],
)
def test_modes_of_both_products(any_source_db: Database, variable: str, bad: str, good: str, subject: str) -> None:
    url = database_url(any_source_db)
    with globally(any_source_db, variable, bad, good):
        assert any(variable in one.text for one in about(found(url), subject, "warning"))


def test_durability_is_no_finding_where_commits_are_synced(any_source_db: Database) -> None:
    with globally(any_source_db, "innodb_flush_log_at_trx_commit", "1", "2"):
        assert about(found(database_url(any_source_db)), "durability") == []


def test_transactions_that_only_read(any_source_db: Database) -> None:
    url = database_url(any_source_db)
    variable = "transaction_read_only" if any_source_db.server.kind == "mysql" else "tx_read_only"
    assert about(found(url), "read-only") == []
    with globally(any_source_db, variable, "ON", "OFF"):
        only(found(url), "read-only", "error")


def test_mysql_s_offline_mode(mysql_db: Database) -> None:
    url = database_url(mysql_db)
    with globally(mysql_db, "offline_mode", "ON", "OFF"):
        assert "offline_mode" in only(found(url), "read-only", "warning").text


def test_mariadb_s_limit_of_a_statement_s_time(mariadb_db: Database) -> None:
    url = database_url(mariadb_db)
    assert about(found(url), "time-outs") == []
    with globally(mariadb_db, "max_statement_time", "30", "0"):
        assert "30 s" in only(found(url), "time-outs", "warning").text


def test_rows_that_are_longer_than_a_statement_may_be(any_source_db: Database) -> None:
    url = database_url(any_source_db)
    with any_source_db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@global.max_allowed_packet")
        ((before,),) = cursor.fetchall()
    with globally(any_source_db, "max_allowed_packet", str(2**27), str(before)):
        assert about(found(url, FILES), "max_allowed_packet") == []
    with globally(any_source_db, "max_allowed_packet", str(2**22), str(before)):
        assert "shop.files" in only(found(url, FILES), "max_allowed_packet", "warning").text
        assert about(found(url, ORDERS), "max_allowed_packet") == []


@contextmanager
def user(database: Database, *grants: str) -> Iterator[str]:
    name = f"u{secrets.token_hex(4)}"
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE USER {name} IDENTIFIED BY '{PASSWORD}'")
        for grant in grants:
            cursor.execute(grant.format(user=name, db=database.dbname))
        try:
            yield as_user(database_url(database), name)
        finally:
            cursor.execute(f"DROP USER {name}")


_USE = "GRANT SELECT, INSERT, UPDATE, DELETE ON {db}.* TO {user}"


def test_rights_to_make_and_to_change_tables(any_source_db: Database) -> None:
    with user(any_source_db, _USE) as url:
        assert "may not make tables" in only(found(url), "rights", "error").text
    with user(any_source_db, _USE, "GRANT CREATE ON {db}.* TO {user}") as url:
        assert "lacks ALTER, DROP, INDEX" in only(found(url), "rights", "warning").text
    with user(any_source_db, _USE, "GRANT CREATE, ALTER, DROP, INDEX ON {db}.* TO {user}") as url:
        assert about(found(url), "rights") == []


def test_rights_on_own_tables_at_mysql(any_source_db: Database) -> None:
    make_tables(database_url(any_source_db))
    making = "GRANT CREATE, ALTER, DROP, INDEX ON {db}.* TO {user}"
    tables = [
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {{db}}.{name} TO {{user}}" for name in ("orders", "_cdc_progress")
    ]
    with user(any_source_db, making, *tables, "GRANT SELECT, DELETE ON {db}._cdc_dead_letters TO {user}") as url:
        assert "lacks INSERT on table _cdc_dead_letters" in only(found(url), "rights", "error").text


def test_mysql_s_clock(any_source_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.level for one in about(found(database_url(any_source_db)), "clock")] == ["ok"]
    _fast_by_a_minute(mysql_doctor, monkeypatch)
    assert "-60.0 s" in only(found(database_url(any_source_db)), "clock", "warning").text
