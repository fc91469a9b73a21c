# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The rows of one rows event in the wire format: what a compiled decoder hands on instead of a list of drafts.

It is a Sequence[Draft]: whoever asks for a row gets one, made from its JSON. The compiled renderer (cdc.model.packed) takes the
bytes as they are.
"""

from collections.abc import Sequence

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

import orjson

from cdc.model.change import Draft
from cdc.model.routing import key_hash

cdef extern from *:
    """
    #ifdef CDC_TIGHT_BUFFERS
    #define CDC_ROOM_AHEAD 0  /* .ci/sanitized: what is written without having asked for room is seen */
    #else
    #define CDC_ROOM_AHEAD 1
    #endif
    """
    const bint ROOM_AHEAD "CDC_ROOM_AHEAD"

_OPS = {ord("c"): "c", ord("u"): "u", ord("d"): "d", ord("r"): "r"}


include "buffers.pxi"


cdef class EncodedRows:
    """Rows of one table version, in the order of the event. Its makers are compiled too: Python code only reads it."""

    def __cinit__(self, str db, str table, str schema):
        self.db = db
        self.table = table
        self.schema = schema

    def __dealloc__(self):
        if self.data != NULL and not (ROOM_AHEAD and keep_buffer(self.data, self.capacity)):
            free(self.data)
        free(self.rows)

    cdef int reserve(self, Py_ssize_t more) except -1 nogil:
        """Room for `more` bytes behind `size`."""
        cdef Py_ssize_t capacity
        cdef void* moved
        if more <= self.capacity - self.size:
            return 0
        with gil:
            if self.data == NULL and ROOM_AHEAD:
                self.data = kept_buffer(&self.capacity)
                if more <= self.capacity:
                    return 0
            capacity = self.size + more
            if ROOM_AHEAD:
                capacity = max(2 * self.capacity, capacity, 4096)
            moved = realloc(self.data, capacity)
            if moved == NULL:
                raise MemoryError(f"{capacity} bytes for the rows of {self.db}.{self.table}")
            self.data = <uint8_t*>moved
            self.capacity = capacity
        return 0

    cdef EncodedRow* add(self) except NULL nogil:
        """One more row, whose fields its maker sets."""
        cdef Py_ssize_t room
        cdef void* moved
        if self.count == self.room:
            with gil:
                room = max(2 * self.room, 64)
                moved = realloc(self.rows, room * sizeof(EncodedRow))
                if moved == NULL:
                    raise MemoryError(f"{room} rows of {self.db}.{self.table}")
                self.rows = <EncodedRow*>moved
                self.room = room
        self.count += 1
        return &self.rows[self.count - 1]

    @staticmethod
    def of(drafts):
        """The same rows, from drafts of one table version."""
        first = drafts[0]
        cdef EncodedRows rows = EncodedRows(first.db, first.table, first.schema)
        for draft in drafts:
            rows.append(draft)
        return rows

    cdef int append(self, draft) except -1:
        """One more row, of this table version."""
        cdef EncodedRow row
        row.op = ord(draft.op)
        row.crc = key_hash(draft.db, draft.table, draft.key.values())
        row.key = self._json(draft.key)
        row.before = self._json(draft.before)
        row.after = self._json(draft.after)
        self.add()[0] = row
        return 0

    cdef Span _json(self, image):
        cdef bytes text = b"" if image is None else orjson.dumps(image)
        cdef Span span
        span.start = self.size
        span.size = len(text)
        self.reserve(span.size)
        memcpy(self.data + self.size, <const char*>text, span.size)
        self.size += span.size
        return span

    cdef bytes text(self, Span span):
        return self.data[span.start:span.start + span.size]

    cdef object draft(self, Py_ssize_t index):
        cdef EncodedRow* row = &self.rows[index]
        return Draft(
            _OPS[row.op],
            self.db,
            self.table,
            self.schema,
            orjson.loads(self.text(row.key)),
            orjson.loads(self.text(row.before)) if row.before.size else None,
            orjson.loads(self.text(row.after)) if row.after.size else None,
        )

    def __len__(self):
        return self.count

    def __eq__(self, other):
        if not isinstance(other, (EncodedRows, list, tuple)):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self.draft(place) for place in range(*index.indices(self.count))]
        place = index + self.count if index < 0 else index
        if not 0 <= place < self.count:
            raise IndexError(index)
        return self.draft(place)

    def __iter__(self):
        cdef Py_ssize_t index
        for index in range(self.count):
            yield self.draft(index)

    def texts(self, Py_ssize_t index):
        """(key, before, after) of one row as JSON; b"" where it has none. For tests, which hold decoders equal."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        cdef EncodedRow* row = &self.rows[index]
        return self.text(row.key), self.text(row.before), self.text(row.after)

    def cut(self, Py_ssize_t start, Py_ssize_t count):
        """These rows alone."""
        if not 0 <= start <= start + count <= self.count:
            raise IndexError((start, count))
        cdef EncodedRows rows = EncodedRows(self.db, self.table, self.schema)
        cdef EncodedRow* row
        cdef EncodedRow* made
        cdef Py_ssize_t index
        for index in range(start, start + count):
            row = &self.rows[index]
            made = rows.add()
            made.crc = row.crc
            made.op = row.op
            made.key = rows.copied(self, row.key)
            made.before = rows.copied(self, row.before)
            made.after = rows.copied(self, row.after)
        return rows

    def without(self, keys):
        """The rows but for those whose keys, as JSON, are in the set `keys`; it may be this object itself."""
        cdef set left_out = keys
        cdef Py_ssize_t index
        cdef EncodedRow* row
        cdef EncodedRow made
        cdef EncodedRows rows = EncodedRows(self.db, self.table, self.schema)
        if not left_out:
            return self
        rows.reserve(self.size)
        for index in range(self.count):
            row = &self.rows[index]
            if self.text(row.key) in left_out:
                continue
            made = row[0]
            made.key = rows.copied(self, row.key)
            made.before = rows.copied(self, row.before)
            made.after = rows.copied(self, row.after)
            rows.add()[0] = made
        return rows

    cdef Span copied(self, EncodedRows other, Span span):
        cdef Span made
        made.start = self.size
        made.size = span.size
        self.reserve(span.size)
        memcpy(self.data + self.size, other.data + span.start, span.size)
        self.size += span.size
        return made

    def keys(self):
        """The rows' keys as JSON."""
        cdef Py_ssize_t index
        return [self.text(self.rows[index].key) for index in range(self.count)]

    def crc(self, Py_ssize_t index):
        """What lane_number takes modulo lanes."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self.rows[index].crc

    def ops(self):
        """How many rows of each operation there are."""
        cdef Py_ssize_t index
        cdef dict counts = {}
        cdef Py_ssize_t run = 0
        for index in range(self.count):
            run += 1
            if index + 1 == self.count or self.rows[index + 1].op != self.rows[index].op:
                op = _OPS[self.rows[index].op]
                counts[op] = counts.get(op, 0) + run
                run = 0
        return counts


Sequence.register(EncodedRows)
