"""A fresh place at each target of the registry."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from cdc.target.memory import forget
from cdc.target.port import LaneWriter, Target
from cdc.target.registry import ADAPTERS
from tests.support.targets import Place

LEASE_SECONDS = 2.0
_DATABASES = {"postgresql": "pg_db", "mysql": "mysql_db", "mariadb": "mariadb_db"}


@pytest.fixture(params=list(ADAPTERS))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    kind = request.param
    if kind == "memory":
        url = f"memory://{secrets.token_hex(4)}"
        yield Place(kind, url)
        forget(url)
    elif kind == "sqlite":
        yield Place(kind, f"sqlite:///{tmp_path / 'target.db'}")
    else:
        database = request.getfixturevalue(_DATABASES[kind])
        url = database if isinstance(database, str) else database.url
        yield Place(kind, urlunsplit(urlsplit(url)._replace(scheme=kind)))


@pytest.fixture
def target(place: Place) -> Iterator[Target]:
    opened = place.open()
    yield opened
    opened.close()


@pytest.fixture
def writer(target: Target) -> Iterator[LaneWriter]:
    """A writer that has taken over lane 0 with token 5."""
    opened = target.writer(LEASE_SECONDS)
    opened.take_over("0", 5)
    yield opened
    opened.close()
