"""From what a table map says about one column to its description and the reader of its values.

Type codes and their metadata: include/field_types.h and
https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Table__map__event.html, "Table_map_event column types".
"""

from collections.abc import Callable
from typing import NamedTuple

from cdc.binlog.decoder import (
    json_binary,
    mariadb_types,
    numeric,
    old_temporal,
    second_codes,
    spatial,
    strings,
    temporal,
)
from cdc.binlog.decoder.charsets import BYTES_PER_CHARACTER, TextDecoder, text_decoder
from cdc.binlog.decoder.compressed import inflated
from cdc.binlog.decoder.cursor import damaged
from cdc.binlog.decoder.facts import BINARY, ENUM, GEOMETRY, SET, STRING, VECTOR, ColumnFacts
from cdc.binlog.decoder.metadata import GEOMETRY_KINDS
from cdc.binlog.decoder.plan import Reader
from cdc.model.schema import Column

METADATA_BYTES = {
    **dict.fromkeys((0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 14), 0),
    **dict.fromkeys((4, 5, 17, 18, 19, 140, 242, 245, 252, 255), 1),
    **dict.fromkeys((15, 16, 141, 246, 253, 254), 2),
}
"""Bytes of metadata for each type code. Of a code that is not here the layout is unknown, and so is that of all behind it."""


class Readable(NamedTuple):
    column: Column
    reader: Reader


class Unreadable(NamedTuple):
    """`reason` continues the sentence "column x …"."""

    column: Column
    reason: str


Described = Readable | Unreadable


def describe(facts: ColumnFacts) -> Described:
    """Raises BinlogDamaged where the metadata cannot be."""
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
    def describe_old(facts: ColumnFacts) -> Described:
        if facts.kind != name or facts.scale is None or facts.scale > temporal.MAX_SCALE:
            return Unreadable(
                Column(facts.name, name, nullable=facts.nullable),
                "is stored in the old format of dates and times, and whether it has a fraction of a second is known from "
                "nowhere: on MariaDB, set mysql56_temporal_format=ON and rebuild the table (ALTER TABLE … FORCE)",
            )
        column = Column(facts.name, name, scale=facts.scale, nullable=facts.nullable)
        return Readable(column, old_temporal.READERS[name](facts.scale))

    return describe_old


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
    if facts.metadata[0] != json_binary.PREFIX_BYTES:
        raise ValueError(f"no JSON column has {facts.metadata[0]} bytes of length")
    return Readable(Column(facts.name, "json", nullable=facts.nullable), json_binary.json_column)


def _geometry(facts: ColumnFacts) -> Described:
    """Of a column of any kind of geometry, where nothing tells the kind, it is the one that all are."""
    kind = facts.kind if facts.kind in GEOMETRY_KINDS else GEOMETRY_KINDS[0]
    return Readable(Column(facts.name, kind, nullable=facts.nullable), spatial.geometry(_blob_prefix(facts)))


def _vector(facts: ColumnFacts) -> Described:
    column = Column(facts.name, "vector", length=facts.length, nullable=facts.nullable)
    return Readable(column, spatial.vector(_blob_prefix(facts)))


_BLOBS = {
    1: ("tinyblob", "tinytext"),
    2: ("blob", "text"),
    3: ("mediumblob", "mediumtext"),
    4: ("longblob", "longtext"),
}


def _blob_prefix(facts: ColumnFacts) -> int:
    prefix = facts.metadata[0]
    if prefix not in _BLOBS:
        raise ValueError(f"no blob has {prefix} bytes of length")
    return prefix


def _blob(facts: ColumnFacts) -> Described:
    prefix = _blob_prefix(facts)
    name, text_name = _BLOBS[prefix]
    if facts.charset == BINARY:
        return Readable(Column(facts.name, name, nullable=facts.nullable), strings.base64(prefix))
    return _text(facts, text_name, prefix, None)


def _compressed_blob(facts: ColumnFacts) -> Described:
    prefix = _blob_prefix(facts)
    name, text_name = _BLOBS[prefix]
    return _compressed(facts, (name, text_name), prefix, None)


def _compressed_varchar(facts: ColumnFacts) -> Described:
    """The metadata counts the byte of the method too."""
    max_bytes = int.from_bytes(facts.metadata, "little")
    return _compressed(facts, ("varbinary", "varchar"), 1 if max_bytes < 256 else 2, max_bytes - 1)


def _compressed(facts: ColumnFacts, names: tuple[str, str], prefix: int, max_bytes: int | None) -> Described:
    limit = 256**prefix - 1 if max_bytes is None else max_bytes
    if facts.charset != BINARY:
        return _text(facts, names[1], prefix, max_bytes, lambda decode: lambda raw: decode(inflated(raw, limit)))
    column = Column(facts.name, names[0], length=max_bytes, nullable=facts.nullable)
    return Readable(column, strings.text(prefix, lambda raw: strings.base64_text(inflated(raw, limit))))


def _varchar(facts: ColumnFacts) -> Described:
    max_bytes = int.from_bytes(facts.metadata, "little")
    prefix = 1 if max_bytes < 256 else 2
    if facts.charset == BINARY and facts.kind == "vector":  # MariaDB's, from 11.7
        column = Column(facts.name, "vector", length=max_bytes // 4, nullable=facts.nullable)
        return Readable(column, spatial.vector(prefix))
    if facts.charset == BINARY:
        column = Column(facts.name, "varbinary", length=max_bytes, nullable=facts.nullable)
        return Readable(column, strings.base64(prefix))
    return _text(facts, "varchar", prefix, max_bytes)


def _char(facts: ColumnFacts) -> Described:
    max_bytes = _char_bytes(facts.metadata)
    prefix = 1 if max_bytes < 256 else 2
    if facts.charset == BINARY and facts.kind is not None and mariadb_types.LENGTHS.get(facts.kind) == max_bytes:
        column = Column(facts.name, facts.kind, nullable=facts.nullable)
        return Readable(column, mariadb_types.fixed(facts.kind, prefix))
    if facts.charset == BINARY:
        column = Column(facts.name, "binary", length=max_bytes, nullable=facts.nullable)
        return Readable(column, strings.padded_base64(prefix, max_bytes))
    return _text(facts, "char", prefix, max_bytes)


def _char_bytes(metadata: bytes) -> int:
    """The length's two highest bits stand, inverted, in the type's byte: a length above 255 came later than the format."""
    kind, low = metadata
    if kind | 0x30 != STRING:
        raise ValueError(f"a string of type {kind}")
    return ((kind & 0x30) ^ 0x30) << 4 | low


def _text(
    facts: ColumnFacts,
    name: str,
    prefix: int,
    max_bytes: int | None,
    through: Callable[[TextDecoder], TextDecoder] = lambda decode: decode,
) -> Described:
    """`through` makes the decoder of what is stored from the one of the text."""
    length = None if max_bytes is None else max_bytes // BYTES_PER_CHARACTER.get(facts.charset or "", 1)
    column = _with_charset(facts, name, length=length)
    decode = text_decoder(facts.charset or "")
    if decode is None:
        return Unreadable(column, f"is text {_in_charset(facts)}, which is not read yet")
    if facts.key_of:
        decode = second_codes.of_a_key(decode, facts.charset, facts.key_of, facts.name)
    return Readable(column, strings.text(prefix, through(decode)))


def _with_charset(facts: ColumnFacts, name: str, *, length: int | None = None, members: tuple[str, ...] = ()) -> Column:
    return Column(
        facts.name,
        name,
        length=length,
        charset=facts.charset,
        collation=facts.collation,
        members=members,
        nullable=facts.nullable,
    )


def _in_charset(facts: ColumnFacts) -> str:
    return f"in charset {facts.charset}" if facts.charset else f"with {facts.collation}"


def _chosen(name: str, reader: Callable[[int, tuple[str, ...]], Reader]) -> Callable[[ColumnFacts], Described]:
    def describe_chosen(facts: ColumnFacts) -> Described:
        decode = text_decoder(facts.charset or "")
        if decode is None:
            return Unreadable(
                _with_charset(facts, name), f"has its members {_in_charset(facts)}, which is not read yet"
            )
        members = tuple(member if isinstance(member, str) else decode(member) for member in facts.members)
        return Readable(_with_charset(facts, name, members=members), reader(facts.metadata[1], members))

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
    140: _compressed_blob,
    141: _compressed_varchar,
    VECTOR: _vector,
    245: _json,
    246: _decimal,
    ENUM: _chosen("enum", strings.enum),
    SET: _chosen("set", strings.set_),
    252: _blob,
    253: _varchar,
    STRING: _char,
    GEOMETRY: _geometry,
}
