# cython: language_level=3
"""Steps over JSON text without making objects of it (RFC 8259). Each takes where it stands and where the text ends, and returns
where it stands then, or NULL for what is not JSON, or is JSON that a caller had better ask orjson about.

Strict where orjson is: what is stepped over here, orjson reads too.
"""
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef enum:
    DEEPEST = 64


cdef extern from *:
    """
    #if defined(__SSE2__) && (defined(__GNUC__) || defined(__clang__))
    #include <emmintrin.h>
    #define CDC_SIXTEEN 1
    /* Which of sixteen bytes are below 0x20, a quote or a backslash: a bit for each. */
    static inline unsigned cdc_odd_ones(const unsigned char* at) {
        __m128i bytes = _mm_loadu_si128((const __m128i*)at);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x22));
        __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x5c));
        return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, slash)));
    }
    #define cdc_first_one(bits) ((int)__builtin_ctz(bits))
    #else
    #define CDC_SIXTEEN 0
    #define cdc_odd_ones(at) 0u
    #define cdc_first_one(bits) 0
    #endif
    """
    const bint SIXTEEN "CDC_SIXTEEN"
    unsigned int odd_ones "cdc_odd_ones"(const uint8_t* at) noexcept nogil
    int first_one "cdc_first_one"(unsigned int bits) noexcept nogil


cdef inline bint is_digit(uint8_t byte) noexcept nogil:
    return byte - 48 < 10 and byte >= 48


cdef inline bint _odd(const uint8_t* at) noexcept nogil:
    """Whether one of eight bytes is below 0x20, a quote or a backslash (Hacker's Delight, 6-1: finding a zero byte; bytes above
    0x7f may be told so too, which costs a second look)."""
    cdef uint64_t eight, low, quote, slash
    cdef uint64_t ones = 0x0101010101010101
    memcpy(&eight, at, 8)
    low = eight - ones * 0x20
    quote = (eight ^ (ones * 0x22)) - ones
    slash = (eight ^ (ones * 0x5c)) - ones
    return ((low | quote | slash) & (ones * 0x80)) != 0


cdef inline const uint8_t* string_end(const uint8_t* at, const uint8_t* end, bint* escaped) noexcept nogil:
    """From behind the opening quote to behind the closing one. Escapes of surrogates are left to orjson. `escaped` is set where
    there is a backslash."""
    cdef uint8_t byte
    cdef int place
    cdef unsigned int odd
    while True:
        if SIXTEEN:
            odd = 0
            while end - at >= 16:
                odd = odd_ones(at)
                if odd:
                    at += first_one(odd)
                    break
                at += 16
        while end - at >= 8 and not _odd(at):
            at += 8
        if at >= end:
            return NULL
        byte = at[0]
        if byte == 0x22:
            return at + 1
        if byte < 0x20:
            return NULL
        if byte != 0x5c:
            at += 1
            continue
        escaped[0] = True
        if end - at < 2:
            return NULL
        byte = at[1]
        if byte == 0x75:
            if end - at < 6:
                return NULL
            for place in range(2, 6):
                byte = at[place] | 0x20
                if not (is_digit(at[place]) or 0x61 <= byte <= 0x66):
                    return NULL
            if at[2] | 0x20 == 0x64 and at[3] >= 0x38:
                return NULL
            at += 6
        elif byte in b'"\\/bfnrt':
            at += 2
        else:
            return NULL


cdef inline const uint8_t* number_end(const uint8_t* at, const uint8_t* end, bint* whole) noexcept nogil:
    """`whole`: an integer, which orjson reads as one and Python writes in the same way."""
    cdef const uint8_t* begin = at
    cdef const uint8_t* digits
    whole[0] = True
    if at < end and at[0] == 0x2d:
        at += 1
    digits = at
    while at < end and is_digit(at[0]):
        at += 1
    if at == digits or (digits[0] == 0x30 and at - digits > 1):
        return NULL
    if at < end and (at[0] == 0x2e or at[0] | 0x20 == 0x65):
        whole[0] = False
        if at[0] == 0x2e:
            at += 1
            digits = at
            while at < end and is_digit(at[0]):
                at += 1
            if at == digits:
                return NULL
        if at < end and at[0] | 0x20 == 0x65:
            at += 1
            if at < end and (at[0] == 0x2b or at[0] == 0x2d):
                at += 1
            digits = at
            while at < end and is_digit(at[0]):
                at += 1
            # Beyond, a number may be infinite.
            if at == digits or at - digits > 2:
                return NULL
        return at if at - begin <= 100 else NULL
    if digits != begin:
        # "-0" is 0.
        if at - digits > 19 or digits[0] == 0x30:
            return NULL
        return NULL if at - digits == 19 and memcmp(digits, b"9223372036854775808", 19) > 0 else at
    if at - digits > 20:
        return NULL
    return NULL if at - digits == 20 and memcmp(digits, b"18446744073709551615", 20) > 0 else at


cdef inline const uint8_t* plain_value_end(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Any value but an array or an object."""
    cdef bint ignored = False
    if at >= end:
        return NULL
    if at[0] == 0x22:
        return string_end(at + 1, end, &ignored)
    if at[0] == 0x2d or is_digit(at[0]):
        return number_end(at, end, &ignored)
    if end - at >= 4 and (memcmp(at, b"null", 4) == 0 or memcmp(at, b"true", 4) == 0):
        return at + 4
    if end - at >= 5 and memcmp(at, b"false", 5) == 0:
        return at + 5
    return NULL


cdef inline const uint8_t* value_end(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Any value; no white space between its parts, which our own messages have not."""
    cdef uint8_t[DEEPEST] closing
    cdef int depth = 0
    cdef bint ignored = False
    while True:
        # A value begins here.
        if at >= end:
            return NULL
        if at[0] == 0x7b or at[0] == 0x5b:
            if depth == DEEPEST:
                return NULL
            closing[depth] = at[0] + 2
            at += 1
            if at < end and at[0] == closing[depth]:
                at += 1
            else:
                depth += 1
                if closing[depth - 1] == 0x7d:
                    at = _name_end(at, end)
                    if at == NULL:
                        return NULL
                continue
        else:
            at = plain_value_end(at, end)
            if at == NULL:
                return NULL
        # A value has ended here.
        while True:
            if depth == 0:
                return at
            if at >= end:
                return NULL
            if at[0] == closing[depth - 1]:
                depth -= 1
                at += 1
                continue
            if at[0] != 0x2c:
                return NULL
            at += 1
            if closing[depth - 1] == 0x7d:
                at = _name_end(at, end)
                if at == NULL:
                    return NULL
            break


cdef inline const uint8_t* _name_end(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """From a member's opening quote to behind its colon."""
    cdef bint ignored = False
    if at >= end or at[0] != 0x22:
        return NULL
    at = string_end(at + 1, end, &ignored)
    return at + 1 if at != NULL and at < end and at[0] == 0x3a else NULL


cdef inline bint is_utf8(const uint8_t* at, Py_ssize_t size) noexcept nogil:
    """The Unicode Standard, table 3-7, "Well-Formed UTF-8 Byte Sequences"."""
    cdef const uint8_t* end = at + size
    cdef uint64_t[4] many
    cdef uint64_t eight
    cdef uint8_t first, low, high
    cdef int more
    while at < end:
        while end - at >= 32:
            memcpy(many, at, 32)
            if (many[0] | many[1] | many[2] | many[3]) & <uint64_t>0x8080808080808080:
                break
            at += 32
        if end - at >= 8:
            memcpy(&eight, at, 8)
            if eight & <uint64_t>0x8080808080808080 == 0:
                at += 8
                continue
        first = at[0]
        at += 1
        if first < 0x80:
            continue
        low, high = 0x80, 0xbf
        if 0xc2 <= first <= 0xdf:
            more = 1
        elif 0xe0 <= first <= 0xef:
            more = 2
            if first == 0xe0:
                low = 0xa0
            elif first == 0xed:
                high = 0x9f
        elif 0xf0 <= first <= 0xf4:
            more = 3
            if first == 0xf0:
                low = 0x90
            elif first == 0xf4:
                high = 0x8f
        else:
            return False
        if end - at < more or not low <= at[0] <= high:
            return False
        at += 1
        while more > 1:
            if not 0x80 <= at[0] <= 0xbf:
                return False
            at += 1
            more -= 1
    return True
