"""What reads a table's rows in C, where it is built: a code for each column, or nothing.

The plain reader (cdc.binlog.selecting.rows) reads all of a table that has a column of another type, a multi-byte charset other
than UTF-8, a mask, or a key in a charset of which it refuses some characters. CDC_DECODER chooses for these rows what it
chooses for rows events.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import orjson

from cdc.binlog.decoder import load
from cdc.binlog.decoder.projection import Projection
from cdc.binlog.decoder.second_codes import SECOND_CODES
from cdc.binlog.selecting.columns import may_lack_characters
from cdc.model.schema import Column, TableSchema

if TYPE_CHECKING:
    from cdc.binlog.decoder import compiled_plan
    from cdc.binlog.decoder.compiled import Encoding, Kind
    from cdc.binlog.selecting.text_rows import TextRows
else:
    try:
        from cdc.binlog.decoder import compiled_plan
        from cdc.binlog.decoder.compiled import Encoding, Kind
        from cdc.binlog.selecting.text_rows import TextRows
    except ImportError:
        Encoding = Kind = TextRows = compiled_plan = None

__all__ = ["Encoding", "TextRows", "text_encoding"]

_UTF8 = ("utf8mb4", "utf8mb3")
_MOST_MEMBERS = 64  # of a set
# Types of which two values may be equal and their JSON not (0.0 and -0.0).
_NOT_BY_JSON = frozenset(("float", "double"))
# Numbers, dates and times come as text, which is theirs on the wire too; see text_rows.pyx for what is done to it.
_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), "SIGNED"),
    "decimal": "DECIMAL",
    "float": "FLOAT",
    "double": "DOUBLE",
    "bit": "BITS",
    "datetime": "DATETIME",
    "timestamp": "TIMESTAMP",
    **dict.fromkeys(("date", "time", "json", "uuid", "inet4", "inet6"), "UTF8"),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), "BASE64"),
}


def text_encoding(schema: TableSchema, projection: Projection) -> "Encoding | None":
    """`schema`: of the whole table. None where the plain reader must read it."""
    if TextRows is None or projection.masked or load().name != "compiled":
        return None
    names = [column.name for column in schema.columns]
    key = [names.index(name) for name in schema.key]
    if len(set(names)) != len(names) or any(_is_plain_key(schema.columns[place]) for place in key):
        return None
    codes = [
        _code(column) if place in projection.kept else (Kind.BASE64, ()) for place, column in enumerate(schema.columns)
    ]
    if any(code is None for code in codes):
        return None
    columns = [
        (code[0], 0, 0, code[1], place in projection.kept, False)
        for place, code in enumerate(codes)
        if code is not None
    ]
    fingerprint = projection.schema.fingerprint()
    return Encoding(
        None, schema.db, schema.table, fingerprint, columns, [orjson.dumps(name) for name in names], key, {}
    )


def _is_plain_key(column: Column) -> bool:
    """Whether the plain reader must see the column, since it is in the key."""
    return column.type in _NOT_BY_JSON or column.charset in SECOND_CODES


def _code(column: Column) -> "tuple[Kind, tuple[bytes, ...]] | None":
    """Its kind, and the kind's texts. None: not for C."""
    if column.type == "enum":
        members = tuple(orjson.dumps(member) for member in ("", *column.members))
        return None if may_lack_characters(column) else (Kind.ENUM, members)
    if column.type == "set":
        members = tuple(orjson.dumps(member)[1:-1] for member in column.members)
        return None if may_lack_characters(column) or len(members) > _MOST_MEMBERS else (Kind.SET, members)
    if column.charset in _UTF8:
        return Kind.UTF8, ()
    if column.charset is not None:
        table = compiled_plan.one_byte_table(column.charset)
        return None if table is None else (Kind.ONE_BYTE, (table,))
    kind = _KINDS.get(column.type)
    if kind is None or (kind in ("FLOAT", "DOUBLE") and not compiled_plan.floats_are_known()):
        return None
    return Kind[kind], ()
