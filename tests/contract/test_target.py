"""The port's contract, held by every adapter in the registry on its real server: fencing, progress, what a batch does."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit, urlunsplit

import orjson
import pytest

from cdc.model.change import Change, Row, parse
from cdc.model.checkpoint import Progress
from cdc.model.errors import CdcError, Fenced, RowRefused, TargetBusy, TargetRefused, TargetUnavailable
from cdc.model.position import ORIGIN
from cdc.model.schema import Column, TableSchema
from cdc.target.memory import store
from cdc.target.port import LaneWriter, Target
from tests.contract.conftest import LEASE_SECONDS
from tests.support.relay import Relay
from tests.support.targets import Place, deletes, inserts, letter, moved, order, updates, write

PAIRS = TableSchema(
    "shop",
    "pairs",
    (Column("a", "int", nullable=False), Column("b", "varchar", length=20, nullable=False), Column("v", "int")),
    ("b", "a"),
)


@pytest.fixture
def rival(target: Target) -> Iterator[LaneWriter]:
    """Another worker's connection."""
    opened = target.writer(LEASE_SECONDS)
    yield opened
    opened.close()


@pytest.fixture
def again(target: Target, writer: LaneWriter) -> Iterator[Callable[[], LaneWriter]]:
    """Gives the same lane from a new connection, which looks at the tables anew."""
    opened = target.writer(LEASE_SECONDS)

    def fresh() -> LaneWriter:
        writer.close()
        opened.take_over("0", 50)
        return opened

    yield fresh
    opened.close()


# Taking over, and the fence.


def test_a_lane_that_never_had_progress_gives_none_and_begins_at_the_origin(target: Target, rival: LaneWriter) -> None:
    assert target.progress() == {}
    assert rival.take_over("0", 5) is None
    assert target.progress() == {"0": Progress("0", 5)}
    assert rival.begin() == Progress("0", 5, watermark=ORIGIN)


@pytest.mark.parametrize("token", [4, 5])
def test_taking_over_with_a_token_not_above_the_stored_one_is_fenced(
    writer: LaneWriter, rival: LaneWriter, target: Target, token: int
) -> None:
    with pytest.raises(Fenced) as caught:
        rival.take_over("0", token)
    assert caught.value.stored == 5
    write(writer, inserts(order(1)))
    assert target.progress()["0"].token == 5


def test_taking_over_gives_the_whole_progress_with_the_new_token(writer: LaneWriter, rival: LaneWriter) -> None:
    write(writer, inserts(order(1)), count=9)
    expected = moved(Progress("0", 6), 9)
    assert rival.take_over("0", 6) == expected
    assert rival.begin() == expected


def test_a_worker_that_was_overtaken_is_fenced_at_begin_and_writes_nothing(
    writer: LaneWriter, rival: LaneWriter, place: Place
) -> None:
    write(writer, inserts(order(1)))
    rival.take_over("0", 6)
    with pytest.raises(Fenced) as caught:
        writer.begin()
    assert caught.value.stored == 6
    writer.rollback()
    write(rival, inserts(order(2)))
    assert place.rows() == [(1, "new", 0), (2, "new", 0)]


def test_a_fenced_worker_can_come_back_with_a_higher_token(writer: LaneWriter, rival: LaneWriter, place: Place) -> None:
    rival.take_over("0", 6)
    with pytest.raises(Fenced):
        writer.begin()
    writer.take_over("0", 7)
    write(writer, inserts(order(1)))
    assert place.rows() == [(1, "new", 0)]


def test_begin_without_having_taken_over_is_refused(rival: LaneWriter) -> None:
    with pytest.raises((Fenced, TargetRefused)):
        rival.begin()


def test_commit_with_another_token_than_the_one_taken_over_with_changes_nothing(
    writer: LaneWriter, place: Place, target: Target
) -> None:
    progress = writer.begin()
    writer.apply([inserts(order(1))])
    with pytest.raises(CdcError):
        writer.commit(replace(moved(progress, 1), token=6))
    writer.rollback()
    assert target.progress() == {"0": Progress("0", 5)}
    write(writer, inserts(order(2)))
    assert place.rows() == [(2, "new", 0)]


def test_lanes_sinks_and_connectors_have_their_own_progress(place: Place, writer: LaneWriter, target: Target) -> None:
    write(writer, inserts(order(1)), count=3)
    for connector, sink, lane in (("shop", "sink", "topic.orders/1"), ("shop", "other", "0"), ("x", "sink", "0")):
        front = place.open(connector, sink)
        opened = front.writer(LEASE_SECONDS)
        assert opened.take_over(lane, 1) is None
        opened.close()
        front.close()
    assert set(target.progress()) == {"0", "topic.orders/1"}
    assert target.progress()["0"].count == 3


def test_a_holder_stopped_inside_its_transaction_does_not_block_for_longer_than_the_lease_scale(
    writer: LaneWriter, rival: LaneWriter, place: Place
) -> None:
    if place.kind == "sqlite":
        pytest.skip("SQLite has no server that could end the holder: docs/decisions/0005-targets.md")
    write(writer, inserts(order(1)))
    progress = writer.begin()
    writer.apply([inserts(order(2))])
    begun = time.monotonic()
    rival.take_over("0", 6)
    assert time.monotonic() - begun < 2 * LEASE_SECONDS
    write(rival, inserts(order(3)))
    with pytest.raises((TargetUnavailable, Fenced)):
        writer.commit(moved(progress, 2))
    writer.rollback()
    assert place.rows() == [(1, "new", 0), (3, "new", 0)]


def test_a_lower_token_never_ends_the_holder(writer: LaneWriter, rival: LaneWriter, place: Place) -> None:
    progress = writer.begin()
    writer.apply([inserts(order(1))])
    with pytest.raises((Fenced, TargetBusy)):
        rival.take_over("0", 4)
    writer.commit(moved(progress, 1))
    assert place.rows() == [(1, "new", 0)]


def test_many_workers_may_start_at_once_on_an_empty_target(place: Place) -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(4)

    def work(lane: str) -> None:
        front = place.open()
        opened = front.writer(10.0)
        try:
            start.wait(10)
            _patiently(lambda: opened.take_over(lane, 1))
            _patiently(lambda: write(opened, inserts(order(int(lane)))), opened)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)
        finally:
            opened.close()
            front.close()

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert [row[0] for row in place.rows()] == [0, 1, 2, 3]


def test_two_lanes_write_in_parallel(place: Place, target: Target, writer: LaneWriter) -> None:
    write(writer, inserts(order(0)))
    rounds = 15
    errors: list[BaseException] = []

    def work(lane: int) -> None:
        opened = target.writer(10.0)
        try:
            _patiently(lambda: opened.take_over(str(lane), 10))
            for turn in range(1, rounds + 1):
                row = order(lane * 1000 + turn)
                _patiently(partial(write, opened, inserts(row), count=turn), opened)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)
        finally:
            opened.close()

    threads = [threading.Thread(target=work, args=(lane,)) for lane in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert len(place.rows()) == 2 * rounds + 1
    assert {lane: target.progress()[lane].count for lane in "12"} == {"1": rounds, "2": rounds}


def _patiently(work: object, opened: LaneWriter | None = None, seconds: float = 30.0) -> None:
    """TargetBusy means again, after a rollback."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            work()  # type: ignore[operator]
            return
        except TargetBusy:
            if opened is not None:
                opened.rollback()
            if time.monotonic() > deadline:
                raise


# The transaction.


def test_rows_and_progress_move_in_one_transaction(writer: LaneWriter, place: Place, target: Target) -> None:
    write(writer, inserts(order(1)))
    before = target.progress()
    progress = writer.begin()
    writer.apply([inserts(order(2))])
    assert [row[0] for row in place.rows()] == [1]
    assert target.progress() == before
    writer.commit(moved(progress, 2))
    assert [row[0] for row in place.rows()] == [1, 2]
    assert target.progress() == {"0": moved(Progress("0", 5), 2)}


def test_a_rollback_undoes_all_and_may_be_called_at_any_time(writer: LaneWriter, place: Place, target: Target) -> None:
    writer.rollback()
    write(writer, inserts(order(1)))
    writer.begin()
    writer.apply([inserts(order(2)), deletes(1)])
    writer.park([letter(4)])
    writer.rollback()
    writer.rollback()
    assert place.rows() == [(1, "new", 0)]
    assert target.dead_letter_count() == 0
    assert target.progress()["0"].count == 1


def test_a_batch_may_be_empty(writer: LaneWriter, target: Target) -> None:
    progress = writer.begin()
    writer.apply([])
    writer.apply([inserts()])
    writer.commit(moved(progress, 1))
    assert target.progress()["0"].count == 1


def test_after_close_nothing_of_an_open_transaction_remains(target: Target, place: Place, writer: LaneWriter) -> None:
    write(writer, inserts(order(1)))
    writer.begin()
    writer.apply([inserts(order(2))])
    writer.close()
    again = target.writer(LEASE_SECONDS)
    again.take_over("0", 6)
    write(again, inserts(order(3)))
    again.close()
    assert [row[0] for row in place.rows()] == [1, 3]


# What a batch does.


def test_deletes_come_first_then_updates_then_inserts(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1, "a"), order(2, "b")))
    batch = inserts(order(3, "c"))
    batch.deletes.append((1,))
    batch.updates.append(order(2, "changed", 5))
    write(writer, batch)
    assert place.rows() == [(2, "changed", 5), (3, "c", 0)]


def test_all_batches_deletes_come_before_any_batches_writes(writer: LaneWriter, place: Place) -> None:
    """As a key change under two versions of a schema gives it."""
    write(writer, inserts(order(1, "a")))
    write(writer, inserts(order(1, "again")), deletes(1))
    assert place.rows() == [(1, "again", 0)]


def test_an_insert_over_a_row_that_is_there_replaces_it(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1, "a", 1)))
    write(writer, inserts(order(1, None, 2)))
    assert place.rows() == [(1, None, 2)]


def test_a_delete_of_a_row_that_is_not_there_is_fine(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1)), deletes(7))
    assert place.rows() == [(1, "new", 0)]


@pytest.mark.parametrize("rows", [2, 400])
def test_an_update_of_a_row_that_is_not_there_is_refused_and_names_table_and_key(
    writer: LaneWriter, place: Place, rows: int
) -> None:
    write(writer, inserts(*(order(number) for number in range(rows))))
    writer.begin()
    with pytest.raises(RowRefused, match=r"orders.*id=4444\b"):
        writer.apply([updates(*(order(number, "x") for number in range(rows)), order(4444, "y"))])
    writer.rollback()
    assert {row[1] for row in place.rows()} == {"new"}


@pytest.mark.parametrize("rows", [2, 400])
def test_a_tolerant_update_inserts_the_row_that_is_not_there(writer: LaneWriter, place: Place, rows: int) -> None:
    write(writer, inserts(*(order(number) for number in range(rows))))
    write(writer, updates(*(order(number + 1, "x") for number in range(rows))), tolerant=True)
    assert place.rows() == [(0, "new", 0)] + [(number + 1, "x", 0) for number in range(rows)]


def test_a_tolerant_update_of_some_columns_cannot_invent_the_others(writer: LaneWriter) -> None:
    write(writer, inserts(order(1)))
    writer.begin()
    with pytest.raises(RowRefused):
        writer.apply([updates({"id": 2, "note": "x"})], tolerant=True)
    writer.rollback()


@pytest.mark.parametrize("rows", [3, 400])
def test_an_update_of_some_columns_leaves_the_others_alone(writer: LaneWriter, place: Place, rows: int) -> None:
    write(writer, inserts(*(order(number, "old", number) for number in range(rows))))
    notes: list[Row] = [{"id": number, "note": "x"} for number in range(1, rows)]
    write(writer, updates(*notes, {"id": 0, "total": 77}))
    assert place.rows() == [(0, "old", 77)] + [(number, "x", number) for number in range(1, rows)]


def test_an_update_that_changes_nothing_still_finds_its_row(writer: LaneWriter, place: Place) -> None:
    """MySQL counts changed rows, not found ones, unless told otherwise."""
    write(writer, inserts(order(1), order(2)))
    write(writer, updates(order(1), order(2, "x")))
    assert place.rows() == [(1, "new", 0), (2, "x", 0)]


def test_a_table_that_is_all_key_can_be_written(writer: LaneWriter, place: Place) -> None:
    schema = TableSchema("shop", "tags", (Column("id", "int", nullable=False),), ("id",))
    write(writer, inserts({"id": 1}, {"id": 2}, schema=schema))
    write(writer, inserts({"id": 1}, schema=schema), updates({"id": 2}, schema=schema))
    assert place.rows("tags", ["id"]) == [(1,), (2,)]
    writer.begin()
    with pytest.raises(RowRefused):
        writer.apply([updates({"id": 3}, schema=schema)])
    writer.rollback()


def test_a_composite_key_goes_by_key_order_not_by_column_order(writer: LaneWriter, place: Place) -> None:
    rows: list[Row] = [{"a": a, "b": b, "v": 0} for a in (1, 2) for b in ("x", "y")]
    write(writer, inserts(*rows, schema=PAIRS))
    batch = updates({"a": 1, "b": "y", "v": 9}, schema=PAIRS)
    batch.deletes.append(("x", 2))
    write(writer, batch)
    assert sorted(place.rows("pairs", ["a", "b", "v"])) == [(1, "x", 0), (1, "y", 9), (2, "y", 0)]


def test_keys_that_change_places_arrive(writer: LaneWriter, place: Place) -> None:
    """A swap of keys is deletes of both and inserts of both."""
    write(writer, inserts(order(1, "one"), order(2, "two")))
    write(writer, inserts(order(1, "two"), order(2, "one")))
    batch = inserts(order(3, "two"), order(1, "one"))
    batch.deletes.append((2,))
    write(writer, batch)
    assert place.rows() == [(1, "one", 0), (3, "two", 0)]


@pytest.mark.parametrize("rows", [2, 400])
def test_values_that_change_places_under_a_unique_key_do_not_fail(
    writer: LaneWriter, place: Place, again: Callable[[], LaneWriter], rows: int
) -> None:
    write(writer, inserts(*(order(number, f"n{number}", number) for number in range(rows))))
    if place.sql:
        place.execute(f"CREATE UNIQUE INDEX orders_note ON {place.quoted('orders')} ({place.quoted('note')})")
        place.execute(f"ALTER TABLE {place.quoted('orders')} ADD COLUMN {place.quoted('ours')} INTEGER DEFAULT 3")
        place.execute(f"UPDATE {place.quoted('orders')} SET {place.quoted('ours')} = 8")
    fresh = again()
    rotated = [order(number, f"n{(number + 1) % rows}", number) for number in range(rows)]
    write(fresh, updates(*rotated))
    assert place.rows() == [(number, f"n{(number + 1) % rows}", number) for number in range(rows)]
    write(fresh, updates({"id": 0, "note": "n0"}, {"id": rows - 1, "note": "n1"}), inserts(order(rows, "free", 1)))
    assert place.rows()[0] == (0, "n0", 0)
    if place.sql:
        ours = dict(place.execute(f"SELECT id, ours FROM {place.quoted('orders')}"))
        assert ours == {**dict.fromkeys(range(rows), 8), rows: 3}


def test_a_clash_with_a_row_outside_the_batch_is_refused_and_changes_no_other_row(
    writer: LaneWriter, place: Place, again: Callable[[], LaneWriter]
) -> None:
    if not place.sql:
        pytest.skip("memory has no unique keys beside the primary one")
    write(writer, inserts(order(1, "a"), order(2, "b"), order(3, "c")))
    place.execute(f"CREATE UNIQUE INDEX orders_note ON {place.quoted('orders')} ({place.quoted('note')})")
    fresh = again()
    for batch in (inserts(order(9, "a")), updates(order(2, "a")), inserts(order(2, "c"))):
        fresh.begin()
        with pytest.raises(RowRefused, match="orders"):
            fresh.apply([batch])
        fresh.rollback()
    assert place.rows() == [(1, "a", 0), (2, "b", 0), (3, "c", 0)]


@pytest.mark.parametrize("rows", [3, 400])
def test_after_a_refusal_with_a_savepoint_the_transaction_is_as_it_was(
    writer: LaneWriter, place: Place, again: Callable[[], LaneWriter], rows: int
) -> None:
    _refuse_total_above_1000(place, writer)
    fresh = again()
    progress = fresh.begin()
    fresh.apply([inserts(order(1, "kept"))], savepoint=True)
    bad = [order(number + 10, "x", 2000 if number == rows - 1 else 1) for number in range(rows)]
    for _ in range(2):
        with pytest.raises(RowRefused, match="orders"):
            fresh.apply([deletes(1), inserts(*bad)], savepoint=True)
    fresh.apply([inserts(order(2, "kept too"))], savepoint=True)
    fresh.park([letter(10)])
    fresh.commit(moved(progress, 3))
    assert place.rows() == [(1, "kept", 0), (2, "kept too", 0)]


def _refuse_total_above_1000(place: Place, writer: LaneWriter) -> None:
    if place.kind == "memory":
        store(place.url).refuse = lambda _, row: "too much" if int(str(row["total"] or 0)) > 1000 else None
        return
    types = "id INTEGER PRIMARY KEY, note VARCHAR(40), total INTEGER CHECK (total <= 1000)"
    place.execute(f"CREATE TABLE {place.quoted('orders')} ({types})")


@pytest.mark.parametrize("savepoint", [False, True])
def test_a_missing_row_leaves_the_transaction_usable_with_a_savepoint(
    writer: LaneWriter, place: Place, savepoint: bool
) -> None:
    write(writer, inserts(order(1)))
    progress = writer.begin()
    with pytest.raises(RowRefused):
        writer.apply([deletes(1), updates(order(2))], savepoint=savepoint)
    if savepoint:
        writer.commit(moved(progress, 2))
    else:
        writer.rollback()
    assert place.rows() == [(1, "new", 0)]


# Truncation.


def test_truncate_empties_the_table_inside_the_transaction(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1), order(2)))
    writer.begin()
    writer.truncate("shop", "orders")
    writer.rollback()
    assert len(place.rows()) == 2
    progress = writer.begin()
    writer.truncate("shop", "orders")
    writer.apply([inserts(order(3))])
    writer.commit(moved(progress, 2))
    assert place.rows() == [(3, "new", 0)]


def test_a_table_that_is_not_there_is_empty(writer: LaneWriter, target: Target) -> None:
    progress = writer.begin()
    writer.truncate("shop", "nothing")
    writer.commit(moved(progress, 1))
    assert target.progress()["0"].count == 1


# Dead letters.


def test_dead_letters_are_parked_listed_and_settled(writer: LaneWriter, target: Target, place: Place) -> None:
    progress = writer.begin()
    assert writer.parked() == frozenset()
    writer.park([letter(1, "too long", note="ü\n\0"), letter(2), letter(1)])
    writer.park([])
    writer.commit(moved(progress, 3))
    writer.begin()
    assert writer.parked() == {("shop", "orders", (1,)), ("shop", "orders", (2,))}
    writer.rollback()
    stored = target.dead_letters(10)
    assert [(one.lane, one.db, one.table, one.key, one.reason) for one in stored] == [
        ("0", "shop", "orders", "[1]", "too long"),
        ("0", "shop", "orders", "[2]", "waits"),
        ("0", "shop", "orders", "[1]", "waits"),
    ]
    assert [one.id for one in stored] == sorted({one.id for one in stored})
    assert stored[0].value == letter(1, note="ü\n\0").change.raw
    assert stored[0].seq == "1:3:90:0"
    assert [one.id for one in target.dead_letters(2)] == [one.id for one in stored[:2]]
    assert target.dead_letter_count() == 3
    target.settle([one for one in stored if one.key == "[1]"], [updates(order(1, "mended"))])
    assert place.rows() == [(1, "mended", 0)]
    target.settle(target.dead_letters(10), [])
    assert target.dead_letter_count() == 0
    target.settle([], [])
    writer.begin()
    assert writer.parked() == frozenset()
    writer.rollback()
    assert target.progress() == {"0": moved(Progress("0", 5), 3)}


def test_truncate_drops_the_dead_letters_of_its_table_and_no_others(writer: LaneWriter, target: Target) -> None:
    progress = writer.begin()
    elsewhere = letter(3)
    writer.park([letter(1), letter(2), replace(elsewhere, change=elsewhere.change._replace(table="visits"))])
    writer.commit(moved(progress, 3))
    progress = writer.begin()
    writer.truncate("shop", "orders")
    writer.rollback()
    assert target.dead_letter_count() == 3
    progress = writer.begin()
    writer.truncate("shop", "orders")
    writer.commit(moved(progress, 4))
    assert [(one.table, one.key) for one in target.dead_letters(10)] == [("visits", "[3]")]


def test_a_stored_letter_is_a_message_again(writer: LaneWriter, target: Target) -> None:
    """`cdc dlq retry` reads it as it came from the queue."""
    source = {"seq": [1, 3, 90, 0], "source_id": "x", "file": "f.000001", "tx_pos": 4, "gtid": None, "db": "shop"}
    source |= {"table": "orders", "schema": "s", "n": 1, "token": 7, "ts_us": 1, "lane": "0"}
    raw = {"op": "c", "after": order(1), "before": None, "source": source, "transaction": {"id": "1"}}
    parked = letter(1)
    change = parked.change._replace(key=("a", 1), raw=orjson.dumps(raw))
    progress = writer.begin()
    writer.park([replace(parked, change=change)])
    writer.commit(moved(progress, 1))
    (stored,) = target.dead_letters(1)
    again, before = parse(stored.key_json, stored.value), parse(b'{"x":"a","id":1}', orjson.dumps(raw))
    assert isinstance(again, Change)
    assert isinstance(before, Change)
    assert again[6:] == before[6:]
    assert again.key == ("a", 1)


def test_dead_letters_belong_to_their_sink_and_connector(place: Place, target: Target, writer: LaneWriter) -> None:
    _parked(writer, 1)
    for connector, sink in (("shop", "other"), ("x", "sink")):
        other = place.open(connector, sink)
        assert (other.dead_letter_count(), list(other.dead_letters(5))) == (0, [])
        opened = other.writer(LEASE_SECONDS)
        opened.take_over("0", 1)
        opened.begin()
        assert opened.parked() == frozenset()
        opened.close()
        other.close()
    assert target.dead_letter_count() == 1


def test_a_row_parked_in_one_lane_is_parked_for_all_lanes(writer: LaneWriter, rival: LaneWriter) -> None:
    """Another number of lanes brings its later changes through another lane."""
    _parked(writer, 1)
    rival.take_over("1", 1)
    _parked(rival, 2)
    for one in (writer, rival):
        one.begin()
        assert one.parked() == {("shop", "orders", (1,)), ("shop", "orders", (2,))}
        one.rollback()


def test_letters_that_somebody_else_has_settled_put_no_old_image_over_a_newer_one(
    writer: LaneWriter, target: Target, place: Place
) -> None:
    _parked(writer, 1)
    _parked(writer, 2)
    stored = target.dead_letters(5)
    target.settle(stored[:1], [updates(order(1, "settled"))])
    write(writer, updates(order(1, "newer")))
    for listed in (stored[:1], stored):
        with pytest.raises(TargetBusy, match="list again"):
            target.settle(listed, [updates(order(1, "old"), order(2, "old"))])
        with pytest.raises(TargetBusy, match="list again"):
            target.settle(listed, [])
    assert place.rows() == [(1, "newer", 0)]
    assert [one.key for one in target.dead_letters(5)] == ["[2]"]


def test_a_settlement_that_is_refused_keeps_its_letters(writer: LaneWriter, target: Target, place: Place) -> None:
    write(writer, inserts(order(2)))
    _parked(writer, 1)
    with pytest.raises(RowRefused):
        target.settle(target.dead_letters(5), [updates(order(2, "settled"), {"id": 1, "note": "half a row"})])
    assert place.rows() == [(2, "new", 0)]
    assert target.dead_letter_count() == 1


def test_letters_of_two_lanes_are_settled_at_once_and_in_turn_with_the_sinks_of_both(
    writer: LaneWriter, rival: LaneWriter, target: Target, place: Place
) -> None:
    rival.take_over("1", 1)
    for one in (writer, rival):
        _parked(writer, 1)
        _parked(rival, 1)
        stored = target.dead_letters(5)
        progress = one.begin()
        one.apply([inserts(order(2, progress.lane))])
        settling = threading.Thread(target=target.settle, args=(stored, [updates(order(1, "net"))]))
        settling.start()
        settling.join(0.5)
        assert settling.is_alive()
        one.commit(moved(progress, 1))
        settling.join(20)
        assert place.rows() == [(1, "net", 0), (2, progress.lane, 0)]
        assert target.dead_letter_count() == 0


def _parked(writer: LaneWriter, key: int) -> None:
    progress = writer.begin()
    writer.park([letter(key)])
    writer.commit(moved(progress, 1))


def test_what_a_lane_was_told_of_copies_moves_with_its_transaction(writer: LaneWriter, target: Target) -> None:
    assert target.copies() == {}
    noted: dict[str, str] = {}
    for count, text in enumerate(('{"step":1}', '{"step":2,"tables":["ü"]}'), 1):
        progress = writer.begin()
        writer.remember(text)
        assert target.copies() == noted
        writer.commit(moved(progress, count))
        noted = {"0": text}
        assert target.copies() == noted
    writer.begin()
    writer.remember('{"step":3}')
    writer.rollback()
    assert target.copies() == noted


def test_an_untouched_target_has_no_progress_and_no_dead_letters(target: Target) -> None:
    assert target.progress() == {}
    assert list(target.dead_letters(5)) == []
    assert target.dead_letter_count() == 0


# Size.


def test_a_batch_of_50000_rows_takes_few_round_trips(place: Place) -> None:
    """Behind a relay that holds each reply back for 20 ms, a round trip for each row would take a quarter of an hour."""
    number = 50_000
    server = urlsplit(place.url)
    if server.hostname is None or place.kind == "memory":
        _large(place, place, number)
        return
    with Relay(place.url) as relay:
        relay.delay_seconds = 0.02
        login = server.netloc.rpartition("@")[0]
        far = Place(place.kind, urlunsplit(server._replace(netloc=f"{login}@127.0.0.1:{relay.port}")))
        begun = time.monotonic()
        _large(far, place, number)
        assert time.monotonic() - begun < 60


def _large(far: Place, near: Place, number: int) -> None:
    front = far.open()
    opened = front.writer(30.0)
    opened.take_over("0", 1)
    write(opened, inserts(*(order(n, "x" * 30, n) for n in range(number))), count=1)
    batch = updates(*(order(n, None, -n) for n in range(1, number, 2)))
    batch.deletes.extend((n,) for n in range(0, number, 2))
    write(opened, batch, count=2)
    opened.close()
    assert near.rows() == [(n, None, -n) for n in range(1, number, 2)]
    assert front.progress()["0"].count == 2
    front.close()


def test_a_target_says_what_it_is(target: Target, place: Place) -> None:
    said = target.describe()
    product = {
        "memory": "memory",
        "postgresql": "PostgreSQL",
        "mysql": "MySQL",
        "mariadb": "MariaDB",
        "sqlite": "SQLite",
    }
    assert said.startswith(product[place.kind])
    assert "://" not in said
