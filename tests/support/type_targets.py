"""What SELECT at each kind of target must give for a value at the source: docs/types.md once more, in the words of a test.

Nothing of the pipeline is used. `Kind.render` of `tests.support.type_space` makes of a SELECT at the source the value of the
change event; `wanted(target, column, value)` makes of that what a SELECT at the target (`asked`, rendered by `given`) must give,
or REFUSED where the target has no such value: then the row must wait as a dead letter.
"""

import ipaddress
import json
import re
import struct
from base64 import b64decode
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, Final

from cdc.model.schema import Column
from tests.support.type_kind import Kind

REFUSED: Final = "REFUSED"
NUMBERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year"}
TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}
BYTES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
SHAPES = {
    *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"),
    "geometrycollection",
}
_BEYOND_SIGNED = 2**63


def asked(target: str, kind: Kind, name: str) -> str:
    """The expression to SELECT for the column `name` (quoted)."""
    return _ASKED[target](kind, name)


def given(target: str, kind: Kind, answer: Any) -> Any:
    """What the driver answered, in the form of `wanted`."""
    if answer is None:
        return None
    if target in {"mysql", "mariadb"}:
        return _same(kind.column, kind.render(answer), target)
    if kind.column.type == "vector" and target == "sqlite":
        answer = json.loads(answer)
    return _FORMS.get(kind.column.type, _unchanged)(answer)


def wanted(target: str, column: Column, value: Any) -> Any:
    """`value`: as a change event has it."""
    if value is None:
        return None
    if isinstance(value, float) and target in {"mariadb", "sqlite"}:
        value += 0.0  # neither keeps the sign of a zero
    if target in {"mysql", "mariadb"}:
        # MySQL's and MariaDB's number 0 of an ENUM cannot be written on purpose (`cdc check` says so).
        refused = column.type == "enum" and value == "" and "" not in column.members
        return REFUSED if refused else _same(column, value, target)
    if column.type in BYTES:
        return b64decode(value)
    if column.type in SHAPES:
        return _ewkb(value["srid"], b64decode(value["wkb"]))
    if column.type in _FORMS:
        return _FORMS[column.type](value)
    return _at_postgresql(column, value) if target == "postgresql" else _at_sqlite(column, value)


def _unchanged(value: Any) -> Any:
    return value


def _bits(number: float) -> str:
    """The 32 bits: `0.1` and what a server makes of it are the same FLOAT, -0.0 and 0.0 are not."""
    return struct.pack(">f", number).hex()


_FORMS: dict[str, Callable[[Any], Any]] = {
    "float": _bits,
    "double": lambda number: struct.pack(">d", number).hex(),
    "vector": lambda numbers: [_bits(number) for number in numbers],
    "inet4": ipaddress.ip_address,
    "inet6": ipaddress.ip_address,
}


def _ewkb(srid: int, wkb: bytes) -> bytes:
    """PostGIS's: bit 0x20000000 of the type says that an SRID follows it. Both servers store little-endian WKB."""
    assert wkb[0] == 1
    if not srid:
        return wkb
    kind = int.from_bytes(wkb[1:5], "little") | 0x20000000
    return wkb[:1] + struct.pack("<II", kind, srid) + wkb[5:]


# ---- PostgreSQL


def _in_plain_form(kind: Kind, name: str) -> str:
    column = kind.column
    if column.type == "time":
        return f"(extract(epoch FROM {name}) * 1000000)::bigint"
    if column.type in {"datetime", "timestamp"}:
        return f"to_char({name}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
    if column.type in {"date", "json", "uuid", "decimal"}:
        return f"{name}::text"
    return f"host({name})" if column.type in {"inet4", "inet6"} else name


def _at_postgresql(column: Column, value: Any) -> Any:
    if column.type in {"date", "datetime", "timestamp"}:
        return _moment(value, column.type != "date")
    if column.type == "time":
        return _micros(value)
    if column.type in TEXTS and "\0" in value:
        return REFUSED
    if column.type in NUMBERS and _is_wide(column):
        return Decimal(value)
    return value


def _moment(value: str, has_time: bool) -> str:
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return REFUSED
    day, _, clock = value.removesuffix("Z").partition("T")
    if not has_time:
        return day
    clock, _, fraction = clock.partition(".")
    return f"{day}T{clock}.{fraction:0<6}"


def _micros(value: str) -> int:
    found = re.fullmatch(r"(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?", value)
    assert found, value
    seconds = int(found[2]) * 3600 + int(found[3]) * 60 + int(found[4])
    micros = seconds * 1_000_000 + int(f"{found[5] or '':0<6}")
    return -micros if found[1] else micros


def _is_wide(column: Column) -> bool:
    """Whether its values go beyond 2^63-1."""
    return (column.type == "bigint" and column.unsigned) or (column.type == "bit" and column.length == 64)


# ---- SQLite


def _at_sqlite(column: Column, value: Any) -> Any:
    return str(value) if column.type in NUMBERS and _is_wide(column) else value


# ---- MySQL and MariaDB: the same expression as at the source, the same text


def _same(column: Column, value: Any, target: str) -> Any:
    if column.type == "json" and target == "mysql":
        # Its parser makes doubles of decimals: the document is the same, a number may be written in another way.
        return json.dumps(json.loads(value, parse_float=_plain_number), sort_keys=False)
    if isinstance(value, float):
        return value.hex()
    if column.type == "vector" and isinstance(value, list):
        return [_bits(number) for number in value]
    return value


def _plain_number(text: str) -> str:
    return f"number {Decimal(text).normalize()}"


def _as_at_the_source(kind: Kind, name: str) -> str:
    return kind.select.format(c=name)


def _as_it_is(_kind: Kind, name: str) -> str:
    return name


_ASKED: dict[str, Callable[[Kind, str], str]] = {
    "mysql": _as_at_the_source,
    "mariadb": _as_at_the_source,
    "postgresql": _in_plain_form,
    "sqlite": _as_it_is,
}
