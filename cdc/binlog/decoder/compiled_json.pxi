# MySQL's binary JSON as the text that SELECT prints, in a JSON string; json_binary.py is the same to read, with its sources.

cdef struct Document:
    const uint8_t* data
    Py_ssize_t size
    Py_ssize_t budget  # see json_binary._Document: all values together take no more bytes than there are

cdef enum:
    MAX_DEPTH = 100
    VALUE_ROOM = 128  # of any value but strings, other opaque ones, and containers


cdef int add_json(EncodedRows out, const uint8_t* raw, Py_ssize_t size) except -1 nogil:
    """1: damaged. No document at all is null."""
    cdef Document document
    document.data = raw
    document.size = document.budget = size
    if not size:
        return add_bytes(out, <const uint8_t*>b'"null"', 6)
    add_byte(out, c'"')
    if add_json_value(out, &document, raw[0], 1, 0):
        return 1
    return add_byte(out, c'"')


cdef int add_json_value(EncodedRows out, Document* document, int kind, Py_ssize_t start, int depth) except -1 nogil:
    cdef const uint8_t* at = document.data + start
    cdef Py_ssize_t left = document.size - start
    cdef Py_ssize_t size
    cdef uint8_t* to
    document.budget -= 1
    if document.budget < 0 or left < 0:
        return 1
    if kind <= 3:
        return add_json_container(out, document, kind, start, depth + 1)
    if kind == 12:
        size = json_length(document, &start)
        if size < 0 or spend(document, start, size):
            return 1
        return add_json_string(out, document.data + start, size)
    if kind == 15:
        if left < 1:
            return 1
        start += 1
        size = json_length(document, &start)
        if size < 0 or spend(document, start, size):
            return 1
        return add_json_opaque(out, at[0], document.data + start, size)
    need(out, VALUE_ROOM)
    to = out.data + out.size
    if kind == 4:
        if left < 1 or at[0] > 2:
            return 1
        to = put_literal(to, at[0])
    elif kind == 11:
        to = put_json_double(to, at) if left >= 8 else NULL
    elif 5 <= kind <= 10:
        size = 2 << (kind - 5) // 2
        to = put_integer(to, at, <int>size, kind & 1) if left >= size else NULL
    else:
        return 1
    if to == NULL:
        return 1
    out.size = to - out.data
    return 0


cdef inline int spend(Document* document, Py_ssize_t start, Py_ssize_t size) noexcept nogil:
    """Whether `size` bytes from `start` on are not there or not left."""
    if size > document.size - start:
        return 1
    document.budget -= size
    return document.budget < 0


cdef inline Py_ssize_t json_length(Document* document, Py_ssize_t* start) noexcept nogil:
    """Seven bits in each of at most five bytes, of which it moves `start` behind the last; -1: no length."""
    cdef Py_ssize_t length = 0
    cdef uint8_t byte
    cdef int index
    for index in range(5):
        if start[0] >= document.size:
            return -1
        byte = document.data[start[0]]
        start[0] += 1
        length |= <Py_ssize_t>(byte & 0x7F) << 7 * index
        if byte < 0x80:
            return length
    return -1


cdef inline uint8_t* put_literal(uint8_t* to, uint8_t which) noexcept nogil:
    if which == 0:
        memcpy(to, b"null", 4)
    elif which == 1:
        memcpy(to, b"true", 4)
    else:
        memcpy(to, b"false", 5)
    return to + 4 + (which == 2)


cdef int add_json_container(EncodedRows out, Document* document, int kind, Py_ssize_t start, int depth) except -1 nogil:
    """0: small object, 1: large object, 2: small array, 3: large array. Offsets are from `start`."""
    cdef int width = 4 if kind & 1 else 2
    cdef bint is_object = kind < 2
    cdef Py_ssize_t count, size, keys_at, values_at, header, index, entry, place
    cdef int value_kind
    if depth > MAX_DEPTH or document.size - start < 2 * width:
        return 1
    count = <Py_ssize_t>little(document.data + start, width)
    size = <Py_ssize_t>little(document.data + start + width, width)
    keys_at = start + 2 * width
    values_at = keys_at + (count * (width + 2) if is_object else 0)
    header = values_at + count * (width + 1) - start
    if header > size or size > document.size - start:
        return 1
    add_byte(out, c'{' if is_object else c'[')
    for index in range(count):
        if index:
            add_bytes(out, <const uint8_t*>b", ", 2)
        if is_object and add_json_key(out, document, start, keys_at + index * (width + 2), width):
            return 1
        entry = values_at + index * (width + 1)
        value_kind = document.data[entry]
        place = entry + 1
        if not (4 <= value_kind <= 6 or (width == 4 and 7 <= value_kind <= 8)):  # the others have an offset
            place = <Py_ssize_t>little(document.data + place, width)
            if place < header:
                return 1
            place += start
        if add_json_value(out, document, value_kind, place, depth):
            return 1
    return add_byte(out, c'}' if is_object else c']')


cdef int add_json_key(EncodedRows out, Document* document, Py_ssize_t container, Py_ssize_t entry, int width) except -1 nogil:
    cdef Py_ssize_t start = container + <Py_ssize_t>little(document.data + entry, width)
    cdef Py_ssize_t size = <Py_ssize_t>little(document.data + entry + width, 2)
    if spend(document, start, size) or add_json_string(out, document.data + start, size):
        return 1
    return add_bytes(out, <const uint8_t*>b": ", 2)


cdef int add_json_string(EncodedRows out, const uint8_t* raw, Py_ssize_t size) except -1 nogil:
    """Escaped twice: as the server does in the document's text, and that text as a JSON string. 1: no UTF-8."""
    cdef const uint8_t* end = raw + size
    cdef uint64_t word
    cdef uint8_t* to
    cdef int length
    add_bytes(out, <const uint8_t*>b'\\"', 2)
    while raw < end:
        need(out, 16)
        to = out.data + out.size
        length = 1
        if end - raw >= 8:
            memcpy(&word, raw, 8)
            if are_plain(word):
                memcpy(to, &word, 8)
                out.size += 8
                raw += 8
                continue
        if raw[0] >= 0x80:
            length = sequence_length(raw, end)
            if not length:
                return 1
            memcpy(to, raw, length)
            to += length
        elif ESCAPES[raw[0]]:
            to = put_escape_twice(to, raw[0])
        else:
            to[0] = raw[0]
            to += 1
        raw += length
        out.size = to - out.data
    return add_bytes(out, <const uint8_t*>b'\\"', 2)


cdef inline uint8_t* put_escape_twice(uint8_t* to, uint8_t code) noexcept nogil:
    to[0] = c'\\'
    to = put_escape(to + 1, code)
    if code == c'"' or code == c'\\':
        to[0] = (to - 1)[0]
        (to - 1)[0] = c'\\'
        return to + 1
    return to


cdef int add_json_opaque(EncodedRows out, int kind, const uint8_t* raw, Py_ssize_t size) except -1 nogil:
    """A value of an SQL type, of type code `kind`."""
    cdef uint8_t* to
    cdef Py_ssize_t line
    need(out, VALUE_ROOM)
    to = out.data + out.size
    if kind == 246:
        to = put_json_decimal(to, raw, size)
    elif kind == 10 or kind == 11 or kind == 7 or kind == 12:
        to = put_json_time(to, kind, raw, size)
    else:
        memcpy(to, b'\\"base64:type', 13)
        to = put_unsigned(to + 13, kind)
        to[0] = c':'
        out.size = to + 1 - out.data
        while size:
            need(out, 128)
            to = out.data + out.size
            line = 57 if size > 57 else size  # which is 76 characters
            to = put_base64(to, raw, line)
            raw += line
            size -= line
            if size:
                memcpy(to, b"\\\\n", 3)
                to += 3
            out.size = to - out.data
        return add_bytes(out, <const uint8_t*>b'\\"', 2)
    if to == NULL:
        return 1
    out.size = to - out.data
    return 0


cdef uint8_t* put_json_decimal(uint8_t* to, const uint8_t* raw, Py_ssize_t size) noexcept nogil:
    cdef int precision, scale
    if size < 3:
        return NULL
    precision, scale = raw[0], raw[1]
    if not 0 < precision <= 65 or scale > precision or scale > 38 or size != 2 + decimal_bytes(precision, scale):
        return NULL
    return put_decimal(to, raw + 2, precision, scale)


cdef uint8_t* put_json_time(uint8_t* to, int kind, const uint8_t* raw, Py_ssize_t size) noexcept nogil:
    """Eight bytes: a number whose lowest 24 bits are microseconds."""
    cdef uint64_t magnitude
    cdef bint negative
    cdef uint8_t* date
    if size != 8:
        return NULL
    magnitude = little(raw, 8)
    negative = magnitude >> 63
    if negative:
        magnitude = 0 - magnitude
    memcpy(to, b'\\"', 2)
    to += 2
    if kind == 11:
        if negative:
            to[0] = c'-'
            to += 1
        to = put_clock(to, magnitude >> 36 & 1023, magnitude >> 30 & 63, magnitude >> 24 & 63)
    else:
        date = to
        to = put_packed_datetime(to, magnitude >> 24, c' ')
        if kind == 10:
            to = date + 10
    if kind != 10:
        to[0] = c'.'
        to = put_padded(to + 1, magnitude & 0xFFFFFF, 6)
    memcpy(to, b'\\"', 2)
    return to + 2


cdef uint8_t* put_json_double(uint8_t* to, const uint8_t* raw) noexcept nogil:
    """As the server lays it out (json_binary.double_text)."""
    cdef uint64_t bits = little(raw, 8)
    cdef Decimal number
    cdef int count, point
    if (bits >> 52 & 0x7FF) == 0x7FF:
        return NULL
    number = shortest(bits & 0x7FFFFFFFFFFFFFFFULL)
    count = count_digits(number.digits)
    point = number.exponent + count
    if bits >> 63:
        to[0] = c'-'
        to += 1
    if not number.digits or 0 < point <= (15 if count < 16 else count - 1):
        return put_with_point(to, number, count, point)
    if -15 < point <= 0:
        return put_below_one(to, number, count, point)
    put_digits(to + 1, number.digits, count)
    to[0] = to[1]
    to += 1
    if count > 1:
        to[0] = c'.'
        to += count
    to[0] = c'e'
    return put_signed(to + 1, point - 1)
