"""One binlog file on disk: its head, and its events as a dump would send them.

A file is the magic `fe 62 69 6e` and events one behind the other, the first a format description
(https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication.html, "Binlog File Header"). MySQL's encrypted files
begin with `fd 62 69 6e` (manual, "Encrypting Binary Log Files and Relay Log Files"); MariaDB's have a START_ENCRYPTION event.
"""

import os
import socket
import zlib
from pathlib import Path
from typing import NamedTuple

from pymysqlreplication.constants import BINLOG

from cdc.binlog import events
from cdc.model.errors import BinlogDamaged, CdcError, NotUnderstood, PositionError, SourceUnavailable

FIRST_EVENT = 4
_MAGIC = b"\xfebin"
_ENCRYPTED = b"\xfdbin"
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zX", b"BZh", b"\x04\x22\x4d\x18", b"PK\x03\x04")
_PIECE_BYTES = 1 << 20
_IN_USE_FLAG = 0x01  # LOG_EVENT_BINLOG_IN_USE_F: the server has the file open, or crashed with it open
_RELAY_FLAG = 0x40  # LOG_EVENT_RELAY_LOG_F
_FLAGS_BYTE = 17  # of the header; the lower one of two
_LOG_POS = slice(13, 17)
_ENDS = (BINLOG.ROTATE_EVENT, BINLOG.STOP_EVENT)
_DECRYPTED = "fetch it from the server instead, which decrypts it: mysqlbinlog --read-from-remote-server --raw FILE"
_NOT_WHOLE = "copy the file again from where the archive has it, and see that the copy is as long as the original"


class Head(NamedTuple):
    """What the format description says. `created`: seconds, of its header."""

    created: int
    server_id: int
    flavor: str
    version: str
    checksum: int


class EventFile:
    """Events from `offset` on (4, or where one begins). Not thread-safe.

    `offset` is where the next one begins; `torn`: at the end, that a part of an event is left; `ended`: by a rotation or a
    shutdown.
    """

    def __init__(self, path: Path, offset: int = FIRST_EVENT) -> None:
        """Raises PositionError (cannot be opened), NotUnderstood (encrypted, compressed, a relay log), BinlogDamaged (no
        binlog)."""
        self.path = path
        self.name = path.name
        self.offset = FIRST_EVENT
        self.ended = False
        self._rest = b""
        self._at = 0
        self._may_leave_out_ends = False
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise unreadable(path, error) from error
        try:
            _require_magic(path, self._piece(FIRST_EVENT))
            self.format_description = self._first()
            self.head = _head(self.path, self.format_description)
            self._may_leave_out_ends = self.head.flavor == "mariadb"
            if offset > FIRST_EVENT:
                self._require_so_long(offset)
                self._seek(offset)
        except BaseException:
            self._file.close()
            raise

    def read(self) -> memoryview | None:
        """The next event with header and checksum, or None where there is none whole. Raises BinlogDamaged, NotUnderstood,
        SourceUnavailable."""
        if not self._have(events.HEADER_BYTES):
            return None
        _, kind, _, size, log_pos, flags = events.HEADER.unpack_from(self._rest, self._at)
        # An event of a binlog says where it ends (in MariaDB's transactions perhaps not: cdc.binlog.groups). That is looked at
        # before so much is read.
        expected = (self.offset + size) & 0xFFFFFFFF
        if size < events.HEADER_BYTES or (log_pos != expected and not (log_pos == 0 and self._may_leave_out_ends)):
            raise BinlogDamaged(
                f"{self.path} has no event at {self.offset}: what stands there claims {size} bytes and to end at {log_pos}",
                hint=f"begin at a transaction's boundary; if it was one, {_NOT_WHOLE}",
            )
        if not self._have(size):
            return None
        raw = memoryview(self._rest)[self._at : self._at + size]
        if kind == BINLOG.FORMAT_DESCRIPTION_EVENT and flags & _IN_USE_FLAG:
            raw = _as_closed(raw)
        if kind == BINLOG.MARIADB_START_ENCRYPTION_EVENT:
            raise NotUnderstood(f"{self.path} is encrypted", hint=_DECRYPTED)
        self._at += size
        self.offset += size
        self.ended = kind in _ENDS
        return raw

    @property
    def torn(self) -> bool:
        return len(self._rest) > self._at

    def close(self) -> None:
        self._file.close()

    def _first(self) -> memoryview:
        raw = self.read()
        if raw is None or raw[4] != BINLOG.FORMAT_DESCRIPTION_EVENT:
            raise BinlogDamaged(f"{self.path} does not begin with a format description", hint=_NOT_WHOLE)
        self._seek(FIRST_EVENT)
        return raw

    def _require_so_long(self, offset: int) -> None:
        size = self._file.seek(0, os.SEEK_END)
        if offset > size:
            raise PositionError(f"{self.path} ends at {size}, before {offset}", hint=f"begin in it, or {_NOT_WHOLE}")

    def _seek(self, offset: int) -> None:
        self._file.seek(offset)
        self.offset = offset
        self._rest, self._at = b"", 0

    def _have(self, count: int) -> bool:
        """Whether so many bytes of the next event are at hand; reads on where they are not."""
        lacking = self._at + count - len(self._rest)
        if lacking > 0:
            # A new object each time: events handed out earlier still lie in the old one.
            self._rest = self._rest[self._at :] + self._piece(max(lacking, _PIECE_BYTES))
            self._at = 0
        return len(self._rest) - self._at >= count

    def _piece(self, count: int) -> bytes:
        pieces = []
        try:
            while count > 0 and (piece := self._file.read(min(count, _PIECE_BYTES))):
                pieces.append(piece)
                count -= len(piece)
        except OSError as error:
            raise unreadable(self.path, error) from error
        return b"".join(pieces)


def unreadable(path: Path, error: OSError) -> CdcError:
    """Which path on which machine; a disk or a network share that fails may answer again later."""
    what = f"{path} cannot be read on {socket.gethostname()}: {error.strerror or error}"
    if isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError | IsADirectoryError):
        return PositionError(
            what, hint="the process that reads needs the archive: bring it there, with the right to read"
        )
    return SourceUnavailable(what, hint="see to the disk or the network share that holds the archive")


def _as_closed(raw: memoryview) -> memoryview:
    """The server sets the flag in place, and counts the checksum as if it were not set (Log_event_footer in MySQL's
    binlog_event.cpp); a dump sends the event without it."""
    copy = bytearray(raw)
    copy[_FLAGS_BYTE] &= ~_IN_USE_FLAG
    return memoryview(copy)


def opening(file: EventFile, offset: int) -> list[memoryview]:
    """What a dump begins with that enters `file` at `offset`: a made-up rotation that names it, and where that is not the
    file's beginning its format description, which then has no place in the file (log_pos 0)."""
    name = offset.to_bytes(8, "little") + file.name.encode()
    size = events.HEADER_BYTES + len(name) + events.CHECKSUM_BYTES
    header = events.HEADER.pack(0, BINLOG.ROTATE_EVENT, file.head.server_id, size, 0, events.ARTIFICIAL_FLAG)
    made = [_with_crc(bytearray(header + name))]
    if offset > FIRST_EVENT:
        description = bytearray(file.format_description[: -events.CHECKSUM_BYTES])
        description[_LOG_POS] = bytes(4)
        made.append(_with_crc(description))
    return made


def _with_crc(event: bytearray) -> memoryview:
    return memoryview(bytes(event) + zlib.crc32(event).to_bytes(events.CHECKSUM_BYTES, "little"))


def _require_magic(path: Path, magic: bytes) -> None:
    if magic == _MAGIC:
        return
    if magic == _ENCRYPTED:
        raise NotUnderstood(f"{path} is encrypted", hint=_DECRYPTED)
    if magic.startswith(_COMPRESSED):
        raise NotUnderstood(f"{path} is a compressed copy", hint="uncompress it, under the binlog's own name")
    if not magic:
        raise BinlogDamaged(f"{path} is empty", hint=_NOT_WHOLE)
    raise BinlogDamaged(f"{path} is not a binlog: it does not begin with fe 62 69 6e", hint="name binlog files only")


def _head(path: Path, raw: memoryview) -> Head:
    created, _, server_id, _, _, flags = events.HEADER.unpack_from(raw)
    if flags & _RELAY_FLAG:
        raise NotUnderstood(
            f"{path} is a relay log",
            hint="name the binlog files of the source itself, or of a replica that writes its own",
        )
    try:
        found = events.format_description(raw[events.HEADER_BYTES :])
    except (ValueError, IndexError) as error:
        raise BinlogDamaged(
            f"{path} begins with a format description that cannot be read ({error})", hint=_NOT_WHOLE
        ) from error
    if found.checksum == events.CHECKSUM_CRC32 and not crc_fits(raw):
        raise BinlogDamaged(f"the checksum of the format description of {path} is wrong", hint=_NOT_WHOLE)
    flavor = "mariadb" if "mariadb" in found.server_version.lower() else "mysql"
    return Head(created, server_id, flavor, found.server_version, found.checksum)


def crc_fits(raw: memoryview) -> bool:
    return zlib.crc32(raw[: -events.CHECKSUM_BYTES]) == int.from_bytes(raw[-events.CHECKSUM_BYTES :], "little")
