"""The latency window against the exact answer."""

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.observe.latency import LatencyWindow

SECONDS = st.floats(min_value=0.001, max_value=3600)


def filled(values: list[float]) -> LatencyWindow:
    window = LatencyWindow()
    for value in values:
        window.add(value)
    return window


@given(st.lists(SECONDS, min_size=1, max_size=200), st.floats(min_value=0, max_value=1))
def test_a_quantile_is_within_three_percent_of_the_exact_one(values: list[float], share: float) -> None:
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert filled(values).quantile(share) == pytest.approx(exact, rel=0.03)


@given(st.lists(SECONDS, max_size=50), st.lists(SECONDS, max_size=50), st.lists(SECONDS, max_size=50))
def test_merged_windows_are_the_window_of_all(first: list[float], second: list[float], third: list[float]) -> None:
    merged = filled(first).merge([filled(second), filled(third)])
    assert merged.to_json() == filled(first + second + third).to_json()
    assert len(merged) == len(first + second + third)


@given(st.lists(st.floats(min_value=-1e9, max_value=1e9), max_size=300))
def test_a_window_is_bounded_whatever_it_is_given(values: list[float]) -> None:
    assert len(filled([*values, 1e300]).to_json()) <= 424


def test_it_goes_through_json() -> None:
    window = filled([0.001, 0.5, 0.5, 7])
    again = LatencyWindow(orjson.loads(orjson.dumps(window.to_json())))
    assert (len(again), again.quantile(0.5)) == (4, window.quantile(0.5))


def test_many_equal_ones_are_added_at_once() -> None:
    window = LatencyWindow()
    window.add(0.010, 99)
    window.add(10.0)
    assert window.quantile(0.99) == pytest.approx(0.010, rel=0.03)
    assert window.quantile(1.0) == pytest.approx(10.0, rel=0.03)


def test_an_empty_window_has_no_quantile() -> None:
    window = filled([1.0])
    window.clear()
    assert window.quantile(0.5) is None
    assert not len(window)


def test_a_clock_that_runs_ahead_gives_zero_not_an_error() -> None:
    assert filled([-3.0]).quantile(0.5) == pytest.approx(0.0001)
