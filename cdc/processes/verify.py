"""`cdc verify`: holds a sink's tables against the source's while both are written to.

Table by table: rows of the source in key order, some thousands at a time; for each such chunk the place in the binlog up to
which it goes is waited for at the sink; then the target's rows of these keys are read and compared. What is unequal is only a
suspect (cdc.processes.standing decides). Where keys are ordered alike at both sides, rows that only the target has lie in the
same ranges; else its keys are paged through in its own order, and the source is asked for them.

Where both servers can make a digest of a range of rows that is the same for the same rows, ranges are compared by that, and only
the rows of those that differ are fetched.

Chunks are read ahead while the sink is waited for, a bounded number of them, so that a busy source costs no wait for each.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from cdc.binlog.digest_port import Digested, DigestSource
from cdc.binlog.rows_port import Chunk, Wanted
from cdc.model.batch import Key
from cdc.model.change import Row
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import TargetRefused
from cdc.model.row_digest import RangeDigest
from cdc.processes.passing import Passing
from cdc.processes.suspects import Suspects
from cdc.processes.table_sides import Clock, Sides
from cdc.processes.verify_report import TableReport

_MOST_AHEAD = 8
_MOST_SUSPECTS = 10_000
_MOST_TOGETHER = 1000
_LEAST_RANGE_ROWS = 1000
_MOST_RANGE_ROWS = 100_000

Repair = Callable[[str, str, Sequence[Key]], None]
"""(db, table, keys): has the source's present rows of these keys sent through the stream."""


@dataclass(frozen=True, slots=True)
class Options:
    """`limit`: how many differences of a table are listed; `values`: with the rows' values. `rows_per_second`: of the source, at
    most; 0: no bound. `by_rows`: all rows are fetched, whatever the servers could tell. `chunk_rows`, `chunk_bytes`: what is read
    at once; `range_rows`: of how many rows the first digest is. `patience_seconds`: as of Passing."""

    limit: int = 100
    values: bool = False
    rows_per_second: float = 0.0
    by_rows: bool = False
    patience_seconds: float = 60.0
    chunk_rows: int = 5000
    chunk_bytes: int = 4 * 1024 * 1024
    range_rows: int = 20_000

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
        digests: DigestSource | None = None,
        repair: Repair | None = None,
    ) -> None:
        self._sides = sides
        self._passing = passing
        self._suspects = suspects
        self._report = report
        self._options = options
        self._watcher = watcher
        self._clock = clock
        self._digests = None if options.by_rows else digests
        self._repair = repair
        self._together = _MOST_TOGETHER
        self._began = clock.now()
        self._absent = False
        self._unordered = False

    def run(self) -> None:
        """Raises what source, queue and target raise (an outage only after some attempts), and SinkBehind."""
        try:
            if self._digests is None:
                self._forward(None, None)
            else:
                self._by_ranges(self._digests)
            if self._unordered:
                self._backward()
            self._settle()
        finally:
            self._sides.close()
            self._moved()

    def _by_ranges(self, digests: DigestSource) -> None:
        """The digests of both sides, range by range: larger ones as long as they are equal, smaller ones where they are not. From
        where that is not possible, all rows."""
        ahead: deque[tuple[Key | None, Digested]] = deque()
        after: Key | None = None
        ended, size = False, self._options.range_rows
        least = min(size, _LEAST_RANGE_ROWS)
        while ahead or not ended:
            if not ended and (not ahead or (len(ahead) < _MOST_AHEAD and self._must_wait(ahead[0][1].high))):
                digested = self._digest(digests, after, size)
                if digested is None:
                    self._forward(ahead[0][0] if ahead else after, None)
                    return
                ahead.append((after, digested))
                after, ended = digested.last, digested.last is None
                continue
            began, digested = ahead.popleft()
            self._passing.wait(digested.high)
            found = self._found_digest(began, digested)
            if found is None:
                self._forward(began, None)
                return
            if found == digested.digest:
                self._report.rows += found.rows
                self._moved()
                self._keep_pace()
                size = min(2 * size, _MOST_RANGE_ROWS)
            else:
                self._forward(began, digested.last)
                size = max(size // 2, least)

    def _digest(self, digests: DigestSource, after: Key | None, size: int) -> Digested | None:
        rate = self._options.rows_per_second
        rows = min(size, max(1, int(rate))) if rate else size
        return self._sides.patiently(lambda: digests.digest(self._sides.db, self._sides.table, after, rows))

    def _found_digest(self, began: Key | None, digested: Digested) -> RangeDigest | None:
        try:
            return self._sides.digest(began, digested.last) if self._sides.look(digested.schema) else None
        except TargetRefused:
            # Whether the table was altered meanwhile shows when its rows are read.
            self._sides.close()
            return None

    def _forward(self, after: Key | None, until: Key | None) -> None:
        """All rows of the source in the range, and what the target has of them."""
        ahead: deque[tuple[Key | None, Chunk]] = deque()
        ended = False
        while ahead or not ended:
            if not ended and (not ahead or (len(ahead) < _MOST_AHEAD and self._must_wait(ahead[0][1].high))):
                chunk = self._chunk(after, until)
                ahead.append((after, chunk))
                after, ended = chunk.last, chunk.last is None
                continue
            began, chunk = ahead.popleft()
            self._passing.wait(chunk.high)
            try:
                self._compare(began, chunk, until)
            except TargetRefused:
                again = self._chunk(began, until)
                if again.schema == chunk.schema:
                    raise
                # The table was altered at both sides since it was read: from here on as it is now.
                ahead.clear()
                ahead.append((began, again))
                after, ended = again.last, again.last is None

    def _must_wait(self, point: SourcePoint) -> bool:
        return not self._sides.patiently(lambda: self._passing.passed(point))

    def _chunk(self, after: Key | None, until: Key | None) -> Chunk:
        options = self._options
        wanted = Wanted(
            self._sides.db,
            self._sides.table,
            after=after,
            until=until,
            max_rows=options.rows_at_once,
            max_bytes=options.chunk_bytes,
        )
        chunk = self._sides.chunk(wanted)
        if chunk.last is not None and len(chunk.rows) < options.rows_at_once:
            # The bytes have cut it short: no more rows than these lie in memory at once where they are asked for by key.
            self._together = self._suspects.together = max(1, min(self._together, len(chunk.rows)))
        return chunk

    def _compare(self, began: Key | None, chunk: Chunk, until: Key | None) -> None:
        if self._sides.look(chunk.schema):
            self._absent = False
            for key, row, found in self._unequal(began, chunk, until):
                self._suspects.add(key, row, found)
                if len(self._suspects) >= _MOST_SUSPECTS:
                    self._settle()
        else:
            self._without_table(chunk)
        self._report.rows += len(chunk.rows)
        self._moved()
        self._keep_pace()

    def _unequal(
        self, began: Key | None, chunk: Chunk, until: Key | None
    ) -> Iterator[tuple[Key, Row | None, Row | None]]:
        """(key, the source's row, the target's), either of them None where there is none."""
        sides = self._sides
        rows = {sides.key_of(draft): draft.after for draft in chunk.rows}
        for page in self._pages(began, until if chunk.last is None else chunk.last, list(rows)):
            for key, found in page.items():
                row = rows.pop(key, None)
                if row is None or sides.differing(row, found):
                    yield key, row, found
        for key, row in rows.items():
            yield key, row, None

    def _pages(self, began: Key | None, until: Key | None, keys: Sequence[Key]) -> Iterator[Mapping[Key, Row]]:
        """The target's rows of the chunk's range where that is the same rows at both sides, else those of its keys."""
        if not (self._sides.ordered and _ascends(began, keys)):
            self._unordered = True
            yield self._sides.at(keys)
            return
        after, limit = began, len(keys) + self._together
        while True:
            page = self._sides.between(after, until, limit)
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
