"""The optional metadata of a table map event: names, signs, charsets, members, keys, kinds of geometry, dimensions.

https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Table__map__event.html, "Optional_metadata_field_type";
MariaDB from 10.5 writes the fields 1 to 11 alike.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from cdc.binlog.decoder.cursor import Cursor, damaged
from cdc.model.errors import NotUnderstood

GEOMETRY_KINDS = (
    *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"),
    "geometrycollection",
)
"""By the numbers of `Field::geometry_type`, as the GEOMETRY_TYPE field has them."""


@dataclass(slots=True)
class Collations:
    """Collation ids of the columns of one kind, in column order: one for each, or a default and the exceptions by index.
    False in a test where the event says nothing of them."""

    default: int | None = None
    by_index: dict[int, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.default is not None or bool(self.by_index)

    def of(self, index: int) -> int | None:
        return self.by_index.get(index, self.default)

    def first(self, count: int) -> list[int | None]:
        return [self.of(index) for index in range(count)]

    def fits(self, count: int) -> bool:
        """Whether these can be the collations of exactly `count` columns."""
        if self.default is None:
            return len(self.by_index) == count
        return all(index < count for index in self.by_index)


@dataclass(slots=True)
class OptionalMetadata:
    """Each field as it stands in the event; lists are in the order of the columns they apply to.

    None, and falsehood, is a field that is not there. `key`: column indexes in key order. `prefix_key`: those of which only
    a prefix is in the key.
    """

    names: list[str] | None = None
    unsigned_bits: bytes | None = None
    text: Collations = field(default_factory=Collations)
    members: Collations = field(default_factory=Collations)
    enum_members: list[list[bytes]] = field(default_factory=list)
    set_members: list[list[bytes]] = field(default_factory=list)
    key: list[int] = field(default_factory=list)
    prefix_key: list[int] = field(default_factory=list)
    geometry_kinds: list[int] = field(default_factory=list)
    dimensions: list[int] = field(default_factory=list)
    has_visibility: bool = False

    def is_unsigned(self, index: int) -> bool:
        """Of the `index`-th numeric column; the most significant bit of the first byte is the first column's."""
        bits = self.unsigned_bits or b""
        return index // 8 < len(bits) and bool(bits[index // 8] & (0x80 >> index % 8))


def _signedness(metadata: OptionalMetadata, cursor: Cursor) -> None:
    metadata.unsigned_bits = cursor.take(cursor.remaining)


def _default_charset(collations: Collations, cursor: Cursor) -> None:
    collations.default = cursor.packed()
    while cursor.remaining:
        index = cursor.packed()
        collations.by_index[index] = cursor.packed()


def _column_charset(collations: Collations, cursor: Cursor) -> None:
    collations.by_index = dict(enumerate(cursor.packed_list()))


def _column_names(metadata: OptionalMetadata, cursor: Cursor) -> None:
    metadata.names = []
    while cursor.remaining:
        metadata.names.append(cursor.text(cursor.packed_bytes()))


def _member_lists(lists: list[list[bytes]], cursor: Cursor) -> None:
    while cursor.remaining:
        count = cursor.packed()
        if count > cursor.remaining:
            raise damaged(f"table map event: {count} enum or set members in {cursor.remaining} bytes")
        lists.append([cursor.packed_bytes() for _ in range(count)])


def _simple_key(metadata: OptionalMetadata, cursor: Cursor) -> None:
    metadata.key = cursor.packed_list()


def _key_with_prefix(metadata: OptionalMetadata, cursor: Cursor) -> None:
    while cursor.remaining:
        index, prefix = cursor.packed(), cursor.packed()
        metadata.key.append(index)
        if prefix:
            metadata.prefix_key.append(index)


def _geometry_kinds(metadata: OptionalMetadata, cursor: Cursor) -> None:
    metadata.geometry_kinds = cursor.packed_list()


def _visibility(metadata: OptionalMetadata, cursor: Cursor) -> None:
    """Of no use in itself: hidden columns are columns."""
    metadata.has_visibility = True


def _dimensions(metadata: OptionalMetadata, cursor: Cursor) -> None:
    metadata.dimensions = cursor.packed_list()


_FIELDS: dict[int, Callable[[OptionalMetadata, Cursor], None]] = {
    1: _signedness,
    2: lambda metadata, cursor: _default_charset(metadata.text, cursor),
    3: lambda metadata, cursor: _column_charset(metadata.text, cursor),
    4: _column_names,
    5: lambda metadata, cursor: _member_lists(metadata.set_members, cursor),
    6: lambda metadata, cursor: _member_lists(metadata.enum_members, cursor),
    7: _geometry_kinds,
    8: _simple_key,
    9: _key_with_prefix,
    10: lambda metadata, cursor: _default_charset(metadata.members, cursor),
    11: lambda metadata, cursor: _column_charset(metadata.members, cursor),
    12: _visibility,
    13: _dimensions,
}


def read(cursor: Cursor, name: str) -> OptionalMetadata:
    """Reads all fields up to the end; `name` is the table's.

    A field that we do not know might change the meaning of others, so it stops us.
    """
    metadata = OptionalMetadata()
    while cursor.remaining:
        kind = cursor.uint(1)
        content = cursor.sub(cursor.packed(), f"table map event of {name}, metadata field {kind}")
        if kind not in _FIELDS:
            raise NotUnderstood(
                f"table {name}: the binlog describes it with metadata field {kind}, which is not known here",
                hint="the server is newer than this version of Lockstep knows: upgrade Lockstep, or exclude the table",
            )
        _FIELDS[kind](metadata, content)
    return metadata
