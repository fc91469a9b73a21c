"""The LaneWriter of SQLite: BEGIN IMMEDIATE locks the whole file, which is more than the lane's progress row.

What it cannot do: end a holder that is stopped inside its transaction. SQLite's lock is the kernel's, held by that process;
all other writers wait (TargetBusy, again and again) until it goes on or dies. Once it goes on, it is fenced as anywhere.
"""

import os
import socket
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace

from cdc.model.batch import DeadLetter, Key, TableBatch
from cdc.model.checkpoint import Progress
from cdc.model.errors import CdcError, RetryableError, TargetRefused
from cdc.model.schema_change import SchemaChange
from cdc.observe.failpoints import failpoint
from cdc.target.fencing import fenced
from cdc.target.port import StoredLetter
from cdc.target.settling import expect_dropped
from cdc.target.sql.changes import refusing, repeat
from cdc.target.sql.dialects import SQLITE
from cdc.target.sql.names import quote_table
from cdc.target.sql.plan import Planner
from cdc.target.sql.statements import statements
from cdc.target.sql.tables import lane_row, letter_at, letter_row, parked_key, progress_of
from cdc.target.sqlite_apply import Applier
from cdc.target.sqlite_connection import mapping
from cdc.target.sqlite_schema import SchemaHands

SQL = statements(SQLITE)


class SqliteWriter:
    """See cdc.target.port.LaneWriter. `open_connection` is called by the first call that needs the file."""

    def __init__(
        self,
        connector: str,
        sink: str,
        open_connection: Callable[[], sqlite3.Connection],
        make_planner: Callable[[sqlite3.Connection], Planner],
    ) -> None:
        self._names = {"connector": connector, "sink": sink}
        self._open_connection = open_connection
        self._make_planner = make_planner
        self._opened: tuple[sqlite3.Connection, Planner, Applier] | None = None
        self._lane = ""
        self._token = 0

    def take_over(self, lane: str, token: int) -> Progress | None:
        self.rollback()
        self._lane, self._token = lane, 0
        connection = self._connection()
        try:
            with mapping(f"lane {lane}"):
                connection.execute("BEGIN IMMEDIATE")
                for ddl in SQL.create:
                    connection.execute(ddl)
                previous = self._compare_and_set(lane, token)
                connection.execute("COMMIT")
        except CdcError:
            self.rollback()
            raise
        self._token = token
        return previous

    def begin(self) -> Progress:
        if not self._token:
            raise TargetRefused("begin before take_over", hint="report this: it is a defect of the sink")
        with mapping(f"lane {self._lane}"):
            self._connection().execute("BEGIN IMMEDIATE")
            failpoint("sink.begun")
            row = self._connection().execute(SQL.lock_progress, self._lane_parameters()).fetchone()
        progress = progress_of(row)[0] if row else None
        if progress is None or progress.token != self._token:
            self.rollback()
            raise fenced(self._lane, self._token, progress.token if progress else 0)
        return progress

    def parked(self) -> frozenset[tuple[str, str, Key]]:
        with mapping():
            return frozenset(map(parked_key, self._connection().execute(SQL.parked, self._names)))

    def apply(self, batches: Sequence[TableBatch], *, savepoint: bool = False, tolerant: bool = False) -> None:
        connection, _, applier = self._everything()
        self._expect_transaction("apply")
        with mapping():
            written = [(applier.table(batch.schema), batch) for batch in batches]
            connection.execute("SAVEPOINT cdc_apply")
        try:
            for table, batch in written:
                with mapping(f"table {table}"):
                    applier.delete(table, batch.deletes)
            for table, batch in written:
                with mapping(f"table {table}"):
                    applier.write(table, batch, tolerant=tolerant)
        except CdcError as error:
            # A full disk or an I/O error may have rolled the whole transaction back (lang_transaction.html, 3).
            if savepoint and not isinstance(error, RetryableError):
                with mapping():
                    connection.execute("ROLLBACK TO cdc_apply")
                    # Else they would lie one upon another, one more for each refusal.
                    connection.execute("RELEASE cdc_apply")
            raise
        with mapping():
            connection.execute("RELEASE cdc_apply")

    def truncate(self, schema_db: str, table: str) -> None:
        connection, planner, _ = self._everything()
        self._expect_transaction("truncate")
        name = planner.name(schema_db, table)
        if planner.exists(name):
            with mapping(f"table {name}"):
                connection.execute(f"DELETE FROM {quote_table(SQLITE, name)}")  # noqa: S608 — quoted
        with mapping("_cdc_dead_letters"):
            letters = {**self._names, "db_name": schema_db, "table_name": table}
            connection.execute(SQL.drop_table_letters, letters)

    def change_schema(self, change: SchemaChange) -> None:
        connection, planner, _ = self._everything()
        self._expect_transaction("change_schema")
        try:
            with refusing(change), mapping(f"table {change.name}"):
                repeat(planner, SchemaHands(connection, planner, self._names), change)
        finally:
            self.forget()

    def forget(self) -> None:
        if self._opened is not None:
            self._opened[2].forget()

    def park(self, letters: Sequence[DeadLetter]) -> None:
        self._expect_transaction("park")
        rows = [letter_row(self._names["connector"], self._names["sink"], self._lane, letter) for letter in letters]
        with mapping("_cdc_dead_letters"):
            self._connection().executemany(SQL.insert_letter, rows)

    def remember(self, copies: str) -> None:
        self._expect_transaction("remember")
        with mapping("_cdc_copies"):
            self._connection().execute(SQL.drop_copies, self._lane_parameters())
            self._connection().execute(SQL.insert_copies, {**self._lane_parameters(), "copies": copies})

    def commit(self, progress: Progress) -> None:
        if (progress.token, progress.lane) != (self._token, self._lane):
            raise fenced(self._lane, progress.token, self._token)
        self._expect_transaction("commit")
        with mapping(f"lane {self._lane}"):
            # begin has the file's write lock and has seen the token, so this changes exactly one row.
            self._connection().execute(SQL.move_progress, lane_row(**self._names, progress=progress, session=""))
            self._connection().execute("COMMIT")

    def apply_at_once(self, batches: Sequence[TableBatch], progress: Progress) -> bool:
        """There are no round trips to save."""
        return False

    def rollback(self) -> None:
        if self._opened is None:
            return
        connection, _, applier = self._opened
        # Tables made in the transaction go with it, also where SQLite has rolled it back by itself.
        applier.forget()
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()

    def close(self) -> None:
        if self._opened is not None:
            self._opened[0].close()

    def settle(self, letters: Sequence[StoredLetter], batches: Sequence[TableBatch]) -> None:
        """Target.settle, on this connection; takes nothing over. The file's write lock makes it serial with the sink."""
        connection = self._connection()
        try:
            with mapping():
                connection.execute("BEGIN IMMEDIATE")
                dropping = [letter_at(**self._names, letter=letter) for letter in letters]
                expect_dropped(letters, connection.executemany(SQL.drop_letter, dropping).rowcount)
            if batches:
                self.apply(batches, tolerant=True)
            with mapping():
                connection.execute("COMMIT")
        except CdcError:
            self.rollback()
            raise

    def _compare_and_set(self, lane: str, token: int) -> Progress | None:
        connection, lane_parameters = self._connection(), self._lane_parameters()
        session = f"{socket.gethostname()[:60]}/{os.getpid()}"
        row = connection.execute(SQL.lock_progress, lane_parameters).fetchone()
        if row is None:
            made = lane_row(**self._names, progress=Progress(lane, token), session=session)
            connection.execute(SQL.insert_progress, made)
            return None
        progress, _ = progress_of(row)
        if progress.token >= token:
            raise fenced(lane, token, progress.token)
        connection.execute(SQL.take_token, {**lane_parameters, "token": token, "session": session})
        return replace(progress, token=token)

    def _expect_transaction(self, what: str) -> None:
        if not self._connection().in_transaction:
            raise TargetRefused(f"{what} outside a transaction", hint="report this: it is a defect of the sink")

    def _lane_parameters(self) -> dict[str, str]:
        return {**self._names, "lane": self._lane}

    def _connection(self) -> sqlite3.Connection:
        return self._everything()[0]

    def _everything(self) -> tuple[sqlite3.Connection, Planner, Applier]:
        if self._opened is None:
            with mapping("opening the file"):
                connection = self._open_connection()
            planner = self._make_planner(connection)
            self._opened = (connection, planner, Applier(connection, planner))
        return self._opened
