"""Guarantees 1, 2 and 5 on the pure cores: whatever crashes, is sent again or comes from a zombie, each event counts once.

A made-up binlog is read by readers that crash anywhere, their messages land in lanes (also some of a zombie's, after the
new reader's epoch marker), and sinks that crash between commits go through them. No server, no clock, no thread.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from cdc.model.change import Change, Draft, Message, Transaction, parse
from cdc.model.checkpoint import Checkpoint, Progress, SourcePoint
from cdc.model.position import Sequence
from cdc.processes.gate import LaneGate, Verdict
from cdc.processes.outbound import Outbound
from cdc.processes.spread import Routing

LANES = 3
ROUTING = Routing("shop", "mysql", LANES)


@dataclass
class Binlog:
    """Transactions of (table, key, value or None for a delete), one rows event for each change."""

    transactions: list[list[tuple[str, int, int | None]]]

    def point(self, index: int) -> SourcePoint:
        size = sum(100 + 10 * len(transaction) for transaction in self.transactions[:index])
        return SourcePoint("server", "bin.000001", 4 + size)

    def index(self, point: SourcePoint) -> int:
        return next(i for i in range(len(self.transactions) + 1) if self.point(i) == point)

    def final(self) -> dict[tuple[str, int], int]:
        rows: dict[tuple[str, int], int] = {}
        for transaction in self.transactions:
            for table, key, value in transaction:
                if value is None:
                    rows.pop((table, key), None)
                else:
                    rows[table, key] = value
        return rows


@dataclass
class Queue:
    """Lanes that only grow, and the checkpoint with the highest token."""

    lanes: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    checkpoint: Checkpoint | None = None

    def store(self, messages: list[Message]) -> None:
        for message in messages:
            self.lanes[message.lane].append(message)


def read(binlog: Binlog, queue: Queue, token: int, batch: int, dies_after: int | None, zombie: int) -> list[Message]:
    """One reader's run. After `dies_after` batches it is dead to the world (the last one's checkpoint is lost where `zombie`
    is odd), but goes on sending: what it returns comes to the lanes when a newer reader has begun."""
    base = queue.checkpoint or Checkpoint(1, binlog.point(0), token, "f")
    out = Outbound(replace(base, token=token), ROUTING, now=lambda: 0.0)
    out.begin_run()
    batches = 0
    late: list[Message] = []

    def publish() -> None:
        nonlocal batches
        messages, checkpoint = out.take()
        batches += 1
        if dies_after is not None and batches > dies_after:
            late.extend(messages)
            return
        queue.store(messages)
        if batches != dies_after or zombie % 2 == 0:
            queue.checkpoint = checkpoint

    publish()
    for number in range(binlog.index(base.point), len(binlog.transactions)):
        begin = binlog.point(number)
        out.begin(Transaction(begin, 1, None, None, 1_000_000 + number))
        for row, (table, key, value) in enumerate(binlog.transactions[number]):
            after = None if value is None else {"id": key, "v": value}
            draft = Draft("d" if after is None else "c", "shop", table, table, {"id": key}, after, after)
            out.rows(begin.offset + 50 + 10 * row, [draft])
            if len(out) >= batch:
                publish()
        out.end(binlog.point(number + 1))
        if len(out) >= batch:
            publish()
        if number % 3 == 0:
            out.heartbeat()
    publish()
    return late[:zombie]


@dataclass
class Sink:
    """One lane's committed rows and progress; a crash loses the gate, never these."""

    rows: dict[tuple[str, int], int] = field(default_factory=dict)
    progress: Progress = field(default_factory=lambda: Progress("0"))
    applied: list[Sequence] = field(default_factory=list)
    position: int = 0

    def work(self, messages: list[Message], batch: int, crashes: bool) -> None:
        """Applies from `position`; a crash rolls the last batch back and reads on from the committed offset."""
        while self.position < len(messages):
            end = min(len(messages), self.position + batch)
            gate = LaneGate(self.progress)
            rows, applied = dict(self.rows), list(self.applied)
            for offset in range(self.position, end):
                item = parse(messages[offset].key, messages[offset].value)
                verdict = gate.offer(str(offset), item)
                assert verdict is not Verdict.BARRIER
                if verdict is Verdict.APPLY and isinstance(item, Change):
                    applied.append(item.seq)
                    key = (item.table, int(item.key[0] or 0))
                    if item.after is None:
                        rows.pop(key, None)
                    else:
                        rows[key] = int(item.after["v"] or 0)
            if crashes:
                crashes = False
                continue
            self.rows, self.applied, self.progress, self.position = rows, applied, gate.progress, end


changes = st.tuples(st.sampled_from("ab"), st.integers(1, 4), st.none() | st.integers(1, 9))
transactions = st.lists(st.lists(changes, min_size=1, max_size=6), min_size=1, max_size=12)
crashes = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 5), st.integers(1, 9)), max_size=5)


@settings(max_examples=300)
@given(transactions=transactions, crashes=crashes, batch=st.integers(1, 7), sink_crashes=st.booleans())
def test_nothing_is_lost_and_nothing_applied_twice_whatever_crashes(
    transactions: list[list[tuple[str, int, int | None]]],
    crashes: list[tuple[int, int, int]],
    batch: int,
    sink_crashes: bool,
) -> None:
    binlog, queue = Binlog(transactions), Queue()
    zombies: list[Message] = []
    token = 0
    for dies_after, zombie, size in crashes:
        token += 1
        late = zombies
        zombies = read(binlog, queue, token, size, dies_after, zombie)
        queue.store(late)  # what the reader before still sends, after the newer one's epoch markers
    read(binlog, queue, token + 1, batch, None, 0)
    queue.store(zombies)

    rows: dict[tuple[str, int], int] = {}
    applied: list[Sequence] = []
    for lane in map(str, range(LANES)):
        sink = Sink(progress=Progress(lane))
        sink.work(queue.lanes[lane], batch, sink_crashes)
        assert sink.applied == sorted(set(sink.applied))
        rows.update(sink.rows)
        applied += sink.applied
    assert rows == binlog.final()
    assert len(applied) == sum(map(len, transactions))
