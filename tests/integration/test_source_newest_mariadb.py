"""MariaDB from 11.4 on leaves out where the events of a transaction end: they count, at the places that the server tells."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdc.binlog.port import End, Item, Rows, Stretched
from cdc.local import Server
from cdc.model.checkpoint import SourcePoint
from tests.fixtures.servers import Database
from tests.support.binlog_copies import copy_binlogs, file_names
from tests.support.own_source import fresh_database, start_own_source
from tests.support.sources import drafts, drain, execute, open_source

TABLE = "CREATE TABLE items (id int PRIMARY KEY, name varchar(2000))"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_own_source("mariadb", tmp_path_factory.mktemp("newest"), ways=["unstable"])
    yield server
    server.remove()


@pytest.fixture(params=["python", "compiled"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CDC_DECODER", request.param)
    return str(request.param)


@pytest.fixture
def shop(server: Server) -> Database:
    """Its transactions: of one statement and of several, with and without their texts, some of several events, a compressed one,
    an XA one."""
    shop = fresh_database(server)
    execute(
        shop,
        TABLE,
        "INSERT INTO items SELECT seq, REPEAT('x', 1500) FROM seq_1_to_40",
        "BEGIN",
        "UPDATE items SET name = 'y' WHERE id > 20",
        "DELETE FROM items WHERE id > 30",
        "COMMIT",
        "SET SESSION binlog_annotate_row_events = OFF",
        "INSERT INTO items VALUES (50, 'é')",
        "SET SESSION binlog_annotate_row_events = ON",
        "SET GLOBAL log_bin_compress = ON",
        "INSERT INTO items SELECT seq, REPEAT('x', 1500) FROM seq_60_to_70",
        "SET GLOBAL log_bin_compress = OFF",
        "XA START 'a'",
        "INSERT INTO items VALUES (80, 'x'), (81, 'x')",
        "XA END 'a'",
        "XA PREPARE 'a'",
        "XA COMMIT 'a'",
        "DELETE FROM items WHERE id = 1",
    )
    return shop


def told(shop: Database) -> list[tuple[int, str, int]]:
    """Of each event: where it begins, its type, and where it says that it ends. XA COMMIT is one of its own."""
    with shop.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SHOW BINLOG EVENTS IN '{file_names(shop)[-1]}'")
        rows = cursor.fetchall()
    return [(int(row[1]), "XA COMMIT" if "XA COMMIT" in row[5] else str(row[2]), int(row[4])) for row in rows]


def read(shop: Database, begin: SourcePoint, **settings: Any) -> list[Item]:
    source = open_source(shop, **settings)
    stream = source.stream(begin, source.tables_at(begin, ()))
    try:
        return drain(stream, source)
    finally:
        stream.close()
        source.close()


def rows_of(items: list[Item]) -> list[tuple[int, int, list[object]]]:
    return [(item.offset, item.first_row, list(item.drafts)) for item in items if isinstance(item, Rows)]


def begin_of(shop: Database) -> SourcePoint:
    source = open_source(shop)
    try:
        return source.resolve(f"{file_names(shop)[-1]}:4")
    finally:
        source.close()


def test_every_row_comes_at_the_place_that_the_server_tells(shop: Database, decoder: str) -> None:
    log = told(shop)
    events = [(start, end) for start, kind, end in log if "rows" in kind.lower() and kind != "Annotate_rows"]
    assert len(events) > 8
    assert {end for _, end in events} == {0}, "this server says where its events end: the test shows nothing"
    items = read(shop, begin_of(shop))
    assert len(drafts(items)) == 40 + 20 + 10 + 1 + 11 + 2 + 1
    places = {item.offset for item in items if isinstance(item, Rows)}
    starts = {start for start, _ in events}
    # Rows of an XA transaction come at its COMMIT.
    assert len(starts - places) == 1
    assert places - starts == {start for start, kind, _ in log if kind == "XA COMMIT"}
    ends = {start for start, _, _ in log} | {max(end for _, _, end in log)}
    assert {item.point.offset for item in items if isinstance(item, End)} <= ends


def test_what_is_read_along_does_not_change_the_places(shop: Database, decoder: str) -> None:
    begin = begin_of(shop)
    assert rows_of(read(shop, begin, include_query=True)) == rows_of(read(shop, begin))


def test_from_every_end_of_a_transaction_the_rest_is_read(shop: Database) -> None:
    items = read(shop, begin_of(shop))
    ends = [index for index, item in enumerate(items) if isinstance(item, End)]
    assert len(ends) == 7
    for index in ends[:-1]:
        assert rows_of(read(shop, items[index].point)) == rows_of(items[index:])  # type: ignore[union-attr]


def test_a_position_inside_a_transaction_is_moved_back_to_its_start(shop: Database) -> None:
    source = open_source(shop)
    begins = [start for start, kind, _ in told(shop) if kind == "Gtid"]
    for start, kind, _ in told(shop):
        if kind in ("Table_map", "Annotate_rows"):
            resolved = source.resolve(f"{file_names(shop)[-1]}:{start}")
            assert resolved.offset == max(begin for begin in begins if begin < start)
    source.close()


def test_a_copy_of_the_file_reads_the_same(shop: Database, tmp_path: Path) -> None:
    expected = rows_of(read(shop, begin_of(shop)))
    (copy,) = copy_binlogs(shop, tmp_path / "archive", file_names(shop)[-1])
    execute(shop, "FLUSH BINARY LOGS", "INSERT INTO items VALUES (90, 'x')")
    source = open_source(shop, archives=(f"file://{copy.parent}/",))
    begin = source.resolve(f"{copy.name}:4")
    execute(shop, f"PURGE BINARY LOGS TO '{file_names(shop)[-1]}'")
    stream = source.stream(begin, source.tables_at(begin, ()))
    found = rows_of(drain(stream, source))
    stream.close()
    source.close()
    assert found[:-1] == expected


def test_many_transactions_are_read_in_few_steps(shop: Database, decoder: str) -> None:
    source = open_source(shop)
    begin = source.resolve("latest")
    execute(shop, *(f"INSERT INTO items VALUES ({number}, 'x')" for number in range(1000, 1300)))
    stream = source.stream(begin, source.tables_at(begin, ()))
    stretches = plain = 0
    last = max(end for _, _, end in told(shop))
    for item in stream.items(lambda: 0.05, stretches=True):
        stretches += isinstance(item, Stretched)
        plain += isinstance(item, Rows)
        end = item.end if isinstance(item, Stretched) else item.point if isinstance(item, End) else None
        if end is not None and end.offset == last:
            break
    stream.close()
    source.close()
    assert plain == 300 if decoder == "python" else stretches and plain < 30
