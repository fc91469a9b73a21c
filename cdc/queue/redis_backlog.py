"""What lies in a lane of Redis Streams, in messages: a bundle of copied rows is one entry, and counts as its rows."""

from collections import deque
from collections.abc import Iterable


class Backlog:
    """Of one lane, as a run sees it. `left`: so many more messages than entries earlier runs may have left there. They count
    until the last entry of those runs is trimmed: which of them are bundles is not known."""

    def __init__(self, left: int) -> None:
        self._left = left
        self._sent = 0
        self._more = 0
        self._bundles: deque[tuple[int, int]] = deque()

    @property
    def sent(self) -> int:
        """Entries of this run."""
        return self._sent

    @property
    def more(self) -> int:
        """So many more messages than entries may be there."""
        return self._left + self._more

    def send(self, entries: int, bundles: Iterable[tuple[int, int]]) -> None:
        """`bundles`: of those entries, from 0 on, which are bundles, and the rows of each."""
        for place, rows in bundles:
            self._bundles.append((self._sent + place + 1, rows - 1))
            self._more += rows - 1
        self._sent += entries

    def messages(self, entries: int) -> int:
        """`entries`: as many as the lane has now. It is trimmed from its beginning."""
        if entries <= self._sent:
            self._left = 0
        trimmed = self._sent - entries
        while self._bundles and self._bundles[0][0] <= trimmed:
            self._more -= self._bundles.popleft()[1]
        return entries + self.more
