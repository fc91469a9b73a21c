"""A chunk that was read beside the stream goes into it without the rows that changed meanwhile."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

import pytest

from cdc.binlog.port import Altered, Rows, Truncated
from cdc.binlog.rows_port import Chunk, Wanted
from cdc.model.change import Draft
from cdc.model.checkpoint import SourcePoint
from cdc.model.compiled import EncodedRows
from cdc.model.compiled_received import COMPILED
from cdc.model.copies import KeyRange
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import SchemaChange
from cdc.processes.copy_windows import Window, Windows

SCHEMA = TableSchema("shop", "orders", (Column("id", "int"), Column("v", "int")), ("id",))
WHOLE = KeyRange()


def point(offset: int, file: str = "mysql-bin.000003") -> SourcePoint:
    return SourcePoint("s", file, offset)


def read(*ids: int, high: int = 100, last: int | None = None, encoded: bool = False) -> Chunk:
    rows: Sequence[Draft] = [
        Draft("r", "shop", "orders", SCHEMA.fingerprint(), {"id": one}, None, {"id": one, "v": 0}) for one in ids
    ]
    return Chunk(SCHEMA, EncodedRows.of(rows) if encoded else rows, point(high), None if last is None else (last,))


def window(chunk: Chunk | None = None, begin: KeyRange | None = WHOLE) -> Window:
    future: Future[Chunk] = Future()
    if chunk is not None:
        future.set_result(chunk)
    return Window(Wanted("shop", "orders"), future, begin)


def changed(*ids: int, table: str = "orders", encoded: bool = False) -> Rows:
    drafts = [Draft("u", "shop", table, "f", {"id": one}, None, {"id": one, "v": 1}) for one in ids]
    return Rows(50, EncodedRows.of(drafts) if encoded else drafts)


def ids(drafts: Sequence[Draft]) -> list[object]:
    return [draft.key["id"] for draft in drafts]


@pytest.mark.parametrize("encoded", [False, pytest.param(True, marks=pytest.mark.skipif(not COMPILED, reason="plain"))])
def test_what_changed_since_the_window_opened_is_left_out(encoded: bool) -> None:
    windows = Windows()
    windows.saw(changed(1, encoded=encoded))
    early = window()
    windows.open(early)
    windows.saw(changed(2, encoded=encoded))
    windows.saw(changed(3, table="items", encoded=encoded))
    early.future.set_result(read(1, 2, 3, 4, encoded=encoded))
    windows.saw(changed(4, encoded=encoded))
    assert ids(early.untouched()) == [1, 3]


def test_a_chunk_waits_for_the_stream_to_come_to_its_high_position() -> None:
    one = window(read(1, high=100))
    assert not one.ready(point(99))
    assert one.ready(point(100))
    assert one.ready(point(4, "mysql-bin.000004"))
    assert not one.ready(point(4, "mysql-bin.000002"))
    assert not window().ready(point(10**9))


def test_a_truncation_or_another_shape_makes_a_chunk_void() -> None:
    windows = Windows()
    orders, items = window(read(1)), replace_table(window(read(1)))
    windows.open(orders)
    windows.open(items)
    windows.saw(Truncated(60, "shop", "orders"))
    assert (orders.void, items.void) == (True, False)
    windows.saw(Altered(70, 0, SchemaChange("drop", "shop", "else")))
    assert items.void


def replace_table(one: Window) -> Window:
    return Window(replace(one.wanted, table="items"), one.future, one.begin)


def test_what_was_read_behind_a_void_chunk_goes_with_it() -> None:
    windows = Windows()
    parts = [KeyRange(), KeyRange((5,)), KeyRange((9,))]
    line = [window(read(1), part) for part in parts]
    for one in line:
        windows.open(one)
    windows.sent(line[0])
    assert list(windows.of(("shop", "orders"), KeyRange())) == line[1:]
    windows.close(line[1])
    assert len(windows) == 0
    windows.saw(changed(1))


def test_the_first_of_each_line_and_lists_are_the_next_ones() -> None:
    windows = Windows()
    low, high = KeyRange((1,), (5,)), KeyRange((5,))
    line = [window(read(2), low), window(read(3), replace(low, after=(2,)))]
    other, listed = window(None, high), window(read(9), None)
    for one in (*line, other, listed):
        windows.open(one)
    assert list(windows.next_ones()) == [line[0], other, listed]
    windows.sent(line[0])
    assert list(windows.next_ones()) == [line[1], other, listed]


def test_lists_of_keys_stand_for_themselves() -> None:
    windows = Windows()
    one = window(read(7), None)
    windows.open(one)
    windows.saw(changed(7))
    assert one.untouched() == []
    windows.close(one)
    assert len(windows) == 0


def test_of_a_chunk_that_is_there_only_its_own_keys_are_noted() -> None:
    windows = Windows()
    one = window(read(1, 2))
    windows.open(one)
    windows.saw(changed(2, 3, 4))
    assert one.touched == {b'{"id":2}'}


def test_a_chunk_that_does_not_come_while_too_much_changes_is_void(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdc.processes.copy_windows.MOST_TOUCHED", 3)
    windows = Windows()
    late = window()
    windows.open(late)
    windows.saw(changed(1, 2, 3))
    assert not late.void
    windows.saw(changed(4))
    assert late.void
    assert late.touched == set()


def test_a_row_that_is_not_there_counts_as_touched_too() -> None:
    windows = Windows()
    future: Future[Chunk] = Future()
    listed = Window(Wanted("shop", "orders", keys=[(7,), (8,)]), future)
    windows.open(listed)
    future.set_result(read(7))
    windows.saw(changed(8, 9))
    assert listed.touched == {b'{"id":8}'}
