# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Small transactions, recognised whole in a buffer of packets: one step for what is otherwise five events or more.

Nothing is decided here. A group is found only where every event of it is of a known kind, in the known order, complete in the
buffer, with the right length, place and checksum; in all other cases None is returned, and the events are read one by one.
Formats: see cdc.binlog.packets, cdc.binlog.events.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from typing import NamedTuple


cdef enum:
    PACKET_BYTES = 4
    HEADER_BYTES = 19
    CHECKSUM_BYTES = 4
    MOST_BYTES = 262144  # of a group; larger ones are worth their events
    MOST_TABLES = 16
    QUERY_EVENT = 2
    XID_EVENT = 16
    TABLE_MAP_EVENT = 19
    ROWS_QUERY_EVENT = 29
    GTID_EVENT = 33
    ANONYMOUS_GTID_EVENT = 34
    MARIADB_ANNOTATE_EVENT = 160
    MARIADB_GTID_EVENT = 162
    ARTIFICIAL_FLAG = 0x20
    MARIADB_STANDALONE = 1
    MARIADB_XA = 0x40 | 0x80  # prepared, completed


class Group(NamedTuple):
    """`gtid` is "" for an anonymous transaction; `commit_us` is None where the event does not have it. `rows`: (table, kind, start
    of the event in the file, start and end of its body in the buffer) of each rows event of a captured table. `following`: where
    the next packet begins in the buffer; `number`: what it must have."""

    following: int
    number: int
    start: int
    end: int
    timestamp: int
    server_id: int
    gtid: str
    commit_us: int | None
    thread: int | None
    rows: list


cdef uint32_t[8][256] _TABLES


cdef void _fill_tables() noexcept:
    """CRC-32 (IEEE 802.3, reflected), eight bytes at a time."""
    cdef uint32_t value
    cdef int code, slice_
    for code in range(256):
        value = <uint32_t>code
        for slice_ in range(8):
            value = value >> 1 ^ (<uint32_t>0xEDB88320 if value & 1 else 0)
        _TABLES[0][code] = value
    for slice_ in range(1, 8):
        for code in range(256):
            value = _TABLES[slice_ - 1][code]
            _TABLES[slice_][code] = value >> 8 ^ _TABLES[0][value & 0xFF]


_fill_tables()


cdef uint32_t _crc32(const uint8_t* data, Py_ssize_t size) noexcept nogil:
    cdef uint32_t crc = 0xFFFFFFFF
    cdef uint32_t low, high
    while size >= 8:
        low = crc ^ _uint32(data)
        high = _uint32(data + 4)
        crc = (
            _TABLES[7][low & 0xFF] ^ _TABLES[6][low >> 8 & 0xFF] ^ _TABLES[5][low >> 16 & 0xFF] ^ _TABLES[4][low >> 24]
            ^ _TABLES[3][high & 0xFF] ^ _TABLES[2][high >> 8 & 0xFF] ^ _TABLES[1][high >> 16 & 0xFF] ^ _TABLES[0][high >> 24]
        )
        data += 8
        size -= 8
    while size:
        crc = _TABLES[0][(crc ^ data[0]) & 0xFF] ^ crc >> 8
        data += 1
        size -= 1
    return ~crc


cdef inline uint32_t _uint32(const uint8_t* at) noexcept nogil:
    return at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16 | <uint32_t>at[3] << 24


cdef inline uint64_t _uint64(const uint8_t* at) noexcept nogil:
    return _uint32(at) | <uint64_t>_uint32(at + 4) << 32


cdef struct Event:
    int kind
    uint32_t timestamp
    uint32_t server_id
    const uint8_t* body
    Py_ssize_t size


cdef class WholeGroups:
    """`tables`: captured tables (None: not captured) by the bytes of their table map's body; it may change between calls.
    `texts`: the statements' texts are wanted, so groups that have them are read event by event."""

    cdef dict _tables
    cdef bint _texts
    cdef const uint8_t* _at
    cdef const uint8_t* _end
    cdef int64_t _offset
    cdef uint8_t _number

    def __init__(self, dict tables not None, bint texts):
        self._tables = tables
        self._texts = texts

    cdef bint _event(self, Event* event) noexcept:
        """Whether there is a whole event, which is then in `event` and passed."""
        cdef const uint8_t* at = self._at
        cdef Py_ssize_t left = self._end - at
        cdef uint32_t length, size
        if left < PACKET_BYTES + 1 + HEADER_BYTES + CHECKSUM_BYTES:
            return False
        length = at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16
        if length > MOST_BYTES or left - PACKET_BYTES < length or at[3] != self._number or at[4] != 0:
            return False
        at += PACKET_BYTES + 1
        size = _uint32(at + 9)
        if size != length - 1 or size < HEADER_BYTES + CHECKSUM_BYTES:
            return False
        if _uint32(at + 13) != <uint32_t>((self._offset + size) & 0xFFFFFFFF) or at[17] & ARTIFICIAL_FLAG:
            return False
        if _crc32(at, size - CHECKSUM_BYTES) != _uint32(at + size - CHECKSUM_BYTES):
            return False
        event.timestamp = _uint32(at)
        event.kind = at[4]
        event.server_id = _uint32(at + 5)
        event.body = at + HEADER_BYTES
        event.size = size - HEADER_BYTES - CHECKSUM_BYTES
        self._offset += size
        self._number += 1
        self._at = at + size
        return True

    def next(self, const uint8_t[::1] buffer, Py_ssize_t start, Py_ssize_t end, int number, int64_t offset, int post_header):
        """The transaction that begins at `start` of the buffer and at `offset` of the file, or None. `number`: of its first packet;
        `post_header`: length of a QUERY event's fixed part."""
        if not 0 <= start < end <= buffer.shape[0]:
            return None
        cdef const uint8_t* base = &buffer[0]
        cdef Event event
        cdef uint32_t timestamp, server_id
        cdef int64_t began = offset
        cdef object commit_us = None, thread = None, gtid
        cdef list rows = []
        cdef uint64_t[MOST_TABLES] ids
        cdef list tables = []
        cdef uint64_t table_id
        cdef PyObject* found
        cdef Py_ssize_t place
        self._at = base + start
        self._end = base + min(end, start + MOST_BYTES)
        self._offset = offset
        self._number = <uint8_t>number
        if not self._event(&event):
            return None
        timestamp = event.timestamp
        server_id = event.server_id
        if event.kind == GTID_EVENT or event.kind == ANONYMOUS_GTID_EVENT:
            if event.size < 25:
                return None
            gtid = _gtid(event.body)
            if event.size >= 49 and event.body[25] == 2:
                commit_us = (_uint64(event.body + 42) & 0x7FFFFFFFFFFFFF)
            if not self._event(&event) or event.kind != QUERY_EVENT or not _begins(&event, post_header):
                return None
            thread = _uint32(event.body)
        elif event.kind == MARIADB_GTID_EVENT:
            if event.size < 13 or event.body[12] & (MARIADB_STANDALONE | MARIADB_XA):
                return None
            gtid = f"{_uint32(event.body + 8)}-{server_id}-{_uint64(event.body)}"
        else:
            return None
        while True:
            if not self._event(&event):
                return None
            if event.kind == XID_EVENT:
                break
            if event.kind == TABLE_MAP_EVENT:
                if event.size < 8 or len(tables) == MOST_TABLES:
                    return None
                key = PyBytes_FromStringAndSize(<const char*>event.body, event.size)
                found = PyDict_GetItem(self._tables, key)
                if found == NULL:
                    return None
                ids[len(tables)] = _uint64(event.body) & 0xFFFFFFFFFFFF
                tables.append(<object>found)
            elif 23 <= event.kind <= 25 or 30 <= event.kind <= 32:
                if event.size < 8:
                    return None
                table_id = _uint64(event.body) & 0xFFFFFFFFFFFF
                place = len(tables) - 1
                while place >= 0 and ids[place] != table_id:
                    place -= 1
                if place < 0:
                    return None
                table = tables[place]
                if table is not None:
                    place = event.body - base
                    rows.append(
                        (
                            table,
                            event.kind,
                            self._offset - event.size - HEADER_BYTES - CHECKSUM_BYTES,
                            place,
                            place + event.size,
                        )
                    )
            elif event.kind == ROWS_QUERY_EVENT or event.kind == MARIADB_ANNOTATE_EVENT:
                if self._texts:
                    return None
            else:
                return None
        return Group(
            self._at - base, self._number, began, self._offset, timestamp, server_id, gtid, commit_us, thread, rows
        )


cdef bint _begins(Event* event, int post_header) noexcept:
    """Whether the statement is BEGIN: see cdc.binlog.events.query."""
    if event.size < post_header or post_header < 13:
        return False
    cdef Py_ssize_t begin = post_header + (event.body[11] | <Py_ssize_t>event.body[12] << 8) + event.body[8] + 1
    if event.size - begin != 5:
        return False
    cdef const uint8_t* sql = event.body + begin
    return sql[0] == c'B' and sql[1] == c'E' and sql[2] == c'G' and sql[3] == c'I' and sql[4] == c'N'


cdef str _gtid(const uint8_t* body):
    """See cdc.binlog.events.gtid."""
    cdef char[36] text
    cdef const char* digits = b"0123456789abcdef"
    cdef int at = 0
    cdef int index
    cdef uint64_t number = _uint64(body + 17)
    if number == 0:
        return ""
    for index in range(16):
        if index == 4 or index == 6 or index == 8 or index == 10:
            text[at] = c'-'
            at += 1
        text[at] = digits[body[1 + index] >> 4]
        text[at + 1] = digits[body[1 + index] & 15]
        at += 2
    return f"{text[:36].decode('ascii')}:{number}"
