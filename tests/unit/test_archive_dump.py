"""Archived files as one stream: files follow one another, and a copy that lacks a part of what was committed stops it."""

from pathlib import Path

import pytest

from cdc.binlog.archive.files_source import FilesSource
from cdc.binlog.port import Begin, End, Item, Truncated
from cdc.model.config import SourceConfig, Url
from cdc.model.errors import BinlogDamaged, CdcError, PositionError, SourceChanged
from tests.support.archive_files import CREATED, STOP, Written, gtids
from tests.support.binlog_events import QUERY, gtid_body, query_body

NAMES = [f"mysql-bin.{number:06d}" for number in range(1, 5)]


def source(folder: Path, place: str = "") -> FilesSource:
    config = SourceConfig(url=Url("mysql://u@h"), server_id=9, tables=("shop.*",), schema_changes="ignore")
    return FilesSource(config, f"file://{folder}/{place}")


def items(found: FilesSource, start: str = "") -> list[Item]:
    stream = found.stream(found.resolve(start) if start else found.begin())
    try:
        return [item for item in stream.items(lambda: 0.0) if isinstance(item, Begin | Truncated | End)]
    finally:
        stream.close()


def tables(found: FilesSource, start: str = "") -> list[str]:
    return [item.table for item in items(found, start) if isinstance(item, Truncated)]


def refused(folder: Path) -> CdcError:
    with pytest.raises(CdcError) as caught:
        tables(source(folder))
    assert caught.value.hint
    return caught.value


def three(gtid: bool = True) -> list[Written]:
    """Three files with two transactions each."""
    files: list[Written] = []
    for number in range(3):
        file = Written(NAMES[number], 2 * number if gtid else None, created=CREATED + number)
        for half in range(2):
            file.truncation(f"t{number}{half}")
        files.append(file.rotate(NAMES[number + 1]))
    return files


def write(folder: Path, *files: Written) -> None:
    for file in files:
        file.write(folder)


def test_files_are_read_one_after_the_other_to_the_end(tmp_path: Path) -> None:
    write(tmp_path, *three())
    found = source(tmp_path)
    assert tables(found) == ["t00", "t01", "t10", "t11", "t20", "t21"]
    ends = [item.point for item in items(found) if isinstance(item, End)]
    assert [point.file for point in ends] == [name for name in NAMES[:3] for _ in range(2)]
    assert ends[-1].gtid_set == gtids(6)
    assert ends[-1].source_id == "server-id-1"
    for number, point in enumerate(ends):
        assert found.resolve(str(point.position)) == point
        left = ["t00", "t01", "t10", "t11", "t20", "t21"][number + 1 :]
        assert tables(found, str(point.position)) == left
        assert tables(found, point.gtid_set) == left
    assert found.resolve("latest").gtid_set == gtids(6)
    assert found.resolve("earliest").position.file == NAMES[0]
    assert found.resolve("2020-01-01").position.file == NAMES[0]
    assert tables(source(tmp_path, NAMES[1])) == ["t10", "t11"]
    assert tables(source(tmp_path, f"{ends[2].position}, file://{tmp_path}")) == ["t11", "t20", "t21"]


def test_a_last_file_that_breaks_off_ends_at_its_last_whole_event(tmp_path: Path) -> None:
    *files, last = three()
    write(tmp_path, *files)
    last.write(tmp_path, last.bytes.rindex(b"TRUNCATE TABLE t21") + 3)
    assert tables(source(tmp_path)) == ["t00", "t01", "t10", "t11", "t20"]


@pytest.mark.parametrize("gtid", [True, False])
def test_a_file_that_breaks_off_inside_an_event_and_is_followed_is_damage(tmp_path: Path, gtid: bool) -> None:
    files = three(gtid)
    write(tmp_path, *files)
    files[1].write(tmp_path, len(files[1].bytes) - 5)
    error = refused(tmp_path)
    assert isinstance(error, BinlogDamaged)
    assert "breaks off inside an event" in error.message
    assert NAMES[1] in error.message


def test_a_file_that_lacks_its_last_transactions_is_damage_though_all_its_events_are_whole(tmp_path: Path) -> None:
    files = three()
    write(tmp_path, *files)
    cut = Written(NAMES[1], 2, created=CREATED + 1)
    cut.truncation("t10")
    cut.write(tmp_path)
    error = refused(tmp_path)
    assert isinstance(error, BinlogDamaged)
    assert f"lacks transactions that the file after it says were before it: {gtids(4)[:-3]}4" in error.message


def test_a_file_that_is_cut_inside_a_transaction_is_damage(tmp_path: Path) -> None:
    files = three()
    write(tmp_path, *files)
    cut = Written(NAMES[1], 2, created=CREATED + 1)
    cut.truncation("t10")
    cut.begun()
    cut.write(tmp_path)
    assert "lacks transactions" in refused(tmp_path).message
    cut.commit()
    cut.write(tmp_path)
    assert tables(source(tmp_path)) == ["t00", "t01", "t10", "t20", "t21"]


@pytest.mark.parametrize(
    "last", ["SAVEPOINT a", "ROLLBACK TO `a`", "INSERT INTO elsewhere.log VALUES (1)", "XA START X'61'"]
)
def test_a_transaction_is_not_whole_at_a_statement_inside_it(tmp_path: Path, last: str) -> None:
    write(tmp_path, *three())
    cut = Written(NAMES[1], 2, created=CREATED + 1)
    cut.truncation("t10")
    cut.begun()
    cut.add(QUERY, query_body(last))
    cut.write(tmp_path)
    with pytest.raises(BinlogDamaged, match="lacks transactions"):
        items(source(tmp_path))


def test_a_file_without_a_rotation_that_lacks_nothing_is_read_on_from(tmp_path: Path) -> None:
    write(tmp_path, *three())
    crashed = Written(NAMES[1], 2, created=CREATED + 1, flags=1)
    crashed.truncation("t10")
    crashed.truncation("t11")
    crashed.write(tmp_path)
    assert tables(source(tmp_path)) == ["t00", "t01", "t10", "t11", "t20", "t21"]


def test_without_gtids_a_file_that_ends_without_a_rotation_is_refused_where_another_follows(tmp_path: Path) -> None:
    write(tmp_path, *three(gtid=False))
    cut = Written(NAMES[1], None, created=CREATED + 1)
    cut.write(tmp_path)
    assert "nobody can tell whether it is whole" in refused(tmp_path).message
    cut.add(STOP, b"")
    cut.write(tmp_path)
    assert tables(source(tmp_path)) == ["t00", "t01", "t20", "t21"]
    mixed = Written(NAMES[1], 2, created=CREATED + 1)  # gtid_mode=ON_PERMISSIVE
    mixed.truncation("t10")
    mixed.truncation("t11")
    mixed.add(34, gtid_body(0))
    mixed.add(QUERY, query_body("TRUNCATE TABLE t12"))
    mixed.write(tmp_path)
    write(tmp_path, *[file for file in three() if file.name != NAMES[1]])
    assert "nobody can tell whether it is whole" in refused(tmp_path).message


def test_rows_of_a_transaction_without_an_end_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = Written()
    file.begun()
    file.add(QUERY, query_body("TRUNCATE TABLE orders"))
    file.write(tmp_path)
    assert tables(source(tmp_path)) == ["orders"]
    assert "may never have been committed" in caplog.text


def test_a_missing_file_in_the_middle_is_named(tmp_path: Path) -> None:
    files = three()
    write(tmp_path, files[0], files[2])
    error = refused(tmp_path)
    assert isinstance(error, BinlogDamaged)
    assert f"{NAMES[1]} is missing" in error.message
    assert "bring it back" in error.hint
    (tmp_path / f"{NAMES[1]}.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    assert "compressed copy" in refused(tmp_path).message


def test_files_of_two_servers_are_refused(tmp_path: Path) -> None:
    files = three(gtid=False)
    write(tmp_path, *files)
    older = Written(NAMES[1], None, created=CREATED - 9).rotate(NAMES[2])
    older.write(tmp_path)
    assert isinstance(refused(tmp_path), SourceChanged)
    Written(NAMES[1], None, created=CREATED + 1, server_id=2).rotate(NAMES[2]).write(tmp_path)
    error = refused(tmp_path)
    assert isinstance(error, SourceChanged)
    assert "server_id 1" in error.message


def test_places_that_are_none_are_refused(tmp_path: Path) -> None:
    write(tmp_path, *three())
    found = source(tmp_path)
    for text, words in (
        (f"{NAMES[0]}:99999", "beyond the end"),
        (f"{NAMES[0]}:2", "before the first event"),
        (f"{NAMES[0]}:9", "no event at"),
        ("mysql-bin.000044:4", "is not among the files"),
        ("2999-01-01", "in the future"),
        ("nonsense", "is not a binlog position"),
    ):
        with pytest.raises(PositionError, match=words):
            found.resolve(text)


def test_a_rotation_into_a_file_that_is_not_there_is_the_end(tmp_path: Path) -> None:
    write(tmp_path, *three()[:1])
    assert tables(source(tmp_path)) == ["t00", "t01"]
    assert source(tmp_path).resolve("latest").gtid_set == gtids(2)


def test_an_event_with_a_wrong_checksum_stops_with_its_place(tmp_path: Path) -> None:
    files = three()
    at = files[1].bytes.rindex(b"TRUNCATE TABLE t11")
    files[1].bytes[at] ^= 1
    write(tmp_path, *files)
    error = refused(tmp_path)
    assert isinstance(error, BinlogDamaged)
    assert f"at {NAMES[1]}:" in error.message
    assert "checksum" in error.message
