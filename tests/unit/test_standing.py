"""When a row counts as different: pure."""

import pytest

from cdc.processes.standing import MOST_LOOKS, STILL_LOOKS, Suspect, Verdict, digest, pause_seconds

OLD, NEW, OTHER = (digest({"id": 1, "v": value}) for value in ("old", "new", "other"))
NONE = digest(None)


def test_one_equal_look_ends_it_whatever_came_before() -> None:
    suspect = Suspect()
    assert suspect.look(OLD, NEW, equal=False) is Verdict.AGAIN
    assert suspect.look(NEW, NEW, equal=True) is Verdict.EQUAL


@pytest.mark.parametrize(("source", "target"), [(OLD, NEW), (NONE, NEW), (OLD, NONE)])
def test_what_stands_still_for_some_looks_differs(source: bytes, target: bytes) -> None:
    suspect = Suspect()
    verdicts = [suspect.look(source, target, equal=False) for _ in range(STILL_LOOKS)]
    assert verdicts == [Verdict.AGAIN] * (STILL_LOOKS - 1) + [Verdict.DIFFERS]


def test_a_change_at_either_side_begins_it_anew_and_asks_for_more() -> None:
    suspect = Suspect()
    changing = [(OLD, NEW), (OLD, NEW), (NEW, OTHER), (NEW, OTHER), (NEW, OTHER)]
    for source, target in [*changing, *[(NEW, OLD)] * (2 * STILL_LOOKS - 1)]:
        assert suspect.look(source, target, equal=False) is Verdict.AGAIN
    assert suspect.look(NEW, OLD, equal=False) is Verdict.DIFFERS


def test_a_row_that_changes_at_every_look_is_undecided_at_last() -> None:
    suspect = Suspect()
    states = [(digest({"v": number}), digest({"v": number - 1})) for number in range(MOST_LOOKS)]
    verdicts = [suspect.look(source, target, equal=False) for source, target in states]
    assert verdicts == [Verdict.AGAIN] * (MOST_LOOKS - 1) + [Verdict.UNSETTLED]


def test_a_row_and_its_absence_are_two_states_and_so_are_equal_numbers_of_other_signs() -> None:
    assert digest(None) != digest({})
    assert digest({"v": 0.0}) != digest({"v": -0.0})
    assert digest({"v": "\ud800"}) == digest({"v": "\ud800"})


def test_pauses_grow_up_to_a_bound() -> None:
    pauses = [pause_seconds(number) for number in range(1, 20)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.2
    assert pauses[-1] == 5.0
