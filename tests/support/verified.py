"""A source and a sink in memory, with a binlog between them, for tests of comparisons: what is committed at the source reaches
the target when the test's time goes on.

`Source` is a RowSource; `World.clock` the time that a comparison is given: each pause lets the world go on.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from cdc.binlog.digest_port import Digested
from cdc.binlog.rows_port import Chunk, ReplicaLag, Wanted
from cdc.model.batch import Key
from cdc.model.change import Draft, Row, Value
from cdc.model.checkpoint import Progress, SourcePoint
from cdc.model.config import SinkConfig
from cdc.model.position import Sequence as Position
from cdc.model.row_digest import RangeDigest, row_number, texts_of
from cdc.model.schema import Column, TableSchema
from cdc.processes.passing import Passing
from cdc.processes.suspects import Suspects
from cdc.processes.table_sides import Clock, Sides
from cdc.processes.verify import Options, Repair, TableVerifier
from cdc.processes.verify_report import TableReport
from cdc.queue.memory import MemoryQueue
from cdc.target.memory import MemoryTarget
from tests.support.queues import connector

NUMBERED = TableSchema(
    "shop", "orders", (Column("id", "int", nullable=False), Column("note", "varchar", length=20)), ("id",)
)
DIGESTED = replace(NUMBERED, columns=(NUMBERED.columns[0], Column("note", "text")))
"""As NUMBERED; of this one the sides make digests."""
NAMED = TableSchema(
    "shop",
    "orders",
    (Column("id", "varchar", length=20, nullable=False), Column("note", "varchar", length=20)),
    ("id",),
)


class Source:
    """See RowSource and DigestSource. `reads` counts chunks, and `digests` those of them that are made for a digest; `on_read` is
    called after the rows of each were taken."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.reads = 0
        self.digests = 0
        self.on_read: Callable[[Wanted], None] = lambda wanted: None

    def chunk(self, wanted: Wanted, settled: SourcePoint | None = None) -> Chunk:
        world = self._world
        rows = world.source
        if wanted.keys is not None:
            keys = [key for key in wanted.keys if key in rows]
            last = None
        else:
            keys = [
                key
                for key in sorted(rows)
                if (wanted.after is None or key > wanted.after) and (wanted.until is None or key <= wanted.until)
            ]
            last = keys[wanted.max_rows - 1] if len(keys) > wanted.max_rows else None
            keys = keys[: wanted.max_rows]
        schema = world.schema
        drafts = [
            Draft(
                "r",
                schema.db,
                schema.table,
                schema.fingerprint(),
                dict(zip(schema.key, key, strict=True)),
                None,
                rows[key],
            )
            for key in keys
        ]
        high = world.end()
        self.reads += 1
        self.on_read(wanted)
        return Chunk(schema, drafts, high, last)

    def digest(self, db: str, table: str, after: Key | None, max_rows: int) -> Digested | None:
        self.digests += 1
        chunk = self.chunk(Wanted(db, table, after=after, max_rows=max_rows))
        texts = [texts_of(chunk.schema, draft.after or {}) for draft in chunk.rows]
        assert None not in texts
        digest = RangeDigest(len(texts), sum(row_number(one or ()) for one in texts))
        return Digested(chunk.schema, digest, chunk.high, chunk.last)

    def bounds(self, db: str, table: str, parts: int, where: str = "") -> Sequence[Key]:
        return ()

    def running_threads(self) -> int:
        return 1

    def replica_lags(self) -> Sequence[ReplicaLag]:
        return ()

    def estimated_rows(self, db: str, table: str) -> int:
        return len(self._world.source)


class World:
    """`tick` is called at each pause, before the sink applies what was committed `lag` pauses ago."""

    def __init__(self, schema: TableSchema = NUMBERED, *, lag: int = 0) -> None:
        name = secrets.token_hex(4)
        self.schema = schema
        self.target = MemoryTarget("shop", "sink", SinkConfig.model_validate({"url": f"memory://{name}"}))
        self.queue = MemoryQueue(connector(f"memory://{name}"))
        self.source: dict[Key, Row] = {}
        self.rows = Source(self)
        self.now = 0.0
        self.tick: Callable[[], None] = lambda: None
        self.running = True
        self.parked_keys: frozenset[Key] = frozenset()
        self._lag = lag
        self._pauses = 0
        self._offset = self._applied = 100
        self._log: list[tuple[int, int, Key, Row | None]] = []
        self.target.store.tables["orders"] = {}
        self._stand()

    @property
    def there(self) -> dict[Key, Row]:
        """The target's rows, to be planted in."""
        return self.target.store.tables["orders"]

    def commit(self, key: Value, note: str | None) -> None:
        """None: the row is deleted."""
        row: Row | None = None if note is None else {"id": key, "note": note}
        if row is None:
            self.source.pop((key,), None)
        else:
            self.source[key,] = row
        self._offset += 10
        self._log.append((self._pauses, self._offset, (key,), row))

    def fill(self, count: int) -> None:
        """Rows that both sides have."""
        for number in range(count):
            key: Value = f"k{number:06d}" if self.schema is NAMED else number
            self.commit(key, f"note {number}")
        self.apply()

    def apply(self) -> None:
        """All that waits."""
        lag, self._lag = self._lag, -1
        self._apply()
        self._lag = lag

    def end(self) -> SourcePoint:
        return SourcePoint("server", "m.000001", self._offset + 5)

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self._pauses += 1
        self.tick()
        if self.running:
            self._apply()

    def _apply(self) -> None:
        while self._log and self._log[0][0] <= self._pauses - self._lag:
            _, self._applied, key, row = self._log.pop(0)
            if row is None:
                self.there.pop(key, None)
            else:
                self.there[key] = dict(row)
        self._stand()

    def _stand(self) -> None:
        """Where the lanes are; a heartbeat moves them to the end when nothing waits."""
        offset = self._applied if self._log else self._offset + 5
        for lane in self.queue.lanes():
            point = SourcePoint("server", "m.000001", offset)
            row = Progress(lane, 1, watermark=Position(1, 1, offset, 0), point=point)
            self.target.store.lanes["shop", "sink", lane] = row

    def rewind(self, generation: int, offset: int) -> None:
        """All lanes are in another generation, further back."""
        for at, row in self.target.store.lanes.items():
            moved = replace(row, watermark=Position(generation, 1, offset, 0))
            self.target.store.lanes[at] = moved

    def verify(self, *, repair: Repair | None = None, **options: Any) -> TableReport:
        clock = Clock(lambda: self.now, self.pause)
        chosen = Options(**{"chunk_rows": 10, "range_rows": 12, "patience_seconds": 30.0, **options})
        report = TableReport("sink", "shop.orders")
        sides = Sides("shop", "orders", self.rows, self.target, clock)
        passing = Passing(
            "sink",
            self.queue,
            self.target,
            patience_seconds=chosen.patience_seconds,
            clock=clock.now,
            pause=clock.pause,
        )
        suspects = Suspects(
            sides,
            self.end,
            passing,
            report,
            parked=self.parked,
            clock=clock,
            limit=chosen.limit,
            values=chosen.values,
        )
        TableVerifier(
            sides,
            passing,
            suspects,
            report,
            chosen,
            watcher=Quiet(),
            clock=clock,
            digests=self.rows if self.schema is DIGESTED else None,
            repair=repair,
        ).run()
        return report

    def parked(self) -> frozenset[Key]:
        return self.parked_keys


class Quiet:
    """A watcher who says nothing, and counts."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begins(self, report: TableReport) -> None:
        self.told.append(f"begins {report.table}")

    def moves(self, report: TableReport) -> None:
        assert report.seconds >= 0

    def ends(self, report: TableReport) -> None:
        self.told.append(f"ends {report.table}")
