"""One table at both sides: readings that outlast a short outage, and the target's rows under the source's present schema."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cdc.binlog.rows_port import Chunk, RowSource, Wanted
from cdc.model.batch import Key
from cdc.model.change import Draft, Row
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import RetryableError
from cdc.model.row_digest import RangeDigest
from cdc.model.schema import TableSchema
from cdc.processes.backoff import Backoff
from cdc.target.port import Target
from cdc.target.rows_port import TableRows

T = TypeVar("T")

_ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, and how to let it pass; tests have their own."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


class Sides:
    """Not thread-safe."""

    def __init__(self, db: str, table: str, source: RowSource, target: Target, clock: Clock) -> None:
        self.db = db
        self.table = table
        self.target = target
        self._source = source
        self._clock = clock
        self._schema: TableSchema | None = None
        self._rows: TableRows | None = None
        self._broken = False

    def patiently(self, ask: Callable[[], T]) -> T:
        """What does not answer is asked again some times, with growing pauses."""
        backoff = Backoff(0.2, 5.0)
        for _ in range(_ATTEMPTS - 1):
            try:
                return ask()
            except RetryableError:
                self._clock.pause(backoff.next())
        return ask()

    def chunk(self, wanted: Wanted, settled: SourcePoint | None = None) -> Chunk:
        """As RowSource.chunk."""
        return self.patiently(lambda: self._source.chunk(wanted, settled))

    def look(self, schema: TableSchema, *, anew: bool = False) -> bool:
        """Whether the target has the table; from here on it is read as `schema` says. A table that is known to be there, under
        this schema, is looked at again only with `anew`. Raises TargetRefused like Target.rows."""
        if anew or self._rows is None or self._schema is None or self._schema.fingerprint() != schema.fingerprint():
            self.close()
            self._schema = schema
            self._rows = self.patiently(lambda: self.target.rows(schema))
        return self._rows is not None

    def close(self) -> None:
        if self._rows is not None and not self._broken:
            self._rows.close()
        self._rows, self._broken = None, False

    @property
    def there(self) -> bool:
        """What the last `look` said."""
        return self._rows is not None

    # What follows is asked after a `look`; without a table there are no rows.

    @property
    def ordered(self) -> bool:
        """As TableRows; a table that is not there has no rows of its own in any order."""
        return self._rows is None or self._rows.ordered

    def key(self, key: Key) -> Key:
        return key if self._rows is None else self._rows.key(key)

    def key_of(self, draft: Draft) -> Key:
        return self.key(tuple(draft.key.values()))

    def differing(self, row: Row, found: Row) -> tuple[str, ...]:
        return () if self._rows is None else self._rows.differing(row, found)

    def at(self, keys: Sequence[Key]) -> Mapping[Key, Row]:
        return self._ask(lambda rows: rows.at(keys), {})

    def between(self, after: Key | None, until: Key | None, limit: int) -> Mapping[Key, Row]:
        return self._ask(lambda rows: rows.between(after, until, limit), {})

    def digest(self, after: Key | None, until: Key | None) -> RangeDigest | None:
        return self._ask(lambda rows: rows.digest(after, until), None)

    def keys_after(self, after: Key | None, limit: int) -> Sequence[Key]:
        return self._ask(lambda rows: rows.keys_after(after, limit), ())

    def _ask(self, question: Callable[[TableRows], T], nothing: T) -> T:
        schema = self._schema

        def ask() -> T:
            if self._broken and schema is not None:
                self._rows, self._broken = self.target.rows(schema), False
            if self._rows is None:
                return nothing
            try:
                return question(self._rows)
            except RetryableError:
                self._rows.close()
                self._broken = True
                raise

        return self.patiently(ask)
