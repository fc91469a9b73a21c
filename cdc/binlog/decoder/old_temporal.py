"""Readers of TIME, DATETIME and TIMESTAMP in the formats of before MySQL 5.6.4, which MariaDB writes with
`mysql56_temporal_format=OFF`.

Without a fraction: decimal digits of the parts in an integer (the manual, "Date and Time Data Type Representation"). With one,
MariaDB only: big-endian integers of its own (sql/field.cc: `Field_timestamp_hires`, `Field_time_hires`,
`Field_datetime_hires`). Nothing in the binlog says which, so the schema history must.
"""

from cdc.binlog.decoder.plan import Reader
from cdc.binlog.decoder.temporal import timestamp_text
from cdc.model.change import Value

_TIME_HIRES_BYTES = (3, 4, 4, 5, 5, 5, 6)
_DATETIME_HIRES_BYTES = (5, 6, 6, 7, 7, 7, 8)
_FRACTION_BYTES = (0, 1, 1, 2, 2, 3, 3)
_TIME_ZERO_SECONDS = 838 * 3600 + 59 * 60 + 59 + 1


def _parts(digits: int) -> tuple[int, int, int]:
    """HHMMSS or YYYYMMDD, as an integer."""
    return digits // 10_000, digits // 100 % 100, digits % 100


def _fraction(number: int, scale: int) -> str:
    return f".{number:0{scale}d}" if scale else ""


def timestamp(scale: int) -> Reader:
    """Seconds since 1970 in four bytes; big-endian where a fraction follows."""
    length = 4 + _FRACTION_BYTES[scale]

    def read(data: bytes, start: int) -> tuple[Value, int]:
        end = start + length
        seconds = int.from_bytes(data[start : start + 4], "big" if scale else "little")
        fraction = int.from_bytes(data[start + 4 : end], "big")
        if fraction >= 10**scale:
            raise ValueError("a fraction of a second has too many digits")
        return timestamp_text(seconds, is_zero=not seconds and not fraction) + _fraction(fraction, scale) + "Z", end

    return read


def datetime(scale: int) -> Reader:
    """YYYYMMDDHHMMSS in eight bytes, little-endian; or, of parts that need no fixed places, mixed bases."""
    length = _DATETIME_HIRES_BYTES[scale]

    def read_plain(data: bytes, start: int) -> tuple[Value, int]:
        end = start + 8
        days, seconds = divmod(int.from_bytes(data[start:end], "little"), 1_000_000)
        return _datetime_text(*_parts(days), *_parts(seconds)), end

    def read_hires(data: bytes, start: int) -> tuple[Value, int]:
        end = start + length
        number, fraction = divmod(int.from_bytes(data[start:end], "big"), 10**scale)
        number, second = divmod(number, 60)
        number, minute = divmod(number, 60)
        number, hour = divmod(number, 24)
        number, day = divmod(number, 32)
        year, month = divmod(number, 13)
        return _datetime_text(year, month, day, hour, minute, second) + _fraction(fraction, scale), end

    return read_hires if scale else read_plain


def _datetime_text(year: int, month: int, day: int, hour: int, minute: int, second: int) -> str:
    if year > 9999 or month > 12 or day > 31 or hour > 23 or minute > 59 or second > 59:
        raise ValueError("there is no such date and time")
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"


def time(scale: int) -> Reader:
    """[-]HHMMSS in three bytes, little-endian; or the distance from -839 hours in the fraction's unit, big-endian."""
    length = _TIME_HIRES_BYTES[scale]

    def read_plain(data: bytes, start: int) -> tuple[Value, int]:
        end = start + 3
        number = int.from_bytes(data[start:end], "little", signed=True)
        return _time_text(number < 0, *_parts(abs(number))), end

    def read_hires(data: bytes, start: int) -> tuple[Value, int]:
        end = start + length
        number = int.from_bytes(data[start:end], "big") - _TIME_ZERO_SECONDS * 10**scale
        seconds, fraction = divmod(abs(number), 10**scale)
        text = _time_text(number < 0, seconds // 3600, seconds // 60 % 60, seconds % 60)
        return text + _fraction(fraction, scale), end

    return read_hires if scale else read_plain


def _time_text(is_negative: bool, hours: int, minutes: int, seconds: int) -> str:
    if hours > 838 or minutes > 59 or seconds > 59:
        raise ValueError("there is no such time")
    return f"{'-' if is_negative else ''}{hours:02d}:{minutes:02d}:{seconds:02d}"


READERS = {"timestamp": timestamp, "datetime": datetime, "time": time}
