"""A parked row under its table's present shape: what the schema changes since have made of it.

Pure functions of the row and of the changes that its letter carries. Only what is exact is carried: where MySQL has made another
value of a column's, or the letter does not tell, the row is refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NoReturn

import orjson

from cdc.model.change import Row, Value
from cdc.model.errors import RowRefused, TargetRefused
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import ModifyColumn, RenameColumn, SchemaChange, SetKey
from cdc.target.sql.conversions import midnight
from cdc.target.sql.names import shown
from cdc.target.sql.reshape import Place, Reshaped, reshape
from cdc.target.sql.typemap import BLOB_BYTES, INTEGERS, TEXT_BYTES, integer_range

_TEXTS = ("char", "varchar", *TEXT_BYTES)
_BYTES = ("varbinary", *BLOB_BYTES)
_FRACTIONS = ("decimal", "time", "datetime", "timestamp")


def changes_keys(change: SchemaChange) -> bool:
    """Whether rows may have other keys afterwards, or the same ones in another writing: a dead letter is found by its key, so
    that later changes of its row would not wait behind it any more."""
    key = {name.casefold() for name in change.schema.key} if change.schema else None
    modified = [
        step
        for step in change.steps
        if isinstance(step, ModifyColumn) and (key is None or step.column.name.casefold() in key)
    ]
    return any(isinstance(step, SetKey) for step in change.steps) or any(
        step.before is None or not _same_writing(step.before, step.column) for step in modified
    )


def line_of(change: SchemaChange) -> bytes:
    """What an alteration adds to StoredLetter.since. Without the statement's text, from which nothing is made."""
    return b"\n" + orjson.dumps(replace(change, ddl="").to_json())


def keys_wait(change: SchemaChange) -> TargetRefused:
    """What stops such a change of a table that has dead letters."""
    return TargetRefused(
        f"the schema change of {shown(change.name)} concerns its key, and the table has dead letters, which are found by it",
        hint="cdc dlq retry FILE --all, or cdc dlq drop what the target refuses again; then start again",
    )


def carried(row: Row | None, schema: TableSchema, changes: Sequence[SchemaChange]) -> tuple[Row | None, TableSchema]:
    """`row` (None: of a delete) of `schema`, and `schema`, as they are after `changes`. Raises RowRefused."""
    for index, change in enumerate(changes):
        renames = sum(isinstance(step, RenameColumn) for step in change.steps)
        if renames > 1 and any(change.steps == earlier.steps for earlier in changes[:index]):
            # A rewind brought it again; of names that change places nothing tells whether that was done already.
            _refuse(schema, "several columns were renamed at once, and a rewind did it again")
        row, schema = _after(row, schema, change)
    return row, schema


def _after(row: Row | None, schema: TableSchema, change: SchemaChange) -> tuple[Row | None, TableSchema]:
    names = [column.name for column in schema.columns]
    try:
        reshaped = reshape(schema.name, names, change.steps, str.casefold)
    except TargetRefused:
        _refuse(schema, "its columns are not those that the schema change found")
    after = _shape(schema, reshaped, change)
    if row is None:
        return None, after
    made: Row = {}
    for place in reshaped.places:
        if place.origin is None:
            if place.fill is None and not (place.column and place.column.nullable):
                _refuse(schema, f"what it has in column {shown(place.name)} is not known")
            # Of an update that has not all columns, the row that is there keeps what it was filled with.
            made |= {place.name: place.fill} if len(row) == len(names) else {}
        elif place.origin in row:
            made[place.name] = _value(schema, place, row[place.origin])
    return made, after


def _shape(schema: TableSchema, reshaped: Reshaped, change: SchemaChange) -> TableSchema:
    columns = tuple(
        place.column or replace(schema.column(place.origin or ""), name=place.name) for place in reshaped.places
    )
    key = tuple(reshaped.final(name) or "" for name in schema.key)
    if change.schema is None:
        return replace(schema, columns=columns, key=key)
    same = {column.name for column in columns} == {column.name for column in change.schema.columns}
    if not same or key != change.schema.key:
        _refuse(schema, "its columns do not become those that the schema change left")
    return replace(change.schema, db=schema.db, table=schema.table)


def _value(schema: TableSchema, place: Place, value: Value) -> Value:
    before = place.before or schema.column(place.origin or "")
    if not place.modified or place.column is None or before == place.column:
        return value
    if value is None and place.column.nullable:
        return None
    made = None if value is None else _converted(before, place.column, value)
    if made is None:
        _refuse(schema, f"its value in column {shown(place.name)} is another one since the column's type was changed")
    return made


def _converted(before: Column, after: Column, value: Value) -> Value:
    """None: not exact."""
    if (before.type, after.type) == ("date", "datetime"):
        return str(value) + midnight(after)
    for kinds, rule in _RULES:
        if before.type in kinds and after.type in kinds:
            return rule(before, after, value)
    return value if _plain(before) == _plain(after) else None


def _integer(_before: Column, after: Column, value: Value) -> Value:
    low, high = integer_range(after) or (0, 0)
    return value if isinstance(value, int) and low <= value <= high else None


def _text(before: Column, after: Column, value: Value) -> Value:
    """A CHAR is shown without the spaces at its end."""
    text = str(value).rstrip(" ") if after.type == "char" else str(value)
    fits = (
        len(text) <= (after.length or 1) if after.type in {"char", "varchar"} else _size(text) <= TEXT_BYTES[after.type]
    )
    return text if fits and (_charset(before) == _charset(after) or _has(after, text)) else None


def _has(column: Column, text: str) -> bool:
    most = {"utf8mb4": 0x10FFFF, "utf8mb3": 0xFFFF}.get(_charset(column) or "", 0x7F)
    return all(ord(one) <= most for one in text)


def _size(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def _charset(column: Column) -> str | None:
    return "utf8mb3" if column.charset == "utf8" else column.charset


def _longer_fraction(before: Column, after: Column, value: Value) -> Value:
    added = (after.scale or 0) - (before.scale or 0)
    narrower = before.type == "decimal" and (after.precision or 10) - (after.scale or 0) < (before.precision or 10) - (
        before.scale or 0
    )
    if before.type != after.type or added < 0 or narrower or (before.unsigned, after.unsigned) == (False, True):
        return None
    text = str(value)
    zone = "Z" if text.endswith("Z") else ""
    more = ("" if before.scale else ".") + "0" * added if added else ""
    return text.removesuffix("Z") + more + zone


def _bytes(before: Column, after: Column, value: Value) -> Value:
    """In base64, three bytes in four letters."""
    most = BLOB_BYTES.get(after.type, after.length or 1)
    text = str(value)
    return value if len(text) // 4 * 3 - text.count("=") <= most else None


def _enum(_before: Column, after: Column, value: Value) -> Value:
    return value if value in after.members else None


def _set(before: Column, after: Column, value: Value) -> Value:
    return value if after.members[: len(before.members)] == before.members else None


_RULES: tuple[tuple[tuple[str, ...], Callable[[Column, Column, Value], Value]], ...] = (
    (tuple(INTEGERS), _integer),
    (_TEXTS, _text),
    (_FRACTIONS, _longer_fraction),
    (_BYTES, _bytes),
    (("enum",), _enum),
    (("set",), _set),
)


def _same_writing(before: Column, after: Column) -> bool:
    """Whether every value that may be a key is written alike in change events before and after."""
    if {before.type, after.type} <= INTEGERS.keys() or {before.type, after.type} <= set(_BYTES):
        return True
    if {before.type, after.type} <= set(_TEXTS):
        return after.type != "char" or before.type == "char"
    return _plain(before) == _plain(after)


def _plain(column: Column) -> Column:
    """What of a column decides how its values are written; a NULL is one whether it may be or not."""
    return replace(column, name="", nullable=True, collation=None)


def _refuse(schema: TableSchema, why: str) -> NoReturn:
    raise RowRefused(
        f"a row of {shown(schema.name)} was parked before a change of its table: {why}",
        hint="drop its letters, then bring the row back: change it at the source, or `cdc replay` from after the schema change",
    )
