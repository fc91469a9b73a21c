# The checksum of a key that decides its lane: cdc.model.routing.lane_number before it takes the remainder.

cdef uint32_t[256] CRC_TABLE
cdef const char* NONE = b"None"


def _fill_crc_table():
    cdef uint32_t value
    for code in range(256):
        value = code
        for _ in range(8):
            value = value >> 1 ^ (<uint32_t>0xEDB88320 if value & 1 else 0)
        CRC_TABLE[code] = value


_fill_crc_table()


cdef inline uint32_t crc_byte(uint32_t crc, uint8_t byte) noexcept nogil:
    return CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8


cdef int fold(uint32_t* crc, const uint8_t* raw, Py_ssize_t size) except -1 nogil:
    """Goes on with a NUL and what routing.folded makes of the value whose JSON this is: a number, null, or a string."""
    cdef uint32_t state = crc_byte(~crc[0], 0)
    cdef const uint8_t* begin = raw
    cdef const uint8_t* end = raw + size
    cdef uint8_t byte
    cdef int index
    if raw[0] == c'"':
        raw += 1
        end -= 1
        while end > raw and (end - 1)[0] == c' ':
            end -= 1
        while raw < end:
            byte = raw[0]
            if byte >= 0x80 or byte == c'\\':
                with gil:
                    return fold_slowly(crc, begin, size)
            if c'A' <= byte <= c'Z':
                byte += 32
            state = crc_byte(state, byte)
            raw += 1
    elif raw[0] == c'n':
        for index in range(4):
            state = crc_byte(state, <uint8_t>NONE[index])
    else:
        while raw < end:
            state = crc_byte(state, raw[0])
            raw += 1
    crc[0] = ~state
    return 0


cdef int fold_slowly(uint32_t* crc, const uint8_t* raw, Py_ssize_t size) except -1:
    """Of a string, as routing does it."""
    text = folded(orjson.loads(raw[:size]))
    crc[0] = crc32(b"\0" + text.encode("utf-8", "surrogatepass"), crc[0])
    return 0
