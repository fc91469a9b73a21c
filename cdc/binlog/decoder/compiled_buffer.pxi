# What is written goes behind what EncodedRows has.

cdef inline int need(EncodedRows out, Py_ssize_t more) except -1 nogil:
    if out.capacity - out.size < more:
        out.reserve(more)
    return 0


cdef inline int add_bytes(EncodedRows out, const uint8_t* raw, Py_ssize_t size) except -1 nogil:
    need(out, size)
    memcpy(out.data + out.size, raw, size)
    out.size += size
    return 0


cdef inline int add_byte(EncodedRows out, uint8_t byte) except -1 nogil:
    need(out, 1)
    out.data[out.size] = byte
    out.size += 1
    return 0
