"""Whether a column that is there can hold every value of the source's: a pure function of two types."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import types as sa
from sqlalchemy.dialects import mysql, postgresql

from cdc.model.schema import Column
from cdc.target.sql.dialects import SQLITE, SqlDialect
from cdc.target.sql.members import as_shown
from cdc.target.sql.typemap import (
    BINARIES,
    BLOB_BYTES,
    GEOMETRIES,
    INETS,
    TEXT_BYTES,
    Named,
    Type,
    column_type,
    integer_range,
)

_INTEGER_BITS: tuple[tuple[type[Any], int], ...] = (
    (mysql.TINYINT, 8),
    (mysql.MEDIUMINT, 24),
    (sa.SmallInteger, 16),
    (sa.BigInteger, 64),
    (sa.Integer, 32),
)
_MYSQL_BYTES: tuple[tuple[type[Any], int], ...] = (
    (mysql.TINYTEXT, 2**8 - 1),
    (mysql.MEDIUMTEXT, 2**24 - 1),
    (mysql.LONGTEXT, 2**32 - 1),
    (mysql.TINYBLOB, 2**8 - 1),
    (mysql.MEDIUMBLOB, 2**24 - 1),
    (mysql.LONGBLOB, 2**32 - 1),
    (mysql.TEXT, 2**16 - 1),
    (mysql.BLOB, 2**16 - 1),
    (sa.Text, 2**16 - 1),
)
UNKNOWN: Type = sa.NullType()
_BYTES = (sa.BINARY, sa.VARBINARY, mysql.TINYBLOB, mysql.BLOB, mysql.MEDIUMBLOB, mysql.LONGBLOB)


def problem(dialect: SqlDialect, column: Column, target: Type) -> str | None:
    """Why `target` (reflected) cannot hold all values of `column` as docs/types.md says; None where it can."""
    held = _sqlite(column, target) if dialect.name == "sqlite" else _holds(dialect, column, target)
    return None if held else f"its type {text(dialect, target)} cannot hold every {source_text(column)}"


def fix(dialect: SqlDialect, type_: Type) -> str:
    return f"make it {text(dialect, type_)}"


def text(dialect: SqlDialect, type_: Type) -> str:
    return "(not known here)" if isinstance(type_, sa.NullType) else type_.compile(dialect=dialect.plain)


def source_text(column: Column) -> str:
    size = column.length if column.length is not None else column.precision
    scale = f",{column.scale}" if column.precision is not None and column.scale else ""
    return f"{column.type}{'' if size is None else f'({size}{scale})'}{' unsigned' if column.unsigned else ''}"


def _holds(dialect: SqlDialect, column: Column, target: Type) -> bool:
    span = integer_range(column)
    if span is not None:
        return _holds_integers(span, target)
    if column.type in {"date", "time", "datetime", "timestamp"}:
        return _holds_time(dialect, column, target)
    check = _CHECKS.get(column.type)
    return check is not None and check(column, target)


def _holds_integers(span: tuple[int, int], target: Type) -> bool:
    low, high = span
    held = _integers_of(target)
    return held is not None and held[0] <= low and high <= held[1]


def fraction(target: Type) -> int:
    """Digits behind the point that a decimal or a time has at most, as far as its type says so; 0 for other types."""
    if isinstance(target, sa.Float):
        return 0
    precision = getattr(target, "precision", None) if not isinstance(target, sa.Numeric) else None
    return getattr(target, "scale", None) or getattr(target, "fsp", None) or precision or 0


def widens(dialect: SqlDialect, now: Type, to: Type) -> bool:
    """Whether every value of a column of the type `now` is the same in one of the type `to`, both the target's."""
    held, wanted = _integers_of(now), _integers_of(to)
    if held is not None and wanted is not None and not getattr(now, "scale", None):
        return wanted[0] <= held[0] and held[1] <= wanted[1]
    for kinds, rule in _WIDENS:
        if isinstance(now, kinds) and isinstance(to, kinds):
            return rule(dialect, now, to)
    return False


def _wider_decimal(_dialect: SqlDialect, now: Any, to: Any) -> bool:
    if now.precision is None or to.precision is None:
        return to.precision is None
    scale, to_scale = now.scale or 0, to.scale or 0
    return to_scale >= scale and to.precision - to_scale >= now.precision - scale


def _wider_time(dialect: SqlDialect, now: Any, to: Any) -> bool:
    alike = type(now) is type(to) and getattr(now, "timezone", False) == getattr(to, "timezone", False)
    return alike and _digits(dialect, to) >= _digits(dialect, now)


def _wider_members(_dialect: SqlDialect, now: Any, to: Any) -> bool:
    held = [as_shown(member) for member in getattr(now, "enums", None) or now.values]
    kept = [member for member in map(as_shown, getattr(to, "enums", None) or to.values) if member in held]
    return set(kept) == set(held) if isinstance(to, sa.Enum) else kept == held


def _wider_text(_dialect: SqlDialect, now: Any, to: Any) -> bool:
    if isinstance(now, sa.CHAR) != isinstance(to, sa.CHAR) or isinstance(now, _MEMBERS) or isinstance(to, _MEMBERS):
        return False
    sized = (mysql.TINYTEXT, mysql.TEXT, mysql.MEDIUMTEXT, mysql.LONGTEXT)
    if isinstance(to, sized):
        return (_mysql_bytes(now) if isinstance(now, sized) else 4 * (now.length or 1)) <= _mysql_bytes(to)
    return to.length is None or (now.length is not None and not isinstance(now, sized) and now.length <= to.length)


def _wider_bytes(_dialect: SqlDialect, now: Any, to: Any) -> bool:
    return not isinstance(to, sa.BINARY) and _mysql_bytes(to) >= _mysql_bytes(now)


_MEMBERS = (sa.Enum, mysql.ENUM, mysql.SET)
_WIDENS: tuple[tuple[tuple[type[Any], ...], Callable[[SqlDialect, Any, Any], bool]], ...] = (
    ((sa.Float,), lambda _dialect, _now, to: isinstance(to, sa.Double | mysql.DOUBLE)),
    ((sa.Numeric,), _wider_decimal),
    ((sa.DateTime, sa.Interval, postgresql.INTERVAL, mysql.TIME), _wider_time),
    ((sa.Enum, mysql.ENUM), _wider_members),
    ((mysql.SET,), _wider_members),
    (_BYTES, _wider_bytes),
    ((sa.String,), _wider_text),
)


def _integers_of(target: Type) -> tuple[int, int] | None:
    """The least and the greatest integer that a type holds exactly; None where it is not made for integers."""
    if isinstance(target, mysql.BIT):
        return 0, int(2 ** (target.length or 1)) - 1
    if isinstance(target, mysql.YEAR):
        return 0, 2155
    if isinstance(target, sa.Numeric) and not isinstance(target, sa.Float):
        most = int(10 ** ((target.precision or 1000) - (target.scale or 0))) - 1
        return -most, most
    for kind, bits in _INTEGER_BITS:
        if isinstance(target, kind):
            unsigned = getattr(target, "unsigned", False)
            return (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return None


def _holds_decimal(column: Column, target: Type) -> bool:
    precision, scale = column.precision or 10, column.scale or 0
    if not isinstance(target, sa.Numeric) or isinstance(target, sa.Float) or getattr(target, "unsigned", False):
        return False
    if target.precision is None:
        return True
    target_scale = target.scale or 0
    return target_scale >= scale and target.precision - target_scale >= precision - scale


def _holds_float(column: Column, target: Type) -> bool:
    if isinstance(target, sa.Double | mysql.DOUBLE):
        return True
    single = isinstance(target, sa.REAL | mysql.FLOAT) or (
        isinstance(target, sa.Float) and (target.precision or 53) <= 24
    )
    return isinstance(target, sa.Float) and (column.type == "float" or not single)


def _holds_time(dialect: SqlDialect, column: Column, target: Type) -> bool:
    digits = column.scale or 0
    if column.type == "date":
        return isinstance(target, sa.Date)
    if column.type == "time":
        span = postgresql.INTERVAL if dialect.name == "postgresql" else mysql.TIME
        return isinstance(target, span) and _digits(dialect, target) >= digits
    if not isinstance(target, sa.DateTime) or _digits(dialect, target) < digits:
        return False
    if dialect.name == "mysql":
        # A DATETIME reaches from year 0 to 9999, a TIMESTAMP from 1970 to 2038.
        return column.type == "timestamp" or not isinstance(target, mysql.TIMESTAMP | sa.TIMESTAMP)
    # A timestamp without time zone holds an instant as UTC; with one it would invent a zone for a DATETIME.
    return column.type == "timestamp" or not target.timezone


def _digits(dialect: SqlDialect, target: Type) -> int:
    if dialect.name == "mysql":
        return getattr(target, "fsp", None) or 0
    precision: int | None = getattr(target, "precision", None)
    return 6 if precision is None else precision


def _holds_bytes(column: Column, target: Type) -> bool:
    if isinstance(target, postgresql.BYTEA):
        return True
    if not isinstance(target, _BYTES):
        return False
    if isinstance(target, sa.BINARY) and not (column.type == "binary" and column.length == target.length):
        # BINARY(n) pads: only the same n gives the same bytes back.
        return False
    needed = BLOB_BYTES.get(column.type, column.length or 1)
    return _mysql_bytes(target) >= needed


def _holds_text(column: Column, target: Type) -> bool:
    if isinstance(target, sa.Enum | mysql.ENUM | mysql.SET):
        members: tuple[str, ...] = tuple(getattr(target, "enums", None) or getattr(target, "values", None) or ())
        same_kind = isinstance(target, mysql.SET) == (column.type == "set")
        return bool(column.members) and same_kind and set(map(as_shown, column.members)) <= set(map(as_shown, members))
    if column.type in TEXT_BYTES:
        characters = TEXT_BYTES[column.type]
    elif column.type == "enum":
        characters = max(map(len, column.members), default=0)
    elif column.type == "set":
        characters = len(",".join(column.members))
    else:
        characters = column.length or 1
    if isinstance(target, sa.CHAR) and column.type != "char":
        return False
    return _is_text(target, characters)


def _is_text(target: Type, characters: int) -> bool:
    if not isinstance(target, sa.String) or isinstance(target, sa.Enum | mysql.SET):
        return False
    if isinstance(target, mysql.TEXT | mysql.TINYTEXT | mysql.MEDIUMTEXT | mysql.LONGTEXT):
        # Sizes are in bytes; what fits depends on the values, so equal sizes are taken, and too long a value is refused.
        return _mysql_bytes(target) >= characters
    return target.length is None or target.length >= characters


def _mysql_bytes(target: Type) -> int:
    for kind, size in _MYSQL_BYTES:
        if isinstance(target, kind):
            return size
    length: int | None = getattr(target, "length", None)
    return 2**16 - 1 if length is None else length


def _sqlite(column: Column, target: Type) -> bool:
    """By affinity (https://www.sqlite.org/datatype3.html, 3.1): what is stored must come back as it went in."""
    wanted = _affinity(column_type(SQLITE, column))
    return _affinity(target) in {wanted, "BLOB"} or (wanted == "INTEGER" and _affinity(target) == "NUMERIC")


def _affinity(target: Type) -> str:
    if isinstance(target, sa.Integer):
        return "INTEGER"
    if isinstance(target, sa.String):
        return "TEXT"
    if isinstance(target, sa.LargeBinary | sa.NullType):
        return "BLOB"
    return "REAL" if isinstance(target, sa.Float) else "NUMERIC"


def _holds_json(_column: Column, target: Type) -> bool:
    return isinstance(target, sa.JSON) or _is_text(target, 2**30)


def _holds_geometry(column: Column, target: Type) -> bool:
    if isinstance(target, Named):
        return target.kind in {"geometry", column.type}
    return isinstance(target, postgresql.BYTEA)


def _holds_vector(column: Column, target: Type) -> bool:
    if isinstance(target, Named):
        return target.kind == "vector" and (target.length or 0) >= (column.length or 1)
    if isinstance(target, sa.ARRAY):
        return isinstance(target.item_type, sa.Float)
    return (
        isinstance(target, _BYTES)
        and not isinstance(target, sa.BINARY)
        and _mysql_bytes(target) >= 4 * (column.length or 1)
    )


def _holds_uuid(_column: Column, target: Type) -> bool:
    if isinstance(target, Named):
        return target.kind == "uuid"
    return isinstance(target, sa.Uuid) or _is_text(target, 36)


def _holds_inet(column: Column, target: Type) -> bool:
    if isinstance(target, Named):
        return target.kind == column.type
    # Not PostgreSQL's char(n), which pads on the way out.
    return isinstance(target, postgresql.INET) or (
        _is_text(target, INETS[column.type]) and not isinstance(target, sa.CHAR)
    )


_CHECKS: Mapping[str, Callable[[Column, Type], bool]] = {
    "decimal": _holds_decimal,
    "float": _holds_float,
    "double": _holds_float,
    "json": _holds_json,
    "vector": _holds_vector,
    "uuid": _holds_uuid,
    **dict.fromkeys(GEOMETRIES, _holds_geometry),
    **dict.fromkeys(INETS, _holds_inet),
    **dict.fromkeys(BINARIES, _holds_bytes),
    **dict.fromkeys(("char", "varchar", *TEXT_BYTES, "enum", "set"), _holds_text),
}
