"""Wire value → what the driver is given, compiled once for each column: None where the value goes as it is.

Wire values are Debezium's JSON forms (docs/types.md): decimals and times as text, binary as base64, bit and bigint as integers.
"""

from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any

from cdc.model.change import Value
from cdc.model.schema import Column
from cdc.target.sql.dialects import SqlDialect
from cdc.target.sql.typemap import BINARIES, INTEGERS, integer_range

Converter = Callable[[Any], Any]


def converter(dialect: SqlDialect, column: Column) -> Converter | None:
    """The conversion of one column's values; never called with None (NULL stays None)."""
    if column.type in BINARIES:
        return _bytea_text if dialect.name == "postgresql" else b64decode
    if dialect.name == "mysql" and column.type == "timestamp":
        return _without_zone
    wide = integer_range(column)
    if dialect.name == "sqlite" and column.type in {*INTEGERS, "bit"} and wide is not None and wide[1] >= 2**63:
        return str
    return None


def _bytea_text(value: str) -> str:
    """bytea's hex input form (PostgreSQL manual, 8.4.1): text, so that COPY and parameters take it alike."""
    return "\\x" + b64decode(value).hex()


def _without_zone(value: str) -> str:
    """MySQL takes no `Z`; sessions here have time_zone = '+00:00'."""
    return value.removesuffix("Z")


def convert(rows: Sequence[Sequence[Value]], converters: Sequence[tuple[int, Converter]]) -> Sequence[Sequence[Any]]:
    """The rows with the conversions applied at their column's index; the rows themselves where there are none."""
    if not converters:
        return rows
    converted = []
    for row in rows:
        values: list[Any] = list(row)
        for index, change in converters:
            if values[index] is not None:
                values[index] = change(values[index])
        converted.append(values)
    return converted
