"""Where reading begins, and whether it can go on: on servers whose binlogs are reset, purged and replicated here."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cdc.binlog.port import End
from cdc.binlog.source import BinlogSource
from cdc.local import Server
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import NotUnderstood, PositionError, SourceChanged, SourceRefused, SourceUnavailable
from tests.fixtures.servers import Database
from tests.support.own_source import fresh_database, reset_statement, start_own_source
from tests.support.sources import drafts, drain, drain_for_ever, execute, open_source, transactions
from tests.support.wait import until

TABLE = "CREATE TABLE items (id int PRIMARY KEY, name varchar(40))"


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
def own_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_own_source(request.param, tmp_path_factory.mktemp("own"))
    yield server
    server.remove()


@pytest.fixture
def shop(own_server: Server) -> Database:
    return fresh_database(own_server)


@pytest.fixture
def source(shop: Database) -> Iterator[BinlogSource]:
    execute(shop, TABLE)
    source = open_source(shop)
    yield source
    source.close()


def insert(shop: Database, *ids: int) -> None:
    execute(shop, *(f"INSERT INTO items VALUES ({number}, 'n')" for number in ids))


def ids_after(source: BinlogSource, point: SourcePoint) -> list[int]:
    stream = source.stream(point)
    try:
        return [int(str(draft.key["id"])) for draft in drafts(drain(stream, source))]
    finally:
        stream.close()


def boundaries(source: BinlogSource, begin: SourcePoint) -> list[SourcePoint]:
    """All boundaries after transactions with captured rows."""
    stream = source.stream(begin)
    found = [item.point for item in drain(stream, source) if isinstance(item, End)]
    stream.close()
    return found


def test_latest_and_earliest(shop: Database, source: BinlogSource) -> None:
    insert(shop, 1)
    execute(shop, "FLUSH BINARY LOGS")
    insert(shop, 2)
    latest = source.resolve("latest")
    insert(shop, 3)
    assert ids_after(source, latest) == [3]
    earliest = source.resolve("earliest")
    assert (earliest.file, earliest.offset, earliest.gtid_set) == ("mysql-bin.000001", 4, "")
    assert ids_after(source, earliest) == [1, 2, 3]
    assert latest.gtid_set
    assert latest == replace(source.resolve(str(latest.position)))


def test_every_boundary_is_itself_and_every_place_between_moves_back(shop: Database, source: BinlogSource) -> None:
    begin = source.resolve("latest")
    insert(shop, 1, 2)
    execute(shop, "INSERT INTO items VALUES (3, 'a'), (4, 'b')", "TRUNCATE items")
    known = [begin, *boundaries(source, begin)]
    assert len(known) == 5
    events = [row[1:3] for row in source._server.query(f"SHOW BINLOG EVENTS IN '{begin.file}' FROM {begin.offset}")]
    for offset, _ in events:
        before = next(point for point in reversed(known) if point.offset <= offset)
        assert source.resolve(f"{begin.file}:{offset}") == before
    # A statement's text is an event that MariaDB leaves out of the dump: a place inside it is one between two others.
    for offset in (at for at, kind in events if kind != "Annotate_rows"):
        with pytest.raises(PositionError, match="inside an event"):
            source.resolve(f"{begin.file}:{offset + 7}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mysql-bin.000001:99999999", "beyond the end"),
        ("mysql-bin.000009:4", "is not there yet"),
        ("other-bin.000001:4", "has no file"),
        ("mysql-bin.000001:2", "before the first event"),
        ("mysql-bin.000001:77", "no event at"),
        ("nonsense", "is not a binlog position"),
        ("2999-01-01", "in the future"),
        ("2026-13-01", "is not an ISO time"),
        ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5,x", "is not a GTID set"),
    ],
)
def test_impossible_starts_are_one_clear_error(source: BinlogSource, text: str, said: str) -> None:
    with pytest.raises(PositionError, match=said) as caught:
        source.resolve(text)
    assert caught.value.hint


def test_a_gtid_set_begins_after_exactly_its_transactions(shop: Database, source: BinlogSource) -> None:
    begin = source.resolve("latest")
    insert(shop, 1, 2)
    execute(shop, "FLUSH BINARY LOGS")
    insert(shop, 3, 4)
    for count, point in enumerate(boundaries(source, begin), 1):
        resolved = source.resolve(point.gtid_set)
        assert resolved.gtid_set == point.gtid_set
        assert ids_after(source, resolved) == list(range(count + 1, 5))
    server_part = begin.gtid_set.rpartition(":")[0] or "0-1"
    beyond = f"{server_part}:1-900" if ":" in begin.gtid_set else "0-1-900"
    with pytest.raises(PositionError, match="never had all of"):
        source.resolve(beyond)


def test_a_time_begins_at_the_first_commit_since(shop: Database, source: BinlogSource) -> None:
    insert(shop, 1)
    second = int(time.time()) + 1
    until(lambda: time.time() > second + 0.05, 5, "the next second")
    execute(shop, "FLUSH BINARY LOGS")
    insert(shop, 2)
    point = source.resolve(datetime.fromtimestamp(second, UTC).isoformat())
    assert ids_after(source, point) == [2]
    naive = datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat(" ")
    assert source.resolve(naive) == point
    assert ids_after(source, source.resolve("2020-01-01")) == [1, 2]
    now = datetime.now(UTC).isoformat()
    assert ids_after(source, source.resolve(now)) == []


def test_purged_files_are_named_with_the_way_out(shop: Database, source: BinlogSource) -> None:
    begin = source.resolve("latest")
    insert(shop, 1)
    execute(shop, "FLUSH BINARY LOGS")
    insert(shop, 2)
    point = source.resolve("latest")

    def purged() -> bool:
        # MariaDB leaves a file alone, without a word, while a dump that just ended is still about to let it go.
        execute(shop, f"PURGE BINARY LOGS TO '{point.file}'")
        return source.files()[0].name == point.file

    until(purged, 10, "the first file purged")
    for attempt in (
        lambda: source.verify(begin),
        lambda: source.resolve(str(begin.position)),
        lambda: source.resolve(begin.gtid_set),
    ):
        with pytest.raises(PositionError, match="purged") as caught:
            attempt()
        assert "copy the tables anew" in caught.value.hint
    with pytest.raises(PositionError, match="purged"):
        source.resolve("2020-01-01")
    stream = source.stream(begin)
    with pytest.raises(PositionError, match=r"no binlog for this position any more"):
        drain_for_ever(stream)
    stream.close()
    assert source.verify(point) == point


def test_a_reset_source_is_refused(shop: Database, source: BinlogSource) -> None:
    insert(shop, 1)
    point = source.resolve("latest")
    without_gtids = replace(point, gtid_set="")
    second = int(time.time())
    until(lambda: time.time() > second + 1, 5, "another second, so that the file is told by its creation time")
    execute(shop, reset_statement(shop.server))
    with pytest.raises(SourceChanged, match="lacks transactions"):
        source.verify(point)
    with pytest.raises(SourceChanged, match="reset or restored"):
        source.verify(without_gtids)
    for number in range(2, 40):
        insert(shop, number)
    assert source.end().offset > point.offset
    with pytest.raises(SourceChanged, match="was begun at"):
        source.verify(without_gtids)
    stream = source.stream(replace(without_gtids, offset=4))
    with pytest.raises(SourceChanged, match="is not the file that it was"):
        drain_for_ever(stream)
    stream.close()


def test_a_file_that_is_gone_forward_is_a_reset(shop: Database, source: BinlogSource) -> None:
    point = replace(source.resolve("latest"), file="mysql-bin.000044", gtid_set="")
    with pytest.raises(SourceChanged, match="the source was reset"):
        source.verify(point)


def test_another_server_without_gtids_is_refused(source: BinlogSource) -> None:
    point = source.resolve("latest")
    with pytest.raises(SourceChanged, match="the checkpoint is of elsewhere"):
        source.verify(replace(point, source_id="elsewhere", gtid_set=""))


def test_a_failover_finds_the_place_on_a_server_with_the_same_transactions(
    shop: Database, source: BinlogSource
) -> None:
    """As after a switch: another identity, other files, the same GTIDs."""
    insert(shop, 1, 2)
    point = source.resolve("latest")
    insert(shop, 3)
    elsewhere = SourcePoint("elsewhere", "binlog.000777", 4711, point.gtid_set, 1_600_000_000)
    found = source.verify(elsewhere)
    assert found.source_id == source.identity()
    assert found.gtid_set == point.gtid_set
    assert ids_after(source, found) == [3]


def test_settings_that_make_the_binlog_unreadable_are_refused_at_the_start(
    shop: Database, source: BinlogSource
) -> None:
    for variable, bad, good in (
        ("binlog_format", "'STATEMENT'", "'ROW'"),
        ("binlog_format", "'MIXED'", "'ROW'"),
    ):
        point = source.resolve("latest")
        execute(shop, f"SET GLOBAL {variable} = {bad}")
        try:
            with pytest.raises(SourceRefused, match=variable) as caught:
                source.stream(point)
            assert f"SET GLOBAL {variable}=" in caught.value.hint
            assert any(f.level == "error" and f.subject == variable and f.fix for f in source.check())
        finally:
            execute(shop, f"SET GLOBAL {variable} = {good}")


def test_metadata_that_lacks_names_stops_at_its_event_where_no_history_has_them(
    shop: Database, source: BinlogSource
) -> None:
    with closing(source.stream(source.resolve("latest"))) as stream:
        execute(shop, "SET GLOBAL binlog_row_metadata = 'MINIMAL'")
        try:
            execute(shop, "INSERT INTO items VALUES (1, 'a')")
        finally:
            execute(shop, "SET GLOBAL binlog_row_metadata = 'FULL'")
        with pytest.raises(NotUnderstood, match=r"at mysql-bin\.\d+:\d+: table shop\.items.*binlog_row_metadata"):
            drain_for_ever(stream)


def test_a_binlog_without_checksums_is_read(shop: Database, source: BinlogSource) -> None:
    point = source.resolve("latest")
    execute(shop, "SET GLOBAL binlog_checksum = 'NONE'")
    try:
        insert(shop, 1, 2)
        assert ids_after(source, point) == [1, 2]
        assert ids_after(source, source.resolve("earliest")) == [1, 2]
        latest = source.resolve("latest")
    finally:
        execute(shop, "SET GLOBAL binlog_checksum = 'CRC32'")
    insert(shop, 3)
    assert ids_after(source, latest) == [3]
    assert ids_after(source, source.resolve("earliest")) == [1, 2, 3]


def test_a_restarted_server_is_unavailable_and_then_goes_on(shop: Database, source: BinlogSource) -> None:
    insert(shop, 1)
    begin = source.resolve("earliest")
    stream = source.stream(begin)
    _created, group = transactions(stream, 2)
    shop.server.restart()
    with pytest.raises(SourceUnavailable):
        drain_for_ever(stream)
    stream.close()
    end = group[-1]
    assert isinstance(end, End)
    insert(shop, 2)
    assert ids_after(source, source.verify(end.point)) == [2]


def test_seconds_until_purged(shop: Database, source: BinlogSource) -> None:
    first = source.end().file
    execute(shop, "SET GLOBAL binlog_expire_logs_seconds = 5000")
    assert source.seconds_until_purged(first) is None
    execute(shop, "FLUSH BINARY LOGS")
    left = source.seconds_until_purged(first)
    assert left is not None
    assert 4900 < left <= 5000
    execute(shop, "SET GLOBAL binlog_expire_logs_seconds = 0")
    assert source.seconds_until_purged(first) is None
    execute(shop, "SET GLOBAL binlog_expire_logs_seconds = 5000")
    with pytest.raises(PositionError):
        source.seconds_until_purged("mysql-bin.000900")


def test_a_mysql_without_gtids(tmp_path_factory: pytest.TempPathFactory) -> None:
    options = ("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")
    server = start_own_source("mysql", tmp_path_factory.mktemp("own"), *options)
    try:
        shop = fresh_database(server)
        execute(shop, TABLE)
        source = open_source(shop)
        begin = source.resolve("latest")
        assert begin.gtid_set == ""
        insert(shop, 1)
        execute(shop, "FLUSH BINARY LOGS")
        insert(shop, 2)
        assert ids_after(source, source.verify(begin)) == [1, 2]
        assert [point.gtid_set for point in boundaries(source, begin)] == ["", ""]
        assert any(finding.subject == "gtid_mode" and finding.level == "warning" for finding in source.check())
        source.close()
    finally:
        server.remove()
