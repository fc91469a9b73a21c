"""A definition to the column that the binlog's metadata will describe, and to what rows take in it.

The shape is the one of cdc/binlog/decoder/columns.py: tests hold it to both servers, for every type and spelling.
"""

from enum import Enum

from cdc.binlog.decoder.charsets import BYTES_PER_CHARACTER
from cdc.binlog.decoder.collations import charset_of
from cdc.binlog.history import values
from cdc.binlog.history.collations import binary_collation, resolved
from cdc.binlog.history.context import Context
from cdc.binlog.history.definitions import Default, Definition, Source
from cdc.binlog.history.types import BLOBS, SIZES, TEXTS
from cdc.model.change import Value
from cdc.model.schema import Column

_MAX_VARYING_BYTES = 65_535
_WITH_CHARSET = frozenset(("char", "varchar", *TEXTS, "enum", "set"))
_AS_BYTES = {"char": "binary", "varchar": "varbinary", **dict(zip(TEXTS, BLOBS, strict=True))}
_WIDE = frozenset(("ucs2", "utf16", "utf16le", "utf32"))
_UNSIGNED = values.INTEGERS | {"decimal", "float", "double"}


class NoDefault(Enum):
    NONE = "none"


class UnknownCollation(LookupError):
    """The statement leaves a column's collation to a default that is not known here."""


NO_DEFAULT = NoDefault.NONE
"""Of a column whose value, in a row that does not name it, cannot be known beforehand."""


def column_of(made: Definition, collation: str | None, context: Context, *, blind: bool = False) -> Column:
    """`collation`: the table's default. Where it matters and is not known the column has none if `blind`, else LookupError."""
    kind, length = made.type.name, made.type.length
    charset_name: str | None = None
    collation_name = _collation(made, collation, context) if kind in _WITH_CHARSET else None
    if collation_name is None and kind in _WITH_CHARSET and not blind:
        raise UnknownCollation(f"column {made.name} takes the table's default collation, which is not known")
    if collation_name is not None:
        charset_name = charset_of(collation_name)
        if charset_name == "binary" and kind in _AS_BYTES:
            kind, charset_name, collation_name = _AS_BYTES[kind], None, None
    if length == 0 and kind in {"text", "blob"} and context.flavor == "mariadb":
        length = None  # to MySQL TEXT(0) is the smallest text, to MariaDB TEXT
    kind, length = _sized(kind, length, charset_name)
    return Column(
        made.name,
        kind,
        unsigned=made.unsigned and kind in _UNSIGNED,
        length=length,
        precision=made.type.precision,
        scale=made.type.scale if kind in {"decimal", "time", "datetime", "timestamp"} else None,
        charset=charset_name,
        collation=collation_name,
        members=made.type.members,
        nullable=_nullable(made, context),
    )


def _collation(made: Definition, table: str | None, context: Context) -> str | None:
    charset = made.charset or made.type.charset
    found = resolved(charset, made.collation or made.type.collation, table, context)
    if found is None:
        return None
    return binary_collation(charset_of(found)) if made.binary else found


def _sized(kind: str, length: int | None, charset: str | None) -> tuple[str, int | None]:
    """TEXT(n) and BLOB(n) are the smallest that hold n; a VARCHAR or VARBINARY that is too long (which only a session without
    strict mode gets past the server) becomes one of them."""
    byte_length = None if length is None else length * BYTES_PER_CHARACTER.get(charset or "", 1)
    if kind in {"varchar", "varbinary"} and byte_length is not None and byte_length > _MAX_VARYING_BYTES:
        kind = "text" if kind == "varchar" else "blob"
    elif kind not in {"text", "blob"}:
        return kind, length
    if byte_length is None:
        return kind, None
    sizes = TEXTS if kind == "text" else BLOBS
    return next(name for name, size in zip(sizes, SIZES, strict=True) if byte_length <= size), None


def _nullable(made: Definition, context: Context) -> bool:
    if made.primary or made.default.source is Source.NUMBERED:
        return False
    if made.nullable is not None:
        return made.nullable
    if made.type.name != "timestamp" or made.default.source is Source.GENERATED:
        return True
    if context.session.explicit_timestamps is None:
        raise LookupError(
            f"column {made.name} says neither NULL nor NOT NULL, and the binlog not whether explicit_defaults_for_timestamp is on"
        )
    return context.session.explicit_timestamps


def converted(column: Column, collation: str) -> Column:
    """By CONVERT TO CHARACTER SET: text that might not fit its type any more gets a larger one."""
    if column.charset is None:
        return column
    charset = charset_of(collation)
    if column.members and charset in _WIDE:
        # Both servers garble the members.
        raise LookupError(f"column {column.name} is an {column.type} that becomes {charset}")
    if column.type not in TEXTS:
        return _replaced(column, column.type, column.length, collation)
    before = BYTES_PER_CHARACTER.get(column.charset, 1)
    after = BYTES_PER_CHARACTER.get(charset, 1)
    size = TEXTS.index(column.type)
    if after > before and size < len(TEXTS) - 1:
        size += 1
    return _replaced(column, TEXTS[size], None, collation)


def _replaced(column: Column, kind: str, length: int | None, collation: str) -> Column:
    return Column(
        column.name,
        kind,
        length=length,
        charset=charset_of(collation),
        collation=collation,
        members=column.members,
        nullable=column.nullable,
    )


def default_of(made: Definition, column: Column, context: Context) -> Value | NoDefault:
    """What a row takes that does not name the column, where that is the same for all rows."""
    default = made.default
    # To MySQL a constant in parentheses is an expression, which it evaluates, and logs, for every row.
    if default.source is Source.CONSTANT and not (default.wrapped and context.flavor == "mysql"):
        try:
            return values.constant(column, default.literal, context, made.type.scale)
        except values.Untold:
            return NO_DEFAULT
    return without_default(column) if default.source is Source.NOTHING else NO_DEFAULT


def without_default(column: Column) -> Value:
    return None if column.nullable else values.implicit(column)


def fill_of(made: Definition, column: Column, context: Context) -> Value:
    """What the rows have that are there when the column comes. Raises values.Untold."""
    default: Default = made.default
    match default.source:
        case Source.NOTHING:
            return without_default(column)
        case Source.CONSTANT:
            return values.constant(column, default.literal, context, made.type.scale)
        case Source.NOW:
            return values.now(column, default.digits, context)
        case Source.NUMBERED:
            raise values.Untold("numbers the rows that are there, in an order that the binlog does not tell")
        case Source.GENERATED:
            raise values.Untold("is generated from other columns, row by row")
        case _:
            made_of = [word.upper for word in default.literal]
            if column.type in {"json", "longtext"} and made_of in (["JSON_ARRAY", "(", ")"], ["JSON_OBJECT", "(", ")"]):
                return "[]" if made_of[0] == "JSON_ARRAY" else "{}"
            raise values.Untold("is an expression, which may differ from row to row")
