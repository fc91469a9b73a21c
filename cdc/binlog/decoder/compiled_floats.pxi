# Doubles and floats as the shortest decimal that reads back the same.
#
# Raffaello Giulietti, "The Schubfach way to render doubles" (2021), section 9: the powers of ten that it needs are
# computed at import, exactly, from Python's integers. The layout is orjson's; compiled_plan.py looks whether it still is.

cdef struct Decimal:  # digits * 10**exponent; no zeros at the end of digits, but for 0 itself
    uint64_t digits
    int exponent


cdef int SMALLEST_POWER = -292
cdef uint64_t[617][2] POWERS  # 10**k for k = -292 … 324, as 128 bits, rounded up; high half first


def _fill_powers():
    cdef int index
    for index in range(617):
        power = index + SMALLEST_POWER
        shift = 127 - (power * 1741647 >> 19)  # which leaves 128 bits
        number, divisor = 10 ** max(power, 0) << max(shift, 0), 10 ** max(-power, 0) << max(-shift, 0)
        scaled = -(-number // divisor)
        POWERS[index][0] = scaled >> 64
        POWERS[index][1] = scaled & (1 << 64) - 1


_fill_powers()


cdef inline uint64_t high_product(const uint64_t* power, uint64_t number) noexcept nogil:
    """The upper 64 of 192 bits, its last bit set where what is cut off is not (about) zero: "round to odd"."""
    cdef uint128 low = <uint128>power[1] * number
    cdef uint128 high = <uint128>power[0] * number + <uint64_t>(low >> 64)
    return <uint64_t>(high >> 64) | (<uint64_t>high > 1)


cdef Decimal shortest(uint64_t bits) noexcept nogil:
    """Of a finite double's bits, without the sign."""
    cdef Decimal found
    cdef uint64_t fraction = bits & 0xFFFFFFFFFFFFFULL
    cdef int exponent = <int>(bits >> 52 & 0x7FF)
    cdef uint64_t c = fraction | (<uint64_t>1 << 52) if exponent else fraction
    cdef int q = (exponent if exponent else 1) - 1075
    cdef bint odd = c & 1
    cdef bint closer_below = not fraction and exponent > 1
    cdef int k, h
    cdef const uint64_t* power
    cdef uint64_t below, middle, above, s, tens
    cdef bint down, up
    if not bits:
        found.digits = 0
        found.exponent = 0
        return found
    k = (q * 1262611 - (524031 if closer_below else 0)) >> 22
    h = q + (-k * 1741647 >> 19) + 1
    power = POWERS[-k - SMALLEST_POWER]
    below = high_product(power, (4 * c - 2 + closer_below) << h) + odd
    middle = high_product(power, 4 * c << h)
    above = high_product(power, (4 * c + 2) << h) - odd
    s = middle // 4
    found.exponent = k
    if s >= 10:
        tens = s // 10
        down = below <= 40 * tens
        up = 40 * tens + 40 <= above
        if down != up:
            found.digits = tens + up
            found.exponent = k + 1
            return without_zeros(found)
    down = below <= 4 * s
    up = 4 * s + 4 <= above
    if down == up:  # both neighbours are inside, or neither: the nearer one, or the even one
        up = middle % 4 > 2 or (middle % 4 == 2 and s % 2 == 1)
    found.digits = s + up
    return without_zeros(found)


cdef inline Decimal without_zeros(Decimal number) noexcept nogil:
    while number.digits and number.digits % 10 == 0:
        number.digits //= 10
        number.exponent += 1
    return number


cdef uint8_t* put_float(uint8_t* to, bint negative, Decimal number) noexcept nogil:
    """As orjson does: an exponent from 1e16 up and below 1e-5."""
    cdef int count = count_digits(number.digits)
    cdef int point = number.exponent + count
    if negative:
        to[0] = c'-'
        to += 1
    if 0 < point <= 16 or not number.digits:
        return put_with_point(to, number, count, point)
    if -5 < point <= 0:
        return put_below_one(to, number, count, point)
    put_digits(to + 1, number.digits, count)
    to[0] = to[1]
    if count > 1:
        to[1] = c'.'
        to += count + 1
    else:
        to += 1
    to[0] = c'e'
    to[1] = c'-' if point < 1 else c'+'
    return put_unsigned(to + 2, 1 - point if point < 1 else point - 1)


cdef inline uint8_t* put_with_point(uint8_t* to, Decimal number, int count, int point) noexcept nogil:
    """`point` digits, zeros among them, before the point; at least one behind it."""
    cdef int index
    if count > point:
        put_digits(to + 1, number.digits, count)
        memmove(to, to + 1, point)
        to[point] = c'.'
        return to + count + 1
    put_digits(to, number.digits, count)
    for index in range(count, point):
        to[index] = c'0'
    to[point] = c'.'
    to[point + 1] = c'0'
    return to + point + 2


cdef inline uint8_t* put_below_one(uint8_t* to, Decimal number, int count, int point) noexcept nogil:
    memcpy(to, b"0.0000000000000000", 2 - point)
    return put_digits(to + 2 - point, number.digits, count)


cdef uint8_t* put_float64(uint8_t* to, const uint8_t* raw) noexcept nogil:
    cdef uint64_t bits = little(raw, 8)
    if (bits >> 52 & 0x7FF) == 0x7FF:
        return NULL
    return put_float(to, bits >> 63, shortest(bits & 0x7FFFFFFFFFFFFFFFULL))


cdef uint8_t* put_float32(uint8_t* to, const uint8_t* raw) noexcept nogil:
    """The fewest digits, from six up, that read back as the same 32 bits (see numeric.shortest_float32)."""
    cdef uint32_t bits = <uint32_t>little(raw, 4)
    cdef float value
    cdef Decimal rounded
    cdef int count
    memcpy(&value, &bits, 4)
    if (bits >> 23 & 0xFF) == 0xFF:
        return NULL
    value = fabsf(value)
    rounded.digits = 0
    rounded.exponent = 0
    if value:
        for count in range(6, 10):
            rounded = rounded_to(value, count)
            if count == 9 or <float>read_back(rounded) == value:
                break
    return put_float(to, bits >> 31, without_zeros(rounded))


cdef Decimal rounded_to(double value, int count) noexcept nogil:
    """To `count` digits, exactly. Whatever the locale has for a point is passed over."""
    cdef Decimal found
    cdef char[64] text
    cdef char* place = text
    found.digits = 0
    snprintf(text, 64, b"%.*e", count - 1, value)
    while place[0] != c'e':
        if c'0' <= place[0] <= c'9':
            found.digits = found.digits * 10 + <uint64_t>(place[0] - c'0')
        place += 1
    found.exponent = atoi(place + 1) - (count - 1)
    return found


cdef inline double read_back(Decimal number) noexcept nogil:
    """Exact up to 10**22, which is a double, and the digits are; else the library does it."""
    cdef char[64] text
    if -22 <= number.exponent <= 0:
        return <double>number.digits / EXACT_POWERS[-number.exponent]
    if 0 < number.exponent <= 22:
        return <double>number.digits * EXACT_POWERS[number.exponent]
    snprintf(text, 64, b"%llue%d", <unsigned long long>number.digits, number.exponent)
    return strtod(text, NULL)


cdef double[23] EXACT_POWERS = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
]
