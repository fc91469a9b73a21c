# cython: language_level=3
from libc.stdint cimport uint8_t, uint32_t

from cdc.model.encoded cimport EncodedRows


cpdef enum Kind:
    # How a column's bytes are read. `width` and `size` of a ColumnCode mean:
    PYTHON = 0  # by the plain reader; no more is needed
    SIGNED = 1  # width: bytes
    UNSIGNED = 2  # width: bytes
    YEAR = 3
    BITS = 4  # width: bytes
    DECIMAL = 5  # width: precision; size: scale
    FLOAT = 6
    DOUBLE = 7
    DATE = 8
    TIME = 9  # width: digits of the fraction; so of the next two
    DATETIME = 10
    TIMESTAMP = 11
    UTF8 = 12  # width: bytes of the length before the value; so of the next three, and of JSON
    ONE_BYTE = 13  # texts: (the table,) see add_one_byte_text
    BASE64 = 14  # size: zeros are put behind the value up to this length
    ENUM = 15  # width: bytes; texts: JSON strings, of 0 first; so of SET, there without quotes
    SET = 16
    JSON = 17


cdef enum:
    MOST_KEY_COLUMNS = 64
    ROOM_FIXED = 128  # for each value but text, bytes, enumerations, sets and documents


cdef struct Text:
    const uint8_t* at
    Py_ssize_t size


cdef struct Column:
    int kind
    int width
    Py_ssize_t size
    bint kept
    bint never_null
    int key_place  # -1: not in the key
    Text head  # its name as a member of the row's object, with what stands before it
    const uint8_t* table
    Text* texts
    Py_ssize_t count  # of texts
    Py_ssize_t room  # of all texts together


cdef struct Event:
    const uint8_t* begin
    const uint8_t* at
    const uint8_t* end
    uint8_t op
    bint version_2
    bint whole  # every image has every column


cdef class Encoding:
    cdef readonly object table
    cdef readonly str db, table_name, fingerprint
    cdef object readers
    cdef list kept_alive
    cdef uint8_t[6] table_id
    cdef uint32_t crc  # of database and table
    cdef Column* columns
    cdef Py_ssize_t count
    cdef Text* key_heads
    cdef Py_ssize_t key_count
    cdef bint needs_python
    cdef Text text(self, bytes content)
    cdef int set_texts(self, Column* column, texts) except -1
    cdef EncodedRows empty(self)
    cdef int add_event(self, int event_type, const uint8_t* body, Py_ssize_t size, EncodedRows out) except -1
    cdef int add_python_value(self, Py_ssize_t index, Event* event, EncodedRows out, object data) except -1
