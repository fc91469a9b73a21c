"""One binlog file on disk: what is read of it, and what is refused, with the path and the way out."""

import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cdc.binlog.archive.event_file import EventFile, crc_fits, opening
from cdc.model.errors import BinlogDamaged, CdcError, NotUnderstood, PositionError
from tests.support.archive_files import Written


def kinds(path: Path, offset: int = 4, *, checked: bool = True) -> list[int]:
    file = EventFile(path, offset)
    try:
        found = []
        while (raw := file.read()) is not None:
            assert crc_fits(raw) or not checked
            found.append(raw[4])
        return found
    finally:
        file.close()


def refused(path: Path, offset: int = 4) -> CdcError:
    with pytest.raises(CdcError) as caught:
        kinds(path, offset)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value


def test_events_are_read_from_the_beginning_or_from_a_place(tmp_path: Path) -> None:
    file = Written()
    file.truncation()
    second = file.truncation()
    file.rotate("mysql-bin.000002")
    path = file.write(tmp_path)
    assert kinds(path) == [15, 35, 33, 2, 33, 2, 4]
    assert kinds(path, second) == [33, 2, 4]
    assert kinds(path, len(file.bytes)) == []


def test_a_file_larger_than_a_piece_is_read_whole(tmp_path: Path) -> None:
    file = Written()
    for size in (10, 2_500_000, 1, 1 << 20, 700_000, 900_000):
        file.add(2, b"x" * size)
    found = EventFile(file.write(tmp_path))
    whole = b""
    while (raw := found.read()) is not None:
        whole += raw
    found.close()
    assert whole == file.bytes[4:]


def test_a_file_in_use_is_read_as_if_it_were_closed(tmp_path: Path) -> None:
    path = Written(flags=1).write(tmp_path)
    file = EventFile(path)
    raw = file.read()
    assert raw is not None
    assert crc_fits(raw)
    assert raw[17] == 0
    file.close()


def test_a_dump_that_enters_a_file_in_the_middle_begins_with_its_name_and_format(tmp_path: Path) -> None:
    file = Written()
    start = file.truncation()
    found = EventFile(file.write(tmp_path), start)
    rotation, description = opening(found, start)
    found.close()
    assert bytes(rotation[19:27]) == start.to_bytes(8, "little")
    assert bytes(rotation[27:-4]) == b"mysql-bin.000001"
    assert bytes(description[13:17]) == bytes(4)
    assert crc_fits(rotation)
    assert crc_fits(description)
    assert [raw[4] for raw in opening(found, 4)] == [4]


@pytest.mark.parametrize("cut", [1, 10, 22])
def test_a_file_that_breaks_off_ends_at_its_last_whole_event(tmp_path: Path, cut: int) -> None:
    file = Written()
    file.truncation()
    last = file.truncation()
    file.write(tmp_path, last + cut)
    found = EventFile(tmp_path / file.name)
    read = []
    while (raw := found.read()) is not None:
        read.append(raw[4])
    found.close()
    assert read == [15, 35, 33, 2]
    assert found.torn
    assert found.offset == last


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"", BinlogDamaged, "is empty"),
        (b"\xfe", BinlogDamaged, "is not a binlog"),
        (b"CREATE TABLE t", BinlogDamaged, "is not a binlog"),
        (b"\xfdbin" + bytes(600), NotUnderstood, "is encrypted"),
        (b"\x1f\x8b\x08\0" + bytes(50), NotUnderstood, "is a compressed copy"),
        (b"\x28\xb5\x2f\xfd" + bytes(50), NotUnderstood, "is a compressed copy"),
        (b"\xfebin", BinlogDamaged, "does not begin with a format description"),
        (b"\xfebin" + bytes(60), BinlogDamaged, "no event at 4"),
        (b"\xfebin" + b"\xff" * 60, BinlogDamaged, "no event at 4"),
        (bytes(Written().bytes[:40]), BinlogDamaged, "does not begin with a format description"),
    ],
)
def test_what_is_no_binlog_is_refused(tmp_path: Path, content: bytes, kind: type[CdcError], words: str) -> None:
    path = tmp_path / "mysql-bin.000001"
    path.write_bytes(content)
    error = refused(path)
    assert type(error) is kind
    assert words in error.message


def test_a_relay_log_and_an_encrypted_mariadb_file_are_refused(tmp_path: Path) -> None:
    assert "is a relay log" in refused(Written(flags=0x40).write(tmp_path)).message
    file = Written()
    file.add(164, bytes(17))
    error = refused(file.write(tmp_path))
    assert "is encrypted" in error.message
    assert "--read-from-remote-server" in error.hint


def test_garbage_in_the_middle_and_places_that_are_none_are_refused(tmp_path: Path) -> None:
    file = Written()
    at = file.truncation()
    file.truncation()
    path = file.write(tmp_path)
    assert "no event at" in refused(path, at + 5).message
    assert "ends at" in refused(path, len(file.bytes) + 1).message
    file.bytes[at + 13 : at + 17] = bytes(4)  # at MySQL every event says where it ends
    assert "no event at" in refused(file.write(tmp_path)).message
    file.bytes[at + 9 : at + 13] = b"\xff\xff\xff\x7f"  # a size of 2 GiB is not believed, nor read
    assert "no event at" in refused(file.write(tmp_path)).message


def test_any_flipped_bytes_are_events_or_a_typed_error(tmp_path: Path) -> None:
    file = Written()
    for _ in range(5):
        file.truncation()
    chosen = random.Random(20_260)
    path = tmp_path / file.name
    for _ in range(300):
        content = bytearray(file.bytes)
        for _ in range(chosen.randint(1, 4)):
            content[chosen.randrange(len(content))] = chosen.randrange(256)
        path.write_bytes(content)
        with suppress(CdcError):
            kinds(path, checked=False)


def test_a_file_that_may_not_be_read_is_said_with_the_machine(tmp_path: Path) -> None:
    path = Written().write(tmp_path)
    path.chmod(0)
    with unprivileged():
        error = refused(path)
    assert isinstance(error, PositionError)
    assert f"cannot be read on {socket.gethostname()}: Permission denied" in error.message
    assert "No such file" in refused(tmp_path / "mysql-bin.000009").message


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
