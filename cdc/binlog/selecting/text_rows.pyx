# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Rows of the text protocol straight to JSON, in C: many packets at once, in the buffer that the socket was read into.

What is no row, is not all there, or has another number than its place in the answer is left where it is, for who reads packets one
by one. A row that cannot be read, or has a value in a form that servers are not known to send, goes to the plain reader
(cdc.binlog.selecting.rows): it gives the row, or the error. Whatever the bytes are, nothing is read outside them.
Formats: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html, and
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport fabsf, isinf
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport atoi, strtod
from libc.string cimport memcpy, memmove

from cdc.binlog.decoder.compiled cimport (
    BASE64, BITS, DATETIME, DECIMAL, DOUBLE, ENUM, FLOAT, MOST_KEY_COLUMNS, ONE_BYTE, ROOM_FIXED, SET, SIGNED, TIMESTAMP,
    UTF8, Column, Encoding,
)
from cdc.model.encoded cimport EncodedRow, EncodedRows, Span
from cdc.model.numbers cimport count_digits, put_digits

from zlib import crc32

import orjson

from cdc.model.routing import folded

cdef extern from *:
    ctypedef unsigned long long uint128 "unsigned __int128"

include "../decoder/compiled_buffer.pxi"
include "../decoder/compiled_numbers.pxi"
include "../decoder/compiled_floats.pxi"
include "../decoder/compiled_text.pxi"
include "../decoder/compiled_members.pxi"
include "../decoder/compiled_lane.pxi"
include "../decoder/compiled_keys.pxi"

cdef enum:
    HEADER_BYTES = 4
    GOES_ON = 0xFFFFFF  # length of a packet that the next one goes on with
    NULL_VALUE = 0xFB
    END = 0xFE
    ERROR = 0xFF
    MOST_END_BYTES = 9  # of an EOF packet; a row that begins with 0xFE is longer
    MOST_NUMBER_BYTES = 64  # of an integer's or a decimal's text (DECIMAL: 65 digits at most), a date's and a time's
    PASSED_OVER = 4  # one in so many of the most bytes


cdef class TextRows:
    """The rows of one answer, as they come: up to `max_rows`, in `max_bytes` all together, one at least.

    `rows`: what was read. `size`: their bytes, as the server sent them. `more`: there was another row. `last`: the last one of
    `rows` as it was sent, where `keep_last` asks for it. `plain`: from a row's bytes to its draft; raises NotUnderstood.
    """

    cdef readonly EncodedRows rows
    cdef readonly Py_ssize_t size
    cdef readonly bint more
    cdef readonly bytes last
    cdef Encoding plan
    cdef object plain
    cdef Py_ssize_t max_rows
    cdef Py_ssize_t max_bytes
    cdef Py_ssize_t passed
    cdef bint keep_last

    def __cinit__(self, Encoding plan not None, plain, Py_ssize_t max_rows, Py_ssize_t max_bytes, bint keep_last=False):
        self.plan = plan
        self.plain = plain
        self.max_rows = max_rows
        self.max_bytes = max_bytes
        self.keep_last = keep_last
        self.last = b""
        self.rows = plan.empty()

    @property
    def full(self):
        """Whether so much came beyond what was asked for that the rest is not worth to be read."""
        return self.passed > self.max_bytes // PASSED_OVER

    def take(self, data, Py_ssize_t start, Py_ssize_t end, int number):
        """Rows of the packets in `data` between `start` and `end`, of which the first must have this number. Returns where the first
        packet begins that was not taken, and its number."""
        cdef Py_buffer view
        cdef const uint8_t* at
        cdef const uint8_t* row = NULL
        cdef const uint8_t* begin
        cdef Py_ssize_t size = 0
        cdef bint given_up
        cdef Encoding plan = self.plan
        cdef EncodedRows out = self.rows
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if not 0 <= start <= end <= view.len:
                raise IndexError((start, end))
            begin = <const uint8_t*>view.buf
            at = begin + start
            while True:
                with nogil:
                    given_up = self.packets(plan, out, &at, begin + end, &number, &row, &size)
                if not given_up:
                    break
                self.add_plainly(PyBytes_FromStringAndSize(<const char*>at + HEADER_BYTES, packet_size(at)))
                at += HEADER_BYTES + packet_size(at)
                number = (number + 1) & 0xFF
                row = NULL
            if row != NULL and self.keep_last:
                self.last = PyBytes_FromStringAndSize(<const char*>row, size)
            return at - begin, number
        finally:
            PyBuffer_Release(&view)

    def add(self, data):
        """One row, without a packet's header."""
        cdef Py_buffer view
        cdef int failed
        cdef Encoding plan = self.plan
        cdef EncodedRows out = self.rows
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if self.wanted(out, view.len):
                with nogil:
                    failed = add_text_row(plan, out, <const uint8_t*>view.buf, view.len)
                if failed:
                    self.add_plainly(bytes(data))
                else:
                    self.size += view.len
                    if self.keep_last:
                        self.last = bytes(data)
        finally:
            PyBuffer_Release(&view)

    cdef int packets(
        self,
        Encoding plan,
        EncodedRows out,
        const uint8_t** place,
        const uint8_t* end,
        int* number,
        const uint8_t** last,
        Py_ssize_t* last_size,
    ) except -1 nogil:
        """Takes rows from `place` on, and moves it. 1: the one there was given up."""
        cdef const uint8_t* at = place[0]
        cdef const uint8_t* row
        cdef Py_ssize_t size
        cdef int failed
        while end - at > HEADER_BYTES:
            size = packet_size(at)
            row = at + HEADER_BYTES
            if not size or size == GOES_ON or size > end - row or at[3] != number[0]:
                break
            if row[0] == ERROR or (row[0] == END and size < MOST_END_BYTES):
                break
            if self.wanted(out, size):
                failed = add_text_row(plan, out, row, size)
                if failed:
                    place[0] = at
                    return 1
                self.size += size
                last[0] = row
                last_size[0] = size
            at = row + size
            number[0] = (number[0] + 1) & 0xFF
        place[0] = at
        return 0

    cdef bint wanted(self, EncodedRows out, Py_ssize_t size) noexcept nogil:
        """Whether the next row, of so many bytes, belongs to what was asked for."""
        cdef Py_ssize_t count = out.count
        if self.more or (count and (count == self.max_rows or self.size + size > self.max_bytes)):
            self.more = True
            self.passed += size
            return False
        return True

    cdef int add_plainly(self, bytes row) except -1:
        self.rows.append(self.plain(row))
        self.size += len(row)
        if self.keep_last:
            self.last = row
        return 0


cdef int add_text_row(Encoding plan, EncodedRows out, const uint8_t* at, Py_ssize_t size) except -1 nogil:
    """1: it was given up, and nothing is left of it."""
    cdef Py_ssize_t begin = out.size
    cdef Image image
    cdef Span key
    cdef Span nothing = Span(0, 0)
    cdef uint32_t crc
    if add_text_image(plan, at, at + size, out, &image) or add_key(plan, out, &image, &key, &crc):
        out.size = begin
        return 1
    add_row(out, c'r', crc, key, nothing, image.text)
    return 0


cdef inline Py_ssize_t packet_size(const uint8_t* at) noexcept nogil:
    return at[0] | <Py_ssize_t>at[1] << 8 | <Py_ssize_t>at[2] << 16


cdef int add_text_image(
    Encoding plan, const uint8_t* at, const uint8_t* end, EncodedRows out, Image* image
) except -1 nogil:
    """One row's columns as an object. 1: given up."""
    cdef const Column* column
    cdef Py_ssize_t index, begin, value
    cdef uint64_t size
    cdef int width
    image.text.start = out.size
    for index in range(plan.count):
        column = &plan.columns[index]
        if at == end:
            return 1
        begin = out.size
        need(out, column.head.size + ROOM_FIXED)
        memcpy(out.data + begin, column.head.at, column.head.size)
        out.size = value = begin + column.head.size
        size = at[0]
        at += 1
        if size == NULL_VALUE:
            memcpy(out.data + value, b"null", 4)
            out.size += 4
        else:
            if size > NULL_VALUE:
                width = 2 if size == 0xFC else 3 if size == 0xFD else 8
                if size == ERROR or end - at < width:
                    return 1
                size = little(at, width)
                at += width
            if size > <uint64_t>(end - at) or add_text_value(column, at, <Py_ssize_t>size, out):
                return 1
            at += size
        if column.key_place >= 0:
            image.key_values[column.key_place].start = value
            image.key_values[column.key_place].size = out.size - value
        if not column.kept:
            out.size = begin
    if at != end:
        return 1
    add_byte(out, c'}')
    image.text.size = out.size - image.text.start
    return 0


cdef int add_text_value(const Column* column, const uint8_t* raw, Py_ssize_t size, EncodedRows out) except -1 nogil:
    """There is room for ROOM_FIXED bytes. 1: given up."""
    cdef uint8_t* to
    cdef uint64_t number = 0
    if column.kind == UTF8:
        return add_utf8(out, raw, size)
    if column.kind == ONE_BYTE:
        return add_one_byte_text(out, raw, size, column.table)
    if column.kind == BASE64:
        return add_base64(out, raw, size, 0)
    if column.kind == ENUM:
        return 1 if read_number(raw, size, &number) else add_enum(column, number, out)
    if column.kind == SET:
        return 1 if read_number(raw, size, &number) else add_set(column, number, out)
    if size > MOST_NUMBER_BYTES:
        return 1
    to = out.data + out.size
    if column.kind == SIGNED:
        to = put_integer_text(to, raw, size)
    elif column.kind == DECIMAL:
        to = put_decimal_text(to, raw, size)
    elif column.kind == DATETIME or column.kind == TIMESTAMP:
        to = put_moment(to, raw, size, column.kind == TIMESTAMP)
    elif column.kind == BITS:
        to = put_unsigned(to, big(raw, <int>size)) if 0 < size <= 8 else NULL
    else:
        to = put_float_text(to, raw, size, column.kind == FLOAT)
    if to == NULL:
        return 1
    out.size = to - out.data
    return 0


cdef inline bint is_digit(uint8_t byte) noexcept nogil:
    return c'0' <= byte <= c'9'


cdef inline int read_number(const uint8_t* raw, Py_ssize_t size, uint64_t* number) noexcept nogil:
    """Of up to 20 digits, none of them a zero in front. 1: it is none, or more than 64 bits hold."""
    cdef Py_ssize_t index
    cdef uint64_t digit
    if not 0 < size <= 20 or (raw[0] == c'0' and size > 1):
        return 1
    for index in range(size):
        if not is_digit(raw[index]):
            return 1
        digit = raw[index] - c'0'
        if number[0] > (<uint64_t>0xFFFFFFFFFFFFFFFF - digit) // 10:
            return 1
        number[0] = number[0] * 10 + digit
    return 0


cdef inline uint8_t* put_integer_text(uint8_t* to, const uint8_t* raw, Py_ssize_t size) noexcept nogil:
    """Its digits, without the zeros that ZEROFILL puts in front."""
    cdef bint negative = size > 1 and raw[0] == c'-'
    cdef uint64_t number = 0
    if negative:
        to[0] = c'-'
        to += 1
        raw += 1
        size -= 1
    else:
        while size > 1 and raw[0] == c'0':
            raw += 1
            size -= 1
    if read_number(raw, size, &number) or (negative and (not number or number > <uint64_t>1 << 63)):
        return NULL
    memcpy(to, raw, size)
    return to + size


cdef inline uint8_t* put_decimal_text(uint8_t* to, const uint8_t* raw, Py_ssize_t size) noexcept nogil:
    """As it is printed, without the zeros that ZEROFILL puts in front; quoted."""
    cdef const uint8_t* end = raw + size
    cdef bint has_point = False
    to[0] = c'"'
    to += 1
    if raw < end and raw[0] == c'-':
        to[0] = c'-'
        to += 1
        raw += 1
    else:
        while end - raw > 1 and raw[0] == c'0' and raw[1] != c'.':
            raw += 1
    if raw == end or not is_digit(raw[0]):
        return NULL
    while raw < end:
        if raw[0] == c'.' and not has_point:
            has_point = True
        elif not is_digit(raw[0]):
            return NULL
        to[0] = raw[0]
        to += 1
        raw += 1
    to[0] = c'"'
    return to + 1


cdef inline uint8_t* put_moment(uint8_t* to, const uint8_t* raw, Py_ssize_t size, bint is_utc) noexcept nogil:
    """A date and a time, with a T between them; quoted."""
    cdef Py_ssize_t index
    to[0] = c'"'
    to += 1
    for index in range(size):
        if is_digit(raw[index]) or raw[index] == c'-' or raw[index] == c':' or raw[index] == c'.':
            to[index] = raw[index]
        elif raw[index] == c' ':
            to[index] = c'T'
        else:
            return NULL
    to += size
    if is_utc:
        to[0] = c'Z'
        to += 1
    to[0] = c'"'
    return to + 1


cdef uint8_t* put_float_text(uint8_t* to, const uint8_t* raw, Py_ssize_t size, bint is_float32) noexcept nogil:
    """Of a double's text (-1.5e-300): up to 19 digits, which 64 bits hold, so that it is read as Python reads it."""
    cdef const uint8_t* end = raw + size
    cdef Decimal read
    cdef double value
    cdef float narrow
    cdef uint64_t bits
    cdef uint8_t[8] stored
    cdef bint negative, has_point = False, exponent_negative = False
    cdef int digits = 0, exponent = 0, index
    read.digits = 0
    read.exponent = 0
    negative = raw < end and raw[0] == c'-'
    if negative:
        raw += 1
    if raw == end or not is_digit(raw[0]):
        return NULL
    while raw < end and (is_digit(raw[0]) or (raw[0] == c'.' and not has_point)):
        if raw[0] == c'.':
            has_point = True
        else:
            digits += read.digits > 0 or raw[0] != c'0'
            if digits > 19:
                return NULL
            read.digits = read.digits * 10 + (raw[0] - c'0')
            read.exponent -= has_point
        raw += 1
    if raw < end:
        if raw[0] != c'e':
            return NULL
        raw += 1
        if raw < end and (raw[0] == c'-' or raw[0] == c'+'):
            exponent_negative = raw[0] == c'-'
            raw += 1
        if raw == end or end - raw > 3:
            return NULL
        while raw < end:
            if not is_digit(raw[0]):
                return NULL
            exponent = exponent * 10 + (raw[0] - c'0')
            raw += 1
        read.exponent += -exponent if exponent_negative else exponent
    # Beyond 2**53 the digits are no double by themselves.
    value = read_back(read) if read.digits <= <uint64_t>1 << 53 else read_slowly(read)
    if isinf(value):
        return NULL
    if is_float32:
        narrow = <float>(-value if negative else value)
        if isinf(narrow):
            return NULL
        memcpy(stored, &narrow, 4)
        return put_float32(to, stored)
    memcpy(&bits, &value, 8)
    return put_float(to, negative, shortest(bits))


cdef double read_slowly(Decimal number) noexcept nogil:
    cdef char[64] text
    snprintf(text, 64, b"%llue%d", <unsigned long long>number.digits, number.exponent)
    return strtod(text, NULL)
