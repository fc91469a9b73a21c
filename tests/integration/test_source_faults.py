"""Faults between a real source and us: flipped bits, cut and half-open connections, a failover to a replica."""

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from cdc.binlog.port import End
from cdc.binlog.source import BinlogSource
from cdc.local import Server
from cdc.model.errors import BinlogDamaged, CdcError, PositionError, SourceChanged, SourceUnavailable
from tests.fixtures.servers import Database, connect
from tests.support.own_source import fresh_database, start_own_source
from tests.support.proxy import FaultProxy
from tests.support.sources import drafts, drain_for_ever, execute, idle, open_source, streaming, transactions
from tests.support.wait import until

TABLE = "CREATE TABLE items (id int PRIMARY KEY, name varchar(400))"


@pytest.fixture
def proxy(any_source_db: Database) -> Iterator[FaultProxy]:
    with FaultProxy(any_source_db.server.url) as proxy:
        yield proxy


@pytest.fixture
def source(any_source_db: Database, proxy: FaultProxy) -> Iterator[BinlogSource]:
    """Behind the proxy."""
    execute(any_source_db, TABLE)
    source = open_source(any_source_db, url=proxy.url, read_timeout_seconds=1.0)
    yield source
    source.close()


def test_a_flipped_bit_on_the_way_stops_before_a_row_is_shown(
    any_source_db: Database, proxy: FaultProxy, source: BinlogSource
) -> None:
    with streaming(source) as stream:
        idle(stream, source)
        proxy.stall()
        # Deep in the rows event, whatever the size of the events before it: the row is most of what is sent.
        proxy.flip_bit(500)
        execute(any_source_db, "INSERT INTO items VALUES (1, REPEAT('x', 390))")  # its text is sent as well
        proxy.resume()
        with pytest.raises(BinlogDamaged, match=r"at mysql-bin\.\d+:\d+: the checksum of an event") as caught:
            drain_for_ever(stream)
    assert "compare the tables" in caught.value.hint


def test_a_cut_connection_is_unavailable_and_nothing_is_lost(
    any_source_db: Database, proxy: FaultProxy, source: BinlogSource
) -> None:
    at = source.resolve("latest")
    seen: list[int] = []
    for number in range(1, 6):
        execute(any_source_db, f"INSERT INTO items VALUES ({number}, 'n')")
        stream = source.stream(source.verify(at))
        (group,) = transactions(stream, 1)
        seen += [int(str(draft.key["id"])) for draft in drafts(group)]
        end = group[-1]
        assert isinstance(end, End)
        at = end.point
        proxy.cut()
        with pytest.raises(SourceUnavailable, match="broke"):
            drain_for_ever(stream)
        stream.close()
    assert seen == [1, 2, 3, 4, 5]


def test_a_connection_cut_inside_an_event_is_unavailable(
    any_source_db: Database, proxy: FaultProxy, source: BinlogSource
) -> None:
    with streaming(source) as stream:
        idle(stream, source)
        proxy.limit_replies(300)
        execute(any_source_db, f"INSERT INTO items VALUES (1, '{'x' * 390}')")
        with pytest.raises(SourceUnavailable):
            drain_for_ever(stream)


def test_a_half_open_connection_is_noticed_within_the_read_timeout(proxy: FaultProxy, source: BinlogSource) -> None:
    with streaming(source) as stream:
        idle(stream, source)
        proxy.stall()
        begin = time.monotonic()
        with pytest.raises(SourceUnavailable, match="no byte for 1 s, not even a heartbeat"):
            drain_for_ever(stream)
        assert 0.9 < time.monotonic() - begin < 5
        proxy.resume()


def test_swallowed_replies_are_noticed_too(proxy: FaultProxy, source: BinlogSource) -> None:
    with streaming(source) as stream:
        idle(stream, source)
        proxy.swallow_replies()
        with pytest.raises(SourceUnavailable, match="no byte"):
            drain_for_ever(stream)
        proxy.resume()


def test_a_slow_link_is_no_fault(any_source_db: Database, proxy: FaultProxy, source: BinlogSource) -> None:
    proxy.delay_seconds = 0.1
    with streaming(source) as stream:
        execute(any_source_db, "INSERT INTO items VALUES (1, 'a')")
        (group,) = transactions(stream, 1)
    assert [draft.key["id"] for draft in drafts(group)] == [1]


def test_facts_survive_a_cut_and_say_when_the_server_is_away(proxy: FaultProxy, source: BinlogSource) -> None:
    before = source.files()
    proxy.cut()
    assert source.files()[0] == before[0]
    proxy.refuse()
    with pytest.raises(SourceUnavailable):
        source.files()
    assert source.check()[-1].level == "error"
    proxy.accept()
    assert source.files()[0] == before[0]


# A failover: a real replica with GTIDs.


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """A MySQL and its replica."""
    directory = tmp_path_factory.mktemp("pair")
    first = start_own_source("mysql", directory / "a")
    second = start_own_source("mysql", directory / "b", "--server-id=2", "--log-replica-updates=ON")
    yield first, second
    second.remove()
    first.remove()


def replicate(first: Server, second: Server) -> None:
    parts = urlsplit(first.url)
    with connect(second) as connection, connection.cursor() as cursor:
        cursor.execute("STOP REPLICA")
        cursor.execute("RESET REPLICA ALL")
        cursor.execute(
            f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='{parts.hostname}', SOURCE_PORT={parts.port}, "
            f"SOURCE_USER='{parts.username}', SOURCE_PASSWORD='{parts.password}', SOURCE_AUTO_POSITION=1, "
            "GET_SOURCE_PUBLIC_KEY=1"
        )
        cursor.execute("START REPLICA")


def caught_up(first: Server, second: Server) -> bool:
    executed = []
    for server in (first, second):
        with connect(server) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@global.gtid_executed")
            executed.append((cursor.fetchone() or ("",))[0])
    return executed[0] == executed[1]


def test_a_failover_to_a_replica_goes_on_at_its_own_place(pair: tuple[Server, Server]) -> None:
    first, second = pair
    for server in pair:
        fresh_database(server, "unused")
        with connect(server) as connection, connection.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS shop")
            cursor.execute("RESET BINARY LOGS AND GTIDS")
    replicate(first, second)
    with connect(first) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE shop")
    shop, copy = Database(first, "shop"), Database(second, "shop")
    execute(shop, TABLE, "INSERT INTO items VALUES (1, 'a')", "FLUSH BINARY LOGS", "INSERT INTO items VALUES (2, 'b')")
    source = open_source(shop)
    point = source.resolve("latest")
    execute(shop, "INSERT INTO items VALUES (3, 'c')")
    until(lambda: caught_up(first, second), 20, "the replica has all")

    replica = open_source(copy)
    found = replica.verify(point)
    assert found.source_id == replica.identity() != point.source_id
    assert found.gtid_set == point.gtid_set
    stream = replica.stream(found)
    (group,) = transactions(stream, 1)
    assert [draft.key["id"] for draft in drafts(group)] == [3]
    stream.close()

    execute(copy, "STOP REPLICA")
    execute(shop, "INSERT INTO items VALUES (4, 'd')")
    ahead = source.resolve("latest")
    with pytest.raises(SourceChanged, match="lacks transactions"):
        replica.verify(ahead)

    execute(copy, "FLUSH BINARY LOGS")
    last = replica.end().file
    execute(copy, f"PURGE BINARY LOGS TO '{last}'")
    with pytest.raises(PositionError, match="were purged at the source"):
        replica.verify(point)
    for one in (source, replica):
        one.close()


def test_errors_of_every_kind_are_one_line_without_the_password(
    any_source_db: Database, proxy: FaultProxy, source: BinlogSource
) -> None:
    password = urlsplit(any_source_db.server.url).password or "?"
    proxy.refuse()
    with pytest.raises(CdcError) as caught:
        source.identity()
    assert password not in str(caught.value)
    assert password not in repr(caught.value)
    assert "\n" not in str(caught.value)
