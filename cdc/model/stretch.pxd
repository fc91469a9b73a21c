# cython: language_level=3
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from cdc.model.encoded cimport EncodedRows


cdef enum GtidKind:
    NO_GTID = 0
    MYSQL_GTID = 1
    MARIADB_GTID = 2


cdef struct StretchTransaction:
    bint begins  # else it was open before
    bint ends  # else it is open behind
    int64_t start  # of its first event in the file; this and the next ones only where it begins
    int64_t commit_us
    int64_t thread  # -1: not known
    uint32_t server_id
    GtidKind gtid
    uint8_t[16] uuid
    uint32_t domain  # MariaDB
    uint64_t number
    int64_t end  # the boundary behind it, where it ends
    Py_ssize_t first_event
    Py_ssize_t event_count


cdef struct StretchEvent:
    int64_t offset  # in the file
    Py_ssize_t table
    Py_ssize_t first_row  # in the table's rows
    Py_ssize_t row_count


cdef class Stretch:
    cdef readonly list tables
    cdef readonly list sources
    cdef StretchTransaction* transactions
    cdef readonly Py_ssize_t transaction_count
    cdef Py_ssize_t transaction_room
    cdef StretchEvent* events
    cdef readonly Py_ssize_t event_count
    cdef Py_ssize_t event_room
    cdef StretchTransaction* add_transaction(self) except NULL
    cdef StretchEvent* add_event(self) except NULL
    cdef StretchTransaction* _at(self, Py_ssize_t index) except NULL


cdef Py_ssize_t gtid_text(const StretchTransaction* transaction, char* to) noexcept
