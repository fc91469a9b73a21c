"""Conditions on keys: wire values as literals that compare as the column does, and ranges in a form that both servers read by the
key's index. Pure functions.

Comparing is the server's business, in the column's own collation: a literal has the lowest coercibility, so the column's
collation decides, and the server turns the literal into the column's charset, or refuses it ("Collation Coercibility in
Expressions", https://dev.mysql.com/doc/refman/9.7/en/charset-collation-coercibility.html). Of several columns, `(a, b) > (x,
y)` is no index range to MySQL; `a > x OR (a = x AND b > y)` is one ("Row Constructor Expression Optimization",
https://dev.mysql.com/doc/refman/9.7/en/row-constructor-optimization.html).
"""

import re
import struct
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cdc.binlog.rows_port import Key
from cdc.model.change import Value
from cdc.model.errors import TableRefused
from cdc.model.schema import Column, TableSchema

Literal = Callable[[Any], str]

_EXACT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_PLAIN = re.compile(r"[-0-9A-Fa-f:. ]*")  # of dates, times, UUIDs and addresses: nothing that would end a quoted text


class KeyColumn(NamedTuple):
    """`quoted`: with database and table, so that no name of the SELECT list stands in for it. `descending`: in the index."""

    quoted: str
    literal: Literal
    descending: bool = False


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def quoted_table(db: str, table: str) -> str:
    return f"{quoted(db)}.{quoted(table)}"


def key_columns(schema: TableSchema, masked: Sequence[str], descending: frozenset[str]) -> tuple[KeyColumn, ...]:
    """In key order. Raises TableRefused: no key, a masked column, a type that is not compared here."""
    if not schema.key:
        raise TableRefused(
            f"table {schema.name} has no primary key, so its rows cannot be read in order",
            hint=f"give it one (ALTER TABLE {schema.name} ADD PRIMARY KEY …), or exclude it from `tables`",
        )
    table = quoted_table(schema.db, schema.table)
    found = []
    for name in schema.key:
        if name in masked:
            raise TableRefused(
                f"column {schema.name}.{name} is masked, and belongs to the table's key: from a mask no row is found again",
                hint="leave the key unmasked (`mask_columns`), or exclude the table from what is copied and compared",
            )
        column = schema.column(name)
        found.append(KeyColumn(f"{table}.{quoted(name)}", literal(column, schema.name), name in descending))
    return tuple(found)


def order(key: Sequence[KeyColumn]) -> str:
    """Behind ORDER BY: the index's own order."""
    return ", ".join(f"{column.quoted} DESC" if column.descending else column.quoted for column in key)


def after(key: Sequence[KeyColumn], values: Key) -> str:
    """Rows behind the key `values`."""
    return _beyond(key, _literals(key, values), ("<", ">"), "")


def until(key: Sequence[KeyColumn], values: Key) -> str:
    """Rows up to the key `values`, itself included."""
    return _beyond(key, _literals(key, values), (">", "<"), "=")


def one_of(key: Sequence[KeyColumn], keys: Sequence[Key]) -> str:
    """Rows of the keys; of several columns as alternatives, which both servers read by the index."""
    if len(key) == 1:
        (only,) = key
        return f"{only.quoted} IN ({', '.join([_literals(key, values)[0] for values in keys])})"
    return " OR ".join(
        [
            "("
            + " AND ".join(
                f"{column.quoted} = {text}" for column, text in zip(key, _literals(key, values), strict=True)
            )
            + ")"
            for values in keys
        ]
    )


def _beyond(key: Sequence[KeyColumn], literals: Sequence[str], signs: tuple[str, str], equal: str) -> str:
    """`signs`: for descending and for ascending columns. `equal`: "=" takes the key itself in.

    The first column alone bounds it once more: so a server that does not see through the alternatives reads a range too.
    """
    alternatives = []
    for index, column in enumerate(key):
        same = [f"{key[place].quoted} = {literals[place]}" for place in range(index)]
        last = equal if index == len(key) - 1 else ""
        same.append(f"{column.quoted} {_sign(column, signs)}{last} {literals[index]}")
        alternatives.append(" AND ".join(same))
    if len(key) == 1:
        return alternatives[0]
    first = f"{key[0].quoted} {_sign(key[0], signs)}= {literals[0]}"
    return f"{first} AND ({' OR '.join(f'({one})' for one in alternatives)})"


def _sign(column: KeyColumn, signs: tuple[str, str]) -> str:
    return signs[0] if column.descending else signs[1]


def _literals(key: Sequence[KeyColumn], values: Key) -> list[str]:
    """Raises TableRefused where the values are not of this key: it may have been another one when they were read."""
    try:
        return [column.literal(value) for column, value in zip(key, values, strict=True)]
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, OverflowError) as error:
        names = ", ".join(column.quoted for column in key)
        raise TableRefused(
            f"a key of {len(values)} columns to be looked for is none of the key {names}: that is another one now",
            hint="take the table over anew",
        ) from error


def literal(column: Column, table: str) -> Literal:
    """Of the column's values on the wire. Raises TableRefused for a type that is no key's."""
    kind = column.type
    if kind == "enum":
        return _number_of_member(column.members)
    if kind == "set":
        return _bits_of_members(column.members)
    if column.charset is not None:
        return _text
    if kind in _LITERALS:
        return _LITERALS[kind]
    raise TableRefused(
        f"column {table}.{column.name} is a {kind} in the table's key, by which rows cannot be found",
        hint="give the table another primary key, or exclude it from `tables`",
    )


# Of these each character has one code. In others (cp932, sjis, …) some have two, both of which are one text on the wire.
_ONE_CODE = frozenset(("ascii", "latin1", "ucs2", "utf16", "utf16le", "utf32", "utf8mb3", "utf8mb4"))


def ambiguous(schema: TableSchema) -> tuple[int, ...]:
    """The places of key columns of which a text may be stored in two ways."""
    return tuple(
        place
        for place, column in enumerate(schema.columns)
        if column.name in schema.key
        and column.type not in ("enum", "set")
        and column.charset is not None
        and column.charset not in _ONE_CODE
    )


def stored(column: Column, value: Value) -> str:
    """An expression for the hex digits of how the server stores a text in the column."""
    return f"HEX(CONVERT({_text(value)} USING {column.charset}))"  # type: ignore[arg-type] # a text, as the column's type says


def _integer(value: Value) -> str:
    return str(int(value))  # type: ignore[arg-type] # an integer's, as the column's type says


def _decimal(value: str) -> str:
    """Bare: a DECIMAL is compared with text as doubles."""
    if not _EXACT.fullmatch(value):
        raise ValueError("not a decimal")
    return value


def _double(value: float) -> str:
    """With an exponent it is a double, read back exactly from its shortest form; without, it would be a decimal."""
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"


def _float(value: float) -> str:
    """A FLOAT is compared as the double that its 32 bits are, which the few digits on the wire are not."""
    return _double(_float32.unpack(_float32.pack(value))[0])


_float32 = struct.Struct("<f")


def _plain(value: str) -> str:
    if not _PLAIN.fullmatch(value):
        raise ValueError("not a date, a time, a UUID or an address")
    return f"'{value}'"


def _datetime(value: str) -> str:
    return _plain(value.removesuffix("Z").replace("T", " "))


def _text(value: str) -> str:
    return f"_utf8mb4 x'{value.encode().hex()}'"


def _binary(value: str) -> str:
    return f"x'{b64decode(value, validate=True).hex()}'"


def _number_of_member(members: tuple[str, ...]) -> Literal:
    """Enumerations sort by number, and are compared by it with a number ("The ENUM Type"). Number 0 is the empty text."""
    numbers = {"": 0} | {member: number for number, member in enumerate(members, 1)}
    return lambda value: str(numbers[value])


def _bits_of_members(members: tuple[str, ...]) -> Literal:
    bits = {member: 1 << index for index, member in enumerate(members)}
    return lambda value: str(sum(bits[member] for member in value.split(",")) if value else 0)


_LITERALS: dict[str, Literal] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year"), _integer),
    "decimal": _decimal,
    "float": _float,
    "double": _double,
    **dict.fromkeys(("date", "time", "uuid", "inet4", "inet6"), _plain),
    **dict.fromkeys(("datetime", "timestamp"), _datetime),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), _binary),
}
