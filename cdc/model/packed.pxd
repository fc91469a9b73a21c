# cython: language_level=3
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy

from cdc.model.encoded cimport EncodedRows


cdef struct Packed:
    Py_ssize_t key  # where the key begins; the value follows it
    Py_ssize_t key_size  # 0: none, a marker
    Py_ssize_t value_size
    Py_ssize_t lane
    Py_ssize_t rows  # more than one: a bundle


cdef struct Text:
    const char* data
    Py_ssize_t size


cdef inline uint8_t* put(uint8_t* to, const void* data, Py_ssize_t size) noexcept nogil:
    memcpy(to, data, size)
    return to + size


cdef inline Text text_of(bytes of):
    cdef Text text
    text.data = PyBytes_AS_STRING(of)
    text.size = PyBytes_GET_SIZE(of)
    return text


cdef struct Around:
    # What is the same in all change events of one rows event: see Pieces.
    Text head
    Text middle
    Text behind_seq
    Text behind_count
    Text behind_op


cdef struct Numbers:
    # Of a row: its number in the rows event, and its orders in the transaction.
    int64_t row
    int64_t total_order
    int64_t table_order


cdef class Lanes:
    cdef readonly list names
    cdef list _escaped
    cdef dict _numbers


cdef class PackedMessages:
    cdef readonly Lanes lanes
    cdef uint8_t* data
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity
    cdef Packed* items
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    cdef readonly bint held
    cdef readonly Py_ssize_t largest
    cdef readonly Py_ssize_t value_bytes
    cdef int _reserve(self, Py_ssize_t more) except -1
    cdef Packed* _add(self) except NULL
    cdef void _counted(self, Packed* item) noexcept
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
    ) except -1
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
    ) except -1
    cdef void _release(self, bint ends) noexcept
    cdef object _message(self, Py_ssize_t index)
