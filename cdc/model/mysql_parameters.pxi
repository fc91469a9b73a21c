# Part of received_rows.pyx: rows as what COM_STMT_EXECUTE takes behind its number of iterations (MySQL Internals, "COM_STMT_EXECUTE",
# "Binary Protocol Value"; include/field_types.h).

cdef enum:
    TYPE_DOUBLE = 0x05
    TYPE_NULL = 0x06
    TYPE_LONGLONG = 0x08
    TYPE_NEWDECIMAL = 0xf6
    TYPE_VAR_STRING = 0xfd
    UNSIGNED = 0x80
    MOST_LENGTH = 9  # bytes of a length


cdef inline uint8_t* _length(uint8_t* to, uint64_t size) noexcept nogil:
    """Protocol::LengthEncodedInteger."""
    cdef int count = 0
    if size >= 251:
        count = 2 if size < 0x10000 else 3 if size < 0x1000000 else 8
        to[0] = 0xfc if count == 2 else 0xfd if count == 3 else 0xfe
        to += 1
    else:
        count = 1
    # x86 and ARM are little-endian, as the protocol is; cdc.binlog's compiled parts rest on that too.
    memcpy(to, &size, count)
    return to + count


cdef inline bint _whole(const uint8_t* at, Py_ssize_t size, uint64_t* value, uint8_t* sign) noexcept nogil:
    """A JSON integer in 64 bits; False for one that has more."""
    cdef bint negative = at[0] == 0x2d
    cdef Py_ssize_t index
    cdef uint64_t digit, total = 0
    if size - negative > 20:
        return False
    for index in range(negative, size):
        digit = at[index] - 48
        if total > (<uint64_t>0xffffffffffffffff - digit) // 10:
            return False
        total = total * 10 + digit
    if negative and total > <uint64_t>1 << 63:
        return False
    value[0] = 0 - total if negative else total
    sign[0] = UNSIGNED if not negative and total >> 63 else 0
    return True


cdef bytes _parameters(ReceivedRows rows, Py_ssize_t start, Py_ssize_t count, written, list kinds, Py_ssize_t max_bytes):
    cdef list places = list(written)
    cdef Py_ssize_t columns = len(places)
    cdef Py_ssize_t total = count * columns
    cdef Py_ssize_t nulls = (total + 7) // 8
    cdef Py_ssize_t index, at, size, parameter = 0
    cdef _Out out = _Out()
    cdef const uint8_t* value
    cdef const uint8_t* begin
    cdef uint8_t* to
    cdef uint8_t* made
    cdef uint8_t* head
    cdef uint8_t type_, sign
    cdef int kind
    cdef uint64_t number
    cdef double fraction
    cdef Slot* slot
    cdef Cell* cell
    if not 0 <= start <= start + count <= rows.count:
        raise IndexError((start, count))
    to = out.reserve(nulls + 1 + 2 * total + (rows._text_bytes(start, start + count) if ROOM_AHEAD else 0))
    memset(to, 0, nulls)
    to[nulls] = 1
    out.size = nulls + 1 + 2 * total
    for index in range(start, start + count):
        if index + ROWS_AHEAD < start + count:
            _soon(rows.data[index + ROWS_AHEAD].item)
        slot = &rows.data[index]
        to = out.reserve(slot.item.after.size + (8 + MOST_LENGTH) * columns)
        head = out.data + nulls + 1 + 2 * parameter
        for at in range(columns):
            cell = &rows.cells.data[slot.cells + <Py_ssize_t>places[at]]
            value = slot.item.after.data + cell.start
            size = cell.size
            kind = kinds[at]
            type_, sign = TYPE_LONGLONG, 0
            if value[0] == 0x22:
                begin, size = value + 1, size - 2
                type_ = TYPE_VAR_STRING
                if kind == DECIMAL:
                    if not is_exact(begin, size):
                        return None
                    type_ = TYPE_NEWDECIMAL
                elif kind == INSTANT and value[size] == 0x5a:
                    size -= 1
                elif kind > INSTANT:
                    return None
                if memchr(begin, 0x5c, size) != NULL:
                    # Behind the room for its length, and moved to where that ends.
                    made = to + MOST_LENGTH
                    begin, size = made, unescaped(made, begin, begin + size) - made
                to = _length(to, size)
                memmove(to, begin, size)
                to += size
            elif value[0] == 0x6e:
                type_ = TYPE_NULL
                out.data[parameter >> 3] |= <uint8_t>(1 << (parameter & 7))
            elif value[0] == 0x74 or value[0] == 0x66:
                number = value[0] == 0x74
                memcpy(to, &number, 8)
                to += 8
            elif value[0] >= 0x3a:
                return None
            elif kind == SINGLE or is_fraction(value, size):
                type_ = TYPE_DOUBLE
                fraction = _single(value, size) if kind == SINGLE else _double(value, size)
                memcpy(to, &fraction, 8)
                to += 8
            elif _whole(value, size, &number, &sign):
                memcpy(to, &number, 8)
                to += 8
            else:
                return None
            head[0] = type_
            head[1] = sign
            head += 2
            parameter += 1
        out.size = to - out.data
        if out.size > max_bytes:
            return None
    return out.text()
