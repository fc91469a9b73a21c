"""From what SELECT sends of one column to the value that the decoder gives for the same column of a row.

A column is an expression to SELECT and a function of the server's bytes, chosen once for each table. The session has
`character_set_results = NULL` (cdc.binlog.selecting.session): the server converts nothing, text comes as it is stored, and it is
the decoder's own functions that read it. So what is no text in its charset is refused here as it is there, where the server would
have put a question mark. Numbers, dates and times come as ASCII whatever the charset (text protocol,
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html).
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from cdc.binlog.decoder.charsets import text_decoder
from cdc.binlog.decoder.numeric import shortest_float32
from cdc.binlog.decoder.spatial import geometry_value, vector_value
from cdc.binlog.decoder.strings import base64_text
from cdc.model.change import Value
from cdc.model.errors import NotUnderstood
from cdc.model.schema import Column, TableSchema

FromServer = Callable[[bytes], Value]
"""Never called for NULL. Raises ValueError (UnicodeDecodeError for text that is none in its charset)."""

_AS_IT_IS = "{c}"
# SELECT prints a FLOAT with 6 digits, and a DOUBLE(m,d) with d behind the point; as a DOUBLE both have all that they need
# ("Floating-Point Types", https://dev.mysql.com/doc/refman/9.7/en/problems-with-float.html).
_AS_DOUBLE = "CAST({c} AS DOUBLE)"
# The number of an enumeration's member, or a set's bits. The text would not tell number 0 from a member ''.
_AS_NUMBER = "CAST({c} AS UNSIGNED)"


class ReadColumn(NamedTuple):
    """`expression` has the quoted column; `read` takes the bytes that the server sends for it."""

    expression: str
    read: FromServer


def read_column(column: Column, quoted: str, table: str) -> ReadColumn:
    """Raises NotUnderstood for a type or a charset that the decoder does not read either; `table` is for its text."""
    kind = column.type
    if kind in _CHOICES:
        members = _members(column, table)
        if may_lack_characters(column):
            return ReadColumn(quoted, _shown_members(column))
        return ReadColumn(_AS_NUMBER.format(c=quoted), _CHOICES[kind](members))
    if column.charset is not None:
        return ReadColumn(quoted, _text(column, table))
    if kind in _PLAIN:
        expression, read = _PLAIN[kind]
        return ReadColumn(expression.format(c=quoted), read)
    raise NotUnderstood(
        f"table {table}: column {column.name} has type {kind}, which is not known here",
        hint="exclude the column (`exclude_columns`), or store it as one of the types in docs/types.md",
    )


def left_out() -> ReadColumn:
    """Of a column that is excluded: it does not leave the server."""
    return ReadColumn("NULL", base64_text)


def unreadable(schema: TableSchema, index: int, error: ValueError) -> NotUnderstood:
    """The error of a value that `read` refuses, in the words of the decoder's."""
    column = schema.columns[index]
    if isinstance(error, UnicodeDecodeError) and column.charset is not None:
        return NotUnderstood(
            f"a row of {schema.name}, column {column.name}: its bytes are not text in its charset {column.charset}",
            hint="mend the value at the source, or store such bytes in a binary column",
        )
    if may_lack_characters(column):
        return NotUnderstood(
            f"a row of {schema.name}, column {column.name}: its member is one that the server shows with a ? in place of a "
            "character beyond U+FFFF, so what the column's members are is not known",
            hint="rename the member, exclude the column (`exclude_columns`), or exclude the table from what is copied",
        )
    return NotUnderstood(
        f"a row of {schema.name}, column {column.name}: what the server sends is no {column.type}",
        hint="the server is newer than this version of Lockstep knows: upgrade Lockstep, or exclude the table",
    )


def _text(column: Column, table: str) -> FromServer:
    decode = text_decoder(column.charset or "")
    if decode is None:
        raise _charset_not_read(column, table, "is text in")
    return decode


def _members(column: Column, table: str) -> tuple[str, ...]:
    if text_decoder(column.charset or "") is None:
        raise _charset_not_read(column, table, "has its members in")
    return column.members


def may_lack_characters(column: Column) -> bool:
    """Both servers show members in their utf8mb3, with a question mark for each character beyond U+FFFF."""
    return column.charset in _BEYOND_BMP and any("?" in member for member in column.members)


_BEYOND_BMP = frozenset(("utf8mb4", "utf16", "utf16le", "utf32", "gb18030"))


def _shown_members(column: Column) -> FromServer:
    """The text that the server sends, which lacks nothing, held against the members as they are shown."""
    decode = text_decoder(column.charset or "")
    assert decode is not None  # noqa: S101 - `_members` has seen it
    shown = frozenset(("", *column.members))

    def read(sent: bytes) -> Value:
        text = decode(sent)
        if not shown.issuperset(text.split(",") if column.type == "set" else (text,)):
            raise ValueError("a member that the server does not show as it is")
        return text

    return read


def _charset_not_read(column: Column, table: str, words: str) -> NotUnderstood:
    return NotUnderstood(
        f"table {table}: column {column.name} {words} charset {column.charset}, which is not read yet",
        hint="exclude the table from `tables`, or store the column in another charset",
    )


def _enum(members: tuple[str, ...]) -> FromServer:
    """Number 0 is the empty text that stands for a refused value."""
    names: dict[bytes, str] = {b"%d" % number: name for number, name in enumerate(("", *members))}

    def read(sent: bytes) -> Value:
        try:
            return names[sent]
        except KeyError:
            raise ValueError("an enumeration with a member that it does not have") from None

    return read


def _set(members: tuple[str, ...]) -> FromServer:
    """One bit for each member, the first the lowest; joined by commas in the order of the definition."""

    @lru_cache(maxsize=1024)
    def read(sent: bytes) -> Value:
        chosen = int(sent)
        if chosen >> len(members):
            raise ValueError("a set with a member that it does not have")
        return ",".join([member for index, member in enumerate(members) if chosen >> index & 1])

    return read


def _decimal(sent: bytes) -> Value:
    """As it is printed, without the zeros that ZEROFILL puts in front."""
    if sent[0] == _ZERO and sent[1:2] not in _BEHIND_A_FIRST_DIGIT:
        whole, point, fraction = sent.partition(b".")
        sent = (whole.lstrip(b"0") or b"0") + point + fraction
    return sent.decode()


_ZERO = 0x30
_BEHIND_A_FIRST_DIGIT = (b"", b".")


def _float32(sent: bytes) -> Value:
    return shortest_float32(_pack_float32(float(sent)))


_pack_float32 = struct.Struct("<f").pack


def _bits(sent: bytes) -> Value:
    return int.from_bytes(sent, "big")


def _datetime(sent: bytes) -> Value:
    return sent.decode().replace(" ", "T")


def _timestamp(sent: bytes) -> Value:
    """In UTC, the session's time zone."""
    return sent.decode().replace(" ", "T") + "Z"


_CHOICES: dict[str, Callable[[tuple[str, ...]], FromServer]] = {"enum": _enum, "set": _set}
_PLAIN: dict[str, tuple[str, FromServer]] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), (_AS_IT_IS, int)),
    "decimal": (_AS_IT_IS, _decimal),
    "float": (_AS_DOUBLE, _float32),
    "double": (_AS_DOUBLE, float),
    "bit": (_AS_IT_IS, _bits),
    "date": (_AS_IT_IS, bytes.decode),
    "time": (_AS_IT_IS, bytes.decode),
    "datetime": (_AS_IT_IS, _datetime),
    "timestamp": (_AS_IT_IS, _timestamp),
    # BINARY comes with all of its zeros, and a geometry as it is stored, which ST_AsBinary would change.
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), (_AS_IT_IS, base64_text)),
    # MySQL's own text, in utf8mb4; MariaDB's JSON is a text column.
    "json": (_AS_IT_IS, bytes.decode),
    **dict.fromkeys(("uuid", "inet4", "inet6"), (_AS_IT_IS, bytes.decode)),
    "vector": (_AS_IT_IS, vector_value),
    **dict.fromkeys(
        (
            "geometry",
            "point",
            "linestring",
            "polygon",
            "multipoint",
            "multilinestring",
            "multipolygon",
            "geometrycollection",
        ),
        (_AS_IT_IS, geometry_value),
    ),
}
