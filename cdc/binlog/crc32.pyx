# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""CRC-32 as the binlog has it (IEEE 802.3, reflected: zlib's), for compiled code; what is in Python takes zlib's.

With carry-less multiplication where the processor has it: "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
Instruction", Gopal et al., Intel 2009; the constants are powers of x modulo the polynomial, and are made here (see _constant). A
large event is summed up at several times the speed of tables.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <stddef.h>

    #if defined(__x86_64__) && defined(__GNUC__)
    #include <immintrin.h>

    static int cdc_has_clmul(void) { return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"); }

    /* state: not inverted before and after. size: a multiple of 16, and 64 at least. */
    __attribute__((target("pclmul,sse4.1")))
    static uint32_t cdc_crc32_clmul(const uint8_t* at, size_t size, uint32_t state, const uint64_t* k)
    {
        const __m128i by512 = _mm_set_epi64x((long long)k[1], (long long)k[0]);
        const __m128i by128 = _mm_set_epi64x((long long)k[3], (long long)k[2]);
        const __m128i by64 = _mm_set_epi64x(0, (long long)k[4]);
        const __m128i barrett = _mm_set_epi64x((long long)k[6], (long long)k[5]);
        const __m128i low32 = _mm_set_epi32(0, 0, 0, -1);
        __m128i x[4], y;
        int i;
        for (i = 0; i < 4; i++) x[i] = _mm_loadu_si128((const __m128i*)(at + 16 * i));
        x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)state));
        at += 64; size -= 64;
        while (size >= 64) {
            for (i = 0; i < 4; i++) {
                y = _mm_clmulepi64_si128(x[i], by512, 0x00);
                x[i] = _mm_clmulepi64_si128(x[i], by512, 0x11);
                x[i] = _mm_xor_si128(_mm_xor_si128(x[i], y), _mm_loadu_si128((const __m128i*)(at + 16 * i)));
            }
            at += 64; size -= 64;
        }
        for (i = 1; i < 4; i++) {
            y = _mm_clmulepi64_si128(x[0], by128, 0x00);
            x[0] = _mm_clmulepi64_si128(x[0], by128, 0x11);
            x[0] = _mm_xor_si128(_mm_xor_si128(x[0], y), x[i]);
        }
        while (size >= 16) {
            y = _mm_clmulepi64_si128(x[0], by128, 0x00);
            x[0] = _mm_clmulepi64_si128(x[0], by128, 0x11);
            x[0] = _mm_xor_si128(_mm_xor_si128(x[0], y), _mm_loadu_si128((const __m128i*)at));
            at += 16; size -= 16;
        }
        /* 128 bits to 64, to 32 */
        y = _mm_clmulepi64_si128(x[0], by128, 0x10);
        x[0] = _mm_xor_si128(_mm_srli_si128(x[0], 8), y);
        y = _mm_clmulepi64_si128(_mm_and_si128(x[0], low32), by64, 0x00);
        x[0] = _mm_xor_si128(_mm_srli_si128(x[0], 4), y);
        y = _mm_clmulepi64_si128(_mm_and_si128(x[0], low32), barrett, 0x10);
        y = _mm_clmulepi64_si128(_mm_and_si128(y, low32), barrett, 0x00);
        return (uint32_t)_mm_extract_epi32(_mm_xor_si128(x[0], y), 1);
    }
    #else
    static int cdc_has_clmul(void) { return 0; }
    static uint32_t cdc_crc32_clmul(const uint8_t* at, size_t size, uint32_t state, const uint64_t* k) { return 0; }
    #endif
    """
    int cdc_has_clmul() nogil
    uint32_t cdc_crc32_clmul(const uint8_t* at, size_t size, uint32_t state, const uint64_t* k) nogil


cdef enum:
    WORTH_FOLDING = 64  # bytes

cdef uint32_t[8][256] _TABLES


cdef void _fill_tables() noexcept:
    """CRC-32 (IEEE 802.3, reflected), eight bytes at a time."""
    cdef uint32_t value
    cdef int code, slice_
    for code in range(256):
        value = <uint32_t>code
        for slice_ in range(8):
            value = value >> 1 ^ (<uint32_t>0xEDB88320 if value & 1 else 0)
        _TABLES[0][code] = value
    for slice_ in range(1, 8):
        for code in range(256):
            value = _TABLES[slice_ - 1][code]
            _TABLES[slice_][code] = value >> 8 ^ _TABLES[0][value & 0xFF]


_fill_tables()


cdef uint64_t[7] _constants
cdef bint _folds = cdc_has_clmul()


def _fill_constants():
    """By 512 bits, by 128 bits (each for the low and the high half), by 64 bits; the polynomial, and the quotient of Barrett's."""
    polynomial = 0x104C11DB7

    def reflected(value, bits):
        return int(f"{value:0{bits}b}"[::-1], 2)

    def remainder(power):
        value = 1
        for _ in range(power):
            value <<= 1
            if value >> 32:
                value ^= polynomial
        return reflected(value, 32) << 1

    quotient, rest = 0, 1 << 64
    for bit in range(64, 31, -1):
        if rest >> bit & 1:
            quotient |= 1 << bit - 32
            rest ^= polynomial << bit - 32
    powers = (4 * 128 + 32, 4 * 128 - 32, 128 + 32, 128 - 32, 64)
    for place, power in enumerate(powers):
        _constants[place] = remainder(power)
    _constants[5] = reflected(polynomial, 33)
    _constants[6] = reflected(quotient, 33)


_fill_constants()


cdef uint32_t crc32_of(const uint8_t* data, Py_ssize_t size) noexcept nogil:
    cdef uint32_t crc = 0xFFFFFFFF
    cdef Py_ssize_t folded
    if _folds and size >= WORTH_FOLDING:
        folded = size & ~<Py_ssize_t>15
        crc = cdc_crc32_clmul(data, folded, crc, _constants)
        data += folded
        size -= folded
    return ~_by_tables(data, size, crc)


cdef uint32_t _by_tables(const uint8_t* data, Py_ssize_t size, uint32_t crc) noexcept nogil:
    cdef uint32_t low, high
    while size >= 8:
        low = crc ^ _uint32(data)
        high = _uint32(data + 4)
        crc = (
            _TABLES[7][low & 0xFF] ^ _TABLES[6][low >> 8 & 0xFF] ^ _TABLES[5][low >> 16 & 0xFF] ^ _TABLES[4][low >> 24]
            ^ _TABLES[3][high & 0xFF] ^ _TABLES[2][high >> 8 & 0xFF] ^ _TABLES[1][high >> 16 & 0xFF] ^ _TABLES[0][high >> 24]
        )
        data += 8
        size -= 8
    while size:
        crc = _TABLES[0][(crc ^ data[0]) & 0xFF] ^ crc >> 8
        data += 1
        size -= 1
    return crc


cdef inline uint32_t _uint32(const uint8_t* at) noexcept nogil:
    return at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16 | <uint32_t>at[3] << 24


def crc32(const uint8_t[::1] data, *, bint plain=False):
    """For tests. `plain`: by tables, whatever the processor has."""
    cdef const uint8_t* at = &data[0] if data.shape[0] else NULL
    if plain:
        return ~_by_tables(at, data.shape[0], 0xFFFFFFFF) & 0xFFFFFFFF
    return crc32_of(at, data.shape[0])
