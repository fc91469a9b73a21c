"""When a SELECT sees all that the binlog told before a place, and which place it is that no row of it lies behind.

**MySQL** writes a transaction to the binlog and only then commits it in the engine (the stages of
`MYSQL_BIN_LOG::ordered_commit`, sql/binlog.cc: flush, sync, commit). So:

- *high.* What a SELECT saw is committed, so it was in the binlog before. The end of the binlog, asked for after the snapshot
  was taken, is behind it; the position that the server shows moves with the flush (under LOCK_log), to ends of transactions
  only.
- *settled, with GTIDs.* A stream shows a transaction before the tables do, so the wait is for gtid_executed, to which
  `process_commit_stage_queue` (and `finish_commit`, with binlog_order_commits=OFF) adds a transaction after its commit in the
  engine: WAIT_FOR_EXECUTED_GTID_SET ("Functions Used with Global Transaction Identifiers (GTIDs)").
- *settled, without GTIDs.* A transaction that the stream has shown, and the tables do not, is between its flush and its commit:
  it is in information_schema.INNODB_TRX, with changed rows, and its session is in the middle of a statement (COMMIT, or the
  statement that commits by itself). Each such transaction is waited for until it is gone from there (InnoDB takes it from the
  list of read-write transactions, whose numbers make up read views, as one step, `trx_erase_lists`,
  storage/innobase/trx/trx0trx.cc), or its session was seen outside of a commit: idle, or at work on rows (the stage in the
  process list; a commit has its own from its first line on, `ha_commit_trans`, sql/handler.cc). A session that commits what
  another one prepared (XA COMMIT) is told by its statement. INNODB_TRX is a copy that is renewed only where nobody has read it
  for a tenth of a second (`can_cache_be_updated`, storage/innobase/trx/trx0i_s.cc): so it is asked for again until it shows the
  very statement that asks.

**MariaDB** takes a consistent snapshot and the binlog position that belongs to it in one step
(https://mariadb.com/kb/en/enhancements-for-start-transaction-with-consistent-snapshot/), and shows that as Binlog_snapshot_file
and Binlog_snapshot_position: it is `high`, and a snapshot that lies before `settled` is taken again. The position counts
transactions only: where nothing but other events lies between the two, the sets of GTIDs are equal. What XA COMMIT commits is in
the binlog first and in the engine after (`ha_commit_or_rollback_by_xid`, sql/handler.cc), outside of that step: so sessions that
are in the middle of one are waited for before. Those of other users are seen by who has the PROCESS privilege only.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import pymysql

from cdc.binlog.gtid import MariadbGtids, MysqlGtids
from cdc.binlog.selecting.session import Session, number
from cdc.binlog.server import Server
from cdc.connect.mysql import error_code
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import SourceRefused, SourceUnavailable
from cdc.model.position import FilePosition, file_number

PATIENCE_SECONDS = 60.0
_BETWEEN_SNAPSHOTS_SECONDS = 0.005
_BEFORE_GTIDS_SECONDS = 0.1
_BETWEEN_LOOKS_SECONDS = 0.01
_BETWEEN_COPIES_SECONDS = 0.12  # longer than INNODB_TRX stays as it is
_LACKS_PROCESS = 1227  # ER_SPECIFIC_ACCESS_DENIED_ERROR

# Stages of the execution of a statement that changes rows ("General Thread States"). Not among them is a stage in which a
# transaction commits; one that is not known here is waited for.
_AT_WORK = frozenset(
    (
        "updating",
        "update",
        "executing",
        "searching rows for update",
        "deleting from main table",
        "deleting from reference tables",
        "sending data",
        "user sleep",
        "init",
        "optimizing",
        "statistics",
        "altering table",
        "copy to tmp table",
        # of a replica
        "applying batch of row changes (write)",
        "applying batch of row changes (update)",
        "applying batch of row changes (delete)",
    )
)


def place(position: FilePosition | SourcePoint) -> tuple[int, int]:
    """Of one server, in binlog order."""
    return file_number(position.file), position.offset


class Snapshots:
    """Opens snapshots in which all before a place is seen. Thread-safe."""

    def __init__(self, server: Server, identity: Callable[[], str]) -> None:
        self._server = server
        self._identity = identity
        self._settled = (0, 0)  # MySQL without GTIDs: all before it was seen to be committed

    def forget(self) -> None:
        """Places of before say nothing any more."""
        self._settled = (0, 0)

    def open(self, session: Session, settled: SourcePoint | None) -> SourcePoint:
        """Begins a transaction of `session` that reads; returns `high`.

        Raises SourceUnavailable where `settled` is not reached within PATIENCE_SECONDS, SourceRefused."""
        if self._server.product().flavor == "mariadb":
            return self._mariadb(session, settled)
        if settled is not None:
            if settled.gtid_set and self._server.dumps_by_gtids():
                _await_gtids(session, settled.gtid_set)
            else:
                self._await_commits(session, settled)
        session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        status = self._server.status()
        return SourcePoint(self._identity(), *status.position, status.executed)

    def _mariadb(self, session: Session, settled: SourcePoint | None) -> SourcePoint:
        """The GTIDs of the place are those of `settled` where that is given: they may lack transactions that came since, and
        to ask for all of them would make the server read its binlog file from the beginning, for each chunk."""
        begin = time.monotonic()
        compare_at = begin + _BEFORE_GTIDS_SECONDS
        if settled is not None:
            _await_xa(session, settled)
        while True:
            session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            position = _snapshot_position(session)
            if settled is None:
                return SourcePoint(self._identity(), *position, self._server.mariadb_gtids_at(position))
            if place(position) >= place(settled):
                return SourcePoint(self._identity(), *position, settled.gtid_set)
            if time.monotonic() >= compare_at:
                seen = MariadbGtids(self._server.mariadb_gtids_at(position))
                if seen.contains(MariadbGtids(settled.gtid_set)):
                    return SourcePoint(self._identity(), settled.file, settled.offset, settled.gtid_set)
                compare_at = time.monotonic() + (time.monotonic() - begin)
            session.run("ROLLBACK")
            _be_patient(begin + PATIENCE_SECONDS, settled)
            time.sleep(_BETWEEN_SNAPSHOTS_SECONDS)

    def _await_commits(self, session: Session, settled: SourcePoint) -> None:
        if place(settled) <= self._settled:
            return
        # What is settled now is settled for every place before this one.
        end = place(self._server.status().position)
        deadline = time.monotonic() + PATIENCE_SECONDS
        pending = _committing(session, deadline, settled)
        while pending:
            pending = still_pending(pending, _threads(session))
            if pending:
                alive = {(one.thread, one.transaction) for one in _transactions(session)}
                pending = [one for one in pending if not one.transaction or (one.thread, one.transaction) in alive]
            if pending:
                _be_patient(deadline, settled)
                time.sleep(_BETWEEN_LOOKS_SECONDS)
        self._settled = max(self._settled, end)


def _await_gtids(session: Session, gtid_set: str) -> None:
    # Read and written anew: it may come from a checkpoint, and so from outside.
    known = MysqlGtids(gtid_set).text()
    asked = f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{known}', {PATIENCE_SECONDS:g})"
    ((timed_out,),) = session.ask(asked)
    if number(timed_out):
        raise SourceUnavailable(
            f"transactions that the binlog has told of are not committed after {PATIENCE_SECONDS:g} s",
            hint="it is tried again; look for sessions at the source that hang in their commit (SHOW PROCESSLIST)",
        )


def _be_patient(deadline: float, settled: SourcePoint) -> None:
    if time.monotonic() > deadline:
        raise SourceUnavailable(
            f"what the binlog tells before {settled.position} is not all committed after {PATIENCE_SECONDS:g} s",
            hint="it is tried again; look for sessions at the source that hang in their commit (SHOW PROCESSLIST)",
        )


# ---- MariaDB


def _await_xa(session: Session, settled: SourcePoint) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    pending = of_xa(_threads(session))
    while pending:
        _be_patient(deadline, settled)
        time.sleep(_BETWEEN_LOOKS_SECONDS)
        pending = still_pending(pending, _threads(session))


def _snapshot_position(session: Session) -> FilePosition:
    rows = session.ask("SHOW STATUS WHERE Variable_name IN ('Binlog_snapshot_file', 'Binlog_snapshot_position')")
    found = {(name or b"").decode().lower(): (value or b"").decode() for name, value in rows}
    if not found.get("binlog_snapshot_file"):
        raise SourceRefused(
            "the source does not say which place in its binlog a snapshot belongs to (Binlog_snapshot_file)",
            hint="start the server with --log-bin; a proxy in front of it must pass START TRANSACTION on to it",
        )
    return FilePosition(found["binlog_snapshot_file"], int(found["binlog_snapshot_position"]))


# ---- MySQL without GTIDs


class Committing(NamedTuple):
    """A session that may be between the flush and the commit of a transaction. `transaction`: InnoDB's number of it; "": it is
    one that was prepared, perhaps in another session, and `statement` commits it."""

    thread: int
    transaction: str = ""
    statement: str = ""


class Thread(NamedTuple):
    """A line of SHOW PROCESSLIST; texts in lower case."""

    number: int
    command: str
    state: str
    statement: str


def still_pending(pending: Iterable[Committing], threads: Sequence[Thread]) -> list[Committing]:
    """Without those whose session is gone, or is at this moment not in a commit."""
    by_number = {thread.number: thread for thread in threads}
    return [one for one in pending if (found := by_number.get(one.thread)) is not None and _may_commit(one, found)]


def _may_commit(one: Committing, thread: Thread) -> bool:
    if thread.command == "sleep":
        return False
    return thread.statement == one.statement if one.statement else thread.state not in _AT_WORK


def of_xa(threads: Iterable[Thread]) -> list[Committing]:
    """Those that commit what was prepared."""
    return [
        Committing(one.number, statement=one.statement)
        for one in threads
        if one.command != "sleep" and one.statement.split()[:2] == ["xa", "commit"]
    ]


def _committing(session: Session, deadline: float, settled: SourcePoint) -> list[Committing]:
    """What may be in a commit at one moment that is not before this call."""
    while True:
        nonce = secrets.token_hex(8)
        found = _transactions(session, nonce)
        if any(nonce in one.statement for one in found):
            break
        _be_patient(deadline, settled)
        time.sleep(_BETWEEN_COPIES_SECONDS)
    changing = [Committing(one.thread, one.transaction) for one in found if one.changed_rows and one.thread]
    return changing + of_xa(_threads(session))


class _Transaction(NamedTuple):
    thread: int
    transaction: str
    changed_rows: int
    statement: str


def _transactions(session: Session, nonce: str = "") -> list[_Transaction]:
    """As they were a moment ago. The statement shows itself among them: it has a snapshot for its own."""
    session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    try:
        rows = session.ask(
            f"SELECT /* {nonce} */ trx_mysql_thread_id, trx_id, trx_rows_modified, trx_query "  # noqa: S608 - hex digits
            "FROM information_schema.INNODB_TRX"
        )
    except pymysql.err.MySQLError as error:
        if error_code(error) != _LACKS_PROCESS:
            raise
        raise SourceRefused(
            "the user may not see which transactions are being committed (no PROCESS privilege), which a source without GTIDs "
            "makes necessary",
            hint="GRANT PROCESS ON *.* to the user of source.url, or switch on gtid_mode at the source",
        ) from error
    session.run("COMMIT")
    return [
        _Transaction(number(thread), (name or b"").decode(), number(changed), (text or b"").decode(errors="replace"))
        for thread, name, changed, text in rows
    ]


def _threads(session: Session) -> list[Thread]:
    """Of all users, for who has the PROCESS privilege."""
    return [
        Thread(number(row[0]), _folded(row[4]), _folded(row[6]), _folded(row[7]))
        for row in session.ask("SHOW PROCESSLIST")
    ]


def _folded(text: bytes | None) -> str:
    return (text or b"").decode(errors="replace").lower()
