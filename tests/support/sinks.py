"""A connector with three sinks at once, over Redis Streams or Kafka."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fixtures.servers import Database
from tests.support.pipeline import connector, write_connector

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
