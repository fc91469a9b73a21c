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
from dataclasses import replace
from operator import itemgetter
from typing import NamedTuple

from cdc.binlog.port import Stretched
from cdc.model.bundle import BUNDLE_ROWS
from cdc.model.change import (
    COPIED,
    Draft,
    EventText,
    Marker,
    Message,
    Transaction,
    end_of_message,
    event_text,
    render_marker,
)
from cdc.model.checkpoint import Checkpoint, LaneCount, SourcePoint
from cdc.model.compiled import EncodedRows
from cdc.model.copies import Copies
from cdc.model.position import ORIGIN, Sequence, file_number
from cdc.model.routing import lane_number
from cdc.model.schema_change import SchemaChange
from cdc.model.stretch import Stretch
from cdc.processes.packing import Orders, Packing, Run, pieces_of
from cdc.processes.spread import Routing, Spread, Spreads

_FOR_EVER = Sequence(0, 10**15, 0, 0)
_VERSION_OF = itemgetter(1, 2, 3)  # db, table and schema of a draft


class _Held(NamedTuple):
    """A transaction's latest change event, held back until it is known whether another one follows. `message`: all of it but
    its end; None where the lane has it already, or where it is `packed`: it stands, unfinished, in the packed messages."""

    seq: Sequence
    message: Message | None = None
    packed: bool = False


def tolerant(checkpoint: Checkpoint, reached: Sequence) -> Checkpoint:
    """With changes marked as a replay while tables are copied: one may be of a row that was not copied yet, and sinks then insert
    it. At the end of the last copy the stream has come to where the source was when it began, and so beyond any rewind before
    it. Of a table whose copy was given up rows go on to be missing: changes of that table alone go on to be marked
    (`Outbound._lacks_rows`)."""
    copies, until = checkpoint.copies, checkpoint.replay_until
    if copies.working:
        until = _FOR_EVER._replace(generation=checkpoint.generation)
    elif until.file == _FOR_EVER.file:
        until = reached
    return replace(checkpoint, replay_until=until)


class Outbound:
    """Not thread-safe. `begin_run` once, then items as they come; `take` empties what has gathered."""

    def __init__(
        self, checkpoint: Checkpoint, routing: Routing, now: Callable[[], float] = time.time, *, bundle_bytes: int = 0
    ) -> None:
        """`bundle_bytes`: see cdc.queue.port.Producer."""
        self._bundle_bytes = bundle_bytes
        self._routing = routing
        self._now = now
        self._base = checkpoint
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
        self._spreads = Spreads(routing, checkpoint.by_table, self._numbers)

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
    def point(self) -> SourcePoint:
        """The boundary of `reached`."""
        return self._point

    @property
    def copies(self) -> Copies:
        return self._base.copies

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
        count = len(drafts)
        if not count or self._transaction is None:
            return
        if isinstance(drafts, EncodedRows) and (replay := self._replay_of(offset, drafts, first_row)) is not None:
            self._pack(offset, drafts, first_row, replay, query)
            return
        if len(set(map(_VERSION_OF, drafts))) > 1:
            for row, draft in enumerate(drafts, first_row):
                self.rows(offset, [draft], row, query)
            return
        sent = self._rows_up_to(self._base.after, offset, first_row, count)
        db, table = drafts[0].db, drafts[0].table
        again = count
        if not self._lacks_rows(db, table):
            again = max(self._rows_up_to(self._base.replay_until, offset, first_row, count), sent)
        self._total += sent
        self._orders[db, table] += sent
        for start, stop, anew in (sent, again, True), (again, count, False):
            if start < stop:
                part = drafts if stop - start == count else drafts[start:stop]
                self._write(offset, part, first_row + start, anew, query)

    def _lacks_rows(self, db: str, table: str) -> bool:
        """Whether sinks may lack rows of the table that no copy will bring."""
        given_up = self._base.copies.given_up
        return bool(given_up) and f"{db}.{table}" in given_up

    def _rows_up_to(self, last: Sequence, offset: int, first_row: int, count: int) -> int:
        """How many of the event's rows come before `last`, it included."""
        event, place = (self._base.generation, self._file, offset), last[:3]
        if event != place:
            return count if event < place else 0
        return min(max(last.row + 1 - first_row, 0), count)

    def _write(self, offset: int, drafts: Many[Draft], first_row: int, replay: bool, query: str | None) -> None:
        """As `rows`, where all are of one table version and are sent, and all are a replay or none is. The last one is held."""
        self._release(ends=False)
        _, db, table, schema, *_ = drafts[0]
        event = self._base.generation, self._file, offset
        write = self._text(db, table, schema, event, replay, query).writer(int(self._now() * 1000))
        add = self._messages.append if self._packing is None else self._packing.messages.append
        numbers, whole, names, texts, hashed = self._spreads.of(db, table)
        counts, after = self._counts, self._after
        new_tuple = tuple.__new__  # a NamedTuple's own constructor takes twice as long
        total, order = self._total, self._orders[db, table]
        last, end = first_row + len(drafts) - 1, end_of_message(False)
        message = None
        for row, draft in enumerate(drafts, first_row):
            place = hashed(draft.key.values()) % len(numbers) if whole < 0 else whole
            name = names[place]
            if numbers[place] < 0:
                self._known(name)
                numbers = self._spreads.of(db, table).numbers
            total += 1
            order += 1
            if after and (*event, row) <= after.get(name, ORIGIN):
                continue
            number = numbers[place]
            counts[number] = n = counts[number] + 1
            if row == last:
                end = b""
            key, value = write(draft, row, texts[place], n, total, order, end)
            message = new_tuple(Message, (name, key, value))
            if end:
                add(message)
                self._message_bytes += len(value)
        self._total, self._orders[db, table] = total, order
        if len(drafts) > 1:
            self._sent = Sequence(*event, last - 1)
        self._held = _Held(Sequence(*event, last), None if end else message)

    def _text(
        self, db: str, table: str, schema: str, event: tuple[int, int, int], replay: bool, query: str | None
    ) -> EventText:
        """Of the rows event whose sequences begin with `event`."""
        assert self._transaction is not None  # noqa: S101 - rows are nowhere else
        return event_text(
            self._transaction,
            self._routing.connector,
            self._routing.flavor,
            db,
            table,
            schema,
            event,
            event[2],
            self._base.token,
            replay,
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
        replay = self._replay_of_stretch(stretch, file, last)
        spreads = [self._spreads.of(rows.db, rows.table) for rows in stretch.tables]
        if replay is None or self._after or any(number < 0 for spread in spreads for number in spread.numbers):
            return False
        held = self._held
        if held is not None and not held.packed:
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
                self._held = _Held(last, packed=True)
        else:
            self._sent = last or (held.seq if held else self._sent)
            self._held = None
            self._transaction = None
            self.passed(item.end)
        return True

    def _replay_of_stretch(self, stretch: Stretch, file: int, last: Sequence | None) -> bool | None:
        """As `_replay`; None too where tables that lack rows stand beside others: a stretch has one mark for all."""
        if last is None:
            return False
        first = Sequence(self._base.generation, file, stretch.first_offset, 0)
        lacking = {self._lacks_rows(rows.db, rows.table) for rows in stretch.tables}
        return self._replay(first, last, lacks_rows=True in lacking) if len(lacking) == 1 else None

    def _replay(self, first: Sequence, last: Sequence, *, lacks_rows: bool) -> bool | None:
        """Whether rows from `first` to `last` are a replay; None where some are and some are not, or not all are sent.
        `lacks_rows`: whether their tables do, all of them."""
        if first <= self._base.after:
            return None
        if lacks_rows:
            return True
        replay = last <= self._base.replay_until
        return replay if replay or first > self._base.replay_until else None

    def _begin_packing(self) -> Packing:
        packing = Packing(self._routing.connector, self._routing.flavor, self.lanes, self._messages)
        self._messages = []
        return packing

    def _replay_of(self, offset: int, rows: EncodedRows, first_row: int) -> bool | None:
        """As `_replay`, of an event's rows; None also where some lane has some of them already."""
        if self._after:
            return None
        first = Sequence(self._base.generation, self._file, offset, first_row)
        last = first._replace(row=first_row + len(rows) - 1)
        return self._replay(first, last, lacks_rows=self._lacks_rows(rows.db, rows.table))

    def _pack(self, offset: int, rows: EncodedRows, first_row: int, replay: bool, query: str | None) -> None:
        """As `rows`, for rows that are in the wire format already. Of all of them the last one is held."""
        self._release(ends=False)
        packing = self._packing
        if packing is None:
            packing = self._packing = self._begin_packing()
        db, table = rows.db, rows.table
        event = self._base.generation, self._file, offset
        text = self._text(db, table, rows.schema, event, replay, query)
        pieces = pieces_of(text, int(self._now() * 1000))
        total, order = self._total, self._orders[db, table]
        sent, count = 0, len(rows)
        while True:
            spread = self._spreads.of(db, table)
            sent = packing.messages.add_rows(
                rows, sent, pieces, self._counts, spread.numbers, spread.whole, first_row, total + 1, order + 1
            )
            if sent == count:
                break
            packing.messages.release(False)
            self._open_for(spread, rows.crc(sent))
        self._total += count
        self._orders[db, table] += count
        if count > 1:
            self._sent = Sequence(*event, first_row + count - 2)
        self._held = _Held(Sequence(*event, first_row + count - 1), packed=True)

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

    def copied(self, drafts: Many[Draft]) -> None:
        """Rows of one table version as they were read by SELECT, at the boundary where the stream stands; not counted."""
        if not len(drafts):
            return
        self._between("copied")
        seq = self.reached
        first = drafts if isinstance(drafts, EncodedRows) else drafts[0]
        db, table, schema = first.db, first.table, first.schema
        now_ms = int(self._now() * 1000)
        moment = Transaction(self._point, 0, None, None, now_ms * 1000)
        routing = self._routing
        text = event_text(
            moment, routing.connector, routing.flavor, db, table, schema, seq[:3], seq.offset, self._base.token, False,
            None, COPIED,
        )  # fmt: skip
        if isinstance(drafts, EncodedRows):
            self._pack_copied(drafts, text, now_ms)
            return
        write, end = text.writer(now_ms), end_of_message(True)
        numbers, whole, names, texts, hashed = self._spreads.of(db, table)
        for order, draft in enumerate(drafts, 1):
            place = hashed(draft.key.values()) % len(numbers) if whole < 0 else whole
            if numbers[place] < 0:
                self._known(names[place])
                numbers = self._spreads.of(db, table).numbers
            key, value = write(draft, 0, texts[place], self._counts[numbers[place]], order, order, end)
            self._add(Message(names[place], key, value))

    def _pack_copied(self, rows: EncodedRows, text: EventText, now_ms: int) -> None:
        packing = self._packing
        if packing is None:
            packing = self._packing = self._begin_packing()
        pieces, sent = pieces_of(text, now_ms), 0
        while True:
            spread = self._spreads.of(rows.db, rows.table)
            if self._bundle_bytes:
                sent = packing.messages.add_bundles(
                    rows, pieces, self._counts, spread.numbers, spread.whole, BUNDLE_ROWS, self._bundle_bytes
                )
            else:
                sent = packing.messages.add_rows(
                    rows, sent, pieces, self._counts, spread.numbers, spread.whole, 0, 1, 1, copied=True
                )
            if sent == len(rows):
                return
            self._open_for(spread, rows.crc(sent))

    def _open_for(self, spread: Spread, crc: int) -> None:
        """The lane where a row goes whose key has this hash."""
        self._known(spread.names[spread.whole if spread.whole >= 0 else crc % len(spread.names)])

    def copies_are(self, copies: Copies) -> None:
        """What is still to be copied, from this boundary on; all rows that it counts as sent are sent."""
        self._between("copies")
        seq = self.reached
        self._base = tolerant(replace(self._base, copies=copies), seq)
        for lane in self._numbers:
            self._mark("copies", lane, seq, {"copies": copies})
            self._marked[lane] = seq

    def _between(self, what: str) -> None:
        if self._transaction is not None or self._held is not None:
            raise ValueError(f"{what}: inside a transaction")

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
        held_lane = self._held_lane()
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

    def _held_lane(self) -> int | None:
        """The number of the lane that counts the held message, which is not sent yet."""
        if self._held is not None and self._held.message is not None:
            return self._numbers[self._held.message.lane]
        return None if self._packing is None else self._packing.messages.held_lane

    def _release(self, *, ends: bool) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        self._sent = held.seq
        if held.packed:
            assert self._packing is not None  # noqa: S101 - it is in there
            self._packing.messages.release(ends)
        elif held.message is not None:
            lane, key, value = held.message
            self._add(Message(lane, key, value + end_of_message(ends)))

    def _known(self, lane: str) -> None:
        if lane not in self._numbers:
            self._open(lane)
            self._epoch(lane)

    def _open(self, lane: str) -> None:
        self._numbers[lane] = len(self._numbers)
        self._counts.append(0)
        self._spreads.forget()

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
