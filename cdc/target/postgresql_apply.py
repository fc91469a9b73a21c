# ruff: noqa: S608 - names in statements are quoted by cdc.target.sql.names, values are parameters or COPY data
"""Applies batches within an open transaction: groups of rows as steps, small ones in one pipeline, large ones by COPY.

Values that change places between unique keys make the plain statements fail, since PostgreSQL checks uniqueness row by row;
then, and only then, the rows are taken out and put in again as a whole (`Displacement`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import psycopg

from cdc.model.batch import TableBatch
from cdc.model.change import Row
from cdc.model.errors import CdcError, RowRefused
from cdc.target.postgresql_bulk import (
    STAGE,
    Shape,
    TargetTable,
    copy_text,
    grouped,
    key_records,
    records,
    stage_name,
)
from cdc.target.postgresql_connection import Connection
from cdc.target.postgresql_errors import ROW_HINT, kind_of, mapped
from cdc.target.row_images import other_columns
from cdc.target.sql.names import shown
from cdc.target.sql.plan import Planner, TablePlan

# Up to here one JSON parameter in a pipeline beats a COPY; measured by benchmarks, docs/decisions/0005-targets.md.
SMALL_ROWS = 200
_COPY_LINE = re.compile(r"^COPY .*, line (\d+)(?:, column (.+?)(?::|$))?", re.MULTILINE)
# Each temporary table is emptied at every commit that used any: not more of them than that on one connection.
_MOST_STAGES = 32

_CATALOG = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), quote_ident(a.attname), a.attgenerated = '',
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND NOT i.indisprimary
               AND (i.indisunique OR i.indisexclusion)),
       EXISTS (SELECT FROM pg_constraint c WHERE c.confrelid = a.attrelid AND c.confdeltype IN ('c', 'n', 'd'))
FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


class Taken(RowRefused):
    """A unique or exclusion violation, which a displacement may mend."""


class Unlocated(RowRefused):
    """One of the step's rows, not known which."""

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


class Applier:
    """The bulk path of one connection. `rolled_back` and `committed` tell it what became of its temporary tables."""

    def __init__(self, connection: Connection, planner: Planner) -> None:
        self._connection = connection
        self._planner = planner
        self._tables: dict[str, tuple[TablePlan, TargetTable]] = {}
        self._shapes: dict[tuple[int, tuple[int, ...]], Shape] = {}
        self._stages: dict[Shape, str] = {}
        self._stale: list[str] = []
        self._dropping = False
        self._new: list[Shape] = []
        self._filled: set[Shape] = set()
        self._numbers = count(1)

    def apply(self, batches: Sequence[TableBatch], *, savepoint: bool, tolerant: bool) -> None:
        """As LaneWriter.apply."""
        try:
            self._apply(batches, savepoint=savepoint, tolerant=tolerant)
        except (Taken, Unlocated) as error:
            # These carry rows, and are for this module only.
            raise RowRefused(error.message, hint=error.hint) from None

    def _apply(self, batches: Sequence[TableBatch], *, savepoint: bool, tolerant: bool) -> None:
        self._drop_stale()
        steps = self._steps(batches, tolerant=tolerant)
        retries = any(step.shape.table.other_unique for step in steps if step.kind != "delete")
        if not (savepoint or retries):
            self._run(steps)
            return
        self._connection.execute("SAVEPOINT cdc_apply")
        try:
            self._run_or_displace(steps, retries=retries)
        except RowRefused as error:
            self._undo()
            raise self._located(error) from None
        self._connection.execute("RELEASE SAVEPOINT cdc_apply")

    def _located(self, error: RowRefused) -> RowRefused:
        """The same with the row's key: JSON records do not tell it, a COPY of the same rows into nowhere does."""
        step = error.step if isinstance(error, Unlocated) else None
        if step is None or step.kind == "delete":
            return error
        try:
            with self._connection.cursor() as cursor:
                copy(cursor, self._stage(step.shape), step.shape, step.rows)
        except psycopg.Error as telling:
            located = refused(telling, step)
            error = located if isinstance(located, RowRefused) else error
        self._undo()
        return error

    def forget(self) -> None:
        """Tables may have another shape: their staging tables are dropped by the next `apply`. Prepared statements stay: they
        have the columns' types in their text, and none gives rows of a table as a whole."""
        self._planner.forget()
        self._tables.clear()
        self._shapes.clear()
        self._stale += self._stages.values()
        self._stages.clear()
        self._settled()

    def committed(self) -> None:
        if self._dropping:
            self._stale.clear()
        self._settled()

    def rolled_back(self) -> None:
        """Temporary tables made in the transaction are gone with it."""
        for shape in self._new:
            self._stages.pop(shape, None)
        self._settled()

    def _settled(self) -> None:
        self._dropping = False
        self._new.clear()
        self._filled.clear()

    def _drop_stale(self) -> None:
        """Whatever a rollback brings back is dropped again."""
        if self._stale:
            self._connection.execute(f"DROP TABLE IF EXISTS {', '.join(self._stale)}")
            self._dropping = True

    def _undo(self) -> None:
        self._connection.execute("ROLLBACK TO SAVEPOINT cdc_apply")
        self.rolled_back()

    def _run_or_displace(self, steps: Sequence[Step], *, retries: bool) -> None:
        try:
            self._run(steps)
        except Taken:
            if not retries:
                raise
            self._undo()
            Displacement(self._connection, self._numbers).run(steps, self)

    def _steps(self, batches: Sequence[TableBatch], *, tolerant: bool) -> list[Step]:
        deletes: list[Step] = []
        writes: list[Step] = []
        for batch in batches:
            table = self._table(batch)
            plan = table.plan
            if batch.deletes:
                deletes.append(Step("delete", self._shape(table, plan.key_indexes), batch.deletes))
            whole = len(plan.columns)
            for shape, rows in self._grouped(table, batch.updates):
                upserts = tolerant and len(shape.indexes) == whole
                writes.append(Step("upsert" if upserts else "update", shape, rows, missing=not upserts))
            if any(len(row) != whole for row in batch.inserts):
                raise other_columns(plan)
            for shape, rows in self._grouped(table, batch.inserts):
                writes.append(Step("upsert", shape, rows))
        return deletes + writes

    def _grouped(self, table: TargetTable, rows: Sequence[Row]) -> list[tuple[Shape, list[Row]]]:
        return grouped(lambda indexes: self._shape(table, indexes), table.plan, rows)

    def _shape(self, table: TargetTable, indexes: tuple[int, ...]) -> Shape:
        key = (id(table), indexes)
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = Shape(table, indexes)
        return shape

    def _table(self, batch: TableBatch) -> TargetTable:
        fingerprint = batch.schema.fingerprint()
        plan = self._planner.plan(batch.schema)
        known = self._tables.get(fingerprint)
        if known is not None and known[0] is plan:
            return known[1]
        table = self._catalog(plan)
        self._tables[fingerprint] = (plan, table)
        return table

    def _catalog(self, plan: TablePlan) -> TargetTable:
        rows = self._connection.execute(_CATALOG, (plan.quoted,)).fetchall()
        formats = {row[0]: row[1] for row in rows}
        computed = {row[0] for row in rows if not row[3]}
        return TargetTable(
            plan=plan,
            formats=tuple(formats[column] for column in plan.columns),
            writable=tuple(row[2] for row in rows if row[3]),
            other_unique=any(row[4] for row in rows),
            cascades=any(row[5] for row in rows),
            computed=frozenset(at for at, column in enumerate(plan.columns) if column in computed),
        )

    def _run(self, steps: Sequence[Step]) -> None:
        waiting: list[Step] = []
        for step in steps:
            if step.small:
                waiting.append(step)
                continue
            self.apply_all(waiting)
            waiting = []
            self._staged(step)
        self.apply_all(waiting)

    def apply_all(self, steps: Sequence[Step]) -> None:
        """Small steps: all but the last in one pipeline, the last alone. The first that fails ends the rest.

        A transaction must not be left idle after a pipeline: psycopg ends one with Sync and Flush, and the Flush takes back
        the idle-in-transaction timer that PostgreSQL set at the Sync (`PostgresMain`: it is set again only with the next
        ReadyForQuery). A worker stopped there would never be ended.
        """
        prepared = [(step, self._connection.cursor(), step.parameter) for step in steps]
        try:
            if prepared[1:]:
                with self._connection.pipeline():
                    for step, cursor, parameter in prepared[:-1]:
                        cursor.execute(step.sql, (parameter,))
            for step, cursor, parameter in prepared[-1:]:
                cursor.execute(step.sql, (parameter,))
        except psycopg.Error as error:
            failed = next((step for step, cursor, _ in prepared if cursor.pgresult is None), steps[-1])
            raise refused(error, failed) from None
        for step, cursor, parameter in prepared:
            if step.missing and cursor.rowcount != len(step.rows):
                self._name_missing(step, step.shape.missing_records, (parameter,))

    def _staged(self, step: Step) -> None:
        stage = self._stage(step.shape)
        sql = step.shape.update_stage if step.kind == "update" else step.shape.upsert_stage
        with self._connection.cursor() as cursor:
            try:
                copy(cursor, stage, step.shape, step.rows)
                cursor.execute(sql.replace(STAGE, stage))
            except psycopg.Error as error:
                raise refused(error, step) from None
            if step.missing and cursor.rowcount != len(step.rows):
                self._name_missing(step, step.shape.missing_stage.replace(STAGE, stage), None)

    def _stage(self, shape: Shape) -> str:
        """An empty temporary table for the shape."""
        stage = self._stages.pop(shape, None)
        if stage is None:
            if len(self._stages) >= _MOST_STAGES:
                oldest = next(iter(self._stages))
                self._connection.execute(f"DROP TABLE {self._stages.pop(oldest)}")
            stage = stage_name(next(self._numbers))
            self._connection.execute(shape.stage_definition.replace(STAGE, stage))
            self._new.append(shape)
        elif shape in self._filled:
            self._connection.execute(f"DELETE FROM {stage}")
        self._filled.add(shape)
        self._stages[shape] = stage
        return stage

    def _name_missing(self, step: Step, sql: str, parameters: tuple[str] | None) -> None:
        row = self._connection.execute(sql, parameters).fetchone()
        if row is not None:
            raise missing_row(step.shape.table.plan, row)


class Displacement:
    """Takes rows out and puts them in again: no two of them ever stand in one another's way.

    Columns that only the target has are kept. Only the rows of the batches' keys change: where a delete would cascade to
    other tables, the rows are refused.
    """

    def __init__(self, connection: Connection, numbers: "count[int]") -> None:
        self._connection = connection
        self._numbers = numbers

    def run(self, steps: Sequence[Step], applier: Applier) -> None:
        deletes = [step for step in steps if step.kind == "delete"]
        writes = [step for step in steps if step.kind != "delete"]
        applier.apply_all(deletes)
        try:
            taken = [(step, *self._take_out(step)) for step in writes]
            for step, stage, moved in taken:
                self._put_in(step, stage, moved)
        except psycopg.Error as error:
            raise refused(error, writes[0]) from None

    def _take_out(self, step: Step) -> tuple[str, str]:
        """The new values in one temporary table, the rows as they were in another; those are deleted."""
        table, shape = step.shape.table, step.shape
        if table.cascades:
            raise RowRefused(
                f"values change places under a unique key of table {shown(str(table.plan.name))}, and other tables refer to"
                " it with ON DELETE CASCADE or SET",
                hint="drop that unique index at the target, or make its constraint DEFERRABLE INITIALLY DEFERRED",
            )
        stage, moved = (stage_name(next(self._numbers)) for _ in range(2))
        with self._connection.cursor() as cursor:
            cursor.execute(shape.stage_definition.replace(STAGE, stage).replace("DELETE ROWS", "DROP", 1))
            copy(cursor, stage, shape, step.rows)
            cursor.execute(
                f"CREATE TEMP TABLE {moved} ON COMMIT DROP AS SELECT {', '.join(f't.{c}' for c in table.writable)}"
                f" FROM {table.plan.quoted} AS t JOIN {stage} AS s ON {shape.same_key}"
            )
            if step.missing and cursor.rowcount != len(step.rows):
                row = cursor.execute(shape.missing_stage.replace(STAGE, stage)).fetchone()
                if row is not None:
                    raise missing_row(table.plan, row)
            cursor.execute(f"DELETE FROM {table.plan.quoted} AS t USING {stage} AS s WHERE {shape.same_key}")
        return stage, moved

    def _put_in(self, step: Step, stage: str, moved: str) -> None:
        table, shape = step.shape.table, step.shape
        columns = ", ".join(table.writable)
        with self._connection.cursor() as cursor:
            cursor.execute(f"UPDATE {moved} AS t SET {shape.assignments('s')} FROM {stage} AS s WHERE {shape.same_key}")
            cursor.execute(
                f"INSERT INTO {table.plan.quoted} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {moved}"
            )
            cursor.execute(
                f"INSERT INTO {table.plan.quoted} ({shape.column_list}) OVERRIDING SYSTEM VALUE"
                f" SELECT {shape.value_list} FROM {stage} AS s"
                f" WHERE NOT EXISTS (SELECT FROM {moved} AS t WHERE {shape.same_key})"
            )


def copy(cursor: "psycopg.Cursor[Any]", stage: str, shape: Shape, rows: Sequence[Row]) -> None:
    with cursor.copy(f"COPY {stage} FROM STDIN") as stream:
        stream.write(copy_text(shape, rows))


def refused(error: psycopg.Error, step: Step) -> CdcError:
    """Our error with table, column and, where it is known, the key."""
    kind = kind_of(error)
    if kind is not RowRefused:
        return mapped(error)
    diag, plan = error.diag, step.shape.table.plan
    line = _COPY_LINE.search(diag.context or "")
    column = diag.column_name or (line and line[2])
    row = step.rows[int(line[1]) - 1] if line else step.rows[0] if len(step.rows) == 1 else None
    place = f", table {shown(str(plan.name))}"
    place += f", column {shown(column)}" if column else ""
    place += f", constraint {shown(diag.constraint_name)}" if diag.constraint_name else ""
    if row is not None:
        key = row if step.kind == "delete" else [row[name] for name in plan.key]
        place += f", row {_named(plan, key)}"
    if error.sqlstate in {"23505", "23P01"}:
        return Taken(mapped(error, place).message, hint=ROW_HINT)
    if row is not None:
        return mapped(error, place)
    unlocated = Unlocated(mapped(error, place).message, hint=ROW_HINT)
    unlocated.step = step
    return unlocated


def _named(plan: TablePlan, key: Sequence[object]) -> str:
    return ", ".join(f"{name}={shown(str(value))}" for name, value in zip(plan.key, key, strict=True))


def missing_row(plan: TablePlan, key: Sequence[str]) -> RowRefused:
    return RowRefused(
        f"table {shown(str(plan.name))} lacks the row {_named(plan, key)} that an update is for",
        hint="`cdc replay` brings it back; sink.missing_rows: insert takes whole rows as inserts",
    )
