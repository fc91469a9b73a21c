"""Looks through binlog files for a place, without reading rows: transactions as groups with a start and an end.

It passes over what stops a stream (compressed transactions, statements …): the way out of such a stop is a position behind
it, and that has to be found.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pymysqlreplication.constants import BINLOG

from cdc.binlog import events
from cdc.binlog.capture import Capture
from cdc.binlog.connection import BinlogConnection, DumpRequest
from cdc.binlog.decoder import load
from cdc.binlog.decoder.port import ROWS_EVENTS
from cdc.binlog.port import Item
from cdc.binlog.statements import Statement
from cdc.binlog.stream import BinlogStream
from cdc.binlog.transactions import Event, Rules, Transactions
from cdc.model.checkpoint import SourcePoint
from cdc.model.config import SourceConfig
from cdc.model.errors import PositionError
from cdc.model.position import FilePosition

_NOTHING: tuple[Item, ...] = ()


class Group(NamedTuple):
    """One transaction, or one statement that is one. `start` and `end` are boundaries."""

    start: SourcePoint
    end: SourcePoint
    commit_us: int


class Scan(Transactions):
    """Transactions without rows: the event at hand, and the last group that ended."""

    def __init__(self, point: SourcePoint, capture: Capture, flavor: str) -> None:
        super().__init__(point, capture, Rules(flavor, "ignore"))
        self.event: Event | None = None
        self.group: Group | None = None
        self.created = 0
        self.previous_gtids: str | None = None
        for kind in (BINLOG.TABLE_MAP_EVENT, *ROWS_EVENTS):
            self._handlers[kind] = self._ignore

    @property
    def boundary(self) -> SourcePoint:
        """The last boundary that was passed: where the open group starts, if one is open."""
        return self._point(self._transaction_offset if self._open else self._boundary_offset)

    @property
    def inside(self) -> bool:
        return self._open

    def items(self, event: Event) -> Sequence[Item]:
        self.event = event
        handler = self._handlers.get(event.kind)
        if handler is not None:
            return handler(event)
        if event.kind == events.TRANSACTION_PAYLOAD_EVENT:
            return self._end(event)
        if event.kind == events.MARIADB_QUERY_COMPRESSED_EVENT and not self._commit_awaited:
            return self._end(event)
        if event.kind == events.GTID_TAGGED_LOG_EVENT:
            return super().items(event)
        return _NOTHING

    def enter_file(self, file: str, created: int, query_post_header: int) -> None:
        super().enter_file(file, created, query_post_header)
        self.created = created

    def _ignore(self, event: Event) -> Sequence[Item]:
        return _NOTHING

    def _harmless(self, event: Event) -> Sequence[Item]:
        if event.kind == BINLOG.PREVIOUS_GTIDS_LOG_EVENT:
            self.previous_gtids = events.previous_gtids(event.body)
        elif event.kind == BINLOG.MARIADB_GTID_GTID_LIST_EVENT:
            self.previous_gtids = events.mariadb_gtid_list(event.body)
        return super()._harmless(event)

    def _applied(self, statement: Statement, query: events.Query, event: Event) -> Sequence[Item]:
        return _NOTHING

    def _xa_statement(self, event: Event, sql: bytes) -> Sequence[Item]:
        self._prepared.add(sql.decode("latin-1").partition("XA COMMIT")[2].strip())
        return super()._xa_statement(event, sql)

    def _end(self, event: Event) -> Sequence[Item]:
        start, commit_us = self.boundary, self._commit_us
        super()._end(event)
        self.group = Group(start, self._point(event.end), commit_us)
        return _NOTHING


class Scanner:
    """Opens dumps of its own, which end at the end; none of them disturbs a reader's."""

    def __init__(self, config: SourceConfig, flavor: str, source_id: str) -> None:
        self._config = config
        self._flavor = flavor
        self._source_id = source_id
        self._capture = Capture(config, load("python"))

    def head(self, file: str) -> SourcePoint:
        """A file's beginning, with its creation and what was executed before it. Raises PositionError."""
        scan = self._scan(SourcePoint(self._source_id, file, 4))
        for _ in self._walk(scan):
            if scan.previous_gtids is not None or scan.inside:
                break
        return SourcePoint(self._source_id, file, 4, scan.previous_gtids or "", scan.created)

    def boundary(self, position: FilePosition) -> SourcePoint:
        """The boundary at `position`, or the start of the transaction that it lies in. `position` is not beyond the file's end.

        Raises PositionError where it lies inside an event.
        """
        head = self.head(position.file)
        if position.offset == head.offset:
            return head
        scan = self._scan(head)
        before = head
        for event in self._walk(scan):
            if scan.file != position.file:
                break
            if event.start == position.offset:
                return before
            if event.start < position.offset < event.end:
                raise _inside_an_event(position, event)
            if event.start > position.offset:
                if scan.inside:
                    # Where MariaDB leaves an event out: the statement's text before its rows.
                    return before
                break
            before = scan.boundary
        if before.file == position.file and before.offset == position.offset:
            return before
        raise PositionError(f"there is no event at {position}", hint="begin at a transaction's boundary")

    def groups(self, begin: SourcePoint, *, gtid_set: bytes | None = None) -> Iterator[Group]:
        """Every transaction from `begin` to the end of the binlog; with `gtid_set` (encoded) those that it lacks."""
        scan = self._scan(begin)
        for _ in self._walk(scan, gtid_set):
            if scan.group is not None:
                yield scan.group
                scan.group = None

    def _scan(self, point: SourcePoint) -> Scan:
        return Scan(point, self._capture, self._flavor)

    def _walk(self, scan: Scan, gtid_set: bytes | None = None) -> Iterator[Event]:
        begin = scan.boundary
        request = DumpRequest(begin.position, self._flavor, gtid_set=gtid_set)
        connection = BinlogConnection(self._config, request)
        stream = BinlogStream(connection, begin, scan, by_gtids=gtid_set is not None)
        try:
            while stream.read_one(lambda: 1.0):
                if scan.event is not None:
                    yield scan.event
                    scan.event = None
        finally:
            connection.close()


def _inside_an_event(position: FilePosition, event: Event) -> PositionError:
    return PositionError(
        f"{position} lies inside an event ({event.start} … {event.end})",
        hint=f"begin at {position.file}:{event.start}, or at a transaction's boundary",
    )
