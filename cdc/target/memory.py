"""A target in this process's memory: for tests and for trying out. It obeys all of cdc.target.port, fencing included.

A store is shared by all who open the same URL in this process, so that a test can look at its rows. Values are kept as they
are on the wire; there are no types and no unique keys beside the primary one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

import orjson

from cdc.model.batch import DeadLetter, Key, TableBatch
from cdc.model.change import Row
from cdc.model.checkpoint import Progress
from cdc.model.config import SinkConfig
from cdc.model.errors import Fenced, RowRefused, TargetBusy, TargetRefused, TargetUnavailable
from cdc.model.finding import Finding
from cdc.model.schema import TableSchema
from cdc.model.schema_change import SchemaChange
from cdc.target.carried import changes_keys, keys_wait, line_of
from cdc.target.fencing import fenced
from cdc.target.memory_rows import MemoryRows
from cdc.target.memory_schema import change_schema
from cdc.target.memory_store import Lane, MemoryStore, Overlay, forget, store
from cdc.target.port import ColumnFinding, Expected, StoredLetter
from cdc.target.row_images import MISSING_ROW_HINT
from cdc.target.rows_port import TableRows
from cdc.target.settling import expect_dropped, lanes_of
from cdc.target.sql.names import shown, target_name

__all__ = ["MemoryStore", "MemoryTarget", "MemoryWriter", "forget", "store"]

_SETTLE_SECONDS = 20.0


class MemoryWriter:
    """See cdc.target.port.LaneWriter. Its changes are its own until commit, which puts them into the store at once."""

    def __init__(self, owner: Lane, config: SinkConfig, place: MemoryStore, lease_seconds: float) -> None:
        self._connector, self._sink, self._lane = owner
        self._config = config
        self._store = place
        self._lease_seconds = lease_seconds
        self._token = 0
        self._ended = False
        self._overlay: Overlay | None = None
        self._parking: list[DeadLetter] = []

    def take_over(self, lane: str, token: int) -> Progress | None:
        self.rollback()
        self._lane, self._token = lane, 0
        with self._store.changed:
            self._alive()
            self._check_above(token)
            if not self._wait_for_holder():
                self._end_holder()
            stored = self._check_above(token)
            previous = replace(stored, token=token) if stored else None
            self._store.lanes[self._place] = previous or Progress(lane, token)
            self._token = token
            return previous

    def begin(self) -> Progress:
        with self._store.changed:
            self._alive()
            if not self._wait_for_holder():
                raise TargetBusy(f"lane {self._lane} is locked by another writer", hint="it is tried again")
            stored = self._store.lanes.get(self._place)
            if self._token == 0 or stored is None or stored.token != self._token:
                raise fenced(self._lane, self._token, stored.token if stored else 0)
            self._store.holders[self._place] = self
            self._overlay = Overlay()
            return stored

    def parked(self) -> frozenset[tuple[str, str, Key]]:
        with self._store.changed:
            self._open()
            stored = {
                (s.db, s.table, tuple(orjson.loads(s.key)))
                for at, s in self._store.letters.values()
                if at[:2] == self._place[:2]
            }
        return frozenset(stored | {(x.change.db, x.change.table, x.change.key) for x in self._parking})

    def apply(self, batches: Sequence[TableBatch], *, savepoint: bool = False, tolerant: bool = False) -> None:
        with self._store.changed:
            before = self._open()
            work = before.copy() if savepoint else before
            for batch in batches:
                self._delete(work, batch)
            for batch in batches:
                self._write(work, batch, tolerant=tolerant)
            self._overlay = work

    def truncate(self, schema_db: str, table: str) -> None:
        name = str(target_name(self._config.table, schema_db, table))
        with self._store.changed:
            overlay = self._open()
            overlay.emptied.add(name)
            overlay.tables[name] = {}
            overlay.settled |= self._letters_of(schema_db, table)

    def change_schema(self, change: SchemaChange) -> None:
        with self._store.changed:
            letters = self._letters_of(change.db, change.table)
            overlay = self._open()
            if change.kind == "alter" and letters:
                if changes_keys(change):
                    raise keys_wait(change)
                overlay.altered |= dict.fromkeys(letters, line_of(change))
            change_schema(self._store, overlay, self._config, change, letters)

    def _letters_of(self, db: str, table: str) -> set[int]:
        return {
            number
            for number, (at, letter) in self._store.letters.items()
            if at[:2] == self._place[:2] and (letter.db, letter.table) == (db, table)
        }

    def forget(self) -> None:
        """Nothing is remembered of a table's shape."""

    def park(self, letters: Sequence[DeadLetter]) -> None:
        with self._store.changed:
            self._open()
        self._parking.extend(letters)

    def remember(self, copies: str) -> None:
        with self._store.changed:
            self._open().copies = copies

    def commit(self, progress: Progress) -> None:
        with self._store.changed:
            overlay = self._open()
            if (progress.lane, progress.token) != (self._lane, self._token):
                raise fenced(self._lane, progress.token, self._token)
            overlay.publish(self._store)
            for letter in self._parking:
                number = next(self._store.ids)
                self._store.letters[number] = (self._place, _stored(number, self._lane, letter))
            self._store.lanes[self._place] = progress
            if overlay.copies is not None:
                self._store.copies[self._place] = overlay.copies
            self._release()

    def apply_at_once(self, batches: Sequence[TableBatch], progress: Progress) -> bool:
        if self._overlay is not None:
            return False
        try:
            self.begin()
            if not self.parked():
                self.apply(batches)
                self.commit(progress)
                return True
        except (Fenced, RowRefused, TargetBusy):
            pass
        self.rollback()
        return False

    def rollback(self) -> None:
        with self._store.changed:
            self._release()

    def close(self) -> None:
        self.rollback()

    def settle(self, letters: Sequence[StoredLetter], batches: Sequence[TableBatch]) -> None:
        """Target.settle: a transaction of its own, in line with the lanes' holders."""
        with self._store.changed:
            self._wait_for_all(lanes_of(letters))
            stored = self._store.letters
            there = {letter.id for letter in letters if letter.id in stored and stored[letter.id][1] == letter}
            expect_dropped(letters, len(there))
            work = Overlay()
            for batch in batches:
                self._delete(work, batch)
            for batch in batches:
                self._write(work, batch, tolerant=True)
            work.publish(self._store)
            for number in there:
                del self._store.letters[number]

    @property
    def _place(self) -> Lane:
        return self._connector, self._sink, self._lane

    def _alive(self) -> None:
        if self._ended:
            raise TargetUnavailable("another worker ended this session", hint="it is tried again with a new one")

    def _open(self) -> Overlay:
        self._alive()
        if self._overlay is None:
            raise TargetRefused("no transaction was begun", hint="report this: it is a defect of the sink")
        return self._overlay

    def _check_above(self, token: int) -> Progress | None:
        stored = self._store.lanes.get(self._place)
        if stored is not None and stored.token >= token:
            raise fenced(self._lane, token, stored.token)
        return stored

    def _wait_for_holder(self) -> bool:
        """Whether the lane is free within half a lease."""
        deadline = monotonic() + self._lease_seconds / 2
        while self._store.holders.get(self._place) is not None:
            if not self._store.changed.wait(max(0.0, deadline - monotonic())) and monotonic() >= deadline:
                return False
        return True

    def _wait_for_all(self, lanes: Sequence[str]) -> None:
        """Until no lane has a holder: while one is waited for, another may get one."""
        while any((self._connector, self._sink, lane) in self._store.holders for lane in lanes):
            for lane in lanes:
                self._lane = lane
                if not self._wait_for_holder():
                    raise TargetBusy(f"lane {self._lane} is locked by its sink", hint="it is tried again")

    def _end_holder(self) -> None:
        self._store.holders.pop(self._place).end()
        self._store.changed.notify_all()

    def end(self) -> None:
        """Somebody else has ended this session."""
        self._ended = True

    def _release(self) -> None:
        if self._store.holders.get(self._place) is self:
            del self._store.holders[self._place]
            self._store.changed.notify_all()
        self._overlay = None
        self._parking = []

    def _table(self, overlay: Overlay, schema: TableSchema) -> str:
        name = str(target_name(self._config.table, schema.db, schema.table))
        if not schema.key:
            raise TargetRefused(
                f"table {shown(schema.name)} has no primary key, so its rows cannot be told apart",
                hint="give it a primary key at the source, or leave it out of sink.tables",
            )
        _check_there(self._store, self._config, name)
        overlay.tables.setdefault(name, {})
        return name

    def _row(self, overlay: Overlay, name: str, key: Key) -> Row | None:
        own = overlay.tables[name]
        if key in own:
            return own[key]
        return None if name in overlay.emptied else self._store.tables.get(name, {}).get(key)

    def _delete(self, overlay: Overlay, batch: TableBatch) -> None:
        name = self._table(overlay, batch.schema)
        for key in batch.deletes:
            overlay.tables[name][key] = None

    def _write(self, overlay: Overlay, batch: TableBatch, *, tolerant: bool) -> None:
        name = self._table(overlay, batch.schema)
        for row in batch.updates:
            key = tuple(row[column] for column in batch.schema.key)
            present = self._row(overlay, name, key)
            if present is None and not (tolerant and len(row) == len(batch.schema.columns)):
                raise _missing(name, batch.schema.key, key)
            self._put(overlay, name, key, {**(present or {}), **row})
        for row in batch.inserts:
            if len(row) != len(batch.schema.columns):
                raise RowRefused(
                    f"a new row for table {shown(name)} lacks columns", hint="`cdc replay` sends the whole row again"
                )
            key = tuple(row[column] for column in batch.schema.key)
            self._put(overlay, name, key, {**(self._row(overlay, name, key) or {}), **row})

    def _put(self, overlay: Overlay, name: str, key: Key, row: Row) -> None:
        reason = self._store.refuse(name, row)
        if reason is not None:
            raise RowRefused(f"table {shown(name)} refuses row {list(key)}: {reason}", hint="see the test's `refuse`")
        overlay.tables[name][key] = row


class MemoryTarget:
    """See cdc.target.port.Target."""

    def __init__(self, connector: str, sink: str, config: SinkConfig) -> None:
        self._connector = connector
        self._sink = sink
        self._config = config
        self.store = store(config.url.get_secret_value())

    def writer(self, lease_seconds: float) -> MemoryWriter:
        return MemoryWriter((self._connector, self._sink, ""), self._config, self.store, lease_seconds)

    def progress(self) -> Mapping[str, Progress]:
        with self.store.changed:
            return {at[2]: row for at, row in self.store.lanes.items() if at[:2] == (self._connector, self._sink)}

    def copies(self) -> Mapping[str, str]:
        with self.store.changed:
            return {at[2]: text for at, text in self.store.copies.items() if at[:2] == (self._connector, self._sink)}

    def inspect(self, schemas: Sequence[TableSchema]) -> Mapping[str, Sequence[ColumnFinding]]:
        for schema in schemas:
            _check_there(self.store, self._config, str(target_name(self._config.table, schema.db, schema.table)))
        return {}

    def findings(self, tables: Sequence[Expected]) -> Sequence[Finding]:
        """There are no types, keys, triggers or users, and nothing outlives the process."""
        return ()

    def dead_letters(self, limit: int) -> Sequence[StoredLetter]:
        return tuple(self._letters()[:limit])

    def dead_letter_count(self) -> int:
        return len(self._letters())

    def settle(self, letters: Sequence[StoredLetter], batches: Sequence[TableBatch]) -> None:
        if letters:
            self.writer(_SETTLE_SECONDS).settle(letters, batches)

    def rows(self, schema: TableSchema) -> TableRows | None:
        name = str(target_name(self._config.table, schema.db, schema.table))
        with self.store.changed:
            return MemoryRows(self.store, name, schema) if name in self.store.tables else None

    def describe(self) -> str:
        return "memory of this process"

    def close(self) -> None:
        """Nothing is held open; the store stays."""

    def _letters(self) -> list[StoredLetter]:
        with self.store.changed:
            mine = (self._connector, self._sink)
            return [letter for at, letter in self.store.letters.values() if at[:2] == mine]


def _check_there(place: MemoryStore, config: SinkConfig, name: str) -> None:
    if not config.create_tables and name not in place.tables:
        raise TargetRefused(f"the target has no table {shown(name)}", hint="make it, or set sink.create_tables: true")


def _stored(number: int, lane: str, letter: DeadLetter) -> StoredLetter:
    change = letter.change
    return StoredLetter(
        id=number,
        lane=lane,
        db=change.db,
        table=change.table,
        key=orjson.dumps(change.key).decode(),
        seq=":".join(map(str, change.seq)),
        reason=letter.reason,
        parked_at=datetime.now(UTC).isoformat(),
        key_json=orjson.dumps({str(place): value for place, value in enumerate(change.key, 1)}),
        value=change.raw,
    )


def _missing(table: str, columns: Sequence[str], key: Key) -> RowRefused:
    named = ", ".join(f"{name}={shown(str(value))}" for name, value in zip(columns, key, strict=True))
    return RowRefused(
        f"table {shown(table)} lacks the row {named} that an update is for",
        hint=MISSING_ROW_HINT,
    )
