"""What the compiled decoder is told of a table's columns: a code with its parameters for each, or the plain reader."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import orjson

from cdc.binlog.decoder.charsets import BYTES_PER_CHARACTER, text_decoder
from cdc.binlog.decoder.compiled import Encoding, Kind, float_text
from cdc.binlog.decoder.facts import ENUM, SET, STRING
from cdc.binlog.decoder.mariadb_types import LENGTHS
from cdc.binlog.decoder.metadata import GEOMETRY_KINDS
from cdc.binlog.decoder.plan import Plan, Reader
from cdc.binlog.decoder.port import TableMap
from cdc.binlog.decoder.projection import Hasher, Projection
from cdc.binlog.decoder.second_codes import SECOND_CODES
from cdc.model.schema import Column

_MOST_BYTES = 8  # of a number
_MOST_MEMBERS = 64  # of a set
_UTF8 = ("utf8mb4", "utf8mb3")
_NOT_BY_JSON = frozenset(("float", "double", "vector", *GEOMETRY_KINDS))
"""Types of which two values may be equal and their JSON not (0.0 and -0.0), or that a lane's hash takes otherwise (objects)."""


class ColumnCode(NamedTuple):
    """See `Kind` in compiled_plan.pxi for what the numbers mean with each kind."""

    kind: Kind
    width: int = 0
    size: int = 0
    texts: tuple[bytes, ...] = ()


PLAIN = ColumnCode(Kind.PYTHON)


def encoding(table: TableMap, projection: Projection) -> Encoding | None:
    """None where the plain decoder must read the table: its columns cannot be read, or its keys compared by their JSON."""
    plan: Plan = table.plan
    columns = table.schema.columns
    names = [column.name for column in columns]
    key = [names.index(name) for name in projection.schema.key]
    if plan.refusal is not None or plan.only_mariadb or len(set(names)) != len(names) or len(set(key)) != len(key):
        return None
    masked = set(projection.masked)
    if any(columns[place].type in _NOT_BY_JSON and names[place] not in masked for place in key):
        return None
    # The plain reader refuses text of a key that has two codes.
    plain = masked | {columns[place].name for place in key if columns[place].charset in SECOND_CODES}
    codes = [
        PLAIN if column.name in plain else column_code(column, code, metadata)
        for column, code, metadata in zip(columns, plan.layout.codes, plan.layout.metadatas, strict=True)
    ]
    readers = {
        index: _json_reader(plan.readers[index], projection.hash if names[index] in masked else None)
        for index, code in enumerate(codes)
        if code.kind == Kind.PYTHON
    }
    kept = set(projection.kept)
    return Encoding(
        table,
        table.db,
        table.table,
        projection.schema.fingerprint(),
        [(*code, index in kept, bool(plan.never_null >> index & 1)) for index, code in enumerate(codes)],
        [orjson.dumps(name) for name in names],
        key,
        readers,
    )


def _json_reader(read: Reader, mask: Hasher | None) -> Callable[[bytes, int], tuple[bytes, int]]:
    if mask is None:

        def plain(data: bytes, start: int) -> tuple[bytes, int]:
            value, end = read(data, start)
            return orjson.dumps(value), end

        return plain

    def hidden(data: bytes, start: int) -> tuple[bytes, int]:
        value, end = read(data, start)
        return orjson.dumps(mask(value)), end

    return hidden


def column_code(column: Column, code: int, metadata: bytes) -> ColumnCode:
    """PLAIN where C does not read the type, or not all that a table map may say of it."""
    describe = _CODES.get(code)
    return PLAIN if describe is None else describe(column, metadata)


_Describe = Callable[[Column, bytes], ColumnCode]


def _integer(width: int) -> _Describe:
    return lambda column, _: ColumnCode(Kind.UNSIGNED if column.unsigned else Kind.SIGNED, width)


def _bits(column: Column, _: bytes) -> ColumnCode:
    return ColumnCode(Kind.BITS, ((column.length or 0) + 7) // 8)


def _decimal(_: Column, metadata: bytes) -> ColumnCode:
    precision, scale = metadata
    return ColumnCode(Kind.DECIMAL, precision, scale)


def _float(kind: Kind) -> _Describe:
    """Only while orjson lays floats out as we know it; another version may do it otherwise."""
    return lambda *_: ColumnCode(kind) if floats_are_known() else PLAIN


@lru_cache(maxsize=1)
def floats_are_known() -> bool:
    probes = (0.0, -0.0, 0.1, 1.5, -12.25, 1e15, 123456789012345.6, 1e16, 1.5e16, 1e22, 1e100, 1e300, 1.5e-300, 5e-324)
    small = (1e-1, 1e-3, 1.5e-4, 1e-5, 1.25e-5, 1e-6, 1.5e-6, 1e-7, 1e-10, 1e-99, 1e-100)
    return all(float_text(probe) == orjson.dumps(probe) for probe in (*probes, *small))


def _fixed(kind: Kind) -> _Describe:
    return lambda *_: ColumnCode(kind)


def _temporal(kind: Kind) -> _Describe:
    return lambda _, metadata: ColumnCode(kind, metadata[0])


def _text(column: Column, prefix: int) -> ColumnCode:
    if column.charset in _UTF8:
        return ColumnCode(Kind.UTF8, prefix)
    table = one_byte_table(column.charset or "")
    return PLAIN if table is None else ColumnCode(Kind.ONE_BYTE, prefix, texts=(table,))


@lru_cache(maxsize=64)
def one_byte_table(charset: str) -> bytes | None:
    """For each code eight bytes: the character's JSON, its length in the last one, which is 0 where the charset lacks the code.
    Then a 1 where codes below 128 are ASCII's. None for a charset that has more bytes for some character."""
    decode = text_decoder(charset)
    if decode is None or charset in BYTES_PER_CHARACTER:
        return None
    entries = []
    for code in range(256):
        try:
            escaped = orjson.dumps(decode(bytes((code,))))[1:-1]
        except UnicodeDecodeError:
            escaped = b""
        entries.append(escaped.ljust(7, b"\0") + bytes((len(escaped),)))
    is_ascii = all(decode(bytes((code,))) == chr(code) for code in range(32, 127))
    return b"".join(entries) + bytes((is_ascii,))


def _blob(column: Column, metadata: bytes) -> ColumnCode:
    return _text(column, metadata[0]) if column.charset else ColumnCode(Kind.BASE64, metadata[0])


def _varchar(column: Column, metadata: bytes) -> ColumnCode:
    prefix = 1 if int.from_bytes(metadata, "little") < 256 else 2
    if column.type == "varbinary":
        return ColumnCode(Kind.BASE64, prefix)
    return _text(column, prefix) if column.type == "varchar" else PLAIN


def _char(column: Column, metadata: bytes) -> ColumnCode:
    """The length's two highest bits: see columns._char_bytes."""
    max_bytes = ((metadata[0] & 0x30) ^ 0x30) << 4 | metadata[1]
    prefix = 1 if max_bytes < 256 else 2
    if column.type == "binary":
        return ColumnCode(Kind.BASE64, prefix, max_bytes)
    return PLAIN if column.type in LENGTHS else _text(column, prefix)


def _enum(column: Column, metadata: bytes) -> ColumnCode:
    texts = ("", *column.members)
    return _members(Kind.ENUM, metadata[1], [orjson.dumps(member) for member in texts])


def _set(column: Column, metadata: bytes) -> ColumnCode:
    if len(column.members) > _MOST_MEMBERS:
        return PLAIN
    return _members(Kind.SET, metadata[1], [orjson.dumps(member)[1:-1] for member in column.members])


def _members(kind: Kind, width: int, texts: Sequence[bytes]) -> ColumnCode:
    return ColumnCode(kind, width, texts=tuple(texts)) if width <= _MOST_BYTES else PLAIN


def _json(_: Column, metadata: bytes) -> ColumnCode:
    return ColumnCode(Kind.JSON, metadata[0])


_CODES: dict[int, _Describe] = {
    1: _integer(1),
    2: _integer(2),
    3: _integer(4),
    4: _float(Kind.FLOAT),
    5: _float(Kind.DOUBLE),
    8: _integer(8),
    9: _integer(3),
    10: _fixed(Kind.DATE),
    13: _fixed(Kind.YEAR),
    14: _fixed(Kind.DATE),
    15: _varchar,
    16: _bits,
    17: _temporal(Kind.TIMESTAMP),
    18: _temporal(Kind.DATETIME),
    19: _temporal(Kind.TIME),
    245: _json,
    246: _decimal,
    ENUM: _enum,
    SET: _set,
    252: _blob,
    253: _varchar,
    STRING: _char,
}
"""By type code. The old temporal types, geometry, vectors and what is compressed are not here."""
