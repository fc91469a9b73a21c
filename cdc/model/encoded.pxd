# cython: language_level=3
from libc.stdint cimport uint8_t, uint32_t


cdef struct Span:
    # Bytes of EncodedRows.data.
    Py_ssize_t start
    Py_ssize_t size


cdef struct EncodedRow:
    uint32_t crc  # of table and folded key: what cdc.model.routing.lane_number takes modulo lanes
    uint8_t op  # b'c', b'u', b'd', b'r'
    Span key  # a JSON object of the key columns, in key order
    Span before  # a JSON object; size 0: null
    Span after


cdef class EncodedRows:
    cdef readonly str db
    cdef readonly str table
    cdef readonly str schema
    cdef uint8_t* data
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity
    cdef EncodedRow* rows
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    cdef int reserve(self, Py_ssize_t more) except -1 nogil
    cdef EncodedRow* add(self) except NULL nogil
    cdef int append(self, draft) except -1
    cdef Span _json(self, image)
    cdef Span copied(self, EncodedRows other, Span span)
    cdef bytes text(self, Span span)
    cdef object draft(self, Py_ssize_t index)
