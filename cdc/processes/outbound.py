"""From the source's items to the queue's messages: lanes, counts, sequences and the checkpoint, without any I/O.

Why a resumed run sends the same messages: a message's lane, count and sequence depend on the checkpoint and on the binlog
alone. So after a crash the events after the checkpoint come again with the numbers they had, and a sink can tell the
ones it has (its watermark) from one that is missing (its count).
"""

import time
from array import array
from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from typing import NamedTuple

from cdc.binlog.port import Stretched
from cdc.model.change import Draft, EventText, Marker, Message, Transaction, event_text, render_marker
from cdc.model.checkpoint import Checkpoint, LaneCount, SourcePoint
from cdc.model.compiled import EncodedRows
from cdc.model.position import ORIGIN, Sequence, file_number
from cdc.model.routing import lane_name, lane_number, matches
from cdc.model.schema_change import SchemaChange
from cdc.processes.packing import Orders, Packing, Run, Spread, pieces_of


@dataclass(frozen=True, slots=True)
class Routing:
    """How a connector spreads its change events over lanes.

    `lanes` partitions; `topic` a template with {db}, {table} where each table has a topic of its own, else None; `by_table`
    patterns of tables that go whole into one lane, in addition to those that the checkpoint names.
    """

    connector: str
    flavor: str
    lanes: int
    topic: str | None = None
    by_table: tuple[str, ...] = ()

    def static_lanes(self) -> list[str]:
        return [] if self.topic else [lane_name(None, number) for number in range(self.lanes)]

    def table_lanes(self, db: str, table: str) -> list[str]:
        return [self.lane(db, table, number) for number in range(self.lanes)] if self.topic else []

    def lane(self, db: str, table: str, number: int) -> str:
        topic = self.topic and self.topic.format(name=self.connector, db=db, table=table)
        return lane_name(topic, number)


class _Version(NamedTuple):
    """What change events of one rows event have in common, beside the event."""

    db: str
    table: str
    schema: str
    replay: bool


class _Held(NamedTuple):
    """A transaction's latest change event, held back until it is known whether another one follows. `draft`: None where it
    stands, unfinished, in the packed messages; then there is no more to be known than its place."""

    seq: Sequence
    draft: Draft | None = None
    text: EventText | None = None
    total_order: int = 0
    table_order: int = 0


class Outbound:
    """Not thread-safe. `begin_run` once, then items as they come; `take` empties what has gathered."""

    def __init__(self, checkpoint: Checkpoint, routing: Routing, now: Callable[[], float] = time.time) -> None:
        self._routing = routing
        self._now = now
        self._base = checkpoint
        self._by_table = frozenset(checkpoint.by_table)
        self._whole_tables: dict[tuple[str, str], bool] = {}
        self._numbers = {lane: number for number, lane in enumerate(checkpoint.lanes)}
        self._counts = array("q", [state.count for state in checkpoint.lanes.values()])
        self._after = {lane: state.after for lane, state in checkpoint.lanes.items() if state.after > ORIGIN}
        self._sent = checkpoint.after
        self._point = checkpoint.point
        self._file = file_number(checkpoint.point.file)
        self._transaction: Transaction | None = None
        self._held: _Held | None = None
        self._orders: Counter[tuple[str, str]] = Counter()
        self._total = 0
        self._marked: dict[str, Sequence] = {}
        self._messages: list[Message] = []
        self._message_bytes = 0
        # From the first encoded rows on, all messages are packed.
        self._packing: Packing | None = None
        self._spreads: dict[tuple[str, str], Spread] = {}

    def __len__(self) -> int:
        return len(self._messages if self._packing is None else self._packing.messages)

    @property
    def bytes(self) -> int:
        """Of the values that have gathered."""
        return self._message_bytes if self._packing is None else self._packing.messages.value_bytes

    @property
    def inside(self) -> bool:
        """Whether a transaction has begun whose end has not come."""
        return self._transaction is not None

    @property
    def reached(self) -> Sequence:
        """Everything up to here has been turned into messages (boundary of the last whole transaction)."""
        return self._boundary(self._point)

    @property
    def lanes(self) -> list[str]:
        return list(self._numbers)

    def begin_run(self) -> None:
        """An epoch marker for every lane: from here on, lower reader tokens do not count."""
        for lane in self._routing.static_lanes():
            if lane not in self._numbers:
                self._open(lane)
        for lane in self._numbers:
            self._epoch(lane)

    def begin(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._file = file_number(transaction.point.file)
        self._point = transaction.point
        self._orders.clear()
        self._total = 0

    def rows(self, offset: int, drafts: Many[Draft], first_row: int = 0, query: str | None = None) -> None:
        """One rows event at `offset`; the index of a draft, from `first_row` on, is its sequence's `row`."""
        if isinstance(drafts, EncodedRows) and len(drafts) and self._fits_packing(offset, first_row, len(drafts)):
            self._pack(offset, drafts, first_row, query)
            return
        made: _Version | None = None
        text: EventText | None = None
        for row, draft in enumerate(drafts, first_row):
            self._total += 1
            self._orders[draft.db, draft.table] += 1
            seq = Sequence(self._base.generation, self._file, offset, row)
            if seq <= self._base.after:
                continue
            version = _Version(draft.db, draft.table, draft.schema, seq <= self._base.replay_until)
            if version != made:
                made, text = version, self._text(version, seq, query)
            self._release(ends=False)
            self._held = _Held(seq, draft, text, self._total, self._orders[draft.db, draft.table])

    def _text(self, version: _Version, seq: Sequence, query: str | None) -> EventText | None:
        """Of the rows event at `seq`; None outside of a transaction."""
        if self._transaction is None:
            return None
        return event_text(
            self._transaction,
            self._routing.connector,
            self._routing.flavor,
            version.db,
            version.table,
            version.schema,
            seq[:3],
            seq.offset,
            self._base.token,
            version.replay,
            query,
        )

    def stretch(self, item: Stretched) -> bool:
        """All of a stretch at once; False where it must be taken one by one, and then nothing has happened."""
        stretch = item.stretch
        file = file_number(item.begin.file)
        generation = self._base.generation
        last, last_but_one = (
            place and Sequence(generation, file, *place) for place in (stretch.row_place(0), stretch.row_place(1))
        )
        replay = self._replay(Sequence(generation, file, stretch.first_offset, 0), last) if last else False
        spreads = [self._spread(rows.db, rows.table) for rows in stretch.tables]
        if replay is None or self._after or any(number < 0 for spread in spreads for number in spread.numbers):
            return False
        held = self._held
        if held is not None and held.draft is not None:
            return False
        if self._packing is None:
            self._packing = self._begin_packing()
        run = Run(item.begin, generation, file, self._base.token, replay, int(self._now() * 1000), self._counts)
        total, orders = self._packing.stretch(stretch, run, item.before, spreads, Orders(self._total, self._orders))
        if item.end is None:
            if item.opened is not None:
                self.begin(item.opened)
            self._total = total
            dict.update(self._orders, orders)  # a Counter's own would add
            if last is not None:
                self._sent = last_but_one or (held.seq if held else self._sent)
                self._held = _Held(last)
        else:
            self._sent = last or (held.seq if held else self._sent)
            self._held = None
            self._transaction = None
            self.passed(item.end)
        return True

    def _replay(self, first: Sequence, last: Sequence) -> bool | None:
        """Whether rows from `first` to `last` are a replay; None where some are and some are not, or not all are sent."""
        if first <= self._base.after:
            return None
        replay = last <= self._base.replay_until
        return replay if replay or first > self._base.replay_until else None

    def _begin_packing(self) -> Packing:
        packing = Packing(self._routing.connector, self._routing.flavor, self.lanes, self._messages)
        self._messages = []
        return packing

    def _fits_packing(self, offset: int, first_row: int, count: int) -> bool:
        """Whether all rows of the event are sent, and all are a replay or none is."""
        if self._after:
            return False
        first = Sequence(self._base.generation, self._file, offset, first_row)
        return self._replay(first, first._replace(row=first_row + count - 1)) is not None

    def _pack(self, offset: int, rows: EncodedRows, first_row: int, query: str | None) -> None:
        """As `rows`, for rows that are in the wire format already. Of all of them the last one is held."""
        self._release(ends=False)
        packing = self._packing
        if packing is None:
            packing = self._packing = self._begin_packing()
        db, table = rows.db, rows.table
        first = Sequence(self._base.generation, self._file, offset, first_row)
        text = self._text(_Version(db, table, rows.schema, first <= self._base.replay_until), first, query)
        if text is None:
            return
        pieces = pieces_of(text, int(self._now() * 1000))
        total, order = self._total, self._orders[db, table]
        sent, count = 0, len(rows)
        while True:
            spread = self._spread(db, table)
            sent = packing.messages.add_rows(
                rows, sent, pieces, self._counts, spread.numbers, spread.whole, first_row, total + 1, order + 1
            )
            if sent == count:
                break
            packing.messages.release(False)
            self._known(self._lane_of(db, table, rows.crc(sent)))
        self._total += count
        self._orders[db, table] += count
        generation, file = self._base.generation, self._file
        if count > 1:
            self._sent = Sequence(generation, file, offset, first_row + count - 2)
        last = Sequence(generation, file, offset, first_row + count - 1)
        self._held = _Held(last)

    def _spread(self, db: str, table: str) -> Spread:
        spread = self._spreads.get((db, table))
        if spread is None:
            lanes = self._routing.lanes
            names = [self._routing.lane(db, table, number) for number in range(lanes)]
            whole = lane_number(db, table, (), lanes) if self._whole(db, table) else -1
            spread = Spread(array("i", [self._numbers.get(name, -1) for name in names]), whole)
            self._spreads[db, table] = spread
        return spread

    def _lane_of(self, db: str, table: str, crc: int) -> str:
        lanes = self._routing.lanes
        number = lane_number(db, table, (), lanes) if self._whole(db, table) else crc % lanes
        return self._routing.lane(db, table, number)

    def truncate(self, offset: int, db: str, table: str) -> None:
        """A barrier on every lane; the table's own first lane is the one where the table is emptied."""
        self._barrier(offset, 0, {"action": "truncate", "db": db, "table": table})

    def alter(self, offset: int, row: int, change: SchemaChange) -> None:
        """A barrier on every lane; the table's own first lane is the one where the target's table is changed."""
        again = Sequence(self._base.generation, self._file, offset, row) <= self._base.replay_until
        content = replace(change, again=again).to_json()
        self._barrier(offset, row, {"action": "schema", "db": change.db, "table": change.table, "change": content})

    def _barrier(self, offset: int, row: int, content: dict[str, object]) -> None:
        seq = Sequence(self._base.generation, self._file, offset, row)
        if seq <= self._base.after:
            return
        self._release(ends=True)
        db, table = str(content["db"]), str(content["table"])
        for lane in self._routing.table_lanes(db, table):
            self._known(lane)
        home = self._routing.lane(db, table, lane_number(db, table, (), self._routing.lanes))
        content = {**content, "home": home, "lanes": self.lanes}
        for lane in self.lanes:
            if seq > self._after.get(lane, ORIGIN):
                self._counts[self._numbers[lane]] += 1
                self._mark("barrier", lane, seq, content)
        self._sent = seq

    def end(self, point: SourcePoint) -> None:
        self._release(ends=True)
        self._transaction = None
        self.passed(point)

    def passed(self, point: SourcePoint) -> None:
        """Nothing is missing up to the boundary `point`."""
        self._point = point
        self._file = file_number(point.file)

    def heartbeat(self) -> None:
        """A marker for each lane that has not heard of the last boundary yet; only between transactions."""
        seq = self.reached
        for lane in self._numbers:
            if self._marked.get(lane, ORIGIN) < seq and self._after.get(lane, ORIGIN) < seq:
                self._mark("heartbeat", lane, seq, {})
                self._marked[lane] = seq

    def take(self) -> tuple[Many[Message], Checkpoint]:
        """What has gathered, and the checkpoint that holds once it is confirmed."""
        counts = list(self._counts)
        messages: Many[Message]
        if self._packing is None:
            messages, self._messages, self._message_bytes = self._messages, [], 0
        else:
            messages = self._packing.take()
            held_lane = self._packing.messages.held_lane
            if held_lane is not None:
                counts[held_lane] -= 1
        lanes = {
            lane: LaneCount(count, self._after.get(lane, ORIGIN))
            for lane, count in zip(self._numbers, counts, strict=True)
        }
        checkpoint = replace(self._base, point=self._point, after=max(self._sent, self._base.after), lanes=lanes)
        return messages, checkpoint

    def _boundary(self, point: SourcePoint) -> Sequence:
        return Sequence(self._base.generation, file_number(point.file), point.offset, 0)

    def _release(self, *, ends: bool) -> None:
        if self._held is None or self._transaction is None:
            return
        held, self._held = self._held, None
        draft = held.draft
        if draft is None or held.text is None:
            assert self._packing is not None  # noqa: S101 - what is held without a draft is in there
            self._packing.messages.release(ends)
            self._sent = held.seq
            return
        key = () if self._whole(draft.db, draft.table) else draft.key.values()
        lane = self._routing.lane(draft.db, draft.table, lane_number(draft.db, draft.table, key, self._routing.lanes))
        self._sent = held.seq
        if held.seq <= self._after.get(lane, ORIGIN):
            return
        self._known(lane)
        number = self._numbers[lane]
        self._counts[number] += 1
        message = held.text.message(
            draft,
            held.seq.row,
            lane,
            self._counts[number],
            held.total_order,
            held.table_order,
            int(self._now() * 1000),
            ends,
        )
        self._add(message)

    def _whole(self, db: str, table: str) -> bool:
        """Whether the table goes whole into one lane: found out once for each table, not for each row."""
        whole = self._whole_tables.get((db, table))
        if whole is None:
            name = f"{db}.{table}"
            whole = name in self._by_table or matches(self._routing.by_table, name)
            self._whole_tables[db, table] = whole
        return whole

    def _known(self, lane: str) -> None:
        if lane not in self._numbers:
            self._open(lane)
            self._epoch(lane)

    def _open(self, lane: str) -> None:
        self._numbers[lane] = len(self._numbers)
        self._counts.append(0)
        self._spreads.clear()

    def _epoch(self, lane: str) -> None:
        base = self._base
        previous = base.previous and (base.previous[0], base.previous[1].get(lane, 0))
        content: dict[str, object] = {
            "generation": base.generation,
            "previous": previous,
            "start": [file_number(base.point.file), base.point.offset],
            "lanes": self.lanes,
            "fingerprint": base.fingerprint,
        }
        self._mark("epoch", lane, Sequence(base.generation, self._file, self._point.offset, 0), content)

    def _mark(self, kind: str, lane: str, seq: Sequence, content: dict[str, object]) -> None:
        transaction = self._transaction
        marker = Marker(
            kind,
            lane,
            seq,
            self._counts[self._numbers[lane]],
            self._base.token,
            self._point,
            transaction.commit_us if transaction else 0,
            content,
        )
        self._add(
            render_marker(
                marker,
                connector=self._routing.connector,
                flavor=self._routing.flavor,
                now_ms=int(self._now() * 1000),
            )
        )

    def _add(self, message: Message) -> None:
        if self._packing is not None:
            self._packing.messages.append(message)
        else:
            self._messages.append(message)
            self._message_bytes += len(message.value)
