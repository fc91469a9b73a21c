"""What is said of each column: by the table map event, and, where that is silent, by the schema history."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cdc.binlog.decoder.charsets import BINARY_COLLATION
from cdc.binlog.decoder.collations import COLLATIONS, charset_of
from cdc.binlog.decoder.cursor import damaged
from cdc.binlog.decoder.metadata import GEOMETRY_KINDS, OptionalMetadata
from cdc.model.schema import Column, TableSchema

ENUM, SET, STRING = 247, 248, 254
VECTOR, GEOMETRY = 242, 255
BINARY = "binary"

NUMERIC_CODES = frozenset((1, 2, 3, 4, 5, 8, 9, 13, 246))
"""What the SIGNEDNESS field has bits for; years are among them, bits are not (seen at MySQL 9.7 and MariaDB 10.11)."""

TEXT_CODES = frozenset((15, 140, 141, VECTOR, 252, 253, STRING))
"""What the charset fields list: text and bytes alike, and vectors; not enumerations and sets. MariaDB lists geometry too."""


class ColumnFacts(NamedTuple):
    """One column. `code` is the real type's: an enumeration's, where the event says STRING.

    `charset`, `collation`: by name; `charset` is None where the collation is not known here, or nothing is said. `members`: bytes
    in that charset from the event, text from the history. `kind`: the exact type, where the code has several and something
    tells. `length`: a vector's dimensions. `scale`: digits of the fraction according to the history, for the old temporal
    types, whose events do not say. `key_of`: the table (db.table) whose key the column belongs to, or "".
    """

    name: str
    code: int
    metadata: bytes
    nullable: bool
    unsigned: bool = False
    charset: str | None = None
    collation: str | None = None
    members: tuple[bytes | str, ...] = ()
    kind: str | None = None
    length: int | None = None
    scale: int | None = None
    key_of: str = ""


class Layout(NamedTuple):
    """What every table map has of its columns, metadata or not. `codes` are the real types'."""

    codes: Sequence[int]
    metadatas: Sequence[bytes]
    nullable: bytes


class TextCollations(NamedTuple):
    """The collation of each text column. `only_mariadb`: a guess that holds only if it was MariaDB that wrote the event."""

    numbers: Sequence[int | None]
    only_mariadb: bool = False


class FactsOf:
    """Hands out the optional metadata, which is kept by kind, to the columns of each kind in their order."""

    def __init__(
        self,
        layout: Layout,
        optional: OptionalMetadata,
        texts: TextCollations,
        known: TableSchema | None,
        table: str,
    ) -> None:
        """`known` has as many columns as the layout where the event has no names; then it is read by place, else by name."""
        self._layout = layout
        self._optional = optional
        self._by_name: Mapping[str, Column] = {column.name: column for column in known.columns} if known else {}
        self._by_place = known.columns if known else ()
        self._table = table
        self._numbers = 0
        self._choices = 0
        self._dimensions = iter(optional.dimensions)
        self._kinds = iter(optional.geometry_kinds)
        self._members = {ENUM: iter(optional.enum_members), SET: iter(optional.set_members)}
        self._texts = iter(texts.numbers)

    def columns(self) -> list[ColumnFacts]:
        """Raises BinlogDamaged where the event's lists do not fit its columns."""
        return [self._column(index, code) for index, code in enumerate(self._layout.codes)]

    def _column(self, index: int, code: int) -> ColumnFacts:
        names = self._optional.names
        known = self._by_place[index] if names is None else self._by_name.get(names[index])
        facts = ColumnFacts(
            known.name if names is None and known else (names or [])[index],
            code,
            self._layout.metadatas[index],
            bool(self._layout.nullable[index // 8] >> index % 8 & 1),
            kind=known.type if known else None,
            scale=known.scale if known else None,
        )
        silent = known if names is None else None
        if code in NUMERIC_CODES:
            return self._number(facts, silent)
        if code in (ENUM, SET):
            return self._chosen(facts, silent)
        if code in TEXT_CODES:
            return self._text(facts, silent)
        if code == GEOMETRY and self._optional.geometry_kinds:
            return facts._replace(kind=_geometry_kind(next(self._kinds, None), self._table))
        return facts

    def _number(self, facts: ColumnFacts, silent: Column | None) -> ColumnFacts:
        self._numbers += 1
        if self._optional.unsigned_bits is None:
            return facts._replace(unsigned=silent is not None and silent.unsigned)
        return facts._replace(unsigned=self._optional.is_unsigned(self._numbers - 1))

    def _chosen(self, facts: ColumnFacts, silent: Column | None) -> ColumnFacts:
        self._choices += 1
        if silent is not None and not self._optional.members:
            facts = facts._replace(charset=silent.charset, collation=silent.collation)
        else:
            facts = self._with_collation(facts, self._optional.members.of(self._choices - 1))
        members = next(self._members[facts.code], None)
        if members is None and silent is not None:
            return facts._replace(members=silent.members)
        if not members:
            raise damaged(f"table map event of {self._table}: column {facts.name} is an enumeration without members")
        return facts._replace(members=tuple(members))

    def _text(self, facts: ColumnFacts, silent: Column | None) -> ColumnFacts:
        collation = next(self._texts, None)
        if facts.code == VECTOR:
            told = next(self._dimensions, None)
            facts = facts._replace(length=silent.length if told is None and silent else told)
        if silent is not None and not self._optional.text:
            if silent.type == "json":  # MariaDB's, a LONGTEXT
                return facts._replace(charset="utf8mb4", collation="utf8mb4_bin")
            return facts._replace(charset=silent.charset or BINARY, collation=silent.collation)
        return self._with_collation(facts, collation)

    def _with_collation(self, facts: ColumnFacts, number: int | None) -> ColumnFacts:
        if number is None:
            raise damaged(f"table map event of {self._table}: nothing is said of the charset of column {facts.name}")
        collation = COLLATIONS.get(number)
        if collation is None:
            return facts._replace(collation=f"collation {number}")
        return facts._replace(charset=charset_of(collation), collation=collation)


def _geometry_kind(number: int | None, table: str) -> str:
    if number is None or number >= len(GEOMETRY_KINDS):
        raise damaged(f"table map event of {table}: there is no geometry of kind {number}")
    return GEOMETRY_KINDS[number]


def text_collations(layout: Layout, optional: OptionalMetadata, known: TableSchema | None) -> TextCollations:
    """MariaDB counts geometry among the text columns, as `binary`; MySQL does not, and only the columns' visibility, which MySQL
    writes from 8.0.23 with `binlog_row_metadata=FULL`, says who wrote the event. Of two readings the one that fits is right;
    where both do and differ, the history decides."""
    codes = [code for code in layout.codes if code in TEXT_CODES or code == GEOMETRY]
    if GEOMETRY not in codes or not optional.text or optional.has_visibility:
        return TextCollations(optional.text.first(sum(code != GEOMETRY for code in codes)))
    numbers = optional.text.first(len(codes))
    as_mariadb = [number for code, number in zip(codes, numbers, strict=True) if code != GEOMETRY]
    as_mysql = optional.text.first(len(as_mariadb))
    geometry = [number for code, number in zip(codes, numbers, strict=True) if code == GEOMETRY]
    if not optional.text.fits(len(codes)) or set(geometry) != {BINARY_COLLATION}:
        return TextCollations(as_mysql)
    if as_mysql == as_mariadb or not optional.text.fits(len(as_mysql)):
        return TextCollations(as_mariadb)
    if known is None or len(known.columns) != len(layout.codes):
        return TextCollations(as_mariadb, only_mariadb=True)
    charsets = [column.charset for code, column in zip(layout.codes, known.columns, strict=True) if code in TEXT_CODES]
    return TextCollations(as_mysql if _charsets(as_mysql) == charsets else as_mariadb)


def _charsets(numbers: Sequence[int | None]) -> list[str | None]:
    """As a schema has them: None for bytes."""
    names = [COLLATIONS.get(number or 0, "") for number in numbers]
    return [None if name == BINARY else charset_of(name) for name in names]
