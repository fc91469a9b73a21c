"""Wire value → what the driver is given, compiled once for each column: None where the value goes as it is.

Wire values are Debezium's JSON forms (docs/types.md): decimals and times as text, binary as base64, bit and bigint as integers,
a geometry as `{"srid": n, "wkb": base64}`, a vector as a list of numbers.
"""

import struct
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from cdc.model.change import Value
from cdc.model.schema import Column
from cdc.target.sql.dialects import SqlDialect
from cdc.target.sql.typemap import BINARIES, GEOMETRIES, INTEGERS, integer_range

Converter = Callable[[Any], Any]

# PostGIS's "Extended WKB": this bit in a geometry's type says that its SRID follows (postgis.net, ST_AsEWKB).
HAS_SRID = 0x20000000


def converter(dialect: SqlDialect, column: Column) -> Converter | None:
    """The conversion of one column's values; never called with None (NULL stays None)."""
    if column.type in BINARIES:
        return _bytea_text if dialect.name == "postgresql" else b64decode
    if column.type in GEOMETRIES:
        return _GEOMETRY[dialect.name]
    if column.type == "vector":
        return _VECTOR[dialect.name]
    if dialect.name == "mysql":
        return _MYSQL.get(column.type)
    wide = integer_range(column)
    if dialect.name == "sqlite" and column.type in {*INTEGERS, "bit"} and wide is not None and wide[1] >= 2**63:
        return str
    return None


def _bytea_text(value: str) -> str:
    """bytea's hex input form (PostgreSQL manual, 8.4.1): text, so that COPY and parameters take it alike."""
    return "\\x" + b64decode(value).hex()


def mysql_geometry(value: Any) -> bytes:
    """MySQL's and MariaDB's own storage form (manual, "Supported Spatial Data Formats": internal format): SRID, then WKB. Not
    ST_GeomFromWKB, which would swap the axes of a geographic SRID."""
    return struct.pack("<I", value["srid"]) + b64decode(value["wkb"])


def ewkb(value: Any) -> bytes:
    """PostGIS's EWKB, little-endian; without an SRID where it is 0, as PostGIS writes it."""
    wkb = b64decode(value["wkb"])
    order = "<" if wkb[:1] == b"\x01" else ">"
    if not value["srid"]:
        return wkb
    (kind,) = struct.unpack_from(f"{order}I", wkb, 1)
    return wkb[:1] + struct.pack(f"{order}II", kind | HAS_SRID, value["srid"]) + wkb[5:]


def _ewkb_text(value: Any) -> str:
    return "\\x" + ewkb(value).hex()


def _floats(value: Any) -> bytes:
    return struct.pack(f"<{len(value)}f", *value)


def _array_text(value: Any) -> str:
    return "{" + ",".join(map(repr, value)) + "}"


def _json_text(value: Any) -> str:
    return orjson.dumps(value).decode()


_GEOMETRY: dict[str, Converter] = {"postgresql": _ewkb_text, "mysql": mysql_geometry, "sqlite": ewkb}
_VECTOR: dict[str, Converter] = {"postgresql": _array_text, "mysql": _floats, "sqlite": _json_text}


def _without_zone(value: str) -> str:
    """MySQL takes no `Z`; sessions here have time_zone = '+00:00'."""
    return value.removesuffix("Z")


def single(value: float) -> float:
    """The double that a FLOAT is, to the bit: MySQL takes the fewest digits that name it for another number, which it does not
    find by, and which is out of range at the end of the range (3.4028235e38)."""
    (exact,) = struct.unpack("<f", struct.pack("<f", value))
    return float(exact)


_MYSQL: dict[str, Converter] = {"timestamp": _without_zone, "float": single}


def convert(rows: Sequence[Sequence[Value]], converters: Sequence[tuple[int, Converter]]) -> Sequence[Sequence[Any]]:
    """The rows with the conversions applied at their column's index; the rows themselves where there are none."""
    if not converters:
        return rows
    converted = []
    for row in rows:
        values: list[Any] = list(row)
        for index, change in converters:
            if values[index] is not None:
                values[index] = change(values[index])
        converted.append(values)
    return converted
