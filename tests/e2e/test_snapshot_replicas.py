"""A copy waits for a real replica that is behind, or does not replicate, and goes on when it has caught up."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from cdc.binlog.replica_lag import Replicas
from cdc.binlog.rows_port import ReplicaLag
from cdc.local import Server
from cdc.local.ports import free_port
from cdc.model.config import SourceConfig
from tests.fixtures.servers import Database, connect
from tests.support.own_source import fresh_database, start_own_source
from tests.support.pipeline import Process, connector, write_connector
from tests.support.sinks import statement_at
from tests.support.wait import until

_SECONDS = 180


class Pair:
    """A source with a database, and its replica, both of the test's own."""

    def __init__(self, source: Database, replica: Server) -> None:
        self.source = source
        self.replica = replica

    def replicate(self, delay_seconds: int = 0) -> None:
        parts = urlsplit(self.source.server.url)
        arguments = (parts.port, unquote(parts.username or ""), unquote(parts.password or ""))
        with connect(self.replica) as connection, connection.cursor() as cursor:
            if self.replica.kind == "mysql":
                cursor.execute("STOP REPLICA")
                cursor.execute(
                    "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = %s, SOURCE_USER = %s,"
                    " SOURCE_PASSWORD = %s, SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_DELAY = %s",
                    (*arguments, delay_seconds),
                )
                cursor.execute("START REPLICA")
                return
            cursor.execute("STOP SLAVE")
            cursor.execute(
                "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %s, MASTER_USER = %s, MASTER_PASSWORD = %s,"
                " MASTER_USE_GTID = slave_pos, MASTER_DELAY = %s",
                (*arguments, delay_seconds),
            )
            cursor.execute("START SLAVE")

    def at_replica(self, statement: str) -> None:
        with connect(self.replica) as connection, connection.cursor() as cursor:
            cursor.execute(statement)

    def at_source(self, *statements: str) -> None:
        with self.source.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


@pytest.fixture(params=["mysql", "mariadb"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    servers = [
        start_own_source(request.param, tmp_path / name, f"--server-id={number}")
        for name, number in (("source", 71), ("replica", 72))
    ]
    source = fresh_database(servers[0])
    yield Pair(source, servers[1])
    for server in servers:
        server.remove()


def snapshot(*urls: str) -> dict[str, Any]:
    return {"max_replica_lag_seconds": 2, "replicas": list(urls)}


def asked(pair: Pair, *urls: str) -> list[ReplicaLag]:
    given = {"url": pair.source.server.url, "server_id": 1, "tables": ["*.*"], "snapshot": snapshot(*urls)}
    with closing(Replicas(SourceConfig.model_validate(given))) as replicas:
        return list(replicas.lags())


def test_a_copy_waits_for_a_replica_that_is_behind_or_does_not_replicate(pair: Pair, tmp_path: Path) -> None:
    pair.at_source("CREATE TABLE items (id INT PRIMARY KEY)", "INSERT INTO items VALUES (1), (2), (3)")
    nobody, alone = f"mysql://a:secret-word@127.0.0.1:{free_port()}", pair.source.server.url
    away, none = asked(pair, nobody, alone)
    assert away.seconds is None
    assert "does not tell how far it is" in away.problem
    assert "secret-word" not in away.problem
    assert none.problem == "is no replica"

    pair.replicate(delay_seconds=3600)
    until(lambda: (asked(pair, pair.replica.url)[0].seconds or 0) > 2, _SECONDS, "the replica is behind")
    target = f"sqlite:///{tmp_path / 'target.db'}"
    document = connector(
        "replicas",
        source_url=pair.source.server.url,
        target_url=target,
        tables=["shop.*"],
        queue={"url": "memory://"},
        source={"start": "snapshot", "snapshot": snapshot(pair.replica.url)},
    )
    with Process(tmp_path, "run", str(write_connector(tmp_path, document))) as process:
        until(lambda: "s behind  action=copy.paced" in process.text(), _SECONDS, process.text)
        pair.at_replica("STOP REPLICA SQL_THREAD" if pair.replica.kind == "mysql" else "STOP SLAVE SQL_THREAD")
        until(lambda: "does not replicate  action=copy.paced" in process.text(), _SECONDS, process.text)
        assert "copy.done" not in process.text()
        pair.replicate()
        until(lambda: "action=copy.resumed" in process.text(), _SECONDS, process.text)
        until(lambda: statement_at(target, "SELECT COUNT(*) FROM items")[0][0] == 3, _SECONDS, process.text)
