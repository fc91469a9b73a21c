# ruff: noqa: S608 - names are quoted, keys are literals of cdc.binlog.selecting.keys
"""The SQL of a row's text as cdc.model.row_digest describes it, and of a range's digest. Pure functions."""

from collections.abc import Mapping, Sequence

from cdc.binlog.rows_port import Key
from cdc.binlog.selecting import keys
from cdc.binlog.selecting.table import TablePlan
from cdc.model.row_digest import HEX_DIGITS, Form, form_of
from cdc.model.schema import Column

_INTEGERS = frozenset(("tinyint", "smallint", "mediumint", "int", "bigint", "year"))
# Plus zero: ZEROFILL would be printed. As bytes: texts of several collations cannot be put together.
_TEXTS: Mapping[Form, str] = {
    "number": "CAST({c} + 0 AS CHAR)",
    "decimal": "CAST({c} + 0 AS CHAR)",
    "date": "CAST({c} AS CHAR)",
    "text": "CAST(CONVERT({c} USING utf8mb4) AS BINARY)",
    "bytes": "LOWER(HEX({c}))",
}
# A text beyond max_allowed_packet is NULL: such a row must make two digests unequal, so each side adds a number of its own.
_TOO_LARGE = 2**61 - 1


def row_text(plan: TablePlan) -> str | None:
    """None where it has none, or the table's ranges are not those of a target."""
    schema, kept = plan.schema, plan.projection.kept
    ascending = all(not column.descending for column in plan.key)
    if plan.projection.masked or not ascending or any(schema.column(name).type not in _INTEGERS for name in schema.key):
        return None
    texts = [_text(schema.columns[place]) for place in kept]
    if any(text is None for text in texts):
        return None
    parts = [f"IFNULL(CONCAT(LENGTH({text}), ':', {text}), 'N')" for text in texts]
    return f"CONCAT({', '.join(parts)}, '')"


def _text(column: Column) -> str | None:
    form, name = form_of(column), keys.quoted(column.name)
    if form == "moment":
        zone = "'Z'" if column.type == "timestamp" else "''"
        return f"CONCAT(REPLACE(CAST({name} AS CHAR), ' ', 'T'), {zone})"
    return None if form is None else _TEXTS[form].format(c=name)


def range_digest(plan: TablePlan, text: str, after: Key | None, until: Key | None) -> str:
    """SELECT (rows, total)."""
    number = f"CAST(CONV(LEFT(SHA2({text}, 256), {HEX_DIGITS}), 16, 10) AS UNSIGNED)"
    source = plan.select_key.partition(" FROM ")[2]
    conditions = _conditions(plan, after, until)
    return f"SELECT COUNT(*), COALESCE(SUM(IFNULL({number}, {_TOO_LARGE})), 0) FROM {source}{conditions}"


def range_end(plan: TablePlan, after: Key | None, rows: int) -> str:
    """SELECT the key of the last of `rows` rows; nothing where there are fewer."""
    return f"{plan.select_key}{_conditions(plan, after, None)} ORDER BY {plan.order} LIMIT 1 OFFSET {rows - 1}"


def _conditions(plan: TablePlan, after: Key | None, until: Key | None) -> str:
    conditions: Sequence[str] = [
        *([] if after is None else [f"({keys.after(plan.key, after)})"]),
        *([] if until is None else [f"({keys.until(plan.key, until)})"]),
    ]
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
