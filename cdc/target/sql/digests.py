"""The SQL of a row's text at a target, as cdc.model.row_digest describes it. Pure functions.

None wherever the target's type would print a value in another way than the source's: such tables are compared row by row.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import types as sa
from sqlalchemy.dialects import mysql, postgresql

from cdc.model.row_digest import HEX_DIGITS, Form, form_of
from cdc.model.schema import Column
from cdc.target.sql.dialects import DialectName, SqlDialect
from cdc.target.sql.plan import TablePlan
from cdc.target.sql.typemap import Named, Type

# Unlike the source's (cdc.binlog.selecting.digests): a text that MySQL makes NULL, being too large, must make digests unequal.
_TOO_LARGE = 2**62 - 1

AGGREGATE = "cdc_digest"
"""The name of SQLite's function, which is given the columns themselves."""


def select_digest(dialect: SqlDialect, plan: TablePlan) -> str | None:
    """What to SELECT of a range, the table being `t`: (rows, total)."""
    if plan.computed:
        return None
    texts = [
        _text(dialect, column, target, f"t.{quoted}")
        for column, target, quoted in zip(plan.schema.columns, plan.types, plan.quoted_columns, strict=True)
    ]
    if any(text is None for text in texts):
        return None
    return _SELECTS[dialect.name]([str(text) for text in texts])


def forms(plan: TablePlan) -> tuple[Form | None, ...]:
    return tuple(map(form_of, plan.schema.columns))


def _text(dialect: SqlDialect, column: Column, target: Type, quoted: str) -> str | None:
    form = form_of(column)
    if form is None or isinstance(target, Named):
        return None
    if dialect.name == "sqlite":
        return quoted
    made = (_POSTGRESQL if dialect.name == "postgresql" else _MYSQL)[form](column, target)
    return None if made is None else made.format(c=quoted)


# ---- PostgreSQL


def _plain_number(_column: Column, target: Any) -> str | None:
    whole = isinstance(target, sa.Integer) or (isinstance(target, sa.Numeric) and target.scale == 0)
    return "{c}::text" if whole else None


def _plain_decimal(column: Column, target: Any) -> str | None:
    return "{c}::text" if isinstance(target, sa.Numeric) and target.scale == (column.scale or 0) else None


def _plain_moment(column: Column, target: Any) -> str | None:
    digits = column.scale or 0
    zone = " || 'Z'" if column.type == "timestamp" else ""
    fraction = f" || '.' || left(to_char({{c}}, 'US'), {digits})" if digits else ""
    exact = (6 if target.precision is None else target.precision) == digits
    return f"(to_char({{c}}, 'YYYY-MM-DD\"T\"HH24:MI:SS'){fraction}{zone})" if exact else None


def _plain_text(_column: Column, target: Any) -> str | None:
    return "rtrim({c}::text, ' ')" if isinstance(target, sa.CHAR) else "{c}::text"


_POSTGRESQL: Mapping[Form, Callable[[Column, Any], str | None]] = {
    "number": _plain_number,
    "decimal": _plain_decimal,
    "date": lambda _column, _target: "{c}::text",
    "moment": _plain_moment,
    "text": _plain_text,
    "bytes": lambda _column, target: "encode({c}, 'hex')" if isinstance(target, postgresql.BYTEA) else None,
}


def _postgresql(texts: list[str]) -> str:
    row = " || ".join(f"coalesce(octet_length({text})::text || ':' || {text}, 'N')" for text in texts)
    number = f"('x0' || left(encode(sha256(convert_to({row}, 'UTF8')), 'hex'), {HEX_DIGITS}))::bit(64)::bigint"
    return f"count(*), coalesce(sum({number}), 0)"


# ---- MySQL and MariaDB: as at the source


def _number(_column: Column, target: Any) -> str | None:
    whole = isinstance(target, sa.Integer | mysql.BIT | mysql.YEAR) or not getattr(target, "scale", None)
    return "CAST({c} + 0 AS CHAR)" if whole else None


def _decimal(column: Column, target: Any) -> str | None:
    return "CAST({c} + 0 AS CHAR)" if (target.scale or 0) == (column.scale or 0) else None


def _moment(column: Column, target: Any) -> str | None:
    zone = "'Z'" if column.type == "timestamp" else "''"
    exact = (getattr(target, "fsp", None) or 0) == (column.scale or 0)
    return f"CONCAT(REPLACE(CAST({{c}} AS CHAR), ' ', 'T'), {zone})" if exact else None


_MYSQL: Mapping[Form, Callable[[Column, Any], str | None]] = {
    "number": _number,
    "decimal": _decimal,
    "date": lambda _column, _target: "CAST({c} AS CHAR)",
    "moment": _moment,
    "text": lambda _column, _target: "CAST(CONVERT({c} USING utf8mb4) AS BINARY)",
    "bytes": lambda _column, _target: "LOWER(HEX({c}))",
}


def _mysql(texts: list[str]) -> str:
    row = ", ".join(f"IFNULL(CONCAT(LENGTH({text}), ':', {text}), 'N')" for text in texts)
    number = f"CAST(CONV(LEFT(SHA2(CONCAT({row}, ''), 256), {HEX_DIGITS}), 16, 10) AS UNSIGNED)"
    return f"COUNT(*), COALESCE(SUM(IFNULL({number}, {_TOO_LARGE})), 0)"


def _sqlite(texts: list[str]) -> str:
    return f"count(*), coalesce({AGGREGATE}({', '.join(texts)}), 0)"


_SELECTS: Mapping[DialectName, Callable[[list[str]], str]] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "sqlite": _sqlite,
}
