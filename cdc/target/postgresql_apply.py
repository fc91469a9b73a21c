"""Applies batches within an open transaction: groups of rows as steps, small ones in one pipeline, large ones by COPY.

Values that change places between unique keys make the plain statements fail, since PostgreSQL checks uniqueness row by row;
then, and only then, the rows are taken out and put in again as a whole (cdc.target.postgresql_displacement).
"""

from collections.abc import Sequence

import psycopg

from cdc.model.batch import TableBatch
from cdc.model.change import Row
from cdc.model.compiled_received import ReceivedRows
from cdc.model.errors import RowRefused
from cdc.target.port import RowsRefused
from cdc.target.postgresql_bulk import STAGE, Shape, TargetTable, grouped
from cdc.target.postgresql_catalog import catalogued
from cdc.target.postgresql_connection import Connection
from cdc.target.postgresql_displacement import Displacement
from cdc.target.postgresql_newcomers import Newcomers
from cdc.target.postgresql_probe import refused_rows
from cdc.target.postgresql_stages import Stages
from cdc.target.postgresql_steps import Step, Taken, Unlocated, copy, missing_row, refused
from cdc.target.row_images import other_columns
from cdc.target.sql.plan import Planner, TablePlan


class Applier:
    """The bulk path of one connection. `rolled_back` and `committed` tell it what became of its temporary tables."""

    def __init__(self, connection: Connection, planner: Planner) -> None:
        self._connection = connection
        self._planner = planner
        self._tables: dict[str, tuple[TablePlan, TargetTable]] = {}
        self._shapes: dict[tuple[int, tuple[int, ...]], Shape] = {}
        self._stages = Stages(connection)
        self._newcomers = Newcomers(connection)

    def apply(self, batches: Sequence[TableBatch], *, savepoint: bool, tolerant: bool) -> None:
        """As LaneWriter.apply."""
        try:
            self._apply(batches, savepoint=savepoint, tolerant=tolerant)
        except (Taken, Unlocated) as error:
            # These carry rows, and are for this module only.
            raise RowRefused(error.message, hint=error.hint) from None

    def _apply(self, batches: Sequence[TableBatch], *, savepoint: bool, tolerant: bool) -> None:
        self._stages.trim()
        steps = self._steps(batches, tolerant=tolerant)
        writes = [step for step in steps if step.kind != "delete"]
        # One row alone has nobody to change places with.
        retries = any(step.shape.table.other_unique for step in writes) and sum(len(step.rows) for step in writes) > 1
        if not (savepoint or retries):
            self._run(steps)
            return
        try:
            self._run_or_displace(steps, writes, retries=retries)
        except Unlocated as error:
            raise self._located(error, alone=sum(len(step.rows) for step in steps) == 1) from None

    def _run_or_displace(self, steps: Sequence[Step], writes: Sequence[Step], *, retries: bool) -> None:
        """Under a savepoint, which a refusal takes back."""
        self._save()
        try:
            self._run(steps)
        except Taken:
            self._undo()
            if not retries:
                raise
        except RowRefused:
            self._undo()
            raise
        else:
            self._connection.execute("RELEASE SAVEPOINT cdc_apply")
            return
        displacement = Displacement(self._connection, self._stages, writes)
        self._save()
        try:
            self.apply_all([step for step in steps if step.kind == "delete"])
            displacement.run()
        except RowRefused:
            self._undo()
            raise
        self._connection.execute("RELEASE SAVEPOINT cdc_apply")

    def _located(self, error: Unlocated, *, alone: bool) -> RowRefused:
        """The same with the rows that are to blame, where that can be told. `alone`: there is but one."""
        step = error.step
        if step is None or alone:
            return error
        rows = refused_rows(self._connection, self._stages.rows(step.shape), step)
        return RowsRefused(rows[0].reason, hint=error.hint, rows=rows) if rows else error

    def forget(self) -> None:
        """Tables may have another shape: their staging tables are dropped by the next `apply`. Prepared statements stay: they
        have the columns' types in their text, and none gives rows of a table as a whole."""
        self._planner.forget()
        self._tables.clear()
        self._shapes.clear()
        self._stages.forget()
        self._newcomers.forget()

    def committed(self) -> None:
        self._stages.committed()

    def rolled_back(self) -> None:
        self._stages.rolled_back()

    def _save(self) -> None:
        self._connection.execute("SAVEPOINT cdc_apply")
        self._stages.save()

    def _undo(self) -> None:
        """Released too: savepoints of one name would lie one upon another, one more for each refusal."""
        self._connection.execute("ROLLBACK TO SAVEPOINT cdc_apply; RELEASE SAVEPOINT cdc_apply")
        self._stages.undone()

    def steps_at_hand(self, batches: Sequence[TableBatch]) -> list[Step] | None:
        """What `apply` would do; None where it would have to look at a table first. Raises RowRefused."""
        if not all(batch.schema.fingerprint() in self._tables for batch in batches):
            return None
        return self._steps(batches, tolerant=False)

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
            if not isinstance(batch.inserts, ReceivedRows) and any(len(row) != whole for row in batch.inserts):
                raise other_columns(plan)
            for shape, rows in self._grouped(table, batch.inserts):
                writes.append(Step("upsert", shape, rows))
        return deletes + writes

    def _grouped(self, table: TargetTable, rows: Sequence[Row]) -> Sequence[tuple[Shape, Sequence[Row]]]:
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
        table = catalogued(self._connection, plan)
        self._tables[fingerprint] = (plan, table)
        return table

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
        if step.kind == "upsert" and self._newcomers.put_in(step):
            return
        stage = self._stages.rows(step.shape)
        sql = step.shape.update_stage if step.kind == "update" else step.shape.upsert_stage
        with self._connection.cursor() as cursor:
            try:
                copy(cursor, stage, step.shape, step.rows)
                cursor.execute(sql.replace(STAGE, stage))
            except psycopg.Error as error:
                raise refused(error, step) from None
            if step.missing and cursor.rowcount != len(step.rows):
                self._name_missing(step, step.shape.missing_stage.replace(STAGE, stage), None)

    def _name_missing(self, step: Step, sql: str, parameters: tuple[str] | None) -> None:
        row = self._connection.execute(sql, parameters).fetchone()
        if row is not None:
            raise missing_row(step.shape.table.plan, row)
