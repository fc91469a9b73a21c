"""How long to wait before the next attempt: doubling, with full jitter, up to a bound."""

import random

_FIRST_SECONDS = 0.2
_MOST_SECONDS = 15.0


class Backoff:
    """`next` gives the seconds to wait; `reset` after a success."""

    def __init__(self, first_seconds: float = _FIRST_SECONDS, most_seconds: float = _MOST_SECONDS) -> None:
        self._first = first_seconds
        self._most = most_seconds
        self._attempts = 0

    def next(self) -> float:
        bound = min(self._most, self._first * float(1 << min(self._attempts, 16)))
        self._attempts += 1
        return bound / 2 + random.random() * bound / 2  # noqa: S311 - jitter is no secret

    def reset(self) -> None:
        self._attempts = 0
