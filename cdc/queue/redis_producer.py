"""A reader's run in Redis Streams: every step is one script call that checks token and store before it writes.

A reply that did not come leaves open whether the call was done. It is never sent again: the producer is broken, and the next
one goes on from the checkpoint that is stored. So entries come twice at most, and only across runs, where sinks drop them.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from cdc.model.bundle import BUNDLE_BYTES
from cdc.model.change import Message
from cdc.model.checkpoint import Checkpoint
from cdc.model.errors import CdcError
from cdc.model.schema import TableSchema
from cdc.model.table_version import TableVersion
from cdc.queue.breakage import Guard, check_sizes, fenced, lost
from cdc.queue.redis_backlog import Backlog
from cdc.queue.redis_parts import Part, parts
from cdc.queue.redis_store import Call, RedisStore, Verdict

_POLL_SECONDS: Final = 0.005
_POLL_SECONDS_MOST: Final = 0.1


class RedisProducer:
    def __init__(self, store: RedisStore, max_backlog: int, max_message_bytes: int) -> None:
        self._store = store
        self._max_backlog = max_backlog
        self._max_message_bytes = max_message_bytes
        self._token = 0
        self._calls = 0
        self._copies_step = 0
        self._backlogs: dict[str, Backlog] = {}
        self._left: Mapping[str, int] = {}
        self._full: set[str] = set()
        self._confirmed: Checkpoint | None = None
        self._guard = Guard()

    def open(self, token: int) -> Checkpoint | None:
        self._guard.opening()
        with self._guard:
            answer = self._store.open(token)
            if answer.status != "OK":
                raise self._refusal(answer, token)
            self._token = token
            stored = Checkpoint.from_json(answer.rest[0]) if answer.rest[0] else None
            if stored is not None and stored.token >= token:
                # The epoch was lost and the checkpoint was not.
                raise fenced(token, stored.token)
            self._copies_step = stored.copies.step if stored else 0
            self._left = self._store.copied()
            return stored

    def ready(self, wait_seconds: float, *, midway: bool = False) -> bool:
        with self._guard:
            if midway:
                return True
            deadline = time.monotonic() + wait_seconds
            pause = _POLL_SECONDS
            while self._full:
                self._full = {lane for lane in self._full if self._is_full(lane, self._store.length(lane))}
                left = deadline - time.monotonic()
                if not self._full or left <= 0:
                    break
                time.sleep(min(pause, left))
                pause = min(pause * 2, _POLL_SECONDS_MOST)
            return not self._full

    def _is_full(self, lane: str, entries: int) -> bool:
        return self._backlogs[lane].messages(entries) >= self._max_backlog

    def publish(
        self,
        messages: Sequence[Message],
        checkpoint: Checkpoint,
        schemas: Sequence[TableSchema] = (),
        versions: Sequence[TableVersion] = (),
    ) -> None:
        with self._guard:
            check_sizes(messages, self._max_message_bytes)
            # Rows that were copied, and what is left of the copy, in one step: in two, a crash between brings them twice.
            *before, last = parts(messages, whole=checkpoint.copies.step != self._copies_step)
            described = [(schema.fingerprint(), schema.to_json()) for schema in schemas]
            described += [(version.name, version.to_json()) for version in versions]
            for part in before:
                self._call(part, b"", described)
                described = []
            self._call(last, checkpoint.to_json(), described)
            self._copies_step = checkpoint.copies.step
            self._confirmed = checkpoint

    def _call(self, part: Part, checkpoint: bytes, described: Sequence[tuple[str, bytes]]) -> None:
        first_numbers: dict[str, int] = {}
        copied: dict[str, int] = {}
        for lane, count in part.counts.items():
            if lane not in self._backlogs:
                self._backlogs[lane] = Backlog(self._left.get(lane, 0))
            backlog = self._backlogs[lane]
            first_numbers[lane] = backlog.sent + 1
            backlog.send(count, part.bundles.get(lane, ()))
            copied[lane] = backlog.more
        answer = self._store.publish(self._token, self._calls, Call(part, first_numbers, checkpoint, described, copied))
        if answer.status != "OK":
            raise self._refusal(answer, self._token)
        self._calls += 1
        for lane, length in zip(first_numbers, answer.rest, strict=True):
            if self._is_full(lane, length):
                self._full.add(lane)

    def _refusal(self, answer: Verdict, token: int) -> CdcError:
        if answer.status == "FENCED":
            return fenced(token, int(answer.rest[0]))
        if answer.status == "GONE":
            return lost(f"the entries just sent are not at the end of {answer.rest[0].decode()}")
        stored_token, stored_calls = (int(part) for part in answer.rest)
        return lost(f"found run {stored_token} after {stored_calls} calls, not run {token} after {self._calls}")

    def flush(self) -> None:
        # Every call that returned was confirmed.
        with self._guard:
            pass

    @property
    def bundle_bytes(self) -> int:
        return min(BUNDLE_BYTES, self._max_message_bytes)

    @property
    def confirmed(self) -> Checkpoint | None:
        return self._confirmed

    def close(self) -> None:
        self._guard.closed()
