"""What the long runs need besides the servers: three targets at once, a queue by its name, and a place for figures."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from cdc.local import Server, start_server
from tests.support.sides import mysql_connection
from tests.support.sinks import LEASE_SECONDS

_figures = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if lines := config.stash.get(_figures, []):
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a sentence with a figure, shown at the end of the run with the test's name."""

    def add(sentence: str) -> None:
        request.config.stash.setdefault(_figures, []).append(f"{request.node.name}: {sentence}")

    return add


@pytest.fixture(scope="session")
def target_mysql(mysql: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A second MySQL, so that what the sink writes is not in the binlog that the reader reads."""
    server = start_server("mysql", tmp_path_factory.mktemp("servers") / "target", options=["--skip-log-bin"])
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def mysql_target_db(target_mysql: Server) -> Iterator[str]:
    """The URL of a fresh database on the second MySQL."""
    name = f"target_{secrets.token_hex(4)}"
    with mysql_connection(target_mysql.url) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(target_mysql.url)._replace(path=f"/{name}"))
    finally:
        with mysql_connection(target_mysql.url) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture
def sinks(pg_db: str, mysql_target_db: str, tmp_path: Path) -> dict[str, str]:
    """Three fresh targets, by the name of the sink."""
    return {"postgresql": pg_db, "mysql": mysql_target_db, "sqlite": f"sqlite:///{tmp_path / 'target.db'}"}


@pytest.fixture
def queue_sections(request: pytest.FixtureRequest) -> Callable[[str], dict[str, Any]]:
    """The sections `queue` and `coordination` of a connector file, for `redis` or `kafka`."""

    def sections(kind: str) -> dict[str, Any]:
        coordination = {"url": request.getfixturevalue("redis_url"), "lease_seconds": LEASE_SECONDS}
        url = coordination["url"] if kind == "redis" else request.getfixturevalue("kafka").url
        return {"queue": {"url": url, "lanes": 4}, "coordination": coordination}

    return sections
