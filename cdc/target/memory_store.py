"""What the memory target keeps: rows, lanes and dead letters by URL, and a transaction's own changes on top of them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Protocol

from cdc.model.batch import Key
from cdc.model.change import Row
from cdc.model.checkpoint import Progress
from cdc.target.port import StoredLetter

Lane = tuple[str, str, str]
Refuse = Callable[[str, Row], str | None]


class Holder(Protocol):
    """A writer inside its transaction."""

    def end(self) -> None:
        """Its session is over: everything that it does from now on fails."""


def _accept(_table: str, _row: Row) -> str | None:
    return None


class MemoryStore:
    """What one URL stands for. `refuse(table, row)` may be set by a test: the reason why a row violates a constraint."""

    def __init__(self) -> None:
        self.refuse: Refuse = _accept
        self.changed = threading.Condition()
        self.tables: dict[str, dict[Key, Row]] = {}
        self.lanes: dict[Lane, Progress] = {}
        self.holders: dict[Lane, Holder] = {}
        self.letters: dict[int, tuple[Lane, StoredLetter]] = {}
        self.copies: dict[Lane, str] = {}
        self.ids = count(1)

    def rows(self, table: str) -> dict[Key, Row]:
        """A copy of a table's committed rows by key; empty where there is no such table."""
        with self.changed:
            return {key: dict(row) for key, row in self.tables.get(table, {}).items()}


_stores: dict[str, MemoryStore] = {}
_stores_lock = threading.Lock()


def store(url: str) -> MemoryStore:
    """The store of a URL, made when it is first asked for."""
    with _stores_lock:
        return _stores.setdefault(url, MemoryStore())


def forget(url: str) -> None:
    """Drops a store: whoever opens the URL from now on finds an empty one."""
    with _stores_lock:
        _stores.pop(url, None)


@dataclass(slots=True)
class Overlay:
    """A transaction's own changes: rows by table and key, None for a deleted one; `emptied` tables hide what is below,
    `dropped` ones are gone; `renamed` letters have another table, `altered` ones a line more."""

    tables: dict[str, dict[Key, Row | None]] = field(default_factory=dict)
    emptied: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)
    renamed: dict[int, tuple[str, str]] = field(default_factory=dict)
    altered: dict[int, bytes] = field(default_factory=dict)
    copies: str | None = None

    def copy(self) -> "Overlay":
        tables = {name: dict(rows) for name, rows in self.tables.items()}
        return replace(
            self,
            tables=tables,
            emptied=set(self.emptied),
            dropped=set(self.dropped),
            settled=set(self.settled),
            renamed=dict(self.renamed),
            altered=dict(self.altered),
        )

    def publish(self, place: MemoryStore) -> None:
        """Puts all of it into the store. The caller holds `place.changed`."""
        for name in self.dropped:
            place.tables.pop(name, None)
        for name in self.emptied:
            place.tables.get(name, {}).clear()
        for name, rows in self.tables.items():
            kept = place.tables.setdefault(name, {})
            for key, row in rows.items():
                if row is None:
                    kept.pop(key, None)
                else:
                    kept[key] = row
        for number in self.settled:
            place.letters.pop(number, None)
        for number, (db, table) in self.renamed.items():
            at, parked = place.letters[number]
            place.letters[number] = (at, replace(parked, db=db, table=table))
        for number, line in self.altered.items():
            at, parked = place.letters[number]
            place.letters[number] = (at, replace(parked, since=parked.since + line))
