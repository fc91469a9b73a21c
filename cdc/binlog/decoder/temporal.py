"""Readers of dates and times, as ISO 8601 text; zero and partial dates stay as they are (`0000-00-00`).

Storage: https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html and the manual, "Date and Time Data Type
Representation" (https://dev.mysql.com/doc/internals/en/date-and-time-data-type-representation.html); MariaDB writes the same
for columns made with `mysql56_temporal_format`, its default since 10.1.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from cdc.binlog.decoder.plan import Reader
from cdc.model.change import Value

MAX_SCALE = 6
_EPOCH = datetime(1970, 1, 1)
_TWO_DIGITS = tuple(f"{number:02d}" for number in range(64))  # a look is half as dear as a format


def date(data: bytes, start: int) -> tuple[Value, int]:
    """Three bytes, little-endian: 15 bits of year, 4 of month, 5 of day."""
    end = start + 3
    packed = int.from_bytes(data[start:end], "little")
    return f"{packed >> 9:04d}-{_TWO_DIGITS[packed >> 5 & 15]}-{_TWO_DIGITS[packed & 31]}", end


def fraction_bytes(scale: int) -> int:
    return (scale + 1) // 2


def _fraction_text(scale: int) -> Callable[[int], str]:
    """From the stored fraction (two decimal digits for each byte) to `.123` with exactly `scale` digits."""
    if not scale:
        return lambda _: ""
    stored_digits = 2 * fraction_bytes(scale)
    limit = 10**stored_digits
    layout = f".%0{stored_digits}d"
    end = 1 + scale

    def text(stored: int) -> str:
        if stored >= limit:
            raise ValueError("a fraction of a second has too many digits")
        return (layout % stored)[:end]

    return text


def datetime_text(packed: int) -> str:
    """`YYYY-MM-DDTHH:MM:SS` of the 40 bits of a DATETIME2 without its sign: 17 of year*13+month, 5 of day, 5, 6, 6 of time."""
    two = _TWO_DIGITS
    months, month = divmod(packed >> 22, 13)
    return (
        f"{months:04d}-{two[month]}-{two[packed >> 17 & 31]}"
        f"T{two[packed >> 12 & 31]}:{two[packed >> 6 & 63]}:{two[packed & 63]}"
    )


def datetime2(scale: int) -> Reader:
    """Five bytes, big-endian, the sign bit set; then the fraction."""
    middle, length = 5, 5 + fraction_bytes(scale)
    fraction = _fraction_text(scale)

    def read(data: bytes, start: int) -> tuple[Value, int]:
        packed = int.from_bytes(data[start : start + middle], "big") - 0x8000000000
        if packed < 0:
            raise ValueError("a negative datetime")
        end = start + length
        text = datetime_text(packed)
        return (text + fraction(int.from_bytes(data[start + middle : end], "big")) if scale else text), end

    return read


def timestamp_text(seconds: int, *, is_zero: bool) -> str:
    """`YYYY-MM-DDTHH:MM:SS` in UTC."""
    return "0000-00-00T00:00:00" if is_zero else (_EPOCH + timedelta(seconds=seconds)).isoformat()


def timestamp2(scale: int) -> Reader:
    """Seconds since 1970 in four bytes, big-endian, without sign (MariaDB from 11.5 uses all 32 bits); then the fraction."""
    length = 4 + fraction_bytes(scale)
    fraction = _fraction_text(scale)

    def read(data: bytes, start: int) -> tuple[Value, int]:
        end = start + length
        seconds = int.from_bytes(data[start : start + 4], "big")
        stored = int.from_bytes(data[start + 4 : end], "big")
        is_zero = not seconds and not stored  # half a second past 1970 is a time at MariaDB
        return timestamp_text(seconds, is_zero=is_zero) + fraction(stored) + "Z", end

    return read


def time_text(magnitude: int) -> str:
    """`HH:MM:SS` of 22 bits: 10 of hours (up to 838), 6, 6."""
    return f"{magnitude >> 12 & 1023:02d}:{_TWO_DIGITS[magnitude >> 6 & 63]}:{_TWO_DIGITS[magnitude & 63]}"


def time2(scale: int) -> Reader:
    """Three bytes and the fraction, big-endian, as one number with an offset: a negative time has its fraction counted too."""
    length = 3 + fraction_bytes(scale)
    shift = 8 * fraction_bytes(scale)
    offset = 0x800000 << shift
    mask = (1 << shift) - 1
    fraction = _fraction_text(scale)

    def read(data: bytes, start: int) -> tuple[Value, int]:
        end = start + length
        number = int.from_bytes(data[start:end], "big") - offset
        magnitude = abs(number)
        text = time_text(magnitude >> shift) + fraction(magnitude & mask)
        return ("-" + text if number < 0 else text), end

    return read
