# ruff: noqa: S608 - names in statements are quoted by cdc.target.sql.names, values are COPY data
"""Takes rows out and puts them in again: no two of them ever stand in one another's way.

Columns that only the target has are kept. Only the rows of the batches' keys change: where a delete would cascade to
other tables, the rows are refused.
"""

from collections.abc import Sequence

import psycopg

from cdc.model.errors import RowRefused
from cdc.target.postgresql_bulk import STAGE
from cdc.target.postgresql_connection import Connection
from cdc.target.postgresql_stages import Stages
from cdc.target.postgresql_steps import Step, copy, missing_row, refused
from cdc.target.sql.names import shown


class Displacement:
    """Of `writes`, the updates and upserts of one `apply`. Construct it before the savepoint in which it runs: its temporary
    tables then outlive a refusal."""

    def __init__(self, connection: Connection, stages: Stages, writes: Sequence[Step]) -> None:
        self._connection = connection
        for step in writes:
            if step.shape.table.cascades:
                raise RowRefused(
                    f"values change places under a unique key of table {shown(str(step.shape.table.plan.name))}, and other"
                    " tables refer to it with ON DELETE CASCADE or SET",
                    hint="drop that unique index at the target, or make its constraint DEFERRABLE INITIALLY DEFERRED",
                )
        # Updates and upserts of one table may have one shape, and are both at work at the same time.
        self._steps = [
            (step, stages.rows(step.shape, at), stages.moved(step.shape, at)) for at, step in enumerate(writes)
        ]

    def run(self) -> None:
        for do in (self._take_out, self._put_in):
            for step, stage, moved in self._steps:
                try:
                    do(step, stage, moved)
                except psycopg.Error as error:
                    raise refused(error, step) from None

    def _take_out(self, step: Step, stage: str, moved: str) -> None:
        """The new values in one temporary table, the rows as they were in another; those are deleted."""
        table, shape = step.shape.table, step.shape
        with self._connection.cursor() as cursor:
            copy(cursor, stage, shape, step.rows)
            cursor.execute(
                f"INSERT INTO {moved} SELECT {', '.join(f't.{c}' for c in table.writable)}"
                f" FROM {table.plan.quoted} AS t JOIN {stage} AS s ON {shape.same_key}"
            )
            if step.missing and cursor.rowcount != len(step.rows):
                row = cursor.execute(shape.missing_stage.replace(STAGE, stage)).fetchone()
                if row is not None:
                    raise missing_row(table.plan, row)
            cursor.execute(f"DELETE FROM {table.plan.quoted} AS t USING {stage} AS s WHERE {shape.same_key}")

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
