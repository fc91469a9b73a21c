"""What copies, comparisons and refreshes ask of a source: rows of its tables, as they are now.

Adapter: cdc.binlog.source.BinlogSource, as of cdc.binlog.port.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cdc.model.change import Draft, Value
from cdc.model.checkpoint import SourcePoint
from cdc.model.schema import TableSchema

Key = tuple[Value, ...]
"""The values of a table's key columns, in key order, in the wire form of change events."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows of a captured table: of a range of keys in key order (`after`, exclusive, None: from the first; `until`, inclusive,
    None: to the last), or those of `keys`, as far as they are there.

    `where`: a condition in SQL that the operator gave, or "". `max_rows`, `max_bytes` (of values, as the server sends them) bound
    a range; one row comes at least.
    """

    db: str
    table: str
    after: Key | None = None
    until: Key | None = None
    keys: Sequence[Key] | None = None
    where: str = ""
    max_rows: int = 10_000
    max_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Chunk:
    """What was read at one moment, in key order: `rows` are drafts with op `r`, no image before, projected and masked as those
    of rows events are, and with the same values. `high`: a boundary; no transaction behind it has any effect in `rows`.
    `last`: the key after which the rest of the range follows, None where nothing does."""

    schema: TableSchema
    rows: Sequence[Draft]
    high: SourcePoint
    last: Key | None


@dataclass(frozen=True, slots=True)
class ReplicaLag:
    """Of one replica of the source (host:port). `seconds`: None where that is not known, for the reason `problem`: it counts as
    behind then."""

    replica: str
    seconds: float | None
    problem: str = ""


class RowSource(Protocol):
    """Thread-safe: each call has a connection for itself, some of which are kept."""

    def chunk(self, wanted: Wanted, settled: SourcePoint | None = None) -> Chunk:
        """Reads rows by SELECT, without locks and without a write at the source. The effect of every transaction before `settled`
        (a boundary that a stream of this server has passed) is in them: it is waited for, since a server's binlog tells a
        transaction before its tables show it.

        Raises SourceUnavailable (again), TableRefused (no such table, no key to go by, a `where` that the server refuses; with
        `settled` a binlog that has not the whole of each row),
        SourceRefused (rights), NotUnderstood (a type that cannot be read)."""

    def bounds(self, db: str, table: str, parts: int, where: str = "") -> Sequence[Key]:
        """Keys that cut the table into up to `parts` ranges of about the same size, in key order; fewer, or none, where that
        would cost more than it saves. Cheap: never a scan of the table."""

    def running_threads(self) -> int:
        """How many threads of the server are at work at this moment, the one that asks among them. Raises SourceUnavailable."""

    def replica_lags(self) -> Sequence[ReplicaLag]:
        """How far each of `source.snapshot.replicas` is behind, as it says itself. One call at a time; raises nothing."""

    def estimated_rows(self, db: str, table: str) -> int:
        """About how many rows the table has, as the server's statistics say."""
