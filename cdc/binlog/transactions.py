"""From events to items: what of each transaction is captured, as rows and as statements.

No socket and no clock of the server: events in (body, start and end offset), items out, in binlog order.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pymysqlreplication.constants import BINLOG

from cdc.binlog import compression, events, statements
from cdc.binlog.capture import Capture, CapturedTable
from cdc.binlog.compiled_stretches import Found, Stretches
from cdc.binlog.decoder.port import ROWS_EVENTS
from cdc.binlog.events import Event
from cdc.binlog.groups import NOTHING, Groups
from cdc.binlog.history import Context, History, Place, Session
from cdc.binlog.history.context import TableName
from cdc.binlog.judgement import Case, judge
from cdc.binlog.port import Altered, Begin, Item, Remembered, Rows, Stretched, Truncated
from cdc.binlog.refused_events import refusal
from cdc.binlog.schema_policy import SchemaPolicy
from cdc.binlog.statements import Effect, Statement
from cdc.binlog.xa import Prepared, PreparedTransactions, Recall
from cdc.model.change import Transaction
from cdc.model.checkpoint import SourcePoint
from cdc.model.compiled import Stretch
from cdc.model.errors import BinlogDamaged, FatalError, NotUnderstood, PositionError
from cdc.model.position import FilePosition, file_number
from cdc.model.schema_change import SchemaChange
from cdc.model.table_version import TableVersion

_ALL_ROWS = frozenset((*ROWS_EVENTS, BINLOG.PARTIAL_UPDATE_ROWS_EVENT))
_STATEMENT_TEXTS = (BINLOG.ROWS_QUERY_LOG_EVENT, BINLOG.MARIADB_ANNOTATE_ROWS_EVENT)
_SCHEMA_EFFECTS = frozenset((Effect.CREATE, Effect.ALTER, Effect.DROP, Effect.DATABASE, Effect.DROP_DATABASE))


@dataclass(frozen=True, slots=True)
class Rules:
    """How statements are taken. `folded_names`: the server compares table names in lower case. `include_query`: rows carry the
    text of the statement that made them, where the binlog has it."""

    flavor: str
    schema: SchemaPolicy = field(default_factory=SchemaPolicy)
    folded_names: bool = False
    include_query: bool = False


class Transactions(Groups):
    """`point`: as for Groups. `recall` reads again what XA transactions prepared. `tables`: the schema history at `point`."""

    def __init__(
        self,
        point: SourcePoint,
        capture: Capture,
        rules: Rules,
        *,
        tables: Iterable[TableVersion] = (),
        recall: Recall | None = None,
    ) -> None:
        self._capture = capture
        self._rules = rules
        tables = list(tables)
        self._knows_tables = bool(tables)
        self._history = History(capture.filter, rules.folded_names, tables)
        capture.version = self._history.version
        self._prepared = PreparedTransactions(recall)
        self._maps: dict[int, CapturedTable | None] = {}
        super().__init__(point, rules.flavor)
        self._handlers |= {
            BINLOG.TABLE_MAP_EVENT: self._table_map,
            events.TRANSACTION_PAYLOAD_EVENT: self._payload,
            **dict.fromkeys(_STATEMENT_TEXTS, self._rows_query),
            **dict.fromkeys(compression.ROWS_TWINS, self._compressed_rows),
            **dict.fromkeys(_ALL_ROWS, self._rows),
        }

    def items(self, event: Event) -> Iterable[Item]:
        """As Groups.items. Raises NotUnderstood, BinlogDamaged, TableRefused, PositionError without a position; struct.error,
        IndexError, ValueError for a body that cannot be read."""
        handler = self._handlers.get(event.kind)
        if handler is None:
            raise refusal(event.kind)
        return handler(event)

    def _forget(self) -> None:
        super()._forget()
        self._xa_captured = False
        # Rows of one payload share its offset, and so are numbered through.
        self._payload_row: int | None = None
        self._query_text: str | None = None
        self._transaction: Transaction | None = None  # that was shown, and is open
        if self._maps:
            self._maps.clear()

    @property
    def decoder_name(self) -> str:
        return self._capture.decoder_name

    def stretches(self) -> "Stretches | None":
        """What reads many events in one step, for `stretched`; None where it is not built, or not wanted."""
        if Stretches is None or self.decoder_name == "python":
            return None
        return Stretches(self._capture.known, self._capture.encoding, self._rules.include_query, self.leaves_out_ends)

    @property
    def query_post_header(self) -> int:
        """Length of a QUERY event's fixed part in this file."""
        return self._query_post_header

    @property
    def stretches_fit(self) -> bool:
        """Whether a stretch may begin here: outside of transactions, or in one that is shown and is a plain one."""
        if not self._open:
            return True
        if self._transaction is None or self._xa or not self._commit_awaited:
            return False
        return self._payload_row is None and self._query_text is None

    @property
    def open_maps(self) -> dict[int, CapturedTable | None] | None:
        """The table maps of the open transaction, by id; None outside."""
        return self._maps if self._open else None

    def stretched(self, found: Found) -> Sequence[Item]:
        """As `items` for all events of the stretch, one after the other; it began where `stretches_fit`."""
        stretch = found.stretch
        before = self._transaction if self._open else None
        begin = self._point(stretch.start or 0) if before is None else before.point
        if found.boundary is not None:
            if before is not None:
                self._gtids.add(self._gtid_text)
            for source, first, last in stretch.gtids():
                self._gtids.add_range(source, first, last)
            self._open = False
            self._forget()
            self._move_boundary(found.boundary)
        opened = self._opened(stretch) if stretch.open_behind else None
        self._maps.update(found.maps)
        if not stretch.event_count and (before is None or found.boundary is None):
            return NOTHING if self._open else self._passed()
        end = None if self._open else self._ended(self._boundary_offset).point
        schemas = [schema for table in stretch.sources for schema in self._capture.new_schemas(table)]
        return (Stretched(stretch, self._flavor, begin, before, opened, end, found.boundary is not None, schemas),)

    def _opened(self, stretch: Stretch) -> Transaction | None:
        """The transaction that is open behind, where it begins in the stretch."""
        begun = stretch.begun(stretch.transaction_count - 1)
        if begun is None:
            return None
        self._forget()
        self._open = self._commit_awaited = True
        self._gtid_text = begun.gtid
        self._commit_us = begun.commit_us
        self._thread = begun.thread
        self._server_id = begun.server_id
        self._transaction_offset = begun.start
        return self._begins()

    def _table_map(self, event: Event) -> Sequence[Item]:
        if not self._open:
            raise _rows_without_map(0, self._open)
        table_id, table = self._capture.table(event.body)
        self._maps[table_id] = table
        return self._observed(event) if self._capture.unseen else NOTHING

    def _place(self, event: Event) -> Place:
        return Place(self._boundary.source_id, file_number(self.file), event.end)

    def _observed(self, event: Event) -> Sequence[Item]:
        """Table maps have told shapes that may be new to the schema history."""
        place = self._place(event)
        schemas, self._capture.unseen = self._capture.unseen, []
        found = [self._history.observe(schema, place) for schema in schemas]
        versions = [version for version in found if version is not None]
        return (Remembered(versions),) if versions else NOTHING

    def _rows(self, event: Event) -> Sequence[Item]:
        table = self._table_of(event, self._maps)
        if table is None:
            return NOTHING
        if self._xa:
            self._xa_captured = True
            return NOTHING
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
        return NOTHING

    def _payload(self, event: Event) -> Iterator[Item]:
        """A whole transaction behind its GTID, compressed; its events have the payload's place in the file."""
        self._payload_row = 0
        for inner in compression.payload_events(event.body):
            if inner.kind == events.TRANSACTION_PAYLOAD_EVENT:
                raise BinlogDamaged("a payload inside a payload", hint="look at the server's disk")
            yield from self.items(_opened(inner, event))

    def _shown_begin(self) -> Begin:
        return Begin(self._begins())

    def _begins(self) -> Transaction:
        self._begun = True
        self._transaction = Transaction(
            self._point(self._transaction_offset),
            self._server_id,
            self._gtid_text or None,
            self._thread,
            self._commit_us,
        )
        return self._transaction

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
            elif recalled.kind in _STATEMENT_TEXTS:
                self._rows_query(recalled)
            elif recalled.kind in _ALL_ROWS and (table := self._table_of(recalled, maps)) is not None:
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
                    yield _opened(inner, event)
            elif event.kind in compression.ROWS_TWINS:
                kind, body = compression.mariadb_rows(event.kind, event.body)
                yield replace(event, kind=kind, body=body)
            else:
                yield event

    def _xa_settled(self, event: Event, words: str, sql: bytes) -> Iterable[Item]:
        xid = sql.decode("latin-1").partition(words)[2].strip()
        if words == "XA COMMIT":
            place = self._prepared.commit(xid, FilePosition(self.file, event.start))
            return self._end(event) if place is None else self._xa_commit(event, place)
        self._prepared.forget(xid)
        return self._end(event)

    def _refuse_undoing(self, what: str) -> None:
        if self._begun or self._xa_captured:
            raise NotUnderstood(
                f"{what} after rows of captured tables",
                hint="compare the tables of this transaction, then `cdc replay --from` the position after it",
            )

    def _applied(self, statement: Statement, query: events.Query, session: Session, event: Event) -> Iterable[Item]:
        captured = self._captured(statement)
        if statement.effect is Effect.TRUNCATE and captured:
            begin = () if self._begun else (self._shown_begin(),)
            return (*begin, *(Truncated(event.start, db, table) for db, table in captured))
        if statement.effect in _SCHEMA_EFFECTS:
            return self._schema_changed(statement, query, session, event)
        if statement.effect is not Effect.HARMLESS:
            words = statements.first_words(query.sql)
            place, behind = self._ends(event)
            judge(Case(statement.effect, words, statement.tables, captured, place, behind))
        return NOTHING

    def _ends(self, event: Event) -> tuple[str, str]:
        """Where the event starts and where it ends, for messages."""
        return f"{self.file}:{event.start}", f"{self.file}:{event.end}"

    def _require_known_tables(self, statement: Statement, event: Event) -> None:
        """What a database held can only be told from the schema history, which may not reach back so far."""
        ((db, _),) = statement.tables
        if not self._knows_tables and self._capture.in_database(db):
            at, behind = self._ends(event)
            self._rules.schema.hands_on(SchemaChange("drop", db, "*"), place=at, behind=behind)

    def _schema_changed(
        self, statement: Statement, query: events.Query, session: Session, event: Event
    ) -> Iterator[Item]:
        place = self._place(event)
        context = Context(place, query.db, event.timestamp, self._rules.flavor, session)
        at, behind = self._ends(event)
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


def _opened(inner: compression.Inner, payload: Event) -> Event:
    return Event(inner.kind, inner.timestamp, inner.server_id, payload.start, payload.end, inner.body)


def _rows_without_map(table_id: int, inside: bool) -> FatalError:
    if inside:
        return BinlogDamaged(
            f"rows of table id {table_id}, which no table map of this transaction names",
            hint="the binlog lacks an event: compare the tables, then `cdc replay --from` a later boundary",
        )
    return PositionError(
        "reading began inside a transaction, between a table map and its rows", hint="begin at a transaction's boundary"
    )
