"""What the tests of the whole pipeline share: a fresh source, target and queue of the kinds that a test is parametrized with."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.fixtures.servers import Database
from tests.support.sides import mysql_connection


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
