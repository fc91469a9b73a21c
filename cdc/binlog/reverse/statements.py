"""The statement that undoes one row's change, in the source's own SQL: a pure function of the change and the table's shape.

`c` becomes DELETE, `d` INSERT, `u` UPDATE with the columns that changed, and no other: what somebody else did to the rest stays.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from cdc.binlog.reverse.literals import NoLiteralError, doubt, is_refused_member, literal, quoted
from cdc.binlog.row_changes import RowChange
from cdc.model.change import Row, Value
from cdc.model.schema import Column, TableSchema

# A column with ON UPDATE CURRENT_TIMESTAMP changes with any other one, unless it is set, to itself if need be (MySQL manual,
# 13.2.5 "Automatic Initialization and Updating for TIMESTAMP and DATETIME"). Binlogs do not tell which ones have that.
_MAY_MOVE_BY_ITSELF = ("timestamp", "datetime")


@dataclass(frozen=True, slots=True)
class Undo:
    """`statement`: "" where nothing is to be done, or nothing can be. `unstrict`: it needs a sql_mode that is not strict.
    `refused`: why the change cannot be undone, "" where it can. `doubts`: what the statement may not restore exactly."""

    statement: str = ""
    unstrict: bool = False
    refused: str = ""
    doubts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What neither a change nor a binlog's metadata tells of columns. `computed`: whether the server computes `db.table.column`
    by itself, so that it must not be written; `disguised`: why its values are not what they seem, "" where they are."""

    computed: Callable[[str], bool] = field(default=lambda column: False)
    disguised: Callable[[TableSchema, Column], str] = field(default=lambda schema, column: "")


def undo(change: RowChange, schema: TableSchema, facts: Facts) -> Undo:
    """`schema`: the table's version at the change, nothing excluded and nothing masked."""
    try:
        return _UNDO[change.op](_Writer(schema, facts), change)
    except _RefusedError as refused:
        return Undo(refused=str(refused))


class _RefusedError(Exception):
    """The change cannot be undone; the text says why, without values."""


class _Writer:
    def __init__(self, schema: TableSchema, facts: Facts) -> None:
        self._facts = facts
        self._schema = schema
        self._table = f"{quoted(schema.db)}.{quoted(schema.table)}"
        self._unstrict = False
        self._doubts: list[str] = []

    def delete(self, change: RowChange) -> Undo:
        return self._made(f"DELETE FROM {self._table} WHERE {self._where(change.key)} LIMIT 1;")  # noqa: S608 — quoted

    def insert(self, change: RowChange) -> Undo:
        before = change.before or {}
        columns = list(self._written())
        _require([column.name for column in columns if column.name not in before])
        names = ", ".join(quoted(column.name) for column in columns)
        values = ", ".join(self._value(column, before[column.name]) for column in columns)
        return self._made(f"INSERT INTO {self._table} ({names}) VALUES ({values});")  # noqa: S608 — quoted

    def update(self, change: RowChange) -> Undo:
        before, after = change.before or {}, change.after or {}
        changed, kept, missing = [], [], []
        for column in self._written():
            name = column.name
            if name in after and name not in before:
                missing.append(name)
            elif name in after and _differ(before[name], after[name]):
                changed.append(f"{quoted(name)} = {self._value(column, before[name])}")
            elif column.type in _MAY_MOVE_BY_ITSELF:
                kept.append(f"{quoted(name)} = {quoted(name)}")
        _require(missing)
        if not changed:
            return Undo()
        sets = ", ".join(changed + kept)
        return self._made(
            f"UPDATE {self._table} SET {sets} WHERE {self._where(change.new_key)} LIMIT 1;"  # noqa: S608 — quoted
        )

    def _written(self) -> Iterator[Column]:
        for column in self._schema.columns:
            if not self._facts.computed(f"{self._schema.name}.{column.name}"):
                yield column

    def _where(self, key: Row) -> str:
        columns = [self._schema.column(name) for name in self._schema.key]
        return " AND ".join(f"{quoted(column.name)} = {self._value(column, key[column.name])}" for column in columns)

    def _value(self, column: Column, value: Value) -> str:
        if value is not None and (why := self._facts.disguised(self._schema, column)):
            raise _RefusedError(f"column {column.name}: {why}")
        try:
            text = literal(column, value)
        except NoLiteralError as error:
            raise _RefusedError(f"column {column.name}: {error}") from None
        self._unstrict |= is_refused_member(column, value)
        if why := doubt(column, value):
            self._doubts.append(f"column {column.name}: {why}")
        return text

    def _made(self, statement: str) -> Undo:
        return Undo(statement, self._unstrict, "", tuple(self._doubts))


def _require(missing: Sequence[str]) -> None:
    if missing:
        raise _RefusedError(
            f"the binlog does not hold what it had in {', '.join(missing)} (binlog_row_image is not FULL)"
        )


def _differ(one: Value, other: Value) -> bool:
    """-0.0 and 0.0 do."""
    return one != other or orjson.dumps(one) != orjson.dumps(other)


_UNDO: dict[str, Callable[[_Writer, RowChange], Undo]] = {
    "c": _Writer.delete,
    "d": _Writer.insert,
    "u": _Writer.update,
}
