"""A lane that lost messages: only a generation that makes good what is missing lets it go on."""

from typing import Any

import pytest

from cdc.model.change import Marker
from cdc.model.checkpoint import Progress, SourcePoint
from cdc.model.errors import Gap
from cdc.model.position import Sequence
from cdc.processes.gate import LaneGate, Verdict

POINT = SourcePoint("server", "bin.000001", 500)


def gate(skip_to: int) -> LaneGate:
    """Generation 1 was applied up to offset 500, 7 events."""
    made = LaneGate(Progress("0", 3, 2, Sequence(1, 1, 500, 0), 7, "2-9", POINT))
    made.skip_to = skip_to
    return made


def marker(kind: str, generation: int, n: int, start: int, token: int, previous: Any = None) -> Marker:
    point = SourcePoint("server", "bin.000001", start)
    content = {"generation": generation, "previous": previous, "start": [1, start], "lanes": ["0"], "fingerprint": "f"}
    return Marker(kind, "0", Sequence(generation, 1, start, 0), n, token, point, 0, content)


def test_what_comes_before_the_new_generation_is_dropped_and_the_offset_stays() -> None:
    one = gate(skip_to=2)
    for lost in (marker("heartbeat", 1, 20, 900, 2), marker("barrier", 1, 21, 950, 2), marker("epoch", 1, 15, 800, 3)):
        assert one.offer("2-90", lost) is Verdict.DROP
    assert (one.offset, one.count, one.reader_token) == ("2-9", 7, 2)


@pytest.mark.parametrize(("start", "previous"), [(300, None), (500, (1, 20)), (900, (1, 7))])
def test_a_generation_that_leaves_nothing_out_is_entered(start: int, previous: Any) -> None:
    one = gate(skip_to=2)
    begin = marker("epoch", 2, 0, start, 4, previous)
    assert one.offer("4-1", begin) is Verdict.BARRIER
    one.pass_barrier("4-1", begin)
    assert (one.skip_to, one.offset, one.watermark.generation) == (0, "4-1", 2)


def test_a_generation_that_leaves_something_out_is_a_gap() -> None:
    with pytest.raises(Gap, match="begins after what was applied"):
        gate(skip_to=2).offer("4-1", marker("epoch", 2, 0, 900, 4, (1, 20)))


def test_a_later_generation_may_mend_what_an_earlier_one_does_not() -> None:
    one = gate(skip_to=3)
    assert one.offer("4-1", marker("epoch", 2, 0, 900, 4, (1, 20))) is Verdict.DROP
    assert one.offer("5-1", marker("epoch", 3, 0, 300, 5)) is Verdict.BARRIER


def test_an_older_reader_s_generation_does_not_count() -> None:
    assert gate(skip_to=2).offer("1-1", marker("epoch", 2, 0, 300, 1)) is Verdict.DROP
