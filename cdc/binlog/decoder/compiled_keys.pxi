# A row's end: its key, which is put together from the values of its image, and its entry. 1 from these: given up.

cdef struct Image:
    Span text
    Span[64] key_values  # MOST_KEY_COLUMNS


cdef inline int add_row(
    EncodedRows out, uint8_t op, uint32_t crc, Span key, Span before, Span after
) except -1 nogil:
    cdef EncodedRow* row = out.add()
    row.op = op
    row.crc = crc
    row.key = key
    row.before = before
    row.after = after
    return 0


cdef int add_key(Encoding plan, EncodedRows out, const Image* image, Span* key, uint32_t* crc) except -1 nogil:
    """The key's object, and its lane: see cdc.model.routing.lane_number."""
    cdef Py_ssize_t index, size
    cdef uint8_t* to
    key.start = out.size
    crc[0] = plan.crc
    for index in range(plan.key_count):
        size = image.key_values[index].size
        need(out, plan.key_heads[index].size + size + 1)
        to = out.data + out.size
        memcpy(to, plan.key_heads[index].at, plan.key_heads[index].size)
        to += plan.key_heads[index].size
        memcpy(to, out.data + image.key_values[index].start, size)
        out.size = to + size - out.data
        if fold(crc, to, size):
            return 1
    out.data[out.size] = c'}'
    out.size += 1
    key.size = out.size - key.start
    return 0
