"""Which transaction an event belongs to, where that begins and ends, and what was executed before it: no rows, no tables.

No socket and no clock of the server: events in (body, start and end offset), items out, in binlog order. `Transactions` adds what
is captured, `Scan` only looks for places.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pymysqlreplication.constants import BINLOG

from cdc.binlog import compression, events, statements
from cdc.binlog.events import Event
from cdc.binlog.gtid import gtids
from cdc.binlog.history import Session, status
from cdc.binlog.port import End, Item, Passed
from cdc.binlog.refused_events import HARMLESS
from cdc.binlog.statements import Effect, Statement
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import BinlogDamaged

_PASSED_EVERY_SECONDS = 0.05
NOTHING: tuple[Item, ...] = ()
_NO_SESSION = Session()

Handler = Callable[[Event], Iterable[Item]]


class Groups:
    """The state between events. `point` is where the stream begins: a boundary outside any transaction."""

    def __init__(self, point: SourcePoint, flavor: str) -> None:
        self.file = point.file
        self._flavor = flavor
        self._gtids = gtids(flavor, point.gtid_set)
        self._boundary = point
        self._boundary_offset = point.offset
        self._boundary_shown = True
        self._shown_at = 0.0
        self._query_post_header = 13
        self._open = False
        self._forget()
        self._handlers: dict[int, Handler] = {
            BINLOG.GTID_LOG_EVENT: self._gtid,
            BINLOG.ANONYMOUS_GTID_LOG_EVENT: self._gtid,
            events.GTID_TAGGED_LOG_EVENT: self._tagged_gtid,
            BINLOG.MARIADB_GTID_EVENT: self._mariadb_gtid,
            BINLOG.QUERY_EVENT: self._query,
            events.MARIADB_QUERY_COMPRESSED_EVENT: self._compressed_query,
            BINLOG.XID_EVENT: self._end,
            BINLOG.XA_PREPARE_EVENT: self._xa_prepare,
            **dict.fromkeys(HARMLESS, self._harmless),
        }

    def items(self, event: Event) -> Iterable[Item]:
        """What the event amounts to, to be taken whole before the next event. An event without a handler is passed over."""
        handler = self._handlers.get(event.kind)
        return NOTHING if handler is None else handler(event)

    def handles(self, kind: int) -> bool:
        return kind in self._handlers

    def enter_file(self, file: str, created: int, query_post_header: int) -> None:
        """A format description: the file's first event, or the copy that a dump begins with."""
        if self._open and file != self.file:
            if self._begun:
                raise BinlogDamaged(
                    f"the last transaction of {self.file} has no end",
                    hint="the server lost the end of its binlog: compare the tables, then begin at the new file",
                )
            self._forget()
            self._open = False
        self._query_post_header = query_post_header
        if file != self.file or created != self._boundary.file_created:
            offset = self._boundary_offset if file == self.file else 4
            self.file = file
            self._boundary = SourcePoint(self._boundary.source_id, file, offset, self._gtids.text(), created)
            self._boundary_offset = offset
            self._boundary_shown = False

    @property
    def inside(self) -> bool:
        """Whether a transaction is open."""
        return self._open

    @property
    def leaves_out_ends(self) -> bool:
        """Whether the server may leave out where an event of a transaction ends: MariaDB from 11.4 on does, but with
        `binlog_legacy_event_pos` (https://mariadb.com/kb/en/replication-and-binary-log-system-variables/)."""
        return self._flavor == "mariadb"

    def idle(self) -> Sequence[Item]:
        """A heartbeat: the server has no more than what was read."""
        return NOTHING if self._open else (self._show(idle=True),)

    def owed(self) -> Sequence[Item]:
        """The boundary that was held back, when nothing came for a while."""
        return NOTHING if self._open or self._boundary_shown else (self._show(idle=False),)

    def _forget(self) -> None:
        """The state of one transaction, as it is outside of any. `begun`: a Begin was shown, so its End must be."""
        self._begun = False
        self._commit_awaited = False
        self._xa = False
        self._gtid_text = ""
        self._commit_us = 0
        self._thread: int | None = None
        self._server_id = 0
        self._transaction_offset = 0

    def _begin(self, event: Event, gtid: str, commit_us: int | None, commit_awaited: bool) -> None:
        if self._open and self._begun:
            raise BinlogDamaged(
                "a transaction begins before the last one ended",
                hint="the binlog lacks the end of a transaction: compare the tables, then `cdc replay --from` here",
            )
        self._forget()
        self._open = True
        self._gtid_text = gtid
        self._commit_us = event.timestamp * 1_000_000 if commit_us is None else commit_us
        self._server_id = event.server_id
        self._transaction_offset = event.start
        self._commit_awaited = commit_awaited

    def _gtid(self, event: Event) -> Sequence[Item]:
        gtid = events.gtid(event.body)
        self._begin(event, gtid.text, gtid.commit_us, commit_awaited=False)
        return NOTHING

    def _tagged_gtid(self, event: Event) -> Sequence[Item]:
        gtid = events.tagged_gtid(event.body)
        self._begin(event, gtid.text, gtid.commit_us, commit_awaited=False)
        return NOTHING

    def _mariadb_gtid(self, event: Event) -> Sequence[Item]:
        gtid = events.mariadb_gtid(event.body, event.server_id)
        self._begin(event, gtid.text, None, commit_awaited=not gtid.standalone)
        self._xa = gtid.prepares_xa
        return NOTHING

    def _harmless(self, event: Event) -> Sequence[Item]:
        if not self._open:
            self._move_boundary(event.end)
        return NOTHING

    def _end(self, event: Event) -> Sequence[Item]:
        begun = self._begun
        if self._open:
            self._gtids.add(self._gtid_text)
            self._open = False
            self._forget()
        self._move_boundary(event.end)
        if begun:
            return (self._ended(event.end),)
        return self._passed()

    def _ended(self, offset: int) -> End:
        self._boundary_shown = True
        return End(self._point(offset))

    def _passed(self) -> Sequence[Item]:
        if time.monotonic() - self._shown_at < _PASSED_EVERY_SECONDS:
            return NOTHING
        return (self._show(idle=False),)

    def _move_boundary(self, offset: int) -> None:
        self._boundary_offset = offset
        self._boundary_shown = False

    def _show(self, idle: bool) -> Passed:
        self._boundary_shown = True
        self._shown_at = time.monotonic()
        return Passed(self._point(self._boundary_offset), idle)

    def skip_to(self, offset: int) -> None:
        """The server passed over what we said we have (a GTID dump), up to `offset`."""
        if not self._open and offset > self._boundary_offset:
            self._move_boundary(offset)

    def _point(self, offset: int) -> SourcePoint:
        """The boundary at `offset`, with what was executed before it. One transaction's end is the next one's start."""
        if self._boundary.offset != offset:
            old = self._boundary
            self._boundary = SourcePoint(old.source_id, old.file, offset, self._gtids.text(), old.file_created)
        return self._boundary

    def _compressed_query(self, event: Event) -> Iterable[Item]:
        return self._query(replace(event, body=compression.mariadb_query(event.body, self._query_post_header)))

    def _query(self, event: Event) -> Iterable[Item]:
        query = events.query(event.body, self._query_post_header)
        # Nearly all are BEGIN and COMMIT, which mean the same in every session.
        statement, session = statements.whole(query.sql), _NO_SESSION
        if statement is None:
            flavor = self._flavor
            session = status.read(query.status, flavor)
            statement = statements.read(query.sql, query.db, session.charset, session.sql_mode or 0, flavor)
        if statement.effect is Effect.BEGIN:
            if not self._open:
                self._begin(event, "", None, commit_awaited=True)
            self._commit_awaited = True
            self._thread = query.thread
            return NOTHING
        if not self._open:
            self._begin(event, "", None, commit_awaited=False)
        self._thread = query.thread
        match statement.effect:
            case Effect.COMMIT:
                return self._end(event)
            case Effect.ROLLBACK:
                self._refuse_undoing("ROLLBACK")
                return self._end(event)
            case Effect.ROLLBACK_TO:
                self._refuse_undoing("ROLLBACK TO SAVEPOINT")
                return NOTHING
            case Effect.XA:
                return self._xa_statement(event, query.sql)
        items = self._applied(statement, query, session, event)
        return items if self._commit_awaited else (*items, *self._end(event))

    def _xa_statement(self, event: Event, sql: bytes) -> Iterable[Item]:
        words = statements.first_words(sql)
        if words in {"XA START", "XA BEGIN"}:
            self._xa = self._commit_awaited = True
            return NOTHING
        if words == "XA END":
            return NOTHING
        return self._xa_settled(event, words, sql)

    def _xa_settled(self, event: Event, words: str, sql: bytes) -> Iterable[Item]:
        """XA COMMIT or XA ROLLBACK of what was prepared."""
        return self._end(event)

    def _xa_prepare(self, event: Event) -> Iterable[Item]:
        return self._end(event)

    def _refuse_undoing(self, what: str) -> None:
        """Raises NotUnderstood where rows that were shown are taken back."""

    def _applied(self, statement: Statement, query: events.Query, session: Session, event: Event) -> Iterable[Item]:
        """What a statement that is no part of a transaction's frame amounts to."""
        return NOTHING
