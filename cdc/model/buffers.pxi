# What a module fills again and again is of much the same size: its memory goes round, and is not given back to the system and
# asked for anew, page by page. Taken and kept under the GIL; each module that includes this has buffers of its own.
cdef enum:
    MOST_KEPT = 2
    MOST_KEPT_BYTES = 8388608

cdef uint8_t* _buffers[MOST_KEPT]
cdef Py_ssize_t _capacities[MOST_KEPT]
cdef int _count = 0


cdef bint keep_buffer(uint8_t* data, Py_ssize_t capacity) noexcept:
    global _count
    if _count == MOST_KEPT or capacity > MOST_KEPT_BYTES:
        return False
    _buffers[_count] = data
    _capacities[_count] = capacity
    _count += 1
    return True


cdef uint8_t* kept_buffer(Py_ssize_t* capacity) noexcept:
    """NULL, and a capacity of 0, where none is there."""
    global _count
    if _count == 0:
        capacity[0] = 0
        return NULL
    _count -= 1
    capacity[0] = _capacities[_count]
    return _buffers[_count]
