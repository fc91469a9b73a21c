"""Binlog files built by hand, byte by byte."""

import struct
import zlib
from pathlib import Path

from tests.support.binlog_events import GTID, QUERY, UUID, UUID_TEXT, XID, event, gtid_body, query_body, xid_body

MAGIC = b"\xfebin"
FORMAT_DESCRIPTION, PREVIOUS_GTIDS, ROTATE, STOP = 15, 35, 4, 3
CREATED = 1_700_000_000


class Written:
    """A MySQL binlog file in memory; `write` puts it on disk. `gtids_before`: as many GTIDs as came before it."""

    def __init__(
        self,
        name: str = "mysql-bin.000001",
        gtids_before: int | None = 0,
        *,
        created: int = CREATED,
        flags: int = 0,
        server_id: int = 1,
    ) -> None:
        self.name = name
        self.bytes = bytearray(MAGIC)
        self.gtid = gtids_before or 0
        self._server_id = server_id
        lengths = bytearray(42)
        lengths[QUERY - 1] = 13
        self.add(
            FORMAT_DESCRIPTION,
            struct.pack("<H50sIB", 4, b"9.7.0", 0, 19) + bytes(lengths) + b"\x01",
            timestamp=created,
            flags=flags,
        )
        self.add(PREVIOUS_GTIDS, previous(gtids_before))

    def add(self, kind: int, body: bytes, *, timestamp: int = CREATED, flags: int = 0) -> int:
        """Appends an event with its place and checksum; where it starts. The flag that a file is in use does not count."""
        start = len(self.bytes)
        raw = bytearray(event(kind, body, log_pos=start + 23 + len(body), timestamp=timestamp, flags=flags & ~1))
        raw[5:9] = self._server_id.to_bytes(4, "little")
        raw[-4:] = checksum(raw)
        raw[17] |= flags & 1
        self.bytes += raw
        return start

    def truncation(self, table: str = "orders") -> int:
        """A transaction that TRUNCATEs; where it starts."""
        self.gtid += 1
        start = self.add(GTID, gtid_body(self.gtid))
        self.add(QUERY, query_body(f"TRUNCATE TABLE {table}"))
        return start

    def begun(self) -> int:
        """A transaction without its end."""
        self.gtid += 1
        start = self.add(GTID, gtid_body(self.gtid))
        self.add(QUERY, query_body("BEGIN"))
        return start

    def commit(self) -> None:
        self.add(XID, xid_body())

    def rotate(self, following: str) -> "Written":
        self.add(ROTATE, struct.pack("<Q", 4) + following.encode())
        return self

    def write(self, folder: Path, cut: int | None = None) -> Path:
        path = folder / self.name
        path.write_bytes(self.bytes[:cut])
        return path


def checksum(raw: bytes | bytearray) -> bytes:
    return zlib.crc32(raw[:-4]).to_bytes(4, "little")


def previous(count: int | None) -> bytes:
    """The body of a list of GTIDs 1 … count; none where `count` is None or 0."""
    if not count:
        return struct.pack("<Q", 0)
    return struct.pack("<Q", 1) + UUID + struct.pack("<QQQ", 1, 1, count + 1)


def gtids(count: int) -> str:
    return f"{UUID_TEXT}:1-{count}" if count else ""
