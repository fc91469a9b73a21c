"""`cdc check` on real servers: each bad set-up is its finding, with the fix, and never a traceback or a password."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from click.testing import CliRunner, Result

from cdc.cli.check import check
from tests.fixtures.servers import Database
from tests.support.doctor import OF_LOCAL_SERVERS, is_of_local_servers
from tests.support.pipeline import cdc, connector, write_connector
from tests.support.wait import until

CANARY = "canary-c71e"


class Setting:
    """A connector that is fine, to be made worse; `run` checks it."""

    def __init__(self, source: Database, redis_url: str, target_url: str, folder: Path) -> None:
        self.source = source
        self.folder = folder
        self.document: dict[str, Any] = connector(
            source.dbname.replace("_", "-"),
            source_url=source.server.url,
            target_url=target_url,
            tables=[f"{source.dbname}.*"],
            queue={"url": redis_url, "lanes": 2},
        )
        self.sql("CREATE TABLE orders (id BIGINT PRIMARY KEY, email VARCHAR(50), total DECIMAL(30,10))")

    def sql(self, *statements: str) -> None:
        with self.source.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def run(self, *options: str) -> Result:
        file = write_connector(self.folder, self.document)
        done = CliRunner().invoke(check, [str(file), *options])
        assert CANARY not in done.output + done.stderr
        assert "Traceback" not in done.output + done.stderr
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    def findings(self, status: int) -> list[str]:
        """`level part, subject: text → fix` of everything that is not fine, but for what local servers have on purpose."""
        done = self.run("--json")
        assert done.exit_code == status, done.output
        (report,) = json.loads(done.stdout)["connectors"]
        return [
            f"{f['level']} {f['part']}, {f['subject']}: {f['text']} → {f['fix']}"
            for f in report["findings"]
            if f["level"] != "ok" and not is_of_local_servers(f["part"], f["subject"])
        ]

    def finding(self, *words: str, level: str = "error") -> str:
        """The one finding, which has all `words` and a fix."""
        found = self.findings(int(level == "error"))
        fitting = [one for one in found if one.startswith(level) and all(word in one for word in words)]
        assert len(fitting) == 1, found
        assert fitting[0].rpartition("→")[2].strip(), fitting
        assert sum(one.startswith("error") for one in found) == int(level == "error"), found
        return fitting[0]


@pytest.fixture
def setting(mysql_db: Database, redis_url: str, pg_db: str, tmp_path: Path) -> Iterator[Setting]:
    made = Setting(mysql_db, redis_url, pg_db, tmp_path)
    yield made
    with mysql_db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP USER IF EXISTS 'weak'@'%'")


def test_a_good_connector_has_no_findings(setting: Setting) -> None:
    assert setting.findings(0) == []
    text = setting.run()
    assert text.exit_code == 0
    assert "fine: 0 errors" in text.output


def test_local_servers_are_said_to_outlive_no_power_cut(setting: Setting) -> None:
    report = json.loads(setting.run("--json").stdout)["connectors"][0]["findings"]
    told = {(f["part"].replace("sink sink", "target"), f["subject"]) for f in report if f["level"] == "warning"}
    assert told == OF_LOCAL_SERVERS


def test_offline_asks_no_server(setting: Setting) -> None:
    setting.document["source"]["url"] = "mysql://cdc@127.0.0.1:1"
    assert setting.run("--offline").exit_code == 0


def test_a_bad_file_is_exit_status_2_with_line_and_key(setting: Setting) -> None:
    setting.document["queue"]["lanse"] = 3
    done = setting.run("--json")
    assert done.exit_code == 2
    (report,) = json.loads(done.stdout)["connectors"]
    assert (report["key"], report["connector"]) == ("queue.lanse", None)
    assert report["line"] > 1


def test_a_wrong_password_at_the_source_is_one_finding(setting: Setting) -> None:
    url = setting.document["source"]["url"]
    setting.document["source"]["url"] = f"mysql://root:{CANARY}@{url.rpartition('@')[2]}"
    setting.finding("source", "password")


def test_a_source_that_does_not_answer_is_one_finding(setting: Setting) -> None:
    setting.document["source"]["url"] = f"mysql://cdc:{CANARY}@127.0.0.1:1"
    setting.finding("source", "127.0.0.1:1")


def test_a_queue_that_does_not_answer_is_a_finding_of_queue_and_coordination(setting: Setting) -> None:
    setting.document["queue"]["url"] = f"redis://:{CANARY}@127.0.0.1:1/0"
    found = setting.findings(1)
    assert [one.split(":")[0] for one in found] == ["error queue, queue", "error coordination, coordination"]


def test_a_target_that_does_not_answer_is_one_finding(setting: Setting) -> None:
    setting.document["sink"]["url"] = f"postgresql://app:{CANARY}@127.0.0.1:1/app"
    setting.finding("sink sink", "127.0.0.1")


def test_a_wrong_password_at_the_target_is_one_finding(setting: Setting) -> None:
    place = setting.document["sink"]["url"].rpartition("@")[2]
    with psycopg.connect(setting.document["sink"]["url"], autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS nobody_here")
    setting.document["sink"]["url"] = f"postgresql://nobody_here:{CANARY}@{place}"
    setting.finding("sink sink")


def test_an_unknown_table_is_a_finding(setting: Setting) -> None:
    setting.document["source"]["tables"].append(f"{setting.source.dbname}.no_such_table")
    setting.finding("no_such_table")


def test_a_table_without_a_primary_key_is_a_finding(setting: Setting) -> None:
    setting.sql("CREATE TABLE keyless (a INT)")
    setting.finding("keyless", "primary key")


def test_missing_grants_are_findings(setting: Setting) -> None:
    setting.sql(
        f"CREATE USER 'weak'@'%' IDENTIFIED BY '{CANARY}'", f"GRANT SELECT ON {setting.source.dbname}.* TO 'weak'@'%'"
    )
    place = setting.document["source"]["url"].rpartition("@")[2]
    setting.document["source"]["url"] = f"mysql://weak:{CANARY}@{place}"
    found = setting.findings(1)
    assert any("REPLICATION SLAVE" in one and "GRANT" in one.rpartition("→")[2] for one in found), found


@pytest.mark.parametrize(
    ("variable", "bad", "good"),
    [
        ("binlog_format", "STATEMENT", "ROW"),
        ("binlog_row_image", "MINIMAL", "FULL"),
        ("binlog_row_metadata", "MINIMAL", "FULL"),
    ],
)
def test_a_server_that_logs_too_little_is_a_finding(setting: Setting, variable: str, bad: str, good: str) -> None:
    setting.sql(f"SET GLOBAL {variable} = '{bad}'")
    try:
        done = setting.run("--json")
        report = json.loads(done.stdout)["connectors"][0]["findings"]
        found = [f for f in report if f["subject"] == variable]
        assert found
        assert found[0]["level"] != "ok"
        assert good in found[0]["fix"]
    finally:
        setting.sql(f"SET GLOBAL {variable} = '{good}'")


def test_an_evicting_redis_is_a_finding(setting: Setting) -> None:
    with redis.Redis.from_url(setting.document["queue"]["url"]) as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            found = setting.findings(1)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "0")
    errors = [one for one in found if one.startswith("error")]
    assert [one.split(",")[0] for one in errors] == ["error queue", "error coordination"]
    assert all("noeviction" in one for one in errors), found


def test_a_target_column_that_cannot_hold_the_sources_is_a_finding(setting: Setting) -> None:
    with psycopg.connect(setting.document["sink"]["url"], autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id BIGINT PRIMARY KEY, email VARCHAR(5), total DECIMAL(30,10))")
    setting.finding("sink sink", "orders.email")


def test_a_missing_target_table_that_shall_not_be_made_is_a_finding(setting: Setting) -> None:
    setting.document["sink"]["create_tables"] = False
    setting.finding("sink sink", "orders")


def test_a_mask_that_matches_nothing_is_an_error_where_it_names_its_table(setting: Setting) -> None:
    setting.document["source"] |= {"mask_salt": "x", "mask_columns": [f"{setting.source.dbname}.orders.emial"]}
    setting.finding("mask_columns", "emial", "matches no column")
    setting.document["source"]["mask_columns"] = ["*.*.password"]
    setting.finding("mask_columns", "*.*.password", level="warning")


@pytest.mark.parametrize("key", ["mask_columns", "exclude_columns"])
def test_a_filter_that_matches_is_no_finding(setting: Setting, key: str) -> None:
    setting.document["source"] |= {"mask_salt": "x", key: [f"{setting.source.dbname}.*.email"]}
    assert setting.findings(0) == []


def test_two_tables_that_become_one_at_the_target_are_a_finding(setting: Setting) -> None:
    other = f"{setting.source.dbname}_b"
    setting.sql(f"CREATE DATABASE {other}", f"CREATE TABLE {other}.orders (id BIGINT PRIMARY KEY)")
    try:
        setting.document["source"]["tables"].append(f"{other}.*")
        setting.finding("sink sink", "both be written to table orders")
    finally:
        setting.sql(f"DROP DATABASE {other}")


def test_a_sink_that_takes_no_captured_table_is_a_warning(setting: Setting) -> None:
    setting.document["sink"]["tables"] = ["elsewhere.*"]
    setting.finding("sink sink", "no captured table", level="warning")


def test_a_further_unique_key_is_told_and_no_finding(setting: Setting) -> None:
    setting.sql("CREATE TABLE users (id INT PRIMARY KEY, email VARCHAR(20) UNIQUE)")
    done = setting.run()
    assert done.exit_code == 0
    assert f"one lane: {setting.source.dbname}.users" in done.output


def test_every_finding_fits_one_screen(setting: Setting) -> None:
    setting.document["source"]["url"] = "mysql://cdc:x@127.0.0.1:1"
    setting.document["queue"]["url"] = "redis://127.0.0.1:1/0"
    setting.document["sink"]["url"] = "postgresql://app:x@127.0.0.1:1/app"
    done = setting.run()
    assert done.exit_code == 1
    assert len(done.output.splitlines()) <= 24
    # By part, in the order of the pipeline's way.
    heads = [line for line in done.output.splitlines() if line in {"source", "queue", "coordination", "sink sink"}]
    assert heads == ["source", "queue", "coordination", "sink sink"]


def test_what_a_checkpoint_and_the_binlog_s_limits_say_of_each_other(setting: Setting) -> None:
    setting.sql("FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
    setting.document["source"]["start"] = "earliest"
    file = write_connector(setting.folder, setting.document)
    drained = cdc("run", str(file), "--drain")
    assert drained.returncode == 0, drained.stderr
    # The server notices only by and by that the reader is gone, and names it as a replica until then.
    until(lambda: setting.findings(0) == [], 60, "there are no findings")
    # The checkpoint is in the last file, which is kept for ever; now it is not.
    setting.sql("FLUSH BINARY LOGS", "SET GLOBAL binlog_expire_logs_auto_purge = ON")
    setting.sql("SET GLOBAL binlog_expire_logs_seconds = 1")

    def warned() -> bool:
        return any(one.startswith("warning source, lag:") and "may be purged in" in one for one in setting.findings(0))

    # Little of the second must be left, and it begins when the next file is made.
    try:
        until(warned, 30, "nothing is said of the lag")
    finally:
        setting.sql("SET GLOBAL binlog_expire_logs_seconds = 2592000")


def test_values_that_are_too_long_for_a_message(setting: Setting) -> None:
    setting.sql("CREATE TABLE files (id INT PRIMARY KEY, body LONGBLOB)")
    found = setting.finding("queue", "max_allowed_packet", "files.body", level="warning")
    needed = int(found.partition("max_message_bytes to ")[2].partition(",")[0])
    setting.document["queue"]["max_message_bytes"] = needed
    assert setting.findings(0) == []


def test_a_unique_key_is_a_finding_where_the_target_alone_has_it(setting: Setting) -> None:
    with psycopg.connect(setting.document["sink"]["url"], autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE orders (id BIGINT PRIMARY KEY, email VARCHAR(50), total DECIMAL(30,10), UNIQUE (email))"
        )
    setting.finding("sink sink", "unique keys", "orders_email_key", level="warning")
    setting.sql("ALTER TABLE orders ADD UNIQUE (email)")
    assert setting.findings(0) == []


def test_cascades_are_told_with_the_source(setting: Setting) -> None:
    setting.sql(
        "CREATE TABLE items (id INT PRIMARY KEY, parent BIGINT,"
        " FOREIGN KEY (parent) REFERENCES orders (id) ON DELETE CASCADE)"
    )
    assert f"foreign keys cascades are in the binlog: {setting.source.dbname}.items" in setting.run().output
