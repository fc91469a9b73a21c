"""What of the source's tables is being copied, as a part of the checkpoint: a crash of any process costs a chunk at most."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

Key = tuple[Any, ...]
"""As cdc.model.batch has it, which lies above the checkpoint."""

_REMEMBERED_REQUESTS = 50


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Of a table's keys, in key order: from behind `after` (None: the first) to `until` (None: the last)."""

    after: Key | None = None
    until: Key | None = None


@dataclass(frozen=True, slots=True)
class TableCopy:
    """A table whose rows are not all sent yet. `ranges`: what is still to be read; `where`: a condition in SQL, or "". `rows`:
    how many were sent so far, of about `estimated`. `request`: the one that asked for it, "" where the connector file did."""

    db: str
    table: str
    where: str = ""
    ranges: tuple[KeyRange, ...] = (KeyRange(),)
    rows: int = 0
    estimated: int = 0
    request: str = ""

    @property
    def name(self) -> str:
        return f"{self.db}.{self.table}"


@dataclass(frozen=True, slots=True)
class Copies:
    """`step` grows with each change. `done`: tables (db.table) of which everything was sent; `given_up`: those of which that is
    not so, and will not be until they are copied again, emptied or dropped. `requests`: the latest that were taken in: one that
    comes again is the same."""

    step: int = 0
    paused: bool = False
    tables: tuple[TableCopy, ...] = ()
    done: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()

    @property
    def working(self) -> bool:
        return bool(self.tables)

    def table(self, db: str, table: str) -> TableCopy | None:
        return next((copy for copy in self.tables if (copy.db, copy.table) == (db, table)), None)

    def changed(self, **parts: Any) -> "Copies":
        return replace(self, step=self.step + 1, **parts)

    def begun(self, copies: Iterable[TableCopy], request: str = "") -> "Copies":
        """With these tables from their beginning, also those that were under way or done."""
        new = tuple(copies)
        names = {copy.name for copy in new}
        return self.changed(
            tables=(*(copy for copy in self.tables if copy.name not in names), *new),
            done=tuple(name for name in self.done if name not in names),
            given_up=tuple(name for name in self.given_up if name not in names),
            requests=self._with(request),
        )

    def sent(self, db: str, table: str, done: KeyRange, rest: KeyRange | None, rows: int) -> "Copies":
        """`rows` more of the table were sent; what is left of the range `done` is `rest`."""
        copy = self.table(db, table)
        if copy is None or done not in copy.ranges:
            return self
        left = tuple(part for one in copy.ranges if (part := rest if one == done else one) is not None)
        moved = replace(copy, ranges=left, rows=copy.rows + rows)
        others = tuple(one for one in self.tables if one is not copy)
        if left:
            return self.changed(tables=tuple(moved if one is copy else one for one in self.tables))
        return self.changed(tables=others, done=(*self.done, copy.name))

    def without(self, names: Iterable[str], request: str = "") -> "Copies":
        """These tables are not copied any further."""
        asked = frozenset(names)
        left = tuple(copy for copy in self.tables if copy.name not in asked)
        gone = (copy.name for copy in self.tables if copy.name in asked)
        return self.changed(tables=left, given_up=(*self.given_up, *gone), requests=self._with(request))

    def renamed(self, db: str, table: str, to: tuple[str, str]) -> "Copies":
        """The table has another name now."""
        copy, name = self.table(db, table), f"{db}.{table}"
        if copy is None and name not in self.done and name not in self.given_up:
            return self
        new = ".".join(to)
        tables = tuple(replace(one, db=to[0], table=to[1]) if one is copy else one for one in self.tables)
        done, given_up = (tuple(new if one == name else one for one in names) for names in (self.done, self.given_up))
        return self.changed(tables=tables, done=done, given_up=given_up)

    def dropped(self, db: str, table: str) -> "Copies":
        """The table is gone, and its rows with it."""
        copy, name = self.table(db, table), f"{db}.{table}"
        if copy is None and name not in self.done and name not in self.given_up:
            return self
        left = tuple(one for one in self.tables if one is not copy)
        done, given_up = (tuple(one for one in names if one != name) for names in (self.done, self.given_up))
        return self.changed(tables=left, done=done, given_up=given_up)

    def emptied(self, db: str, table: str) -> "Copies":
        """The table has no rows, and so lacks none of those that were given up."""
        name = f"{db}.{table}"
        if name not in self.given_up:
            return self
        return self.changed(given_up=tuple(one for one in self.given_up if one != name))

    def pausing(self, paused: bool, request: str = "") -> "Copies":
        return self.changed(paused=paused, requests=self._with(request))

    def anew(self) -> "Copies":
        """All of them from the beginning: also those that are done, since it is not known what of them was applied."""
        known = {copy.name for copy in self.tables}
        done = (name.partition(".") for name in self.done if name not in known)
        again = [TableCopy(db, table) for db, _, table in done]
        restarted = [replace(copy, ranges=(KeyRange(),), rows=0) for copy in self.tables]
        return self.changed(tables=(*restarted, *again), done=())

    def _with(self, request: str) -> tuple[str, ...]:
        return (*self.requests, request)[-_REMEMBERED_REQUESTS:] if request else self.requests

    def has_all(self, noted: str | None) -> bool:
        """Whether a lane that has noted this at its target (None: nothing) has all that was copied."""
        return not self.step or (noted is not None and Copies.from_json(noted).step >= self.step)

    def to_json(self) -> bytes:
        return orjson.dumps(self)

    @classmethod
    def from_json(cls, text: bytes | str) -> "Copies":
        return cls.of(orjson.loads(text))

    @classmethod
    def of(cls, raw: Mapping[str, Any] | None) -> "Copies":
        """From parsed JSON; None: there are none."""
        if not raw:
            return NO_COPIES
        return cls(
            raw["step"],
            raw["paused"],
            tuple(
                TableCopy(
                    one["db"],
                    one["table"],
                    one["where"],
                    tuple(KeyRange(_key(part["after"]), _key(part["until"])) for part in one["ranges"]),
                    one["rows"],
                    one["estimated"],
                    one["request"],
                )
                for one in raw["tables"]
            ),
            tuple(raw["done"]),
            tuple(raw["given_up"]),
            tuple(raw["requests"]),
        )


NO_COPIES = Copies()


def _key(raw: list[Any] | None) -> Key | None:
    return None if raw is None else tuple(raw)


def least(states: Iterable[str]) -> Copies | None:
    """What is certain to be applied everywhere, given what each lane of each sink has noted last ("": nothing). None: nobody
    knows of a copy. Where one has noted nothing, all that the others know of begins anew."""
    noted = [Copies.from_json(text) if text else None for text in states]
    known = [one for one in noted if one is not None]
    if not known:
        return None
    lowest = min(known, key=lambda one: one.step)
    newest = max(known, key=lambda one: one.step)
    return newest.anew() if len(known) < len(noted) else replace(lowest, step=newest.step + 1)
