"""Positions that a server has purged, read from copies of its binlog files and on into the live stream."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cdc.binlog.port import End, Item
from cdc.binlog.source import BinlogSource
from cdc.local import Server
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import CdcError
from tests.fixtures.servers import Database
from tests.support.binlog_copies import copy_binlogs, file_names, purge_to
from tests.support.own_source import fresh_database, start_own_source
from tests.support.sources import collect, drafts, drain, drain_for_ever, execute, open_source

TABLE = "CREATE TABLE items (id int PRIMARY KEY, name varchar(40))"


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
def own_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_own_source(request.param, tmp_path_factory.mktemp("own"))
    yield server
    server.remove()


@pytest.fixture
def shop(own_server: Server) -> Database:
    shop = fresh_database(own_server)
    execute(shop, TABLE)
    return shop


class Past(NamedTuple):
    """Five files with rows 1-2, 3-4, 5-6, 7-8, 9-10; the first three are purged, and lie in `folder`. `points`: the boundary
    behind each row's transaction, by its id; 0 the one before all."""

    folder: Path
    source: BinlogSource
    points: dict[int, SourcePoint]
    names: list[str]


@pytest.fixture
def past(shop: Database, tmp_path: Path) -> Iterator[Past]:
    folder = tmp_path / "archive"
    with_archive = open_source(shop, archives=(f"file://{folder}/",))
    begin = with_archive.resolve("latest")
    for number in range(1, 11):
        insert(shop, number)
        if number % 2 == 0 and number < 10:
            execute(shop, "FLUSH BINARY LOGS")
    found = ends(with_archive, begin)
    names = file_names(shop)
    assert len(names) == 5
    copy_binlogs(shop, folder, *names[:3])
    purge_to(shop, names[3])
    yield Past(folder, with_archive, dict(enumerate([begin, *found])), names)
    with_archive.close()


def insert(shop: Database, *ids: int) -> None:
    execute(shop, *(f"INSERT INTO items VALUES ({number}, 'n')" for number in ids))


def ends(source: BinlogSource, begin: SourcePoint) -> list[SourcePoint]:
    stream = source.stream(begin)
    found = [item.point for item in drain(stream, source) if isinstance(item, End)]
    stream.close()
    return found


def ids_after(source: BinlogSource, point: SourcePoint) -> list[int]:
    stream = source.stream(point)
    try:
        return [int(str(draft.key["id"])) for draft in drafts(drain(stream, source))]
    finally:
        stream.close()


def failure(source: BinlogSource, point: SourcePoint) -> CdcError:
    stream = source.stream(point)
    try:
        with pytest.raises(CdcError) as caught:
            drain_for_ever(stream)
    finally:
        stream.close()
    assert caught.value.hint
    return caught.value


def test_every_purged_boundary_is_read_on_from_into_the_live_stream(shop: Database, past: Past) -> None:
    for number in range(10):
        point = past.points[number]
        assert past.source.verify(point) == point
        items = read_on(past.source, point, 10 - number)
        assert [int(str(draft.key["id"])) for draft in drafts(items)] == list(range(number + 1, 11))
        assert [item.point for item in items if isinstance(item, End)] == [
            past.points[i] for i in range(number + 1, 11)
        ]
    stream = past.source.stream(past.points[1])
    insert(shop, 11)
    items = collect(stream, lambda found: sum(isinstance(item, End) for item in found) == 10)
    stream.close()
    assert len(drafts(items)) == 10


def read_on(source: BinlogSource, point: SourcePoint, transactions: int) -> list[Item]:
    stream = source.stream(point)
    try:
        return collect(stream, lambda found: sum(isinstance(item, End) for item in found) == transactions)
    finally:
        stream.close()
