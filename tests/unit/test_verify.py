"""A comparison of one table against a source and a sink in memory: what is planted is found, what only moves is not."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count

import pytest

from cdc.binlog.rows_port import Wanted
from cdc.model.batch import Key
from cdc.model.change import Row
from cdc.model.checkpoint import Progress, SourcePoint
from cdc.model.errors import SinkBehind, TargetUnavailable
from cdc.model.position import Sequence as Position
from cdc.model.schema import Column, TableSchema
from cdc.processes.passing import behind
from cdc.processes.standing import STILL_LOOKS
from cdc.processes.verify_report import TableReport
from cdc.target.rows_port import TableRows
from tests.support.verified import DIGESTED, NAMED, NUMBERED, World

BOTH_KEYS = pytest.mark.parametrize("schema", [NUMBERED, DIGESTED, NAMED], ids=["by-number", "by-digests", "by-text"])


def _key(world: World, number: int) -> Key:
    return (f"k{number:06d}",) if world.schema is NAMED else (number,)


def _counts(report: TableReport) -> tuple[int, int, int, int]:
    return report.missing, report.extra, report.different, report.unsettled


@BOTH_KEYS
def test_both_sides_equal(schema: TableSchema) -> None:
    world = World(schema)
    world.fill(35)
    report = world.verify()
    assert (report.rows, _counts(report), report.equal) == (35, (0, 0, 0, 0), True)


@BOTH_KEYS
def test_an_empty_table_is_equal_to_an_empty_one(schema: TableSchema) -> None:
    report = World(schema).verify()
    assert (report.rows, report.equal) == (0, True)


@BOTH_KEYS
@pytest.mark.parametrize("number", [0, 9, 10, 22, 34])
def test_one_wrong_cell_is_found_with_its_key_and_column(schema: TableSchema, number: int) -> None:
    world = World(schema)
    world.fill(35)
    world.there[_key(world, number)]["note"] = "wrong"
    report = world.verify(values=True)
    assert _counts(report) == (0, 0, 1, 0)
    (found,) = report.differences
    assert (found.kind, tuple(found.key.values()), found.columns) == ("different", _key(world, number), ("note",))
    assert found.source is not None
    assert found.target is not None
    assert (found.source["note"], found.target["note"]) == (f"note {number}", "wrong")


@BOTH_KEYS
@pytest.mark.parametrize("number", [0, 9, 10, 34])
def test_one_missing_row_is_found(schema: TableSchema, number: int) -> None:
    world = World(schema)
    world.fill(35)
    del world.there[_key(world, number)]
    report = world.verify()
    assert _counts(report) == (1, 0, 0, 0)
    (found,) = report.differences
    assert (found.kind, tuple(found.key.values()), found.source) == ("missing", _key(world, number), None)


@BOTH_KEYS
@pytest.mark.parametrize("number", [0, 9, 10, 34])
def test_one_extra_row_is_found_before_among_and_behind_the_others(schema: TableSchema, number: int) -> None:
    world = World(schema)
    world.fill(35)
    del world.source[_key(world, number)]
    report = world.verify()
    assert _counts(report) == (0, 1, 0, 0)
    (found,) = report.differences
    assert (found.kind, tuple(found.key.values())) == ("extra", _key(world, number))


@BOTH_KEYS
def test_extra_rows_of_a_source_that_has_none(schema: TableSchema) -> None:
    world = World(schema)
    world.fill(25)
    world.source.clear()
    assert _counts(world.verify()) == (0, 25, 0, 0)


@BOTH_KEYS
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("lag", [0, 1, 3])
def test_no_false_alarm_while_rows_change_and_what_is_planted_is_found_all_the_same(
    schema: TableSchema, seed: int, lag: int
) -> None:
    world = World(schema, lag=lag)
    world.fill(60)
    pick = random.Random(seed)
    planted = {_key(world, 7): "different", _key(world, 31): "missing", (_key(world, 999)): "extra"}
    world.there[_key(world, 7)]["note"] = "wrong"
    del world.there[_key(world, 31)]
    world.there[_key(world, 999)] = {"id": _key(world, 999)[0], "note": "nobody's"}

    def work(_wanted: object = None) -> None:
        for _ in range(4):
            number = pick.choice([n for n in range(80) if n not in {7, 31}])
            note = None if pick.random() < 0.3 else f"note {pick.random()}"
            world.commit(_key(world, number)[0], note)

    rounds = iter(range(200))
    # The work stops at last: rows that change for ever are another test's.
    world.tick = lambda: work() if next(rounds, None) is not None else None
    world.rows.on_read = lambda wanted: work() if next(rounds, None) is not None else None
    report = world.verify()
    assert {tuple(one.key.values()): one.kind for one in report.differences} == planted
    assert report.unequal == 3


@BOTH_KEYS
def test_rows_that_change_at_every_look_are_undecided_and_no_difference(schema: TableSchema) -> None:
    world = World(schema, lag=2)
    world.fill(20)
    times = iter(range(10**6))

    def work(_wanted: Wanted | None = None) -> None:
        for number in (3, 4):
            world.commit(_key(world, number)[0], f"time {next(times)}")

    world.tick = work
    world.rows.on_read = work
    world.commit(_key(world, 3)[0], "begin")
    report = world.verify(patience_seconds=10**6)
    assert report.equal
    assert report.unsettled in {1, 2}


def test_chunks_are_read_ahead_while_the_sink_is_waited_for_and_not_without_bound() -> None:
    world = World()
    world.fill(500)
    world.commit(1, "waits")
    world.running = False
    begun = []

    def tick() -> None:
        begun.append(world.rows.reads)
        world.running = len(begun) > 5

    world.tick = tick
    assert world.verify(chunk_rows=10).equal
    assert 2 <= begun[0] <= 8
    assert world.rows.reads >= 50


def test_a_sink_that_stands_still_is_an_error_that_says_where_and_what_to_do() -> None:
    world = World()
    world.fill(5)
    world.running = False
    world.commit(1, "never applied")
    with pytest.raises(SinkBehind, match=r"lane 0 is at 1:\d+, lane 1 is at") as caught:
        world.verify(patience_seconds=3)
    assert "cdc run" in caught.value.hint
    assert world.now < 10


def test_a_sink_that_never_began_is_said_so() -> None:
    world = World()
    world.source[1,] = {"id": 1, "note": "x"}
    world.target.store.lanes.clear()
    world.running = False
    with pytest.raises(SinkBehind, match="lane 0 is nowhere yet"):
        world.verify(patience_seconds=3)


def test_a_sink_of_another_server_is_said_so() -> None:
    world = World()
    world.fill(2)
    world.running = False
    for at, row in world.target.store.lanes.items():
        world.target.store.lanes[at] = Progress(
            row.lane, 1, watermark=row.watermark, point=SourcePoint("b", "m.000001", 9)
        )
    with pytest.raises(SinkBehind, match="follows another server"):
        world.verify(patience_seconds=3)


def test_a_target_that_is_down_for_a_moment_ends_nothing_and_one_that_stays_down_does() -> None:
    world = World()
    world.fill(30)
    asked = count()
    progress = world.target.progress
    down = range(2, 5)

    def flaky() -> object:
        if next(asked) in down:
            raise TargetUnavailable("no answer", hint="wait")
        return progress()

    world.target.progress = flaky  # type: ignore[assignment,method-assign]
    world.there[2,]["note"] = "wrong"
    assert _counts(world.verify()) == (0, 0, 1, 0)
    down = range(0, 10**9)
    with pytest.raises(TargetUnavailable):
        world.verify(patience_seconds=3)


def test_a_connection_to_the_target_that_breaks_is_opened_again_and_a_broken_one_is_no_missing_table() -> None:
    world = World()
    world.fill(30)
    world.there[22,]["note"] = "wrong"
    open_rows, opened, broken = world.target.rows, count(), count()

    def rows(schema: TableSchema) -> TableRows | None:
        number = next(opened)
        if number in {1, 2}:
            raise TargetUnavailable("no answer", hint="wait")
        found = open_rows(schema)
        assert found is not None
        between = found.between

        def breaking(after: Key | None, until: Key | None, limit: int) -> Mapping[Key, Row]:
            if number == 0 and next(broken) >= 1:
                raise TargetUnavailable("broken", hint="wait")
            return between(after, until, limit)

        found.between = breaking  # type: ignore[method-assign]
        return found

    world.target.rows = rows  # type: ignore[method-assign]
    report = world.verify()
    assert (report.rows, _counts(report), report.note) == (30, (0, 0, 1, 0), "")
    assert next(opened) >= 4


def test_a_rewind_that_begins_meanwhile_makes_no_difference_of_what_it_applies_again() -> None:
    """Just before the target is looked at, a row is brought back to what it was long ago, and its lane is further back."""
    world = World()
    world.fill(10)
    world.running = False
    world.there[4,]["note"] = "suspect"
    looks = iter(range(10**6))
    open_rows = world.target.rows

    def rows(schema: TableSchema) -> TableRows | None:
        opened = open_rows(schema)
        assert opened is not None
        at = opened.at

        def at_a_bad_moment(keys: Sequence[Key]) -> Mapping[Key, Row]:
            if next(looks) < 2 * STILL_LOOKS:
                world.there[4,]["note"] = "of long ago"
                world.rewind(2, 50)
            return at(keys)

        opened.at = at_a_bad_moment  # type: ignore[method-assign]
        return opened

    def applied_again() -> None:
        world.there[4,]["note"] = "note 4"
        world.rewind(2, 10**6)

    world.target.rows = rows  # type: ignore[method-assign]
    world.tick = applied_again
    report = world.verify()
    assert next(looks) > 2 * STILL_LOOKS
    assert (report.unequal, report.unsettled) == (0, 0)


def test_ranges_whose_digests_are_equal_are_not_fetched() -> None:
    world = World(DIGESTED)
    world.fill(2000)
    world.there[1200,]["note"] = "wrong"
    asked: list[Wanted] = []
    world.rows.on_read = asked.append
    report = world.verify(range_rows=100, chunk_rows=100)
    assert (report.rows, _counts(report)) == (2000, (0, 0, 1, 0))
    assert 4 <= world.rows.digests <= 6  # of larger and larger ranges
    fetched = len([one for one in asked if one.keys is None]) - world.rows.digests
    assert 1 <= fetched <= 8  # the one range in which something is wrong


def test_all_rows_are_fetched_where_that_is_asked_for() -> None:
    world = World(DIGESTED)
    world.fill(30)
    world.rows.digest = _never  # type: ignore[method-assign]
    assert world.verify(by_rows=True).rows == 30


def _never(*_arguments: object) -> None:
    raise AssertionError("no digest was asked for")


def test_only_so_many_are_listed_and_all_are_counted() -> None:
    world = World()
    world.fill(50)
    for number in range(0, 50, 2):
        world.there[number,]["note"] = "wrong"
    report = world.verify(limit=7)
    assert (report.different, len(report.differences)) == (25, 7)
    assert report.differences[0].source is None


def test_a_table_that_the_target_lacks_is_said_once_and_its_rows_are_counted() -> None:
    world = World(DIGESTED)
    world.fill(45)
    del world.target.store.tables["orders"]
    world.running = False
    report = world.verify()
    assert (report.missing, report.rows, report.differences) == (45, 45, [])
    assert report.note == "the target has no such table"
    assert not report.equal


def test_a_table_that_the_target_lacks_is_no_difference_while_the_source_has_no_row_of_it() -> None:
    world = World()
    del world.target.store.tables["orders"]
    world.running = False
    report = world.verify()
    assert report.equal
    assert not report.note


def test_rows_that_wait_as_dead_letters_are_told_from_the_others() -> None:
    world = World()
    world.fill(10)
    world.there[3,]["note"] = "old"
    world.there[5,]["note"] = "wrong"
    world.parked_keys = frozenset({(3,), (9,)})
    report = world.verify()
    assert (report.different, report.waiting) == (1, 1)
    assert [(one.key["id"], one.waits) for one in report.differences] == [(3, True), (5, False)]
    assert not report.equal


def test_a_repair_is_asked_for_every_row_that_differs_listed_or_not_but_not_for_those_with_dead_letters() -> None:
    world = World()
    world.fill(30)
    for number in (1, 2, 3):
        world.there[number,]["note"] = "wrong"
    del world.there[20,]
    del world.source[25,]
    world.parked_keys = frozenset({(2,)})
    asked: list[tuple[str, str, Key]] = []
    world.verify(limit=0, repair=lambda db, table, keys: asked.extend((db, table, key) for key in keys))
    assert sorted(asked) == [("shop", "orders", (number,)) for number in (1, 3, 20, 25)]


def test_a_rate_is_not_gone_beyond() -> None:
    world = World()
    world.fill(300)
    began = world.now
    report = world.verify(rows_per_second=50.0)
    assert report.rows == 300
    assert world.now - began >= 300 / 50 * 0.99
    assert report.rows_per_second <= 51


def test_a_table_that_is_altered_meanwhile_is_compared_on_as_it_is_now() -> None:
    world = World()
    world.fill(40)
    altered = replace(NUMBERED, columns=(*NUMBERED.columns, Column("more", "int")))

    def on_read(_wanted: Wanted) -> None:
        if world.rows.reads == 3:
            world.schema = altered
            for rows in (world.source, world.there):
                for row in rows.values():
                    row["more"] = 5
            world.there[39,]["more"] = 6

    world.rows.on_read = on_read
    report = world.verify()
    assert _counts(report) == (0, 0, 1, 0)
    assert report.differences[0].columns == ("more",)


def _row(lane: str, generation: int, file: int, offset: int, source_id: str = "s") -> Progress:
    return Progress(
        lane, 1, watermark=Position(generation, file, offset, 0), point=SourcePoint(source_id, "m.000001", 4)
    )


@pytest.mark.parametrize(
    ("rows", "generation", "lacking"),
    [
        ([_row("0", 1, 7, 500), _row("1", 1, 7, 500)], 1, []),
        ([_row("0", 1, 7, 499), _row("1", 1, 8, 4)], 1, ["0"]),
        ([_row("0", 1, 7, 500)], 1, ["1"]),
        ([_row("0", 1, 9, 4), _row("1", 2, 9, 4)], 0, ["0"]),
        ([_row("0", 1, 9, 4), _row("1", 1, 9, 4)], 2, ["0", "1"]),
        ([_row("0", 1, 9, 4), _row("1", 1, 9, 4, "another")], 1, ["1"]),
        ([_row("0", 1, 9, 4), _row("1", 1, 9, 4), _row("7", 1, 1, 4)], 1, []),
        ([Progress("0"), _row("1", 1, 9, 4)], 1, ["0"]),
    ],
    ids=[
        "all",
        "one-byte-short",
        "no-row",
        "older-generation",
        "newer-in-queue",
        "another-server",
        "old-lane",
        "no-point",
    ],
)
def test_which_lanes_have_not_passed_a_place(rows: list[Progress], generation: int, lacking: list[str]) -> None:
    point = SourcePoint("s", "m.000007", 500)
    assert list(behind(point, ["0", "1"], generation, {row.lane: row for row in rows})) == lacking
