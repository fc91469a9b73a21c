"""What `cdc check` finds at a real source beside the first things (test_source_check): durability, order, rights, replicas,
retention, cascades; each finding where it is due, and none where it is not."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from cdc.binlog import server as server_module
from cdc.binlog.source import BinlogSource
from cdc.local import Server
from cdc.local.start import WAYS
from cdc.model.finding import Finding
from tests.fixtures.servers import Database
from tests.integration.test_source_check import globally
from tests.support.doctor import about, only
from tests.support.own_source import fresh_database, start_own_source
from tests.support.sources import drafts, execute, open_source, streaming, transactions


def checked(source: BinlogSource) -> list[Finding]:
    with closing(source):
        return list(source.check())


def checked_db(database: Database, *tables: str) -> list[Finding]:
    return checked(open_source(database, *tables))


StartSource = Callable[..., Database]


@pytest.fixture
def start_source(tmp_path: Path) -> Iterator[StartSource]:
    """A server of the test's own, with options that cannot be switched while it runs."""
    servers: list[Server] = []

    def start(kind: str, *options: str, ways: Sequence[str] = WAYS) -> Database:
        servers.append(start_own_source(kind, tmp_path / str(len(servers)), *options, ways=ways))
        return fresh_database(servers[-1])

    yield start
    for server in servers:
        server.remove()


@pytest.fixture
def items(any_source_db: Database) -> Database:
    execute(any_source_db, "CREATE TABLE items (id INT PRIMARY KEY)")
    return any_source_db


@pytest.mark.parametrize(("variable", "as_started"), [("sync_binlog", "0"), ("innodb_flush_log_at_trx_commit", "2")])
def test_commits_that_a_crash_may_take_back(items: Database, variable: str, as_started: str) -> None:
    assert "crash" in only(checked_db(items), variable, "warning").text
    with globally(items, variable, "1", as_started):
        assert [one.level for one in about(checked_db(items), variable)] == ["ok"]


def test_commits_in_another_order_than_the_binlog_s(mysql_db: Database) -> None:
    assert [one.level for one in about(checked_db(mysql_db), "binlog_order_commits")] == ["ok"]
    with globally(mysql_db, "binlog_order_commits", "OFF", "ON"):
        assert "order" in only(checked_db(mysql_db), "binlog_order_commits", "warning").text


def test_partial_json_needs_the_image_before(mysql_db: Database) -> None:
    assert about(checked_db(mysql_db), "binlog_row_value_options") == []
    with globally(mysql_db, "binlog_row_value_options", "'PARTIAL_JSON'", "''"):
        assert [one.level for one in about(checked_db(mysql_db), "binlog_row_value_options")] == ["ok"]
        with globally(mysql_db, "binlog_row_image", "'MINIMAL'", "'FULL'"):
            only(checked_db(mysql_db), "binlog_row_value_options", "warning")


def test_gtids_that_are_off_need_the_process_right(start_source: StartSource) -> None:
    database = start_source("mysql", "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")
    user = f"u{secrets.token_hex(4)}"
    execute(
        database,
        "CREATE TABLE items (id INT PRIMARY KEY)",
        f"CREATE USER {user} IDENTIFIED BY 'Some-pass-1'",
        f"GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {user}",
    )
    url = f"mysql://{user}:Some-pass-1@{database.server.url.rpartition('@')[2]}"
    found = checked(open_source(database, url=url))
    only(found, "enforce_gtid_consistency", "warning")
    only(found, "gtid_mode", "warning")
    assert "PROCESS" in only(found, "rights", "warning").fix
    execute(database, f"GRANT PROCESS ON *.* TO {user}")
    found = checked(open_source(database, url=url))
    assert {one.level for one in about(found, "rights")} == {"ok"}


def test_a_source_with_gtids_needs_no_process_right(items: Database) -> None:
    user = f"u{secrets.token_hex(4)}"
    execute(
        items,
        f"CREATE USER {user} IDENTIFIED BY 'Some-pass-1'",
        f"GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {user}",
    )
    url = f"mysql://{user}:Some-pass-1@{items.server.url.rpartition('@')[2]}"
    try:
        found = checked(open_source(items, url=url))
    finally:
        execute(items, f"DROP USER {user}")
    assert [one for one in found if one.level == "error"] == []
    assert {one.level for one in about(found, "rights")} == {"ok"}


def test_other_readers_are_named(items: Database) -> None:
    assert "70123" not in "".join(one.text for one in about(checked_db(items), "replicas"))
    other = open_source(items, server_id=70_123)
    point = other.resolve("latest")
    stream = other.stream(point, other.tables_at(point, ()))
    try:
        next(stream.items(lambda: 0.05))
        (found,) = about(checked_db(items), "replicas", "ok")
        assert "server_id 70123" in found.text
    finally:
        stream.close()
        other.close()


def _follow(database: Database) -> None:
    """Makes it a replica that never runs: of a port where nobody listens."""
    if database.server.kind == "mysql":
        execute(database, "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1")
    else:
        execute(database, "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1")


@pytest.mark.parametrize("kind", ["mysql", "mariadb"])
def test_a_replica_that_does_not_log_what_it_repeats(start_source: StartSource, kind: str) -> None:
    option = {"mysql": "--log-replica-updates=OFF", "mariadb": "--log-slave-updates=OFF"}[kind]
    database = start_source(kind, option)
    assert about(checked_db(database), "log_replica_updates") == []
    _follow(database)
    assert "not in its binlog" in only(checked_db(database), "log_replica_updates", "error").text


def test_a_replica_that_commits_in_another_order(start_source: StartSource) -> None:
    database = start_source("mysql", "--replica-preserve-commit-order=OFF", "--replica-parallel-workers=4")
    assert about(checked_db(database), "replica_preserve_commit_order") == []
    _follow(database)
    found = checked_db(database)
    assert "4 workers" in only(found, "replica_preserve_commit_order", "warning").text
    assert about(found, "log_replica_updates") == []
    execute(database, "SET GLOBAL replica_preserve_commit_order = ON")
    assert about(checked_db(database), "replica_preserve_commit_order") == []


def test_a_mariadb_user_who_may_not_know_whether_it_is_a_replica(mariadb_db: Database) -> None:
    user = f"u{secrets.token_hex(4)}"
    execute(
        mariadb_db,
        "CREATE TABLE items (id INT PRIMARY KEY)",
        f"CREATE USER {user} IDENTIFIED BY 'Some-pass-1'",
        f"GRANT SELECT, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO {user}",
    )
    url = f"mysql://{user}:Some-pass-1@{mariadb_db.server.url.rpartition('@')[2]}"
    try:
        found = checked(open_source(mariadb_db, url=url))
    finally:
        execute(mariadb_db, f"DROP USER {user}")
    assert [one.level for one in about(found, "replication")] == ["ok"]
    # Nor who else reads; a reader needs neither.
    assert "not told" in about(found, "server_id", "ok")[0].text
    assert [one for one in found if one.level == "error"] == []


def test_a_limit_of_size_that_one_burst_of_changes_reaches(start_source: StartSource) -> None:
    database = start_source("mariadb", ways=["unstable"])
    assert {one.level for one in about(checked_db(database), "retention")} == {"ok"}
    execute(database, "SET GLOBAL max_binlog_total_size = 2147483648", "SET GLOBAL max_binlog_size = 1073741824")
    assert "2,048 MiB" in only(checked_db(database), "retention", "warning").text
    execute(database, "SET GLOBAL max_binlog_size = 4194304")
    assert [one.level for one in about(checked_db(database), "retention")] == ["ok", "ok"]
    source = open_source(database)
    with closing(source):
        assert source.retention().total_bytes == 2_147_483_648


_FAMILY = (
    "CREATE TABLE parents (id INT PRIMARY KEY)",
    "CREATE TABLE kept (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parents (id))",
    "CREATE TABLE gone (id INT PRIMARY KEY, parent INT,"
    " FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE SET NULL)",
    "CREATE TABLE elsewhere (id INT PRIMARY KEY, parent INT,"
    " FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE)",
)


def test_cascades_that_no_binlog_has_are_named_by_child_table(mariadb_db: Database) -> None:
    db = mariadb_db.dbname
    execute(mariadb_db, *_FAMILY)
    found = only(checked_db(mariadb_db, f"{db}.*", f"!{db}.elsewhere"), "foreign keys", "warning")
    assert f"{db}.gone: what ON DELETE CASCADE of {db}.parents, ON UPDATE SET NULL of {db}.parents do" in found.text
    assert "before the parent's" in found.fix
    assert about(checked_db(mariadb_db, f"{db}.parents", f"{db}.kept"), "foreign keys") == []


def test_cascades_of_mysql_are_in_its_binlog_where_the_sql_layer_does_them(start_source: StartSource) -> None:
    database = start_source("mysql")
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW VARIABLES LIKE 'innodb_native_foreign_keys'")
        known = cursor.fetchone()
    execute(database, *_FAMILY)
    found = about(checked_db(database), "foreign keys")
    if known is None:
        assert {one.level for one in found} == {"warning"}
        assert all("MySQL 9.6" in one.fix for one in found)
        return
    assert [one.level for one in found] == ["ok"]
    native = start_source("mysql", "--innodb-native-foreign-keys=ON")
    execute(native, *_FAMILY)
    found = about(checked_db(native), "foreign keys", "warning")
    assert [one.text.partition(":")[0] for one in found] == ["shop.elsewhere", "shop.gone"]
    assert all("innodb_native_foreign_keys=OFF" in one.fix for one in found)


def test_a_clock_that_is_far_off(items: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers' clock is this machine's: so it is ours that goes wrong."""
    assert [one.level for one in about(checked_db(items), "clock")] == ["ok"]
    true = server_module.time.time

    class Fast:
        time = staticmethod(lambda: true() + 60)

    monkeypatch.setattr(server_module, "time", Fast)
    assert "-60.0 s from ours" in only(checked_db(items), "clock", "warning").text


def test_sizes_unique_keys_and_the_largest_packet(any_source_db: Database) -> None:
    db = any_source_db.dbname
    execute(
        any_source_db,
        "CREATE TABLE files (id INT PRIMARY KEY, name VARCHAR(20), kind INT, body LONGBLOB, note TEXT,"
        " UNIQUE KEY (name, kind), UNIQUE KEY prefix (note(5)))",
        "INSERT INTO files (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        "ANALYZE TABLE files",
    )
    source = open_source(any_source_db)
    with closing(source):
        assert source.unique_keys() == {f"{db}.files": [frozenset({"name", "kind"})]}
        size = source.sizes()[f"{db}.files"]
        assert (size.rows, size.large) == (3, ("body",))
        assert size.row_bytes > 0
        with any_source_db.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@global.max_allowed_packet")
            assert cursor.fetchone() == (source.largest_packet(),)


def test_what_is_said_of_cascades_is_so(any_source_db: Database) -> None:
    """A parent with one child is deleted: whose rows the binlog says are gone, in its order."""
    execute(any_source_db, *_FAMILY[:3], "INSERT INTO parents VALUES (1)", "INSERT INTO gone VALUES (1, 1)")
    (found,) = about(checked_db(any_source_db), "foreign keys")
    with streaming(open_source(any_source_db)) as stream:
        execute(any_source_db, "DELETE FROM parents")
        (group,) = transactions(stream, 1)
    deleted = [draft.table for draft in drafts(group) if draft.op == "d"]
    assert deleted == (["gone", "parents"] if found.level == "ok" else ["parents"])
