"""Source column → column type at the target. The table for people is docs/types.md; a test holds both together."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from sqlalchemy import types as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.types import TypeEngine

from cdc.model.errors import TargetRefused
from cdc.model.schema import Column
from cdc.target.sql.dialects import SqlDialect
from cdc.target.sql.members import Enum, Set
from cdc.target.sql.names import shown

Type = TypeEngine[Any]
_Make = Callable[[Column], Type]

INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
TEXT_BYTES = {"tinytext": 2**8 - 1, "text": 2**16 - 1, "mediumtext": 2**24 - 1, "longtext": 2**32 - 1}
BLOB_BYTES = {"tinyblob": 2**8 - 1, "blob": 2**16 - 1, "mediumblob": 2**24 - 1, "longblob": 2**32 - 1}
BINARIES = ("binary", "varbinary", *BLOB_BYTES)
GEOMETRIES = (
    *("geometry", "point", "linestring", "polygon"),
    *("multipoint", "multilinestring", "multipolygon", "geometrycollection"),
)
INETS = {"inet4": 15, "inet6": 39}
# MySQL's DATA_TYPEs that SQLAlchemy has no class for (uuid: not in all versions); geomcollection is MySQL 8's geometrycollection.
NAMED_TYPES = (*GEOMETRIES, "geomcollection", "vector", "uuid", "inet4", "inet6")
_MOST_DIMENSIONS = 16_383
# A row's columns share 65,535 bytes (MySQL manual, "Limits on Table Column Count and Row Size"), at 4 for a character.
_LONGEST_VARCHAR = 16_383


class Named(sa.UserDefinedType[Any]):
    """A type as the server writes it (`vector(3)`), for those that SQLAlchemy has no class for."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text.lower()

    @property
    def kind(self) -> str:
        kind = self.text.partition("(")[0].strip()
        return "geometrycollection" if kind == "geomcollection" else kind

    @property
    def length(self) -> int | None:
        size = self.text.partition("(")[2].partition(")")[0]
        return int(size) if size.isdecimal() else None

    def get_col_spec(self, **_options: Any) -> str:
        return self.text.upper()


def integer_range(column: Column) -> tuple[int, int] | None:
    """The least and the greatest value of a column whose wire form is a JSON integer; None for any other column."""
    if column.type in INTEGERS:
        bits = INTEGERS[column.type]
        return (0, 2**bits - 1) if column.unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if column.type == "bit":
        return 0, 2 ** (column.length or 1) - 1
    return (0, 2155) if column.type == "year" else None


def column_type(
    dialect: SqlDialect,
    column: Column,
    collations: frozenset[str] = frozenset(),
    native: frozenset[str] = frozenset(),
) -> Type:
    """The type with which a missing table's column is made; raises TargetRefused for types that are not mapped.

    Of a MySQL target: `collations` that it has (information_schema.COLLATIONS; see `mysql_collation`), and which of vector,
    uuid, inet4, inet6 are types of its own (`native`).
    """
    if dialect.name == "mysql":
        return _mysql(column, collations, native)
    make = _TABLES[dialect.name].get(column.type)
    if make is None:
        raise _unmapped(column, dialect.product)
    return make(column)


def _postgresql_integer(column: Column) -> Type:
    low, high = integer_range(column) or (0, 0)
    if high >= 2**63:
        return sa.Numeric(20, 0)
    if low >= -(2**15) and high < 2**15:
        return sa.SmallInteger()
    return sa.Integer() if low >= -(2**31) and high < 2**31 else sa.BigInteger()


_POSTGRESQL: Mapping[str, _Make] = {
    **dict.fromkeys(INTEGERS, _postgresql_integer),
    "bit": lambda c: sa.Numeric(20, 0) if c.length == 64 else sa.BigInteger(),
    "year": lambda c: sa.SmallInteger(),
    "decimal": lambda c: sa.Numeric(c.precision, c.scale),
    "float": lambda c: sa.REAL(),
    "double": lambda c: postgresql.DOUBLE_PRECISION(),
    "date": lambda c: sa.Date(),
    # MySQL's TIME is a span of ±838:59:59, not a time of day.
    "time": lambda c: postgresql.INTERVAL(precision=c.scale or 0),
    "datetime": lambda c: postgresql.TIMESTAMP(timezone=False, precision=c.scale or 0),
    "timestamp": lambda c: postgresql.TIMESTAMP(timezone=True, precision=c.scale or 0),
    # Not char(n): PostgreSQL pads it on the way out, MySQL does not.
    "char": lambda c: sa.VARCHAR(c.length),
    "varchar": lambda c: sa.VARCHAR(c.length),
    **dict.fromkeys(TEXT_BYTES, lambda c: sa.TEXT()),
    **dict.fromkeys(BINARIES, lambda c: postgresql.BYTEA()),
    "enum": lambda c: sa.TEXT(),
    "set": lambda c: sa.TEXT(),
    # Not jsonb: it refuses \u0000 and rewrites numbers, so that equal to the source could not be tested as text.
    "json": lambda c: postgresql.JSON(),
    # EWKB, which PostGIS casts to its geometry; without PostGIS it is kept as well.
    **dict.fromkeys(GEOMETRIES, lambda c: postgresql.BYTEA()),
    "vector": lambda c: postgresql.ARRAY(sa.REAL()),
    "uuid": lambda c: postgresql.UUID(as_uuid=False),
    **dict.fromkeys(INETS, lambda c: postgresql.INET()),
}


def _sqlite_integer(column: Column) -> Type:
    # SQLite's integers end at 2**63-1; beyond, it would silently make a float of it.
    _, high = integer_range(column) or (0, 0)
    return sqlite.INTEGER() if high < 2**63 else sqlite.TEXT()


_SQLITE: Mapping[str, _Make] = {
    **dict.fromkeys(INTEGERS, _sqlite_integer),
    "bit": _sqlite_integer,
    "year": lambda c: sqlite.INTEGER(),
    "float": lambda c: sqlite.REAL(),
    "double": lambda c: sqlite.REAL(),
    # NUMERIC affinity would make floats of decimals.
    **dict.fromkeys(("decimal", "date", "time", "datetime", "timestamp"), lambda c: sqlite.TEXT()),
    **dict.fromkeys(("char", "varchar", *TEXT_BYTES, "enum", "set", "json"), lambda c: sqlite.TEXT()),
    **dict.fromkeys(("vector", "uuid", *INETS), lambda c: sqlite.TEXT()),
    **dict.fromkeys((*BINARIES, *GEOMETRIES), lambda c: sqlite.BLOB()),
}

_TABLES: Mapping[str, Mapping[str, _Make]] = {"postgresql": _POSTGRESQL, "sqlite": _SQLITE}


def mysql_collation(column: Column, collations: frozenset[str]) -> str:
    """The source's collation where the target has it in utf8mb4, else the strictest binary one.

    A binary collation keeps apart whatever the source keeps apart; the ones without padding come first, since some source
    collations tell trailing spaces apart.
    """
    own = column.collation or ""
    if own.startswith("utf8mb4_") and own in collations:
        return own
    binary = ("utf8mb4_0900_bin", "utf8mb4_nopad_bin")
    return next((name for name in binary if name in collations), "utf8mb4_bin")


def _mysql(column: Column, collations: frozenset[str], native: frozenset[str]) -> Type:
    if column.type in native:
        return Named(f"vector({column.length or _MOST_DIMENSIONS})" if column.type == "vector" else column.type)
    make = _MYSQL.get(column.type) or _MYSQL_TEXT.get(column.type)
    if make is None:
        raise _unmapped(column, "MySQL")
    made: Any = make(column)
    if column.type in _MYSQL_TEXT:
        made.charset, made.collation = "utf8mb4", mysql_collation(column, collations)
    return cast(Type, made)


def _unmapped(column: Column, product: str) -> TargetRefused:
    return TargetRefused(
        f"column {shown(column.name)} has the type {column.type}, which has no counterpart in {product} here",
        hint="leave its table out: sink.tables, or source.tables where no other sink takes it",
    )


def _mysql_char(column: Column) -> Type:
    length = column.length or 1
    if length > _LONGEST_VARCHAR:
        return mysql.MEDIUMTEXT()
    return mysql.CHAR(length) if column.type == "char" else mysql.VARCHAR(length)


def _mysql_text(column: Column) -> Type:
    """One size up, unless the source is utf8mb4 too: its bytes may be up to four times as many here."""
    sizes: tuple[Callable[[], Type], ...] = (mysql.TINYTEXT, mysql.TEXT, mysql.MEDIUMTEXT, mysql.LONGTEXT)
    step = 0 if column.charset == "utf8mb4" else 1
    return sizes[min(list(TEXT_BYTES).index(column.type) + step, 3)]()


def _mysql_floats(column: Column) -> Type:
    """A vector where the server has no such type: four bytes for each number."""
    fits = column.length is not None and 4 * column.length <= _LONGEST_VARCHAR
    return sa.VARBINARY(4 * (column.length or 1)) if fits else mysql.LONGBLOB()


def _ascii(kind: type[mysql.CHAR] | type[mysql.VARCHAR], length: int) -> Type:
    return kind(length, charset="ascii", collation="ascii_bin")


_MYSQL_TEXT: Mapping[str, Callable[[Column], Any]] = {
    "char": _mysql_char,
    "varchar": _mysql_char,
    **dict.fromkeys(TEXT_BYTES, _mysql_text),
    "enum": lambda c: Enum(*c.members),
    "set": lambda c: Set(*c.members),
}

_MYSQL: Mapping[str, _Make] = {
    "tinyint": lambda c: mysql.TINYINT(unsigned=c.unsigned),
    "smallint": lambda c: mysql.SMALLINT(unsigned=c.unsigned),
    "mediumint": lambda c: mysql.MEDIUMINT(unsigned=c.unsigned),
    "int": lambda c: mysql.INTEGER(unsigned=c.unsigned),
    "bigint": lambda c: mysql.BIGINT(unsigned=c.unsigned),
    "decimal": lambda c: mysql.DECIMAL(c.precision, c.scale),
    "float": lambda c: mysql.FLOAT(),
    "double": lambda c: mysql.DOUBLE(asdecimal=False),
    "bit": lambda c: mysql.BIT(c.length or 1),
    "year": lambda c: mysql.YEAR(),
    "date": lambda c: sa.DATE(),
    "time": lambda c: mysql.TIME(fsp=c.scale or 0),
    "datetime": lambda c: mysql.DATETIME(fsp=c.scale or 0),
    "timestamp": lambda c: mysql.TIMESTAMP(fsp=c.scale or 0),
    "binary": lambda c: sa.BINARY(c.length),
    "varbinary": lambda c: sa.VARBINARY(c.length),
    "tinyblob": lambda c: mysql.TINYBLOB(),
    "blob": lambda c: mysql.BLOB(),
    "mediumblob": lambda c: mysql.MEDIUMBLOB(),
    "longblob": lambda c: mysql.LONGBLOB(),
    "json": lambda c: mysql.JSON(),
    **dict.fromkeys(GEOMETRIES, lambda c: Named(c.type)),
    "vector": _mysql_floats,
    "uuid": lambda c: _ascii(mysql.CHAR, 36),
    **dict.fromkeys(INETS, lambda c: _ascii(mysql.VARCHAR, 45)),
}
