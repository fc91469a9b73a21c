"""`cdc verify`: holds a sink's tables against the source's while both are written to.

Table by table: rows of the source in key order, some thousands at a time; for each such chunk the place in the binlog up to
which it goes is waited for at the sink; then the target's rows of these keys are read and compared. What is unequal is only a
suspect (cdc.processes.standing decides). Where keys are ordered alike at both sides, rows that only the target has lie in the
same ranges; else its keys are paged through in its own order, and the source is asked for them.

Chunks are read ahead while the sink is waited for, a bounded number of them, so that a busy source costs no wait for each.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from cdc.binlog.rows_port import Chunk, Wanted
from cdc.model.batch import Key
from cdc.model.change import Row
from cdc.model.errors import TargetRefused
from cdc.processes.passing import Passing
from cdc.processes.suspects import Suspects
from cdc.processes.table_sides import Clock, Sides
from cdc.processes.verify_report import TableReport

_MOST_AHEAD = 8
_MOST_SUSPECTS = 10_000
_MOST_TOGETHER = 1000

Repair = Callable[[str, str, Sequence[Key]], None]
"""(db, table, keys): has the source's present rows of these keys sent through the stream."""


@dataclass(frozen=True, slots=True)
class Options:
    """`limit`: how many differences of a table are listed; `values`: with the rows' values. `rows_per_second`: of the source, at
    most; 0: no bound. `chunk_rows`, `chunk_bytes`: what is read at once. `patience_seconds`: as of Passing."""

    limit: int = 100
    values: bool = False
    rows_per_second: float = 0.0
    patience_seconds: float = 60.0
    chunk_rows: int = 5000
    chunk_bytes: int = 4 * 1024 * 1024

    @property
    def rows_at_once(self) -> int:
        """A low rate is kept in small steps, not by reading thousands and then pausing for minutes."""
        return min(self.chunk_rows, max(1, int(self.rows_per_second))) if self.rows_per_second else self.chunk_rows


class Watcher(Protocol):
    """Who is told how it goes on, often, by the thread that compares."""

    def begins(self, report: TableReport) -> None:
        """A table is next; `report.estimated` is about how many rows the source has of it."""

    def moves(self, report: TableReport) -> None: ...

    def ends(self, report: TableReport) -> None: ...


class TableVerifier:
    """One table at one sink, once. `report` is filled; `repair` is given every row that differs, but those with dead letters."""

    def __init__(
        self,
        sides: Sides,
        passing: Passing,
        suspects: Suspects,
        report: TableReport,
        options: Options,
        *,
        watcher: Watcher,
        clock: Clock,
        repair: Repair | None = None,
    ) -> None:
        self._sides = sides
        self._passing = passing
        self._suspects = suspects
        self._report = report
        self._options = options
        self._watcher = watcher
        self._clock = clock
        self._repair = repair
        self._together = _MOST_TOGETHER
        self._began = clock.now()
        self._absent = False
        self._unordered = False

    def run(self) -> None:
        """Raises what source, queue and target raise (an outage only after some attempts), and SinkBehind."""
        try:
            self._forward()
            if self._unordered:
                self._backward()
            self._settle()
        finally:
            self._sides.close()
            self._moved()

    def _forward(self) -> None:
        """All rows of the source, and what the target has of them."""
        ahead: deque[tuple[Key | None, Chunk]] = deque()
        after: Key | None = None
        ended = False
        while ahead or not ended:
            if not ended and (not ahead or (len(ahead) < _MOST_AHEAD and self._must_wait(ahead[0][1]))):
                chunk = self._chunk(after)
                ahead.append((after, chunk))
                after, ended = chunk.last, chunk.last is None
                continue
            began, chunk = ahead.popleft()
            self._passing.wait(chunk.high)
            try:
                self._compare(began, chunk)
            except TargetRefused:
                again = self._chunk(began)
                if again.schema == chunk.schema:
                    raise
                # The table was altered at both sides since it was read: from here on as it is now.
                ahead.clear()
                ahead.append((began, again))
                after, ended = again.last, again.last is None

    def _must_wait(self, chunk: Chunk) -> bool:
        return not self._sides.patiently(lambda: self._passing.passed(chunk.high))

    def _chunk(self, after: Key | None) -> Chunk:
        options = self._options
        wanted = Wanted(
            self._sides.db,
            self._sides.table,
            after=after,
            max_rows=options.rows_at_once,
            max_bytes=options.chunk_bytes,
        )
        chunk = self._sides.chunk(wanted)
        if chunk.last is not None and len(chunk.rows) < options.rows_at_once:
            # The bytes have cut it short: no more rows than these lie in memory at once where they are asked for by key.
            self._together = self._suspects.together = max(1, min(self._together, len(chunk.rows)))
        return chunk

    def _compare(self, began: Key | None, chunk: Chunk) -> None:
        if self._sides.look(chunk.schema):
            self._absent = False
            for key, row, found in self._unequal(began, chunk):
                self._suspects.add(key, row, found)
                if len(self._suspects) >= _MOST_SUSPECTS:
                    self._settle()
        else:
            self._without_table(chunk)
        self._report.rows += len(chunk.rows)
        self._moved()
        self._keep_pace()

    def _unequal(self, began: Key | None, chunk: Chunk) -> Iterator[tuple[Key, Row | None, Row | None]]:
        """(key, the source's row, the target's), either of them None where there is none."""
        sides = self._sides
        rows = {sides.key_of(draft): draft.after for draft in chunk.rows}
        for page in self._pages(began, chunk, list(rows)):
            for key, found in page.items():
                row = rows.pop(key, None)
                if row is None or sides.differing(row, found):
                    yield key, row, found
        for key, row in rows.items():
            yield key, row, None

    def _pages(self, began: Key | None, chunk: Chunk, keys: Sequence[Key]) -> Iterator[Mapping[Key, Row]]:
        """The target's rows of the chunk's range where that is the same rows at both sides, else those of its keys."""
        if not (self._sides.ordered and _ascends(began, keys)):
            self._unordered = True
            yield self._sides.at(keys)
            return
        after, limit = began, len(keys) + self._together
        while True:
            page = self._sides.between(after, chunk.last, limit)
            yield page
            if len(page) < limit:
                return
            after = list(page)[-1]

    def _without_table(self, chunk: Chunk) -> None:
        """The target has no such table. Once that has stood still, rows are only counted."""
        keys = [self._sides.key_of(draft) for draft in chunk.rows]
        if self._absent:
            self._report.missing += len(keys)
            self._repaired(keys)
            return
        for draft, key in zip(chunk.rows, keys, strict=True):
            self._suspects.add(key, draft.after, None)
        before = self._report.missing
        self._settle()
        if self._report.missing > before and not self._sides.there:
            self._absent = True
            self._report.note = "the target has no such table"

    def _backward(self) -> None:
        """All keys of the target, and whether the source has them."""
        sides, after = self._sides, None
        while keys := sides.keys_after(after, self._together):
            if keys[-1] == after:
                raise TargetRefused(
                    f"the keys of table {self._report.table} cannot be paged through at the target",
                    hint="report this, with the types and collations of the target's key",
                )
            after = keys[-1]
            chunk = sides.chunk(Wanted(sides.db, sides.table, keys=keys))
            there = {sides.key_of(draft) for draft in chunk.rows}
            for key in keys:
                if key not in there:
                    self._suspects.add_unseen(key)
            if len(self._suspects) >= _MOST_SUSPECTS:
                self._settle()
            self._moved()

    def _settle(self) -> None:
        self._repaired(self._suspects.settle())

    def _repaired(self, keys: Sequence[Key]) -> None:
        if self._repair is not None and keys:
            self._repair(self._sides.db, self._sides.table, keys)

    def _moved(self) -> None:
        self._report.seconds = self._clock.now() - self._began
        self._watcher.moves(self._report)

    def _keep_pace(self) -> None:
        rate = self._options.rows_per_second
        early = self._report.rows / rate - (self._clock.now() - self._began) if rate else 0.0
        if early > 0:
            self._clock.pause(early)


def _ascends(began: Key | None, keys: Sequence[Key]) -> bool:
    """Whether a chunk's keys, of numbers, go up: the source reads along its index, which may have columns that descend."""
    every: list[Any] = [*([] if began is None else [began]), *keys]
    return all(one < other for one, other in pairwise(every))
