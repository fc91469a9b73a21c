# The rows of one event: images, keys, and what becomes of an update that changes the key. 1 from any of these: given up.

cdef enum:
    FIRST_VERSION_2 = 30
    WORTH_RELEASING = 16384  # bytes of an event from which on other threads may run meanwhile


cdef inline uint8_t op_of(int event_type) noexcept nogil:
    """0: not for us."""
    if event_type == 30 or event_type == 23:
        return c'c'
    if event_type == 31 or event_type == 24:
        return c'u'
    if event_type == 32 or event_type == 25:
        return c'd'
    return 0


cdef int read_header(Encoding plan, Event* event) noexcept nogil:
    """Moves to the first row. `whole` is set to whether all columns are there."""
    cdef Py_ssize_t length, count
    cdef int bitmap
    cdef const uint8_t* raw
    if take(event, 8, &raw) or memcmp(raw, plan.table_id, 6):
        return 1
    if event.version_2:
        if take(event, 2, &raw):
            return 1
        length = <Py_ssize_t>little(raw, 2) - 2
        if length < 0 or take(event, length, &raw):
            return 1
    if take(event, 1, &raw):
        return 1
    count = raw[0]
    if count == 252:
        if take(event, 2, &raw):
            return 1
        count = <Py_ssize_t>little(raw, 2)
    elif count > 250:
        return 1
    if count != plan.count:
        return 1
    for bitmap in range(2 if event.op == c'u' else 1):
        if take(event, (count + 7) >> 3, &raw):
            return 1
        event.whole = event.whole and is_full(raw, count)
    return 0


cdef inline bint is_full(const uint8_t* bitmap, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(count >> 3):
        if bitmap[index] != 0xFF:
            return False
    cdef uint8_t rest = <uint8_t>((1 << (count & 7)) - 1)
    return not rest or bitmap[count >> 3] & rest == rest


cdef int add_rows(Encoding plan, Event* event, EncodedRows out, PyObject* data) except -1 nogil:
    cdef Image before, after
    cdef Span key, new_key
    cdef Span nothing = Span(0, 0)
    cdef uint32_t crc
    while event.at < event.end:
        if add_image(plan, event, out, &before, data):
            return 1
        if add_key(plan, out, &before, &key, &crc):
            return 1
        if event.op == c'c':
            add_row(out, c'c', crc, key, nothing, before.text)
        elif event.op == c'd':
            add_row(out, c'd', crc, key, before.text, nothing)
        else:
            if add_image(plan, event, out, &after, data):
                return 1
            if same_key(plan, out, &before, &after):
                add_row(out, c'u', crc, key, before.text, after.text)
            else:
                add_row(out, c'd', crc, key, before.text, nothing)
                if add_key(plan, out, &after, &new_key, &crc):
                    return 1
                add_row(out, c'c', crc, new_key, nothing, after.text)
    return 0


cdef inline bint same_key(Encoding plan, EncodedRows out, const Image* one, const Image* other) noexcept nogil:
    """No float is in a key, so keys are equal where their texts are."""
    cdef Py_ssize_t index
    for index in range(plan.key_count):
        if one.key_values[index].size != other.key_values[index].size:
            return False
        if memcmp(
            out.data + one.key_values[index].start, out.data + other.key_values[index].start, one.key_values[index].size
        ):
            return False
    return True


cdef int add_image(Encoding plan, Event* event, EncodedRows out, Image* image, PyObject* data) except -1 nogil:
    """One row's columns as an object. What is not kept is read all the same, so that what is damaged is seen."""
    cdef const uint8_t* nulls
    cdef const Column* column
    cdef Py_ssize_t index, begin, value
    cdef int failed
    if take(event, (plan.count + 7) >> 3, &nulls):
        return 1
    image.text.start = out.size
    for index in range(plan.count):
        column = &plan.columns[index]
        begin = out.size
        need(out, column.head.size + ROOM_FIXED)
        memcpy(out.data + begin, column.head.at, column.head.size)
        out.size = value = begin + column.head.size
        if nulls[index >> 3] >> (index & 7) & 1:
            if column.never_null:
                return 1
            memcpy(out.data + value, b"null", 4)
            out.size += 4
        elif column.kind != PYTHON:
            if add_value(column, event, out):
                return 1
        else:
            with gil:
                failed = plan.add_python_value(index, event, out, <object>data)
            if failed:
                return 1
        if column.key_place >= 0:
            image.key_values[column.key_place].start = value
            image.key_values[column.key_place].size = out.size - value
        if not column.kept:
            out.size = begin
    add_byte(out, c'}')
    image.text.size = out.size - image.text.start
    return 0
