"""The net change of a batch is what applying its changes one by one would leave."""

from hypothesis import given
from hypothesis import strategies as st

from cdc.model.change import Change, Row
from cdc.model.checkpoint import SourcePoint
from cdc.model.position import Sequence
from cdc.model.schema import Column, TableSchema
from cdc.processes.compactor import compact, runs

SCHEMAS = {
    name: TableSchema("shop", name, (Column("id", "int"), Column("v", "int"), Column("w", "int")), ("id",))
    for name in "ab"
}
Rows = dict[tuple[str, int], Row]


def change(
    op: str, table: str, key: int, after: Row | None, *, schema: str | None = None, replay: bool = False
) -> Change:
    point = SourcePoint("server", "bin.000001", 4)
    seq = Sequence(1, 1, 4, 0)
    return Change(op, "shop", table, schema or table, (key,), after, seq, 1, 1, True, replay, point, 0, b"")


def one_by_one(rows: Rows, changes: list[Change]) -> Rows:
    rows = dict(rows)
    for one in changes:
        place = (one.table, int(one.key[0] or 0))
        if one.after is None:
            rows.pop(place, None)
        else:
            rows[place] = {**rows.get(place, {}), **one.after}
    return rows


def in_bulk(rows: Rows, changes: list[Change], *, upsert: bool = False) -> Rows:
    """What a target does: all deletes, then updates of rows that must be there, then inserts."""
    rows = dict(rows)
    for run in runs(changes):
        batches = compact(run, SCHEMAS.__getitem__, upsert=upsert)
        for batch in batches:
            for key in batch.deletes:
                rows.pop((batch.schema.table, int(key[0] or 0)), None)
        for batch in batches:
            for row in batch.updates:
                place = (batch.schema.table, int(row["id"] or 0))
                rows[place] = {**rows[place], **row}
            for row in batch.inserts:
                rows[batch.schema.table, int(row["id"] or 0)] = row
    return rows


@st.composite
def histories(draw: st.DrawFn) -> tuple[Rows, list[Change]]:
    """Rows that a source may have had, and changes that it may have made to them."""
    rows: Rows = {}
    for table, key in draw(st.sets(st.tuples(st.sampled_from("ab"), st.integers(1, 4)))):
        rows[table, key] = {"id": key, "v": 0, "w": 0}
    changes, present = [], set(rows)
    for table, key, dice, value in draw(
        st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 4), st.integers(0, 3), st.integers(1, 9)), max_size=30)
    ):
        whole: Row = {"id": key, "v": value, "w": -value}
        if (table, key) not in present:
            present.add((table, key))
            changes.append(change("c", table, key, whole))
        elif dice == 0:
            present.discard((table, key))
            changes.append(change("d", table, key, None))
        elif dice == 1:
            changes.append(change("u", table, key, {"id": key, "v": value}))
        else:
            changes.append(change("u", table, key, whole))
    return rows, changes


@given(histories())
def test_the_net_change_leaves_what_the_single_changes_leave(history: tuple[Rows, list[Change]]) -> None:
    rows, changes = history
    assert in_bulk(rows, changes) == one_by_one(rows, changes)


@given(histories())
def test_a_key_stands_once_in_a_batch(history: tuple[Rows, list[Change]]) -> None:
    for batch in compact(history[1], SCHEMAS.__getitem__):
        keys = [key[0] for key in batch.deletes] + [row["id"] for row in batch.updates + batch.inserts]
        assert len(keys) == len(set(keys))


def test_insert_after_delete_of_one_key_in_one_batch_leaves_the_row() -> None:
    changes = [change("d", "a", 1, None), change("c", "a", 1, {"id": 1, "v": 2, "w": 3})]
    (batch,) = compact(changes, SCHEMAS.__getitem__)
    assert (batch.deletes, batch.inserts) == ([], [{"id": 1, "v": 2, "w": 3}])


def test_a_replayed_update_brings_the_whole_row() -> None:
    (batch,) = compact([change("u", "a", 1, {"id": 1, "v": 2, "w": 3}, replay=True)], SCHEMAS.__getitem__)
    assert (len(batch.inserts), batch.updates) == (1, [])


@given(histories())
def test_with_upserts_too_the_net_change_leaves_what_the_single_changes_leave(
    history: tuple[Rows, list[Change]],
) -> None:
    rows, changes = history
    assert in_bulk(rows, changes, upsert=True) == one_by_one(rows, changes)


def test_an_update_that_lacks_columns_is_no_insert_even_where_whole_ones_are() -> None:
    """Absent is not NULL: it can only be applied to a row that is there."""
    for replay in (True, False):
        (batch,) = compact([change("u", "a", 1, {"id": 1, "v": 2}, replay=replay)], SCHEMAS.__getitem__, upsert=True)
        assert (batch.inserts, batch.updates) == ([], [{"id": 1, "v": 2}])


def test_updates_that_lack_columns_make_a_whole_row_with_the_insert_before_them() -> None:
    changes = [change("c", "a", 1, {"id": 1, "v": 2, "w": 3}), change("u", "a", 1, {"id": 1, "w": 4})]
    (batch,) = compact(changes, SCHEMAS.__getitem__, upsert=True)
    assert (batch.inserts, batch.updates) == ([{"id": 1, "v": 2, "w": 4}], [])


def test_another_schema_version_of_a_table_begins_a_run_of_its_own() -> None:
    changes = [
        change("c", "a", 1, {"id": 1}),
        change("c", "b", 1, {"id": 1}),
        change("u", "a", 1, {"id": 1, "v": 1}, schema="b"),
        change("u", "b", 1, {"id": 1}),
    ]
    assert [len(run) for run in runs(changes)] == [2, 2]
