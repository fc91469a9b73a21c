"""From what a table map says about one column to its description and the reader of its values.

Type codes and their metadata: include/field_types.h and
https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Table__map__event.html, "Table_map_event column types".
"""

from collections.abc import Callable
from typing import NamedTuple

from cdc.binlog.decoder import json_binary, numeric, strings, temporal
from cdc.binlog.decoder.charsets import BINARY_COLLATION, BYTES_PER_CHARACTER, text_decoder
from cdc.binlog.decoder.collations import COLLATIONS, charset_of
from cdc.binlog.decoder.cursor import damaged
from cdc.binlog.decoder.plan import Reader
from cdc.model.schema import Column

ENUM, SET, STRING = 247, 248, 254

METADATA_BYTES = {
    **dict.fromkeys((0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 14), 0),
    **dict.fromkeys((4, 5, 17, 18, 19, 140, 242, 245, 252, 255), 1),
    **dict.fromkeys((15, 16, 141, 246, 253, 254), 2),
}
"""Bytes of metadata for each type code. Of a code that is not here the layout is unknown, and so is that of all behind it."""

NUMERIC_CODES = frozenset((1, 2, 3, 4, 5, 8, 9, 13, 246))
"""What the SIGNEDNESS field has bits for; years are among them, bits are not (seen at MySQL 9.7 and MariaDB 10.11)."""

TEXT_CODES = frozenset((15, 140, 141, 242, 252, 253, 254))
"""What the charset fields list: text and bytes alike, and vectors; not enumerations and sets. MariaDB lists geometry too, MySQL
does not: as long as tables with geometry are refused, it is of no consequence which charset is taken for their text."""


class ColumnFacts(NamedTuple):
    """One column as the table map has it. `code` is the real type's: an enumeration's, where the event says STRING."""

    name: str
    code: int
    metadata: bytes
    nullable: bool
    unsigned: bool
    collation: int | None
    members: tuple[bytes, ...]


class Readable(NamedTuple):
    column: Column
    reader: Reader


class Unreadable(NamedTuple):
    """`reason` continues the sentence "column x …"."""

    column: Column
    reason: str


Described = Readable | Unreadable


def describe(facts: ColumnFacts) -> Described:
    """Raises BinlogDamaged where the metadata cannot be, or a collation is unknown."""
    try:
        return _DESCRIBERS[facts.code](facts)
    except (ValueError, IndexError) as error:
        raise damaged(f"table map event: column {facts.name} has impossible metadata ({error})") from error


def real_code(code: int, metadata: bytes) -> int:
    """Enumerations and sets are announced as STRING, with their own code in the metadata's first byte."""
    return metadata[0] if code == STRING and metadata[0] in (ENUM, SET) else code


def _integer(name: str, length: int) -> Callable[[ColumnFacts], Described]:
    def describe_integer(facts: ColumnFacts) -> Described:
        column = Column(facts.name, name, unsigned=facts.unsigned, nullable=facts.nullable)
        return Readable(column, numeric.fixed_integer(length, facts.unsigned))

    return describe_integer


def _plain(name: str, reader: Reader) -> Callable[[ColumnFacts], Described]:
    return lambda facts: Readable(Column(facts.name, name, nullable=facts.nullable), reader)


def _floating(name: str, reader: Reader) -> Callable[[ColumnFacts], Described]:
    return lambda facts: Readable(Column(facts.name, name, unsigned=facts.unsigned, nullable=facts.nullable), reader)


def _unreadable(name: str, reason: str) -> Callable[[ColumnFacts], Described]:
    return lambda facts: Unreadable(Column(facts.name, name, nullable=facts.nullable), reason)


def _old_temporal(name: str) -> Callable[[ColumnFacts], Described]:
    return _unreadable(
        name,
        "is stored in the old format of dates and times: on MariaDB, set mysql56_temporal_format=ON and rebuild the table "
        "(ALTER TABLE … FORCE)",
    )


def _decimal(facts: ColumnFacts) -> Described:
    precision, scale = facts.metadata
    column = Column(
        facts.name, "decimal", unsigned=facts.unsigned, precision=precision, scale=scale, nullable=facts.nullable
    )
    return Readable(column, numeric.decimal(precision, scale))


def _bit(facts: ColumnFacts) -> Described:
    odd, whole = facts.metadata
    bits = 8 * whole + odd
    if not 0 < bits <= 64:
        raise ValueError(f"there is no bit({bits})")
    return Readable(Column(facts.name, "bit", length=bits, nullable=facts.nullable), numeric.bit(bits))


def _temporal(name: str, reader: Callable[[int], Reader]) -> Callable[[ColumnFacts], Described]:
    def describe_temporal(facts: ColumnFacts) -> Described:
        (scale,) = facts.metadata
        if scale > temporal.MAX_SCALE:
            raise ValueError(f"there is no {name}({scale})")
        return Readable(Column(facts.name, name, scale=scale, nullable=facts.nullable), reader(scale))

    return describe_temporal


def _json(facts: ColumnFacts) -> Described:
    return Readable(Column(facts.name, "json", nullable=facts.nullable), json_binary.json_column(facts.metadata[0]))


_BLOBS = {
    1: ("tinyblob", "tinytext"),
    2: ("blob", "text"),
    3: ("mediumblob", "mediumtext"),
    4: ("longblob", "longtext"),
}


def _blob(facts: ColumnFacts) -> Described:
    prefix = facts.metadata[0]
    if prefix not in _BLOBS:
        raise ValueError(f"no blob has {prefix} bytes of length")
    name, text_name = _BLOBS[prefix]
    if facts.collation == BINARY_COLLATION:
        return Readable(Column(facts.name, name, nullable=facts.nullable), strings.base64(prefix))
    return _text(facts, text_name, prefix, None)


def _varchar(facts: ColumnFacts) -> Described:
    max_bytes = int.from_bytes(facts.metadata, "little")
    prefix = 1 if max_bytes < 256 else 2
    if facts.collation == BINARY_COLLATION:
        column = Column(facts.name, "varbinary", length=max_bytes, nullable=facts.nullable)
        return Readable(column, strings.base64(prefix))
    return _text(facts, "varchar", prefix, max_bytes)


def _char(facts: ColumnFacts) -> Described:
    max_bytes = _char_bytes(facts.metadata)
    prefix = 1 if max_bytes < 256 else 2
    if facts.collation == BINARY_COLLATION:
        column = Column(facts.name, "binary", length=max_bytes, nullable=facts.nullable)
        return Readable(column, strings.padded_base64(prefix, max_bytes))
    return _text(facts, "char", prefix, max_bytes)


def _char_bytes(metadata: bytes) -> int:
    """The length's two highest bits stand, inverted, in the type's byte: a length above 255 came later than the format."""
    kind, low = metadata
    if kind | 0x30 != STRING:
        raise ValueError(f"a string of type {kind}")
    return ((kind & 0x30) ^ 0x30) << 4 | low


def _text(facts: ColumnFacts, name: str, prefix: int, max_bytes: int | None) -> Described:
    collation, charset = _charset(facts)
    length = None if max_bytes is None else max_bytes // BYTES_PER_CHARACTER.get(charset, 1)
    column = Column(facts.name, name, length=length, charset=charset, collation=collation, nullable=facts.nullable)
    decode = text_decoder(charset)
    if decode is None:
        return Unreadable(column, f"is text in charset {charset}, which is not read yet")
    return Readable(column, strings.text(prefix, decode))


def _charset(facts: ColumnFacts) -> tuple[str, str]:
    """(collation, charset) by name."""
    if facts.collation not in COLLATIONS:
        raise ValueError(f"collation {facts.collation} is not one of MySQL 9.7 or MariaDB 10.11")
    collation = COLLATIONS[facts.collation]
    return collation, charset_of(collation)


def _chosen(name: str, reader: Callable[[int, tuple[str, ...]], Reader]) -> Callable[[ColumnFacts], Described]:
    def describe_chosen(facts: ColumnFacts) -> Described:
        collation, charset = _charset(facts)
        decode = text_decoder(charset)
        column = Column(facts.name, name, charset=charset, collation=collation, nullable=facts.nullable)
        if decode is None:
            return Unreadable(column, f"has its members in charset {charset}, which is not read yet")
        members = tuple(decode(member) for member in facts.members)
        column = Column(
            facts.name, name, charset=charset, collation=collation, members=members, nullable=facts.nullable
        )
        return Readable(column, reader(facts.metadata[1], members))

    return describe_chosen


_DESCRIBERS: dict[int, Callable[[ColumnFacts], Described]] = {
    0: _unreadable("decimal", "is a decimal of before MySQL 5.0: rebuild the table (ALTER TABLE … FORCE)"),
    1: _integer("tinyint", 1),
    2: _integer("smallint", 2),
    3: _integer("int", 4),
    4: _floating("float", numeric.float32),
    5: _floating("double", numeric.float64),
    7: _old_temporal("timestamp"),
    8: _integer("bigint", 8),
    9: _integer("mediumint", 3),
    10: _plain("date", temporal.date),
    11: _old_temporal("time"),
    12: _old_temporal("datetime"),
    13: _plain("year", numeric.year),
    14: _plain("date", temporal.date),
    15: _varchar,
    16: _bit,
    17: _temporal("timestamp", temporal.timestamp2),
    18: _temporal("datetime", temporal.datetime2),
    19: _temporal("time", temporal.time2),
    140: _unreadable("longblob", "is COMPRESSED, which is not read yet"),
    141: _unreadable("varbinary", "is COMPRESSED, which is not read yet"),
    242: _unreadable("vector", "has type vector, which is not read yet"),
    245: _json,
    246: _decimal,
    ENUM: _chosen("enum", strings.enum),
    SET: _chosen("set", strings.set_),
    252: _blob,
    253: _varchar,
    STRING: _char,
    255: _unreadable("geometry", "has type geometry, which is not read yet"),
}
