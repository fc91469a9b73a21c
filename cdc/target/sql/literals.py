"""Wire values as SQL literals of a column's type, for the few places where a statement has no parameters: DEFAULT, above all."""

from typing import Any

from pymysql.converters import escape_string

from cdc.model.change import Value
from cdc.model.errors import TargetRefused
from cdc.model.schema import Column
from cdc.target.sql.dialects import SqlDialect
from cdc.target.sql.names import shown
from cdc.target.sql.values import converter


def literal(dialect: SqlDialect, column: Column, value: Value) -> str:
    """`value` as change events have it. MySQL: under our own sql_mode (backslash escapes); PostgreSQL: a text that the
    column's input function reads, under standard_conforming_strings. Raises TargetRefused for what a literal cannot say."""
    if value is None:
        return "NULL"
    change = converter(dialect, column)
    made: Any = value if change is None else change(value)
    if dialect.name == "postgresql":
        return _text(column, str(made))
    if isinstance(made, bytes):
        return f"x'{made.hex()}'"
    if isinstance(made, bool | int | float):
        return _number(made)
    if dialect.name == "mysql":
        return f"'{escape_string(str(made))}'"
    return _text(column, str(made))


def _number(value: Any) -> str:
    """A float with its exponent: it is read back as a double, not as a decimal."""
    if isinstance(value, float):
        text = repr(value)
        return text if "e" in text else f"{text}e0"
    return str(int(value))


def _text(column: Column, text: str) -> str:
    if "\0" in text:
        raise TargetRefused(
            f"what the rows that are there get in column {shown(column.name)} has U+0000 in it",
            hint="add the column by hand; a column that fits is taken as it is",
        )
    return "'" + text.replace("'", "''") + "'"
