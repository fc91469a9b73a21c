"""Dead letters against the in-memory twins: retries bring the present state, and each row is settled once."""

import secrets
from collections.abc import Iterable, Iterator

import orjson
import pytest

from cdc.model.batch import DeadLetter
from cdc.model.change import Change, Draft, Row, Transaction, parse, render_change
from cdc.model.checkpoint import Checkpoint, SourcePoint
from cdc.model.config import SinkConfig
from cdc.model.errors import TableRefused, TargetBusy
from cdc.model.position import Sequence
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import AddColumn, DropColumn, ModifyColumn, RenameColumn, SchemaChange
from cdc.processes import dead_letters
from cdc.processes.dead_letters import chosen, drop, pages, retry
from cdc.queue.memory import MemoryQueue
from cdc.target.memory import MemoryStore, MemoryTarget
from cdc.target.port import StoredLetter
from tests.support.queues import connector

POINT = SourcePoint("s", "m.000001", 4)
OLD = TableSchema("shop", "orders", (Column("id", "int", nullable=False), Column("note", "text")), ("id",))
NEW = TableSchema("shop", "orders", (*OLD.columns, Column("total", "int")), ("id",))


class Parked:
    """A target with dead letters, and the queue that has their schemas."""

    def __init__(self) -> None:
        name = secrets.token_hex(4)
        self.target = MemoryTarget("shop", "sink", SinkConfig.model_validate({"url": f"memory://{name}"}))
        self.queue = MemoryQueue(connector(f"memory://{name}"))
        producer = self.queue.producer()
        producer.open(1)
        producer.publish([], Checkpoint(1, POINT, 1, "f"), [OLD, NEW])
        producer.flush()
        producer.close()
        self._tokens = iter(range(1, 1000))
        self._offset = 100

    @property
    def store(self) -> MemoryStore:
        return self.target.store

    def rows(self) -> list[Row]:
        return sorted(self.store.rows("orders").values(), key=lambda row: str(row["id"]))

    def change(self, change: SchemaChange) -> None:
        writer = self.target.writer(10)
        writer.take_over("0", next(self._tokens))
        progress = writer.begin()
        writer.change_schema(change)
        writer.commit(progress)
        writer.close()

    def park(
        self,
        op: str,
        number: int,
        after: Row | None,
        *,
        schema: TableSchema = OLD,
        lane: str = "0",
        generation: int = 1,
    ) -> None:
        self._offset += 10
        message = render_change(
            Draft(op, "shop", "orders", schema.fingerprint(), {"id": number}, None, after),
            connector="shop",
            flavor="mysql",
            transaction=Transaction(POINT, 1, None, None, 1),
            seq=Sequence(generation, 1, self._offset, 0),
            event_offset=self._offset,
            lane=lane,
            n=1,
            token=1,
            total_order=1,
            table_order=1,
            ends_transaction=True,
            replay=False,
            now_ms=1,
        )
        change = parse(message.key, message.value)
        assert isinstance(change, Change)
        writer = self.target.writer(10)
        writer.take_over(lane, next(self._tokens))
        progress = writer.begin()
        writer.park([DeadLetter(change, "waits")])
        writer.commit(progress)
        writer.close()


@pytest.fixture
def parked() -> Iterator[Parked]:
    made = Parked()
    yield made
    made.queue.close()


def numbers(letters: Iterable[StoredLetter]) -> list[int]:
    return [value for letter in letters for value in orjson.loads(letter.key_json).values()]


def row(number: int, note: str, **more: int) -> Row:
    return {"id": number, "note": note, **more}


def test_a_retry_applies_the_net_change_of_each_row(parked: Parked) -> None:
    parked.park("c", 1, row(1, "first"))
    parked.park("c", 2, row(2, "only"))
    parked.park("u", 1, row(1, "last"))
    parked.park("c", 3, row(3, "gone"))
    parked.park("d", 3, None)
    done = retry(parked.target, parked.queue, chosen(parked.target, None))
    assert (done.letters, done.rows, done.refused) == (5, 3, {})
    assert parked.rows() == [row(1, "last"), row(2, "only")]
    assert parked.target.dead_letter_count() == 0


def test_a_row_that_is_refused_again_stays_and_keeps_no_other_waiting(parked: Parked) -> None:
    parked.park("c", 1, row(1, "bad"))
    parked.park("c", 2, row(2, "good"))
    parked.store.refuse = lambda table, image: "bad" if image["note"] == "bad" else None
    done = retry(parked.target, parked.queue, chosen(parked.target, None))
    assert (done.letters, len(done.refused)) == (1, 1)
    assert parked.rows() == [row(2, "good")]
    assert numbers(chosen(parked.target, None)) == [1]


def test_one_letter_brings_all_of_its_row_and_no_other(parked: Parked) -> None:
    parked.park("c", 1, row(1, "a"))
    parked.park("c", 2, row(2, "b"))
    parked.park("u", 1, row(1, "c"))
    last = chosen(parked.target, None)[-1]
    letters = chosen(parked.target, [last.id])
    assert numbers(letters) == [1, 1]
    retry(parked.target, parked.queue, letters)
    assert parked.rows() == [row(1, "c")]


def test_letters_of_two_versions_of_a_table_bring_the_last_one(parked: Parked) -> None:
    parked.park("c", 1, row(1, "old"))
    parked.park("u", 1, row(1, "new", total=5), schema=NEW)
    parked.park("c", 2, row(2, "other"))
    retry(parked.target, parked.queue, chosen(parked.target, None))
    assert parked.rows()[0] == row(1, "new", total=5)
    assert parked.target.dead_letter_count() == 0


def test_a_last_version_without_all_columns_is_refused_with_the_way_out(parked: Parked) -> None:
    parked.park("c", 1, row(1, "old"))
    parked.park("u", 1, {"id": 1, "total": 5}, schema=NEW)
    with pytest.raises(TableRefused, match="replay"):
        retry(parked.target, parked.queue, chosen(parked.target, None))
    assert parked.target.dead_letter_count() == 2


def test_a_row_with_letters_in_two_lanes_gets_the_net_change_of_both(parked: Parked) -> None:
    parked.park("c", 1, row(1, "old lane", total=1), lane="3", schema=NEW)
    parked.park("c", 2, row(2, "of lane 3", total=2), lane="3", schema=NEW)
    parked.park("u", 1, {"id": 1, "total": 5}, lane="0", schema=NEW, generation=2)
    parked.park("c", 3, row(3, "of lane 0", total=3), lane="0", schema=NEW, generation=2)
    done = retry(parked.target, parked.queue, chosen(parked.target, None))
    assert parked.rows() == [
        row(1, "old lane", total=5),
        row(2, "of lane 3", total=2),
        row(3, "of lane 0", total=3),
    ]
    assert (done.letters, done.rows, done.refused) == (4, 3, {})
    assert parked.target.dead_letter_count() == 0


def test_the_net_change_goes_by_generation_and_place_and_not_by_the_order_of_the_lanes_parking(parked: Parked) -> None:
    parked.park("u", 1, row(1, "newest"), lane="0", generation=10)
    parked.park("c", 1, row(1, "oldest"), lane="3", generation=9)
    parked.park("u", 1, row(1, "older"), lane="3", generation=9)
    retry(parked.target, parked.queue, chosen(parked.target, None))
    assert parked.rows() == [row(1, "newest")]


def test_a_refused_row_beside_them_does_not_keep_changes_of_some_columns_waiting(parked: Parked) -> None:
    parked.store.tables["orders"] = {(1,): row(1, "old", total=1)}
    parked.park("u", 1, {"id": 1, "total": 5}, schema=NEW)
    parked.park("c", 2, row(2, "bad", total=2), schema=NEW)
    parked.store.refuse = lambda table, image: "bad" if image["note"] == "bad" else None
    done = retry(parked.target, parked.queue, chosen(parked.target, None))
    assert (done.letters, len(done.refused)) == (1, 1)
    assert parked.rows() == [row(1, "old", total=5)]


def test_an_old_lanes_image_is_never_applied_on_its_own(parked: Parked) -> None:
    parked.park("c", 1, row(1, "bad"), lane="3")
    parked.park("u", 1, row(1, "mended at the source"), lane="0", generation=2)
    parked.park("c", 2, row(2, "bad"), lane="3")
    parked.park("u", 2, row(2, "bad still"), lane="0", generation=2)
    parked.store.refuse = lambda table, image: "bad" if str(image["note"]).startswith("bad") else None
    done = retry(parked.target, parked.queue, chosen(parked.target, None))
    assert parked.rows() == [row(1, "mended at the source")]
    assert (done.letters, done.rows, len(done.refused)) == (2, 1, 1)
    assert [(letter.lane, letter.key) for letter in chosen(parked.target, None)] == [("3", "[2]"), ("0", "[2]")]


def test_a_retry_of_letters_that_another_one_has_settled_changes_nothing(parked: Parked) -> None:
    parked.park("c", 1, row(1, "old"))
    listed = chosen(parked.target, None)
    retry(parked.target, parked.queue, listed)
    parked.store.tables["orders"][(1,)] = row(1, "newer, by the sink")
    with pytest.raises(TargetBusy, match="list again"):
        retry(parked.target, parked.queue, listed)
    with pytest.raises(TargetBusy, match="list again"):
        drop(parked.target, listed)
    assert parked.rows() == [row(1, "newer, by the sink")]


def test_dropped_letters_change_nothing_at_the_target(parked: Parked) -> None:
    parked.park("c", 1, row(1, "a"))
    parked.park("c", 2, row(2, "b"), lane="1")
    done = drop(parked.target, chosen(parked.target, None))
    assert (done.letters, done.rows) == (2, 2)
    assert parked.target.dead_letter_count() == 0
    assert "orders" not in parked.store.tables or parked.rows() == []


def test_a_schema_that_the_queue_forgot_is_named(parked: Parked) -> None:
    unknown = TableSchema("shop", "orders", (*NEW.columns, Column("x", "int")), ("id",))
    parked.park("c", 1, row(1, "a"), schema=unknown)
    with pytest.raises(TableRefused, match=unknown.fingerprint()):
        retry(parked.target, parked.queue, chosen(parked.target, None))
    assert parked.target.dead_letter_count() == 1


WIDER = SchemaChange("alter", "shop", "orders", (AddColumn(NEW.columns[2], 7),), NEW)


def test_a_row_parked_before_a_new_column_gets_what_the_source_filled_it_with(parked: Parked) -> None:
    parked.park("c", 1, row(1, "old"))
    parked.change(WIDER)
    done = retry(parked.target, parked.queue, chosen(parked.target, None))
    assert (done.letters, done.refused) == (1, {})
    assert parked.rows() == [row(1, "old", total=7)]


def test_letters_from_before_and_after_a_change_are_one_net_change_whatever_columns_the_last_one_has(
    parked: Parked,
) -> None:
    parked.park("c", 1, row(1, "old"))
    parked.park("c", 2, row(2, "old"))
    parked.change(WIDER)
    parked.park("u", 1, {"id": 1, "note": "newer"}, schema=NEW)
    parked.park("u", 2, {"id": 2, "total": 8}, schema=NEW)
    retry(parked.target, parked.queue, chosen(parked.target, None))
    assert parked.rows() == [row(1, "newer", total=7), row(2, "old", total=8)]


def test_a_row_whose_table_and_columns_were_renamed_goes_to_the_names_that_they_have_now(parked: Parked) -> None:
    parked.park("c", 1, row(1, "old"))
    parked.change(SchemaChange("alter", "shop", "orders", (RenameColumn("note", "remark"), DropColumn("gone"))))
    parked.change(SchemaChange("rename", "shop", "orders", to=("shop", "sales")))
    (listed,) = chosen(parked.target, None)
    assert (listed.table, orjson.loads(listed.value)["source"]["table"]) == ("sales", "orders")
    done = retry(parked.target, parked.queue, [listed])
    assert done.refused == {}
    assert parked.store.rows("sales") == {(1,): {"id": 1, "remark": "old"}}
    assert parked.rows() == []


def test_a_delete_that_waited_through_changes_deletes_at_the_present_name(parked: Parked) -> None:
    parked.park("d", 1, None)
    parked.change(WIDER)
    parked.change(SchemaChange("rename", "shop", "orders", to=("shop", "sales")))
    parked.store.tables["sales"] = {(1,): row(1, "still here", total=1)}
    retry(parked.target, parked.queue, chosen(parked.target, None))
    assert parked.store.rows("sales") == {}


def test_a_row_that_cannot_be_brought_to_the_present_shape_stays_with_the_reason_and_keeps_no_other_waiting(
    parked: Parked,
) -> None:
    parked.park("c", 1, row(1, "old"))
    other = TableSchema("shop", "orders", (OLD.columns[0], Column("note", "int")), ("id",))
    parked.change(SchemaChange("alter", "shop", "orders", (ModifyColumn(other.columns[1], OLD.columns[1]),), other))
    parked.park("c", 2, row(2, "new"))
    parked.park("u", 1, row(1, "newer"))
    done = retry(parked.target, parked.queue, chosen(parked.target, None))
    assert (done.letters, done.rows) == (1, 1)
    ((refused, why),) = done.refused.items()
    assert refused.shown == "1"
    assert "column note" in why and "drop its letters" in why  # noqa: PT018
    assert parked.rows() == [row(2, "new")]
    assert numbers(chosen(parked.target, None)) == [1, 1]
    assert drop(parked.target, chosen(parked.target, None)).letters == 2


def test_any_number_of_letters_is_read_page_by_page(parked: Parked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "PAGE_LETTERS", 3)
    for number in range(8):
        parked.park("c", number, row(number, "x"))
    assert [number for page in pages(parked.target) for number in numbers(page)] == list(range(8))
