"""The LaneWriter of MySQL and MariaDB: fencing by the progress row, in the same InnoDB transaction as the rows.

DDL would commit that transaction, and with it give up the progress row's lock unnoticed: missing tables are made through a
connection of their own (cdc.target.mysql), our own two before any transaction; schema changes: cdc.target.mysql_schema.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pymysql
from pymysql.constants import ER

from cdc.connect.mysql import error_code
from cdc.model.batch import DeadLetter, Key, TableBatch
from cdc.model.checkpoint import Progress
from cdc.model.errors import CdcError, RetryableError, TargetRefused
from cdc.model.schema_change import SchemaChange
from cdc.observe.failpoints import failpoint
from cdc.target.fencing import fenced
from cdc.target.mysql_apply import Applier
from cdc.target.mysql_errors import DRIVER_ERRORS, is_duplicate, mapping
from cdc.target.mysql_schema import Lane, SchemaHands, end_ddl, lock_name, second_connection
from cdc.target.mysql_session import Session
from cdc.target.mysql_tables import Tables
from cdc.target.port import StoredLetter
from cdc.target.settling import expect_dropped, lanes_of
from cdc.target.sql.changes import refusing, repeat
from cdc.target.sql.dialects import MYSQL
from cdc.target.sql.names import quote_table
from cdc.target.sql.plan import Planner
from cdc.target.sql.statements import statements
from cdc.target.sql.tables import lane_row, letter_at, letter_row, parked_key, progress_of

SQL = statements(MYSQL)
_TRUNCATE_ROWS = 20_000
_NOT_THERE = (ER.NO_SUCH_TABLE, ER.BAD_DB_ERROR)


class MySqlWriter:
    """See cdc.target.port.LaneWriter. `open_session` is called by the first call that needs the server, `open_ddl` by each
    schema change."""

    def __init__(
        self,
        connector: str,
        sink: str,
        open_session: Callable[[], Session],
        open_ddl: Callable[[], Session],
        make_planner: Callable[[Session], Planner],
    ) -> None:
        self._names = {"connector": connector, "sink": sink}
        self._open_session = open_session
        self._open_ddl = open_ddl
        self._make_planner = make_planner
        self._opened: tuple[Session, Tables, Applier] | None = None
        self._lane = ""
        self._token = 0
        self._watermark = ""
        self._in_transaction = False

    def take_over(self, lane: str, token: int) -> Progress | None:
        self.rollback()
        self._lane, self._token = lane, 0
        with mapping():
            make_own_tables(self._session())
            previous = self._compare_and_set(lane, token)
            # Only now: before, the former holder could still have opened another one.
            end_ddl(self._session(), lock_name(self._session(), self._names, lane))
            self._everything()[1].planner.prepare()
        self._token = token
        return previous

    def begin(self) -> Progress:
        if not self._token:
            raise TargetRefused("begin before take_over", hint="report this: it is a defect of the sink")
        with mapping(f"lane {self._lane}"):
            self._session().run("START TRANSACTION")
            self._in_transaction = True
            failpoint("sink.begun")
            rows = self._session().rows(SQL.lock_progress, self._lane_parameters())
        progress = progress_of(rows[0])[0] if rows else None
        if progress is None or progress.token != self._token:
            self.rollback()
            raise fenced(self._lane, self._token, progress.token if progress else 0)
        self._watermark = ":".join(map(str, progress.watermark))
        return progress

    def parked(self) -> frozenset[tuple[str, str, Key]]:
        with mapping():
            return frozenset(map(parked_key, self._session().rows(SQL.parked, self._names)))

    def apply(self, batches: Sequence[TableBatch], *, savepoint: bool = False, tolerant: bool = False) -> None:
        self._expect_transaction("apply")
        session, tables, applier = self._everything()
        with mapping():
            written = [(tables.table(batch.schema), batch) for batch in batches]
        if savepoint:
            with mapping():
                session.run("SAVEPOINT cdc_apply")
        try:
            for table, batch in written:
                with mapping(f"table {table}"):
                    applier.delete(table, batch.deletes)
            for table, batch in written:
                with mapping(f"table {table}"):
                    applier.write(table, batch, tolerant=tolerant)
        except CdcError as error:
            # After a deadlock or a broken connection there is no transaction any more, and no savepoint in it.
            if savepoint and not isinstance(error, RetryableError):
                with mapping():
                    session.run("ROLLBACK TO SAVEPOINT cdc_apply")
            raise

    def truncate(self, schema_db: str, table: str) -> None:
        """By DELETE, some rows at a time, so that no statement is so long that it looks like a dead connection."""
        self._expect_transaction("truncate")
        quoted = quote_table(MYSQL, self._everything()[1].name(schema_db, table))
        with mapping(f"table {schema_db}.{table}"):
            try:
                while self._session().run(f"DELETE FROM {quoted} LIMIT {_TRUNCATE_ROWS}") == _TRUNCATE_ROWS:  # noqa: S608
                    continue
            except pymysql.err.MySQLError as error:
                if error_code(error) not in _NOT_THERE:
                    raise
        with mapping("_cdc_dead_letters"):
            letters = {**self._names, "db_name": schema_db, "table_name": table}
            self._session().run(SQL.drop_table_letters, letters)

    def change_schema(self, change: SchemaChange) -> None:
        self._expect_transaction("change_schema")
        session, tables, _ = self._everything()
        lane = Lane(**self._names, lane=self._lane, watermark=self._watermark)
        name = lock_name(session, self._names, self._lane)
        try:
            with (
                refusing(change),
                mapping(f"table {change.name}"),
                second_connection(session, self._open_ddl, name) as ddl,
            ):
                repeat(tables.planner, SchemaHands(lane, session, ddl, tables.planner), change)
        finally:
            self.forget()

    def forget(self) -> None:
        if self._opened is not None:
            self._opened[1].forget()

    def park(self, letters: Sequence[DeadLetter]) -> None:
        self._expect_transaction("park")
        rows = [letter_row(self._names["connector"], self._names["sink"], self._lane, letter) for letter in letters]
        with mapping("_cdc_dead_letters"):
            self._session().run_many(SQL.insert_letter, rows)

    def remember(self, copies: str) -> None:
        self._expect_transaction("remember")
        with mapping("_cdc_copies"):
            self._session().run(SQL.drop_copies, self._lane_parameters())
            self._session().run(SQL.insert_copies, {**self._lane_parameters(), "copies": copies})

    def commit(self, progress: Progress) -> None:
        if (progress.token, progress.lane) != (self._token, self._lane):
            raise fenced(self._lane, progress.token, self._token)
        self._expect_transaction("commit")
        with mapping(f"lane {self._lane}"):
            # begin has locked the row and seen its token. The server counts rows that changed, not rows that were found, so
            # that its answer does not tell whether there was one.
            self._session().run(SQL.move_progress, lane_row(**self._names, progress=progress, session=""))
            self._session().run("COMMIT")
        self._in_transaction = False

    def apply_at_once(self, batches: Sequence[TableBatch], progress: Progress) -> bool:
        """PyMySQL sends statements one by one, and what they changed is looked at in between."""
        return False

    def rollback(self) -> None:
        if self._opened is None or not self._in_transaction:
            return
        self._in_transaction = False
        session, tables, _ = self._opened
        tables.forget()
        try:
            session.run("ROLLBACK")
        except DRIVER_ERRORS:
            # The connection is of no more use; the server rolls back when it is gone.
            session.close()

    def close(self) -> None:
        if self._opened is not None:
            self._opened[0].close()

    def settle(self, letters: Sequence[StoredLetter], batches: Sequence[TableBatch]) -> None:
        """Target.settle, on this connection; takes nothing over."""
        try:
            with mapping():
                self._session().run("START TRANSACTION")
                self._in_transaction = True
                for lane in lanes_of(letters):
                    self._session().rows(SQL.lock_progress, {**self._names, "lane": lane})
                dropping = [letter_at(**self._names, letter=letter) for letter in letters]
                expect_dropped(letters, sum(self._session().run(SQL.drop_letter, one) for one in dropping))
            if batches:
                self.apply(batches, tolerant=True)
            with mapping():
                self._session().run("COMMIT")
            self._in_transaction = False
        except CdcError:
            self.rollback()
            raise

    def _compare_and_set(self, lane: str, token: int) -> Progress | None:
        """Single statements, each its own transaction. The last one waits for a holder that is inside its transaction."""
        session, lane_parameters = self._session(), self._lane_parameters()
        stored = session.rows(SQL.read_progress, lane_parameters)
        if not stored:
            row = lane_row(**self._names, progress=Progress(lane, token), session=session.name)
            try:
                session.run(SQL.insert_progress, row)
            except pymysql.err.MySQLError as error:
                if not is_duplicate(error):
                    raise
            else:
                return None
        elif progress_of(stored[0])[0].token >= token:
            raise fenced(lane, token, progress_of(stored[0])[0].token)
        taking = {**lane_parameters, "token": token, "session": session.name}
        taken = self._take(taking)
        progress, _ = progress_of(session.rows(SQL.read_progress, lane_parameters)[0])
        if not taken or progress.token != token:
            raise fenced(lane, token, progress.token)
        return replace(progress, token=token)

    def _take(self, taking: dict[str, object]) -> int:
        session = self._session()
        try:
            return session.run(SQL.take_token, taking)
        except pymysql.err.MySQLError as error:
            if error_code(error) != ER.LOCK_WAIT_TIMEOUT:
                raise
        # Half a lease was waited for. Whoever has the row, the holder written in it is one whose lease is over.
        rows = session.rows(SQL.read_progress, self._lane_parameters())
        progress, holder = progress_of(rows[0])
        if progress.token >= int(str(taking["token"])):
            raise fenced(self._lane, int(str(taking["token"])), progress.token)
        session.end_session(holder)
        return session.run(SQL.take_token, taking)

    def _expect_transaction(self, what: str) -> None:
        if not self._in_transaction:
            raise TargetRefused(f"{what} outside a transaction", hint="report this: it is a defect of the sink")

    def _lane_parameters(self) -> dict[str, str]:
        return {**self._names, "lane": self._lane}

    def _session(self) -> Session:
        return self._everything()[0]

    def _everything(self) -> tuple[Session, Tables, Applier]:
        if self._opened is None:
            session = self._open_session()
            with mapping():
                planner = self._make_planner(session)
            self._opened = (session, Tables(planner, session), Applier(session))
        return self._opened


def make_own_tables(session: Session) -> None:
    """Asks first: a user without the right to CREATE may use tables that were made for them."""
    try:
        session.rows("SELECT 1 FROM _cdc_progress LIMIT 0")
        session.rows("SELECT 1 FROM _cdc_dead_letters LIMIT 0")
        session.rows("SELECT 1 FROM _cdc_copies LIMIT 0")
    except pymysql.err.MySQLError as error:
        if error_code(error) != ER.NO_SUCH_TABLE:
            raise
        for ddl in SQL.create:
            session.run(ddl)
