"""Places where a test stops a process: `CDC_FAILPOINT=sink.applied:kill@3` ends it when it comes by for the third time.

The text is `name:action[@count]`, several joined by commas; actions are kill (SIGKILL), stop (SIGSTOP), error (a
RetryableError), and sleep:<seconds>. Nothing is armed unless the process asks for it at its start.
"""

import itertools
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cdc.model.errors import RetryableError, UsageError

NAMES: Final[dict[str, str]] = {
    "reader.read": "a transaction's events were read from the source",
    "reader.publish": "a batch is about to be handed to the queue",
    "reader.published": "the queue took the batch (Redis: confirmed it)",
    "reader.checkpointed": "the checkpoint moved",
    "sink.received": "a batch came from the queue",
    "sink.begun": "the target's transaction has begun",
    "sink.locked": "the progress row is locked and the token checked",
    "sink.altering": "a statement of a schema change is about to run at the target",
    "sink.applied": "the rows are written, the progress row not yet",
    "sink.progress": "the progress row is written, not yet committed",
    "sink.committed": "the target committed",
    "sink.acked": "the queue knows that the batch is done",
}

_TEXT: Final = re.compile(
    r"(?P<name>[a-z.]+):(?P<action>kill|stop|error|sleep:(?P<seconds>\d+(\.\d+)?))(@(?P<count>\d+))?"
)


@dataclass(frozen=True, slots=True)
class _Armed:
    """Fires once, at the `count`-th passage (from 1)."""

    name: str
    action: str
    count: int
    seconds: float
    passages: Iterator[int]

    def passed(self) -> None:
        # next() on a counter is one step for all threads.
        if next(self.passages) != self.count:
            return
        if self.action == "error":
            raise RetryableError(f"failpoint {self.name} fired", hint="unset CDC_FAILPOINT")
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(self.seconds)


_armed: dict[str, _Armed] = {}


def failpoint(name: str) -> None:
    """Called where the process could be stopped; costs one look-up unless it is armed."""
    point = _armed.get(name)
    if point is not None:
        point.passed()


def armed(*names: str) -> bool:
    """Whether one of these may fire: what would be done in one step is then done in those that they lie between."""
    return any(name in _armed for name in names)


def arm(text: str | None) -> None:
    """Arms what `text` (the value of CDC_FAILPOINT) says, and nothing else; raises UsageError."""
    points = [_parse(part.strip()) for part in (text or "").split(",") if part.strip()]
    _armed.clear()
    _armed.update({point.name: point for point in points})


def _parse(part: str) -> _Armed:
    match = _TEXT.fullmatch(part)
    if match is None or int(match["count"] or 1) < 1:
        raise UsageError(
            f"CDC_FAILPOINT: '{part}' is not name:action@count",
            hint="actions are kill, stop, error and sleep:<seconds>; like sink.applied:kill@3",
        )
    if match["name"] not in NAMES:
        raise UsageError(f"CDC_FAILPOINT: there is no '{match['name']}'", hint=f"there are {', '.join(NAMES)}")
    action = match["action"].partition(":")[0]
    return _Armed(match["name"], action, int(match["count"] or 1), float(match["seconds"] or 0), itertools.count(1))
