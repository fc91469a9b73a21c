"""Refused rows among others, at every adapter in the registry on its real server: those are parked, and no others."""

import logging
import random
from collections.abc import Sequence

import orjson
import pytest

from cdc.model.batch import TableBatch
from cdc.model.change import Change
from cdc.model.errors import LeaseLost, RowRefused, TargetRefused
from cdc.model.position import Sequence as Position
from cdc.model.schema import Column, TableSchema
from cdc.processes.compactor import compact
from cdc.processes.refusals import Refusals
from cdc.target.memory import store
from cdc.target.port import LaneWriter, RowsRefused, Target
from tests.support.targets import ORDERS, Place, inserts, letter, moved, order, write

# Beyond INT everywhere, and beyond what SQLite has.
_TOO_LARGE = 2**63


def _change(number: int, total: int, op: str = "c", note: str = "new") -> Change:
    row = order(number, note, total)
    raw = orjson.dumps({"after": row, "op": op})
    after = None if op == "d" else row
    return letter(number).change._replace(op=op, key=(number,), after=after, raw=raw, seq=Position(1, 3, number, 0))


def _compact(changes: Sequence[Change]) -> list[TableBatch]:
    return compact(changes, {ORDERS.fingerprint(): ORDERS}.__getitem__)


def _apply(writer: LaneWriter, run: Sequence[Change], **how: bool) -> int:
    """As a lane does it; how many events were parked."""
    refusals = Refusals(writer, True, lambda: None)
    refusals.begin()
    passed = refusals.pass_parked(run)
    try:
        writer.apply(_compact(passed), savepoint=True)
    except RowRefused as error:
        return refusals.isolate(passed, _compact, error, **how)
    return 0


@pytest.fixture
def picky(place: Place) -> Place:
    """A place that refuses _TOO_LARGE."""
    if place.kind == "memory":
        store(place.url).refuse = lambda _, row: "too much" if row["total"] == _TOO_LARGE else None
    return place


def _letters(target: Target) -> list[tuple[str, str]]:
    return [(one.key, one.reason) for one in target.dead_letters(10_000)]


@pytest.mark.parametrize(("rows", "share"), [(2, 0.5), (60, 0.5), (60, 1.0), (700, 0.02)])
def test_refused_rows_are_parked_in_order_and_all_others_are_applied(
    picky: Place, target: Target, writer: LaneWriter, rows: int, share: float
) -> None:
    rng = random.Random(rows)
    bad = sorted(rng.sample(range(rows), max(1, int(rows * share))))
    run = [_change(number, _TOO_LARGE if number in bad else number) for number in range(rows)]
    progress = writer.begin()
    assert _apply(writer, run) == len(bad)
    writer.commit(moved(progress, rows))
    assert picky.rows() == [(number, "new", number) for number in range(rows) if number not in bad]
    letters = _letters(target)
    assert [key for key, _ in letters] == [f"[{number}]" for number in bad]
    assert all(reason and "waits" not in reason for _, reason in letters)


def test_all_changes_of_a_refused_key_wait_behind_it_in_their_order(
    picky: Place, target: Target, writer: LaneWriter
) -> None:
    write(writer, inserts(order(5), order(6)))
    progress = writer.begin()
    first = [
        _change(5, 1, "u", "a"),
        _change(7, 3),
        _change(6, 2, "u"),
        _change(5, _TOO_LARGE, "u", "b"),
        _change(8, 4),
    ]
    assert _apply(writer, first) == 2
    writer.commit(moved(progress, 2))
    progress = writer.begin()
    assert _apply(writer, [_change(5, 9, "u", "c"), _change(5, 0, "d"), _change(8, 5, "u")]) == 0
    writer.commit(moved(progress, 3))
    assert picky.rows() == [(5, "new", 0), (6, "new", 2), (7, "new", 3), (8, "new", 5)]
    found = [(orjson.loads(one.value), one.reason) for one in target.dead_letters(10)]
    assert [(event["op"], event["after"]["note"]) for event, _ in found] == [
        *(("u", "a"), ("u", "b"), ("u", "c"), ("d", "new"))
    ]
    assert ["waits" in reason for _, reason in found] == [False, True, True, True]


def test_a_table_is_made_also_where_all_of_its_first_rows_are_refused(
    picky: Place, target: Target, writer: LaneWriter
) -> None:
    progress = writer.begin()
    assert _apply(writer, [_change(number, _TOO_LARGE) for number in range(5)]) == 5
    writer.commit(moved(progress, 1))
    if picky.sql:
        assert picky.rows() == []
    assert target.dead_letter_count() == 5


def test_what_cannot_be_made_stops_instead_of_parking_the_rows_of_its_table(place: Place, writer: LaneWriter) -> None:
    """20 columns of 1000 characters fit at the source, in one byte each; four bytes each are too much for MySQL's rows."""
    if place.kind not in {"mysql", "mariadb"}:
        pytest.skip("only MySQL and MariaDB bound the columns of a row")
    texts = [Column(f"c{number}", "varchar", length=1000, charset="latin1") for number in range(20)]
    schema = TableSchema("shop", "wide", (Column("id", "int", nullable=False), *texts), ("id",))
    writer.begin()
    with pytest.raises(TargetRefused, match="cannot be made") as caught:
        writer.apply([inserts({"id": 1, **{text.name: "x" for text in texts}}, schema=schema)], savepoint=True)
    assert not isinstance(caught.value, RowRefused)


def test_rows_that_are_named_are_those_that_are_refused(picky: Place, writer: LaneWriter) -> None:
    """An adapter need not name any, but what it names is parked without another try."""
    write(writer, inserts(order(1)))
    for count in (20, 300):
        writer.begin()
        bad = {3, 4, 11, count - 1}
        with pytest.raises(RowRefused) as caught:
            writer.apply(
                [inserts(*(order(n, "x", _TOO_LARGE if n in bad else n) for n in range(count)))], savepoint=True
            )
        if isinstance(caught.value, RowsRefused):
            assert {row.key for row in caught.value.rows} == {(number,) for number in bad}
            assert {(row.db, row.table) for row in caught.value.rows} == {("shop", "orders")}
        writer.rollback()


def test_what_may_be_taken_a_moment_later_is_not_parked_by_the_patient(place: Place, writer: LaneWriter) -> None:
    if place.sql:
        place.execute(
            f"CREATE TABLE {place.quoted('orders')} (id INTEGER PRIMARY KEY, note VARCHAR(40), total INTEGER UNIQUE)"
        )
    else:
        store(place.url).refuse = lambda _, row: "taken" if row["id"] == 3 else None
    progress = writer.begin()
    writer.apply([inserts(order(1, total=7))])
    with pytest.raises(RowRefused):
        _apply(writer, [_change(2, 8), _change(3, 7), _change(4, 9)], patient=True)
    writer.rollback()
    assert writer.begin().count == progress.count
    assert not writer.parked()


def test_a_refusal_is_said_once_for_each_table(
    picky: Place, writer: LaneWriter, caplog: pytest.LogCaptureFixture
) -> None:
    writer.begin()
    with caplog.at_level(logging.WARNING):
        _apply(writer, [_change(number, _TOO_LARGE) for number in range(9)])
    assert len(caplog.records) == 1


def test_an_end_of_the_lease_ends_the_telling_apart(picky: Place, writer: LaneWriter) -> None:
    def lost() -> None:
        raise LeaseLost("gone", hint="wait")

    run = [_change(number, _TOO_LARGE) for number in range(4)]
    writer.begin()
    with pytest.raises(RowRefused) as caught:
        writer.apply(_compact(run), savepoint=True)
    with pytest.raises(LeaseLost):
        Refusals(writer, True, lost).isolate(run, _compact, caught.value)
    writer.rollback()
    writer.begin()
    assert not writer.parked()
