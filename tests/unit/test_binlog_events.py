"""Control events: golden bytes of MySQL 9.7.4 and MariaDB 10.11.19, beside what the server says of them."""

import struct

import pytest

from cdc.binlog import events

MYSQL_GTID = bytes.fromhex(
    "01eaa38819e6fb11f1959d02fc000000010100000000000000020000000000000000010000000000000055b67da2ea6006b050620100"
)
MARIADB_GTID = bytes.fromhex("0300000000000000000000000c000000000000")


def test_mysql_gtid() -> None:
    """SHOW BINLOG EVENTS: SET @@SESSION.GTID_NEXT= 'eaa38819-e6fb-11f1-959d-02fc00000001:1'."""
    gtid = events.gtid(memoryview(MYSQL_GTID))
    assert gtid.text == "eaa38819-e6fb-11f1-959d-02fc00000001:1"
    assert gtid.commit_us is not None
    assert gtid.commit_us // 1_000_000 == 1795410725


def test_anonymous_and_short_gtid_events() -> None:
    anonymous = events.gtid(memoryview(b"\0" * 25))
    assert anonymous == events.Gtid("", None)
    with pytest.raises(ValueError, match="GTID event"):
        events.gtid(memoryview(b"\0" * 12))


def test_mariadb_gtid() -> None:
    assert events.mariadb_gtid(memoryview(MARIADB_GTID), 1) == events.MariadbGtid("0-1-3", False, False)
    standalone = bytes.fromhex("04000000000000000000000029000000000000")
    assert events.mariadb_gtid(memoryview(standalone), 1).standalone
    prepared = bytes.fromhex("04000000000000000000000040000000000000")
    assert events.mariadb_gtid(memoryview(prepared), 7) == events.MariadbGtid("0-7-4", False, True)


def test_query_with_status_variables() -> None:
    status = bytes.fromhex("00000000000120 00a04500000000 0603737464 04ff00ff00ff00".replace(" ", ""))
    body = struct.pack("<IIBHH", 29, 0, 1, 0, len(status)) + status + b"t\0truncate table a"
    query = events.query(memoryview(body), 13)
    assert (query.thread, query.db, query.sql) == (29, "t", b"truncate table a")
    assert bytes(query.status) == status


def test_query_without_status_variables() -> None:
    body = struct.pack("<IIBHH", 1, 0, 0, 0, 0) + b"\0BEGIN"
    assert events.query(memoryview(body), 13) == events.Query(1, "", b"BEGIN", memoryview(b""))


def test_rotate() -> None:
    body = bytes.fromhex("0400000000000000") + b"mysql-bin.000002"
    assert events.rotate(memoryview(body)) == events.Rotate("mysql-bin.000002", 4)


def test_previous_gtids_with_and_without_tags() -> None:
    uuid = bytes.fromhex("eaa38819e6fb11f1959d02fc00000001")
    plain = struct.pack("<Q", 1) + uuid + struct.pack("<QQQ", 1, 1, 5)
    assert events.previous_gtids(memoryview(plain)) == "eaa38819-e6fb-11f1-959d-02fc00000001:1-4"
    assert events.previous_gtids(memoryview(bytes(8))) == ""
    tagged = bytes([1]) + (2).to_bytes(6, "little") + bytes([1])
    tagged += uuid + b"\0" + struct.pack("<QQQ", 1, 1, 5)
    tagged += uuid + b"\x06foo" + struct.pack("<QQQ", 1, 7, 8)
    named = "eaa38819-e6fb-11f1-959d-02fc00000001"
    assert events.previous_gtids(memoryview(tagged)) == f"{named}:1-4,{named}:foo:7-7"


def test_mariadb_gtid_list_keeps_the_last_of_a_domain() -> None:
    body = (
        struct.pack("<I", 3)
        + struct.pack("<IIQ", 0, 2, 9)
        + struct.pack("<IIQ", 0, 1, 12)
        + struct.pack("<IIQ", 1, 1, 5)
    )
    assert events.mariadb_gtid_list(memoryview(body)) == "0-1-12,1-1-5"


def test_xa_id_is_written_as_in_xa_commit() -> None:
    body = struct.pack("<BIII", 0, 1, 1, 2) + b"abc"
    assert events.xa_id(memoryview(body)) == "X'61',X'6263',1"


def test_heartbeat_v2() -> None:
    body = b"\x01\x04f.01" + b"\x02\x09\xfe" + (5 * 2**30).to_bytes(8, "little") + b"\0"
    assert events.heartbeat_v2(memoryview(body)) == events.Rotate("f.01", 5 * 2**30)


@pytest.mark.parametrize(
    ("near", "low", "whole"),
    [
        (4, 127, 127),
        (2**32 - 10, 20, 2**32 + 20),
        (2**32 + 20, 20, 2**32 + 20),
        (3 * 2**32 + 5, 7, 3 * 2**32 + 7),
        (2**32 - 1, 2**32 - 1, 2**32 - 1),
    ],
)
def test_offsets_are_continued_beyond_32_bits(near: int, low: int, whole: int) -> None:
    assert events.whole_offset(near, low) == whole
