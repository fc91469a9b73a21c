"""What a column at the target will not keep of the source's values, though it holds nearly all: for `cdc check`. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from sqlalchemy.dialects import mysql, postgresql

from cdc.model.schema import Column
from cdc.target.port import ColumnFinding
from cdc.target.sql.dialects import DialectName, SqlDialect
from cdc.target.sql.typemap import TEXT_BYTES, Type

_TEXT = ("char", "varchar", *TEXT_BYTES, "enum", "set")
_PARK = "decide by sink.on_error what becomes of such rows"


def losses(dialect: SqlDialect, columns: Sequence[tuple[Column, Type]]) -> Iterator[ColumnFinding]:
    """One note for each kind of loss, naming all its columns."""
    for lost, problem, hint in _LOSSES[dialect.name]:
        named = [column.name for column, target in columns if lost(column, target)]
        if named:
            yield ColumnFinding(", ".join(named), problem, hint, "note")


def folds_case(column: Column) -> bool:
    """Whether the source takes texts for equal that differ in more than their bytes."""
    collation = column.collation or ""
    return column.type in _TEXT and bool(collation) and not collation.endswith("_bin") and collation != "binary"


def _dates(column: Column, _target: Type) -> bool:
    return column.type in {"date", "datetime", "timestamp"}


def _texts(column: Column, _target: Type) -> bool:
    return column.type in _TEXT[:-2]


def _refused_member(column: Column, _target: Type) -> bool:
    return column.type == "enum" and "" not in column.members


def _rewritten_json(column: Column, target: Type) -> bool:
    return column.type == "json" and isinstance(target, postgresql.JSONB)


def _decimals_in_json(column: Column, target: Type) -> bool:
    return column.type == "json" and isinstance(target, mysql.JSON)


def _folding(column: Column, _target: Type) -> bool:
    return folds_case(column)


_Loss = tuple[Callable[[Column, Type], bool], str, str]
_SENSITIVE: _Loss = (
    _folding,
    "the source's collation takes for equal what differs in case or accents; here such texts differ",
    "compare by lower() or by a collation of the target's, where that matters",
)
_LOSSES: Mapping[DialectName, Sequence[_Loss]] = {
    "postgresql": (
        (_dates, "PostgreSQL has no zero, partial or invalid dates: their rows are refused", _PARK),
        (_texts, "PostgreSQL has no U+0000 in texts: such rows are refused", _PARK),
        (_rewritten_json, "jsonb rewrites numbers and the order of keys, and refuses \\u0000", "make it json"),
        _SENSITIVE,
    ),
    "mysql": (
        (_refused_member, "the refused value '' (number 0) of an ENUM is refused here too", _PARK),
        (
            _decimals_in_json,
            "a decimal in a JSON document, which only SQL can put there, becomes a double with 17 digits (MariaDB keeps it)",
            "make the column LONGTEXT where that matters",
        ),
    ),
    "sqlite": (_SENSITIVE,),
}
