"""From events to items: which transaction they belong to, where it begins and ends, and what of it is captured.

No socket and no clock of the server: events in (body, start and end offset), items out, in binlog order.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pymysqlreplication.constants import BINLOG

from cdc.binlog import compression, events, statements
from cdc.binlog.capture import Capture, CapturedTable
from cdc.binlog.decoder.port import ROWS_EVENTS
from cdc.binlog.events import Event
from cdc.binlog.gtid import gtids
from cdc.binlog.history import Context, History, Place, status
from cdc.binlog.history.context import TableName
from cdc.binlog.judgement import Case, judge
from cdc.binlog.port import Altered, Begin, End, Item, Passed, Remembered, Rows, Truncated
from cdc.binlog.refused_events import HARMLESS, refusal
from cdc.binlog.schema_policy import SchemaPolicy
from cdc.binlog.statements import Effect, Statement
from cdc.binlog.xa import Prepared, PreparedTransactions, Recall
from cdc.model.change import Transaction
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import BinlogDamaged, FatalError, NotUnderstood, PositionError
from cdc.model.position import FilePosition, file_number
from cdc.model.schema_change import SchemaChange
from cdc.model.table_version import TableVersion

_PASSED_EVERY_SECONDS = 0.05
ALL_ROWS = frozenset((*ROWS_EVENTS, BINLOG.PARTIAL_UPDATE_ROWS_EVENT))
_NOTHING: tuple[Item, ...] = ()
_NO_SESSION = status.Session()
_SCHEMA_EFFECTS = frozenset((Effect.CREATE, Effect.ALTER, Effect.DROP, Effect.DATABASE, Effect.DROP_DATABASE))


@dataclass(frozen=True, slots=True)
class Rules:
    """How statements are taken. `folded_names`: the server compares table names in lower case. `include_query`: rows carry the
    text of the statement that made them, where the binlog has it."""

    flavor: str
    schema: SchemaPolicy = field(default_factory=SchemaPolicy)
    folded_names: bool = False
    include_query: bool = False


class Transactions:
    """The state between events. `point` is where the stream begins: a boundary outside any transaction. `recall` reads again
    what XA transactions prepared. `tables`: the schema history at `point`."""

    def __init__(
        self,
        point: SourcePoint,
        capture: Capture,
        rules: Rules,
        *,
        tables: Iterable[TableVersion] = (),
        recall: Recall | None = None,
    ) -> None:
        self.file = point.file
        self._capture = capture
        self._rules = rules
        tables = list(tables)
        self._knows_tables = bool(tables)
        self._history = History(capture.filter, rules.folded_names, tables)
        capture.version = self._history.version
        self._gtids = gtids(rules.flavor, point.gtid_set)
        self._boundary = point
        self._boundary_offset = point.offset
        self._boundary_shown = True
        self._shown_at = 0.0
        self._query_post_header = 13
        self._maps: dict[int, CapturedTable | None] = {}
        self._prepared = PreparedTransactions(recall)
        self._open = False
        self._forget()
        self._handlers: dict[int, Callable[[Event], Iterable[Item]]] = {
            BINLOG.GTID_LOG_EVENT: self._gtid,
            BINLOG.ANONYMOUS_GTID_LOG_EVENT: self._gtid,
            events.GTID_TAGGED_LOG_EVENT: self._tagged_gtid,
            BINLOG.MARIADB_GTID_EVENT: self._mariadb_gtid,
            BINLOG.QUERY_EVENT: self._query,
            BINLOG.TABLE_MAP_EVENT: self._table_map,
            BINLOG.XID_EVENT: self._end,
            BINLOG.XA_PREPARE_EVENT: self._xa_prepare,
            BINLOG.ROWS_QUERY_LOG_EVENT: self._rows_query,
            BINLOG.MARIADB_ANNOTATE_ROWS_EVENT: self._rows_query,
            events.TRANSACTION_PAYLOAD_EVENT: self._payload,
            events.MARIADB_QUERY_COMPRESSED_EVENT: self._compressed_query,
            **dict.fromkeys(compression.ROWS_TWINS, self._compressed_rows),
            **dict.fromkeys(ALL_ROWS, self._rows),
            **dict.fromkeys(HARMLESS, self._harmless),
        }

    def items(self, event: Event) -> Iterable[Item]:
        """What the event amounts to, to be taken whole before the next event. Raises NotUnderstood, BinlogDamaged, TableRefused,
        PositionError without a position; struct.error, IndexError, ValueError for a body that cannot be read."""
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
        self._xa_captured = False
        # Rows of one payload share its offset, and so are numbered through.
        self._payload_row: int | None = None
        self._query_text: str | None = None
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

    def _tagged_gtid(self, event: Event) -> Sequence[Item]:
        gtid = events.tagged_gtid(event.body)
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
        return self._observed(event) if self._capture.unseen else _NOTHING

    def _observed(self, event: Event) -> Sequence[Item]:
        """Table maps have told shapes that may be new to the schema history."""
        place = Place(self._boundary.source_id, file_number(self.file), event.end)
        schemas, self._capture.unseen = self._capture.unseen, []
        found = [self._history.observe(schema, place) for schema in schemas]
        versions = [version for version in found if version is not None]
        return (Remembered(versions),) if versions else _NOTHING

    def _rows(self, event: Event) -> Sequence[Item]:
        table = self._table_of(event, self._maps)
        if table is None:
            return _NOTHING
        if self._xa:
            self._xa_captured = True
            return _NOTHING
        rows = self._captured_rows(event, table)
        if self._payload_row is not None:
            rows = replace(rows, first_row=self._payload_row)
            self._payload_row += len(rows.drafts)
        return (rows,) if self._begun else (self._shown_begin(), rows)

    def _table_of(self, event: Event, maps: dict[int, CapturedTable | None]) -> CapturedTable | None:
        table_id = int.from_bytes(event.body[:6], "little")
        try:
            return maps[table_id]
        except KeyError:
            raise _rows_without_map(table_id, self._open) from None

    def _captured_rows(self, event: Event, table: CapturedTable) -> Rows:
        drafts = self._capture.drafts(event.kind, event.body, table)
        return Rows(event.start, drafts, self._capture.new_schemas(table), query=self._query_text)

    def _compressed_rows(self, event: Event) -> Iterable[Item]:
        kind, body = compression.mariadb_rows(event.kind, event.body)
        return self._rows(replace(event, kind=kind, body=body))

    def _rows_query(self, event: Event) -> Sequence[Item]:
        if self._rules.include_query and self._open:
            read = events.rows_query if event.kind == BINLOG.ROWS_QUERY_LOG_EVENT else events.annotate_rows
            self._query_text = read(event.body)
        return _NOTHING

    def _payload(self, event: Event) -> Iterator[Item]:
        """A whole transaction behind its GTID, compressed; its events have the payload's place in the file."""
        self._payload_row = 0
        for inner in compression.payload_events(event.body):
            if inner.kind == events.TRANSACTION_PAYLOAD_EVENT:
                raise BinlogDamaged("a payload inside a payload", hint="look at the server's disk")
            yield from self.items(
                Event(inner.kind, inner.timestamp, inner.server_id, event.start, event.end, inner.body)
            )

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

    def _xa_prepare(self, event: Event) -> Iterable[Item]:
        """The rows of this group count when the transaction commits: at once, where its only phase was this one."""
        place = Prepared(self.file, self._transaction_offset, event.end)
        if event.body[0] and self._xa_captured:
            return self._xa_commit(event, place)
        if not event.body[0]:
            self._prepared.prepare(events.xa_id(event.body), place, captured=self._xa_captured)
        return self._end(event)

    def _xa_commit(self, event: Event, place: Prepared) -> Iterator[Item]:
        maps: dict[int, CapturedTable | None] = {}
        row = 0
        for recalled in self._unpacked(self._prepared.events(place)):
            if recalled.kind == BINLOG.TABLE_MAP_EVENT:
                table_id, maps[table_id] = self._capture.table(recalled.body)
                if self._capture.unseen:
                    yield from self._observed(event)
            elif recalled.kind in (BINLOG.ROWS_QUERY_LOG_EVENT, BINLOG.MARIADB_ANNOTATE_ROWS_EVENT):
                self._rows_query(recalled)
            elif recalled.kind in ALL_ROWS and (table := self._table_of(recalled, maps)) is not None:
                if not self._begun:
                    yield self._shown_begin()
                rows = self._captured_rows(recalled, table)
                yield replace(rows, offset=event.start, first_row=row)
                row += len(rows.drafts)
        yield from self._end(event)

    def _unpacked(self, packed: Iterable[Event]) -> Iterator[Event]:
        """Events with payloads and compressed rows opened."""
        for event in packed:
            if event.kind == events.TRANSACTION_PAYLOAD_EVENT:
                for inner in compression.payload_events(event.body):
                    yield Event(inner.kind, inner.timestamp, inner.server_id, event.start, event.end, inner.body)
            elif event.kind in compression.ROWS_TWINS:
                kind, body = compression.mariadb_rows(event.kind, event.body)
                yield replace(event, kind=kind, body=body)
            else:
                yield event

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

    def _compressed_query(self, event: Event) -> Iterable[Item]:
        return self._query(replace(event, body=compression.mariadb_query(event.body, self._query_post_header)))

    def _query(self, event: Event) -> Iterable[Item]:
        query = events.query(event.body, self._query_post_header)
        # Nearly all are BEGIN and COMMIT, which mean the same in every session.
        statement, session = statements.whole(query.sql), _NO_SESSION
        if statement is None:
            flavor = self._rules.flavor
            session = status.read(query.status, flavor)
            statement = statements.read(query.sql, query.db, session.charset, session.sql_mode or 0, flavor)
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
        items = self._applied(statement, query, session, event)
        return items if self._commit_awaited else (*items, *self._end(event))

    def _xa_statement(self, event: Event, sql: bytes) -> Iterable[Item]:
        words = statements.first_words(sql)
        if words in {"XA START", "XA BEGIN"}:
            self._xa = self._commit_awaited = True
            return _NOTHING
        if words == "XA END":
            return _NOTHING
        xid = sql.decode("latin-1").partition(words)[2].strip()
        if words == "XA COMMIT":
            place = self._prepared.commit(xid, FilePosition(self.file, event.start))
            return self._end(event) if place is None else self._xa_commit(event, place)
        self._prepared.forget(xid)
        return self._end(event)

    def _refuse_undoing(self, what: str) -> None:
        if self._begun:
            raise NotUnderstood(
                f"{what} after rows of captured tables",
                hint="compare the tables of this transaction, then `cdc replay --from` the position after it",
            )

    def _applied(
        self, statement: Statement, query: events.Query, session: status.Session, event: Event
    ) -> Iterable[Item]:
        captured = self._captured(statement)
        if statement.effect is Effect.TRUNCATE and captured:
            begin = () if self._begun else (self._shown_begin(),)
            return (*begin, *(Truncated(event.start, db, table) for db, table in captured))
        if statement.effect in _SCHEMA_EFFECTS:
            return self._schema_changed(statement, query, session, event)
        if statement.effect is not Effect.HARMLESS:
            words = statements.first_words(query.sql)
            place, behind = f"{self.file}:{event.start}", f"{self.file}:{event.end}"
            judge(
                Case(statement.effect, words, statement.tables, captured, place, behind),
            )
        return _NOTHING

    def _require_known_tables(self, statement: Statement, event: Event) -> None:
        """What a database held can only be told from the schema history, which may not reach back so far."""
        ((db, _),) = statement.tables
        if not self._knows_tables and self._capture.in_database(db):
            at, behind = f"{self.file}:{event.start}", f"{self.file}:{event.end}"
            self._rules.schema.hands_on(SchemaChange("drop", db, "*"), place=at, behind=behind)

    def _schema_changed(
        self, statement: Statement, query: events.Query, session: status.Session, event: Event
    ) -> Iterator[Item]:
        place = Place(self._boundary.source_id, file_number(self.file), event.end)
        context = Context(
            place.source_id,
            place.file,
            place.offset,
            query.db,
            event.timestamp,
            self._rules.flavor,
            session.sql_mode,
            session.utf8mb4_collation,
            session.server_collation,
            session.time_zone,
            session.microseconds,
            session.explicit_timestamps,
            session.unfinished,
        )
        behind = f"{self.file}:{event.end}"
        try:
            outcome = self._history.statement(statements.text(query.sql, session.charset), context)
        except NotUnderstood as error:
            raise NotUnderstood(error.message, hint=f"{error.hint}; behind it is `--from {behind}`") from error
        if not outcome.changes and statement.effect is Effect.DROP_DATABASE:
            self._require_known_tables(statement, event)
        if not outcome.versions and not outcome.changes:
            return
        self._capture.forget()
        if outcome.versions:
            yield Remembered(outcome.versions)
        at = f"{self.file}:{event.start}"
        for row, change in enumerate(outcome.changes):
            projected = self._capture.projected(change)
            if projected is not None and self._rules.schema.hands_on(projected, place=at, behind=behind):
                if not self._begun:
                    yield self._shown_begin()
                yield Altered(event.start, row, projected)

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
