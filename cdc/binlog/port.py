"""What the reader asks of a source: its transactions, as items in binlog order, and facts about the server.

Adapter: cdc.binlog.source.BinlogSource (MySQL 8.0–9.7, MariaDB 10.5–11).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cdc.model.change import Draft, Transaction
from cdc.model.checkpoint import SourcePoint
from cdc.model.compiled import Stretch
from cdc.model.finding import Finding
from cdc.model.position import FilePosition
from cdc.model.schema import TableSchema
from cdc.model.schema_change import SchemaChange
from cdc.model.table_version import TableVersion


@dataclass(frozen=True, slots=True)
class Begin:
    """A transaction begins. `transaction.commit_us` is known from the start (GTID event, else the BEGIN's header)."""

    transaction: Transaction


@dataclass(frozen=True, slots=True)
class Rows:
    """One rows event's changes in captured tables, in order, projected and masked.

    An update that changes the key comes as two drafts: `d` of the old key, `c` of the new. `offset` is the event's start in
    the file, counted in 64 bits; the index in `drafts`, plus `first_row`, is the sequence's `row`, so `drafts` is the same in
    every reading. Rows events of one compressed payload, or of one XA transaction, share the offset of the event that brought
    or committed them, and `first_row` counts on. `new_schemas`: table versions that this stream had not shown before.
    `query`: the statement's text, where the binlog has it and `source.include_query` asks for it.
    """

    offset: int
    drafts: Sequence[Draft]
    new_schemas: Sequence[TableSchema] = ()
    first_row: int = 0
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Truncated:
    """TRUNCATE TABLE of a captured table; a transaction of its own (Begin, Truncated, End)."""

    offset: int
    db: str
    table: str


@dataclass(frozen=True, slots=True)
class Altered:
    """A captured table was created, altered, renamed or dropped; a transaction of its own (Begin, Altered…, End). `row` counts
    the changes of one statement."""

    offset: int
    row: int
    change: SchemaChange


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the schema history learnt: to be stored before a checkpoint moves past it."""

    versions: Sequence[TableVersion]


@dataclass(frozen=True, slots=True)
class Stretched:
    """What is otherwise many of Begin, Rows and End, in one: see cdc.model.stretch, and cdc.binlog.expansion, which gives those.

    `before`: the transaction that was open in front, whose Begin was shown. `begin`: that one's start, else the boundary in
    front. `opened`: the transaction that begins here and is open behind; `end`: the boundary behind, None where a transaction
    is open there. `ended`: a transaction ends here.
    """

    stretch: Stretch
    flavor: str
    begin: SourcePoint
    before: Transaction | None
    opened: Transaction | None
    end: SourcePoint | None
    ended: bool
    new_schemas: Sequence[TableSchema] = ()


@dataclass(frozen=True, slots=True)
class End:
    """The transaction is over; `point` is the boundary after it, from which reading could begin."""

    point: SourcePoint


@dataclass(frozen=True, slots=True)
class Passed:
    """Nothing for us up to `point`, a boundary outside any transaction: rotations, other tables' statements, heartbeats.

    `idle`: it came from a heartbeat, all that the server has so far was read.
    """

    point: SourcePoint
    idle: bool


Item = Begin | Rows | Stretched | Truncated | Altered | Remembered | End | Passed


class Stream(Protocol):
    """One connection that dumps the binlog. Not thread-safe, but `close` may be called from another thread."""

    def items(self, wait_seconds: Callable[[], float], *, stretches: bool = False) -> Iterator[Item | None]:
        """Items as they come, for ever, `Stretched` ones only where the caller takes `stretches`; None whenever nothing came for
        `wait_seconds()` (so that the caller can do its other duties; asked anew before each wait: short while the caller has
        something to flush, long when idle).
        Transactions without rows of captured tables come as Passed, not as Begin and End.
        Reads from the socket in large pieces; memory is bounded by the largest single event.

        Raises SourceUnavailable (broken or half-open connection: no bytes for the read timeout though the server was asked
        for heartbeats; the dump thread was killed): open a new stream at the last boundary. PositionError (purged, beyond
        the end, inside an event), BinlogDamaged (CRC, truncated event, incident), NotUnderstood (event, type, row image or
        metadata), TableRefused (a captured table without a primary key), SourceRefused (logging format, rights): stop.
        An error about an event names file, offset and, where known, table and column."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class BinlogFile:
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the server keeps its binlog by its own settings. `seconds`: by age; `total_bytes`: by the size of all files
    together. None: no limit of that kind."""

    seconds: float | None = None
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table's rows and the bytes of its rows, as the server's statistics have them: estimates, and 0 for one that was never
    looked at. `large`: its columns whose values may be longer than 16 MiB."""

    rows: int
    row_bytes: int
    large: Sequence[str] = ()


class Source(Protocol):
    """The server. Constructing it opens no connection; each call uses one of its own or a kept one."""

    def identity(self) -> str:
        """SourcePoint.source_id."""

    def describe(self) -> str:
        """Product and version: `MySQL 9.7.0`."""

    def flavor(self) -> str:
        """mysql or mariadb, whatever the URL says."""

    def end(self) -> SourcePoint:
        """The boundary after the last committed transaction."""

    def resolve(self, start: str) -> SourcePoint:
        """The boundary for a `start:` or `--from` text: latest, earliest, file:offset, a GTID set, an ISO time. A position inside
        a transaction, or between a table map and its rows, is moved back to the transaction's start (compare `offset`
        with what was asked, and say so). Raises PositionError."""

    def verify(self, point: SourcePoint) -> SourcePoint:
        """That reading can go on at `point`: the same server with the same files (or a replica that has all of its
        GTID set and purged none of what follows: then the point there, with its own source_id and file).
        Raises PositionError (purged, names the file and the way out), SourceChanged (reset, restored, another server)."""

    def stream(self, point: SourcePoint, tables: Sequence[TableVersion] = ()) -> Stream:
        """Reads on from `point`, where the tables are as `tables` says (see `tables_at`)."""

    def tables_at(self, point: SourcePoint, known: Sequence[TableVersion]) -> Sequence[TableVersion]:
        """The shapes of captured tables at `point`, as far as they are certain: what the schema history knows, else what the
        server has now where no statement since `point` was about the table. Never today's shape for yesterday's event."""

    def files(self) -> Sequence[BinlogFile]:
        """The server's binlog files, oldest first."""

    def bytes_behind(self, position: FilePosition) -> int:
        """Bytes of binlog between `position` and the end. Raises SourceChanged where that lies beyond the end."""

    def bytes_between(self, begin: FilePosition, end: FilePosition) -> int:
        """Bytes of binlog between two places, archived files included; 0 where `end` lies before `begin`."""

    def seconds_until_purged(self, file: str) -> float | None:
        """Until the server may purge `file` by its own expiry; None where it never does."""

    def tables(self) -> Sequence[TableSchema]:
        """The captured tables as they stand now (information_schema): for `cdc check` and for what a new generation
        fixes, never for reading events."""

    def generated_columns(self) -> frozenset[str]:
        """`db.table.column` of captured tables' columns that the server computes, virtual and stored ones, as they stand now:
        what a statement that is to be run now must not write."""

    def tables_with_further_unique_keys(self) -> Sequence[str]:
        """`db.table` of captured tables that have a unique key beside the primary one, sorted."""

    def unique_keys(self) -> Mapping[str, Sequence[frozenset[str]]]:
        """The columns of each further unique key, whole columns only, by `db.table` of captured tables that have some."""

    def retention(self) -> Retention: ...

    def sizes(self) -> Mapping[str, TableSize]:
        """By `db.table`, of all captured tables. Cheap: never a scan of a table."""

    def largest_packet(self) -> int:
        """Bytes of the longest statement, and so of about the longest value, that a client can send to the server."""

    def check(self) -> Sequence[Finding]:
        """All that cdc.binlog.doctor looks at: settings, rights, server_id in use, replicas, retention, clock, captured tables,
        their keys and foreign keys. Only reads; never raises for what the server says, one finding for each."""

    def close(self) -> None: ...
