# Dates and times as ISO 8601 text, without quotes. Layouts: see temporal.py, of which this is the same in C.

cdef inline uint8_t* put_date_parts(uint8_t* to, uint64_t year, uint64_t month, uint64_t day) noexcept nogil:
    to = put_padded(to, year, 4)
    to[0] = c'-'
    to = put_digits(to + 1, month, 2)
    to[0] = c'-'
    return put_digits(to + 1, day, 2)


cdef inline uint8_t* put_clock(uint8_t* to, uint64_t hour, uint64_t minute, uint64_t second) noexcept nogil:
    to = put_padded(to, hour, 2)
    to[0] = c':'
    to = put_digits(to + 1, minute, 2)
    to[0] = c':'
    return put_digits(to + 1, second, 2)


cdef inline uint8_t* put_date(uint8_t* to, const uint8_t* raw) noexcept nogil:
    cdef uint64_t packed = little(raw, 3)
    return put_date_parts(to, packed >> 9, packed >> 5 & 15, packed & 31)


cdef inline int fraction_width(int scale) noexcept nogil:
    return (scale + 1) // 2


cdef uint8_t* put_fraction(uint8_t* to, uint64_t stored, int scale) noexcept nogil:
    """`.123`, exactly `scale` digits of the two for each byte that are stored."""
    cdef int digits = 2 * fraction_width(scale)
    if not scale:
        return to
    if stored >= POWERS_OF_TEN[digits]:
        return NULL
    to[0] = c'.'
    put_digits(to + 1, stored, digits)
    return to + 1 + scale


cdef inline uint8_t* put_packed_datetime(uint8_t* to, uint64_t packed, uint8_t between) noexcept nogil:
    """Of the 40 bits of a DATETIME2 without its sign."""
    cdef uint64_t months = packed >> 22
    to = put_date_parts(to, months // 13, months % 13, packed >> 17 & 31)
    to[0] = between
    return put_clock(to + 1, packed >> 12 & 31, packed >> 6 & 63, packed & 63)


cdef inline uint8_t* put_datetime(uint8_t* to, const uint8_t* raw, int scale) noexcept nogil:
    cdef uint64_t packed = big(raw, 5)
    if packed < 0x8000000000ULL:
        return NULL
    to = put_packed_datetime(to, packed - 0x8000000000ULL, c'T')
    return put_fraction(to, big(raw + 5, fraction_width(scale)), scale)


cdef uint8_t* put_timestamp(uint8_t* to, const uint8_t* raw, int scale) noexcept nogil:
    cdef uint64_t seconds = big(raw, 4)
    cdef uint64_t stored = big(raw + 4, fraction_width(scale))
    if seconds or stored:
        to = put_day(to, seconds // 86400)
        to[0] = c'T'
        seconds %= 86400
        to = put_clock(to + 1, seconds // 3600, seconds // 60 % 60, seconds % 60)
    else:
        memcpy(to, b"0000-00-00T00:00:00", 19)
        to += 19
    to = put_fraction(to, stored, scale)
    if to == NULL:
        return NULL
    to[0] = c'Z'
    return to + 1


cdef inline uint8_t* put_day(uint8_t* to, uint64_t days_since_1970) noexcept nogil:
    """The Gregorian date, in years that begin in March: then the leap day is the last one."""
    cdef uint64_t days = days_since_1970 + 719468  # since 0000-03-01
    cdef uint64_t era = days // 146097
    cdef uint64_t of_era = days % 146097
    cdef uint64_t year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    cdef uint64_t of_year = of_era - (365 * year + year // 4 - year // 100)
    cdef uint64_t month = (5 * of_year + 2) // 153
    cdef uint64_t day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return put_date_parts(to, year + 400 * era + (month <= 2), month, day)


cdef uint8_t* put_time(uint8_t* to, const uint8_t* raw, int scale) noexcept nogil:
    cdef int shift = 8 * fraction_width(scale)
    cdef int64_t number = <int64_t>big(raw, 3 + fraction_width(scale)) - (<int64_t>0x800000 << shift)
    cdef uint64_t magnitude
    if number < 0:
        to[0] = c'-'
        to += 1
        number = -number
    magnitude = <uint64_t>number >> shift
    to = put_clock(to, magnitude >> 12 & 1023, magnitude >> 6 & 63, magnitude & 63)
    return put_fraction(to, <uint64_t>number & ((<uint64_t>1 << shift) - 1), scale)
