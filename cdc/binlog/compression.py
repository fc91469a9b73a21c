"""What servers compress: MySQL's whole transactions (zstd), MariaDB's statements and rows (zlib).

Transaction_payload_event: https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Transaction__payload__event.html
(fields of type, length, value as length-encoded integers). MariaDB: `binlog_buf_compress` in sql/log_event.cc: a byte 0x80 with
the algorithm (0: zlib) in bits 4 to 6 and the number of length bytes in the lowest three, the length (big-endian), the data.
Memory: a payload is decompressed as a stream, one inner event at a time; sizes that the bytes declare are checked against
what comes, never allocated beforehand.
"""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import zstandard

from cdc.binlog.decoder.cursor import Cursor, damaged
from cdc.binlog.decoder.port import UPDATE_ROWS_EVENTS
from cdc.binlog.events import HEADER, HEADER_BYTES

_PAYLOAD_SIZE, _COMPRESSION, _UNCOMPRESSED_SIZE = 1, 2, 3
_ZSTD, _NONE = 0, 255
_PIECE = 1 << 18
_MOST_BYTES = 1 << 30  # the server's largest max_allowed_packet: no event is larger
_LARGEST_WINDOW = 1 << 27  # zstd's own limit without `--long` beyond it

# MariaDB, enum Log_event_type: the compressed twin of each rows event, versions 1 and 2.
ROWS_TWINS = {166: 23, 167: 24, 168: 25, 169: 30, 170: 31, 171: 32}


class Inner(NamedTuple):
    """An event inside a payload: no checksum, no place of its own in the file."""

    kind: int
    timestamp: int
    server_id: int
    body: memoryview


def payload_events(body: memoryview) -> Iterator[Inner]:
    """The events of a transaction payload, one after another. Raises BinlogDamaged."""
    cursor = Cursor(body, "transaction payload event")
    fields = {_COMPRESSION: _ZSTD}
    while kind := cursor.packed():
        length = cursor.packed()
        value = cursor.sub(length, "transaction payload event, field")
        if kind in (_PAYLOAD_SIZE, _COMPRESSION, _UNCOMPRESSED_SIZE):
            fields[kind] = value.packed()
    data = body[cursor.position :]
    if fields.get(_PAYLOAD_SIZE, len(data)) != len(data):
        raise damaged(f"transaction payload event: {fields[_PAYLOAD_SIZE]} bytes declared, {len(data)} there")
    declared = fields.get(_UNCOMPRESSED_SIZE, len(data))
    if fields[_COMPRESSION] == _NONE:
        yield from _split(_Bytes(data), declared)
    elif fields[_COMPRESSION] == _ZSTD:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        try:
            with decompressor.stream_reader(data, read_size=_PIECE, read_across_frames=True) as stream:
                yield from _split(stream, declared)
        except zstandard.ZstdError as error:
            raise damaged(f"transaction payload event: {error}") from error
    else:
        raise damaged(f"transaction payload event: compression {fields[_COMPRESSION]} is not known")


class _Bytes:
    """`read` over bytes that are there."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def read(self, size: int) -> bytes:
        taken, self._data = self._data[:size], self._data[size:]
        return bytes(taken)


def _split(stream: "_Bytes | zstandard.ZstdDecompressionReader", declared: int) -> Iterator[Inner]:
    left = declared
    while left:
        if left < HEADER_BYTES:
            raise damaged(f"transaction payload event: {left} bytes behind its last event")
        header = _read(stream, HEADER_BYTES)
        timestamp, kind, server_id, size, _, _ = HEADER.unpack(header)
        if not HEADER_BYTES <= size <= min(left, _MOST_BYTES):
            raise damaged(f"transaction payload event: an event of {size} bytes, where {left} are left")
        yield Inner(kind, timestamp, server_id, memoryview(_read(stream, size - HEADER_BYTES)))
        left -= size
    if stream.read(1):
        raise damaged(f"transaction payload event: more than the {declared} bytes that it declares")


def _read(stream: "_Bytes | zstandard.ZstdDecompressionReader", size: int) -> bytes:
    """Exactly `size` bytes; grows with what comes, whatever was declared."""
    pieces = []
    while size:
        piece = stream.read(min(size, _PIECE))
        if not piece:
            raise damaged("transaction payload event: its data ends before its last event does")
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def mariadb_query(body: memoryview, post_header: int) -> memoryview:
    """A QUERY_COMPRESSED event's body as a QUERY event's. Raises BinlogDamaged, struct.error, IndexError."""
    status_length = int.from_bytes(body[11:13], "little")
    sql = post_header + status_length + body[8] + 1
    if sql >= len(body):
        raise damaged("compressed query event: it has no statement")
    return memoryview(bytes(body[:sql]) + _inflated(body[sql:], "compressed query event"))


def mariadb_rows(kind: int, body: memoryview) -> tuple[int, memoryview]:
    """(type, body) of the rows event of which a compressed one is the twin: all up to the column bitmaps is as it is."""
    plain = ROWS_TWINS[kind]
    cursor = Cursor(body, "compressed rows event")
    cursor.take(8)  # table id, flags
    if plain >= 30:
        cursor.take(max(cursor.uint(2) - 2, 0))
    columns = cursor.packed()
    cursor.take((columns + 7) // 8 * (2 if plain in UPDATE_ROWS_EVENTS else 1))
    at = cursor.position
    return plain, memoryview(bytes(body[:at]) + _inflated(body[at:], "compressed rows event"))


def _inflated(data: memoryview, what: str) -> bytes:
    if not data:
        raise damaged(f"{what}: it has no data")
    head = data[0]
    if not head & 0x80 or head >> 4 & 7:
        raise damaged(f"{what}: compressed in a way that is not known ({head:#x})")
    length_bytes = head & 7
    declared = int.from_bytes(data[1 : 1 + length_bytes], "big")
    if not 0 < declared <= _MOST_BYTES:
        raise damaged(f"{what}: {declared} bytes declared")
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(data[1 + length_bytes :], declared)
        whole = len(inflated) == declared and not inflater.decompress(inflater.unconsumed_tail, 1) and inflater.eof
    except zlib.error as error:
        raise damaged(f"{what}: {error}") from error
    if not whole:
        raise damaged(f"{what}: not the {declared} bytes that it declares")
    return inflated
