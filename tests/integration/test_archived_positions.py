"""Positions that a server has purged, read from copies of its binlog files and on into the live stream."""

import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from cdc.binlog.port import End, Item
from cdc.binlog.source import BinlogSource
from cdc.local import Server
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import BinlogDamaged, CdcError, PositionError, SourceChanged
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


def test_a_place_is_found_in_the_archive_by_offset_by_gtids_and_by_time(shop: Database, past: Past) -> None:
    source, points = past.source, past.points
    for number in (0, 1, 2, 5, 6, 7, 10):
        point = points[number]
        assert ids_after(source, source.resolve(point.gtid_set)) == list(range(number + 1, 11))
        assert ids_after(source, source.resolve(str(point.position))) == list(range(number + 1, 11))
    asked = event_inside(past, points[3])
    moved_back = source.resolve(f"{points[3].file}:{asked}")
    assert points[3].offset <= moved_back.offset < asked
    assert moved_back.gtid_set == points[3].gtid_set
    assert ids_after(source, moved_back) == list(range(4, 11))
    assert ids_after(source, source.resolve("2020-01-01")) == list(range(1, 11))
    with pytest.raises(PositionError, match="inside an event"):
        source.resolve(f"{points[3].file}:{points[3].offset + 7}")
    with pytest.raises(PositionError, match="beyond the end"):
        source.resolve(f"{points[3].file}:99999999")
    assert source.resolve("earliest").file == past.names[3]


def test_urls_name_places_that_source_archives_has_too(shop: Database, past: Past, tmp_path: Path) -> None:
    source, folder = past.source, past.folder
    first = source.resolve(f"file://{folder}/")
    assert (first.file, first.offset) == (past.names[0], 4)
    assert first.source_id == source.identity()
    point = past.points[4]
    assert source.resolve(f"file://{folder}/{point.position}") == point
    assert source.resolve(f"file://{folder}/{past.names[1]}, file://{folder}/").file == past.names[1]
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder, elsewhere)
    assert source.resolve(f"file://{elsewhere}/{point.position}") == point
    without = open_source(shop)
    with pytest.raises(PositionError, match=r"source\.archives does not name") as caught:
        without.resolve(f"file://{folder}/")
    assert f"archives: [file://{folder}/]" in caught.value.hint
    with pytest.raises(PositionError, match="was purged"):
        without.verify(point)
    without.close()


def test_a_url_of_a_file_that_the_server_still_has_is_read_from_the_server(shop: Database, past: Past) -> None:
    copies = copy_binlogs(shop, past.folder, *past.names[3:])
    point = past.points[8]
    assert past.source.resolve(f"file://{past.folder}/{point.position}") == point
    assert ids_after(past.source, past.source.resolve(f"file://{copies[0]}")) == [7, 8, 9, 10]
    assert [f.level for f in past.source.check() if f.subject == "archives"] == ["ok"]
    (past.folder / past.names[1]).replace(copies[0])
    with pytest.raises(SourceChanged, match="is not the file that the source has by that name"):
        past.source.resolve(f"file://{copies[0]}")
    errors = [f for f in past.source.check() if f.subject == "archives" and f.level == "error"]
    assert errors, past.source.check()


def test_how_far_behind_and_how_long_until_it_is_purged_count_the_archive(shop: Database, past: Past) -> None:
    sizes = {path.name: path.stat().st_size for path in past.folder.iterdir()}
    sizes |= {file.name: file.size_bytes for file in past.source.files()}
    point = past.points[3]
    following = [past.names[i] for i in range(past.names.index(point.file) + 1, 5)]
    expected = sizes[point.file] - point.offset + sum(sizes[name] for name in following)
    assert past.source.bytes_behind(point.position) == expected
    execute(shop, "SET GLOBAL binlog_expire_logs_seconds = 5000")
    try:
        left = past.source.seconds_until_purged(point.file)
        assert left is not None
        assert 4900 < left <= 5000
    finally:
        execute(shop, "SET GLOBAL binlog_expire_logs_seconds = 0")


def test_a_missing_file_in_the_middle_is_named(shop: Database, past: Past) -> None:
    (past.folder / past.names[1]).unlink()
    for attempt in (
        lambda: past.source.verify(past.points[1]),
        lambda: past.source.resolve(past.points[1].gtid_set),
        lambda: past.source.resolve(f"file://{past.folder}/"),
    ):
        with pytest.raises(PositionError, match=rf"{past.names[1]} is missing.*first file is {past.names[3]}"):
            attempt()
    error = failure(past.source, past.points[1])
    assert isinstance(error, BinlogDamaged)
    assert "is missing" in error.message
    assert "bring it into the archive" in error.hint
    (finding,) = [f for f in past.source.check() if f.subject == "archives" and f.level == "warning"]
    assert past.names[1] in finding.text


def test_an_archive_that_ends_before_the_servers_first_file_is_a_hole(past: Past) -> None:
    (past.folder / past.names[2]).rename(past.folder / f"{past.names[2]}.gz")
    with pytest.raises(PositionError, match=rf"{past.names[2]} was purged.*compressed") as caught:
        past.source.verify(past.points[1])
    assert "uncompress" in caught.value.hint
    assert any(f.level == "error" and "compressed" in f.text for f in past.source.check() if f.subject == "archives")


def test_a_copy_that_lacks_its_end_is_damage_and_never_passed_over(past: Past) -> None:
    """Cut inside an event, between two transactions, and inside a transaction: what lies behind is never skipped."""
    path = past.folder / past.names[1]
    whole = path.read_bytes()
    starts = (len(whole) - 3, past.points[3].offset, past.points[3].offset + 5, past.points[2 + 1].offset + 90)
    for cut in starts:
        path.write_bytes(whole[:cut])
        error = failure(past.source, past.points[1])
        assert isinstance(error, BinlogDamaged), error
        assert past.names[1] in error.message
    path.write_bytes(whole)
    assert len(ids_after(past.source, past.points[1])) == 9


def test_a_checkpoint_behind_the_end_of_a_short_copy_is_refused(past: Past) -> None:
    path = past.folder / past.names[1]
    path.write_bytes(path.read_bytes()[: past.points[3].offset])
    with pytest.raises(PositionError, match=r"archived copy .* ends at"):
        past.source.verify(replace(past.points[3], offset=past.points[3].offset + 100))


def test_an_archive_that_cannot_be_read_is_said_with_path_and_machine_and_is_in_nobodys_way(past: Past) -> None:
    shutil.rmtree(past.folder)
    with pytest.raises(PositionError, match=rf"{past.folder} cannot be read on {socket.gethostname()}"):
        past.source.verify(past.points[1])
    assert past.source.verify(past.points[9]) == past.points[9]
    assert ids_after(past.source, past.points[9]) == [10]
    assert past.source.resolve("latest").position == past.source.end().position
    assert [f.level for f in past.source.check() if f.subject == "archives"] == ["error"]


def test_files_of_another_server_or_of_before_a_reset_are_refused(
    shop: Database, past: Past, mysql_db: Database, mariadb_db: Database, tmp_path: Path
) -> None:
    other = mariadb_db if shop.server.kind == "mysql" else mysql_db
    copy_as(other, past.folder / past.names[1])
    with pytest.raises(SourceChanged, match="is of"):
        past.source.verify(past.points[1])
    same_kind = mysql_db if shop.server.kind == "mysql" else mariadb_db
    copy_as(same_kind, past.folder / past.names[1])
    if shop.server.kind == "mysql":
        with pytest.raises(SourceChanged, match=r"never had|was begun after|does not go on"):
            past.source.verify(past.points[1])
    # What cannot be told beforehand is at the latest found where one file goes on in the next.
    assert isinstance(failure(past.source, past.points[1]), SourceChanged | BinlogDamaged)


def copy_as(other: Database, path: Path) -> None:
    name = file_names(other)[0]
    (copy,) = copy_binlogs(other, path.parent / "other", name)
    copy.replace(path)


def test_the_check_says_that_the_archive_joins_the_server(past: Past) -> None:
    (finding,) = [f for f in past.source.check() if f.subject == "archives"]
    assert finding.level == "ok", finding
    assert finding.text.startswith("3 files without a hole")


def test_a_server_that_crashed_leaves_a_file_without_rotation_which_is_read_on_from(
    shop: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    source = open_source(shop, archives=(f"file://{folder}/",))
    begin = source.resolve("latest")
    insert(shop, 1, 2)
    shop.server.kill()
    shop.server.restart()
    insert(shop, 3)
    shop.server.restart()
    insert(shop, 4)
    execute(shop, "FLUSH BINARY LOGS")
    insert(shop, 5)
    names = file_names(shop)
    copy_binlogs(shop, folder, *names[:-1])
    purge_to(shop, names[-1])
    assert source.verify(begin) == begin
    assert ids_after(source, begin) == [1, 2, 3, 4, 5]
    source.close()


def test_files_without_checksums_are_read(shop: Database, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    source = open_source(shop, archives=(f"file://{folder}/",))
    execute(shop, "SET GLOBAL binlog_checksum = 'NONE'")
    try:
        begin = source.resolve("latest")
        insert(shop, 1, 2)
        middle = source.resolve("latest")
        insert(shop, 3)
        execute(shop, "FLUSH BINARY LOGS")
        insert(shop, 4)
    finally:
        execute(shop, "SET GLOBAL binlog_checksum = 'CRC32'")
    insert(shop, 5)
    *old, newest = file_names(shop)
    copy_binlogs(shop, folder, *old)
    purge_to(shop, newest)
    assert ids_after(source, source.verify(begin)) == [1, 2, 3, 4, 5]
    assert ids_after(source, source.resolve(str(middle.position))) == [3, 4, 5]
    source.close()


def test_an_xa_transaction_prepared_in_an_archived_file_and_committed_in_a_live_one_is_read(
    shop: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    source = open_source(shop, archives=(f"file://{folder}/",))
    execute(shop, "XA START 'a'", "INSERT INTO items VALUES (1, 'xa')", "XA END 'a'", "XA PREPARE 'a'")
    execute(shop, "FLUSH BINARY LOGS")
    *old, newest = file_names(shop)
    copy_binlogs(shop, folder, *old)
    purge_to(shop, newest)
    begin = source.resolve("latest")
    assert begin.file == newest
    execute(shop, "XA COMMIT 'a'")
    insert(shop, 2)
    assert ids_after(source, begin) == [1, 2]
    source.close()


def event_inside(past: Past, point: SourcePoint) -> int:
    """The start of the second event of the transaction that follows. MariaDB may write a Binlog_checkpoint (161) before it."""
    raw = (past.folder / point.file).read_bytes()
    at = point.offset
    while raw[at + 4] == 161:
        at += int.from_bytes(raw[at + 9 : at + 13], "little")
    return at + int.from_bytes(raw[at + 9 : at + 13], "little")


def test_a_mysql_without_gtids_is_read_on_from_whole_copies_only(tmp_path: Path) -> None:
    server = start_own_source("mysql", tmp_path / "own", "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")
    try:
        shop = fresh_database(server)
        execute(shop, TABLE)
        folder = tmp_path / "archive"
        source = open_source(shop, archives=(f"file://{folder}/",))
        begin = source.resolve("latest")
        insert(shop, 1)
        execute(shop, "FLUSH BINARY LOGS")
        insert(shop, 2)
        early = copy_binlogs(shop, folder, file_names(shop)[-1])
        insert(shop, 3)
        execute(shop, "FLUSH BINARY LOGS")
        insert(shop, 4)
        *old, newest = file_names(shop)
        cut = early[0].read_bytes()
        copy_binlogs(shop, folder, *old)
        purge_to(shop, newest)
        assert source.verify(begin) == begin
        assert ids_after(source, begin) == [1, 2, 3, 4]
        early[0].write_bytes(cut)
        error = failure(source, begin)
        assert isinstance(error, BinlogDamaged)
        assert "ends without a rotation" in error.message
        source.close()
    finally:
        server.remove()
