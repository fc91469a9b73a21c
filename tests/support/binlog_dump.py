"""Raw binlog events over a plain connection (COM_BINLOG_DUMP), for tests that must not rest on the stream under test."""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cdc.binlog.decoder.port import ROWS_EVENTS, Decoder, TableMap, table_map_names
from cdc.binlog.decoder.rows import DecodedRow
from cdc.model.schema import TableSchema
from tests.support.changes import must_be_equal, projected

_COM_BINLOG_DUMP = 0x12
_NON_BLOCKING = 1
_SERVER_ID = 4_000_000_001
_FORMAT_DESCRIPTION, _ROTATE, _TABLE_MAP = 15, 4, 19


class RawEvent(NamedTuple):
    """`body` without the 19-byte header and the checksum."""

    type: int
    body: memoryview


class Place(NamedTuple):
    file: str
    offset: int


def end_of_binlog(connection: Any) -> Place:
    with connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        (version,) = cursor.fetchone()
        old = "MariaDB" in version or version.startswith(("5.", "8.0", "8.1."))
        cursor.execute("SHOW MASTER STATUS" if old else "SHOW BINARY LOG STATUS")
        file, offset, *_ = cursor.fetchone()
        return Place(file, int(offset))


def events_since(connection: Any, place: Place) -> Iterator[RawEvent]:
    """All events from `place` to the present end; `connection` can be used for nothing else afterwards."""
    with connection.cursor() as cursor:
        # Without these the server sends no checksums, or (MariaDB) refuses to send events that we do not announce to know.
        cursor.execute("SET @source_binlog_checksum = 'CRC32', @master_binlog_checksum = 'CRC32'")
        cursor.execute("SET @mariadb_slave_capability = 4")
    arguments = struct.pack("<IHI", place.offset, _NON_BLOCKING, _SERVER_ID) + place.file.encode()
    connection._execute_command(_COM_BINLOG_DUMP, arguments)
    while True:
        packet = connection._read_packet()
        if packet.is_eof_packet():
            return
        event = packet.get_all_data()[1:]
        kind = event[4]
        if kind not in (_FORMAT_DESCRIPTION, _ROTATE):
            assert zlib.crc32(event[:-4]) == int.from_bytes(event[-4:], "little")
        yield RawEvent(kind, memoryview(event)[19:-4])


class TableRows(NamedTuple):
    """One rows event beside its table map."""

    table: TableMap
    event: RawEvent
    table_map: RawEvent

    def decode(self, decoder: Decoder) -> list[DecodedRow]:
        """What it holds; every decoder that is there makes the same changes of it."""
        if self.table.schema.key:
            must_be_equal(self.event.type, bytes(self.event.body), self.table, projected(self.table))
        return decoder.rows(self.event.type, self.event.body, self.table)


def rows_events(
    events: Iterator[RawEvent], decoder: Decoder, known: Mapping[tuple[str, str], TableSchema] | None = None
) -> Iterator[TableRows]:
    """The rows events of `events` in order. `known`: by database and table, as the schema history would have it; then other
    tables are passed over."""
    maps: dict[int, tuple[TableMap, RawEvent] | None] = {}
    for event in events:
        if event.type == _TABLE_MAP:
            table_id, *name = table_map_names(event.body)
            maps[table_id] = None
            if known is None or tuple(name) in known:
                maps[table_id] = (decoder.table_map(event.body, (known or {}).get((name[0], name[1]))), event)
        elif event.type in ROWS_EVENTS:
            found = maps[int.from_bytes(event.body[:6], "little")]
            if found is not None:
                yield TableRows(found[0], event, found[1])
