# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The change events of a stretch, written into packed messages: all rows events of all its transactions in one step.

The same text as cdc.processes.packing makes for one rows event: see there.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from cdc.model.encoded cimport EncodedRows
from cdc.model.numbers cimport number
from cdc.model.packed cimport Around, Numbers, PackedMessages, Text, put, text_of
from cdc.model.stretch cimport Stretch, StretchEvent, StretchTransaction, gtid_text


cdef enum:
    MOST_NUMBERS = 512  # bytes of all that is not a text of StretchTexts


cdef class StretchTexts:
    """JSON that the change events of a stretch share. `head`: from the comma behind the images to the commit's time; `file`,
    `source_id`: strings; `behind`: from the comma behind the sequence's generation and file; `behind_schema`: from there to the
    lane's name; `behind_count`: to the operation's letter; `behind_op`: to the transaction's id. `generation` and `file_number`
    begin a sequence. `tables`: (members `db` and `table`, schema) of each table of the stretch."""

    cdef bytes head, file, source_id, behind_schema, behind_count, behind_op
    cdef int64_t generation, file_number
    cdef list tables, schemas

    def __init__(
        self,
        bytes head not None,
        bytes file not None,
        bytes source_id not None,
        bytes behind_schema not None,
        bytes behind_count not None,
        bytes behind_op not None,
        int64_t generation,
        int64_t file_number,
        tables,
    ):
        self.head = head
        self.file = file
        self.source_id = source_id
        self.behind_schema = behind_schema
        self.behind_count = behind_count
        self.behind_op = behind_op
        self.generation = generation
        self.file_number = file_number
        self.tables = [names for names, _ in tables]
        self.schemas = [schema for _, schema in tables]


cdef class OpenTransaction:
    """JSON of the transaction that was open in front of a stretch."""

    cdef bytes gtid, thread, id
    cdef int64_t start, commit_us, server_id

    def __init__(
        self, bytes gtid not None, bytes thread not None, bytes id not None, int64_t start, int64_t commit_us, int64_t server_id
    ):
        self.gtid = gtid
        self.thread = thread
        self.id = id
        self.start = start
        self.commit_us = commit_us
        self.server_id = server_id


cdef struct Common:
    # Of one transaction.
    Text gtid  # JSON, as are the next two
    Text thread
    Text id
    int64_t start
    int64_t commit_us
    int64_t server_id


cdef class _Scratch:
    """Memory for the text around the rows of one event."""

    cdef uint8_t* data
    cdef Py_ssize_t capacity

    def __dealloc__(self):
        free(self.data)

    cdef int reserve(self, Py_ssize_t size) except -1:
        cdef void* moved
        if size > self.capacity:
            moved = realloc(self.data, 2 * size)
            if moved == NULL:
                raise MemoryError(f"{size} bytes of text")
            self.data = <uint8_t*>moved
            self.capacity = 2 * size
        return 0


def add_stretch(
    PackedMessages messages not None,
    Stretch stretch not None,
    StretchTexts texts not None,
    OpenTransaction begun,
    int64_t[::1] counts,
    list lanes not None,
    int[::1] wholes,
    int[::1] groups,
    int64_t[::1] orders,
    int64_t total,
):
    """Adds the change events of all rows, the last one held where its transaction is open behind, and raises `counts` by lane.

    By table of the stretch: `lanes`, the numbers of its lanes, all of them open, by what the key's hash gives; `wholes`, the place in
    them where the whole table goes, or -1; `groups`, the place in `orders` of how many change events of the table the open
    transaction has so far; `total`, how many it has at all. Returns that of the transaction that is open behind; `orders` likewise.
    """
    cdef _Scratch scratch = _Scratch()
    cdef char[24] thread
    cdef char[72] gtid
    cdef bytes id_head = texts.file[:len(texts.file) - 1]
    cdef bytes id_text
    cdef StretchTransaction* one
    cdef StretchEvent* event
    cdef Common common
    cdef Around around
    cdef Numbers first
    cdef Py_ssize_t index, place, group
    cdef int table
    cdef int viewed = -1
    cdef int[::1] table_lanes = None
    for index in range(stretch.transaction_count):
        one = &stretch.transactions[index]
        if one.begins:
            if not one.event_count:
                continue
            total = 0
            for group in range(orders.shape[0]):
                orders[group] = 0
            gtid[0] = c'"'
            common.gtid.size = 1 + gtid_text(one, &gtid[1])
            gtid[common.gtid.size] = c'"'
            common.gtid.size += 1
            common.gtid.data = gtid
            common.thread.data = thread
            common.thread.size = 0
            if one.thread < 0:
                memcpy(thread, b"null", 4)
                common.thread.size = 4
            else:
                common.thread.size = number(<uint8_t*>thread, one.thread)
            common.id = common.gtid
            if common.gtid.size == 2:
                common.gtid.data = b"null"
                common.gtid.size = 4
                id_text = b'%b:%d"' % (id_head, one.start)
                common.id = text_of(id_text)
            common.start = one.start
            common.commit_us = one.commit_us
            common.server_id = one.server_id
        else:
            if begun is None:
                raise ValueError("the stretch goes on with a transaction of which nothing is known")
            common.gtid = text_of(begun.gtid)
            common.thread = text_of(begun.thread)
            common.id = text_of(begun.id)
            common.start = begun.start
            common.commit_us = begun.commit_us
            common.server_id = begun.server_id
        for place in range(one.first_event, one.first_event + one.event_count):
            event = &stretch.events[place]
            table = <int>event.table
            group = groups[table]
            if table != viewed:
                table_lanes = lanes[table]
                viewed = table
            _around(scratch, texts, &common, event, &around)
            first.row = 0
            first.total_order = total + 1
            first.table_order = orders[group] + 1
            if (
                messages._rows(
                    <EncodedRows>stretch.tables[table],
                    event.first_row,
                    event.first_row + event.row_count,
                    &around,
                    counts,
                    table_lanes,
                    wholes[table],
                    first,
                    False,
                )
                != event.first_row + event.row_count
            ):
                raise ValueError("a lane is not open")
            total += event.row_count
            orders[group] += event.row_count
        if one.ends:
            messages._release(True)
    return total


cdef int _around(
    _Scratch scratch, StretchTexts texts, const Common* common, const StretchEvent* event, Around* around
) except -1:
    cdef bytes names = <bytes>texts.tables[event.table]
    cdef bytes schema = <bytes>texts.schemas[event.table]
    cdef uint8_t* to
    cdef uint8_t* begin
    scratch.reserve(
        len(texts.head) + len(texts.file) + len(texts.source_id) + len(texts.behind_schema) + len(texts.behind_op)
        + len(names) + len(schema) + common.gtid.size + common.thread.size + common.id.size + MOST_NUMBERS
    )
    begin = to = scratch.data
    to = _bytes(to, texts.head)
    to += number(to, common.commit_us // 1000)
    to = put(to, b',"ts_us":', 9)
    to += number(to, common.commit_us)
    to = put(to, b',"snapshot":"false",', 20)
    to = _bytes(to, names)
    to = put(to, b',"server_id":', 13)
    to += number(to, common.server_id)
    to = put(to, b',"gtid":', 8)
    to = put(to, common.gtid.data, common.gtid.size)
    to = put(to, b',"file":', 8)
    to = _bytes(to, texts.file)
    to = put(to, b',"pos":', 7)
    to += number(to, event.offset)
    to = put(to, b',"row":', 7)
    around.head.data = <const char*>begin
    around.head.size = to - begin
    begin = to
    to = put(to, b',"thread":', 10)
    to = put(to, common.thread.data, common.thread.size)
    to = put(to, b',"query":null,"source_id":', 26)
    to = _bytes(to, texts.source_id)
    to = put(to, b',"tx_pos":', 10)
    to += number(to, common.start)
    to = put(to, b',"seq":[', 8)
    to = _number_and_comma(to, texts.generation)
    to = _number_and_comma(to, texts.file_number)
    to = _number_and_comma(to, event.offset)
    around.middle.data = <const char*>begin
    around.middle.size = to - begin
    begin = to
    to = put(to, b'],"schema":', 11)
    to = _bytes(to, schema)
    to = _bytes(to, texts.behind_schema)
    around.behind_seq.data = <const char*>begin
    around.behind_seq.size = to - begin
    around.behind_count = text_of(texts.behind_count)
    begin = to
    to = _bytes(to, texts.behind_op)
    to = put(to, common.id.data, common.id.size)
    to = put(to, b',"total_order":', 15)
    around.behind_op.data = <const char*>begin
    around.behind_op.size = to - begin
    return 0


cdef inline uint8_t* _number_and_comma(uint8_t* to, int64_t value) noexcept nogil:
    to += number(to, value)
    to[0] = c','
    return to + 1


cdef inline uint8_t* _bytes(uint8_t* to, bytes text):
    return put(to, <const char*>text, len(text))
