# Numbers that stand for members: `texts` of a column are the members' JSON. 1 from these: given up.

cdef inline int add_enum(const Column* column, uint64_t number, EncodedRows out) except -1 nogil:
    if number >= <uint64_t>column.count:
        return 1
    return add_bytes(out, column.texts[number].at, column.texts[number].size)


cdef int add_set(const Column* column, uint64_t chosen, EncodedRows out) except -1 nogil:
    """A bit for each member; at most 64 of them."""
    cdef uint8_t* to
    cdef Py_ssize_t index
    cdef bint first = True
    if column.count < 64 and chosen >> column.count:
        return 1
    need(out, column.room + 2)
    to = out.data + out.size
    to[0] = c'"'
    to += 1
    for index in range(column.count):
        if chosen >> index & 1:
            if not first:
                to[0] = c','
                to += 1
            first = False
            memcpy(to, column.texts[index].at, column.texts[index].size)
            to += column.texts[index].size
    to[0] = c'"'
    out.size = to + 1 - out.data
    return 0
