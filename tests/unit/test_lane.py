"""One lane's worker against the in-memory queue and target: a message that is not ours, wherever it comes."""

import secrets
import threading
import time

import pytest

from cdc.coordination.port import Lease
from cdc.model.change import Draft, Message, Transaction
from cdc.model.checkpoint import Checkpoint, Progress, SourcePoint
from cdc.model.config import SinkConfig
from cdc.model.errors import LeaseLost, PoisonMessage
from cdc.model.routing import TableFilter
from cdc.model.schema import Column, TableSchema
from cdc.observe.metrics import Metrics
from cdc.processes.lane import LaneDuty, LaneWorker
from cdc.processes.lease import Held
from cdc.processes.outbound import Outbound, Routing
from cdc.queue.memory import MemoryQueue
from cdc.target.memory import MemoryTarget
from tests.support.queues import connector

SCHEMA = TableSchema("shop", "items", (Column("id", "int", nullable=False),), ("id",))
POINT = SourcePoint("s", "m.000001", 4)
POISON = Message("0", b"{}", b"not one of ours")


class Lane:
    """A queue of one lane, a target, and as many workers after one another as a test wants."""

    def __init__(self, on_error: str) -> None:
        name = secrets.token_hex(4)
        self.config = SinkConfig.model_validate({"url": f"memory://{name}", "on_error": on_error})
        self.target = MemoryTarget("shop", "sink", self.config)
        self.queue = MemoryQueue(connector(f"memory://{name}"))
        self.producer = self.queue.producer()
        self.producer.open(1)
        self.tokens = iter(range(1, 100))

    def publish(self, *messages: Message) -> None:
        self.producer.publish(list(messages), Checkpoint(1, POINT, 1, "f"), [SCHEMA])
        self.producer.flush()

    def work(self, *, whole_transactions: bool) -> None:
        """One worker, from its take-over until the lane has nothing more for it."""
        token = next(self.tokens)
        writer = self.target.writer(10)
        progress = writer.take_over("0", token) or Progress("0", token)
        reader = self.queue.reader("sink", "0", progress.offset)
        duty = LaneDuty(
            sink=self.config,
            whole_transactions=whole_transactions,
            side_by_side=False,
            captured=TableFilter(("shop.*",)),
            schema_of={SCHEMA.fingerprint(): SCHEMA}.__getitem__,
            all_progress=self.target.progress,
            generation=lambda: 1,
        )
        held = Held(Lease("sink/0", "me", token, time.monotonic() + 60))
        stop, turns = threading.Event(), iter(range(2))

        def beat() -> None:
            if next(turns, None) is None:
                stop.set()

        try:
            LaneWorker(duty, held, reader, writer, progress, Metrics().sink("shop", "sink")).run(stop, beat)
        finally:
            reader.close()
            writer.close()

    def rows(self) -> list[object]:
        return sorted(row["id"] for row in self.target.store.rows("items").values())  # type: ignore[type-var]


def messages() -> list[Message]:
    """An epoch marker, and one transaction of two rows."""
    out = Outbound(Checkpoint(1, POINT, 1, "f"), Routing("shop", "mysql", 1), now=lambda: 0.0)
    out.begin_run()
    out.begin(Transaction(POINT, 1, None, None, 1))
    for number in (1, 2):
        row = {"id": number}
        out.rows(100 * number, [Draft("c", "shop", "items", SCHEMA.fingerprint(), {"id": number}, None, row)])
    out.end(SourcePoint("s", "m.000001", 900))
    return out.take()[0]


@pytest.mark.parametrize("whole", [True, False], ids=["order-transaction", "order-key"])
def test_a_message_that_is_not_ours_is_kept_and_nothing_around_it_is_lost(whole: bool) -> None:
    lane = Lane("dead_letter")
    epoch, first, second = messages()
    lane.publish(epoch, first, POISON)
    lane.work(whole_transactions=whole)
    assert lane.rows() == ([] if whole else [1])
    assert lane.target.dead_letter_count() == 1
    lane.publish(second)
    lane.work(whole_transactions=whole)
    assert lane.rows() == [1, 2]
    assert lane.target.progress()["0"].count == 2


def test_a_message_that_is_not_ours_stops_the_sink_where_the_connector_says_so() -> None:
    lane = Lane("stop")
    epoch, first, second = messages()
    lane.publish(epoch, first, POISON, second)
    with pytest.raises(PoisonMessage):
        lane.work(whole_transactions=False)
    assert lane.target.dead_letter_count() == 0


def test_a_sink_that_is_stopped_among_many_refused_rows_leaves_them_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lane = Lane("dead_letter")
    lane.publish(*messages())
    monkeypatch.setattr(lane.target.store, "refuse", lambda table, row: "it breaks a rule")
    with pytest.raises(LeaseLost, match="stopped while refused rows"):
        lane.work(whole_transactions=False)
    assert lane.target.dead_letter_count() == 0
    monkeypatch.setattr(lane.target.store, "refuse", lambda table, row: None)
    lane.work(whole_transactions=False)
    assert lane.rows() == [1, 2]
