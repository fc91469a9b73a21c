"""From events to items: which transaction they belong to, where it begins and ends, and what of it is captured.

No socket and no clock of the server: events in (body, start and end offset), items out, in binlog order.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pymysqlreplication.constants import BINLOG

from cdc.binlog import events, statements
from cdc.binlog.capture import Capture, CapturedTable
from cdc.binlog.decoder.port import ROWS_EVENTS
from cdc.binlog.gtid import gtids
from cdc.binlog.judgement import Case, judge
from cdc.binlog.port import Begin, End, Item, Passed, Rows, Truncated
from cdc.binlog.refused_events import HARMLESS, refusal
from cdc.binlog.statements import Effect, Statement, TableName
from cdc.model.change import Transaction
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import BinlogDamaged, FatalError, NotUnderstood, PositionError

_PASSED_EVERY_SECONDS = 0.05
_NOTHING: tuple[Item, ...] = ()


@dataclass(slots=True)
class Event:
    """One event of the file: `start` and `end` are its offsets in 64 bits, `body` is without header and checksum."""

    kind: int
    timestamp: int
    server_id: int
    start: int
    end: int
    body: memoryview


@dataclass(frozen=True, slots=True)
class Rules:
    """How statements are taken. `folded_names`: the server compares table names in lower case."""

    flavor: str
    schema_changes: str
    folded_names: bool = False


class Transactions:
    """The state between events. `point` is where the stream begins: a boundary outside any transaction."""

    def __init__(self, point: SourcePoint, capture: Capture, rules: Rules) -> None:
        self.file = point.file
        self._capture = capture
        self._rules = rules
        self._gtids = gtids(rules.flavor, point.gtid_set)
        self._boundary = point
        self._boundary_offset = point.offset
        self._boundary_shown = True
        self._shown_at = 0.0
        self._query_post_header = 13
        self._maps: dict[int, CapturedTable | None] = {}
        self._prepared: set[str] = set()
        self._open = False
        self._forget()
        self._handlers: dict[int, Callable[[Event], Sequence[Item]]] = {
            BINLOG.GTID_LOG_EVENT: self._gtid,
            BINLOG.ANONYMOUS_GTID_LOG_EVENT: self._gtid,
            BINLOG.MARIADB_GTID_EVENT: self._mariadb_gtid,
            BINLOG.QUERY_EVENT: self._query,
            BINLOG.TABLE_MAP_EVENT: self._table_map,
            BINLOG.XID_EVENT: self._end,
            BINLOG.XA_PREPARE_EVENT: self._xa_prepare,
            **dict.fromkeys(ROWS_EVENTS, self._rows),
            **dict.fromkeys(HARMLESS, self._harmless),
        }

    def items(self, event: Event) -> Sequence[Item]:
        """What the event amounts to. Raises NotUnderstood, BinlogDamaged, TableRefused, PositionError without a position;
        struct.error, IndexError, ValueError for a body that cannot be read."""
        handler = self._handlers.get(event.kind)
        if handler is None:
            raise refusal(event.kind)
        return handler(event)

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

    def idle(self) -> Sequence[Item]:
        """A heartbeat: the server has no more than what was read."""
        return _NOTHING if self._open else (self._show(idle=True),)

    def owed(self) -> Sequence[Item]:
        """The boundary that was held back, when nothing came for a while."""
        return _NOTHING if self._open or self._boundary_shown else (self._show(idle=False),)

    def _forget(self) -> None:
        self._begun = False
        self._commit_awaited = False
        self._xa = False
        self._gtid_text = ""
        self._commit_us = 0
        self._thread: int | None = None
        self._server_id = 0
        self._transaction_offset = 0
        if self._maps:
            self._maps.clear()

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
        return _NOTHING

    def _mariadb_gtid(self, event: Event) -> Sequence[Item]:
        gtid = events.mariadb_gtid(event.body, event.server_id)
        self._begin(event, gtid.text, None, commit_awaited=not gtid.standalone)
        self._xa = gtid.prepares_xa
        return _NOTHING

    def _table_map(self, event: Event) -> Sequence[Item]:
        if not self._open:
            raise _rows_without_map(0, self._open)
        table_id, table = self._capture.table(event.body)
        self._maps[table_id] = table
        return _NOTHING

    def _rows(self, event: Event) -> Sequence[Item]:
        table_id = int.from_bytes(event.body[:6], "little")
        try:
            table = self._maps[table_id]
        except KeyError:
            raise _rows_without_map(table_id, self._open) from None
        if table is None:
            return _NOTHING
        if self._xa:
            raise NotUnderstood(
                f"an XA transaction changes {table.map.db}.{table.map.table}, and XA is not understood yet",
                hint="write to captured tables without XA; copy what it changed by hand, then `cdc replay --from` behind it",
            )
        rows = Rows(event.start, self._capture.drafts(event.kind, event.body, table), self._capture.new_schemas(table))
        return (rows,) if self._begun else (self._shown_begin(), rows)

    def _shown_begin(self) -> Begin:
        self._begun = True
        return Begin(
            Transaction(
                self._point(self._transaction_offset),
                self._server_id,
                self._gtid_text or None,
                self._thread,
                self._commit_us,
            )
        )

    def _xa_prepare(self, event: Event) -> Sequence[Item]:
        """Its rows, had they been captured ones, would have stopped the stream; so its XA COMMIT can pass."""
        self._prepared.add(events.xa_id(event.body))
        return self._end(event)

    def _harmless(self, event: Event) -> Sequence[Item]:
        if not self._open:
            self._move_boundary(event.end)
        return _NOTHING

    def _end(self, event: Event) -> Sequence[Item]:
        begun = self._begun
        if self._open:
            self._gtids.add(self._gtid_text)
            self._open = False
            self._forget()
        self._move_boundary(event.end)
        if begun:
            self._boundary_shown = True
            return (End(self._point(event.end)),)
        if time.monotonic() - self._shown_at < _PASSED_EVERY_SECONDS:
            return _NOTHING
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

    def _query(self, event: Event) -> Sequence[Item]:
        query = events.query(event.body, self._query_post_header)
        statement = statements.read(query.sql, query.db, None if query.sql == b"BEGIN" else query.charset)
        if statement.effect is Effect.BEGIN:
            if not self._open:
                self._begin(event, "", None, commit_awaited=True)
            self._commit_awaited = True
            self._thread = query.thread
            return _NOTHING
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
                return _NOTHING
            case Effect.XA:
                return self._xa_statement(event, query.sql)
        items = self._applied(statement, query, event)
        return items if self._commit_awaited else (*items, *self._end(event))

    def _xa_statement(self, event: Event, sql: bytes) -> Sequence[Item]:
        words = statements.first_words(sql)
        if words in {"XA START", "XA BEGIN"}:
            self._xa = self._commit_awaited = True
            return _NOTHING
        if words == "XA END":
            return _NOTHING
        transaction = sql.decode("latin-1").partition(words)[2].strip()
        if words == "XA COMMIT" and transaction not in self._prepared:
            raise NotUnderstood(
                "XA COMMIT of a transaction whose rows were logged before reading began",
                hint="copy what it changed by hand, if it was captured tables; then "
                f"`cdc replay --from {self.file}:{event.end}`",
            )
        self._prepared.discard(transaction)
        return self._end(event)

    def _refuse_undoing(self, what: str) -> None:
        if self._begun:
            raise NotUnderstood(
                f"{what} after rows of captured tables",
                hint="compare the tables of this transaction, then `cdc replay --from` the position after it",
            )

    def _applied(self, statement: Statement, query: events.Query, event: Event) -> Sequence[Item]:
        captured = self._captured(statement)
        if statement.effect is Effect.TRUNCATE and captured:
            begin = () if self._begun else (self._shown_begin(),)
            return (*begin, *(Truncated(event.start, db, table) for db, table in captured))
        if statement.effect is not Effect.HARMLESS:
            words = statements.first_words(query.sql)
            place, behind = f"{self.file}:{event.start}", f"{self.file}:{event.end}"
            judge(
                Case(statement.effect, words, statement.tables, captured, place, behind),
                schema_changes_stop=self._rules.schema_changes == "stop",
            )
        return _NOTHING

    def _captured(self, statement: Statement) -> tuple[TableName, ...]:
        names = statement.tables
        if self._rules.folded_names:
            names = tuple((db.lower(), table.lower()) for db, table in names)
        if statement.effect is Effect.DROP_DATABASE:
            return tuple(name for name in names if self._capture.in_database(name[0]))
        return tuple(name for name in names if self._capture.filter(*name))


def _rows_without_map(table_id: int, inside: bool) -> FatalError:
    if inside:
        return BinlogDamaged(
            f"rows of table id {table_id}, which no table map of this transaction names",
            hint="the binlog lacks an event: compare the tables, then `cdc replay --from` a later boundary",
        )
    return PositionError(
        "reading began inside a transaction, between a table map and its rows", hint="begin at a transaction's boundary"
    )
