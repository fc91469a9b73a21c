# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Finished messages in one piece of memory, and the change events of encoded rows written into it.

A PackedMessages is a Sequence[Message]: whoever asks for one message gets one. What it saves is an object for each message on
the way from the decoder to a queue that takes many at once (`blob`, `appends`).
"""

from array import array
from collections.abc import Sequence

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from cdc.model.change import Message
from cdc.model.encoded cimport EncodedRow, EncodedRows
from cdc.model.numbers cimport COUNTER_ROOM, NUMBER_SIZE, Counter, count_from, count_up, number, put_counter

import orjson


include "buffers.pxi"


cdef enum:
    MOST_COUNTED = 16  # lanes whose counts are kept as digits within a rows event


cdef class Lanes:
    """The lanes of a run, numbered in the order in which they are named."""

    def __init__(self, names=()):
        self.names = []
        self._escaped = []
        self._numbers = {}
        for name in names:
            self.number(name)

    def number(self, str name):
        """The lane's number; a new one where it was not named before."""
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = len(self.names)
            self.names.append(name)
            escaped = orjson.dumps(name)
            self._escaped.append(escaped[1:len(escaped) - 1])
        return found


cdef class Pieces:
    """What is the same in all change events of one rows event, in the order of the text around what is not."""

    cdef bytes head, middle, behind_seq, behind_count, behind_op

    def __init__(self, bytes head, bytes middle, bytes behind_seq, bytes behind_count, bytes behind_op):
        """`head`: from the comma behind the images to the row's number; `middle`: to the row's number in `seq`; `behind_seq`: to
        the lane's name; `behind_count`: to the operation's letter; `behind_op`: to the total order."""
        self.head = head
        self.middle = middle
        self.behind_seq = behind_seq
        self.behind_count = behind_count
        self.behind_op = behind_op


cdef Around _around(Pieces pieces):
    cdef Around around
    around.head = text_of(pieces.head)
    around.middle = text_of(pieces.middle)
    around.behind_seq = text_of(pieces.behind_seq)
    around.behind_count = text_of(pieces.behind_count)
    around.behind_op = text_of(pieces.behind_op)
    return around


cdef enum:
    ROW_ROOM = 18  # what stands around a row's key and image in a bundle
    HEAD_ROOM = 80 + 4 * NUMBER_SIZE  # as much, at least, as in its head and tail is neither a piece nor the lane's name


cdef inline Py_ssize_t _bundle_room(const Around* around, Text lane_name) noexcept nogil:
    cdef Py_ssize_t pieces = around.head.size + around.middle.size + around.behind_seq.size
    return HEAD_ROOM + pieces + around.behind_count.size + around.behind_op.size + lane_name.size


cdef class PackedMessages:
    """Messages in the order in which they were added. The last one may be held: it is not finished, and does not count.

    `largest`: the size of the largest value."""

    def __cinit__(self, Lanes lanes not None, Py_ssize_t capacity=0):
        self.lanes = lanes
        if capacity:
            self._reserve(capacity)

    def __dealloc__(self):
        if self.data != NULL and not keep_buffer(self.data, self.capacity):
            free(self.data)
        free(self.items)

    cdef int _reserve(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t capacity
        cdef void* moved
        if self.data == NULL:
            self.data = kept_buffer(&self.capacity)
        if more > self.capacity - self.size:
            capacity = max(self.capacity + self.capacity // 2, self.size + more, 16384)
            moved = realloc(self.data, capacity)
            if moved == NULL:
                raise MemoryError(f"{capacity} bytes of messages")
            self.data = <uint8_t*>moved
            self.capacity = capacity
        return 0

    cdef Packed* _add(self) except NULL:
        cdef Py_ssize_t room
        cdef void* moved
        if self.count == self.room:
            room = max(2 * self.room, 256)
            moved = realloc(self.items, room * sizeof(Packed))
            if moved == NULL:
                raise MemoryError(f"{room} messages")
            self.items = <Packed*>moved
            self.room = room
        self.count += 1
        self.items[self.count - 1].rows = 1
        return &self.items[self.count - 1]

    cdef void _counted(self, Packed* item) noexcept:
        self.value_bytes += item.value_size
        if item.value_size > self.largest:
            self.largest = item.value_size

    def append(self, message):
        """Adds a finished message; none is held."""
        cdef bytes key = message.key or b""
        cdef bytes value = message.value
        self.release(False)
        self._reserve(len(key) + len(value))
        cdef Packed* item = self._add()
        item.lane = self.lanes.number(message.lane)
        item.key = self.size
        item.key_size = len(key)
        item.value_size = len(value)
        cdef uint8_t* to = put(self.data + self.size, PyBytes_AS_STRING(key), item.key_size)
        put(to, PyBytes_AS_STRING(value), item.value_size)
        self.size += item.key_size + item.value_size
        self._counted(item)

    def add_rows(
        self,
        EncodedRows rows not None,
        Py_ssize_t start,
        Pieces pieces not None,
        int64_t[::1] counts,
        int[::1] table_lanes,
        int whole,
        int64_t first_row,
        int64_t total_order,
        int64_t table_order,
        bint copied=False,
    ):
        """Adds the change events of `rows` from `start` on, the last one held, and raises `counts` by lane number.

        `table_lanes`: by what the key's hash gives, the lane's number, or -1 for one that is not open yet. `whole`: the place in it
        where the whole table goes, or -1. `first_row`: of `rows[0]`, as are `total_order` and `table_order`. Returns the number
        of the first row that was not added, since its lane is not open, or how many rows there are.

        `copied`: as SELECT has read them. They are not counted, all have the number `first_row`, and none is held.
        """
        cdef Around around = _around(pieces)
        cdef Numbers first = Numbers(first_row + (0 if copied else start), total_order + start, table_order + start)
        return self._rows(rows, start, rows.count, &around, counts, table_lanes, whole, first, copied)

    cdef Py_ssize_t _rows(
        self,
        EncodedRows rows,
        Py_ssize_t start,
        Py_ssize_t end,
        const Around* around,
        int64_t[::1] counts,
        int[::1] table_lanes,
        int whole,
        Numbers first,
        bint copied,
    ) except -1:
        """See add_rows; here `first` is of the row `start`."""
        cdef Py_ssize_t fixed = around.head.size + around.middle.size + around.behind_seq.size
        cdef Py_ssize_t spread = table_lanes.shape[0]
        cdef Py_ssize_t index
        cdef Text lane_name
        cdef EncodedRow* row
        cdef Packed* item
        cdef uint8_t* to
        cdef uint8_t* begin
        cdef int lane
        cdef Counter row_number, total_order, table_order, lane_count
        cdef Counter[MOST_COUNTED] lane_counts
        cdef Counter* count
        cdef uint32_t counted = 0
        count_from(&row_number, first.row)
        count_from(&total_order, first.total_order)
        count_from(&table_order, first.table_order)
        fixed += around.behind_count.size + around.behind_op.size + 5 * COUNTER_ROOM + 64
        for index in range(start, end):
            row = &rows.rows[index]
            if whole >= 0:
                lane = table_lanes[whole]
            elif spread == 1:
                lane = table_lanes[0]
            else:
                lane = table_lanes[row.crc % <uint32_t>spread]
            if lane < 0:
                return index
            if self.held:
                self._release(False)
            lane_name = text_of(<bytes>self.lanes._escaped[lane])
            # What `_release` adds is in `fixed`, so that it needs no room of its own.
            self._reserve(fixed + lane_name.size + row.key.size + row.before.size + row.after.size)
            item = self._add()
            counts[lane] += not copied
            count = &lane_counts[lane] if lane < MOST_COUNTED else &lane_count
            if lane >= MOST_COUNTED or not counted >> lane & 1:
                count_from(count, counts[lane])
                if lane < MOST_COUNTED:
                    counted |= <uint32_t>1 << lane
            elif not copied:
                count_up(count)
            item.lane = lane
            item.key = self.size
            item.key_size = row.key.size
            begin = self.data + self.size
            to = put(begin, rows.data + row.key.start, row.key.size)
            to = put(to, b'{"before":', 10)
            if row.before.size:
                to = put(to, rows.data + row.before.start, row.before.size)
            else:
                to = put(to, b'null', 4)
            to = put(to, b',"after":', 9)
            if row.after.size:
                to = put(to, rows.data + row.after.start, row.after.size)
            else:
                to = put(to, b'null', 4)
            to = put(to, around.head.data, around.head.size)
            to = put_counter(to, &row_number)
            to = put(to, around.middle.data, around.middle.size)
            to = put_counter(to, &row_number)
            to = put(to, around.behind_seq.data, around.behind_seq.size)
            to = put(to, lane_name.data, lane_name.size)
            to = put(to, b'","n":', 6)
            to = put_counter(to, count)
            to = put(to, around.behind_count.data, around.behind_count.size)
            to[0] = row.op
            to = put(to + 1, around.behind_op.data, around.behind_op.size)
            to = put_counter(to, &total_order)
            to = put(to, b',"data_collection_order":', 25)
            to = put_counter(to, &table_order)
            if not copied:
                count_up(&row_number)
            count_up(&total_order)
            count_up(&table_order)
            self.size += to - begin
            item.value_size = (to - begin) - item.key_size
            self.held = True
            if copied:
                self._release(True)
        return end

    def add_bundles(
        self,
        EncodedRows rows not None,
        Pieces pieces not None,
        int64_t[::1] counts,
        int[::1] table_lanes,
        int whole,
        Py_ssize_t max_rows,
        Py_ssize_t max_bytes,
    ):
        """As add_rows with `copied`, but lane by lane and in bundles (see cdc.model.bundle) of at most so many rows, and bytes with
        all that is around them; a row that does not go with another is a message of its own. The orders count in that order,
        from 1. Adds nothing where a lane is not open."""
        cdef Around around = _around(pieces)
        cdef Py_ssize_t spread = table_lanes.shape[0]
        cdef Py_ssize_t lanes = len(self.lanes.names)
        cdef int64_t[::1] following = array("q", bytes(8 * rows.count))  # by row, the lane's next one; -1: none
        cdef int64_t[::1] first = array("q", [-1]) * lanes
        cdef int64_t[::1] last = array("q", [-1]) * lanes
        cdef Py_ssize_t index, end, count, size, more
        cdef int64_t order = 1
        cdef EncodedRow* row
        cdef int lane
        for index in range(rows.count):
            lane = table_lanes[whole if whole >= 0 else rows.rows[index].crc % <uint32_t>spread]
            if lane < 0:
                return index
            following[index] = -1
            if first[lane] < 0:
                first[lane] = index
            else:
                following[last[lane]] = index
            last[lane] = index
        for lane in range(lanes):
            index = first[lane]
            while index >= 0:
                end, count = index, 0
                size = _bundle_room(&around, text_of(<bytes>self.lanes._escaped[lane]))
                while end >= 0 and count < max_rows:
                    row = &rows.rows[end]
                    more = row.key.size + row.after.size + ROW_ROOM
                    # What of a row is nothing else than its key and its image can be left out.
                    if row.op != c'r' or row.before.size or not row.after.size or size + more > max_bytes:
                        break
                    size += more
                    count += 1
                    end = following[end]
                if count > 1:
                    self._bundle(rows, index, count, size, following, &around, counts[lane], lane, order)
                else:
                    end, count = following[index], 1
                    self._rows(
                        rows, index, index + 1, &around, counts, table_lanes, whole, Numbers(0, order, order), True
                    )
                order += count
                index = end
        return rows.count

    cdef int _bundle(
        self,
        EncodedRows rows,
        Py_ssize_t index,
        Py_ssize_t count,
        Py_ssize_t size,
        int64_t[::1] following,
        const Around* around,
        int64_t lane_count,
        int lane,
        int64_t order,
    ) except -1:
        """`size`: room that is enough for it."""
        cdef Text lane_name = text_of(<bytes>self.lanes._escaped[lane])
        cdef Py_ssize_t place
        cdef EncodedRow* row
        self._reserve(size)
        cdef Packed* item = self._add()
        cdef uint8_t* begin = self.data + self.size
        cdef uint8_t* to = put(begin, b'{"copied":', 10)
        to += number(to, count)
        to = put(to, around.head.data, around.head.size)
        to = put(to, b'0', 1)
        to = put(to, around.middle.data, around.middle.size)
        to = put(to, b'0', 1)
        to = put(to, around.behind_seq.data, around.behind_seq.size)
        to = put(to, lane_name.data, lane_name.size)
        to = put(to, b'","n":', 6)
        to += number(to, lane_count)
        to = put(to, around.behind_count.data, around.behind_count.size)
        to = put(to, b'r', 1)
        to = put(to, around.behind_op.data, around.behind_op.size)
        to += number(to, order)
        to = put(to, b',"data_collection_order":', 25)
        to += number(to, order)
        to = put(to, b',"end":true},"rows":[', 21)
        for place in range(count):
            row = &rows.rows[index]
            if place:
                to = put(to, b',', 1)
            to = put(to, b'{"key":', 7)
            to = put(to, rows.data + row.key.start, row.key.size)
            to = put(to, b',"after":', 9)
            to = put(to, rows.data + row.after.start, row.after.size)
            to = put(to, b'}', 1)
            index = following[index]
        to = put(to, b']}', 2)
        item.lane = lane
        item.rows = count
        item.key = self.size
        item.key_size = 0
        item.value_size = to - begin
        self.size += item.value_size
        self._counted(item)
        return 0

    def release(self, bint ends):
        """Finishes the held message; `ends`: it is the last one of its transaction."""
        self._release(ends)

    cdef void _release(self, bint ends) noexcept:
        if not self.held:
            return
        cdef Packed* item = &self.items[self.count - 1]
        cdef uint8_t* begin = self.data + self.size
        cdef uint8_t* to = begin
        if ends:
            to = put(to, b',"end":true', 11)
        to = put(to, b'}}', 2)
        self.size += to - begin
        item.value_size += to - begin
        self.held = False
        self._counted(item)

    @property
    def held_lane(self):
        """The number of the lane of the message that is held."""
        return self.items[self.count - 1].lane if self.held else None

    def rest(self):
        """New messages, to which the held one was moved."""
        cdef PackedMessages new = PackedMessages.__new__(PackedMessages, self.lanes, self.size)
        cdef Packed* item
        cdef Packed* moved
        cdef Py_ssize_t size
        if self.held:
            item = &self.items[self.count - 1]
            size = self.size - item.key
            new._reserve(size + 64)
            moved = new._add()
            moved[0] = item[0]
            moved.key = 0
            memcpy(new.data, self.data + item.key, size)
            new.size = size
            new.held = True
            self.size = item.key
            self.count -= 1
            self.held = False
        return new

    cdef object _message(self, Py_ssize_t index):
        cdef Packed* item = &self.items[index]
        cdef char* key = <char*>self.data + item.key
        return Message(
            self.lanes.names[item.lane],
            PyBytes_FromStringAndSize(key, item.key_size) if item.key_size else None,
            PyBytes_FromStringAndSize(key + item.key_size, item.value_size),
        )

    def __len__(self):
        return self.count - self.held

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self._message(place) for place in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        return self._message(place)

    def __iter__(self):
        cdef Py_ssize_t index
        for index in range(self.count - self.held):
            yield self._message(index)

    def part(self, Py_ssize_t start, Py_ssize_t max_messages, Py_ssize_t max_bytes):
        """Where a part that begins at `start` ends: at most so many messages and bytes of keys and values, one larger alone."""
        cdef Py_ssize_t end = start
        cdef Py_ssize_t size = 0
        cdef Py_ssize_t most = min(self.count - self.held, start + max_messages)
        while end < most:
            size += self.items[end].key_size + self.items[end].value_size
            if end > start and size > max_bytes:
                break
            end += 1
        return end

    def lane_counts(self, Py_ssize_t start, Py_ssize_t end):
        """How many of these messages each lane has, by name, in the order of their first ones."""
        if not 0 <= start <= end <= len(self):
            raise IndexError((start, end))
        cdef dict counts = {}
        cdef Py_ssize_t index
        cdef Py_ssize_t run = 0
        for index in range(start, end):
            run += 1
            if index + 1 == end or self.items[index + 1].lane != self.items[index].lane:
                lane = self.lanes.names[self.items[index].lane]
                counts[lane] = counts.get(lane, 0) + run
                run = 0
        return counts

    def bundles(self, Py_ssize_t start, Py_ssize_t end):
        """Of the bundles among these messages, by lane, each one's place among the lane's messages here, from 0, and its rows."""
        if not 0 <= start <= end <= len(self):
            raise IndexError((start, end))
        cdef dict found = {}
        cdef Py_ssize_t index
        cdef int64_t[::1] places = array("q", bytes(8 * len(self.lanes.names)))
        for index in range(start, end):
            if self.items[index].rows > 1:
                lane = self.lanes.names[self.items[index].lane]
                found.setdefault(lane, []).append((places[self.items[index].lane], self.items[index].rows))
            places[self.items[index].lane] += 1
        return found

    def lane_largest(self, Py_ssize_t start, Py_ssize_t end):
        """The bytes of the largest of these messages of each lane, key and value, by name."""
        if not 0 <= start <= end <= len(self):
            raise IndexError((start, end))
        cdef Py_ssize_t index, size
        cdef int64_t[::1] largest = array("q", [-1]) * len(self.lanes.names)
        for index in range(start, end):
            size = self.items[index].key_size + self.items[index].value_size
            if size > largest[self.items[index].lane]:
                largest[self.items[index].lane] = size
        return {name: largest[number] for number, name in enumerate(self.lanes.names) if largest[number] >= 0}

    def by_lane(self):
        """{lane: ([{"key": …, "value": …}], bytes of values)}, each lane's in order: what a batch call of a Kafka client takes."""
        cdef dict found = {}
        cdef list entries
        cdef Packed* item
        cdef char* key
        cdef Py_ssize_t index
        cdef list of_number = [None] * len(self.lanes.names)
        cdef int64_t[::1] sizes = array("q", bytes(8 * len(of_number)))
        for index in range(self.count - self.held):
            item = &self.items[index]
            sizes[item.lane] += item.value_size
            if of_number[item.lane] is None:
                of_number[item.lane] = []
                found[self.lanes.names[item.lane]] = item.lane
            entries = <list>of_number[item.lane]
            key = <char*>self.data + item.key
            entries.append(
                {
                    "key": PyBytes_FromStringAndSize(key, item.key_size) if item.key_size else None,
                    "value": PyBytes_FromStringAndSize(key + item.key_size, item.value_size),
                }
            )
        return {lane: (of_number[number], sizes[number]) for lane, number in found.items()}

    def blob(self, Py_ssize_t start, Py_ssize_t end, dict places):
        """These messages as one text: for each, little-endian in 4 bytes each, what `places` has for its lane, the size of its key
        (0: none) and of its value; then key and value."""
        if not 0 <= start <= end <= len(self):
            raise IndexError((start, end))
        cdef list by_number = [places.get(name, 0) for name in self.lanes.names]
        cdef Py_ssize_t size = 0
        cdef Py_ssize_t index
        cdef Packed* item
        for index in range(start, end):
            size += 12 + self.items[index].key_size + self.items[index].value_size
        cdef bytes text = PyBytes_FromStringAndSize(NULL, size)
        cdef uint8_t* to = <uint8_t*>PyBytes_AS_STRING(text)
        for index in range(start, end):
            item = &self.items[index]
            to = _little(to, <uint32_t>by_number[item.lane])
            to = _little(to, <uint32_t>item.key_size)
            to = _little(to, <uint32_t>item.value_size)
            to = put(to, self.data + item.key, item.key_size + item.value_size)
        return text


    def appends(self, Py_ssize_t start, Py_ssize_t end, dict streams, int64_t token, dict first_numbers):
        """These messages as commands to Redis, one after the other (RESP2:
        https://redis.io/docs/latest/develop/reference/protocol-spec/): XADD of the lane's stream, with the id `<token>-<number>`, which
        counts on from the lane's first one, the key as `k`, where there is one, and the value as `v`.

        A bytearray. `streams`: of each lane the stream's key, as bytes."""
        if not 0 <= start <= end <= len(self):
            raise IndexError((start, end))
        cdef list names = self.lanes.names
        cdef list heads = [_bulk(streams[name]) if name in streams else b"" for name in names]
        cdef int64_t[::1] numbers = array("q", [first_numbers.get(name, 0) for name in names])
        cdef bytes token_text = b"%d-" % token
        cdef Text of_token = text_of(token_text)
        cdef Text head
        cdef Py_ssize_t size = 0
        cdef Py_ssize_t index, digits
        cdef Packed* item
        for index in range(start, end):
            item = &self.items[index]
            head = text_of(<bytes>heads[item.lane])
            if head.size == 0:
                raise KeyError(names[item.lane])
            size += head.size + of_token.size + item.key_size + item.value_size + AROUND
        cdef bytearray text = PyByteArray_FromStringAndSize(NULL, size)
        cdef uint8_t* begin = <uint8_t*>PyByteArray_AS_STRING(text)
        cdef uint8_t* to = begin
        cdef uint8_t[NUMBER_SIZE] of_number
        for index in range(start, end):
            item = &self.items[index]
            head = text_of(<bytes>heads[item.lane])
            if item.key_size:
                to = put(to, b'*7\r\n$4\r\nXADD\r\n', 14)
            else:
                to = put(to, b'*5\r\n$4\r\nXADD\r\n', 14)
            to = put(to, head.data, head.size)
            digits = number(of_number, numbers[item.lane])
            numbers[item.lane] += 1
            to = _sized(to, of_token.size + digits)
            to = put(to, of_token.data, of_token.size)
            to = put(to, of_number, digits)
            if item.key_size:
                to = put(to, b'\r\n$1\r\nk\r\n', 9)
                to = _sized(to, item.key_size)
                to = put(to, self.data + item.key, item.key_size)
            to = put(to, b'\r\n$1\r\nv\r\n', 9)
            to = _sized(to, item.value_size)
            to = put(to, self.data + item.key + item.key_size, item.value_size)
            to = put(to, b'\r\n', 2)
        PyByteArray_Resize(text, to - begin)
        return text


cdef enum:
    AROUND = 192  # more than what of a command is neither stream, token, key nor value


cdef inline uint8_t* _sized(uint8_t* to, Py_ssize_t size) noexcept nogil:
    to = put(to, b'$', 1)
    to += number(to, size)
    return put(to, b'\r\n', 2)


cdef bytes _bulk(bytes text):
    return b"$%d\r\n%b\r\n" % (len(text), text)


cdef inline uint8_t* _little(uint8_t* to, uint32_t value) noexcept nogil:
    to[0] = value & 255
    to[1] = value >> 8 & 255
    to[2] = value >> 16 & 255
    to[3] = value >> 24
    return to + 4


Sequence.register(PackedMessages)
