"""Wire values as SQL literals, and lists of them cut into statements of bounded size. Pure functions.

PyMySQL has no server-side parameters: it would write the same literals, value by value. Here each column has its encoder,
chosen once, which is what makes bulk statements cheap.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from pymysql.converters import escape_string

from cdc.model.batch import Key
from cdc.model.change import Row
from cdc.target.sql.plan import TablePlan
from cdc.target.sql.typemap import BINARIES

Encoder = Callable[[Any], str]

# MySQL manual, 11.1.2 "Numeric Literals", without exponent: an exact value.
_EXACT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def encoders(plan: TablePlan) -> tuple[Encoder, ...]:
    """One encoder for each of `plan.source_columns`; they take None too."""
    converters = dict(plan.converters)
    return tuple(encoder(column.type, converters.get(index)) for index, column in enumerate(plan.schema.columns))


_KINDS = {**dict.fromkeys(BINARIES, "binary"), "decimal": "decimal", "timestamp": "instant", "float": "single"}


def received_encoders(plan: TablePlan) -> list[str | Encoder]:
    """The same for ReceivedRows.mysql_values."""
    converters = dict(plan.converters)
    return [
        _KINDS.get(column.type) or ("literal" if index not in converters else encoder(column.type, converters[index]))
        for index, column in enumerate(plan.schema.columns)
    ]


def parameter_kinds(encoders: Sequence[str | Encoder]) -> list[str] | None:
    """Of `received_encoders`, what ReceivedRows.mysql_parameters takes; None where some column is written as literals only."""
    kinds = [one for one in encoders if isinstance(one, str) and one != "binary"]
    return kinds if len(kinds) == len(encoders) else None


def literal(value: Any) -> str:
    """A literal under our own sql_mode (backslash escapes, text in single quotes), in utf8mb4."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return f"'{escape_string(value)}'"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # With an exponent it is a double, read back exactly from its shortest form; without, it would be a decimal.
        text = repr(value)
        return text if "e" in text else f"{text}e0"
    return f"x'{value.hex()}'"


def encoder(type_: str, convert: Callable[[Any], Any] | None) -> Encoder:
    if type_ in BINARIES:
        return _binary
    if type_ == "decimal":
        return _decimal
    if convert is None:
        return literal
    return lambda value: "NULL" if value is None else literal(convert(value))


def _binary(value: str | None) -> str:
    return "NULL" if value is None else f"x'{b64decode(value).hex()}'"


def _decimal(value: Any) -> str:
    """Bare, not quoted: a DECIMAL is compared with text as doubles, which finds wrong keys and uses no index."""
    if isinstance(value, str) and _EXACT.fullmatch(value):
        return value
    return literal(value)


def row_texts(encode: Sequence[Encoder], names: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """`(1,'a',NULL)` for each row, of the columns `names`, column by column."""
    columns = [map(one, map(itemgetter(name), rows)) for one, name in zip(encode, names, strict=True)]
    return [f"({','.join(values)})" for values in zip(*columns, strict=True)]


def key_texts(encode: Sequence[Encoder], keys: Sequence[Key]) -> list[str]:
    """`1` for a key of one column, `(1,'a')` for more."""
    if len(encode) == 1:
        one = encode[0]
        return [one(key[0]) for key in keys]
    columns = [map(one, map(itemgetter(index), keys)) for index, one in enumerate(encode)]
    return [f"({','.join(values)})" for values in zip(*columns, strict=True)]


def pieces(texts: Sequence[str], *, max_bytes: int, max_count: int) -> Iterator[slice]:
    """Consecutive slices of `texts`, each at most `max_count` long and `max_bytes` in UTF-8; a longer text stands alone."""
    start, size = 0, 0
    for index, text in enumerate(texts):
        length = size_bytes(text) + 1
        if index > start and (size + length > max_bytes or index - start >= max_count):
            yield slice(start, index)
            start, size = index, 0
        size += length
    if start < len(texts):
        yield slice(start, len(texts))


def size_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
