# ruff: noqa: S608 - names in statements are quoted by cdc.target.sql.names, values are parameters or COPY data
"""The text of what is sent to PostgreSQL for a group of rows: COPY data, JSON records, and the statements that merge them.

Pure functions of a table's shape and of rows. A group's rows reach the server in one of two ways: a COPY into a temporary
staging table, or, few rows, as one JSON parameter, which can be pipelined with other statements while COPY cannot.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

import orjson

from cdc.model.batch import Key
from cdc.model.change import Row, Value
from cdc.model.compiled_received import ReceivedRows
from cdc.model.errors import RowRefused
from cdc.target.row_images import other_columns
from cdc.target.sql.dialects import POSTGRESQL
from cdc.target.sql.names import doubled, quote, shown
from cdc.target.sql.plan import TablePlan
from cdc.target.sql.typemap import BINARIES
from cdc.target.sql.values import Converter

# Names cannot contain U+0000, so these are never part of one.
STAGE = "\0stage\0"
_PARAMETER = "\0parameter\0"


@dataclass(frozen=True, slots=True)
class TargetTable:
    """A plan, and what PostgreSQL's catalog adds to it.

    `formats`: each source column's type as PostgreSQL writes it, with its modifier. `writable`: all columns of the target's
    table, quoted, but generated ones. `other_unique`: there are unique or exclusion indexes beside the key's.
    `cascades`: a delete here would change rows of other tables. `computed`: places of source columns that the target
    generates by itself, and that cannot be written.
    """

    plan: TablePlan
    formats: tuple[str, ...]
    writable: tuple[str, ...]
    other_unique: bool
    cascades: bool
    computed: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class Shape:
    """A group's columns, key included, by their place in the plan; statements are made once, when first used.

    `indexes`: what the rows have; `written`: what of it the target's table takes.
    """

    table: TargetTable
    indexes: tuple[int, ...]

    @cached_property
    def written(self) -> tuple[int, ...]:
        return tuple(i for i in self.indexes if i not in self.table.computed)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(self.table.plan.source_columns[i] for i in self.indexes)

    @cached_property
    def written_names(self) -> tuple[str, ...]:
        return tuple(self.table.plan.source_columns[i] for i in self.written)

    @cached_property
    def converters(self) -> dict[str, Converter]:
        plan = self.table.plan
        return {plan.source_columns[i]: change for i, change in plan.converters if i in self.indexes}

    @cached_property
    def received_converters(self) -> tuple[Mapping[int, Converter], frozenset[int]]:
        """As ReceivedRows.copy_text takes them."""
        by_index = dict(self.table.plan.converters)
        columns = self.table.plan.schema.columns
        return by_index, frozenset(index for index in by_index if columns[index].type in BINARIES)

    @cached_property
    def _values(self) -> tuple[str, ...]:
        """`s.column`, with the cast that a JSON text needs: in a record it would be read as a JSON string."""
        plan, formats = self.table.plan, self.table.formats
        return tuple(
            f"s.{plan.quoted_columns[i]}::{formats[i]}" if formats[i] in _JSON else f"s.{plan.quoted_columns[i]}"
            for i in self.written
        )

    @cached_property
    def _records(self) -> str:
        """The rows of one JSON parameter. Column types carry their modifiers: they are read by the types' input functions,
        which refuse what is too long, where a cast would cut it off."""
        plan, formats = self.table.plan, self.table.formats
        columns = ", ".join(
            f"{plan.quoted_columns[i]} {'text' if formats[i] in _JSON else formats[i]}" for i in self.written
        )
        return f"json_to_recordset({_PARAMETER}::json) AS s({columns})"

    @cached_property
    def stage_definition(self) -> str:
        plan = self.table.plan
        columns = ", ".join(plan.quoted_columns[i] for i in self.written)
        return f"CREATE TEMP TABLE {STAGE} ON COMMIT DELETE ROWS AS SELECT {columns} FROM {plan.quoted} WITH NO DATA"

    @cached_property
    def moved_definition(self) -> str:
        table = self.table
        columns = ", ".join(table.writable)
        return (
            f"CREATE TEMP TABLE {STAGE} ON COMMIT DELETE ROWS AS SELECT {columns} FROM {table.plan.quoted} WITH NO DATA"
        )

    @cached_property
    def update_stage(self) -> str:
        return self._update(f"{STAGE} AS s")

    @cached_property
    def update_records(self) -> str:
        return _with_parameter(self._update(self._records))

    @cached_property
    def upsert_stage(self) -> str:
        return self._upsert(f"{STAGE} AS s")

    @cached_property
    def upsert_records(self) -> str:
        return _with_parameter(self._upsert(self._records))

    @cached_property
    def delete_records(self) -> str:
        return _with_parameter(self._delete(self._records))

    def records_behind(self, kind: str, held: str, parameter: str) -> str:
        """As the statement of this kind (delete, update, upsert) for records, but for no row at all while the relation `held`,
        of one row at most, is empty. In PostgreSQL's own form: `parameter` is like `$1`, percent signs are not doubled."""
        source = f"{held}, {self._records}"
        made = {"delete": self._delete, "update": self._update, "upsert": self._upsert}[kind](source)
        return made.replace(_PARAMETER, parameter)

    def select_records(self, select: str) -> str:
        """`select`, expressions on the table as `t`, of the rows whose keys the parameter has."""
        return _with_parameter(
            f"SELECT {select} FROM {self.table.plan.quoted} AS t JOIN {self._records} ON {self.same_key}"
        )

    @cached_property
    def missing_stage(self) -> str:
        return self._missing(f"{STAGE} AS s")

    @cached_property
    def missing_records(self) -> str:
        return _with_parameter(self._missing(self._records))

    @cached_property
    def same_key(self) -> str:
        return " AND ".join(f"t.{name} = s.{name}" for name in self.table.plan.quoted_key)

    def assignments(self, source: str) -> str:
        """What an update sets: every column but the key; a table that is all key sets a key column to itself."""
        plan = self.table.plan
        pairs = [
            f"{plan.quoted_columns[i]} = {value if source == 's' else f'{source}.{plan.quoted_columns[i]}'}"
            for i, value in zip(self.written, self._values, strict=True)
            if i not in plan.key_indexes
        ]
        return ", ".join(pairs) or f"{plan.quoted_key[0]} = {source}.{plan.quoted_key[0]}"

    @property
    def column_list(self) -> str:
        return ", ".join(self.table.plan.quoted_columns[i] for i in self.written)

    @property
    def value_list(self) -> str:
        return ", ".join(self._values)

    def _delete(self, source: str) -> str:
        return f"DELETE FROM {self.table.plan.quoted} AS t USING {source} WHERE {self.same_key}"

    def _update(self, source: str) -> str:
        return f"UPDATE {self.table.plan.quoted} AS t SET {self.assignments('s')} FROM {source} WHERE {self.same_key}"

    def _upsert(self, source: str) -> str:
        plan = self.table.plan
        return (
            f"INSERT INTO {plan.quoted} ({self.column_list}) OVERRIDING SYSTEM VALUE SELECT {self.value_list} FROM {source}"
            f" ON CONFLICT ({', '.join(plan.quoted_key)}) DO UPDATE SET {self.assignments('EXCLUDED')}"
        )

    def _missing(self, source: str) -> str:
        plan = self.table.plan
        key = ", ".join(f"s.{name}::text" for name in plan.quoted_key)
        return (
            f"SELECT {key} FROM {source}"
            f" WHERE NOT EXISTS (SELECT FROM {plan.quoted} AS t WHERE {self.same_key}) ORDER BY {key} LIMIT 1"
        )


_JSON = frozenset({"json", "jsonb"})


def _with_parameter(sql: str) -> str:
    """The one placeholder, told from every percent sign in names."""
    return doubled(sql).replace(_PARAMETER, "%s")


def key_records(shape: Shape, keys: Sequence[Key]) -> str:
    """Keys as a JSON array of records."""
    names = shape.names
    return records(shape, [dict(zip(names, key, strict=True)) for key in keys])


def records(shape: Shape, rows: Sequence[Row]) -> str:
    """Rows as a JSON array of records by column name. Raises RowRefused for a row of other columns: an absent one would
    be read as NULL."""
    if isinstance(rows, ReceivedRows) and rows.names == shape.names and not shape.converters:
        return rows.json_array().decode()
    expected = dict.fromkeys(shape.names).keys()
    if any(row.keys() != expected for row in rows):
        raise other_columns(shape.table.plan)
    if shape.converters:
        rows = [_converted(row, shape.converters) for row in rows]
    return orjson.dumps(rows).decode()


def _converted(row: Row, converters: dict[str, Converter]) -> Row:
    changed = {name: change(row[name]) for name, change in converters.items() if row[name] is not None}
    return {**row, **changed}


def copy_text(shape: Shape, rows: Sequence[Row]) -> bytes:
    r"""Rows in COPY's text format (manual, COPY, "Text Format"): tabs between values, \N for NULL, backslash escapes.

    Made column by column: a column without a special character anywhere is not looked at value by value.
    Raises RowRefused for a row that lacks a column, and for text that is no valid Unicode.
    """
    if isinstance(rows, ReceivedRows) and rows.names == shape.table.plan.source_columns:
        return rows.copy_text(shape.written, *shape.received_converters)
    try:
        columns = _columns(shape, rows)
        return ("\n".join(map("\t".join, zip(*columns, strict=True))) + "\n").encode()
    except KeyError:
        raise other_columns(shape.table.plan) from None
    except UnicodeEncodeError as error:
        raise RowRefused(
            f"a text for table {shown(str(shape.table.plan.name))} is not valid Unicode: {error.reason}",
            hint="mend it at the source, or set sink.on_error: dead_letter",
        ) from None


def _columns(shape: Shape, rows: Sequence[Row]) -> Iterable[Sequence[str]]:
    for name in shape.written_names:
        values: Sequence[Value] = list(map(itemgetter(name), rows))
        yield _texts(values, shape.converters.get(name))


def _texts(values: Sequence[Any], change: Converter | None) -> Sequence[str]:
    if change is not None:
        values = [None if value is None else change(value) for value in values]
    try:
        whole = "".join(values)
    except TypeError:  # numbers or NULLs among them
        return [_text(value) for value in values]
    return values if not _special(whole) else [_escaped(value) for value in values]


def _text(value: Value) -> str:
    if value is None:
        return "\\N"
    return _escaped(value) if isinstance(value, str) else str(value)


def _special(text: str) -> bool:
    return "\\" in text or "\t" in text or "\n" in text or "\r" in text


def _escaped(text: str) -> str:
    if not _special(text):
        return text
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def grouped(
    shape_of: Callable[[tuple[int, ...]], Shape], plan: TablePlan, rows: Sequence[Row]
) -> Sequence[tuple[Shape, Sequence[Row]]]:
    """Rows by the columns that they have: one group, unless the source's row image is not FULL.

    Raises RowRefused where a row lacks a key column, or has one that the schema does not know.
    """
    every = plan.source_columns
    if isinstance(rows, ReceivedRows) and rows.names == every:
        return [(shape_of(_all(len(every))), rows)] if rows else []
    groups: dict[tuple[int, ...], list[Row]] = {}
    for row in rows:
        if len(row) == len(every):
            indexes = _all(len(every))
        else:
            indexes = tuple(i for i, name in enumerate(every) if name in row)
            if len(indexes) != len(row) or not set(plan.key_indexes) <= set(indexes):
                raise other_columns(plan)
        groups.setdefault(indexes, []).append(row)
    return [(shape_of(indexes), members) for indexes, members in groups.items()]


def _all(count: int) -> tuple[int, ...]:
    return tuple(range(count))


def stage_name(number: int) -> str:
    return quote(POSTGRESQL, f"_cdc_stage_{number}")
