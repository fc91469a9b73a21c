"""Waiting for something to become true, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_LOOK_SECONDS = 0.02


def until(condition: Callable[[], T], seconds: float, what: str | Callable[[], str]) -> T:
    """Call `condition` again and again until its answer is true, and return that answer.

    Fails the test after `seconds`, with `what` (a text, or a function that is asked for one then) and the last
    answer, or the error that the condition raised last: an error counts as "not yet".
    """
    begin = time.monotonic()
    looks = 0
    while True:
        looks += 1
        last: object
        try:
            answer = condition()
        except Exception as error:  # noqa: BLE001 — whatever is not there yet shows as some error
            last = error
        else:
            if answer:
                return answer
            last = answer
        if time.monotonic() - begin > seconds:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {seconds:g} s ({looks} looks): {told}; last: {last!r}")
        time.sleep(_LOOK_SECONDS)
