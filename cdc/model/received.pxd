# cython: language_level=3
from libc.stdint cimport int64_t, uint8_t


cdef enum Kind:
    ASK  # to be read by cdc.model.change.parse: a marker, another writing of the same, or none of ours
    CHANGE  # a change event in our own writing


cdef struct Text:
    # Bytes of a message, in what the block keeps alive.
    const uint8_t* data
    Py_ssize_t size


cdef struct Item:
    Text offset
    Text key
    Text value
    Kind kind
    # The rest holds for a CHANGE only.
    uint8_t op
    bint ends
    bint replay
    bint copied
    int table
    Text after  # "null" after a delete
    Text source_id
    Text file
    Text gtid  # size 0: none
    int64_t tx_pos
    int64_t commit_us
    int64_t[4] seq
    int64_t token
    int64_t n
    # Of a row of a bundle, whose offset is also that of the others: what follows on `after` in its own message, and its orders. There
    # `value` is what the bundle has of it.
    Text shared  # size 0: a message of its own
    int64_t order


cdef struct TableTexts:
    Text db
    Text table
    Text schema


cdef struct Like:
    # The change event that was read before, if any, and where in it four stretches lie that the next ones of its transaction mostly
    # have in the same writing. Each ends behind a colon or a comma, so that it reads the same whatever follows.
    const Item* item
    Text source
    Text place
    Text schema
    Text operation


cdef class ReceivedBlock:
    cdef object _keeps
    cdef object _make
    cdef Item* items
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    cdef TableTexts* _texts
    cdef Py_ssize_t _text_count
    cdef Py_ssize_t _text_room
    cdef list _tables
    cdef list _made
    cdef int _grow(self, Py_ssize_t more) except -1
    cdef Item* _add(self) except NULL
    cdef int _expand(self) except -1
    cdef int _expand_plainly(self) except -1
    cdef int _read_all(self) except -1
    cdef int _table(self, Text db, Text table, Text schema) except -1 nogil


cdef class ReceivedChange:
    cdef ReceivedBlock block
    cdef const Item* item
    cdef bytes key_text(self)
