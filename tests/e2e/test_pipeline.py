"""A row committed at the source stands, once and in order, at the other side: real servers, real processes."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.fixtures.servers import Database
from tests.support.pipeline import Process, cdc, connector, write_connector
from tests.support.sides import differences, mysql_connection, rows
from tests.support.wait import until
from tests.support.workload import TABLES, Work

COMBINATIONS = [
    ("mysql", "redis", "postgresql", "key"),
    ("mysql", "kafka", "mysql", "key"),
    ("mysql", "memory", "sqlite", "transaction"),
    ("mariadb", "redis", "mariadb", "transaction"),
    ("mariadb", "kafka", "sqlite", "key"),
    ("mariadb", "kafka", "postgresql", "transaction"),
]


@pytest.fixture
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database on the kind of target that the test is parametrized with."""
    kind = request.param
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'target.db'}"
    elif kind == "postgresql":
        yield request.getfixturevalue("pg_db")
    else:
        server = request.getfixturevalue(kind)
        name = f"target_{secrets.token_hex(4)}"
        with mysql_connection(server.url).cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(server.url)._replace(path=f"/{name}"))
        with mysql_connection(server.url).cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture
def source(request: pytest.FixtureRequest) -> Database:
    """A fresh database on the kind of source that the test is parametrized with."""
    found: Database = request.getfixturevalue(f"{request.param}_db")
    return found


def position(database: Database) -> str:
    """The source's end now, so that a test reads its own events only."""
    with database.connect() as connection, connection.cursor() as cursor:
        for statement in ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
            try:
                cursor.execute(statement)
            except Exception:  # noqa: BLE001,S112 - the other server's word for it
                continue
            file, offset, *_ = cursor.fetchone()
            return f"{file}:{offset}"
    raise AssertionError("the source does not tell its position")


def queue_sections(kind: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    if kind == "memory":
        return {"queue": {"url": "memory://"}}
    redis = request.getfixturevalue("redis_url")
    if kind == "redis":
        return {"queue": {"url": redis}}
    return {"queue": {"url": request.getfixturevalue("kafka").url}, "coordination": {"url": redis}}


def unlike(source: Database, target: str) -> list[str]:
    found = []
    for table, key in TABLES.items():
        found += differences(rows(source.url, table, key), rows(target, table, key))
    return found


@pytest.mark.parametrize(
    ("source", "queue", "target_url", "order"),
    COMBINATIONS,
    indirect=["source", "target_url"],
    ids=["-".join(one) for one in COMBINATIONS],
)
def test_both_sides_are_equal_after_random_work(
    source: Database, queue: str, target_url: str, order: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    start = position(source)
    # Closed whatever happens: an open transaction's metadata lock would block the fixture's DROP DATABASE.
    connection = mysql_connection(source.url, autocommit=False)
    request.addfinalizer(connection.close)
    work = Work(connection, seed=secrets.randbelow(10**6))
    work.create()
    work.transactions(60)
    document = connector(
        f"t-{source.dbname.replace('_', '-')}",
        source_url=source.server.url,
        target_url=target_url,
        tables=[f"{source.dbname}.*"],
        order=order,
        **queue_sections(queue, request),
    )
    document["source"]["start"] = start
    file = write_connector(tmp_path, document)

    done = cdc("run", str(file), "--drain")
    assert done.returncode == 0, done.stderr
    assert unlike(source, target_url) == []

    if queue == "memory":  # it forgot everything with its process
        return
    with Process(tmp_path, "run", str(file)) as process:
        work.transactions(200)
        until(lambda: not unlike(source, target_url), 60, "both sides equal")
        assert process.end() == 0, process.text()
    assert unlike(source, target_url) == []
