"""Asks a connector's reader for copies and for single rows, and sees them through to the targets."""

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from cdc.model.batch import Key
from cdc.model.checkpoint import Checkpoint
from cdc.model.copies import Copies
from cdc.model.errors import CoordinationUnavailable, CopyRefused
from cdc.processes.copy_requests import CopyAnswer, CopyRequest
from cdc.processes.parts import Parts
from cdc.processes.reader_run import READER

KEYS_OF_A_REQUEST = 2000
_POLL_SECONDS = 0.1
_MOST_WAITING = 8
_READER_SECONDS = 60.0


def ask(parts: Parts, asked: CopyRequest) -> str:
    """Waits until the reader has taken it up; returns the request's name. Raises CopyRefused where there is a problem,
    CoordinationUnavailable where no reader takes it."""
    name = uuid.uuid4().hex
    parts.coordination.ask(name, asked.to_json())
    _answer(parts, name, asked)
    return name


def _answer(parts: Parts, name: str, asked: CopyRequest) -> CopyAnswer:
    alone_since = time.monotonic()
    while (text := parts.coordination.answered(name)) is None:
        if name not in parts.coordination.asked() and parts.coordination.answered(name) is None:
            # The store forgot it.
            parts.coordination.ask(name, asked.to_json())
        if READER in parts.coordination.holders():
            alone_since = time.monotonic()
        elif time.monotonic() - alone_since > _READER_SECONDS:
            raise CoordinationUnavailable(
                "no reader of this connector runs", hint="start one (`cdc run FILE`): it takes the request up by itself"
            )
        time.sleep(_POLL_SECONDS)
    answer = CopyAnswer.from_json(text)
    if answer.problem:
        raise CopyRefused(answer.problem, hint="mend that, and ask again")
    return answer


class Sending:
    """Has the present rows of keys sent through the stream, and knows when they are applied. `keys` were asked for, of which
    `rows` are there and `deleted` are not; all others changed meanwhile, and came with the stream."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._place = (0, 0, 0)
        self.keys = self.rows = self.deleted = 0

    def send(self, name: str, keys: Iterable[Key], told: Callable[[], None] = lambda: None) -> None:
        """Of the table `name` (db.table). Returns when all are in the queue; `told` is called on the way."""
        waiting: deque[tuple[str, CopyRequest]] = deque()
        for part in _parts(keys):
            request = CopyRequest("keys", (name,), keys=tuple(part))
            known = uuid.uuid4().hex
            self._parts.coordination.ask(known, request.to_json())
            waiting.append((known, request))
            if len(waiting) >= _MOST_WAITING:
                self._answered(*waiting.popleft())
                told()
        while waiting:
            self._answered(*waiting.popleft())
            told()

    def _answered(self, known: str, request: CopyRequest) -> None:
        answer = _answer(self._parts, known, request)
        self.keys += len(request.keys)
        self.rows += answer.rows
        self.deleted += answer.deleted
        self._place = max(self._place, (answer.generation, answer.file, answer.offset))

    def applied(self) -> bool:
        """Whether every lane of every target has passed all that was sent."""
        if not self.keys:
            return True
        lanes = self._parts.queue.lanes()
        for sink in self._parts.config.all_sinks:
            progress = self._parts.target(sink).progress()
            if any(lane not in progress or progress[lane].watermark[:3] < self._place for lane in lanes):
                return False
        return True


def _parts(keys: Iterable[Key]) -> Iterator[Sequence[Key]]:
    rest = iter(keys)
    while part := list(islice(rest, KEYS_OF_A_REQUEST)):
        yield part


@dataclass(frozen=True, slots=True)
class CopyState:
    """`sent`: rows of these tables in the queue, of about `estimated`; `in_step`: all of it is at every target. `given_up`:
    tables of which that will never be so."""

    sent: int
    estimated: int
    tables_left: int
    paused: bool
    in_step: bool
    given_up: tuple[str, ...] = ()


def watched(parts: Parts, request: str, names: Iterable[str]) -> CopyState:
    """`state` of what was asked for. Raises CopyRefused where it was given up."""
    now = state(parts, names)
    if not now.given_up:
        return now
    text = parts.coordination.answered(request)
    problem = CopyAnswer.from_json(text).problem if text else ""
    raise CopyRefused(
        problem or f"the copy of {', '.join(now.given_up)} was cancelled", hint="mend that, and ask again"
    )


def state(parts: Parts, names: Iterable[str]) -> CopyState:
    """Of these tables, as the checkpoint and the targets tell it."""
    checkpoint = parts.queue.checkpoint()
    copies = checkpoint.copies if checkpoint else Copies()
    wanted = frozenset(names)
    left = [copy for copy in copies.tables if copy.name in wanted]
    in_step = checkpoint is not None and not left and _noted(parts, checkpoint)
    sent, estimated = sum(copy.rows for copy in left), sum(copy.estimated for copy in left)
    given_up = tuple(name for name in copies.given_up if name in wanted)
    return CopyState(sent, estimated, len(left), copies.paused, in_step, given_up)


def _noted(parts: Parts, checkpoint: Checkpoint) -> bool:
    lanes = parts.queue.lanes()
    for sink in parts.config.all_sinks:
        noted = parts.target(sink).copies()
        if not all(checkpoint.copies.has_all(noted.get(lane)) for lane in lanes):
            return False
    return True
