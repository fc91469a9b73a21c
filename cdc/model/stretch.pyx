# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A stretch of the binlog: consecutive rows events, over the bounds of transactions, with their rows in the wire format.

It begins and ends between two events: the first transaction may have been open before, the last one may be open behind. What it
saves is Python between events: it is made in one step (cdc.binlog.stretches), and written as messages in one step
(cdc.model.stretch_writer).
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, realloc

from cdc.model.encoded cimport EncodedRows

from typing import NamedTuple


class Begun(NamedTuple):
    """`gtid` is "" for an anonymous transaction, `thread` None where the binlog does not tell."""

    start: int
    server_id: int
    gtid: str
    thread: int | None
    commit_us: int


cdef class Stretch:
    """`tables`: the rows of each table map, by number; `sources`: what the maker knows of it. Its makers are compiled."""

    def __cinit__(self):
        self.tables = []
        self.sources = []

    def __dealloc__(self):
        free(self.transactions)
        free(self.events)

    cdef StretchTransaction* add_transaction(self) except NULL:
        cdef Py_ssize_t room
        cdef void* moved
        if self.transaction_count == self.transaction_room:
            room = max(2 * self.transaction_room, 32)
            moved = realloc(self.transactions, room * sizeof(StretchTransaction))
            if moved == NULL:
                raise MemoryError(f"{room} transactions")
            self.transactions = <StretchTransaction*>moved
            self.transaction_room = room
        self.transaction_count += 1
        return &self.transactions[self.transaction_count - 1]

    cdef StretchEvent* add_event(self) except NULL:
        cdef Py_ssize_t room
        cdef void* moved
        if self.event_count == self.event_room:
            room = max(2 * self.event_room, 64)
            moved = realloc(self.events, room * sizeof(StretchEvent))
            if moved == NULL:
                raise MemoryError(f"{room} events")
            self.events = <StretchEvent*>moved
            self.event_room = room
        self.event_count += 1
        return &self.events[self.event_count - 1]

    def row_place(self, Py_ssize_t behind):
        """(offset of its event, number in it) of a row, counted from the end; None where there are not so many."""
        cdef Py_ssize_t index = self.event_count - 1
        while index >= 0:
            if behind < self.events[index].row_count:
                return self.events[index].offset, self.events[index].row_count - 1 - behind
            behind -= self.events[index].row_count
            index -= 1
        return None

    @property
    def start(self):
        """Of the first transaction, where it begins here; else None."""
        if not self.transaction_count or not self.transactions[0].begins:
            return None
        return self.transactions[0].start

    @property
    def open_behind(self):
        """Whether the last transaction has no end here."""
        return self.transaction_count > 0 and not self.transactions[self.transaction_count - 1].ends

    @property
    def first_offset(self):
        """Of the first rows event."""
        if not self.event_count:
            raise IndexError("a stretch without rows")
        return self.events[0].offset

    @property
    def shown(self):
        """How many transactions end here of which something is shown: rows here, or before."""
        cdef Py_ssize_t index
        cdef Py_ssize_t found = 0
        for index in range(self.transaction_count):
            if self.transactions[index].ends:
                found += self.transactions[index].event_count > 0 or not self.transactions[index].begins
        return found

    @property
    def commit_us(self):
        """Of the last transaction that begins here and has rows; None where none does."""
        cdef Py_ssize_t index = self.transaction_count - 1
        while index >= 0:
            if self.transactions[index].begins and self.transactions[index].event_count:
                return self.transactions[index].commit_us
            index -= 1
        return None

    def ops(self):
        """How many rows of each operation there are."""
        cdef dict found = {}
        for rows in self.tables:
            for op, count in rows.ops().items():
                found[op] = found.get(op, 0) + count
        return found

    def gtids(self):
        """[(source, first number, last number)] of the transactions that begin and end here; MySQL's source is a UUID, MariaDB's
        domain-server, of which only the last number is told."""
        cdef list found = []
        cdef StretchTransaction* run = NULL
        cdef StretchTransaction* now
        cdef uint64_t first = 0
        cdef Py_ssize_t index
        for index in range(self.transaction_count):
            now = &self.transactions[index]
            if not (now.begins and now.ends) or now.gtid == NO_GTID:
                continue
            if run != NULL and _goes_on(run, now):
                run = now
                continue
            if run != NULL:
                found.append((_source(run), first, run.number))
            run = now
            first = now.number
        if run != NULL:
            found.append((_source(run), first, run.number))
        return found

    def begun(self, Py_ssize_t index):
        """What is known of the transaction with its number; None where it does not begin here."""
        cdef StretchTransaction* one = self._at(index)
        if not one.begins:
            return None
        return Begun(
            one.start,
            one.server_id,
            "" if one.gtid == NO_GTID else f"{_source(one)}{':' if one.gtid == MYSQL_GTID else '-'}{one.number}",
            None if one.thread < 0 else one.thread,
            one.commit_us,
        )

    def ended(self, Py_ssize_t index):
        """The boundary behind the transaction; None where it does not end here."""
        cdef StretchTransaction* one = self._at(index)
        return one.end if one.ends else None

    def rows(self, Py_ssize_t index):
        """[(offset in the file, rows)] of the transaction's rows events."""
        cdef StretchTransaction* one = self._at(index)
        cdef StretchEvent* event
        cdef Py_ssize_t place
        cdef list found = []
        for place in range(one.first_event, one.first_event + one.event_count):
            event = &self.events[place]
            rows = (<EncodedRows>self.tables[event.table]).cut(event.first_row, event.row_count)
            found.append((event.offset, rows))
        return found

    cdef StretchTransaction* _at(self, Py_ssize_t index) except NULL:
        if not 0 <= index < self.transaction_count:
            raise IndexError(index)
        return &self.transactions[index]


cdef bint _goes_on(const StretchTransaction* one, const StretchTransaction* other) noexcept:
    cdef int index
    if one.gtid != other.gtid:
        return False
    if one.gtid == MARIADB_GTID:
        return one.domain == other.domain
    for index in range(16):
        if one.uuid[index] != other.uuid[index]:
            return False
    return other.number == one.number + 1


cdef str _source(const StretchTransaction* one):
    cdef char[96] text
    cdef Py_ssize_t size = source_text(one, text)
    return text[:size].decode("ascii")


cdef Py_ssize_t source_text(const StretchTransaction* one, char* to) noexcept:
    """At most 36 characters."""
    cdef const char* digits = b"0123456789abcdef"
    cdef Py_ssize_t at = 0
    cdef int index
    if one.gtid == MARIADB_GTID:
        return snprintf(to, 36, "%u-%u", one.domain, one.server_id)
    for index in range(16):
        if index == 4 or index == 6 or index == 8 or index == 10:
            to[at] = c'-'
            at += 1
        to[at] = digits[one.uuid[index] >> 4]
        to[at + 1] = digits[one.uuid[index] & 15]
        at += 2
    return at


cdef Py_ssize_t gtid_text(const StretchTransaction* transaction, char* to) noexcept:
    """At most 64 characters, none for an anonymous transaction."""
    cdef Py_ssize_t size
    if transaction.gtid == NO_GTID:
        return 0
    size = source_text(transaction, to)
    to[size] = c'-' if transaction.gtid == MARIADB_GTID else c':'
    size += 1
    return size + snprintf(to + size, 24, "%llu", <unsigned long long>transaction.number)
