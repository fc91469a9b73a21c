"""Looks through binlog files for a place, without reading rows: transactions as groups with a start and an end.

It passes over what stops a stream (statements, rows that are not understood …): the way out of such a stop is a position
behind it, and that has to be found.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from pymysqlreplication.constants import BINLOG

from cdc.binlog import events
from cdc.binlog.compression import payload_events
from cdc.binlog.connection import MOST_OFFSET, BinlogConnection, DumpRequest
from cdc.binlog.events import Event
from cdc.binlog.groups import NOTHING, Groups
from cdc.binlog.history import Session
from cdc.binlog.history.context import TableName
from cdc.binlog.port import BinlogFile, Item
from cdc.binlog.statements import Effect, Statement
from cdc.binlog.stream import BinlogStream, RawEvents
from cdc.binlog.xa import Prepared
from cdc.model.checkpoint import SourcePoint
from cdc.model.config import SourceConfig
from cdc.model.errors import PositionError
from cdc.model.position import FilePosition, file_number
from cdc.observe.logs import fields, get_logger

log = get_logger(__name__)


class Group(NamedTuple):
    """One transaction, or one statement that is one. `start` and `end` are boundaries."""

    start: SourcePoint
    end: SourcePoint
    commit_us: int


_LEAVES_SHAPES = frozenset((Effect.HARMLESS, Effect.TRUNCATE, Effect.ROWS_BY_STATEMENT))


class Scan(Groups):
    """Transactions without rows: the event at hand, and the last group that ended."""

    def __init__(self, point: SourcePoint, flavor: str) -> None:
        super().__init__(point, flavor)
        self.altered: set[TableName] = set()
        self.unclear = False
        self.event: Event | None = None
        self.group: Group | None = None
        self.created = 0
        self.previous_gtids: str | None = None
        # A payload holds all of its transaction but the GTID.
        self._handlers[events.TRANSACTION_PAYLOAD_EVENT] = self._end

    @property
    def boundary(self) -> SourcePoint:
        """The last boundary that was passed: where the open group starts, if one is open."""
        return self._point(self._transaction_offset if self._open else self._boundary_offset)

    @property
    def inside(self) -> bool:
        return self._open

    def items(self, event: Event) -> Iterable[Item]:
        self.event = event
        return super().items(event)

    def enter_file(self, file: str, created: int, query_post_header: int) -> None:
        super().enter_file(file, created, query_post_header)
        self.created = created

    def _harmless(self, event: Event) -> Sequence[Item]:
        if event.kind == BINLOG.PREVIOUS_GTIDS_LOG_EVENT:
            self.previous_gtids = events.previous_gtids(event.body)
        elif event.kind == BINLOG.MARIADB_GTID_GTID_LIST_EVENT:
            self.previous_gtids = events.mariadb_gtid_list(event.body)
        return super()._harmless(event)

    def _applied(self, statement: Statement, query: events.Query, session: Session, event: Event) -> Iterable[Item]:
        if statement.effect is Effect.UNKNOWN:
            self.unclear = True
        elif statement.effect not in _LEAVES_SHAPES:
            self.altered.update(statement.tables)
        return NOTHING

    def _end(self, event: Event) -> Sequence[Item]:
        start, commit_us = self.boundary, self._commit_us
        super()._end(event)
        self.group = Group(start, self._point(event.end), commit_us)
        return NOTHING


class Scanner:
    """Opens dumps of its own, which end at the end; none of them disturbs a reader's. `dump`: how, where it is not the
    server alone that has the files."""

    def __init__(
        self, config: SourceConfig, flavor: str, source_id: str, dump: Callable[[DumpRequest], RawEvents] | None = None
    ) -> None:
        self._config = config
        self._flavor = flavor
        self._source_id = source_id
        self._dump = dump or (lambda request: BinlogConnection(config, request))

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

    def prepared(self, xid: str, before: FilePosition, file: str) -> Prepared | None:
        """The last XA PREPARE of `xid` in `file`, before a place in it or in a later file."""
        scan = self._scan(SourcePoint(self._source_id, file, 4))
        found = None
        for event in self._walk(scan):
            if scan.file != file or (file == before.file and event.start >= before.offset):
                break
            if scan.group is not None and scan.group.end.offset == event.end and xid in _prepares(event):
                found = Prepared(file, scan.group.start.offset, event.end)
        return found

    def events(self, place: Prepared) -> Iterator[Event]:
        scan = self._scan(SourcePoint(self._source_id, place.file, place.start))
        for event in self._walk(scan):
            if scan.file != place.file or event.start >= place.end:
                break
            yield event

    def altered(self, begin: SourcePoint) -> frozenset[TableName] | None:
        """Tables and databases (table "") that statements named from `begin` to the end; None where one was not understood."""
        scan = self._scan(begin)
        for _ in self._walk(scan):
            if scan.unclear:
                return None
        return frozenset(scan.altered)

    def _scan(self, point: SourcePoint) -> Scan:
        return Scan(point, self._flavor)

    def _walk(self, scan: Scan, gtid_set: bytes | None = None) -> Iterator[Event]:
        begin = scan.boundary
        # The dump command has 4 bytes for the offset: beyond them the file is read from its beginning, and passed over.
        offset = begin.offset if begin.offset <= MOST_OFFSET else 4
        request = DumpRequest(FilePosition(begin.file, offset), self._flavor, gtid_set=gtid_set)
        connection = self._dump(request)
        stream = BinlogStream(connection, begin, scan, offset=offset, by_gtids=gtid_set is not None)
        try:
            while stream.read_one(lambda: 1.0):
                if scan.event is not None:
                    yield scan.event
                    scan.event = None
        finally:
            connection.close()


class Recaller:
    """cdc.binlog.xa.Recall over dumps of its own. `files`: the source's, oldest first, asked for when they are needed."""

    def __init__(self, scanner: Callable[[], Scanner], files: Callable[[], Sequence[BinlogFile]]) -> None:
        self._scanner = scanner
        self._files = files

    def find(self, xid: str, before: FilePosition) -> Prepared | None:
        last = file_number(before.file)
        names = [file.name for file in self._files() if file_number(file.name) <= last]
        log.info(
            f"looking for XA PREPARE {xid} in {len(names)} files before {before}",
            extra=fields("source.prepare_sought", place=str(before)),
        )
        scanner = self._scanner()
        found = (scanner.prepared(xid, before, name) for name in reversed(names))
        return next((place for place in found if place is not None), None)

    def events(self, place: Prepared) -> Iterator[Event]:
        return self._scanner().events(place)


def _prepares(event: Event) -> list[str]:
    """The XA transaction that the event prepares, and does not commit in the same breath; none or one."""
    if event.kind == BINLOG.XA_PREPARE_EVENT:
        return [] if event.body[0] else [events.xa_id(event.body)]
    if event.kind != events.TRANSACTION_PAYLOAD_EVENT:
        return []
    inner = [one.body for one in payload_events(event.body) if one.kind == BINLOG.XA_PREPARE_EVENT]
    return [events.xa_id(body) for body in inner if not body[0]]


def _inside_an_event(position: FilePosition, event: Event) -> PositionError:
    return PositionError(
        f"{position} lies inside an event ({event.start} … {event.end})",
        hint=f"begin at {position.file}:{event.start}, or at a transaction's boundary",
    )
