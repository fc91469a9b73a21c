# Text as JSON strings: orjson's escapes, and UTF-8 checked on the way.

cdef enum:
    CHUNK = 4096  # of a long text at a time, so that room for its escapes is bounded
    CHUNK_ROOM = 6 * (CHUNK + 4) + 16

cdef uint8_t[128] ESCAPES  # 0: stands for itself; u: \u00xx; else what follows the backslash


def _fill_escapes():
    for code in range(128):
        ESCAPES[code] = c'u' if code < 32 else 0
    for plain, escaped in (("\b", "b"), ("\t", "t"), ("\n", "n"), ("\f", "f"), ("\r", "r"), ('"', '"'), ("\\", "\\")):
        ESCAPES[ord(plain)] = ord(escaped)


_fill_escapes()

cdef const char* HEX_DIGITS = b"0123456789abcdef"


cdef inline bint are_plain(uint64_t word) noexcept nogil:
    """Eight bytes of ASCII that need no escape: none below 0x20, no quote, no backslash. A borrow begins only at one that is."""
    return not (
        (
            word
            | (word - 0x2020202020202020ULL)
            | ((word ^ 0x2222222222222222ULL) - 0x0101010101010101ULL)
            | ((word ^ 0x5C5C5C5C5C5C5C5CULL) - 0x0101010101010101ULL)
        )
        & 0x8080808080808080ULL
    )


cdef extern from *:
    """
    /* Copies 32 bytes; whether all of them are plain, as are_plain says. Where not, what was copied means nothing. */
    #if defined(__SSE2__)
    #include <emmintrin.h>
    static inline int cdc_copy_plain(uint8_t *to, const uint8_t *raw) {
        const __m128i space = _mm_set1_epi8(0x20), quote = _mm_set1_epi8(0x22), slash = _mm_set1_epi8(0x5C);
        const __m128i one = _mm_loadu_si128((const __m128i *)raw), two = _mm_loadu_si128((const __m128i *)(raw + 16));
        /* As signed bytes, those from 0x80 on are below a space, too. */
        const __m128i low = _mm_cmplt_epi8(one, space);
        const __m128i found = _mm_or_si128(
            _mm_or_si128(
                _mm_or_si128(low, _mm_cmplt_epi8(two, space)),
                _mm_or_si128(_mm_cmpeq_epi8(one, quote), _mm_cmpeq_epi8(two, quote))),
            _mm_or_si128(_mm_cmpeq_epi8(one, slash), _mm_cmpeq_epi8(two, slash)));
        _mm_storeu_si128((__m128i *)to, one);
        _mm_storeu_si128((__m128i *)(to + 16), two);
        return _mm_movemask_epi8(found) == 0;
    }
    #define CDC_WIDE 32
    #else
    static inline int cdc_copy_plain(uint8_t *to, const uint8_t *raw) { (void)to; (void)raw; return 0; }
    #define CDC_WIDE 0x7fffffff
    #endif
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define CDC_LITTLE_ENDIAN 1
    #else
    #define CDC_LITTLE_ENDIAN 0
    #endif
    """
    bint copy_plain "cdc_copy_plain"(uint8_t* to, const uint8_t* raw) nogil
    const Py_ssize_t WIDE "CDC_WIDE"
    const bint LITTLE_ENDIAN "CDC_LITTLE_ENDIAN"


cdef inline uint8_t* put_plain(uint8_t* to, const uint8_t** at, const uint8_t* begin, const uint8_t* stop) noexcept nogil:
    """Copies characters up to one that is not plain, or as long as that can be seen for many at once. `begin`: of the text, up to
    `stop`. There is room for eight bytes more than there are."""
    cdef const uint8_t* raw = at[0]
    cdef uint64_t word
    while stop - raw >= WIDE and copy_plain(to, raw):
        to += WIDE
        raw += WIDE
    while stop - raw >= 8:
        memcpy(&word, raw, 8)
        if not are_plain(word):
            break
        memcpy(to, &word, 8)
        to += 8
        raw += 8
    if LITTLE_ENDIAN and 0 < stop - raw < 8 and stop - begin >= 8:
        # The last eight bytes together; those that were copied already fall out at the lower end.
        memcpy(&word, stop - 8, 8)
        if are_plain(word):
            word >>= 8 * (8 - (stop - raw))
            memcpy(to, &word, 8)
            to += stop - raw
            raw = stop
    at[0] = raw
    return to


cdef inline int sequence_length(const uint8_t* raw, const uint8_t* end) noexcept nogil:
    """Bytes of the character of two or more that begins here; 0: it is no UTF-8 (Unicode Standard, table 3-7)."""
    cdef uint8_t lead = raw[0]
    cdef Py_ssize_t left = end - raw
    cdef uint8_t second
    if lead < 0xC2 or lead > 0xF4 or left < 2:
        return 0
    second = raw[1]
    if lead < 0xE0:
        return 2 if second & 0xC0 == 0x80 else 0
    if left < 3 or second & 0xC0 != 0x80 or raw[2] & 0xC0 != 0x80:
        return 0
    if lead < 0xF0:
        if (lead == 0xE0 and second < 0xA0) or (lead == 0xED and second > 0x9F):
            return 0
        return 3
    if left < 4 or raw[3] & 0xC0 != 0x80 or (lead == 0xF0 and second < 0x90) or (lead == 0xF4 and second > 0x8F):
        return 0
    return 4


cdef inline uint8_t* put_escape(uint8_t* to, uint8_t code) noexcept nogil:
    """Of an ASCII code that needs one."""
    to[0] = c'\\'
    to[1] = ESCAPES[code]
    if ESCAPES[code] != c'u':
        return to + 2
    to[2] = to[3] = c'0'
    to[4] = HEX_DIGITS[code >> 4]
    to[5] = HEX_DIGITS[code & 15]
    return to + 6


cdef int add_utf8(EncodedRows out, const uint8_t* raw, Py_ssize_t size) except -1 nogil:
    """A JSON string of UTF-8; 1: it is not."""
    cdef const uint8_t* begin = raw
    cdef const uint8_t* end = raw + size
    cdef const uint8_t* stop
    cdef uint8_t* to
    cdef int length
    need(out, CHUNK_ROOM if size > CHUNK else 6 * size + 16)
    to = out.data + out.size
    to[0] = c'"'
    to += 1
    while raw < end:
        stop = raw + CHUNK if end - raw > CHUNK else end
        while raw < stop:
            to = put_plain(to, &raw, begin, stop)
            if raw == stop:
                break
            if raw[0] >= 0x80:
                while raw < stop and raw[0] >= 0x80:
                    length = sequence_length(raw, end)
                    if not length:
                        return 1
                    memcpy(to, raw, 4 if end - raw >= 4 else length)  # four are one instruction
                    to += length
                    raw += length
            elif ESCAPES[raw[0]]:
                to = put_escape(to, raw[0])
                raw += 1
            else:
                to[0] = raw[0]
                to += 1
                raw += 1
        if raw < end:
            out.size = to - out.data
            need(out, CHUNK_ROOM)
            to = out.data + out.size
    to[0] = c'"'
    out.size = to + 1 - out.data
    return 0


cdef int add_one_byte_text(EncodedRows out, const uint8_t* raw, Py_ssize_t size, const uint8_t* table) except -1 nogil:
    """A JSON string of text in a charset of one byte for each character. `table`: eight bytes for each code, the escaped UTF-8
    in front, its length (0: the charset lacks the code) last; at [2048] whether codes below 128 are ASCII's. 1: not text."""
    cdef const uint8_t* begin = raw
    cdef const uint8_t* end = raw + size
    cdef const uint8_t* stop
    cdef const uint8_t* entry
    cdef uint8_t* to
    cdef bint is_ascii = table[2048]
    need(out, CHUNK_ROOM if size > CHUNK else 6 * size + 16)
    to = out.data + out.size
    to[0] = c'"'
    to += 1
    while raw < end:
        stop = raw + CHUNK if end - raw > CHUNK else end
        while raw < stop:
            if is_ascii:
                to = put_plain(to, &raw, begin, stop)
            if raw == stop:
                break
            entry = table + 8 * raw[0]
            if not entry[7]:
                return 1
            memcpy(to, entry, 8)
            to += entry[7]
            raw += 1
        if raw < end:
            out.size = to - out.data
            need(out, CHUNK_ROOM)
            to = out.data + out.size
    to[0] = c'"'
    out.size = to + 1 - out.data
    return 0


cdef const char* BASE64_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


cdef inline uint8_t* put_base64(uint8_t* to, const uint8_t* raw, Py_ssize_t size) noexcept nogil:
    cdef uint32_t three
    while size >= 3:
        three = <uint32_t>raw[0] << 16 | <uint32_t>raw[1] << 8 | raw[2]
        to[0] = BASE64_DIGITS[three >> 18]
        to[1] = BASE64_DIGITS[three >> 12 & 63]
        to[2] = BASE64_DIGITS[three >> 6 & 63]
        to[3] = BASE64_DIGITS[three & 63]
        to += 4
        raw += 3
        size -= 3
    if size:
        three = <uint32_t>raw[0] << 16 | (<uint32_t>raw[1] << 8 if size == 2 else 0)
        to[0] = BASE64_DIGITS[three >> 18]
        to[1] = BASE64_DIGITS[three >> 12 & 63]
        to[2] = BASE64_DIGITS[three >> 6 & 63] if size == 2 else c'='
        to[3] = c'='
        to += 4
    return to


cdef int add_base64(EncodedRows out, const uint8_t* raw, Py_ssize_t size, Py_ssize_t padded) except -1 nogil:
    """A JSON string of bytes, with zeros behind them up to `padded`."""
    cdef uint8_t[3] last
    cdef Py_ssize_t whole = size - size % 3 if padded > size else size
    cdef uint8_t* to
    need(out, (size if size > padded else padded) // 3 * 4 + 16)
    to = out.data + out.size
    to[0] = c'"'
    to = put_base64(to + 1, raw, whole)
    while whole < padded:
        last[0] = raw[whole] if whole < size else 0
        last[1] = raw[whole + 1] if whole + 1 < size else 0
        last[2] = 0
        to = put_base64(to, last, 3 if padded - whole >= 3 else padded - whole)
        whole += 3
    to[0] = c'"'
    out.size = to + 1 - out.data
    return 0
