"""Readers of geometries and vectors.

Geometry: four bytes of SRID, little-endian, then WKB; MariaDB's is the same (the manual, "Internal Geometry Storage Format",
https://dev.mysql.com/doc/refman/9.7/en/gis-data-formats.html).
Vector: 32-bit floats, little-endian (https://dev.mysql.com/doc/refman/9.7/en/vector.html).
"""

from base64 import b64encode

from cdc.binlog.decoder.numeric import shortest_float32
from cdc.binlog.decoder.plan import Reader
from cdc.model.change import Value

_SRID_BYTES = 4
_SMALLEST_WKB = 9  # byte order, type, and a count: an empty collection
_FLOAT_BYTES = 4


def geometry_value(stored: bytes) -> Value:
    """`{"srid": 4326, "wkb": base64}`: the WKB as it is stored, longitude before latitude in every system.

    MariaDB has nothing at all in a NOT NULL column that was never given a value; then the WKB is empty. Raises ValueError.
    """
    if not stored:
        return {"srid": 0, "wkb": ""}
    if len(stored) < _SRID_BYTES + _SMALLEST_WKB:
        raise ValueError("a geometry is too short")
    srid = int.from_bytes(stored[:_SRID_BYTES], "little")
    return {"srid": srid, "wkb": b64encode(stored[_SRID_BYTES:]).decode("ascii")}


def geometry(prefix: int) -> Reader:
    """The stored bytes behind their length in `prefix` bytes."""

    def read(data: bytes, start: int) -> tuple[Value, int]:
        start += prefix
        end = start + int.from_bytes(data[start - prefix : start], "little")
        # Short of its end it is no geometry; that the row is cut short is the caller's to say.
        return (geometry_value(data[start:end]) if end <= len(data) else None), end

    return read


def vector_value(stored: bytes) -> Value:
    """A list of numbers, each with the fewest digits that name its 32 bits, as in a FLOAT column. Raises ValueError."""
    if len(stored) % _FLOAT_BYTES:
        raise ValueError("a vector is cut short")
    return [shortest_float32(stored[place : place + _FLOAT_BYTES]) for place in range(0, len(stored), _FLOAT_BYTES)]


def vector(prefix: int) -> Reader:
    """The stored bytes behind their length in `prefix` bytes."""

    def read(data: bytes, start: int) -> tuple[Value, int]:
        start += prefix
        end = start + int.from_bytes(data[start - prefix : start], "little")
        if end > len(data):
            raise ValueError("a vector is cut short")
        return vector_value(data[start:end]), end

    return read
