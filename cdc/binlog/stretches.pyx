# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Stretches of the binlog, read in one step in a buffer of packets: what is otherwise an event, and items, at a time.

Nothing is decided here. A stretch goes on only while each event is of a known kind, in the known order, complete in the buffer,
with the right length, place and checksum, and its rows are read by the compiled decoder; it ends in front of the first that is
not, or at the last place where nothing has to be remembered that is not told. From there events are read one by one.
Formats: see cdc.binlog.packets, cdc.binlog.events.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from cdc.binlog.decoder.compiled cimport Encoding
from cdc.binlog.crc32 cimport crc32_of
from cdc.model.encoded cimport EncodedRows
from cdc.model.stretch cimport MARIADB_GTID, MYSQL_GTID, NO_GTID, Stretch, StretchEvent, StretchTransaction

from typing import NamedTuple


cdef enum:
    PACKET_BYTES = 4
    HEADER_BYTES = 19
    CHECKSUM_BYTES = 4
    MOST_BYTES = 524288  # of a stretch, and of what is looked at behind its last rows
    MOST_ROWS = 2000  # after which it ends
    MOST_TABLES = 64  # table maps of a stretch
    MOST_OPEN = 64  # table maps of a transaction
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


class Found(NamedTuple):
    """`following`: where the next packet begins in the buffer; `number`: what it must have; `offset`: where its event begins in the
    file. `boundary`: the end of the last transaction that ended, None where none did. `maps`: (id, source) of the table maps of
    the transaction that is open behind."""

    stretch: Stretch
    following: int
    number: int
    offset: int
    boundary: int | None
    maps: list


cdef inline uint32_t _uint32(const uint8_t* at) noexcept nogil:
    return at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16 | <uint32_t>at[3] << 24


cdef inline uint64_t _uint64(const uint8_t* at) noexcept nogil:
    return _uint32(at) | <uint64_t>_uint32(at + 4) << 32


cdef struct Event:
    int kind
    uint32_t timestamp
    uint32_t server_id
    int64_t start
    const uint8_t* body
    Py_ssize_t size


cdef struct Slot:
    # A table map that was seen in this stretch.
    const uint8_t* body  # NULL: seen before
    Py_ssize_t size
    int table  # in the stretch; -1: its rows are not captured, or not here yet
    bint captured


cdef class Stretches:
    """`known`: what is captured of a table (None: nothing) by the bytes of its table map's body; it may change between calls.
    `encoding_of` gives its Encoding, or None where the plain decoder must read it. `texts`: the statements' texts are wanted,
    so what has them is read event by event.
    `leaves_out_ends`: events within a transaction may end at 0, as cdc.binlog.groups says."""

    cdef dict _known
    cdef object _encoding_of
    cdef bint _texts
    cdef bint _leaves_out_ends
    cdef const uint8_t* _at
    cdef const uint8_t* _end
    cdef int64_t _offset
    cdef uint8_t _number
    cdef Slot[MOST_TABLES] _slots
    cdef int _slot_count
    cdef list _sources  # by slot
    cdef list _encodings
    cdef uint64_t[MOST_OPEN] _ids  # of the open transaction
    cdef int[MOST_OPEN] _id_slots
    cdef int _id_count

    def __init__(self, dict known not None, encoding_of, bint texts, bint leaves_out_ends):
        self._known = known
        self._encoding_of = encoding_of
        self._texts = texts
        self._leaves_out_ends = leaves_out_ends

    cdef bint _event(self, Event* event, bint inside) noexcept:
        """Whether there is a whole event, which is then in `event` and passed. `inside`: of a transaction that was begun."""
        cdef const uint8_t* at = self._at
        cdef Py_ssize_t left = self._end - at
        cdef uint32_t length, size, end
        if left < PACKET_BYTES + 1 + HEADER_BYTES + CHECKSUM_BYTES:
            return False
        length = at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16
        if length > MOST_BYTES or left - PACKET_BYTES < length or at[3] != self._number or at[4] != 0:
            return False
        at += PACKET_BYTES + 1
        size = _uint32(at + 9)
        if size != length - 1 or size < HEADER_BYTES + CHECKSUM_BYTES:
            return False
        end = _uint32(at + 13)
        if end != <uint32_t>((self._offset + size) & 0xFFFFFFFF) and not (end == 0 and inside and self._leaves_out_ends):
            return False
        if at[17] & ARTIFICIAL_FLAG:
            return False
        if crc32_of(at, size - CHECKSUM_BYTES) != _uint32(at + size - CHECKSUM_BYTES):
            return False
        event.timestamp = _uint32(at)
        event.kind = at[4]
        event.server_id = _uint32(at + 5)
        event.body = at + HEADER_BYTES
        event.size = size - HEADER_BYTES - CHECKSUM_BYTES
        event.start = self._offset
        self._offset += size
        self._number += 1
        self._at = at + size
        return True

    def next(
        self,
        const uint8_t[::1] buffer,
        Py_ssize_t start,
        Py_ssize_t end,
        int number,
        int64_t offset,
        int post_header,
        dict open_maps,
    ):
        """The stretch that begins at `start` of the buffer and at `offset` of the file, or None. `number`: of the first packet;
        `post_header`: length of a QUERY event's fixed part. `open_maps`: sources by table id of the transaction that is open there,
        of which rows were shown; None outside of any."""
        if not 0 <= start < end <= buffer.shape[0]:
            return None
        cdef const uint8_t* base = &buffer[0]
        cdef Stretch out = Stretch()
        cdef Event event
        cdef StretchTransaction* now = NULL
        cdef Py_ssize_t rows = 0
        cdef const uint8_t* begin = base + start
        # The last place where the stretch may end.
        cdef const uint8_t* kept_at = begin
        cdef int64_t kept_offset = offset
        cdef uint8_t kept_number = 0
        cdef Py_ssize_t kept_transactions = 0
        cdef bint inside = open_maps is not None
        cdef int64_t boundary = -1
        cdef int answer
        self._at = begin
        self._end = base + end
        self._offset = offset
        self._number = <uint8_t>number
        self._slot_count = self._id_count = 0
        self._sources = []
        self._encodings = []
        if inside:
            now = out.add_transaction()
            now.begins = now.ends = False
            now.first_event = now.event_count = 0
            self._remember(open_maps)
        while rows < MOST_ROWS and kept_at - begin < MOST_BYTES and self._at - kept_at < MOST_BYTES:
            if not inside:
                now = self._begin(out, post_header)
                if now == NULL:
                    break
                inside = True
                continue
            if not self._event(&event, True):
                break
            if event.kind == XID_EVENT:
                now.ends = True
                now.end = boundary = self._offset
                inside = False
            elif event.kind == TABLE_MAP_EVENT:
                if not self._map(&event):
                    break
                continue
            elif 23 <= event.kind <= 25 or 30 <= event.kind <= 32:
                answer = self._rows(out, now, &event)
                if answer < 0:
                    break
                rows += answer
                if now.begins and not now.event_count:
                    continue
            elif event.kind == ROWS_QUERY_EVENT or event.kind == MARIADB_ANNOTATE_EVENT:
                if self._texts:
                    break
                continue
            else:
                break
            kept_at, kept_offset, kept_number = self._at, self._offset, self._number
            kept_transactions = out.transaction_count
        if kept_transactions == 0:
            return None
        out.transaction_count = kept_transactions
        return Found(
            out,
            kept_at - base,
            kept_number,
            kept_offset,
            None if boundary < 0 else boundary,
            [] if out.transactions[kept_transactions - 1].ends else self._maps(),
        )

    cdef StretchTransaction* _begin(self, Stretch out, int post_header) except? NULL:
        """The transaction whose first events are there, or NULL."""
        cdef Event event
        cdef StretchTransaction* now
        if not self._event(&event, False):
            return NULL
        self._id_count = 0
        now = out.add_transaction()
        now.begins = True
        now.ends = False
        now.first_event = out.event_count
        now.event_count = 0
        now.start = event.start
        now.server_id = event.server_id
        now.commit_us = <int64_t>event.timestamp * 1000000
        now.thread = -1
        now.gtid = NO_GTID
        if event.kind == GTID_EVENT or event.kind == ANONYMOUS_GTID_EVENT:
            if event.size < 25:
                return NULL
            # See cdc.binlog.events.gtid.
            now.number = _uint64(event.body + 17)
            if now.number:
                now.gtid = MYSQL_GTID
                memcpy(now.uuid, event.body + 1, 16)
            if event.size >= 49 and event.body[25] == 2:
                now.commit_us = (_uint64(event.body + 42) & 0x7FFFFFFFFFFFFF)
            if not self._event(&event, True) or event.kind != QUERY_EVENT or not _begins(&event, post_header):
                return NULL
            now.thread = _uint32(event.body)
        elif event.kind == MARIADB_GTID_EVENT:
            if event.size < 13 or event.body[12] & (MARIADB_STANDALONE | MARIADB_XA):
                return NULL
            now.gtid = MARIADB_GTID
            now.number = _uint64(event.body)
            now.domain = _uint32(event.body + 8)
        else:
            return NULL
        return now

    cdef int _remember(self, dict open_maps) except -1:
        """The table maps that the open transaction has had."""
        cdef Slot* slot
        for table_id, source in open_maps.items():
            if self._slot_count == MOST_TABLES or self._id_count == MOST_OPEN:
                break
            slot = &self._slots[self._slot_count]
            slot.body = NULL
            slot.size = 0
            self._open(slot, source)
            self._ids[self._id_count] = table_id
            self._id_slots[self._id_count] = self._slot_count - 1
            self._id_count += 1
        return 0

    cdef int _open(self, Slot* slot, source) except -1:
        slot.captured = source is not None
        slot.table = -1
        self._sources.append(source)
        self._encodings.append(None if source is None else self._encoding_of(source))
        self._slot_count += 1
        return 0

    cdef bint _map(self, Event* event) except -1:
        """Whether the table map is known; it is then in force."""
        cdef int index
        cdef Slot* slot
        cdef PyObject* found
        if event.size < 8 or self._id_count == MOST_OPEN:
            return False
        index = self._slot_count - 1
        while index >= 0:
            slot = &self._slots[index]
            if slot.body != NULL and slot.size == event.size and memcmp(slot.body, event.body, event.size) == 0:
                break
            index -= 1
        if index < 0:
            if self._slot_count == MOST_TABLES:
                return False
            key = PyBytes_FromStringAndSize(<const char*>event.body, event.size)
            found = PyDict_GetItem(self._known, key)
            if found == NULL:
                return False
            index = self._slot_count
            slot = &self._slots[index]
            slot.body = event.body
            slot.size = event.size
            self._open(slot, <object>found)
        self._ids[self._id_count] = _uint64(event.body) & 0xFFFFFFFFFFFF
        self._id_slots[self._id_count] = index
        self._id_count += 1
        return True

    cdef int _rows(self, Stretch out, StretchTransaction* now, Event* event) except -2:
        """How many rows were added; -1 where the event must be read by itself, and then nothing was added."""
        cdef uint64_t table_id
        cdef int place, answer
        cdef Slot* slot
        cdef Encoding encoding
        cdef EncodedRows rows
        cdef Py_ssize_t count, size
        cdef StretchEvent* made
        if event.size < 8:
            return -1
        table_id = _uint64(event.body) & 0xFFFFFFFFFFFF
        place = self._id_count - 1
        while place >= 0 and self._ids[place] != table_id:
            place -= 1
        if place < 0:
            return -1
        slot = &self._slots[self._id_slots[place]]
        if not slot.captured:
            return 0
        found = <object>self._encodings[self._id_slots[place]]
        if found is None:
            return -1
        encoding = <Encoding>found
        if slot.table < 0:
            rows = encoding.empty()
            slot.table = <int>len(out.tables)
            out.tables.append(rows)
            out.sources.append(self._sources[self._id_slots[place]])
        else:
            rows = <EncodedRows>out.tables[slot.table]
        count, size = rows.count, rows.size
        answer = encoding.add_event(event.kind, event.body, event.size, rows)
        if answer:
            rows.count, rows.size = count, size
            return -1
        made = out.add_event()
        made.offset = event.start
        made.table = slot.table
        made.first_row = count
        made.row_count = rows.count - count
        now.event_count += 1
        return <int>made.row_count

    cdef list _maps(self):
        cdef int index
        return [(self._ids[index], self._sources[self._id_slots[index]]) for index in range(self._id_count)]


cdef bint _begins(Event* event, int post_header) noexcept:
    """Whether the statement is BEGIN: see cdc.binlog.events.query."""
    if event.size < post_header or post_header < 13:
        return False
    cdef Py_ssize_t begin = post_header + (event.body[11] | <Py_ssize_t>event.body[12] << 8) + event.body[8] + 1
    if event.size - begin != 5:
        return False
    cdef const uint8_t* sql = event.body + begin
    return sql[0] == c'B' and sql[1] == c'E' and sql[2] == c'G' and sql[3] == c'I' and sql[4] == c'N'
