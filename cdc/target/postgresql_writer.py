# ruff: noqa: S608 - names in statements are quoted by cdc.target.sql.names, values are parameters
"""The LaneWriter of PostgreSQL: fencing by the progress row, and few round trips for a batch.

A batch of few rows of one table is one round trip (cdc.target.postgresql_at_once). Else begin is one, a batch of few rows one
more, commit a third.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import psycopg
from psycopg import errors as sqlstate
from psycopg import pq

from cdc.model.batch import DeadLetter, Key, TableBatch
from cdc.model.checkpoint import Progress
from cdc.model.errors import CdcError, RowRefused, TargetBusy, TargetRefused
from cdc.model.schema_change import SchemaChange
from cdc.observe.failpoints import failpoint
from cdc.target.fencing import fenced
from cdc.target.port import StoredLetter
from cdc.target.postgresql_apply import Applier
from cdc.target.postgresql_at_once import AtOnce
from cdc.target.postgresql_connection import Connection, Session
from cdc.target.postgresql_errors import mapping
from cdc.target.postgresql_schema import SchemaHands
from cdc.target.settling import expect_dropped, lanes_of
from cdc.target.sql.changes import refusing, repeat
from cdc.target.sql.dialects import POSTGRESQL
from cdc.target.sql.names import quote_table
from cdc.target.sql.plan import Planner
from cdc.target.sql.statements import statements
from cdc.target.sql.tables import lane_row, letter_at, letter_row, parked_key, progress_of

SQL = statements(POSTGRESQL)
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_ANY_PARKED = """
SELECT EXISTS (SELECT FROM _cdc_dead_letters WHERE connector = %(connector)s AND sink = %(sink)s)
"""
# The backend's start tells it from a later one with the same pid. Others' sessions are only ended where the role may.
_END_SESSION = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid || '/' || extract(epoch FROM backend_start)::text = %s AND pid <> pg_backend_pid()
"""
# One statement for all letters. Their ids ascend in the order of the arrays: INSERT … SELECT … ORDER BY computes defaults after
# the sort (release notes of PostgreSQL 9.6, E.1.3.1.7).
_LETTER_TYPES = {
    **dict.fromkeys(
        ("connector", "sink", "lane", "db_name", "table_name", "key_json", "key_hash", "seq", "op"), "text"
    ),
    "event": "bytea",
    "reason": "text",
}
_INSERT_LETTERS = (
    f"INSERT INTO _cdc_dead_letters ({', '.join(_LETTER_TYPES)}, parked_at)"
    f" SELECT {', '.join(f'l.{name}' for name in _LETTER_TYPES)}, CURRENT_TIMESTAMP"
    f" FROM unnest({', '.join(f'%({name})s::{kind}[]' for name, kind in _LETTER_TYPES.items())})"
    f" WITH ORDINALITY AS l({', '.join(_LETTER_TYPES)}, place) ORDER BY l.place"
)
# A statement's parameters are held whole, here and at the server.
_MOST_LETTERS = 1000
# CREATE TABLE IF NOT EXISTS is not safe against another one at the same time: the loser sees one of these.
_RACES = (sqlstate.UniqueViolation, sqlstate.DuplicateTable, sqlstate.DuplicateObject)


class _Opened(NamedTuple):
    session: Session
    applier: Applier
    at_once: AtOnce


class PostgresqlWriter:
    """See cdc.target.port.LaneWriter. `session` is opened by the first call that needs it."""

    def __init__(
        self, connector: str, sink: str, lease_seconds: float, open_session: Callable[[], Session], planner: Planner
    ) -> None:
        self._names = {"connector": connector, "sink": sink}
        self._lease_seconds = lease_seconds
        self._open_session = open_session
        self._planner = planner
        self._opened: _Opened | None = None
        self._lane = ""
        self._token = 0
        self._any_parked = False

    def take_over(self, lane: str, token: int) -> Progress | None:
        deadline = time.monotonic() + 2 * self._lease_seconds
        self.rollback()
        self._lane, self._token = lane, 0
        while True:
            try:
                with mapping():
                    previous = self._compare_and_set(lane, token)
            except TargetBusy:
                self.rollback()
                if time.monotonic() > deadline:
                    raise
                self._end_holder(lane, token)
            except CdcError:
                self.rollback()
                raise
            else:
                self._planner.prepare()
                self._token = token
                return previous

    def begin(self) -> Progress:
        connection = self._connection()
        if self._token == 0:
            raise TargetRefused("begin before take_over", hint="report this: it is a defect of the sink")
        # BEGIN alone changes nothing: to stop before or after it is the same.
        failpoint("sink.begun")
        with mapping(), psycopg.ClientCursor(connection) as cursor:
            # Three statements in one simple query. Not a pipeline: see `Applier.apply_all`.
            cursor.execute(f"{_BEGIN}; {SQL.lock_progress}; {_ANY_PARKED}", self._lane_parameters())
            cursor.nextset()
            row = cursor.fetchone()
            cursor.nextset()
            any_parked = cursor.fetchone()
        progress = progress_of(row)[0] if row else None
        if progress is None or progress.token != self._token:
            self.rollback()
            raise fenced(self._lane, self._token, progress.token if progress else 0)
        self._any_parked = bool(any_parked and any_parked[0])
        return progress

    def parked(self) -> frozenset[tuple[str, str, Key]]:
        if not self._any_parked:
            return frozenset()
        with mapping():
            rows = self._connection().execute(SQL.parked, self._names).fetchall()
        return frozenset(map(parked_key, rows))

    def apply(self, batches: Sequence[TableBatch], *, savepoint: bool = False, tolerant: bool = False) -> None:
        with mapping():
            self._open().applier.apply(batches, savepoint=savepoint, tolerant=tolerant)

    def truncate(self, schema_db: str, table: str) -> None:
        """By DELETE: PostgreSQL's TRUNCATE is not MVCC-safe (manual, 13.6 "Caveats"): a reader with an older snapshot would
        see a state that the source never had."""
        name = self._planner.name(schema_db, table)
        with mapping():
            if self._planner.exists(name):
                self._connection().execute(f"DELETE FROM {quote_table(POSTGRESQL, name)}")
            letters = {**self._names, "db_name": schema_db, "table_name": table}
            self._connection().execute(SQL.drop_table_letters, letters)

    def change_schema(self, change: SchemaChange) -> None:
        connection = self._connection()
        self._expect_transaction("change_schema")
        try:
            with refusing(change), mapping():
                repeat(self._planner, SchemaHands(connection, self._planner, self._names, self._lease_seconds), change)
        finally:
            self.forget()

    def forget(self) -> None:
        if self._opened is None:
            self._planner.forget()
        else:
            self._opened.applier.forget()
            self._opened.at_once.forget()

    def park(self, letters: Sequence[DeadLetter]) -> None:
        rows = [letter_row(self._names["connector"], self._names["sink"], self._lane, letter) for letter in letters]
        self._any_parked = self._any_parked or bool(rows)
        with mapping():
            for start in range(0, len(rows), _MOST_LETTERS):
                some = rows[start : start + _MOST_LETTERS]
                columns = {name: [row[name] for row in some] for name in _LETTER_TYPES}
                self._connection().execute(_INSERT_LETTERS, columns)

    def remember(self, copies: str) -> None:
        self._expect_transaction("remember")
        with mapping():
            self._connection().execute(SQL.drop_copies, self._lane_parameters())
            self._connection().execute(SQL.insert_copies, {**self._lane_parameters(), "copies": copies})

    def commit(self, progress: Progress) -> None:
        if (progress.token, progress.lane) != (self._token, self._lane):
            raise fenced(self._lane, progress.token, self._token)
        connection = self._connection()
        self._expect_transaction("commit")
        with mapping(), connection.pipeline():
            # begin has locked the row and seen the token, so this changes exactly one row.
            connection.execute(SQL.move_progress, lane_row(**self._names, progress=progress, session=""))
            connection.execute("COMMIT")
        self._open().applier.committed()

    def apply_at_once(self, batches: Sequence[TableBatch], progress: Progress) -> bool:
        session, applier, at_once = self._open()
        idle = session.connection.info.transaction_status == pq.TransactionStatus.IDLE
        if not idle or (progress.token, progress.lane) != (self._token, self._lane) or at_once.skip():
            return False
        try:
            with mapping():
                steps = applier.steps_at_hand(batches)
        except RowRefused:
            return False
        if steps is None or len(steps) > 1 or not all(step.small for step in steps):
            return False
        return at_once.run(steps[0] if steps else None, **self._names, progress=progress)

    def rollback(self) -> None:
        if self._opened is None:
            return
        connection = self._opened.session.connection
        try:
            if connection.info.transaction_status != pq.TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
        except psycopg.Error:
            # The session is of no more use; the server rolls back when it is gone.
            connection.close()
        self._opened.applier.rolled_back()

    def close(self) -> None:
        if self._opened is not None:
            self._opened.session.connection.close()

    def settle(self, letters: Sequence[StoredLetter], batches: Sequence[TableBatch]) -> None:
        """Target.settle, on this connection; takes nothing over."""
        connection = self._connection()
        try:
            with mapping():
                connection.execute(_BEGIN)
                for lane in lanes_of(letters):
                    connection.execute(SQL.lock_progress, {**self._names, "lane": lane})
                expect_dropped(letters, self._drop(letters))
                if batches:
                    self.apply(batches, tolerant=True)
                connection.execute("COMMIT")
        except CdcError:
            self.rollback()
            raise

    def _drop(self, letters: Sequence[StoredLetter]) -> int:
        rows = [letter_at(**self._names, letter=letter) for letter in letters]
        with self._connection().cursor() as cursor:
            # As in `park`: executemany is a pipeline, so the last goes alone.
            cursor.executemany(SQL.drop_letter, rows[:-1])
            return max(cursor.rowcount, 0) + cursor.execute(SQL.drop_letter, rows[-1]).rowcount

    def _compare_and_set(self, lane: str, token: int) -> Progress | None:
        """One transaction; a row that is not there yet is made first."""
        connection = self._connection()
        lane_parameters = self._lane_parameters()
        try:
            stored = connection.execute(SQL.read_progress, lane_parameters).fetchone()
        except sqlstate.UndefinedTable:
            create_own_tables(connection)
            stored = None
        if stored is None:
            made = lane_row(**self._names, progress=Progress(lane, token), session=self._session_id())
            if connection.execute(f"{SQL.insert_progress} ON CONFLICT DO NOTHING", made).rowcount:
                return None
        connection.execute(_BEGIN)
        row = connection.execute(SQL.lock_progress, lane_parameters).fetchone()
        taking = {**lane_parameters, "token": token, "session": self._session_id()}
        taken = connection.execute(SQL.take_token, taking).rowcount
        connection.execute("COMMIT")
        progress = progress_of(row)[0] if row else Progress(lane)
        if not taken:
            raise fenced(lane, token, progress.token)
        return replace(progress, token=token)

    def _end_holder(self, lane: str, token: int) -> None:
        """Ends the session of the lane's holder, unless its token is above ours. Without the right to, the server's own
        limit on idling in a transaction ends it."""
        connection = self._connection()
        with mapping():
            row = connection.execute(SQL.read_progress, self._lane_parameters()).fetchone()
        if row is None:
            return
        progress, holder = progress_of(row)
        if progress.token >= token:
            raise fenced(lane, token, progress.token)
        with mapping():
            try:
                connection.execute(_END_SESSION, (holder,))
            except sqlstate.InsufficientPrivilege:
                return

    def _expect_transaction(self, what: str) -> None:
        if self._connection().info.transaction_status != pq.TransactionStatus.INTRANS:
            raise TargetRefused(f"{what} outside a transaction", hint="report this: it is a defect of the sink")

    def _lane_parameters(self) -> dict[str, str]:
        return {**self._names, "lane": self._lane}

    def _open(self) -> _Opened:
        if self._opened is None:
            session = self._open_session()
            connection = session.connection
            self._opened = _Opened(session, Applier(connection, self._planner), AtOnce(connection))
        return self._opened

    def _connection(self) -> Connection:
        return self._open().session.connection

    def _session_id(self) -> str:
        return self._open().session.id


def create_own_tables(connection: Connection) -> None:
    """Several workers may come here at once: who finds a table made a moment ago goes on."""
    for ddl in SQL.create:
        try:
            connection.execute(ddl)
        except _RACES:
            continue
