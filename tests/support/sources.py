"""A source on a real server, and what its stream gives."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cdc.binlog.port import Altered, Begin, End, Item, Passed, Remembered, Rows, Stream, Truncated
from cdc.binlog.source import BinlogSource
from cdc.model.change import Draft
from cdc.model.checkpoint import SourcePoint
from cdc.model.config import SourceConfig, Url
from cdc.model.position import file_number
from cdc.model.schema_change import SchemaChange
from tests.fixtures.servers import Database

_server_ids = iter(range(71_001, 72_000))


def open_source(database: Database, *tables: str, url: str | None = None, **settings: Any) -> BinlogSource:
    """`tables`: patterns; without any, all of the database. Each source has a server_id of its own."""
    config = SourceConfig(
        url=Url(url or database.server.url),
        **{
            "server_id": next(_server_ids),
            "tables": tables or (f"{database.dbname}.*",),
            "heartbeat_seconds": 0.2,
            **settings,
        },
    )
    return BinlogSource(config, "test")


def execute(database: Database, *statements: str) -> None:
    with database.connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def streaming(source: BinlogSource, start: str = "latest") -> Iterator[Stream]:
    point = source.resolve(start)
    stream = source.stream(point, source.tables_at(point, ()))
    try:
        yield stream
    finally:
        stream.close()
        source.close()


def collect(stream: Stream, enough: Callable[[list[Item]], bool], seconds: float = 20) -> list[Item]:
    """Items, Passed ones left out, until `enough` says so. The stream's errors come out as they are."""
    found: list[Item] = []
    deadline = time.monotonic() + seconds
    for item in stream.items(lambda: 0.05):
        if item is not None and not isinstance(item, Passed | Remembered):
            found.append(item)
            if enough(found):
                return found
        assert time.monotonic() < deadline, f"{len(found)} items only: {found[-5:]}"
    raise AssertionError("the stream ended")


def drain(stream: Stream, source: BinlogSource, seconds: float = 20) -> list[Item]:
    """All items but Passed ones up to what is the end now."""
    end = _place(source.end())
    found: list[Item] = []
    deadline = time.monotonic() + seconds
    for item in stream.items(lambda: 0.05):
        if item is not None and not isinstance(item, Passed | Remembered):
            found.append(item)
        if isinstance(item, Passed | End) and _place(item.point) >= end:
            return found
        assert time.monotonic() < deadline, f"neither the end nor an error: {found[-5:]}"
    raise AssertionError("the stream ended")


def _place(point: SourcePoint) -> tuple[int, int]:
    return file_number(point.file), point.offset


def drain_for_ever(stream: Stream, seconds: float = 30) -> None:
    """Reads until the stream raises; fails the test when it does not."""
    deadline = time.monotonic() + seconds
    for _ in stream.items(lambda: 0.05):
        assert time.monotonic() < deadline, "no error"


def transactions(stream: Stream, count: int, seconds: float = 20) -> list[list[Item]]:
    """The next `count` transactions with captured rows, each from Begin to End."""
    items = collect(stream, lambda found: sum(isinstance(item, End) for item in found) >= count, seconds)
    groups: list[list[Item]] = []
    for item in items:
        if isinstance(item, Begin):
            groups.append([])
        groups[-1].append(item)
    return groups


def drafts(items: list[Item]) -> list[Draft]:
    return [draft for item in items if isinstance(item, Rows) for draft in item.drafts]


def alterations(items: list[Item]) -> list[SchemaChange]:
    return [item.change for item in items if isinstance(item, Altered)]


def truncations(items: list[Item]) -> list[Truncated]:
    return [item for item in items if isinstance(item, Truncated)]


def idle(stream: Stream, source: BinlogSource, seconds: float = 20) -> Passed:
    """The first Passed that a heartbeat made at what is the end now, or later; heartbeats of before may be under way."""
    end = _place(source.end())
    deadline = time.monotonic() + seconds
    for item in stream.items(lambda: 0.05):
        if isinstance(item, Passed) and item.idle and _place(item.point) >= end:
            return item
        assert time.monotonic() < deadline, "no idle heartbeat"
    raise AssertionError("the stream ended")
