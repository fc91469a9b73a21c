"""Readers of numbers: integers, decimals, floats, bits, years.

Storage: https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Table__map__event.html, table of types.
"""

import math
import struct
from typing import NamedTuple

from cdc.binlog.decoder.plan import Reader
from cdc.model.change import Value


def fixed_integer(length: int, unsigned: bool) -> Reader:
    """Little-endian, 1, 2, 3, 4 or 8 bytes."""
    if length == 3:
        return _integer24(unsigned)
    code = {1: "b", 2: "h", 4: "i", 8: "q"}[length]
    unpack = struct.Struct("<" + (code.upper() if unsigned else code)).unpack_from

    def read(data: bytes, start: int) -> tuple[Value, int]:
        return unpack(data, start)[0], start + length

    return read


def _integer24(unsigned: bool) -> Reader:
    def read(data: bytes, start: int) -> tuple[Value, int]:
        end = start + 3
        return int.from_bytes(data[start:end], "little", signed=not unsigned), end

    return read


def float32(data: bytes, start: int) -> tuple[Value, int]:
    """In a FLOAT column."""
    return shortest_float32(data[start : start + 4]), start + 4


def shortest_float32(raw: bytes) -> float:
    """The decimal with the fewest digits, from 6 up, that reads back as the same float32: 0.1, not 0.10000000149011612."""
    (value,) = _unpack_float32(raw)
    if not math.isfinite(value):
        raise _not_a_number()
    for digits in (6, 7, 8):
        shorter = float(f"{value:.{digits}g}")
        if _pack_float32(shorter) == raw:
            return shorter
    return float(f"{value:.9g}")


_float32 = struct.Struct("<f")
_pack_float32 = _float32.pack
_unpack_float32 = _float32.unpack


def float64(data: bytes, start: int) -> tuple[Value, int]:
    (value,) = _unpack_float64(data, start)
    if not math.isfinite(value):
        raise _not_a_number()
    return value, start + 8


_unpack_float64 = struct.Struct("<d").unpack_from


def _not_a_number() -> ValueError:
    return ValueError("neither the server nor JSON has such a number")


def bit(bits: int) -> Reader:
    """BIT(n): big-endian; one rule for every n, an unsigned integer."""
    length = (bits + 7) // 8

    def read(data: bytes, start: int) -> tuple[Value, int]:
        end = start + length
        return int.from_bytes(data[start:end], "big"), end

    return read


def year(data: bytes, start: int) -> tuple[Value, int]:
    """Years since 1900; 0 is the year 0000."""
    since_1900 = data[start]
    return since_1900 and 1900 + since_1900, start + 1


_BYTES_FOR_DIGITS = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)


class _Group(NamedTuple):
    """Up to nine decimal digits, at `shift` bits from the end of the number's bytes."""

    shift: int
    mask: int
    power: int


def _groups(precision: int, scale: int) -> tuple[list[_Group], int]:
    """Groups from the left, and the length in bytes (mysys decimal.c, decimal2bin: nine digits in four bytes)."""
    integral = precision - scale
    digits = [integral % 9, *[9] * (integral // 9), *[9] * (scale // 9), scale % 9]
    sizes = [_BYTES_FOR_DIGITS[count] for count in digits]
    groups, behind = [], sum(sizes)
    for count, size in zip(digits, sizes, strict=True):
        behind -= size
        if count:
            groups.append(_Group(behind * 8, (1 << size * 8) - 1, 10**count))
    return groups, sum(sizes)


class DecimalFormat:
    """DECIMAL(precision, scale): its bytes as the text that SELECT prints, `-0.50`; no zeros before the first digit."""

    __slots__ = ("_groups", "_negative", "_positive", "_scale", "length")

    def __init__(self, precision: int, scale: int) -> None:
        if not 0 < precision <= 65 or not 0 <= scale <= min(precision, 38):
            raise ValueError(f"there is no decimal({precision},{scale})")
        self._groups, self.length = _groups(precision, scale)
        self._scale = scale
        self._positive = 1 << self.length * 8 - 1  # the sign bit, set for numbers from 0 up
        self._negative = self._positive - 1  # all others are inverted in negative numbers

    def text(self, raw: bytes) -> str:
        bits = int.from_bytes(raw, "big")
        negative = not bits & self._positive
        bits ^= self._negative if negative else self._positive
        number = 0
        for shift, mask, power in self._groups:
            group = bits >> shift & mask
            if group >= power:
                raise ValueError("a group of decimal digits is too large")
            number = number * power + group
        scale = self._scale
        digits = str(number)
        if scale:
            digits = digits.zfill(scale + 1)
            digits = f"{digits[:-scale]}.{digits[-scale:]}"
        return "-" + digits if negative else digits


def decimal(precision: int, scale: int) -> Reader:
    form = DecimalFormat(precision, scale)
    length, text = form.length, form.text

    def read(data: bytes, start: int) -> tuple[Value, int]:
        end = start + length
        return text(data[start:end]), end

    return read
