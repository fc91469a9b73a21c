"""What servers of all kinds make the same digest of, so that ranges of rows are compared without being fetched.

A row's text: for each column, in the schema's order, `N` for NULL, else the number of bytes of its value's text in decimal
digits, a colon, and that text in UTF-8. The text of a value is the one of change events; of a number its decimal digits, of bytes
their hex digits in lower case. So two rows have one text only where they are equal. A range's digest is the number of its rows,
and the sum of the first 60 bits of the SHA-256 of each row's text: the order does not matter, and all the servers have SHA-256
(MD5 they have not: MySQL 9.7 answers that there is no such function).
"""

from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from cdc.model.change import Row
from cdc.model.schema import Column, TableSchema

HEX_DIGITS: Final = 15
"""Of each row's hash, the first ones: 60 bits, a positive number in 64 bits wherever it is made."""

Form = Literal["number", "decimal", "date", "moment", "text", "bytes"]

_FORMS: dict[str, Form] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year"), "number"),
    "decimal": "decimal",
    "date": "date",
    **dict.fromkeys(("datetime", "timestamp"), "moment"),
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"), "text"),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), "bytes"),
}


@dataclass(frozen=True, slots=True)
class RangeDigest:
    """`total`: the sum over its rows."""

    rows: int
    total: int


def form_of(column: Column) -> Form | None:
    """None for a type whose values have no text that is the same at all servers: floats, spans of time, documents, geometries."""
    return _FORMS.get(column.type)


def texts_of(schema: TableSchema, row: Row) -> list[str | None] | None:
    """The texts of a row of a change event, column by column; None where a column has none."""
    texts: list[str | None] = []
    for column in schema.columns:
        form, value = form_of(column), row[column.name]
        if form is None:
            return None
        as_hex = form == "bytes" and value is not None
        texts.append(b64decode(str(value)).hex() if as_hex else None if value is None else str(value))
    return texts


def row_number(texts: Iterable[str | None]) -> int:
    """What one row adds to the total."""
    parts = []
    for text in texts:
        raw = None if text is None else text.encode("utf-8", "backslashreplace")
        parts.append(b"N" if raw is None else b"%d:%b" % (len(raw), raw))
    return int(sha256(b"".join(parts)).hexdigest()[:HEX_DIGITS], 16)
