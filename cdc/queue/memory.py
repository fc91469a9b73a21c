"""The in-memory twin of the queues: obeys all of the port, for tests and for `memory://`, within one process.

Queues of one connector name share one store; it lives as long as the process, or until `forget`.
"""

import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cdc.model.change import Message
from cdc.model.checkpoint import Checkpoint
from cdc.model.config import ConnectorConfig
from cdc.model.finding import Finding
from cdc.model.schema import TableSchema
from cdc.model.table_version import TableVersion
from cdc.queue.breakage import Guard, check_sizes, fenced, lost
from cdc.queue.entry_id import BEGINNING, EntryId, check_follows, check_not_trimmed
from cdc.queue.layout import known_lanes
from cdc.queue.port import Received


class _Entry(NamedTuple):
    id: EntryId
    key: bytes | None
    value: bytes


@dataclass(slots=True)
class _Lane:
    entries: list[_Entry] = field(default_factory=list)
    trimmed: EntryId = BEGINNING
    acks: dict[str, EntryId] = field(default_factory=dict)

    def first_after(self, place: EntryId) -> int:
        """Index of the first entry after `place`."""
        return bisect_right(self.entries, place, key=lambda entry: entry.id)


@dataclass(slots=True)
class _Store:
    """What a server would hold. `changed` guards all of it, and tells those who wait for entries or for room."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    token: int = 0
    checkpoint: Checkpoint | None = None
    schemas: dict[str, TableSchema] = field(default_factory=dict)
    versions: dict[str, TableVersion] = field(default_factory=dict)
    lanes: dict[str, _Lane] = field(default_factory=dict)

    def lane(self, name: str) -> _Lane:
        return self.lanes.setdefault(name, _Lane())


_STORES: Final[dict[str, _Store]] = {}
_STORES_LOCK: Final = threading.Lock()


def forget(connector: str) -> None:
    """Empties the store of a connector, as FLUSHALL does at Redis: those who use it notice."""
    store = _store(connector)
    with store.changed:
        store.token, store.checkpoint = 0, None
        store.schemas.clear()
        store.versions.clear()
        store.lanes.clear()
        store.changed.notify_all()


def _store(connector: str) -> _Store:
    with _STORES_LOCK:
        return _STORES.setdefault(connector, _Store())


class MemoryProducer:
    bundle_bytes: Final = 0

    def __init__(self, store: _Store, max_backlog: int, max_message_bytes: int) -> None:
        self._store = store
        self._max_backlog = max_backlog
        self._max_message_bytes = max_message_bytes
        self._token = 0
        self._sent: dict[str, int] = {}
        self._confirmed: Checkpoint | None = None
        self._guard = Guard()

    def open(self, token: int) -> Checkpoint | None:
        self._guard.opening()
        with self._guard, self._store.changed:
            if self._store.token >= token:
                raise fenced(token, self._store.token)
            self._token = self._store.token = token
            return self._store.checkpoint

    def ready(self, wait_seconds: float, *, midway: bool = False) -> bool:
        with self._guard, self._store.changed:
            return midway or self._store.changed.wait_for(self._has_room, wait_seconds)

    def _has_room(self) -> bool:
        self._check_token()
        return all(len(lane.entries) < self._max_backlog for lane in self._store.lanes.values())

    def publish(
        self,
        messages: Sequence[Message],
        checkpoint: Checkpoint,
        schemas: Sequence[TableSchema] = (),
        versions: Sequence[TableVersion] = (),
    ) -> None:
        with self._guard, self._store.changed:
            check_sizes(messages, self._max_message_bytes)
            self._check_token()
            self._store.schemas.update((schema.fingerprint(), schema) for schema in schemas)
            self._store.versions.update((version.name, version) for version in versions)
            for message in messages:
                number = self._sent[message.lane] = self._sent.get(message.lane, 0) + 1
                entry = _Entry(EntryId(self._token, number), message.key, message.value)
                self._store.lane(message.lane).entries.append(entry)
            self._store.checkpoint = self._confirmed = checkpoint
            self._store.changed.notify_all()

    def _check_token(self) -> None:
        if self._store.token > self._token:
            raise fenced(self._token, self._store.token)
        if self._store.token < self._token:
            raise lost("the token of this reader is no longer there")

    def flush(self) -> None:
        with self._guard, self._store.changed:
            self._check_token()

    @property
    def confirmed(self) -> Checkpoint | None:
        return self._confirmed

    def close(self) -> None:
        self._guard.closed()


class MemoryReader:
    def __init__(self, store: _Store, sinks: Sequence[str], sink: str, lane: str, after: str) -> None:
        self._store = store
        self._sinks = sinks
        self._sink = sink
        self._lane = lane
        self._acked = self._place = EntryId.parse(lane, after)
        self._anywhere = not sink and not after
        if sink:
            self._tell(self._acked)

    def read(self, max_messages: int, max_bytes: int, wait_seconds: float) -> Sequence[Received]:
        deadline = time.monotonic() + wait_seconds
        with self._store.changed:
            while not (entries := self._next(max_messages, max_bytes)):
                left = deadline - time.monotonic()
                if left <= 0 or not self._store.changed.wait(left):
                    return ()
            return [Received(str(entry.id), entry.key, entry.value) for entry in entries]

    def _next(self, max_messages: int, max_bytes: int) -> list[_Entry]:
        lane = self._store.lane(self._lane)
        if not self._anywhere:
            check_not_trimmed(self._lane, self._place, lane.trimmed)
        taken: list[_Entry] = []
        start = lane.first_after(self._place)
        for entry in lane.entries[start : start + max_messages]:
            if taken and len(entry.value) > max_bytes:
                break
            if not self._anywhere:
                check_follows(self._lane, self._place, entry.id)
            self._anywhere = False
            taken.append(entry)
            self._place = entry.id
            max_bytes -= len(entry.value)
        return taken

    def pass_gap(self) -> None:
        self._anywhere = True

    def ack(self, offset: str) -> None:
        self._acked = EntryId.parse(self._lane, offset)
        if self._sink:
            self._tell(self._acked)

    def _tell(self, committed: EntryId) -> None:
        with self._store.changed:
            lane = self._store.lane(self._lane)
            # The ack last told counts, also where it is lower: a target that was restored needs its messages again.
            lane.acks[self._sink] = committed
            behind_all = min(lane.acks.get(sink, BEGINNING) for sink in self._sinks)
            if gone := lane.first_after(behind_all):
                del lane.entries[:gone]
                lane.trimmed = behind_all
            self._store.changed.notify_all()

    def nack(self) -> None:
        self._place = self._acked

    def close(self) -> None:
        """Holds nothing."""


class MemoryQueue:
    """See cdc.queue.port.Queue."""

    def __init__(self, config: ConnectorConfig) -> None:
        self._config = config
        self._store = _store(config.name)

    def producer(self) -> MemoryProducer:
        return MemoryProducer(self._store, self._config.queue.max_backlog, self._config.queue.max_message_bytes)

    def reader(self, sink: str, lane: str, after: str) -> MemoryReader:
        return MemoryReader(self._store, tuple(self._config.all_sinks), sink, lane, after)

    def lanes(self) -> Sequence[str]:
        return known_lanes(self._config, self.checkpoint())

    def checkpoint(self) -> Checkpoint | None:
        with self._store.changed:
            return self._store.checkpoint

    def schema(self, fingerprint: str) -> TableSchema | None:
        with self._store.changed:
            return self._store.schemas.get(fingerprint)

    def versions(self) -> Sequence[TableVersion]:
        with self._store.changed:
            return list(self._store.versions.values())

    def backlog(self, lane: str, after: str) -> int | None:
        place = EntryId.parse(lane, after)
        with self._store.changed:
            found = self._store.lane(lane)
            return len(found.entries) - found.first_after(place)

    def check(self) -> Sequence[str]:
        return ("memory queue: within this process only, gone when it ends",)

    def findings(self, message_bytes: int) -> Sequence[Finding]:
        return [Finding("ok", "version", line) for line in self.check()]

    def close(self) -> None:
        """Holds nothing: the store is the process's."""
