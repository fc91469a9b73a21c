"""Wire values as literals in the source's own SQL, MySQL's and MariaDB's, for statements that people read and run.

Pure. Unlike the target's (cdc.target.mysql_literals) they depend on no sql_mode and on no character set of the session: no
backslash, no character that a terminal or an editor takes for a command. What is not plain text stands in hex: MySQL manual,
11.1.4 "Hexadecimal Literals", 12.3.8 "Character Set Introducers"; MariaDB documentation, "Hexadecimal Literals".
"""

import math
import re
import struct
from base64 import b64decode
from collections.abc import Callable
from typing import Any

from cdc.model.change import Value
from cdc.model.schema import Column

_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year")
_TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "uuid", "inet4", "inet6")
_BINARIES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_GEOMETRIES = (
    *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"),
    "geometrycollection",
)

# MySQL manual, 11.1.2 "Numeric Literals", without exponent: an exact value.
_EXACT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
# Strings of a JSON text, so that digits in them are passed over, and its numbers.
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)', re.DOTALL)
_DOUBLE_DIGITS = 17


class NoLiteralError(ValueError):
    """The value cannot be written as a literal; the text says why, without the value."""


def quoted(name: str) -> str:
    """An identifier. MySQL manual, 11.2 "Schema Object Names"."""
    return "`" + name.replace("`", "``") + "`"


def literal(column: Column, value: Value) -> str:
    """What the column takes, and compares equal with, under time_zone '+00:00'. Raises NoLiteralError."""
    if value is None:
        return "NULL"
    write = _WRITERS.get(column.type)
    if write is None:
        raise NoLiteralError(f"its type {column.type} is not known here")
    try:
        return write(value)
    except (TypeError, KeyError, OverflowError, struct.error) as error:
        raise NoLiteralError(f"its value is none of the type {column.type}") from error


def is_refused_member(column: Column, value: Value) -> bool:
    """Number 0 of an ENUM, which the server stores for what it refused: it can only be written without a strict sql_mode."""
    return column.type == "enum" and value == "" and "" not in column.members


def doubt(column: Column, value: Value) -> str:
    """Why the server may not read the literal back as what it had; "" where it does."""
    if column.type == "json" and isinstance(value, str) and any(map(_is_decimal, _JSON_TOKEN.findall(value))):
        return "its JSON has a decimal number, which becomes a double"
    return ""


def _is_decimal(number: str) -> bool:
    """Whether the server would print the double of that number in another way, as far as its text can tell."""
    mantissa = re.split("[eE]", number)[0]
    if "." not in mantissa:
        return False
    fraction = mantissa.partition(".")[2]
    digits = mantissa.replace(".", "").lstrip("-0")
    return (fraction != "0" and fraction.endswith("0")) or len(digits) > _DOUBLE_DIGITS


def _integer(value: Any) -> str:
    if not isinstance(value, int):
        raise TypeError(value)
    return str(int(value))


def _decimal(value: Any) -> str:
    """Bare: quoted, it would be compared as a double."""
    if not isinstance(value, str) or not _EXACT.fullmatch(value):
        raise TypeError(value)
    return value


def _double(value: Any) -> str:
    """With an exponent, or it would be a decimal; the shortest form that reads back to the bit."""
    number = float(value)
    if not math.isfinite(number):
        raise TypeError(value)
    text = repr(number)
    return text if "e" in text else f"{text}e0"


def _single(value: Any) -> str:
    """As the double that it is, to the bit: the fewest digits that name a FLOAT name another double, which it is not equal to."""
    (exact,) = struct.unpack("<f", struct.pack("<f", value))
    return _double(exact)


def text_literal(value: str) -> str:
    if not value.isprintable() or "\\" in value:
        return f"_utf8mb4 0x{value.encode().hex()}"
    inner = value.replace("'", "''")
    return f"'{inner}'" if value.isascii() else f"_utf8mb4'{inner}'"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return text_literal(value)


def _moment(value: Any) -> str:
    return _text(value.replace("T", " ").removesuffix("Z"))


def _json(value: Any) -> str:
    return f"CAST({_text(value)} AS JSON)"


def _bytes(value: bytes) -> str:
    return f"0x{value.hex()}" if value else "''"


def _geometry(value: Any) -> str:
    """The server's storage form (MySQL manual, 13.4.3 "Supported Spatial Data Formats"): SRID, then WKB, no axes swapped."""
    wkb = b64decode(value["wkb"])
    if not wkb:
        raise NoLiteralError("it holds no geometry at all, which only a missing default leaves")
    return _bytes(struct.pack("<I", value["srid"]) + wkb)


def _vector(value: Any) -> str:
    return _bytes(struct.pack(f"<{len(value)}f", *value))


_WRITERS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(_INTEGERS, _integer),
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_BINARIES, lambda value: _bytes(b64decode(value))),
    **dict.fromkeys(_GEOMETRIES, _geometry),
    **dict.fromkeys(("date", "time"), _text),
    **dict.fromkeys(("datetime", "timestamp"), _moment),
    "decimal": _decimal,
    "float": _single,
    "double": _double,
    "json": _json,
    "vector": _vector,
}
