"""A connector with three sinks at once, over Redis Streams or Kafka."""

import sqlite3
import zlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.fixtures.servers import Database
from tests.support.pipeline import connector, write_connector
from tests.support.sides import mysql_connection

LEASE_SECONDS = 3.0


def end_of_binlog(database: Database) -> str:
    """The source's end now, as `file:offset`."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW BINARY LOG STATUS")
        found = cursor.fetchone()
    assert found is not None, "the source writes no binlog"
    return f"{found[0]}:{found[1]}"


def write_three_sinks(
    folder: Path,
    source: Database,
    sinks: Mapping[str, str],
    queue: Mapping[str, Any],
    *,
    order: str,
    start: str | None = None,
    sink_settings: Mapping[str, Any] | None = None,
) -> Path:
    """The file of a connector that captures `source` whole, from its end now on (or `start`), into `sinks` (URL by name)."""
    name = f"f-{zlib.crc32(f'{source.dbname}{order}'.encode()):08x}"
    document = connector(
        name, source_url=source.server.url, target_url="", tables=[f"{source.dbname}.*"], order=order, **queue
    )
    document["source"]["start"] = start or end_of_binlog(source)
    del document["sink"]
    document["sinks"] = {kind: {"url": url, **(sink_settings or {})} for kind, url in sinks.items()}
    if order == "transaction":
        document["queue"].pop("lanes", None)
    return write_connector(folder, document)


def statement_at(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Runs one statement at a target, in a transaction of its own; its rows, if it has any."""
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        # A sink may be writing: the file's lock is waited for.
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=60, isolation_level=None)) as sqlite:
            return sqlite.execute(statement).fetchall()
    if scheme == "postgresql":
        with psycopg.connect(url, autocommit=True) as postgresql:
            answer = postgresql.execute(statement.encode())
            return answer.fetchall() if answer.description else []
    with closing(mysql_connection(url)) as mysql, mysql.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def applied(url: str) -> int:
    """How many change events the target says it has applied, over all lanes; an error before there is a lane."""
    return int(statement_at(url, "SELECT SUM(events) FROM _cdc_progress")[0][0])
