# Numbers as JSON. A writer gets a place with room enough (ROOM_FIXED covers each of them), and returns the place behind what it
# wrote, or NULL where the bytes are no such value.

cdef inline uint64_t little(const uint8_t* raw, int width) noexcept nogil:
    cdef uint64_t number = 0
    cdef int index
    for index in range(width):
        number |= <uint64_t>raw[index] << 8 * index
    return number


cdef inline uint64_t big(const uint8_t* raw, int width) noexcept nogil:
    cdef uint64_t number = 0
    cdef int index
    for index in range(width):
        number = number << 8 | raw[index]
    return number


cdef inline uint8_t* put_unsigned(uint8_t* to, uint64_t number) noexcept nogil:
    return put_digits(to, number, count_digits(number))


cdef inline uint8_t* put_padded(uint8_t* to, uint64_t number, int least) noexcept nogil:
    """`least` digits or more, as f"{number:0{least}d}" has them."""
    cdef int count = count_digits(number)
    return put_digits(to, number, count if count > least else least)


cdef inline uint8_t* put_signed(uint8_t* to, int64_t number) noexcept nogil:
    if number < 0:
        to[0] = c'-'
        return put_unsigned(to + 1, 0 - <uint64_t>number)
    return put_unsigned(to, <uint64_t>number)


cdef inline uint8_t* put_integer(uint8_t* to, const uint8_t* raw, int width, bint is_signed) noexcept nogil:
    cdef uint64_t number = little(raw, width)
    cdef uint64_t sign
    if is_signed:
        sign = <uint64_t>1 << (8 * width - 1)
        return put_signed(to, <int64_t>((number ^ sign) - sign))
    return put_unsigned(to, number)


cdef int[10] BYTES_FOR_DIGITS = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4]


cdef inline int decimal_bytes(int precision, int scale) noexcept nogil:
    cdef int integral = precision - scale
    return integral // 9 * 4 + BYTES_FOR_DIGITS[integral % 9] + scale // 9 * 4 + BYTES_FOR_DIGITS[scale % 9]


cdef uint8_t* put_decimal(uint8_t* to, const uint8_t* raw, int precision, int scale) noexcept nogil:
    """Its text without quotes; `precision` and `scale` are possible ones. Nine digits in four bytes, the odd ones first
    before the point and last behind it; negative numbers inverted (see numeric.DecimalFormat)."""
    cdef uint8_t[80] digits
    cdef uint8_t* end = digits
    cdef int integral = precision - scale
    cdef uint8_t flip = 0 if raw[0] & 0x80 else 0xFF
    cdef uint8_t mask = 0x7F  # but for the sign, the first bit of all, set for numbers from 0 up
    cdef int part, left, count, size, index
    cdef uint32_t group
    for part in range(2):
        left = scale if part else integral
        while left:
            if part:
                count = left if left < 9 else 9
            else:
                count = left % 9 if left % 9 else 9
            size = BYTES_FOR_DIGITS[count]
            group = 0
            for index in range(size):
                group = group << 8 | <uint32_t>((raw[index] ^ flip) & mask)
                mask = 0xFF
            if group >= POWERS_OF_TEN[count]:
                return NULL
            end = put_digits(end, group, count)
            raw += size
            left -= count
    index = 0
    while index < integral - 1 and digits[index] == c'0':
        index += 1
    if flip:
        to[0] = c'-'
        to += 1
    if integral:
        memcpy(to, digits + index, integral - index)
        to += integral - index
    else:
        to[0] = c'0'
        to += 1
    if scale:
        to[0] = c'.'
        memcpy(to + 1, digits + integral, scale)
        to += 1 + scale
    return to


cdef uint32_t[10] POWERS_OF_TEN = [1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000]
