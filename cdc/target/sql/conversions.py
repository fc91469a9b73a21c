"""Which changes of a column's type keep every value as it is, judged by the source's two types: pure functions.

Only these are repeated at a target. Each takes MySQL's own conversion as given: where that would round, cut, pad, or read a text
in another way, the change is not exact, and somebody must look at it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cdc.model.schema import Column
from cdc.target.sql.dialects import SqlDialect
from cdc.target.sql.typemap import BLOB_BYTES, GEOMETRIES, INTEGERS, TEXT_BYTES, integer_range

_TEXT = ("char", "varchar", *TEXT_BYTES)
_WHOLE_UNICODE = {"utf8mb4", "utf16", "utf16le", "utf32"}
_BASIC_UNICODE = {"utf8", "utf8mb3", "ucs2"}


@dataclass(frozen=True, slots=True)
class Exact:
    """The change keeps all values, as long as no row fulfils `unless` (SQL on the quoted column, as `{c}`; "" where the types
    tell that none does)."""

    unless: str = ""


@dataclass(frozen=True, slots=True)
class Inexact:
    """`reason`: what MySQL would do to the values."""

    reason: str


Verdict = Exact | Inexact


def judge(dialect: SqlDialect, before: Column, after: Column) -> Verdict:
    """Whether the source's change of a column from `before` to `after` keeps its values."""
    if _plain(before) == _plain(after):
        return Exact()
    for kinds, rule in _RULES.items():
        if before.type in kinds:
            return rule(dialect, before, after)
    return Inexact("MySQL converts its values") if before.type != after.type else Exact()


def _plain(column: Column) -> tuple[object, ...]:
    """What of a column decides over its values."""
    return (
        *(column.type, column.unsigned, column.length, column.precision, column.scale or 0, column.members),
        column.charset if column.type in {*_TEXT, "enum", "set"} else None,
    )


def _integers(dialect: SqlDialect, before: Column, after: Column) -> Verdict:
    if (before.type in INTEGERS) != (after.type in INTEGERS) or integer_range(after) is None:
        return Inexact("numbers become another type")
    if before.type not in INTEGERS and before.type != after.type:
        return Inexact("numbers become another type")
    low, high = integer_range(before) or (0, 0)
    least, most = integer_range(after) or (0, 0)
    if dialect.name == "sqlite" and high >= 2**63 > most:
        # These are text there, without leading zeros.
        digits = len(str(most))
        return Exact(f"length({{c}}) > {digits} OR (length({{c}}) = {digits} AND {{c}} > '{most}')")
    bounds = [f"{{c}} < {least}"] * (least > low) + [f"{{c}} > {most}"] * (most < high)
    return Exact(" OR ".join(bounds))


def _decimals(_dialect: SqlDialect, before: Column, after: Column) -> Verdict:
    if after.type != "decimal":
        return Inexact("decimals become another type")
    scale, places = before.scale or 0, (before.precision or 10) - (before.scale or 0)
    if (after.scale or 0) < scale or (after.precision or 10) - (after.scale or 0) < places:
        return Inexact("fewer digits, so that MySQL rounds or cuts")
    return _sign(before, after)


def _floats(dialect: SqlDialect, before: Column, after: Column) -> Verdict:
    if (before.type, after.type) == ("float", "double"):
        # A FLOAT of 0.1 becomes the DOUBLE 0.10000000149011612; SQLite has kept 0.1.
        return (
            Inexact("SQLite has no single precision to begin with")
            if dialect.name == "sqlite"
            else _sign(before, after)
        )
    return _sign(before, after) if before.type == after.type else Inexact("numbers are rounded or become another type")


def _sign(before: Column, after: Column) -> Verdict:
    return Exact("{c} < 0" if after.unsigned and not before.unsigned else "")


def _times(_dialect: SqlDialect, before: Column, after: Column) -> Verdict:
    if (before.type, after.type) == ("date", "datetime"):
        return Exact()
    if before.type != after.type:
        return Inexact("MySQL converts its values, by the time zone of the session where a TIMESTAMP is one of both")
    if (after.scale or 0) < (before.scale or 0):
        return Inexact("fewer digits of fraction, so that MySQL rounds")
    return Exact()


def _texts(dialect: SqlDialect, before: Column, after: Column) -> Verdict:
    if after.type not in _TEXT:
        return Inexact("text becomes another type")
    if not _keeps_characters(before.charset, after.charset):
        return Inexact(f"not every character of {before.charset} is in {after.charset}")
    if after.type in {"char", "varchar"}:
        most = after.length or 1
        narrower = (before.length or 1) > most if before.type in {"char", "varchar"} else TEXT_BYTES[before.type] > most
        return Exact(f"{_CHARACTERS[dialect.name]} > {most}" if narrower else "")
    limit = TEXT_BYTES[after.type]
    if before.type in {"char", "varchar"}:
        fits = (before.length or 1) * 4 <= limit
    else:
        fits = TEXT_BYTES[before.type] <= limit and (before.charset == after.charset or limit == TEXT_BYTES["longtext"])
    # Counted in UTF-8, which may say no where the source's charset had room for it: better than to say yes.
    return Exact("" if fits else f"{_BYTES[dialect.name]} > {limit}")


def _keeps_characters(before: str | None, after: str | None) -> bool:
    if before == after or after in _WHOLE_UNICODE:
        return True
    return after in _BASIC_UNICODE and before not in _WHOLE_UNICODE


def _binaries(dialect: SqlDialect, before: Column, after: Column) -> Verdict:
    if after.type != "varbinary" and after.type not in BLOB_BYTES:
        return Inexact("MySQL pads or converts its values")
    most = BLOB_BYTES.get(after.type, after.length or 1)
    narrower = BLOB_BYTES.get(before.type, before.length or 1) > most
    return Exact(f"{_OCTETS[dialect.name]} > {most}" if narrower else "")


def _members(dialect: SqlDialect, before: Column, after: Column) -> Verdict:
    if after.type in _TEXT:
        longest = max(map(len, before.members), default=0) if before.type == "enum" else len(",".join(before.members))
        room = TEXT_BYTES[after.type] // 4 if after.type in TEXT_BYTES else after.length or 1
        return Exact() if longest <= room else Inexact("its members do not all fit")
    if after.type != before.type:
        return Inexact("MySQL converts its values")
    kept = [member for member in after.members if member in before.members]
    if len(kept) < len(before.members):
        return Inexact("members are gone")
    if before.type == "set" and kept != list(before.members):
        return Inexact("its members are in another order, and so are they in every value")
    return Exact()


def _geometries(_dialect: SqlDialect, before: Column, after: Column) -> Verdict:
    return Exact() if after.type in {before.type, "geometry"} else Inexact("not every geometry is of the new type")


def _vectors(_dialect: SqlDialect, before: Column, after: Column) -> Verdict:
    fits = after.length is None or (before.length is not None and after.length >= before.length)
    return Exact() if after.type == "vector" and fits else Inexact("fewer dimensions, or another type")


_CHARACTERS = {"postgresql": "char_length({c})", "mysql": "CHAR_LENGTH({c})", "sqlite": "length({c})"}
_BYTES = {"postgresql": "octet_length({c})", "mysql": "LENGTH({c})", "sqlite": "length(CAST({c} AS BLOB))"}
_OCTETS = {"postgresql": "octet_length({c})", "mysql": "LENGTH({c})", "sqlite": "length({c})"}

_RULES: Mapping[tuple[str, ...], Callable[[SqlDialect, Column, Column], Verdict]] = {
    (*INTEGERS, "bit", "year"): _integers,
    ("decimal",): _decimals,
    ("float", "double"): _floats,
    ("date", "time", "datetime", "timestamp"): _times,
    _TEXT: _texts,
    ("binary", "varbinary", *BLOB_BYTES): _binaries,
    ("enum", "set"): _members,
    GEOMETRIES: _geometries,
    ("vector",): _vectors,
}


def beyond(dialect: SqlDialect, column: Column) -> str:
    """SQL on `{c}` for values that the source's column cannot have, where that is easily asked; "" elsewhere."""
    span = integer_range(column)
    if span is not None and span[1] < 2**63:
        return f"{{c}} < {span[0]} OR {{c}} > {span[1]}"
    if column.type in {"char", "varchar"}:
        return f"{_CHARACTERS[dialect.name]} > {column.length or 1}"
    return ""


def rewriting(dialect: SqlDialect, before: Column, after: Column) -> str | None:
    """What must be made of the values of a column that keeps its type at the target, as SQL on `{c}`; None: nothing.

    MySQL does this by itself where its own type changes. At MySQL it may be done twice, which SQLite's transaction never asks.
    """
    if after.type == "char" and before.type in _TEXT and before.type != "char":
        # A CHAR is shown without the spaces at its end, and so it comes in change events.
        return "TRIM(TRAILING ' ' FROM {c})" if dialect.name == "mysql" else "rtrim({c}, ' ')"
    if dialect.name != "sqlite":
        return None
    if (before.type, after.type) == ("date", "datetime"):
        return f"{{c}} || '{midnight(after)}'"
    added = (after.scale or 0) - (before.scale or 0)
    if after.type == before.type and added > 0 and after.type in {"decimal", "time", "datetime", "timestamp"}:
        return _longer_fraction(after.type, before.scale or 0, added)
    return None


def midnight(after: Column) -> str:
    """What a DATE's text gets behind it in a DATETIME."""
    return "T00:00:00" + "." * bool(after.scale) + "0" * (after.scale or 0)


def _longer_fraction(kind: str, digits: int, added: int) -> str:
    """Text with exactly so many digits behind the point, as change events have it."""
    more = ("" if digits else ".") + "0" * added
    if kind == "timestamp":
        return f"substr({{c}}, 1, length({{c}}) - 1) || '{more}Z'"
    return f"{{c}} || '{more}'"
