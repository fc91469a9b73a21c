# One value: where its bytes end, and who writes it. 1 from these: given up.

cdef int add_value(const Column* column, Event* event, EncodedRows out) except -1 nogil:
    """There is room for ROOM_FIXED bytes."""
    if column.kind >= UTF8:
        return add_sized(column, event, out)
    if column.kind >= DATE:
        return add_time(column, event, out)
    return add_number(column, event, out)


cdef inline int take(Event* event, Py_ssize_t size, const uint8_t** raw) noexcept nogil:
    if size > event.end - event.at:
        return 1
    raw[0] = event.at
    event.at += size
    return 0


cdef inline int add_number(const Column* column, Event* event, EncodedRows out) except -1 nogil:
    cdef uint8_t* to = out.data + out.size
    cdef const uint8_t* raw
    if column.kind <= UNSIGNED:
        if take(event, column.width, &raw):
            return 1
        to = put_known_width(to, raw, column.width, column.kind == SIGNED)
    elif column.kind == DECIMAL:
        if take(event, decimal_bytes(column.width, <int>column.size), &raw):
            return 1
        to[0] = c'"'
        to = put_decimal(to + 1, raw, column.width, <int>column.size)
        if to == NULL:
            return 1
        to[0] = c'"'
        to += 1
    elif column.kind == FLOAT:
        to = NULL if take(event, 4, &raw) else put_float32(to, raw)
    elif column.kind == DOUBLE:
        to = NULL if take(event, 8, &raw) else put_float64(to, raw)
    elif column.kind == BITS:
        to = NULL if take(event, column.width, &raw) else put_unsigned(to, big(raw, column.width))
    else:
        if take(event, 1, &raw):
            return 1
        to = put_unsigned(to, 1900 + <uint64_t>raw[0] if raw[0] else 0)
    if to == NULL:
        return 1
    out.size = to - out.data
    return 0


cdef inline uint8_t* put_known_width(uint8_t* to, const uint8_t* raw, int width, bint is_signed) noexcept nogil:
    """The same for all; for four and eight bytes in fewer instructions."""
    if width == 4:
        return put_integer(to, raw, 4, is_signed)
    if width == 8:
        return put_integer(to, raw, 8, is_signed)
    return put_integer(to, raw, width, is_signed)


cdef inline int add_time(const Column* column, Event* event, EncodedRows out) except -1 nogil:
    cdef uint8_t* to = out.data + out.size
    cdef const uint8_t* raw
    cdef int fixed = 4 if column.kind == TIMESTAMP else 5 if column.kind == DATETIME else 3
    if take(event, fixed + fraction_width(column.width), &raw):
        return 1
    to[0] = c'"'
    to += 1
    if column.kind == DATE:
        to = put_date(to, raw)
    elif column.kind == TIME:
        to = put_time(to, raw, column.width)
    elif column.kind == DATETIME:
        to = put_datetime(to, raw, column.width)
    else:
        to = put_timestamp(to, raw, column.width)
    if to == NULL:
        return 1
    to[0] = c'"'
    out.size = to + 1 - out.data
    return 0


cdef inline int add_sized(const Column* column, Event* event, EncodedRows out) except -1 nogil:
    """What has its length before it, and numbers that stand for texts."""
    cdef const uint8_t* raw
    cdef uint64_t number
    cdef Py_ssize_t size
    if take(event, column.width, &raw):
        return 1
    number = little(raw, column.width)
    if column.kind == ENUM:
        return add_enum(column, number, out)
    if column.kind == SET:
        return add_set(column, number, out)
    size = <Py_ssize_t>number
    if take(event, size, &raw):
        return 1
    if column.kind == UTF8:
        return add_utf8(out, raw, size)
    if column.kind == ONE_BYTE:
        return add_one_byte_text(out, raw, size, column.table)
    if column.kind == BASE64:
        return add_base64(out, raw, size, column.size)
    return add_json(out, raw, size)
