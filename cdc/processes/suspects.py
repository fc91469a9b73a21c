"""Rows that looked unequal once: looked at again, many at a time, until it is certain what they are."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from cdc.binlog.rows_port import Chunk, Wanted
from cdc.model.batch import Key
from cdc.model.change import Row
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import TargetRefused
from cdc.processes.passing import Passing
from cdc.processes.standing import Suspect, Verdict, digest, pause_seconds
from cdc.processes.table_sides import Clock, Sides
from cdc.processes.verify_report import Difference, Kind, TableReport, named_key

_MOST_REFUSALS = 3
_MOST_AHEAD = 4

ParkedKeys = Callable[[], frozenset[Key]]
"""The keys of the table's rows that have dead letters at this sink now."""


class Suspects:
    """Keys by themselves, and of each row only digests: so many rows may be suspects at once, however wide they are.

    `together`: of how many the rows may lie in memory at once. `limit`, `values`: of the differences that the report lists.
    `end`: the source's end at the moment of the call.
    """

    def __init__(
        self,
        sides: Sides,
        end: Callable[[], SourcePoint],
        passing: Passing,
        report: TableReport,
        *,
        parked: ParkedKeys,
        clock: Clock,
        limit: int,
        values: bool,
    ) -> None:
        self._sides = sides
        self._end = end
        self._passing = passing
        self._report = report
        self._parked_keys = parked
        self._clock = clock
        self._limit = limit
        self._values = values
        self._pool: dict[Key, Suspect] = {}
        self._parked: frozenset[Key] | None = None
        self._refusals = 0
        self.together = 1000

    def __len__(self) -> int:
        return len(self._pool)

    def add(self, key: Key, row: Row | None, found: Row | None) -> None:
        """A row that one look has shown unequal, the target having passed that of the source."""
        suspect = self._pool.setdefault(key, Suspect())
        suspect.look(digest(row), digest(found), equal=False)

    def add_unseen(self, key: Key) -> None:
        """A row that the target seems to have and the source has not."""
        self._pool.setdefault(key, Suspect())

    def settle(self) -> list[Key]:
        """Until none is left; the keys of those that differ and have no dead letters."""
        self._parked = None
        differing: list[Key] = []
        rounds = 0
        while self._pool:
            rounds += 1
            self._clock.pause(pause_seconds(rounds))
            differing += self._round(anew=rounds == 1)
        return differing

    def _round(self, *, anew: bool) -> Iterator[Key]:
        """One more look at each, some read ahead while the sink is waited for; gives what `_compare` gives. `anew`: the target's
        table may have another shape than when it was looked at."""
        ahead: deque[tuple[Sequence[Key], Chunk]] = deque()
        portions = _portions(list(self._pool), self.together)
        while True:
            keys = next(portions, None) if len(ahead) < _MOST_AHEAD else None
            if keys is not None:
                ahead.append((keys, self._read(keys)))
                continue
            if not ahead:
                return
            yield from self._compare(*ahead.popleft(), anew=anew)
            anew = False

    def _read(self, keys: Sequence[Key]) -> Chunk:
        # All that the target can have shown before is committed before this moment: this reading must show it as well, although
        # a server's binlog, from which the target has it, may tell a transaction before its tables show it.
        settled = self._sides.patiently(self._end)
        return self._sides.chunk(Wanted(self._sides.db, self._sides.table, keys=keys), settled)

    def _compare(self, keys: Sequence[Key], chunk: Chunk, *, anew: bool) -> Iterator[Key]:
        """The keys of those that are now known to differ, without dead letters."""
        sides = self._sides
        self._passing.wait(chunk.high)
        try:
            sides.look(chunk.schema, anew=anew)
            found = sides.at(keys)
        except TargetRefused:
            # It may have been altered in between: then the next look is of both sides as they are now.
            self._refusals += 1
            if self._refusals > _MOST_REFUSALS:
                raise
            sides.close()
            return
        if not sides.patiently(lambda: self._passing.passed(chunk.high, anew=True)):
            return  # a rewind has begun: what was read may be of long ago
        rows = {sides.key_of(draft): draft.after for draft in chunk.rows}
        for key in keys:
            row, there = rows.get(key), found.get(key)
            names = sides.differing(row, there) if row is not None and there is not None else ()
            verdict = self._pool[key].look(digest(row), digest(there), equal=_equal(row, there, names))
            if verdict is Verdict.AGAIN:
                continue
            del self._pool[key]
            if verdict is Verdict.UNSETTLED:
                self._report.unsettled += 1
            elif verdict is Verdict.DIFFERS and not self._differs(chunk.schema.key, key, row, there, names):
                yield key

    def _differs(
        self, columns: Sequence[str], key: Key, row: Row | None, found: Row | None, names: tuple[str, ...]
    ) -> bool:
        """Counts it; whether it has dead letters."""
        if self._parked is None:
            self._parked = frozenset(map(self._sides.key, self._parked_keys()))
        kind: Kind = "extra" if row is None else "missing" if found is None else "different"
        waits = key in self._parked
        values = (row, found) if self._values else (None, None)
        # Of a table that is not there, one sentence says it.
        limit = self._limit if self._sides.there else 0
        self._report.add(Difference(kind, named_key(columns, key), names, *values, waits=waits), limit)
        return waits


def _equal(row: Row | None, found: Row | None, names: Sequence[str]) -> bool:
    if row is None or found is None:
        return row is found
    return not names


def _portions(keys: Sequence[Key], size: int) -> Iterator[Sequence[Key]]:
    left = iter(keys)
    while portion := list(islice(left, size)):
        yield portion
