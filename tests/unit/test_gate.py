"""What of a lane's messages counts: the sentences of the gate that the simulation does not reach."""

import pytest

from cdc.model.change import Change, Marker
from cdc.model.checkpoint import Progress, SourcePoint
from cdc.model.errors import Gap
from cdc.model.position import Sequence
from cdc.processes.gate import LaneGate, Verdict

POINT = SourcePoint("server", "bin.000003", 100)


def epoch(
    token: int, generation: int, n: int = 0, *, previous: tuple[int, int] | None = None, offset: int = 100
) -> Marker:
    content = {
        "generation": generation,
        "previous": previous,
        "start": [3, offset],
        "lanes": ["0", "1"],
        "fingerprint": "f",
    }
    return Marker("epoch", "0", Sequence(generation, 3, offset, 0), n, token, POINT, 0, content)


def change(n: int, token: int, generation: int = 1, offset: int = 200) -> Change:
    seq = Sequence(generation, 3, offset + n, 0)
    return Change("c", "shop", "items", "s", (n,), {"id": n}, seq, n, token, True, False, POINT, 1, b"")


def running(*, token: int = 5, events: int = 0) -> LaneGate:
    gate = LaneGate(Progress("0", 1))
    assert gate.offer("0", epoch(token, 1)) is Verdict.MOVED
    for n in range(1, events + 1):
        assert gate.offer(str(n), change(n, token)) is Verdict.APPLY
    return gate


def test_a_missing_event_is_a_gap_that_names_the_replay() -> None:
    gate = running(events=2)
    with pytest.raises(Gap, match="event 3 should come, but 4 came") as caught:
        gate.offer("9", change(4, 5))
    assert "cdc replay FILE --from bin.000003:100" in caught.value.hint
    assert gate.progress.count == 2


def test_a_heartbeat_that_counts_more_than_came_is_a_gap() -> None:
    gate = running(events=2)
    beat = Marker("heartbeat", "0", Sequence(1, 3, 900, 0), 3, 5, POINT, 0, {})
    with pytest.raises(Gap):
        gate.offer("9", beat)


def test_an_older_readers_messages_are_dropped_and_move_the_offset_only() -> None:
    gate = running(token=5, events=1)
    assert gate.offer("7", epoch(6, 1, n=1)) is Verdict.MOVED
    assert gate.offer("8", change(2, 5)) is Verdict.DROP
    assert (gate.progress.offset, gate.progress.count) == ("8", 1)
    assert gate.offer("9", change(2, 6)) is Verdict.APPLY


def test_a_reader_that_begins_after_what_was_applied_is_a_gap() -> None:
    with pytest.raises(Gap, match="1 events were applied, but the reader begins after 2"):
        running(events=1).offer("7", epoch(6, 1, n=2))


def test_a_sink_that_joins_late_is_told_so_by_a_gap() -> None:
    with pytest.raises(Gap):
        LaneGate(Progress("0", 1)).offer("0", epoch(5, 1, n=4))


def test_a_generation_that_begins_at_or_before_what_was_applied_is_entered_by_a_barrier() -> None:
    gate = running(events=3)
    marker = epoch(6, 2, previous=None, offset=150)
    assert gate.offer("7", marker) is Verdict.BARRIER
    assert gate.progress.offset == "3"
    gate.pass_barrier("7", marker)
    assert gate.progress.watermark == marker.seq
    assert gate.offer("8", change(1, 6, generation=2)) is Verdict.APPLY


def test_a_generation_that_begins_later_is_entered_only_when_the_one_before_is_whole() -> None:
    assert running(events=3).offer("7", epoch(6, 2, previous=(1, 3), offset=900)) is Verdict.BARRIER
    with pytest.raises(Gap, match="generation 2 begins after what was applied"):
        running(events=2).offer("7", epoch(6, 2, previous=(1, 3), offset=900))
    with pytest.raises(Gap):
        running(events=3).offer("7", epoch(6, 2, previous=None, offset=900))


def test_a_lane_that_is_new_in_a_later_generation_waits_for_the_old_lanes() -> None:
    gate = LaneGate(Progress("7", 1))
    assert gate.offer("0", epoch(6, 2, previous=(1, 0), offset=900)) is Verdict.BARRIER


def test_an_unannounced_reader_or_generation_is_a_gap() -> None:
    with pytest.raises(Gap, match="without having announced it"):
        running().offer("1", change(1, 6))
    with pytest.raises(Gap, match="without having announced it"):
        running().offer("1", change(1, 5, generation=2))


def copied(n: int, token: int = 5, offset: int = 500) -> Change:
    seq = Sequence(1, 3, offset, 0)
    return Change("r", "shop", "items", "s", (n,), {"id": n}, seq, n, token, True, False, POINT, 1, b"", True)


def copies(n: int, token: int = 5, offset: int = 500) -> Marker:
    return Marker("copies", "0", Sequence(1, 3, offset, 0), n, token, POINT, 0, {"copies": {}})


def test_copied_rows_pass_behind_all_that_came_and_are_not_counted() -> None:
    gate = running(events=2)
    assert [gate.offer(str(n), copied(2)) for n in (7, 8)] == [Verdict.APPLY, Verdict.APPLY]
    assert gate.offer("9", copies(2)) is Verdict.COPIES
    assert (gate.progress.count, gate.progress.offset) == (2, "9")
    assert gate.progress.watermark == Sequence(1, 3, 500, 0)
    assert gate.offer("10", change(3, 5, offset=501)) is Verdict.APPLY


def test_copied_rows_of_an_older_reader_are_dropped() -> None:
    gate = running(token=6, events=1)
    assert gate.offer("7", copied(1, token=5)) is Verdict.DROP
    assert gate.offer("8", copies(1, token=5)) is Verdict.DROP


@pytest.mark.parametrize("item", [copied(3), copied(1), copied(2, offset=100)])
def test_copied_rows_at_another_place_are_a_gap(item: Change) -> None:
    with pytest.raises(Gap):
        running(events=2).offer("7", item)


def test_what_a_new_reader_says_of_copies_before_what_was_applied_moves_nothing() -> None:
    gate = running(events=2)
    assert gate.offer("7", copies(1, offset=150)) is Verdict.COPIES
    assert gate.progress.watermark == Sequence(1, 3, 202, 0)
    with pytest.raises(Gap):
        gate.offer("8", copies(3))
