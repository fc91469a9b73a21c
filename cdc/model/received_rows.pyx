# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The net change of each key of received change events, and their rows as text for a target, without an object for each value.

Only whole rows (every column, in the schema's order) in our own writing are taken. For everything else `compact_received` says
None, and cdc.processes.compactor does the same with plain objects.
"""

from collections.abc import Sequence

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free
from libc.math cimport isfinite
from libc.stdint cimport int32_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove, memset

import os

import orjson

from cdc.model.batch import TableBatch
from cdc.model.json_scan cimport number_end, value_end
from cdc.model.json_text cimport copy_escaped, hex_of_base64, is_exact, is_fraction, mysql_escaped, unescaped
from cdc.model.received cimport CHANGE, Item, ReceivedBlock, ReceivedChange, Text


cdef extern from "Python.h":
    double PyOS_string_to_double(const char* text, char** end, object overflow) except? -1.0
    char* PyOS_double_to_string(double value, char format_code, int precision, int flags, int* kind) except NULL
    int Py_DTSF_ADD_DOT_0


cdef extern from *:
    """
    #ifdef CDC_TIGHT_BUFFERS
    #define CDC_ROOM_AHEAD 0  /* .ci/sanitized: what is written without having asked for room is seen */
    #else
    #define CDC_ROOM_AHEAD 1
    #endif
    """
    const bint ROOM_AHEAD "CDC_ROOM_AHEAD"


cdef extern from *:
    """
    #if defined(__GNUC__) || defined(__clang__)
    #define CDC_SOON(at) __builtin_prefetch(at)
    #else
    #define CDC_SOON(at) ((void)(at))
    #endif
    """
    void soon "CDC_SOON"(const void* at) noexcept nogil


cdef enum:
    LINE_BYTES = 64
    ROWS_AHEAD = 4
    MOST_AHEAD = 512  # bytes of a row


cdef inline void _soon(const Item* item) noexcept nogil:
    """A row that is looked at soon. A batch is larger than the caches that are near, and rows lie too far from each other for the
    processor to see what comes next."""
    cdef Py_ssize_t place = 0
    cdef Py_ssize_t size = min(item.after.size, MOST_AHEAD)
    soon(item.key.data)
    while place < size:
        soon(item.after.data + place)
        place += LINE_BYTES


cdef enum Kind:
    LITERAL
    DECIMAL  # bare where it is a number
    INSTANT  # of a TIMESTAMP: without its Z
    BINARY  # base64
    SINGLE  # of a FLOAT
    MADE  # by a function


KINDS = {"literal": LITERAL, "decimal": DECIMAL, "instant": INSTANT, "binary": BINARY, "single": SINGLE}


cdef struct Cell:
    # A column's value in a row's `after`.
    int32_t start
    int32_t size


cdef enum Net:
    INSERT
    UPDATE
    DELETE


cdef struct Slot:
    const Item* item
    Py_ssize_t cells
    Net net


cdef class Cells:
    """The places of the values of many rows, one after the other."""

    cdef Cell* data
    cdef Py_ssize_t size
    cdef Py_ssize_t room

    def __dealloc__(self):
        free(self.data)

    cdef Cell* add(self, Py_ssize_t count) except NULL:
        cdef Py_ssize_t room
        cdef void* moved
        if self.size + count > self.room:
            room = max(self.room + self.room // 2, self.size + count, 1024)
            moved = realloc(self.data, room * sizeof(Cell))
            if moved == NULL:
                raise MemoryError(f"{room} values")
            self.data = <Cell*>moved
            self.room = room
        self.size += count
        return self.data + self.size - count


# --- compaction --------------------------------------------------------------------------------------------------------


cdef class _Names:
    """Member names as they stand in JSON, with the colon behind each."""

    cdef list texts
    cdef Py_ssize_t count

    def __init__(self, names):
        self.texts = [orjson.dumps(name) + b":" for name in names]
        self.count = len(self.texts)

    cdef bint cells(self, Text object_, Cell* cells):
        """Finds the values of an object that has just these members in this order."""
        cdef const uint8_t* at = object_.data
        cdef const uint8_t* end = at + object_.size
        cdef Py_ssize_t index, size
        cdef bytes name
        if object_.size > 0x7fffffff:
            return False
        for index in range(self.count):
            if at >= end or at[0] != (0x2c if index else 0x7b):
                return False
            at += 1
            name = <bytes>self.texts[index]
            size = PyBytes_GET_SIZE(name)
            if end - at <= size or memcmp(at, PyBytes_AS_STRING(name), size) != 0:
                return False
            at += size
            cells[index].start = <int32_t>(at - object_.data)
            at = value_end(at, end)
            if at == NULL:
                return False
            cells[index].size = <int32_t>(at - object_.data - cells[index].start)
        return self.count > 0 and end - at == 1 and at[0] == 0x7d


cdef bint _one_writing(Text key, const Cell* cells, Py_ssize_t count) noexcept nogil:
    """Whether equal keys have equal texts: none of the values is a fraction, and none has an escape."""
    cdef Py_ssize_t index
    cdef const uint8_t* at
    cdef bint whole
    if memchr(key.data, 0x5c, key.size) != NULL:
        return False
    for index in range(count):
        at = key.data + cells[index].start
        if at[0] == 0x22 or at[0] == 0x6e:
            continue
        if at[0] == 0x7b or at[0] == 0x5b or at[0] == 0x74 or at[0] == 0x66:
            return False
        if number_end(at, at + cells[index].size, &whole) == NULL or not whole:
            return False
    return True


# Keys come from outside: without a number that nobody knows, somebody could choose them to fall on one place.
cdef uint64_t _SECRET = int.from_bytes(os.urandom(8), "little")


cdef inline uint64_t _hash(Text text) noexcept nogil:
    cdef uint64_t value = _SECRET ^ <uint64_t>text.size
    cdef uint64_t eight
    cdef const uint8_t* at = text.data
    cdef Py_ssize_t left = text.size
    while left > 0:
        eight = 0
        memcpy(&eight, at, min(left, 8))
        value = (value ^ eight) * <uint64_t>0x9e3779b97f4a7c15
        value ^= value >> 32
        at += 8
        left -= 8
    return value


cdef class _TableNets:
    """What becomes of each key of one table version. `data`: the keys in the order of their first changes; `places`: where in it
    a key is, one more than that, 0 for none: a table with open addressing, `mask` + 1 long, a power of two."""

    cdef object schema
    cdef _Names columns, key
    cdef Slot* data
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    cdef int32_t* places
    cdef uint64_t mask
    cdef Cells cells
    cdef list blocks

    def __cinit__(self, schema):
        self.schema = schema
        self.columns = _Names([column.name for column in schema.columns])
        self.key = _Names(schema.key)
        self.cells = Cells()
        self.blocks = []

    def __dealloc__(self):
        free(self.data)
        free(self.places)

    cdef int grow(self, Py_ssize_t least) except -1:
        """At least twice the room, a power of two; the table of places stays half empty."""
        cdef Py_ssize_t room = max(2 * self.room, 256)
        cdef Py_ssize_t index
        cdef uint64_t at
        cdef void* moved
        while room < least:
            room *= 2
        if room > 0x3fffffff:
            raise MemoryError(f"{room} keys")
        moved = realloc(self.data, room * sizeof(Slot))
        if moved == NULL:
            raise MemoryError(f"{room} keys")
        self.data = <Slot*>moved
        moved = realloc(self.places, 2 * room * sizeof(int32_t))
        if moved == NULL:
            raise MemoryError(f"{room} keys")
        self.places = <int32_t*>moved
        memset(self.places, 0, 2 * room * sizeof(int32_t))
        self.room = room
        self.mask = 2 * room - 1
        for index in range(self.count):
            at = _hash(self.data[index].item.key) & self.mask
            while self.places[at]:
                at = (at + 1) & self.mask
            self.places[at] = <int32_t>(index + 1)
        return 0

    cdef Slot* slot(self, Text key, bint* known) except NULL:
        """That of a key, one without an item where it is a new one."""
        cdef uint64_t at
        cdef Slot* slot
        if self.count == self.room:
            self.grow(0)
        at = _hash(key) & self.mask
        while self.places[at]:
            slot = &self.data[self.places[at] - 1]
            if slot.item.key.size == key.size and memcmp(slot.item.key.data, key.data, key.size) == 0:
                known[0] = True
                return slot
            at = (at + 1) & self.mask
        known[0] = False
        self.count += 1
        self.places[at] = <int32_t>self.count
        return &self.data[self.count - 1]

    cdef bint add(self, ReceivedChange change, bint upsert) except *:
        """False where plain objects must be asked."""
        cdef const Item* item = change.item
        cdef Cell* cells
        cdef Cell[16] of_key
        cdef bint known = False
        cdef Slot* slot
        if self.key.count > 16 or not self.key.cells(item.key, of_key):
            return False
        if not _one_writing(item.key, of_key, self.key.count):
            return False
        if item.op != 0x64:
            cells = self.cells.add(self.columns.count)
            if not self.columns.cells(item.after, cells):
                return False
        if not self.blocks or self.blocks[len(self.blocks) - 1] is not change.block:
            self.blocks.append(change.block)
        slot = self.slot(item.key, &known)
        if not known:
            slot.net = UPDATE if item.op == 0x75 else INSERT
        elif item.op != 0x75:
            slot.net = INSERT
        elif slot.net == DELETE:
            slot.net = UPDATE
        if item.op == 0x64:
            slot.net = DELETE
        elif upsert or item.replay:
            slot.net = INSERT
        slot.item = item
        slot.cells = self.cells.size - self.columns.count
        return True

    cdef object batch(self):
        cdef ReceivedRows updates = self._rows()
        cdef ReceivedRows inserts = self._rows()
        cdef list deletes = []
        cdef Py_ssize_t index
        cdef Slot* slot
        for index in range(self.count):
            slot = &self.data[index]
            if slot.net == DELETE:
                deletes.append(tuple(orjson.loads(PyBytes_FromStringAndSize(<char*>slot.item.key.data, slot.item.key.size)).values()))
            elif slot.net == UPDATE:
                updates.add(slot)
            else:
                inserts.add(slot)
        return TableBatch(self.schema, deletes, updates if updates.count else [], inserts if inserts.count else [])

    cdef ReceivedRows _rows(self):
        cdef ReceivedRows rows = ReceivedRows.__new__(ReceivedRows)
        rows.cells = self.cells
        rows.blocks = self.blocks
        rows.columns = self.columns.count
        rows.names = tuple(column.name for column in self.schema.columns)
        return rows


def compact_received(list changes, schema_of, bint upsert):
    """As cdc.processes.compactor.compact; None where it must be asked instead."""
    cdef dict tables = {}
    cdef _TableNets nets = None
    cdef ReceivedBlock block = None
    cdef ReceivedChange change
    cdef int table = -1
    cdef Py_ssize_t index
    cdef Py_ssize_t count = len(changes)
    for index in range(count):
        if type(changes[index]) is not ReceivedChange:
            return None
        change = <ReceivedChange>changes[index]
        if index + ROWS_AHEAD < count and type(changes[index + ROWS_AHEAD]) is ReceivedChange:
            _soon((<ReceivedChange>changes[index + ROWS_AHEAD]).item)
        if change.block is not block or change.item.table != table:
            block, table = change.block, change.item.table
            schema = block._tables[table][2]
            nets = tables.get(schema)
            if nets is None:
                nets = tables[schema] = _TableNets(schema_of(schema))
                if len(tables) == 1:
                    # Mostly the only one.
                    nets.grow(count)
        if not nets.add(change, upsert):
            return None
    return [(<_TableNets>one).batch() for one in tables.values()]


# --- text --------------------------------------------------------------------------------------------------------------


cdef class _Out:
    cdef uint8_t* data
    cdef Py_ssize_t size
    cdef Py_ssize_t room

    def __dealloc__(self):
        free(self.data)

    cdef uint8_t* reserve(self, Py_ssize_t more) except NULL:
        """Room for so much; where it begins."""
        cdef Py_ssize_t room
        cdef void* moved
        if self.size + more > self.room:
            room = self.size + more
            if ROOM_AHEAD:
                room = max(self.room + self.room // 2, room, 65536)
            moved = realloc(self.data, room)
            if moved == NULL:
                raise MemoryError(f"{room} bytes of text")
            self.data = <uint8_t*>moved
            self.room = room
        return self.data + self.size

    cdef int put(self, bytes text) except -1:
        memcpy(self.reserve(len(text)), PyBytes_AS_STRING(text), len(text))
        self.size += len(text)
        return 0

    cdef bytes text(self):
        return PyBytes_FromStringAndSize(<char*>self.data, self.size)


cdef double _double(const uint8_t* at, Py_ssize_t size) except? -1.0:
    cdef bytes text = PyBytes_FromStringAndSize(<char*>at, size)
    return PyOS_string_to_double(PyBytes_AS_STRING(text), NULL, None)


cdef double _single(const uint8_t* at, Py_ssize_t size) except? -1.0:
    """The double that a FLOAT is, to the bit (see cdc.target.sql.values.single)."""
    cdef float single = <float>_double(at, size)
    if not isfinite(single):
        raise OverflowError(f"{PyBytes_FromStringAndSize(<char*>at, size)!r} is no FLOAT")
    return single


cdef bytes _float(const uint8_t* at, Py_ssize_t size):
    """As Python writes the number."""
    return _written(_double(at, size))


cdef bytes _written(double value):
    cdef char* made = PyOS_double_to_string(value, b'r', 0, Py_DTSF_ADD_DOT_0, NULL)
    try:
        return <bytes>made
    finally:
        PyMem_Free(made)


def _copy_text(value):
    return value if isinstance(value, str) else str(value)


cdef class ReceivedRows:
    """A Sequence[Row] of whole rows of one table version, their columns in the schema's order."""

    cdef Cells cells
    cdef list blocks
    cdef readonly tuple names
    cdef Py_ssize_t columns
    cdef Py_ssize_t count
    cdef Slot* data
    cdef Py_ssize_t room

    def __dealloc__(self):
        free(self.data)

    cdef int add(self, const Slot* slot) except -1:
        cdef void* moved
        if self.count == self.room:
            self.room = max(2 * self.room, 256)
            moved = realloc(self.data, self.room * sizeof(Slot))
            if moved == NULL:
                raise MemoryError(f"{self.room} rows")
            self.data = <Slot*>moved
        self.data[self.count] = slot[0]
        self.count += 1
        return 0

    cdef bytes _json(self, Py_ssize_t index):
        cdef const Text* after = &self.data[index].item.after
        return PyBytes_FromStringAndSize(<char*>after.data, after.size)

    cdef Py_ssize_t _text_bytes(self, Py_ssize_t start, Py_ssize_t end):
        """About as many as the text of these rows has."""
        cdef Py_ssize_t index, total = 65536
        for index in range(start, end):
            total += self.data[index].item.after.size
        return total

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [orjson.loads(self._json(place)) for place in range(*index.indices(self.count))]
        cdef Py_ssize_t place = index + self.count if index < 0 else index
        if not 0 <= place < self.count:
            raise IndexError(index)
        return orjson.loads(self._json(place))

    def __iter__(self):
        cdef Py_ssize_t index
        for index in range(self.count):
            yield orjson.loads(self._json(index))

    def __eq__(self, other):
        if not isinstance(other, (ReceivedRows, list, tuple)):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None

    def __repr__(self):
        return f"ReceivedRows({self.count} rows of {len(self.names)} columns)"

    def json_array(self):
        """All rows as one JSON array."""
        return b"[" + b",".join([self._json(index) for index in range(self.count)]) + b"]"

    def copy_text(self, written, dict converters, binary):
        r"""COPY's text format of the columns at `written`, a line for each row. `converters`: by column, what makes the value that
        is written as text; `binary`: those of them that make bytea's hex form of base64."""
        cdef list places = list(written)
        cdef Py_ssize_t count = len(places)
        cdef list change = [converters.get(place) for place in places]
        cdef list hexed = [place in binary for place in places]
        cdef _Out out = _Out()
        cdef Py_ssize_t index, at, size
        cdef const uint8_t* value
        cdef uint8_t* to
        cdef uint8_t* made
        cdef Slot* slot
        cdef Cell* cell
        if ROOM_AHEAD:
            out.reserve(self._text_bytes(0, self.count))
        for index in range(self.count):
            if index + ROWS_AHEAD < self.count:
                _soon(self.data[index + ROWS_AHEAD].item)
            slot = &self.data[index]
            to = out.reserve(2 * slot.item.after.size + 32 * count + 16)
            for at in range(count):
                cell = &self.cells.data[slot.cells + <Py_ssize_t>places[at]]
                value = slot.item.after.data + cell.start
                size = cell.size
                if at:
                    to[0] = 0x09
                    to += 1
                if value[0] == 0x6e:
                    to[0] = 0x5c
                    to[1] = 0x4e
                    to += 2
                elif change[at] is None and value[0] == 0x22:
                    if memchr(value, 0x5c, size) == NULL:
                        memcpy(to, value + 1, size - 2)
                        to += size - 2
                    else:
                        # Unescaped behind where it is escaped again: that is at most twice as long.
                        made = to + size
                        to = copy_escaped(to, made, unescaped(made, value + 1, value + size - 1))
                elif change[at] is None and value[0] < 0x3a and not is_fraction(value, size):
                    memcpy(to, value, size)
                    to += size
                else:
                    made = NULL
                    if hexed[at] and value[0] == 0x22:
                        made = hex_of_base64(to + 3, value + 1, size - 2)
                    if made != NULL:
                        memcpy(to, b"\\\\x", 3)
                        to = made
                        continue
                    out.size = to - out.data
                    text = self._converted(value, size, change[at], _copy_text)
                    to = out.reserve(2 * len(text) + 2 * slot.item.after.size + 32 * count + 16)
                    to = copy_escaped(to, <const uint8_t*>PyBytes_AS_STRING(text), <const uint8_t*>PyBytes_AS_STRING(text) + len(text))
            to[0] = 0x0a
            out.size = to + 1 - out.data
        return out.text()

    cdef bytes _converted(self, const uint8_t* value, Py_ssize_t size, change, as_text):
        if change is None and value[0] < 0x3a and value[0] != 0x22:
            return _float(value, size)
        loaded = orjson.loads(PyBytes_FromStringAndSize(<char*>value, size))
        return (<str>as_text(loaded if change is None else change(loaded))).encode()

    def mysql_values(self, Py_ssize_t start, written, list encoders, Py_ssize_t max_bytes, Py_ssize_t max_count):
        """`(1,'a',NULL),(…)`: rows from `start` on, the columns at `written`, and the number of the first row that is not in it: at
        most `max_count` rows and `max_bytes`, one larger row alone. `encoders`, for each of `written`: one of KINDS, or a function of
        the value that makes the literal."""
        cdef list places = list(written)
        cdef Py_ssize_t count = len(places)
        cdef _Out out = _Out()
        cdef Py_ssize_t index = start, at, size, before
        cdef const uint8_t* value
        cdef uint8_t* to
        cdef uint8_t* made
        cdef Slot* slot
        cdef Cell* cell
        cdef bytes text
        cdef int kind
        cdef list kinds = [KINDS[one] if isinstance(one, str) else MADE for one in encoders]
        if ROOM_AHEAD:
            out.reserve(max(1, min(self._text_bytes(start, min(self.count, start + max_count)), max_bytes)))
        while index < self.count and index - start < max_count:
            if index + ROWS_AHEAD < self.count:
                _soon(self.data[index + ROWS_AHEAD].item)
            slot = &self.data[index]
            before = out.size
            to = out.reserve(3 * slot.item.after.size + 32 * count + 16)
            if index > start:
                to[0] = 0x2c
                to += 1
            to[0] = 0x28
            to += 1
            for at in range(count):
                cell = &self.cells.data[slot.cells + <Py_ssize_t>places[at]]
                value = slot.item.after.data + cell.start
                size = cell.size
                kind = kinds[at]
                if at:
                    to[0] = 0x2c
                    to += 1
                if value[0] == 0x6e:
                    memcpy(to, b"NULL", 4)
                    to += 4
                elif kind < BINARY and value[0] == 0x22:
                    if kind == INSTANT and value[size - 2] == 0x5a:
                        size -= 1
                    if kind == DECIMAL and is_exact(value + 1, size - 2):
                        memcpy(to, value + 1, size - 2)
                        to += size - 2
                        continue
                    to[0] = 0x27
                    to += 1
                    # Without a backslash there is no quote and no control character in it.
                    if memchr(value, 0x5c, size) == NULL and memchr(value, 0x27, size) == NULL:
                        memcpy(to, value + 1, size - 2)
                        to += size - 2
                    elif memchr(value, 0x5c, size) == NULL:
                        to = mysql_escaped(to, value + 1, value + size - 1)
                    else:
                        made = to + size
                        to = mysql_escaped(to, made, unescaped(made, value + 1, value + size - 1))
                    to[0] = 0x27
                    to += 1
                elif kind < BINARY and value[0] < 0x3a and not is_fraction(value, size):
                    memcpy(to, value, size)
                    to += size
                elif (kind < BINARY or kind == SINGLE) and value[0] < 0x3a and value[0] != 0x22:
                    text = _written(_single(value, size) if kind == SINGLE else _double(value, size))
                    memcpy(to, PyBytes_AS_STRING(text), len(text))
                    to += len(text)
                    if b"e" not in text:
                        memcpy(to, b"e0", 2)
                        to += 2
                elif kind < BINARY and (value[0] == 0x74 or value[0] == 0x66):
                    to[0] = 0x31 if value[0] == 0x74 else 0x30
                    to += 1
                else:
                    made = NULL
                    if kind == BINARY and value[0] == 0x22:
                        made = hex_of_base64(to + 2, value + 1, size - 2)
                    if made != NULL:
                        memcpy(to, b"x'", 2)
                        made[0] = 0x27
                        to = made + 1
                        continue
                    if kind != MADE:
                        raise ValueError(f"{orjson.loads(self._json(index))[self.names[places[at]]]!r} is no value of this column")
                    out.size = to - out.data
                    text = (<str>encoders[at](orjson.loads(PyBytes_FromStringAndSize(<char*>value, size)))).encode()
                    out.put(text)
                    to = out.reserve(3 * slot.item.after.size + 32 * count + 16)
            to[0] = 0x29
            if index > start and to + 1 - out.data > max_bytes:
                out.size = before
                break
            out.size = to + 1 - out.data
            index += 1
        return out.text(), index

    def mysql_parameters(self, Py_ssize_t start, Py_ssize_t count, written, list kinds, Py_ssize_t max_bytes):
        """`count` rows from `start` on, the columns at `written`, as a prepared statement takes them: the bitmap of nulls, that types
        follow, these, the values. `kinds`: of KINDS, for each of `written`, but for "binary". None where some value can only be written
        as a literal, or where they are more than `max_bytes`."""
        return _parameters(self, start, count, written, [KINDS[one] for one in kinds], max_bytes)


include "mysql_parameters.pxi"


Sequence.register(ReceivedRows)
