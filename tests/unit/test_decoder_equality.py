"""The compiled decoder is the plain one, byte for byte: golden events, what becomes of them when damaged, projections, keys."""

import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from random import Random

import pytest

from cdc.binlog.decoder.port import PARTIAL_UPDATE_ROWS_EVENT, TableMap
from cdc.model.compiled import EncodedRows
from cdc.model.errors import BinlogDamaged, CdcError, NotUnderstood, TableRefused
from tests.fuzz import target
from tests.support import row_events
from tests.support.changes import both, given_up, must_be_equal, outcome, projected
from tests.support.row_events import ColumnBytes, image, prefixed, rows_event

PLAIN, COMPILED = both()
compiled_plan = import_module("cdc.binlog.decoder.compiled_plan")
GOLDEN = target.corpus()
LEFT_TO_THE_PLAIN_ONE = ("row_image_minimal", "row_image_noblob", "partial_json")
INT, VARCHAR, DOUBLE, GEOMETRY = 3, 15, 5, 255


def table_of(event: target.Sound) -> TableMap:
    return PLAIN.table_map(memoryview(event.table_map), event.known)


def test_golden_events_come_to_the_same_and_in_c() -> None:
    before = given_up(COMPILED)
    for event in GOLDEN:
        table = table_of(event)
        projection = projected(table)
        mine = must_be_equal(event.event_type, event.rows, table, projection)
        if not isinstance(mine, CdcError) and table.schema.table not in LEFT_TO_THE_PLAIN_ONE:
            changes = COMPILED.changes(event.event_type, memoryview(event.rows), table, projection)
            assert isinstance(changes, EncodedRows)
            assert list(changes) == PLAIN.changes(event.event_type, memoryview(event.rows), table, projection)
    assert given_up(COMPILED) == before


def test_what_is_cut_short_or_too_long_comes_to_the_same() -> None:
    for event in GOLDEN:
        table = table_of(event)
        projection = projected(table)
        for length in range(0, len(event.rows), 1 + len(event.rows) // 150):
            must_be_equal(event.event_type, event.rows[:length], table, projection)
        must_be_equal(event.event_type, event.rows + b"\xff", table, projection)


def test_mutated_events_come_to_the_same() -> None:
    seed = Random().getrandbits(64)
    rng = Random(seed)
    noise = target.Noise(lambda most: rng.randint(0, most), rng.randbytes)
    for number in range(4000):
        event = target.mutated(rng.choice(GOLDEN), noise)
        try:
            table = table_of(event)
            projection = projected(table, mask=("*.b",) * rng.randint(0, 1))
        except (BinlogDamaged, NotUnderstood, TableRefused):
            continue
        try:
            must_be_equal(event.event_type, event.rows, table, projection)
        except Exception as error:
            error.add_note(f"input {number} of Random({seed}): {event}")
            raise


COLUMNS = (
    ColumnBytes("name", VARCHAR, b"\x50\0"),
    ColumnBytes("id", INT, nullable=False),
    ColumnBytes('re"gion', VARCHAR, b"\x20\0", row_events.LATIN1, nullable=False),
    ColumnBytes("note", VARCHAR, b"\x50\0", row_events.SJIS),
)
KEY = (2, 1)


def _table(columns: Sequence[ColumnBytes] = COLUMNS, key: Sequence[int] = KEY) -> TableMap:
    return PLAIN.table_map(memoryview(row_events.table_map(columns, key)))


def _row(name: str | None, number: int, region: bytes, note: bytes | None = b"\x83e\x83X") -> bytes:
    texts = [None if raw is None else prefixed(raw) for raw in (name and name.encode(), region, note)]
    return image([texts[0], number.to_bytes(4, "little", signed=True), *texts[1:]])


@pytest.mark.parametrize("exclude", [(), ("*.name",), ("*.note",), ("*.name", "*.note")])
@pytest.mark.parametrize("mask", [(), ("*.name",), ("*.id",), ('*.re"gion', "*.note")])
def test_projections_and_masks_come_to_the_same(exclude: tuple[str, ...], mask: tuple[str, ...]) -> None:
    before = given_up(COMPILED)
    table = _table()
    projection = projected(table, exclude, mask)
    rows = [_row("Ann", 1, b"eu"), _row(None, -2, b"\xdcber "), _row("B\u00fc\n", 3, b'"\\ A')]
    for kind, images in ((30, rows), (32, rows), (31, [rows[0], rows[1], rows[2], rows[2]])):
        told = must_be_equal(kind, rows_event(kind, 4, images), table, projection)
        assert isinstance(told, list)
        changes = COMPILED.changes(kind, memoryview(rows_event(kind, 4, images)), table, projection)
        assert isinstance(changes, EncodedRows)
    assert given_up(COMPILED) == before


def test_an_update_that_changes_the_key_is_a_delete_and_a_create() -> None:
    table = _table()
    images = [_row("a", 1, b"eu"), _row("a", 1, b"us"), _row("a", 2, b"x"), _row("b", 2, b"x")]
    told = must_be_equal(31, rows_event(31, 4, images), table, projected(table))
    assert isinstance(told, list)
    assert [op for op, *_ in told] == ["d", "c", "u"]


@pytest.mark.parametrize("kind", [23, 24, 25, 30, 31, 32])
def test_an_event_without_rows_has_no_changes(kind: int) -> None:
    table = _table()
    assert must_be_equal(kind, rows_event(kind, 4, [], extra=b"xyz"), table, projected(table)) == []


def test_what_is_excluded_is_read_all_the_same() -> None:
    table = _table()
    body = rows_event(30, 4, [image([prefixed(b"\xff"), bytes(4), prefixed(b"eu"), None])])
    error = must_be_equal(30, body, table, projected(table, exclude=("*.name",)))
    assert "not text in its charset utf8mb4" in str(error)


def test_keys_that_their_json_does_not_tell_apart_are_left_to_the_plain_one() -> None:
    """0.0 and -0.0 are one key."""
    table = _table((ColumnBytes("id", DOUBLE, b"\x08"), ColumnBytes("n", INT)), (0,))
    images = [image([bytes(8), bytes(4)]), image([bytes(7) + b"\x80", bytes(4)])]
    told = must_be_equal(31, rows_event(31, 2, images), table, projected(table))
    assert isinstance(told, list)
    assert [op for op, *_ in told] == ["u"]


def test_an_event_of_another_table_is_damage_to_both() -> None:
    table = _table()
    body = bytearray(rows_event(30, 4, [_row("a", 1, b"eu")]))
    body[0] += 1
    error = must_be_equal(30, bytes(body), table, projected(table))
    assert isinstance(error, BinlogDamaged)


def test_a_plan_belongs_to_one_table_map() -> None:
    """The same projection with another map of the table: ids of tables differ."""
    table = _table()
    other = row_events.table_map(COLUMNS, KEY)
    other_table = PLAIN.table_map(memoryview(b"\x09" + other[1:]))
    projection = projected(table)
    body = rows_event(30, 4, [_row("a", 1, b"eu")])
    for each in (table, other_table, table):
        must_be_equal(30, body, each, projection)


@pytest.mark.parametrize("code", [0, 11, 252])
def test_a_column_that_is_not_read_is_refused_by_both(code: int) -> None:
    """An old decimal, an old time, and text in a collation that nobody knows."""
    column = ColumnBytes("v", code, b"\2" * (code == 252), collation=65535)
    table = _table((ColumnBytes("id", INT), column), (0,))
    assert isinstance(
        must_be_equal(30, rows_event(30, 2, [image([bytes(4), None])]), table, projected(table)), CdcError
    )


@pytest.mark.parametrize("kind", [0, 22, 26, 29, 33, 38, 40, 255])
def test_an_event_that_is_not_known_to_hold_rows_stops_both(kind: int) -> None:
    table = _table()
    assert isinstance(must_be_equal(kind, rows_event(30, 4, []), table, projected(table)), NotUnderstood)


def test_an_object_in_the_key_goes_to_the_lane_that_the_plain_one_gives_it() -> None:
    """No server has a geometry in a key; the fuzzer has."""
    point = bytes.fromhex("e61000000101000000000000000000f03f0000000000000040")
    table = _table((ColumnBytes("id", INT), ColumnBytes("at", GEOMETRY, b"\x04")), (1,))
    body = rows_event(30, 2, [image([bytes(4), len(point).to_bytes(4, "little") + point])])
    told = must_be_equal(30, body, table, projected(table))
    assert not isinstance(told, CdcError)
    assert [op for op, *_ in told] == ["c"]


def test_floats_that_orjson_lays_out_otherwise_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_plan, "floats_are_known", lambda: False)
    table = _table((ColumnBytes("id", INT), ColumnBytes("v", DOUBLE, b"\x08")), (0,))
    must_be_equal(30, rows_event(30, 2, [image([bytes(4), struct.pack("<d", 1e16)])]), table, projected(table))


def test_partial_updates_are_the_plain_ones() -> None:
    event = next(each for each in GOLDEN if each.event_type == PARTIAL_UPDATE_ROWS_EVENT)
    table = table_of(event)
    assert isinstance(must_be_equal(event.event_type, event.rows, table, projected(table)), list)


def test_events_that_release_the_lock_come_to_the_same_in_many_threads() -> None:
    table = _table(COLUMNS[:3], KEY)
    rows = [image([prefixed(b"x" * 70), n.to_bytes(4, "little"), prefixed(b"\xe9")]) for n in range(2000)]
    body, projection = rows_event(30, 3, rows), projected(table)
    expected = outcome(PLAIN, 30, body, table, projection)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: outcome(COMPILED, 30, body, table, projection), range(16)))
    assert found == [expected] * 16
