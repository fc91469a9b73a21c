"""The adapter behind cdc.binlog.rows_port.RowSource, of one MySQL or MariaDB.

A chunk is read in one transaction: the snapshot; then the table is opened, which keeps its definition as it is until the
transaction is over (its metadata lock, "Metadata Locking" in both manuals); then SHOW CREATE TABLE must say what it said when
the plan was made, before the snapshot. So the definition is that of the rows, and no change of it lies between the snapshot and
them; else both are made anew. Then the rows.

How many rows fit into `max_bytes` is known before they come only about: LIMIT is chosen by the size of the rows that came
before (at first by the server's statistics). Where they turn out to be larger, reading stops at the bound, and the connection
is closed: the server ends the query when it finds that. To read the rest would cost the most where rows are largest, and KILL
QUERY needs a second connection and may hit the query after. So this is the exception, and a new connection its price.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pymysql

from cdc.binlog.connection import source_error
from cdc.binlog.digest_port import Digested
from cdc.binlog.rows_port import Chunk, Key, Wanted
from cdc.binlog.selecting import keys
from cdc.binlog.selecting.bounds import cuts
from cdc.binlog.selecting.condition import checked
from cdc.binlog.selecting.digests import range_digest, range_end, row_text
from cdc.binlog.selecting.rows import Read, plain_reader, read_rows
from cdc.binlog.selecting.session import Session, Sessions, values_of
from cdc.binlog.selecting.settling import Snapshots
from cdc.binlog.selecting.table import TablePlan, no_table, plan_table, statistics
from cdc.binlog.selecting.text_plan import TextRows
from cdc.binlog.server import Server
from cdc.connect.mysql import Kind, classify, error_code, reason
from cdc.model.change import Draft, Value
from cdc.model.checkpoint import SourcePoint
from cdc.model.config import SourceConfig
from cdc.model.errors import NotUnderstood, SourceUnavailable, TableRefused
from cdc.model.row_digest import RangeDigest

# A list of 1000 and more is a join with a temporary table to MariaDB (in_predicate_conversion_threshold).
_MOST_KEYS_AT_ONCE = 500
_NO_BOUND = 2**63 - 1
_MOST_ATTEMPTS = 5
_FILLED = 0.9  # of `max_bytes`, by rows as large as those before
_FADING = 0.8  # how fast large rows are forgotten, chunk by chunk
_COUNTER = re.compile(rb" AUTO_INCREMENT=\d+")
_NO_TABLE = frozenset((1049, 1146))  # ER_BAD_DB_ERROR, ER_NO_SUCH_TABLE
_NO_RIGHTS = frozenset((1044, 1142, 1143, 1227, 1370))
_TableName = tuple[str, str]


class Chunks:
    """Thread-safe."""

    def __init__(self, config: SourceConfig, server: Server, identity: Callable[[], str]) -> None:
        self._config = config
        self._server = server
        self._sessions = Sessions(config)
        self._snapshots = Snapshots(server, identity)
        self._plans: dict[_TableName, TablePlan] = {}
        self._row_bytes: dict[_TableName, float] = {}

    def chunk(self, wanted: Wanted, settled: SourcePoint | None = None) -> Chunk:
        """RowSource.chunk. Rows of `keys` are in key order within each statement, of 500 keys."""
        where = checked(wanted.where, f"{wanted.db}.{wanted.table}")
        if settled is not None:
            self._expect_whole_images(wanted)
        with self._session(wanted.db, wanted.table) as session:
            plan, high = self._open(session, wanted.db, wanted.table, settled)
            if wanted.keys is None:
                rows, more = self._range(session, plan, wanted, where)
            else:
                rows, more = self._listed(session, plan, wanted.keys, where), False
            if session.usable:
                session.run("COMMIT")
        last = tuple(rows[-1].key.values()) if more else None
        return Chunk(plan.projection.schema, rows, high, last)

    def digest(self, db: str, table: str, after: Key | None, max_rows: int) -> Digested | None:
        """DigestSource.digest."""
        with self._session(db, table) as session:
            plan, high = self._open(session, db, table, None)
            text = row_text(plan)
            found = None
            if text is not None:
                last = None
                for row in session.ask(range_end(plan, after, max_rows)):
                    last = tuple([read(value or b"") for read, value in zip(plan.key_readers, row, strict=True)])
                ((rows, total),) = session.ask(range_digest(plan, text, after, last))
                digest = RangeDigest(int(rows or 0), int(total or 0))
                found = Digested(plan.projection.schema, digest, high, last)
            session.run("COMMIT")
        return found

    def _expect_whole_images(self, wanted: Wanted) -> None:
        """Of a row that changes while it is on its way into the stream, the change stands for it: it must have all columns."""
        image = self._server.setting("binlog_row_image") or "FULL"
        if image.upper() != "FULL":
            raise TableRefused(
                f"rows of table {wanted.db}.{wanted.table} cannot be put into the stream: the source logs parts of rows "
                f"(binlog_row_image={image}), so a change of a row that is not there yet would lack columns",
                hint="SET GLOBAL binlog_row_image = FULL at the source, and have its sessions connect anew",
            )

    def bounds(self, db: str, table: str, parts: int) -> Sequence[Key]:
        """RowSource.bounds."""
        with self._session(db, table) as session:
            plan, _ = self._open(session, db, table, None)
            found = cuts(session, plan, parts)
            session.run("COMMIT")
        return found

    def estimated_rows(self, db: str, table: str) -> int:
        """RowSource.estimated_rows."""
        with self._session(db, table) as session:
            return int(statistics(session.texts, db, table)[2] or 0)

    def forget(self) -> None:
        """The server may be another one, or begin its binlogs anew."""
        self._snapshots.forget()

    def close(self) -> None:
        self._sessions.close()

    @contextmanager
    def _session(self, db: str, table: str) -> Iterator[Session]:
        try:
            with self._sessions.one(self._server.product().flavor) as session:
                yield session
        except (pymysql.err.MySQLError, OSError) as error:
            if error_code(error) in _NO_TABLE:
                raise no_table(db, table) from error
            raise source_error(error, self._config.url) from error

    def _open(
        self, session: Session, db: str, table: str, settled: SourcePoint | None
    ) -> tuple[TablePlan, SourcePoint]:
        for _ in range(_MOST_ATTEMPTS):
            high = self._snapshots.open(session, settled)
            session.run(f"SELECT 1 FROM {keys.quoted_table(db, table)} LIMIT 0")  # noqa: S608 - the name is quoted
            definition = _definition(session, db, table)
            plan = self._plans.get((db, table))
            if plan is not None and plan.definition == definition:
                return plan, high
            self._plans[db, table] = plan_table(self._server, self._config, db, table, definition)
            session.run("ROLLBACK")
        raise SourceUnavailable(f"the definition of table {db}.{table} does not stand still", hint="it is tried again")

    def _range(self, session: Session, plan: TablePlan, wanted: Wanted, where: str) -> tuple[Sequence[Draft], bool]:
        """(rows, whether there are more)."""
        conditions = [
            keys.after(plan.key, wanted.after) if wanted.after is not None else "",
            keys.until(plan.key, wanted.until) if wanted.until is not None else "",
            where,
        ]
        name = (wanted.db, wanted.table)
        limit = self._limit(name, plan, wanted)
        # One row more tells whether there is more.
        sql = _statement(plan, conditions, f" LIMIT {limit + 1}")
        with _blaming(where, plan.schema.name):
            read = _read_range(session, plan, sql, limit, wanted.max_bytes)
        if read.rows:
            self._row_bytes[name] = max(read.size / len(read.rows), _FADING * self._row_bytes.get(name, 0.0))
        if read.more and plan.ambiguous:
            self._require_one_code(plan, read)
        return read.rows, read.more

    def _require_one_code(self, plan: TablePlan, read: Read) -> None:
        """The key of the last row must find that row again, or the next chunk would begin elsewhere. Raises NotUnderstood."""
        sent = list(values_of(read.last))
        for place in plan.ambiguous:
            column = plan.schema.columns[place]
            asked = f"SELECT {keys.stored(column, read.rows[-1].key[column.name])}"
            ((found,),) = self._server.query(asked)
            if bytes.fromhex(found) != sent[place]:
                raise NotUnderstood(
                    f"table {plan.schema.name}: a key in column {column.name} has a character that {column.charset} has two "
                    "codes for, and is stored with the one that text is not turned into: it cannot be found again",
                    hint="convert the column to utf8mb4, or exclude the table from what is copied and compared",
                )

    def _limit(self, name: _TableName, plan: TablePlan, wanted: Wanted) -> int:
        row_bytes = self._row_bytes.get(name) or plan.row_bytes
        if not row_bytes:
            return wanted.max_rows
        return max(1, min(wanted.max_rows, int(_FILLED * wanted.max_bytes / row_bytes)))

    def _listed(self, session: Session, plan: TablePlan, listed: Sequence[Key], where: str) -> Sequence[Draft]:
        # Keys that the collation holds equal are of one row, which two statements would both find.
        found: dict[tuple[Value, ...], Draft] = {}
        for start in range(0, len(listed), _MOST_KEYS_AT_ONCE):
            piece = listed[start : start + _MOST_KEYS_AT_ONCE]
            sql = _statement(plan, [f"({keys.one_of(plan.key, piece)})", where], "")
            with _blaming(where, plan.schema.name):
                for draft in _read(session, plan, sql, _NO_BOUND, _NO_BOUND).rows:
                    found.setdefault(tuple(draft.key.values()), draft)
        return list(found.values())


def _read_range(session: Session, plan: TablePlan, sql: str, max_rows: int, max_bytes: int) -> Read:
    """As `_read`, in C where the table is one for it."""
    if plan.encoding is None:
        return _read(session, plan, sql, max_rows, max_bytes)
    plain = plain_reader(plan.readers, plan.schema, plan.projection)
    rows = TextRows(plan.encoding, plain, max_rows, max_bytes, bool(plan.ambiguous))
    session.gather(sql, rows)
    return Read(rows.rows, rows.size, rows.more, rows.last)


def _read(session: Session, plan: TablePlan, sql: str, max_rows: int, max_bytes: int) -> Read:
    return read_rows(
        session.rows(sql), plan.readers, plan.schema, plan.projection, max_rows=max_rows, max_bytes=max_bytes
    )


def _statement(plan: TablePlan, conditions: Sequence[str], limit: str) -> str:
    condition = " AND ".join(filter(None, conditions))
    return f"{plan.select}{' WHERE ' if condition else ''}{condition} ORDER BY {plan.order}{limit}"


def _definition(session: Session, db: str, table: str) -> bytes:
    """As far as it stands still while rows come in."""
    ((_, text, *_),) = session.ask(f"SHOW CREATE TABLE {keys.quoted_table(db, table)}")
    return _COUNTER.sub(b"", text or b"")


@contextmanager
def _blaming(where: str, table: str) -> Iterator[None]:
    """What the server refuses of a statement with the operator's condition is the condition's fault: all else is ours."""
    try:
        yield
    except pymysql.err.MySQLError as error:
        kind = classify(error)
        if not where or kind not in {Kind.REFUSED, Kind.ROW} or error_code(error) in _NO_TABLE | _NO_RIGHTS:
            raise
        # Of a ROW error the words may hold a row's values.
        words = (
            reason(error) if kind is Kind.REFUSED else f"a row's values do not go with it (error {error_code(error)})"
        )
        raise TableRefused(
            f"the source refuses the condition for table {table} {where}: {words}",
            hint="write one expression in SQL over the table's columns, as it would stand behind WHERE",
        ) from error
