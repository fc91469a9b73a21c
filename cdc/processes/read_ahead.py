"""Reads the next batch of a lane while the present one is applied.

Only under a backlog: a batch that was large is followed by another, so it is read at once, beside the target's work. After a
small one the lane is asked when the worker is free again: what has gathered by then comes together, and nothing waits. In
between, with a stream that is dense but has no backlog, each batch would be what came during the one before, and most of the time
be spent on what a batch costs whatever its size; so that lane is asked no more often than every GATHER_SECONDS.
One call is under way at a time, in one thread or the other, as LaneReader wants it.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from cdc.model.change import Received
from cdc.model.compiled_received import COMPILED, ReceivedBlock
from cdc.model.errors import CdcError
from cdc.observe.logs import fields, get_logger
from cdc.queue.port import LaneReader

log = get_logger(__name__)

_LARGE = 3 / 8
"""A batch of so much of what it may be is one of a backlog. Less than half: a queue may hand out fewer at a time."""
_MANY = 5_000
"""Messages. Of larger batches as of this one: what a batch costs whatever its size is little beside them."""
_DENSE = 1 / 20
GATHER_SECONDS = 0.04


class ReadAhead:
    """`max_messages` holds for each batch, `max_bytes` for the two that there are at a time."""

    def __init__(self, reader: LaneReader, max_messages: int, max_bytes: int) -> None:
        self._reader = reader
        self._max_messages = max_messages
        self._max_bytes = max(1, max_bytes // 2)
        self._thread = ThreadPoolExecutor(1, "read-ahead")
        self._next: Future[Sequence[Received]] | None = None
        self._unsent_ack: str | None = None
        self._not_before = float("-inf")

    def read(self, wait_seconds: float) -> Sequence[Received]:
        """As LaneReader.read. An error of reading ahead rises here, when all before it was handed out."""
        received = self._ahead()
        if not received:
            time.sleep(max(0.0, min(self._not_before - time.monotonic(), wait_seconds)))
            received = self._read(wait_seconds)
        size = self._size(received)
        # One message alone may be larger than a batch: then two would be too much.
        if size >= _LARGE and value_bytes(received) <= self._max_bytes:
            self._next = self._thread.submit(self._read, 0)
        self._not_before = time.monotonic() + GATHER_SECONDS if _DENSE <= size < _LARGE else float("-inf")
        return received

    def _ahead(self) -> Sequence[Received]:
        following, self._next = self._next, None
        if following is None:
            return ()
        try:
            return following.result()
        finally:
            self._send_ack()

    def _read(self, wait_seconds: float) -> Sequence[Received]:
        received = self._reader.read(self._max_messages, self._max_bytes, wait_seconds)
        if COMPILED and received and not isinstance(received, ReceivedBlock):
            return ReceivedBlock.of(received)
        return received

    def _size(self, received: Sequence[Received]) -> float:
        """As a part of a whole batch."""
        return max(len(received) / min(self._max_messages, _MANY), value_bytes(received) / self._max_bytes)

    def ack(self, offset: str) -> None:
        """As LaneReader.ack; held back while a read is under way."""
        self._unsent_ack = offset
        if self._next is None or self._next.done():
            self._send_ack()

    def _send_ack(self) -> None:
        offset, self._unsent_ack = self._unsent_ack, None
        if offset is not None:
            self._reader.ack(offset)

    def pass_gap(self) -> None:
        self._forget()
        self._reader.pass_gap()

    def nack(self) -> None:
        """As LaneReader.nack: what was read ahead comes again too."""
        self._forget()
        self._reader.nack()

    def _forget(self) -> None:
        following, self._next = self._next, None
        if following is not None:
            following.exception()
        self._send_ack()

    def close(self) -> None:
        """Waits for the read that is under way, and drops it. The reader stays open."""
        self._thread.shutdown()
        self._next = None
        try:
            self._send_ack()
        except CdcError as error:
            # The next reader of this lane says it again.
            log.debug("the last ack was not sent", extra=fields(action="ack_lost", error=str(error)))


def value_bytes(received: Sequence[Received]) -> int:
    return received.value_bytes if isinstance(received, ReceivedBlock) else sum(len(one.value) for one in received)
