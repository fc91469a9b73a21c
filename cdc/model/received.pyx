# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Messages as a queue handed them out, read without an object for each of their fields.

A ReceivedBlock is a Sequence[Received]. Those of its messages that are change events in our own writing (cdc.processes.packing)
are looked at where they lie: whole runs of them pass the gate at once (`run`). All others are for cdc.model.change.parse.
"""

from collections.abc import Sequence

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memset

cimport cython

import orjson

from cdc.model.bundle import messages_of
from cdc.model.change import Change, Received
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import PoisonMessage
from cdc.model.json_scan cimport is_utf8
from cdc.model.message_scan cimport bulk, bundle_head, bundle_row, counted, is_bundle, literal, read_change, whole_number
from cdc.model.position import Sequence as Place


cdef inline str _str(Text text):
    return PyUnicode_DecodeUTF8(<const char*>text.data, text.size, NULL)


cdef inline bytes _bytes(Text text):
    return PyBytes_FromStringAndSize(<const char*>text.data, text.size)


cdef bytes _value(const Item* item):
    """The message's value as it is alone."""
    if item.shared.size == 0:
        return _bytes(item.value)
    return b'{"before":null,"after":%b%b%d,"data_collection_order":%d,"end":true}}' % (
        _bytes(item.after), _bytes(item.shared), item.order, item.order
    )


cdef inline bint _together(const Item* one, const Item* other) noexcept nogil:
    """Whether both came in one bundle."""
    return one.offset.data == other.offset.data


cdef inline Text _text_of(bytes of):
    cdef Text text
    text.data = <const uint8_t*>PyBytes_AS_STRING(of)
    text.size = PyBytes_GET_SIZE(of)
    return text


cdef inline bint _same(Text one, Text other) noexcept nogil:
    return one.size == other.size and memcmp(one.data, other.data, one.size) == 0


cdef extern from "Python.h":
    Py_ssize_t references "Py_REFCNT"(PyObject* of)


# Batches are of much the same size: the memory of their replies and of what was read of them goes round, and is not given back to
# the system and asked for anew, page by page. Taken and kept under the GIL.
cdef enum:
    MOST_KEPT = 2
    LEAST_KEPT_BYTES = 262144
    MOST_KEPT_BYTES = 8388608

cdef list _replies = []
cdef Item* _items[MOST_KEPT]
cdef Py_ssize_t _rooms[MOST_KEPT]
cdef int _items_count = 0


cdef void _keep_reply(object reply):
    if type(reply) is bytearray and len(_replies) < MOST_KEPT:
        if LEAST_KEPT_BYTES <= PyByteArray_GET_SIZE(reply) <= MOST_KEPT_BYTES:
            _replies.append(reply)


cdef bytearray _reply(Py_ssize_t size):
    """With whatever is in it."""
    cdef bytearray reply
    if not _replies:
        # Not `bytearray(size)`: that writes zeros.
        return PyByteArray_FromStringAndSize(NULL, size)
    reply = _replies.pop()
    PyByteArray_Resize(reply, size)
    return reply


cdef bint _keep_items(Item* items, Py_ssize_t room) noexcept:
    global _items_count
    if _items_count == MOST_KEPT or room * <Py_ssize_t>sizeof(Item) > MOST_KEPT_BYTES:
        return False
    _items[_items_count] = items
    _rooms[_items_count] = room
    _items_count += 1
    return True


cdef Item* _kept_items(Py_ssize_t* room) noexcept:
    """NULL, and no room, where none are there."""
    global _items_count
    if _items_count == 0:
        room[0] = 0
        return NULL
    _items_count -= 1
    room[0] = _rooms[_items_count]
    return _items[_items_count]


cdef class ReplyReader:
    """Tells where so many replies of Redis end, while they are coming in. `fed`: how many bytes of `buffer` are filled, from the
    caller."""

    cdef readonly bytearray buffer
    cdef Py_ssize_t _at
    cdef int64_t _left

    def __init__(self, Py_ssize_t size, int64_t replies=1):
        self.buffer = _reply(size)
        self._left = replies

    def missing(self, Py_ssize_t fed):
        """0 where the last reply is whole, else how many bytes are missing at least."""
        cdef const uint8_t* data = <const uint8_t*>PyByteArray_AS_STRING(self.buffer)
        cdef const uint8_t* line
        cdef int64_t value
        cdef uint8_t kind
        while self._left:
            line = <const uint8_t*>memchr(data + self._at, 0x0a, fed - self._at) if self._at < fed else NULL
            if line == NULL:
                return 1
            kind = data[self._at]
            if kind == 0x2a or kind == 0x24:
                if counted(data + self._at, data + fed, kind, &value) == NULL:
                    value = 0 if kind == 0x2a else -2  # a null
                if kind == 0x24:
                    if line + 1 + value + 2 > data + fed:
                        return line + 1 + value + 2 - (data + fed)
                    line += value + 2
                else:
                    self._left += value
            self._at = line + 1 - data
            self._left -= 1
        return 0

    def grow(self, Py_ssize_t size):
        if size > len(self.buffer):
            PyByteArray_Resize(self.buffer, size)

    def end(self, Py_ssize_t fed):
        """The replies, once they are whole."""
        PyByteArray_Resize(self.buffer, fed)
        return self.buffer


# --- many messages -----------------------------------------------------------------------------------------------------


cdef class ReceivedBlock:
    """Messages of one lane, in order; in place of a bundle (cdc.model.bundle) its rows', at its offset. `tables` are those of its
    CHANGEs: (db, table, schema), in the order of their first ones."""

    def __cinit__(self):
        self._tables = []
        self._made = []

    def __dealloc__(self):
        if self.items != NULL and not _keep_items(self.items, self.room):
            free(self.items)
        free(self._texts)
        # Nobody else has it.
        if references(<PyObject*>self._keeps) == 1:
            _keep_reply(self._keeps)

    @staticmethod
    def of(received):
        """The same messages, from a sequence of Received, bundles among them."""
        cdef ReceivedBlock block = ReceivedBlock.__new__(ReceivedBlock)
        cdef Item* item
        cdef bytes key, value
        cdef list keeps = []
        block._keeps = keeps
        for offset, key_or_none, value in received:
            key = key_or_none or b""
            item = block._add()
            place = (<str>offset).encode()
            keeps.append((place, key, value))
            item.offset = _text_of(place)
            item.key = _text_of(key)
            item.value = _text_of(value)
            if is_bundle(item):
                block._expand()
        block._read_all()
        return block

    @staticmethod
    def of_reply(reply not None):
        """Of Redis' whole answer to XRANGE (RESP2: https://redis.io/docs/latest/develop/reference/protocol-spec/), a bytearray
        that nobody changes any more. None where it is no array of entries. An entry that is not one of ours has the value ""."""
        cdef ReceivedBlock block = ReceivedBlock.__new__(ReceivedBlock)
        cdef const uint8_t* at
        cdef const uint8_t* end
        cdef int64_t entries, parts, fields
        cdef Text text, name
        cdef Item* item
        block._keeps = reply
        at = <const uint8_t*>PyByteArray_AS_STRING(reply)
        end = at + len(reply)
        at = counted(at, end, 0x2a, &entries)
        while at != NULL and entries > 0:
            entries -= 1
            at = counted(at, end, 0x2a, &parts)
            if parts != 2:
                return None
            item = block._add()
            at = bulk(at, end, &item.offset)
            at = counted(at, end, 0x2a, &fields)
            item.key.data = item.value.data = item.offset.data
            while at != NULL and fields > 1:
                fields -= 2
                at = bulk(at, end, &name)
                at = bulk(at, end, &text)
                if at != NULL and name.size == 1 and name.data[0] == 0x6b:
                    item.key = text
                elif at != NULL and name.size == 1 and name.data[0] == 0x76:
                    item.value = text
            if at != NULL and is_bundle(item):
                block._expand()
        if at != end or entries:
            return None
        block._read_all()
        return block

    def part(self, Py_ssize_t start, Py_ssize_t end):
        """Some of the messages, as a block of their own."""
        cdef ReceivedBlock block = ReceivedBlock.__new__(ReceivedBlock)
        cdef Py_ssize_t index
        if not 0 <= start <= end <= self.count:
            raise IndexError((start, end))
        block._keeps = self
        for index in range(start, end):
            block._add()[0] = self.items[index]
        block._tables = self._tables
        block._text_count = self._text_count
        return block

    def within(self, Py_ssize_t max_messages, Py_ssize_t max_bytes):
        """How many of the first messages are so many, and have so many bytes of values, at most. One larger counts alone, and rows of
        one bundle only all together, also where that is more than `max_messages`: the others would be a small batch of their own."""
        cdef Py_ssize_t index = 0
        cdef Py_ssize_t whole = 0
        while index < self.count:
            if index == 0 or not _together(&self.items[index], &self.items[index - 1]):
                whole = index
                if whole and whole >= max_messages:
                    return whole
            max_bytes -= self.items[index].value.size
            if whole and max_bytes < 0:
                return whole
            index += 1
        return index

    @property
    def entries(self):
        """How many messages the queue counts: a bundle as one."""
        cdef Py_ssize_t index, total = 0
        for index in range(self.count):
            total += index == 0 or not _together(&self.items[index], &self.items[index - 1])
        return total

    @property
    def value_bytes(self):
        cdef Py_ssize_t index, total = 0
        for index in range(self.count):
            total += self.items[index].value.size
        return total

    def consecutive(self, int64_t token, int64_t number):
        """How many of the first messages have offsets `<token>-<number>` that follow, one after the other, on this one: the next
        number, or the first of a higher token; a bundle's rows have one."""
        cdef Py_ssize_t index
        cdef int64_t next_token, next_number
        cdef const uint8_t* at
        cdef const uint8_t* end
        for index in range(self.count):
            if index and _together(&self.items[index], &self.items[index - 1]):
                continue
            at = self.items[index].offset.data
            end = at + self.items[index].offset.size
            at = whole_number(at, end, &next_token)
            at = literal(at, end, b"-", 1)
            at = whole_number(at, end, &next_number)
            if at != end:
                return index
            if not (next_token == token and next_number == number + 1) and not (next_token > token and next_number == 1):
                return index
            token, number = next_token, next_number
        return self.count

    cdef int _grow(self, Py_ssize_t more) except -1:
        """Room for so many more."""
        cdef Py_ssize_t room
        cdef void* moved
        if self.items == NULL:
            self.items = _kept_items(&self.room)
        if self.count + more > self.room:
            room = max(2 * self.room, self.count + more, 64)
            moved = realloc(self.items, room * sizeof(Item))
            if moved == NULL:
                raise MemoryError(f"{room} messages")
            self.items = <Item*>moved
            self.room = room
        return 0

    cdef Item* _add(self) except NULL:
        self._grow(1)
        self.count += 1
        memset(&self.items[self.count - 1], 0, sizeof(Item))
        return &self.items[self.count - 1]

    cdef int _expand(self) except -1:
        """The rows of the last message, which is a bundle, take its place; it stays where it is none of ours, for `parse` to refuse."""
        cdef Item whole = self.items[self.count - 1]
        cdef Item head = whole
        cdef const uint8_t* end = whole.value.data + whole.value.size
        cdef const uint8_t* at
        cdef TableTexts table
        cdef int64_t rows, index
        cdef Item* item
        at = bundle_head(&head, &table, &rows)
        if at != NULL:
            self._grow(rows)
            head.kind = CHANGE
            with nogil:
                item = &self.items[self.count - 1]
                for index in range(rows):
                    if index:
                        at = literal(at, end, b",", 1)
                    item[0] = head
                    at = bundle_row(at, end, item)
                    if at == NULL:
                        break
                    head.order += 1
                    item += 1
                at = literal(at, end, b"]}", 2)
                if at != end or not is_utf8(whole.value.data, whole.value.size):
                    at = NULL
        if at == NULL:
            self.items[self.count - 1] = whole
            self._expand_plainly()
            return 0
        head.table = self._table(table.db, table.table, table.schema)
        for index in range(rows):
            self.items[self.count - 1 + index].table = head.table
        self.count += rows - 1
        return 0

    cdef int _expand_plainly(self) except -1:
        cdef Text offset = self.items[self.count - 1].offset
        cdef Item* item
        cdef bytes key, value
        try:
            messages = messages_of(_bytes(self.items[self.count - 1].value))
        except PoisonMessage:
            return 0
        self.count -= 1
        self._made.append(messages)
        for key, value in messages:
            item = self._add()
            item.offset = offset
            item.key = _text_of(key)
            item.value = _text_of(value)
        return 0

    cdef int _read_all(self) except -1:
        cdef Py_ssize_t index
        cdef Item* item
        cdef TableTexts table
        cdef Like like
        memset(&like, 0, sizeof(like))
        with nogil:
            for index in range(self.count):
                item = &self.items[index]
                if item.kind == CHANGE:
                    # A bundle's, which has been read.
                    like.item = NULL
                elif read_change(item, &table, &like):
                    item.table = self._table(table.db, table.table, table.schema)
                    item.kind = CHANGE
        return 0

    cdef int _table(self, Text db, Text table, Text schema) except -1 nogil:
        """The number of a table's version."""
        cdef Py_ssize_t index
        cdef TableTexts* known
        cdef void* moved
        # The latest first: rows of one table come one after the other.
        for index in range(self._text_count - 1, -1, -1):
            known = &self._texts[index]
            if _same(known.schema, schema) and _same(known.table, table) and _same(known.db, db):
                return <int>index
        with gil:
            if self._text_count == self._text_room:
                self._text_room = max(2 * self._text_room, 16)
                moved = realloc(self._texts, self._text_room * sizeof(TableTexts))
                if moved == NULL:
                    raise MemoryError("tables")
                self._texts = <TableTexts*>moved
            known = &self._texts[self._text_count]
            known.db, known.table, known.schema = db, table, schema
            self._tables.append((_str(db), _str(table), _str(schema)))
            self._text_count += 1
            return <int>(self._text_count - 1)

    @property
    def tables(self):
        return list(self._tables)

    def __len__(self):
        return self.count

    def __iter__(self):
        for index in range(self.count):
            yield self[index]

    def __eq__(self, other):
        if not isinstance(other, (ReceivedBlock, list, tuple)):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self.count))]
        cdef Py_ssize_t place = index + self.count if index < 0 else index
        if not 0 <= place < self.count:
            raise IndexError(index)
        cdef Item* item = &self.items[place]
        return Received(_str(item.offset), _bytes(item.key) if item.key.size else None, _value(item))

    def offset(self, Py_ssize_t index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        return _str(self.items[index].offset)

    def run(self, Py_ssize_t start, int64_t token, watermark, int64_t n, captured):
        """Where a run of change events that count ends: each with this reader's `token`, in the watermark's generation, above the
        one before (`watermark`: before the first) and counted without a gap after `n`, of tables that `captured` has (one value
        for each of `tables`); or a copied one behind all that came before (not below it, with its count). `start`, where the
        message there is not of that kind."""
        cdef int64_t[4] last
        cdef Py_ssize_t index = start
        cdef Item* item
        cdef list allowed = list(captured)
        cdef int place
        last[0], last[1], last[2], last[3] = watermark
        if len(allowed) != self._text_count or start < 0:
            raise ValueError("one value for each table")
        while index < self.count:
            item = &self.items[index]
            if item.kind != CHANGE or item.token != token or item.seq[0] != last[0]:
                break
            if item.n != n + (not item.copied):
                break
            place = 1
            while place < 3 and item.seq[place] == last[place]:
                place += 1
            if item.seq[place] < last[place] or (item.seq[place] == last[place] and not item.copied):
                break
            if not allowed[item.table]:
                break
            last[1], last[2], last[3] = item.seq[1], item.seq[2], item.seq[3]
            n = item.n
            index += 1
        return index

    def last_end(self, Py_ssize_t start, Py_ssize_t end):
        """Behind the last message of these that ends a transaction; `start` where none does."""
        while end > start and not self.items[end - 1].ends:
            end -= 1
        return end

    def changes(self, Py_ssize_t start, Py_ssize_t end, wanted):
        """The change events of a run, but for those of tables that `wanted` has not (one value for each of `tables`)."""
        if not 0 <= start <= end <= self.count:
            raise IndexError((start, end))
        cdef list allowed = list(wanted)
        cdef list made = []
        cdef Py_ssize_t index
        cdef bint every = all(allowed)
        for index in range(start, end):
            if every or allowed[self.items[index].table]:
                made.append(self._change(index))
        return made

    def change(self, Py_ssize_t index):
        """The change event there; None where it is not one in our own writing."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self._change(index) if self.items[index].kind == CHANGE else None

    def _change(self, Py_ssize_t index):
        cdef ReceivedChange change = ReceivedChange.__new__(ReceivedChange)
        change.block = self
        change.item = &self.items[index]
        return change

    def commit_us(self, Py_ssize_t start, Py_ssize_t end):
        """Of the last of these that has one; 0 where none has."""
        while end > start and not self.items[end - 1].commit_us:
            end -= 1
        return self.items[end - 1].commit_us if end > start else 0


@cython.no_gc
@cython.freelist(256)
cdef class ReceivedChange:
    """A change event of a block: the attributes of a Change, made when they are asked for."""

    @property
    def op(self):
        return chr(self.item.op)

    @property
    def db(self):
        return self.block._tables[self.item.table][0]

    @property
    def table(self):
        return self.block._tables[self.item.table][1]

    @property
    def schema(self):
        return self.block._tables[self.item.table][2]

    cdef bytes key_text(self):
        return _bytes(self.item.key)

    @property
    def key(self):
        return tuple(orjson.loads(_bytes(self.item.key)).values())

    @property
    def after(self):
        return orjson.loads(_bytes(self.item.after))

    @property
    def seq(self):
        return Place(self.item.seq[0], self.item.seq[1], self.item.seq[2], self.item.seq[3])

    @property
    def n(self):
        return self.item.n

    @property
    def token(self):
        return self.item.token

    @property
    def ends_transaction(self):
        return bool(self.item.ends)

    @property
    def replay(self):
        return bool(self.item.replay)

    @property
    def copied(self):
        return bool(self.item.copied)

    @property
    def point(self):
        return SourcePoint(_str(self.item.source_id), _str(self.item.file), self.item.tx_pos, _str(self.item.gtid))

    @property
    def commit_us(self):
        return self.item.commit_us

    @property
    def raw(self):
        return _value(self.item)

    def plain(self):
        """The same as cdc.model.change.parse gives it."""
        return Change(
            self.op, self.db, self.table, self.schema, self.key, self.after, self.seq, self.n, self.token,
            self.ends_transaction, self.replay, self.point, self.commit_us, self.raw, self.copied,
        )

    def __repr__(self):
        return f"ReceivedChange({self.op!r} of {self.db}.{self.table} at {self.seq})"


def tally(list changes):
    """How many changes there are of each operation, and of each commit time; None where one is not of a block."""
    cdef ReceivedChange change
    cdef Py_ssize_t[128] ops
    cdef dict commits = {}
    cdef int64_t commit_us = -1
    cdef Py_ssize_t run = 0
    memset(ops, 0, sizeof(ops))
    for one in changes:
        if type(one) is not ReceivedChange:
            return None
        change = <ReceivedChange>one
        ops[change.item.op] += 1
        if change.item.commit_us != commit_us:
            if run:
                commits[commit_us] = commits.get(commit_us, 0) + run
            commit_us, run = change.item.commit_us, 0
        run += 1
    if run:
        commits[commit_us] = commits.get(commit_us, 0) + run
    return {chr(op): ops[op] for op in b"cudr" if ops[op]}, commits


def one_version(list changes):
    """Whether all changes are of blocks, and none of their tables is there in more than one version."""
    cdef ReceivedBlock block = None
    cdef set seen = set()
    cdef ReceivedChange change
    cdef int table = -1
    for one in changes:
        if type(one) is not ReceivedChange:
            return False
        change = <ReceivedChange>one
        if change.block is not block or change.item.table != table:
            block, table = change.block, change.item.table
            seen.add(block._tables[table])
    return len({(db, name) for db, name, _ in seen}) == len(seen)


Sequence.register(ReceivedBlock)
