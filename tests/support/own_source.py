"""A MySQL or MariaDB with its own binlogs, for tests that reset, purge or restart them."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from cdc.local import Server, start_server
from cdc.local.start import WAYS
from cdc.model.errors import LocalServerError
from tests.fixtures.servers import Database, connect


def start_own_source(kind: str, directory: Path, *options: str, ways: Sequence[str] = WAYS) -> Server:
    """Started, and the caller's to remove; where it cannot be had the test skips, and fails where CI=true."""
    try:
        return start_server(kind, directory / kind, options=options, ways=ways)
    except LocalServerError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


def fresh_database(server: Server, name: str = "shop") -> Database:
    """An empty database, and a binlog that begins anew with it."""
    with connect(server) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(reset_statement(server))
        cursor.execute(f"CREATE DATABASE {name}")
    return Database(server, name)


def reset_statement(server: Server) -> str:
    return "RESET BINARY LOGS AND GTIDS" if server.kind == "mysql" else "RESET MASTER"
