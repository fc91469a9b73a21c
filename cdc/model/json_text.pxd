# cython: language_level=3
"""What stands in JSON, written as COPY's text or as MySQL's literals. `to` has room for what its docstring says, or else for twice
as much as is read. Each returns where it stands then."""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcpy


cdef inline uint8_t* _utf8(uint8_t* to, uint32_t code) noexcept nogil:
    """A code point of four hex digits that is no surrogate."""
    if code < 0x80:
        to[0] = <uint8_t>code
        return to + 1
    if code < 0x800:
        to[0] = <uint8_t>(0xc0 | code >> 6)
        to[1] = <uint8_t>(0x80 | code & 0x3f)
        return to + 2
    to[0] = <uint8_t>(0xe0 | code >> 12)
    to[1] = <uint8_t>(0x80 | code >> 6 & 0x3f)
    to[2] = <uint8_t>(0x80 | code & 0x3f)
    return to + 3


cdef inline uint32_t _hex(uint8_t digit) noexcept nogil:
    return digit - 48 if digit < 58 else (digit | 0x20) - 87


cdef inline uint8_t* unescaped(uint8_t* to, const uint8_t* at, const uint8_t* end) noexcept nogil:
    """What stands between the quotes of a JSON string, in UTF-8; never longer than it was."""
    cdef const uint8_t* slash
    cdef uint8_t byte
    while at < end:
        slash = <const uint8_t*>memchr(at, 0x5c, end - at)
        if slash == NULL:
            slash = end
        memcpy(to, at, slash - at)
        to += slash - at
        at = slash
        if at == end:
            break
        byte = at[1]
        if byte == 0x75:
            to = _utf8(to, _hex(at[2]) << 12 | _hex(at[3]) << 8 | _hex(at[4]) << 4 | _hex(at[5]))
            at += 6
            continue
        if byte == 0x6e:
            byte = 0x0a
        elif byte == 0x74:
            byte = 0x09
        elif byte == 0x72:
            byte = 0x0d
        elif byte == 0x62:
            byte = 0x08
        elif byte == 0x66:
            byte = 0x0c
        to[0] = byte
        to += 1
        at += 2
    return to


cdef inline uint8_t* copy_escaped(uint8_t* to, const uint8_t* at, const uint8_t* end) noexcept nogil:
    r"""COPY's text format escapes the backslash, tab, line feed and carriage return."""
    cdef uint8_t byte
    while at < end:
        byte = at[0]
        at += 1
        if byte == 0x5c or byte == 0x09 or byte == 0x0a or byte == 0x0d:
            to[0] = 0x5c
            to += 1
            byte = 0x5c if byte == 0x5c else 0x74 if byte == 0x09 else 0x6e if byte == 0x0a else 0x72
        to[0] = byte
        to += 1
    return to


cdef inline uint8_t _mysql_escape(uint8_t byte) noexcept nogil:
    """What follows the backslash (MySQL manual, 11.1.1 "String Literals"); 0: none is needed."""
    if byte == 0x27 or byte == 0x22 or byte == 0x5c:
        return byte
    if byte >= 0x20:
        return 0
    if byte == 0:
        return 0x30
    if byte == 0x0a:
        return 0x6e
    if byte == 0x0d:
        return 0x72
    return 0x5a if byte == 0x1a else 0


cdef inline uint8_t* mysql_escaped(uint8_t* to, const uint8_t* at, const uint8_t* end) noexcept nogil:
    cdef uint8_t byte, escape
    while at < end:
        byte = at[0]
        at += 1
        escape = _mysql_escape(byte)
        if escape:
            to[0] = 0x5c
            to += 1
            byte = escape
        to[0] = byte
        to += 1
    return to


cdef inline int _sextet(uint8_t digit) noexcept nogil:
    """RFC 4648, table 1; -1 for what is no digit."""
    if 0x41 <= digit <= 0x5a:
        return digit - 0x41
    if 0x61 <= digit <= 0x7a:
        return digit - 71
    if 0x30 <= digit <= 0x39:
        return digit + 4
    return 62 if digit == 0x2b else 63 if digit == 0x2f else -1


cdef inline uint8_t* hex_of_base64(uint8_t* to, const uint8_t* at, Py_ssize_t size) noexcept nogil:
    """The bytes of a base64 text as hex digits; NULL where it is not just digits and padding."""
    cdef const char* digits = b"0123456789abcdef"
    cdef const uint8_t* end = at + size
    cdef int one, two, three, four, count, place
    cdef uint32_t bits
    cdef uint8_t byte
    if size % 4:
        return NULL
    while at < end:
        count = 3
        if at + 4 == end and at[3] == 0x3d:
            count = 1 if at[2] == 0x3d else 2
        one, two = _sextet(at[0]), _sextet(at[1])
        three = 0 if count < 2 else _sextet(at[2])
        four = 0 if count < 3 else _sextet(at[3])
        if one < 0 or two < 0 or three < 0 or four < 0:
            return NULL
        bits = <uint32_t>(one << 18 | two << 12 | three << 6 | four)
        for place in range(count):
            byte = <uint8_t>(bits >> (16 - 8 * place) & 255)
            to[0] = digits[byte >> 4]
            to[1] = digits[byte & 15]
            to += 2
        at += 4
    return to


cdef inline bint is_exact(const uint8_t* at, Py_ssize_t size) noexcept nogil:
    """A number without an exponent (MySQL manual, 11.1.2 "Numeric Literals")."""
    cdef const uint8_t* end = at + size
    cdef const uint8_t* begin
    if at < end and at[0] == 0x2d:
        at += 1
    begin = at
    while at < end and 48 <= at[0] < 58:
        at += 1
    if at == begin:
        return False
    if at < end and at[0] == 0x2e:
        at += 1
        begin = at
        while at < end and 48 <= at[0] < 58:
            at += 1
        if at == begin:
            return False
    return at == end


cdef inline bint is_fraction(const uint8_t* at, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(size):
        if at[index] == 0x2e or at[index] | 0x20 == 0x65:
            return True
    return False
