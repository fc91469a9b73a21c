"""Raw binlog events built by hand, and a connection that replays them: for what no real server does on demand."""

import struct
import zlib
from collections.abc import Callable, Iterable

ROTATE, FORMAT_DESCRIPTION, QUERY, XID, TABLE_MAP, ROWS, GTID, HEARTBEAT = 4, 15, 2, 16, 19, 30, 33, 27
MARIADB_GTID = 162
UUID = bytes(range(16))
UUID_TEXT = "00010203-0405-0607-0809-0a0b0c0d0e0f"


def event(kind: int, body: bytes, *, log_pos: int, timestamp: int = 1_700_000_000, flags: int = 0) -> bytes:
    """With header and CRC32; `log_pos` is cut to the header's 32 bits."""
    size = 19 + len(body) + 4
    head = struct.pack("<IBIIIH", timestamp, kind, 1, size, log_pos & 0xFFFFFFFF, flags)
    return head + body + struct.pack("<I", zlib.crc32(head + body))


def rotate(file: str, offset: int = 4, *, log_pos: int = 0) -> bytes:
    return event(ROTATE, struct.pack("<Q", offset) + file.encode(), log_pos=log_pos, timestamp=0, flags=0x20)


def format_description(*, log_pos: int, timestamp: int = 1_700_000_000) -> bytes:
    lengths = bytearray(42)
    lengths[QUERY - 1] = 13
    body = struct.pack("<H50sIB", 4, b"9.7.0", 0, 19) + bytes(lengths) + b"\x01"
    return event(FORMAT_DESCRIPTION, body, log_pos=log_pos, timestamp=timestamp)


def gtid_body(number: int, commit_us: int = 1_700_000_000_123_456) -> bytes:
    clock = struct.pack("<BQQ", 2, 0, 1) + commit_us.to_bytes(7, "little")
    return b"\x01" + UUID + struct.pack("<Q", number) + clock


def query_body(sql: str, db: str = "shop") -> bytes:
    name = db.encode()
    return struct.pack("<IIBHH", 7, 0, len(name), 0, 0) + name + b"\0" + sql.encode()


def xid_body(number: int = 1) -> bytes:
    return struct.pack("<Q", number)


def table_map_body(table_id: int, db: str, table: str) -> bytes:
    """Names only: enough for a table that is not captured."""
    names = b"".join(bytes([len(name)]) + name.encode() + b"\0" for name in (db, table))
    return table_id.to_bytes(6, "little") + b"\x01\0" + names + b"\x01\x03\0\0"


class File:
    """Events of one binlog file in order, with offsets that they end at; starts behind `offset`."""

    def __init__(self, offset: int = 4) -> None:
        self.offset = offset
        self.raw: list[bytes] = []

    def add(self, kind: int, body: bytes, flags: int = 0, *, says_end: bool = True) -> int:
        """Appends an event; returns where it starts. `says_end`: whether it says where it ends."""
        start = self.offset
        self.offset += 19 + len(body) + 4
        self.raw.append(event(kind, body, log_pos=self.offset if says_end else 0, flags=flags))
        return start


class Replayed:
    """Stands where the connection stands. At the end of `events` nothing comes any more."""

    def __init__(self, events: Iterable[bytes]) -> None:
        self._events = iter(list(events))
        self.closed = False

    def event(self, wait_seconds: Callable[[], float]) -> memoryview | None:
        raw = next(self._events, None)
        return None if raw is None else memoryview(raw)

    def close(self) -> None:
        self.closed = True
