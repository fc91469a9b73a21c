"""A transaction in one step, where the adapter has that: the same as in its own steps, or nothing at all."""

import pytest

from cdc.model.batch import TableBatch
from cdc.model.checkpoint import Progress
from cdc.model.errors import Fenced, RowRefused
from cdc.target.memory import store
from cdc.target.port import LaneWriter, Target
from tests.contract.conftest import LEASE_SECONDS
from tests.support.targets import Place, deletes, inserts, letter, moved, order, updates, write

TAKE_IT = {"postgresql", "memory"}
KEPT = [(1, "new", 0), (2, "new", 0)]


@pytest.fixture
def known(writer: LaneWriter) -> LaneWriter:
    """It has looked at the table, in which rows 1 and 2 are."""
    write(writer, inserts(order(1), order(2)), count=2)
    return writer


def at_once(writer: LaneWriter, *batches: TableBatch, count: int = 3, token: int = 5) -> bool:
    return writer.apply_at_once(batches, moved(Progress("0", token), count))


@pytest.mark.parametrize(
    ("batch", "rows"),
    [
        (inserts(order(3)), [*KEPT, (3, "new", 0)]),
        (inserts(order(2, "again"), order(3)), [KEPT[0], (2, "again", 0), (3, "new", 0)]),
        (updates(order(1, None, 7), order(2, "%s $1", 8)), [(1, None, 7), (2, "%s $1", 8)]),
        (updates({"id": 2, "total": 9}), [KEPT[0], (2, "new", 9)]),
        (deletes(1, 9), [KEPT[1]]),
        (None, KEPT),
    ],
    ids=["insert", "insert what is there", "update", "update some columns", "delete", "progress alone"],
)
def test_it_is_whole_or_not_at_all(
    place: Place, target: Target, known: LaneWriter, batch: TableBatch | None, rows: list[object]
) -> None:
    batches = () if batch is None else (batch,)
    assert at_once(known, *batches) == (place.kind in TAKE_IT)
    if place.kind in TAKE_IT:
        assert target.progress()["0"] == moved(Progress("0", 5), 3)
        assert place.rows() == rows
    else:
        assert target.progress()["0"].count == 2
        assert place.rows() == KEPT
    write(known, *batches, count=4)
    assert target.progress()["0"].count == 4
    assert place.rows() == rows


def test_several_kinds_of_changes_are_whole_or_not_at_all(place: Place, target: Target, known: LaneWriter) -> None:
    batch = TableBatch(inserts().schema, deletes=[(1,)], updates=[order(2, "x")], inserts=[order(3)])
    done = at_once(known, batch)
    assert place.rows() == ([(2, "x", 0), (3, "new", 0)] if done else KEPT)
    assert target.progress()["0"].count == (3 if done else 2)


def test_more_rows_than_fit_one_step_are_whole_or_not_at_all(place: Place, target: Target, known: LaneWriter) -> None:
    done = at_once(known, inserts(*map(order, range(1, 1001))))
    assert len(place.rows()) == (1000 if done else 2)
    assert target.progress()["0"].count == (3 if done else 2)


def test_a_table_that_was_not_looked_at_yet_is_made_in_one_step_or_in_the_next(
    place: Place, target: Target, writer: LaneWriter
) -> None:
    if not at_once(writer, inserts(order(1))):
        assert target.progress()["0"].count == 0
        write(writer, inserts(order(1)), count=3)
    assert place.rows() == [(1, "new", 0)]
    assert target.progress()["0"].count == 3


def test_who_was_overtaken_changes_nothing(place: Place, target: Target, known: LaneWriter) -> None:
    rival = target.writer(LEASE_SECONDS)
    try:
        rival.take_over("0", 6)
        assert not at_once(known, inserts(order(3)))
        assert not at_once(known)
        assert place.rows() == KEPT
        assert (target.progress()["0"].token, target.progress()["0"].count) == (6, 2)
        with pytest.raises(Fenced):
            known.begin()
    finally:
        rival.close()


def test_progress_of_another_token_is_not_stored(place: Place, target: Target, known: LaneWriter) -> None:
    assert not at_once(known, inserts(order(3)), token=4)
    assert not at_once(known, inserts(order(3)), token=6)
    assert place.rows() == KEPT
    assert target.progress()["0"].count == 2


def test_without_having_taken_over_nothing_happens(place: Place, target: Target, known: LaneWriter) -> None:
    rival = target.writer(LEASE_SECONDS)
    try:
        assert not at_once(rival, inserts(order(3)))
        assert place.rows() == KEPT
    finally:
        rival.close()


def test_while_anything_is_parked_nothing_happens(place: Place, target: Target, known: LaneWriter) -> None:
    progress = known.begin()
    known.park([letter(7)])
    known.commit(progress)
    assert not at_once(known, inserts(order(3)))
    assert not at_once(known)
    assert place.rows() == KEPT
    assert target.progress()["0"].count == 2


def test_a_missing_row_leaves_all_as_it_was_and_is_named_by_the_steps(
    place: Place, target: Target, known: LaneWriter
) -> None:
    assert not at_once(known, updates(order(1, "x"), order(9, "x")))
    assert place.rows() == KEPT
    assert target.progress()["0"].count == 2
    known.begin()
    with pytest.raises(RowRefused, match="9"):
        known.apply([updates(order(1, "x"), order(9, "x"))])


def test_a_refused_row_leaves_all_as_it_was(place: Place, target: Target, known: LaneWriter) -> None:
    if place.kind == "memory":
        store(place.url).refuse = lambda table, row: "too much" if row.get("total") == 2**40 else None
    refused = inserts(order(3), order(4, total=2**40)) if place.kind != "sqlite" else inserts(order(3), {"id": 4})
    assert not at_once(known, refused)
    assert place.rows() == KEPT
    assert target.progress()["0"].count == 2


def test_a_failure_holds_nobody_up_for_long(place: Place, target: Target, known: LaneWriter) -> None:
    assert not at_once(known, updates(order(9)))
    tried = [at_once(known, inserts(order(3)), count=count) for count in range(3, 9)]
    assert any(tried) == (place.kind in TAKE_IT)


def test_inside_of_a_transaction_nothing_happens(place: Place, target: Target, known: LaneWriter) -> None:
    progress = known.begin()
    known.apply([inserts(order(3))])
    assert not at_once(known, inserts(order(4)))
    known.commit(moved(progress, 3))
    assert place.rows() == [*KEPT, (3, "new", 0)]


def test_after_it_the_steps_work_as_ever(place: Place, target: Target, known: LaneWriter) -> None:
    at_once(known, inserts(order(3)))
    known.forget()
    at_once(known, inserts(order(3, "x")), count=4)
    write(known, inserts(*map(order, range(3, 300))), count=5)
    assert len(place.rows()) == 299
    assert target.progress()["0"].count == 5
