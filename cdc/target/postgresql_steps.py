"""What PostgreSQL is asked to do for a group of rows, and its refusals in our words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from cdc.model.change import Row
from cdc.model.errors import CdcError, RowRefused
from cdc.target.postgresql_bulk import Shape, copy_text, key_records, records
from cdc.target.postgresql_errors import ROW_HINT, kind_of, mapped
from cdc.target.row_images import MISSING_ROW_HINT
from cdc.target.sql.names import shown
from cdc.target.sql.plan import TablePlan

# Up to here one JSON parameter in a pipeline beats a COPY; measured by benchmarks, docs/decisions/0005-targets.md.
SMALL_ROWS = 200
COPY_LINE = re.compile(r"^COPY .*, line (\d+)(?:, column (.+?)(?::|$))?", re.MULTILINE)


class Taken(RowRefused):
    """A unique or exclusion violation, which a displacement may mend."""


class Unlocated(RowRefused):
    """Values of one of the step's rows or more that no column of this type takes, whatever else the table holds; which rows,
    cdc.target.postgresql_probe can tell."""

    step: "Step | None" = None


@dataclass(frozen=True, slots=True)
class Step:
    """One statement's worth: `kind` is delete, update or upsert; `missing` whether a missing row is an error."""

    kind: str
    shape: Shape
    rows: Sequence[Any]
    missing: bool = False

    @property
    def small(self) -> bool:
        return self.kind == "delete" or len(self.rows) <= SMALL_ROWS

    @property
    def sql(self) -> str:
        shape = self.shape
        if self.kind == "delete":
            return shape.delete_records
        return shape.update_records if self.kind == "update" else shape.upsert_records

    @property
    def parameter(self) -> str:
        return (key_records if self.kind == "delete" else records)(self.shape, self.rows)


def copy(cursor: "psycopg.Cursor[Any]", table: str, shape: Shape, rows: Sequence[Row]) -> None:
    """Into a staging table, or `table (columns)`."""
    with cursor.copy(f"COPY {table} FROM STDIN") as stream:
        stream.write(copy_text(shape, rows))


def refused(error: psycopg.Error, step: Step) -> CdcError:
    """Our error with table, column and, where it is known, the key."""
    kind = kind_of(error)
    if kind is not RowRefused:
        return mapped(error)
    line = COPY_LINE.search(error.diag.context or "")
    row = step.rows[int(line[1]) - 1] if line else step.rows[0] if len(step.rows) == 1 else None
    place = place_of(error, step, row)
    if error.sqlstate in {"23505", "23P01"}:
        return Taken(mapped(error, place).message, hint=ROW_HINT)
    if step.kind == "delete" or (error.sqlstate or "")[:2] != "22":
        return mapped(error, place)
    unlocated = Unlocated(mapped(error, place).message, hint=ROW_HINT)
    unlocated.step = step
    return unlocated


def place_of(error: psycopg.Error, step: Step, row: Any | None) -> str:
    """Table, column, constraint and the key of `row` (for a delete, `row` is the key), as `mapped` takes them."""
    diag, plan = error.diag, step.shape.table.plan
    line = COPY_LINE.search(diag.context or "")
    column = diag.column_name or (line and line[2])
    place = f", table {shown(str(plan.name))}"
    place += f", column {shown(column)}" if column else ""
    place += f", constraint {shown(diag.constraint_name)}" if diag.constraint_name else ""
    if row is not None:
        key = row if step.kind == "delete" else [row[name] for name in plan.key]
        place += f", row {_named(plan, key)}"
    return place


def missing_row(plan: TablePlan, key: Sequence[str]) -> RowRefused:
    return RowRefused(
        f"table {shown(str(plan.name))} lacks the row {_named(plan, key)} that an update is for",
        hint=MISSING_ROW_HINT,
    )


def _named(plan: TablePlan, key: Sequence[object]) -> str:
    return ", ".join(f"{name}={shown(str(value))}" for name, value in zip(plan.key, key, strict=True))
