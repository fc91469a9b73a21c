"""Bodies of the binlog's control events: pure functions of bytes. Rows and table maps are the decoder's.

A body is the event without its 19-byte header and without its checksum. Formats: MySQL,
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication_binlog_event.html and the classes of namespace
mysql::binlog::event; MariaDB, https://mariadb.com/kb/en/replication-protocol/. Too short a body raises struct.error or
IndexError, which the stream turns into BinlogDamaged with the position.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from pymysqlreplication.constants import BINLOG

HEADER_BYTES = 19
HEADER = struct.Struct("<IBIIIH")  # timestamp, type, server_id, event size, log_pos, flags
CHECKSUM_BYTES = 4
ARTIFICIAL_FLAG = 0x20  # LOG_EVENT_ARTIFICIAL_F: made up by the dump, not in the file
IGNORABLE_FLAG = 0x80  # LOG_EVENT_IGNORABLE_F: who does not know it may pass it over
CHECKSUM_NONE, CHECKSUM_CRC32 = 0, 1

# Types that python-mysql-replication does not name.
TRANSACTION_CONTEXT_EVENT = 36
VIEW_CHANGE_EVENT = 37
TRANSACTION_PAYLOAD_EVENT = 40
HEARTBEAT_LOG_EVENT_V2 = 41
GTID_TAGGED_LOG_EVENT = 42
MARIADB_QUERY_COMPRESSED_EVENT = 165


@dataclass(slots=True)
class Event:
    """One event of the file: `start` and `end` are its offsets in 64 bits, `body` is without header and checksum."""

    kind: int
    timestamp: int
    server_id: int
    start: int
    end: int
    body: memoryview


class FormatDescription(NamedTuple):
    """`checksum`: the algorithm of the file's events; `query_post_header`: length of QUERY's fixed part."""

    server_version: str
    checksum: int
    query_post_header: int


class Rotate(NamedTuple):
    file: str
    offset: int


class Query(NamedTuple):
    """`status`: what it says of the session, for cdc.binlog.history.status.read."""

    thread: int
    db: str
    sql: bytes
    status: memoryview


class Gtid(NamedTuple):
    """`text` is "" for an anonymous transaction. `commit_us` is None where the event does not have it."""

    text: str
    commit_us: int | None


class MariadbGtid(NamedTuple):
    """`standalone`: the one event that follows is the whole transaction, without a COMMIT."""

    text: str
    standalone: bool
    prepares_xa: bool


def format_description(body: memoryview) -> FormatDescription:
    """Server version (50 bytes) after the format's own (2), creation time (4), header length (1), post-header lengths, then
    the checksum algorithm and this event's own checksum, which are there whatever the algorithm. `body` is whole here."""
    version, server, _, header_length = struct.unpack_from("<H50sIB", body)
    if version != 4 or header_length != HEADER_BYTES:
        raise ValueError(f"binlog format {version} with headers of {header_length} bytes")
    lengths = body[57 : -CHECKSUM_BYTES - 1]
    return FormatDescription(
        server.rstrip(b"\0").decode("latin-1"), body[-CHECKSUM_BYTES - 1], lengths[BINLOG.QUERY_EVENT - 1]
    )


def rotate(body: memoryview) -> Rotate:
    (offset,) = struct.unpack_from("<Q", body)
    return Rotate(bytes(body[8:]).decode(), offset)


def query(body: memoryview, post_header: int) -> Query:
    """Thread (4), seconds (4), length of the db's name (1), error (2), length of status variables (2); then these three."""
    thread, _, db_length, _, status_length = struct.unpack_from("<IIBHH", body)
    start = post_header + status_length
    stop = start + db_length
    db = bytes(body[start:stop]).decode("utf-8", "surrogateescape")
    return Query(thread, db, bytes(body[stop + 1 :]), body[post_header:start])


def gtid(body: memoryview) -> Gtid:
    """Flags (1), UUID (16), number (8), kind of logical clock (1), clock (8 + 8), immediate commit time (7 bytes of
    microseconds; the top bit says that the original time follows), and more that does not matter here."""
    number = int.from_bytes(body[17:25], "little")
    commit_us = int.from_bytes(body[42:49], "little") & ((1 << 55) - 1) if len(body) >= 49 and body[25] == 2 else None
    digits = body[1:17].hex()
    if len(digits) != 32:
        raise ValueError("a GTID event of less than 25 bytes")
    uuid = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    return Gtid(f"{uuid}:{number}" if number else "", commit_us)


def tagged_gtid(body: memoryview) -> Gtid:
    """Fields by number behind version, size and last field that must be known, in the encoding of mysql::serialization
    (https://dev.mysql.com/doc/dev/mysql-server/latest/PageLibsMysqlSerialization.html): integers whose first byte has as many
    low one bits as bytes follow, signed ones folded (0, -1, 1 …). 0 flags, 1 UUID (16 integers), 2 number (signed), 3 tag
    (length, text), 4 and 5 logical clock (signed), 6 immediate and 7 original commit time, 8 length, 9 and 10 versions, 11
    group ticket. Fields with their default value are left out."""
    version, at = _varlen(body, 0)
    if version != 1:
        raise ValueError(f"a tagged GTID event of version {version}")
    size, at = _varlen(body, at)
    _, at = _varlen(body, at)
    uuid, tag, number, commit_us = "", "", 0, None
    while at < min(size, len(body)):
        field, at = _varlen(body, at)
        if field == 1:
            octets = []
            for _ in range(16):
                octet, at = _varlen(body, at)
                octets.append(octet)
            digits = bytes(octets).hex()
            uuid = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        elif field == 3:
            length, at = _varlen(body, at)
            tag = bytes(body[at : at + length]).decode("ascii")
            at += length
        elif field <= _LAST_GTID_FIELD:
            value, at = _varlen(body, at)
            if field == 2:
                number = value >> 1 ^ -(value & 1)
            elif field == 6:
                commit_us = value
        else:
            raise ValueError(f"a tagged GTID event with field {field}")
    if not uuid or number <= 0:
        raise ValueError("a tagged GTID event without UUID or number")
    return Gtid(f"{uuid}:{tag}:{number}" if tag else f"{uuid}:{number}", commit_us)


_LAST_GTID_FIELD = 11


def _varlen(body: memoryview, at: int) -> tuple[int, int]:
    """(value, where the next begins)."""
    first = body[at]
    following = 8
    for count in range(8):
        if not first >> count & 1:
            following = count
            break
    end = at + 1 + following
    if end > len(body):
        raise IndexError("an integer that goes beyond its event")
    whole = int.from_bytes(body[at:end], "little")
    return whole >> min(following + 1, 8), end


def rows_query(body: memoryview) -> str:
    """The text behind one byte of length, which is too short for it and of no use."""
    return bytes(body[1:]).decode("utf-8", "replace")


def annotate_rows(body: memoryview) -> str:
    return bytes(body).decode("utf-8", "replace")


def mariadb_gtid(body: memoryview, server_id: int) -> MariadbGtid:
    """Sequence number (8), domain (4), flags (1)."""
    number, domain, flags = struct.unpack_from("<QIB", body)
    return MariadbGtid(f"{domain}-{server_id}-{number}", bool(flags & 1), bool(flags & 0x40))


def xa_id(body: memoryview) -> str:
    """One-phase (1), format (4), lengths of both parts (4 + 4), and these; as the server writes it in XA COMMIT."""
    form, global_length, branch_length = struct.unpack_from("<III", body, 1)
    branch = 13 + global_length
    return f"X'{body[13:branch].hex()}',X'{body[branch : branch + branch_length].hex()}',{form}"


def mariadb_gtid_list(body: memoryview) -> str:
    """Count (4, its top four bits are flags), then domain (4), server (4), number (8): gtid_binlog_state, whose last entry
    of a domain is the domain's position."""
    (count,) = struct.unpack_from("<I", body)
    entries = struct.iter_unpack("<IIQ", body[4 : 4 + 16 * (count & 0x0FFFFFFF)])
    last = {domain: f"{domain}-{server}-{number}" for domain, server, number in entries}
    return ",".join(last.values())


def previous_gtids(body: memoryview) -> str:
    """All GTIDs before this file, as text. Gtid_set::encode: count of UUIDs (8), then UUID (16), count of intervals (8), and
    start (8), end (8, exclusive) of each. With tags (MySQL 8.3) the first 8 bytes are: 1, count (6 bytes), 1; after each
    UUID a tag follows as length (its lowest bit 0, one byte) and characters."""
    tagged = body[7] == 1 and body[0] == 1
    count = int.from_bytes(body[1:7], "little") if tagged else int.from_bytes(body[0:8], "little")
    at = 8
    members = []
    for _ in range(count):
        digits = body[at : at + 16].hex()
        at += 16
        member = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        if tagged:
            length = body[at] >> 1
            tag = bytes(body[at + 1 : at + 1 + length]).decode("ascii")
            at += 1 + length
            member += f":{tag}" if tag else ""
        (intervals,) = struct.unpack_from("<Q", body, at)
        at += 8
        for _ in range(intervals):
            start, end = struct.unpack_from("<QQ", body, at)
            at += 16
            member += f":{start}-{end - 1}"
        members.append(member)
    return ",".join(members)


def heartbeat_v2(body: memoryview) -> Rotate:
    """Tagged fields: tag (1), length (1), value; 1 is the file's name, 2 the position as a length-encoded integer."""
    file, offset, at = "", 0, 0
    while at < len(body) and body[at]:
        tag, length = body[at], body[at + 1]
        value = body[at + 2 : at + 2 + length]
        if tag == 1:
            file = bytes(value).decode()
        elif tag == 2:
            offset = int.from_bytes(value[1:], "little") if value[0] >= 0xFC else value[0]
        at += 2 + length
    return Rotate(file, offset)


def whole_offset(near: int, low: int) -> int:
    """The offset at or after `near` whose low 32 bits are `low`: a header's log_pos wraps at 4 GiB, files do not."""
    return near + ((low - near) & 0xFFFFFFFF)
