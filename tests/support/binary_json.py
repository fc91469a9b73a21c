"""MySQL's binary JSON of Python values, for documents that no server is asked for.

Layout: sql-common/json_binary.h. Objects keep the order they have; Opaque stands for a value of an SQL type.
"""

import struct
from typing import NamedTuple

LITERALS: dict[object, int] = {None: 0, True: 1, False: 2}


class Opaque(NamedTuple):
    type_code: int
    raw: bytes


Json = None | bool | int | float | str | Opaque | list["Json"] | dict[str, "Json"]


def document(value: Json, *, large: bool = False) -> bytes:
    """`large`: with four-byte offsets throughout."""
    kind, raw = _value(value, large)
    return bytes((kind,)) + raw


def _length(size: int) -> bytes:
    found = bytearray()
    while size > 0x7F:
        found.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((*found, size))


def _value(value: Json, large: bool) -> tuple[int, bytes]:
    if value is None or isinstance(value, bool):
        return 4, bytes((LITERALS[value],))
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return 11, struct.pack("<d", value)
    if isinstance(value, str | Opaque):
        return _string(value)
    if isinstance(value, list):
        return 2 + large, _container([], value, large)
    return int(large), _container([key.encode() for key in value], list(value.values()), large)


def _string(value: str | Opaque) -> tuple[int, bytes]:
    if isinstance(value, Opaque):
        return 15, bytes((value.type_code,)) + _length(len(value.raw)) + value.raw
    raw = value.encode()
    return 12, _length(len(raw)) + raw


def _integer(value: int) -> tuple[int, bytes]:
    for kind, code in ((5, "<h"), (6, "<H"), (7, "<i"), (8, "<I"), (9, "<q"), (10, "<Q")):
        try:
            return kind, struct.pack(code, value)
        except struct.error:
            continue
    raise ValueError(value)


def _container(keys: list[bytes], values: list[Json], large: bool) -> bytes:
    width = 4 if large else 2
    header = 2 * width + len(keys) * (width + 2) + len(values) * (width + 1)
    texts = b"".join(keys)
    entries, body, place = b"", b"", header
    for key in keys:
        entries += place.to_bytes(width, "little") + len(key).to_bytes(2, "little")
        place += len(key)
    for value in values:
        kind, raw = _value(value, large)
        if kind in (4, 5, 6) or (large and kind in (7, 8)):
            entries += bytes((kind,)) + raw.ljust(width, b"\0")
        else:
            entries += bytes((kind,)) + place.to_bytes(width, "little")
            body += raw
            place += len(raw)
    return len(values).to_bytes(width, "little") + place.to_bytes(width, "little") + entries + texts + body
