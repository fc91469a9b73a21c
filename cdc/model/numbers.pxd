# cython: language_level=3
"""Numbers that are not negative, as digits: written anew, or counted up where they stand."""
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    static const char CDC_DIGIT_PAIRS[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
        "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    """
    const char* DIGIT_PAIRS "CDC_DIGIT_PAIRS"


cdef enum:
    NUMBER_SIZE = 20  # digits of 64 bits
    COUNTER_ROOM = 24  # what `put_counter` writes, of which no more than NUMBER_SIZE are digits


cdef struct Counter:
    uint8_t[COUNTER_ROOM] digits
    int size


cdef inline int count_digits(uint64_t value) noexcept nogil:
    cdef int count = 1
    while value >= 10000:
        value //= 10000
        count += 4
    return count + (value >= 10) + (value >= 100) + (value >= 1000)


cdef inline uint8_t* put_digits(uint8_t* to, uint64_t value, int count) noexcept nogil:
    """Exactly `count` digits, the last ones, zeros before them."""
    cdef int place = count
    cdef uint64_t pair
    while place >= 2:
        place -= 2
        pair = value % 100
        value //= 100
        memcpy(to + place, DIGIT_PAIRS + 2 * pair, 2)
    if place:
        to[0] = <uint8_t>(c'0' + value % 10)
    return to + count


cdef inline Py_ssize_t number(uint8_t* to, int64_t value) noexcept nogil:
    """Returns how many digits."""
    cdef int count = count_digits(<uint64_t>value)
    put_digits(to, <uint64_t>value, count)
    return count


cdef inline void count_from(Counter* counter, int64_t value) noexcept nogil:
    counter.size = <int>number(counter.digits, value)


cdef inline uint8_t* put_counter(uint8_t* to, const Counter* counter) noexcept nogil:
    """Room for COUNTER_ROOM bytes; a copy of a size that the compiler knows takes an instruction or two."""
    memcpy(to, counter.digits, COUNTER_ROOM)
    return to + counter.size


cdef inline void count_up(Counter* counter) noexcept nogil:
    """One more. Below 10**19."""
    cdef int place = counter.size - 1
    while counter.digits[place] == c'9':
        counter.digits[place] = c'0'
        if place == 0:
            # All nines: a one before as many zeros.
            counter.digits[0] = c'1'
            counter.digits[counter.size] = c'0'
            counter.size += 1
            return
        place -= 1
    counter.digits[place] += 1
