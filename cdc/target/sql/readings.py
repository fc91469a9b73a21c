"""A column at a target → the wire form of change events again: the other direction of cdc.target.sql.values. Pure.

What a sink has written comes back as the wire value, to the digit, wherever the target's type still tells it. Where it does not
(jsonb, a FLOAT in its shortest digits, an address), two unequal values are held against each other by their meaning.
"""

import ipaddress
import json
import struct
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import copysign
from typing import Any

import orjson
from sqlalchemy import types as sa
from sqlalchemy.dialects import mysql, postgresql

from cdc.model.change import Value
from cdc.model.schema import Column
from cdc.target.sql.dialects import SqlDialect
from cdc.target.sql.typemap import BINARIES, GEOMETRIES, INETS, INTEGERS, Named, Type, integer_range
from cdc.target.sql.values import HAS_SRID, Converter, single

Alike = Callable[[Any, Any], bool]

_MOMENTS = ("datetime", "timestamp")
_NEGATIVE_ZERO = "-0.0"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a column is read back. None of these is asked about NULL.

    `ask`: what to SELECT, as SQL on `{c}`, the quoted column. `given`: what the driver answers → the wire value. `wanted`: the
    source's wire value → the one that is to be here, where the target keeps another. `alike`: of two that are unequal, whether
    they are the same all the same. `key`: the form in which values of both sides name a row.
    """

    ask: str = "{c}"
    given: Converter | None = None
    wanted: Converter | None = None
    alike: Alike | None = None
    key: Converter | None = None


def reading(dialect: SqlDialect, column: Column, target: Type, *, signed_zero: bool = True) -> Reading:
    """`target`: the column's type, reflected. `signed_zero`: the target tells -0.0 from 0.0 (MariaDB and SQLite do not)."""
    if integer_range(column) is not None:
        return _integers(dialect, column, target)
    if column.type in {"float", "double"}:
        return _floats(dialect, column, target, signed_zero=signed_zero)
    if column.type in BINARIES:
        return Reading(given=_base64)
    if column.type in INETS:
        return Reading(_ASKED_TEXT[dialect.name], _without_mask, alike=_same_address, key=_address)
    return _READINGS[dialect.name].get(column.type, _as_it_is)(column, target)


def odd(value: Any) -> Value:
    """A value that no sink wrote, in some form that can be shown; it equals none of the wire values of its column's type."""
    if isinstance(value, bytes | bytearray | memoryview):
        return b64encode(value).decode()
    return value if isinstance(value, str | int | float | bool) else str(value)


def _as_it_is(_column: Column, _target: Type) -> Reading:
    return Reading()


# ---- numbers


def _integers(dialect: SqlDialect, column: Column, target: Type) -> Reading:
    if isinstance(target, mysql.BIT):
        return Reading("{c} + 0")
    if isinstance(target, sa.Numeric) or (dialect.name == "sqlite" and column.type in {*INTEGERS, "bit"}):
        return Reading(given=_whole)
    return Reading()


def _whole(value: Any) -> Value:
    """From numeric, and from text where SQLite keeps what is beyond its integers."""
    if isinstance(value, int):
        return value
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    if isinstance(value, str) and value.lstrip("-").isdecimal() and str(int(value)) == value:
        return int(value)
    return odd(value)


def _decimal(column: Column, _target: Type) -> Reading:
    digits = column.scale or 0

    def given(value: Any) -> Value:
        return scaled(f"{value:f}", digits) if isinstance(value, Decimal) else odd(value)

    return Reading(given=given)


def scaled(text: str, digits: int) -> str:
    """A number or time as text with exactly `digits` behind the point, where that changes no more than zeros."""
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0") if len(fraction) > digits else fraction
    fraction = fraction.ljust(digits, "0")
    return f"{whole}.{fraction}" if fraction else whole


def _floats(dialect: SqlDialect, column: Column, target: Type, *, signed_zero: bool) -> Reading:
    narrow = column.type == "float"
    held_narrow = _is_single(target) and dialect.name != "sqlite"  # whose REAL is a double
    # MySQL prints a FLOAT with six digits, and a DOUBLE to the bit; times one keeps the sign of a zero, plus zero would not.
    ask = "{c} * 1e0" if dialect.name == "mysql" and held_narrow else "{c}"
    sign = _with_sign if signed_zero else None
    # At MySQL a FLOAT is written as the double that it is, elsewhere by its shortest digits.
    as_written = single if narrow and dialect.name == "mysql" else None
    return Reading(
        ask,
        sign,
        _one_after_the_other(as_written, sign),
        _same_single if narrow and held_narrow else None,
        _single_key if narrow and (held_narrow or as_written) else _number_key,
    )


def _is_single(target: Type) -> bool:
    if isinstance(target, sa.Double | mysql.DOUBLE):
        return False
    if isinstance(target, sa.REAL | mysql.FLOAT):
        return True
    return isinstance(target, sa.Float) and (target.precision or 53) <= 24


def _one_after_the_other(first: Converter | None, second: Converter | None) -> Converter | None:
    if first is None or second is None:
        return first or second
    return lambda value: second(first(value))


def _with_sign(value: Any) -> Value:
    """A negative zero as text: as numbers, -0.0 and 0.0 are equal."""
    if value == 0 and isinstance(value, float) and copysign(1.0, value) < 0:
        return _NEGATIVE_ZERO
    return value if isinstance(value, float | int) else odd(value)


def _same_single(one: Any, other: Any) -> bool:
    """Whether two numbers are one FLOAT: its shortest digits may be written in more than one way."""
    try:
        return struct.pack("<f", one) == struct.pack("<f", other)
    except (struct.error, OverflowError):
        return False


def _single_key(value: Any) -> Value:
    try:
        return single(float(value)) + 0.0
    except (ValueError, TypeError, OverflowError):
        return odd(value)


def _number_key(value: Any) -> Value:
    return float(value) + 0.0 if value == _NEGATIVE_ZERO or isinstance(value, float) else odd(value)


# ---- times


def _moments(column: Column, _target: Type) -> Reading:
    return Reading(_CAST_AT_MYSQL, _moment_of(column))


def _moments_at_postgresql(column: Column, _target: Type) -> Reading:
    return Reading("{c}::text", _moment_of(column))


def _moment_of(column: Column) -> Converter:
    """`2024-02-29 01:02:03.45+00`, as PostgreSQL prints it in UTC, or without a zone → `2024-02-29T01:02:03.450Z`."""
    digits, zone = column.scale or 0, "Z" if column.type == "timestamp" else ""

    def given(value: Any) -> Value:
        if not isinstance(value, str):
            return odd(value)
        return scaled(value.removesuffix("+00").replace(" ", "T", 1), digits) + zone

    return given


def _span_of(column: Column) -> Converter:
    digits = column.scale or 0
    return lambda value: scaled(value, digits) if isinstance(value, str) else odd(value)


_CAST_AT_MYSQL = "CAST({c} AS CHAR)"


# ---- texts and bytes


def _char_at_postgresql(_column: Column, target: Type) -> Reading:
    """char(n), in tables that others made, pads on the way out."""
    if isinstance(target, sa.CHAR):
        return Reading(given=lambda value: value.rstrip(" ") if isinstance(value, str) else odd(value))
    return Reading()


def _set_at_mysql(_column: Column, target: Type) -> Reading:
    """A SET that others made may have its members in another order."""
    return Reading(alike=_same_members) if isinstance(target, mysql.SET) else Reading()


def _same_members(one: Any, other: Any) -> bool:
    return isinstance(one, str) and isinstance(other, str) and sorted(one.split(",")) == sorted(other.split(","))


def _base64(value: Any) -> Value:
    return b64encode(value).decode() if isinstance(value, bytes | bytearray | memoryview) else f"not bytes: {value}"


# ---- JSON


def _json_at_postgresql(_column: Column, target: Type) -> Reading:
    return Reading("{c}::text", alike=_same_document if isinstance(target, postgresql.JSONB) else None)


def _json_at_mysql(_column: Column, target: Type) -> Reading:
    """MySQL reads the text anew, and prints it as it prints all documents; MariaDB keeps the text."""
    return Reading(alike=_same_printed_anew) if isinstance(target, sa.JSON) else Reading()


def _same_document(one: Any, other: Any) -> bool:
    """Whether two texts are one jsonb: numbers by their value, keys in any order."""
    return _same_json(one, other, lambda text: ("number", Decimal(text)))


def _same_printed_anew(one: Any, other: Any) -> bool:
    """Whether two texts are one JSON of MySQL's: a decimal, which only SQL can put into a document, becomes a double."""
    return _same_json(one, other, _mysql_number)


def _mysql_number(text: str) -> tuple[str, float]:
    """Integers up to 64 bits stay integers, all others are doubles (MySQL manual, "The JSON Data Type")."""
    if text.lstrip("-").isdecimal() and -(2**63) <= int(text) < 2**64:
        return "number", int(text)
    return "number", float(text)


def _same_json(one: Any, other: Any, number: Callable[[str], Any]) -> bool:
    """A number becomes a pair, so that 1 and true stay apart."""
    try:
        first, second = (json.loads(text, parse_int=number, parse_float=number) for text in (one, other))
    except (ValueError, TypeError, RecursionError, ArithmeticError):
        return False
    return bool(first == second)


# ---- geometry, vectors, addresses


def _from_ewkb(value: Any) -> Value:
    """See cdc.target.sql.values.ewkb."""
    raw = bytes(value) if isinstance(value, bytes | bytearray | memoryview) else b""
    if len(raw) < 5:
        return _geometry(0, raw) if not raw and isinstance(value, bytes | bytearray | memoryview) else odd(value)
    order = "<" if raw[:1] == b"\x01" else ">"
    (kind,) = struct.unpack_from(f"{order}I", raw, 1)
    if not kind & HAS_SRID or len(raw) < 9:
        return _geometry(0, raw)
    (srid,) = struct.unpack_from(f"{order}I", raw, 5)
    return _geometry(srid, raw[:1] + struct.pack(f"{order}I", kind & ~HAS_SRID) + raw[9:])


def _from_mysql_geometry(value: Any) -> Value:
    """See cdc.target.sql.values.mysql_geometry."""
    if not isinstance(value, bytes) or len(value) < 4:
        return odd(value)
    (srid,) = struct.unpack_from("<I", value)
    return _geometry(srid, value[4:])


def _geometry(srid: int, wkb: bytes) -> Value:
    return {"srid": srid, "wkb": b64encode(wkb).decode()}


def _array_at_postgresql(_column: Column, target: Type) -> Reading:
    narrow = isinstance(target, sa.ARRAY) and _is_single(target.item_type)
    return Reading(given=_numbers, wanted=_numbers, alike=_same_singles if narrow else None)


def _numbers(value: Any) -> Value:
    if not isinstance(value, list):
        return odd(value)
    return [None if number is None else _with_sign(number) for number in value]


def _same_singles(one: Any, other: Any) -> bool:
    if not isinstance(one, list) or not isinstance(other, list) or len(one) != len(other):
        return False
    return all(_with_sign(a) == b or _same_single(a, b) for a, b in zip(one, other, strict=True))


def _vector_at_mysql(_column: Column, _target: Type) -> Reading:
    """A VECTOR, or the bytes of its numbers. As hex digits: the driver does not know VECTOR, and takes it for text."""
    return Reading("HEX({c})", _from_hex_floats, lambda value: [_with_sign(single(number)) for number in value])


def _from_hex_floats(value: Any) -> Value:
    try:
        raw = bytes.fromhex(value)
        return [_with_sign(number) for number in struct.unpack(f"<{len(raw) // 4}f", raw)]
    except (ValueError, TypeError, struct.error):
        return odd(value)


def _vector_at_sqlite(_column: Column, _target: Type) -> Reading:
    def given(value: Any) -> Value:
        try:
            return _numbers(orjson.loads(value))
        except (orjson.JSONDecodeError, TypeError):
            return odd(value)

    return Reading(given=given, wanted=_numbers)


def _without_mask(value: Any) -> Value:
    """PostgreSQL prints an inet with its mask; that of a single address says nothing."""
    if not isinstance(value, str):
        return odd(value)
    address, slash, mask = value.partition("/")
    return address if slash and mask == ("128" if ":" in address else "32") else value


def _same_address(one: Any, other: Any) -> bool:
    return bool(_address(one) == _address(other))


def _address(value: Any) -> Value:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return odd(value)


_ASKED_TEXT = {"postgresql": "{c}::text", "mysql": _CAST_AT_MYSQL, "sqlite": "{c}"}

_Make = Callable[[Column, Type], Reading]

_POSTGRESQL: Mapping[str, _Make] = {
    "decimal": _decimal,
    "date": lambda _column, _target: Reading("{c}::text"),
    "time": lambda column, _target: Reading("{c}::text", _span_of(column)),
    **dict.fromkeys(_MOMENTS, _moments_at_postgresql),
    "char": _char_at_postgresql,
    "json": _json_at_postgresql,
    "uuid": lambda _column, _target: Reading("{c}::text"),
    "vector": _array_at_postgresql,
    **dict.fromkeys(GEOMETRIES, lambda _column, _target: Reading(given=_from_ewkb)),
}
_MYSQL: Mapping[str, _Make] = {
    "decimal": _decimal,
    "date": lambda _column, _target: Reading(_CAST_AT_MYSQL),
    "time": lambda column, _target: Reading(_CAST_AT_MYSQL, _span_of(column)),
    **dict.fromkeys(_MOMENTS, _moments),
    "set": _set_at_mysql,
    "json": _json_at_mysql,
    "uuid": lambda _column, _target: Reading(_CAST_AT_MYSQL),
    "vector": _vector_at_mysql,
    **dict.fromkeys(GEOMETRIES, lambda _column, _target: Reading(given=_from_mysql_geometry)),
}
_SQLITE: Mapping[str, _Make] = {
    "vector": _vector_at_sqlite,
    **dict.fromkeys(GEOMETRIES, lambda _column, _target: Reading(given=_from_ewkb)),
}
_READINGS: Mapping[str, Mapping[str, _Make]] = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "sqlite": _SQLITE}


def is_ordered(column: Column, target: Type) -> bool:
    """Whether values of a key's column are numbers at both sides, and so in one order."""
    if integer_range(column) is None or isinstance(target, Named | sa.Float):
        return False
    return isinstance(target, sa.Integer | sa.Numeric | mysql.BIT | mysql.YEAR)
