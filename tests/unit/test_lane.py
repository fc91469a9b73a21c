"""One lane's worker against the in-memory queue and target: a message that is not ours, wherever it comes, and what was read
ahead when the lease is lost, a message is missing or the worker stops."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from cdc.coordination.port import Lease
from cdc.model.batch import DeadLetter, TableBatch
from cdc.model.change import Change, Draft, Message, Transaction, parse
from cdc.model.checkpoint import Checkpoint, Progress, SourcePoint
from cdc.model.compiled_received import COMPILED
from cdc.model.config import SinkConfig
from cdc.model.copies import Copies
from cdc.model.errors import Gap, LeaseLost, PoisonMessage, RetryableError, TargetBusy
from cdc.model.routing import TableFilter
from cdc.model.schema import Column, TableSchema
from cdc.observe import failpoints
from cdc.observe.metrics import Metrics
from cdc.processes.lane import LaneDuty, LaneWorker
from cdc.processes.lease import Held
from cdc.processes.outbound import Outbound
from cdc.processes.spread import Routing
from cdc.queue.memory import MemoryQueue
from cdc.target.memory import MemoryTarget, MemoryWriter
from cdc.target.port import AT_ONCE_CHANGES
from tests.support.copied_messages import ITEMS, copied_messages
from tests.support.queues import connector

SCHEMA = TableSchema("shop", "items", (Column("id", "int", nullable=False),), ("id",))
POINT = SourcePoint("s", "m.000001", 4)
POISON = Message("0", b"{}", b"not one of ours")


class Lane:
    """A queue of one lane, a target, and as many workers after one another as a test wants."""

    def __init__(self, on_error: str, batch_rows: int = 5000) -> None:
        name = secrets.token_hex(4)
        self.config = SinkConfig.model_validate(
            {"url": f"memory://{name}", "on_error": on_error, "batch_rows": batch_rows}
        )
        self.target = MemoryTarget("shop", "sink", self.config)
        self.queue = MemoryQueue(connector(f"memory://{name}"))
        self.producer = self.queue.producer()
        self.producer.open(1)
        self.tokens = iter(range(1, 100))

    def publish(self, *messages: Message) -> None:
        self.producer.publish(list(messages), Checkpoint(1, POINT, 1, "f"), [SCHEMA, ITEMS])
        self.producer.flush()

    def work(self, *, whole_transactions: bool, turns: int = 2, then: Callable[[Held], None] | None = None) -> None:
        """One worker, from its take-over for so many turns (the lane has then nothing more for it, or it comes to `then`)."""
        token = next(self.tokens)
        writer = self.target.writer(10)
        progress = writer.take_over("0", token) or Progress("0", token)
        reader = self.queue.reader("sink", "0", progress.offset)
        duty = LaneDuty(
            sink=self.config,
            whole_transactions=whole_transactions,
            side_by_side=False,
            captured=TableFilter(("shop.*",)),
            schema_of={schema.fingerprint(): schema for schema in (SCHEMA, ITEMS)}.__getitem__,
            all_progress=self.target.progress,
            generation=lambda: 1,
        )
        held = Held(Lease("sink/0", "me", token, time.monotonic() + 60))
        stop, left = threading.Event(), iter(range(turns))

        def beat() -> None:
            if next(left, None) is not None:
                return
            if then is None:
                stop.set()
            else:
                then(held)

        try:
            LaneWorker(duty, held, reader, writer, progress, Metrics().sink("shop", "sink")).run(stop, beat)
        finally:
            reader.close()
            writer.close()

    def rows(self) -> list[object]:
        return sorted(row["id"] for row in self.target.store.rows("items").values())  # type: ignore[type-var]


def messages(rows: int = 2) -> list[Message]:
    """An epoch marker, and one transaction."""
    out = Outbound(Checkpoint(1, POINT, 1, "f"), Routing("shop", "mysql", 1), now=lambda: 0.0)
    out.begin_run()
    out.begin(Transaction(POINT, 1, None, None, 1))
    for number in range(1, rows + 1):
        row = {"id": number}
        out.rows(100 * number, [Draft("c", "shop", "items", SCHEMA.fingerprint(), {"id": number}, None, row)])
    out.end(SourcePoint("s", "m.000001", 100 * rows + 900))
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


in_bundles = pytest.mark.skipif(not COMPILED, reason="the compiled parts are not built")


def bundle(db: str) -> Message:
    (one,) = copied_messages(range(3), 10**6, db=db)
    return one


@in_bundles
def test_a_bundle_that_is_not_ours_is_kept_whole_although_a_sink_dies_between_its_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lane = Lane("dead_letter")
    epoch, *changes = messages()
    lane.publish(epoch, bundle("elsewhere"), *changes)
    park = MemoryWriter.park

    def dies(writer: MemoryWriter, letters: Sequence[DeadLetter]) -> None:
        if lane.target.dead_letter_count() == 2:
            raise TargetBusy("gone", hint="")
        park(writer, letters)

    monkeypatch.setattr(MemoryWriter, "park", dies)
    monkeypatch.setattr("cdc.processes.lane._BUSY_ATTEMPTS", 1)
    with pytest.raises(TargetBusy):
        lane.work(whole_transactions=False)
    monkeypatch.setattr(MemoryWriter, "park", park)
    lane.work(whole_transactions=False)
    kept = [parse(b"{}", letter.value) for letter in lane.target.dead_letters(9)]
    assert [change.after for change in kept if isinstance(change, Change)] == [
        {"id": number, "t": "é"} for number in (0, 1, 0, 1, 2)
    ]
    assert lane.rows() == [1, 2]


@in_bundles
def test_a_refused_row_of_a_bundle_is_a_letter_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane("dead_letter")
    monkeypatch.setattr(lane.target.store, "refuse", lambda _, row: "odd" if row["id"] == 1 else None)
    lane.publish(messages()[0], bundle("shop"))

    def each_turn(_: Held) -> None:
        if lane.target.dead_letter_count():
            raise _Enough

    with pytest.raises(_Enough):
        lane.work(whole_transactions=False, turns=0, then=each_turn)
    (letter,) = lane.target.dead_letters(9)
    assert letter.value == copied_messages(range(3), 0)[1].value
    assert lane.rows() == [0, 2]


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


def lose(held: Held) -> None:
    held.lost = True


@pytest.mark.parametrize("whole", [True, False], ids=["order-transaction", "order-key"])
def test_what_was_read_ahead_of_a_lost_lease_is_not_applied_and_comes_to_the_next_holder(whole: bool) -> None:
    lane = Lane("stop", batch_rows=3)
    lane.publish(*messages(8))
    with pytest.raises(LeaseLost):
        lane.work(whole_transactions=whole, turns=1, then=lose)
    # The marker and two rows; three more were at hand when the lease went.
    assert lane.rows() == ([] if whole else [1, 2])
    lane.work(whole_transactions=whole, turns=5)
    assert lane.rows() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert lane.target.progress()["0"].count == 8


def test_the_batches_before_a_missing_message_are_applied_although_it_was_missed_while_reading_ahead() -> None:
    lane = Lane("stop", batch_rows=3)
    all_of_them = messages(8)
    lane.publish(*all_of_them[:5], *all_of_them[6:])
    with pytest.raises(Gap, match="event 5 should come, but 6 came"):
        lane.work(whole_transactions=False, turns=5)
    assert lane.rows() == [1, 2]
    assert lane.target.progress()["0"].count == 2


def test_a_worker_that_stops_has_committed_what_it_was_at_and_leaves_what_it_read_ahead() -> None:
    lane = Lane("stop", batch_rows=3)
    lane.publish(*messages(8))
    lane.work(whole_transactions=False, turns=1)
    assert lane.rows() == [1, 2, 3, 4, 5]
    lane.work(whole_transactions=False, turns=5)
    assert lane.rows() == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.fixture
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm(None)


@pytest.mark.usefixtures("_disarmed")
@pytest.mark.parametrize("name", ["sink.locked", "sink.applied", "sink.progress", "sink.committed", "sink.acked"])
def test_an_armed_failpoint_is_come_by_also_where_the_target_takes_all_in_one_step(name: str) -> None:
    lane = Lane("stop")
    lane.publish(*messages())
    failpoints.arm(f"{name}:error")
    with pytest.raises(RetryableError, match=name):
        lane.work(whole_transactions=False)
    committed = name in {"sink.committed", "sink.acked"}
    assert lane.rows() == ([1, 2] if committed else [])
    lane.work(whole_transactions=False)
    assert lane.rows() == [1, 2]


def test_what_the_target_does_not_take_in_one_step_goes_in_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane("stop")
    monkeypatch.setattr(MemoryWriter, "apply_at_once", lambda *_: False)
    lane.publish(*messages())
    lane.work(whole_transactions=False)
    assert lane.rows() == [1, 2]
    assert lane.target.progress()["0"].count == 2


def test_where_the_target_takes_all_in_one_step_nothing_else_is_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane("dead_letter")
    lane.publish(*messages())
    taken: list[bool] = []
    at_once = MemoryWriter.apply_at_once

    def told(writer: MemoryWriter, batches: Sequence[TableBatch], progress: Progress) -> bool:
        taken.append(at_once(writer, batches, progress))
        return taken[-1]

    monkeypatch.setattr(MemoryWriter, "apply_at_once", told)
    monkeypatch.setattr(LaneWorker, "_transaction", lambda *_: pytest.fail("it takes its own steps"))
    lane.work(whole_transactions=False)
    assert taken == [True]
    assert lane.rows() == [1, 2]


def test_many_changes_are_not_tried_in_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane("stop")
    monkeypatch.setattr(MemoryWriter, "apply_at_once", lambda *_: pytest.fail("it is tried"))
    lane.publish(*messages(AT_ONCE_CHANGES + 1))
    lane.work(whole_transactions=True)
    assert len(lane.rows()) == AT_ONCE_CHANGES + 1


class _Enough(Exception):
    pass


def parts_of_a_copy(changes_behind: Sequence[int]) -> list[Sequence[Message]]:
    """An epoch marker with the first of three parts of two rows; behind some of them a change."""
    out = Outbound(Checkpoint(1, POINT, 1, "f"), Routing("shop", "mysql", 1), now=lambda: 0.0)
    out.begin_run()
    found = []
    for part in range(3):
        rows = [{"id": 10 * part + number} for number in range(2)]
        out.copied([Draft("r", "shop", "items", SCHEMA.fingerprint(), row, None, row) for row in rows])
        found.append(out.take()[0])
        if part in changes_behind:
            row = {"id": 100 + part}
            out.begin(Transaction(SourcePoint("s", "m.000001", 100 * part + 50), 1, None, None, 1))
            out.rows(100 * part + 60, [Draft("c", "shop", "items", SCHEMA.fingerprint(), row, None, row)])
            out.end(SourcePoint("s", "m.000001", 100 * part + 90))
            found.append(out.take()[0])
    return found


@pytest.mark.parametrize(
    ("batch_rows", "changes_behind", "commits"),
    [(5000, (2,), 1), (2, (2,), 2), (5000, (0, 2), 2)],
    ids=["until a change comes", "until three batches are full", "anew behind a change"],
)
def test_copied_rows_wait_for_others_and_changes_do_not(
    batch_rows: int, changes_behind: Sequence[int], commits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Progress] = []
    commit = MemoryWriter.commit

    def counted(self: MemoryWriter, progress: Progress) -> None:
        seen.append(progress)
        commit(self, progress)

    monkeypatch.setattr(MemoryWriter, "apply_at_once", lambda *_: False)
    monkeypatch.setattr(MemoryWriter, "commit", counted)
    monkeypatch.setattr("cdc.processes.lane._GATHER_SECONDS", 60)
    lane = Lane("stop", batch_rows)
    parts = iter(parts_of_a_copy(changes_behind))

    def each_turn(_: Held) -> None:
        if (part := next(parts, None)) is not None:
            lane.publish(*part)
        elif len(lane.rows()) == 6 + len(changes_behind):
            raise _Enough

    with pytest.raises(_Enough):
        lane.work(whole_transactions=False, turns=0, then=each_turn)
    assert len(seen) == commits


def test_the_last_rows_of_a_copy_wait_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdc.processes.lane._GATHER_SECONDS", 60)
    lane = Lane("stop")
    out = Outbound(Checkpoint(1, POINT, 1, "f"), Routing("shop", "mysql", 1), now=lambda: 0.0)
    out.begin_run()
    out.copied([Draft("r", "shop", "items", SCHEMA.fingerprint(), row, None, row) for row in ({"id": 0}, {"id": 1})])
    out.copies_are(Copies(step=2, done=("shop.items",)))
    lane.publish(*out.take()[0])
    began = time.monotonic()

    def each_turn(_: Held) -> None:
        if lane.rows() == [0, 1]:
            raise _Enough
        assert time.monotonic() - began < 30

    with pytest.raises(_Enough):
        lane.work(whole_transactions=False, turns=0, then=each_turn)


def test_copied_rows_wait_for_a_moment_only() -> None:
    lane = Lane("stop")
    lane.publish(*parts_of_a_copy(())[0])

    def each_turn(_: Held) -> None:
        if lane.rows() == [0, 1]:
            raise _Enough

    with pytest.raises(_Enough):
        lane.work(whole_transactions=True, turns=0, then=each_turn)
