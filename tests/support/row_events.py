"""Table maps and rows events built by hand, for values that no server is asked for.

Format: see cdc/binlog/decoder/port.py.
"""

from collections.abc import Sequence
from typing import NamedTuple

TABLE_ID = 7
_NUMERIC = frozenset((1, 2, 3, 4, 5, 8, 9, 13, 246))
_TEXT = frozenset((15, 140, 141, 242, 252, 253, 254))
_ENUM, _SET = 247, 248
WRITE, UPDATE, DELETE = 30, 31, 32
OLD_WRITE, OLD_UPDATE, OLD_DELETE = 23, 24, 25
BINARY, LATIN1, ASCII, UTF8MB4, UTF8MB3, CP1251, SJIS, UTF16 = 63, 8, 11, 45, 33, 51, 13, 54
"""Collation ids."""


class ColumnBytes(NamedTuple):
    """One column as a table map has it; `code` is the real type's. `members`: of an enumeration or set, in its charset."""

    name: str
    code: int
    metadata: bytes = b""
    collation: int = UTF8MB4
    unsigned: bool = False
    members: tuple[bytes, ...] = ()
    nullable: bool = True

    @property
    def announced(self) -> int:
        return 254 if self.code in (_ENUM, _SET) else self.code


def packed(number: int) -> bytes:
    if number < 251:
        return bytes((number,))
    return b"\xfc" + number.to_bytes(2, "little") if number < 1 << 16 else b"\xfd" + number.to_bytes(3, "little")


def prefixed(raw: bytes, width: int = 1) -> bytes:
    return len(raw).to_bytes(width, "little") + raw


def _packed_bytes(raw: bytes) -> bytes:
    return packed(len(raw)) + raw


def _bits(flags: Sequence[bool], *, highest_first: bool = False) -> bytes:
    found = bytearray((len(flags) + 7) // 8)
    for index, flag in enumerate(flags):
        found[index // 8] |= flag * ((0x80 >> index % 8) if highest_first else 1 << index % 8)
    return bytes(found)


def _field(kind: int, content: bytes) -> bytes:
    return bytes((kind,)) + _packed_bytes(content) if content else b""


def _member_lists(columns: Sequence[ColumnBytes], code: int) -> bytes:
    lists = [column.members for column in columns if column.code == code]
    return b"".join(packed(len(members)) + b"".join(map(_packed_bytes, members)) for members in lists)


def table_map(columns: Sequence[ColumnBytes], key: Sequence[int] = (0,), db: str = "d", table: str = "t") -> bytes:
    names = (_packed_bytes(db.encode()) + b"\0", _packed_bytes(table.encode()) + b"\0")
    metadata = b"".join(column.metadata for column in columns)
    layout = packed(len(columns)) + bytes(column.announced for column in columns) + _packed_bytes(metadata)
    signs = [column.unsigned for column in columns if column.code in _NUMERIC]
    texts = [column.collation for column in columns if column.code in _TEXT]
    chosen = [column.collation for column in columns if column.code in (_ENUM, _SET)]
    optional = (
        _field(1, _bits(signs, highest_first=True)),
        _field(3, b"".join(map(packed, texts))),
        _field(4, b"".join(_packed_bytes(column.name.encode()) for column in columns)),
        _field(5, _member_lists(columns, _SET)),
        _field(6, _member_lists(columns, _ENUM)),
        _field(8, b"".join(map(packed, key))),
        _field(11, b"".join(map(packed, chosen))),
    )
    nullable = _bits([column.nullable for column in columns])
    return b"".join((TABLE_ID.to_bytes(6, "little"), b"\1\0", *names, layout, nullable, *optional))


def image(values: Sequence[bytes | None]) -> bytes:
    """One row's image, all columns; None: NULL."""
    return _bits([value is None for value in values]) + b"".join(value for value in values if value is not None)


def rows_event(kind: int, columns: int, images: Sequence[bytes], *, extra: bytes = b"") -> bytes:
    """Full images; of an update before and after in turns."""
    head = TABLE_ID.to_bytes(6, "little") + b"\1\0"
    if kind >= WRITE:
        head += (2 + len(extra)).to_bytes(2, "little") + extra
    everything = _bits([True] * columns)
    return head + packed(columns) + everything * (2 if kind in (UPDATE, OLD_UPDATE) else 1) + b"".join(images)
