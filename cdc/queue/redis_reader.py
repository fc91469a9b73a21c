"""Reads one lane of Redis Streams in order, and notices what is missing."""

import logging
import time
from collections.abc import Sequence
from typing import Final

from cdc.model.bundle import expanded, is_bundle
from cdc.model.compiled_received import COMPILED, ReceivedBlock
from cdc.model.errors import CdcError
from cdc.queue.entry_id import EntryId, check_follows, check_not_trimmed
from cdc.queue.port import Received
from cdc.queue.redis_store import Known, RedisStore

ACK_SECONDS: Final = 1.0
ACK_MESSAGES: Final = 10_000
"""An ack is sent after so many seconds, or entries read, since the last: trimming lags by this much."""

MOST_AWAITED: Final = 16
FEW_SECONDS: Final = 0.05
"""Where few and small entries come at a time, the next ones come with the answer to a wait, which Redis bounds by their number
alone. So it is asked for few, and only for a moment after a read that left none: what can gather in that time is bounded whatever
each one weighs."""

SOME_BUNDLES: Final = 16
"""Where so many may be asked for at once, bundles are (read.lua says so too)."""

# An entry's id, key and framing, more or less.
_ENTRY_OVERHEAD_BYTES: Final = 100

_log = logging.getLogger(__name__)


class RedisReader:
    """`sink` "" looks on: see Queue.reader."""

    def __init__(self, store: RedisStore, sink: str, lane: str, after: str) -> None:
        self._store = store
        self._sink = sink
        self._lane = lane
        self._acked = self._place = EntryId.parse(lane, after)
        # What lies before `after` is committed: said again at the start, for a target that was restored has gone back.
        self._unsent_ack = bool(sink)
        self._last_ack = float("-inf")
        self._read_since_ack = 0
        self._anywhere = not sink and not after
        # Up to where entries can be asked for by XRANGE alone, and those that came with the last answer and were too many.
        self._known: Known | None = None
        self._rest: ReceivedBlock | None = None
        self._entry_bytes = 0
        self._few_until = float("-inf")

    def read(self, max_messages: int, max_bytes: int, wait_seconds: float) -> Sequence[Received]:
        deadline = time.monotonic() + wait_seconds
        self._send_ack_if_due()
        entries: Sequence[Received] = ()
        if wait_seconds <= 0 or time.monotonic() > self._few_until:
            entries = self._next(max_messages, max_bytes)
        while not entries and (left := deadline - time.monotonic()) > 0:
            entries = self._awaited(min(left, ACK_SECONDS), max_messages, max_bytes)
            if not entries:
                entries = self._next(max_messages, max_bytes)
                self._send_ack_if_due()
        few = self._rest is None and 0 < len(entries) < min(MOST_AWAITED // 2, max_messages)
        self._few_until = time.monotonic() + FEW_SECONDS if few and self._small(max_bytes) else float("-inf")
        return entries

    def _small(self, max_bytes: int) -> bool:
        """Whether as many as are awaited, as large as the last ones, are a small part of what is wanted."""
        return 0 < self._entry_bytes < max_bytes // MOST_AWAITED**2

    def _awaited(self, wait_seconds: float, max_messages: int, max_bytes: int) -> Sequence[Received]:
        """The next entries, as soon as there are any; none where none came, or where they are not what follows: `_next` tells
        why."""
        count = min(MOST_AWAITED, max_messages) if self._small(max_bytes) else 1
        block = self._store.wait(self._lane, self._place, wait_seconds, count)
        if self._anywhere or not block or not self._follows(block):
            return ()
        if block.entries == MOST_AWAITED:
            # There may be many more, which cost less together: all are asked for.
            return self._next(max_messages, max_bytes)
        return self._handed_out(block, max_messages, max_bytes)

    def _follows(self, block: ReceivedBlock) -> bool:
        """Whether nothing is missing before the block, nor within it."""
        first = EntryId.parse(self._lane, block.offset(0))
        return self._continues(first) and block.consecutive(*self._place) == len(block)

    def _next(self, max_messages: int, max_bytes: int) -> Sequence[Received]:
        block = self._next_block(max_messages, max_bytes)
        if block is not None:
            return block
        entries = self._next_page(max_messages, max_bytes, few=not self._anywhere)
        if self._known is None:
            return entries
        block = self._next_block(max_messages, max_bytes)
        return self._next_page(max_messages, max_bytes, few=False) if block is None else block

    def _next_block(self, max_messages: int, max_bytes: int) -> ReceivedBlock | None:
        """The next entries of those that are known; None where there are none, or where something is wrong with them."""
        block, self._rest = self._rest, None
        if block is None:
            block = self._asked(max_messages, max_bytes)
            if block is None:
                return None
        return self._handed_out(block, max_messages, max_bytes)

    def _handed_out(self, block: ReceivedBlock, max_messages: int, max_bytes: int) -> ReceivedBlock:
        """Of what follows, as much as is wanted; the rest comes next."""
        self._entry_bytes = block.value_bytes // block.entries + _ENTRY_OVERHEAD_BYTES
        count = block.within(max_messages, max_bytes)
        if count < len(block):
            self._rest = block.part(count, len(block))
            block = block.part(0, count)
        self._place = EntryId.parse(self._lane, block.offset(count - 1))
        self._read_since_ack += count
        return block

    def _asked(self, max_messages: int, max_bytes: int) -> ReceivedBlock | None:
        known, self._known = self._known, None
        if known is None or self._anywhere or known.last <= self._place:
            return None
        count = min(max_messages, 2 * max_bytes // known.largest_bytes)
        if 4 * count < max_messages and not (known.rows > 1 and count >= SOME_BUNDLES):
            return None
        # Where they are much smaller than the largest one, so many that they are as many bytes as are wanted.
        count = min(count, max_bytes // (self._entry_bytes or known.largest_bytes) + 1)
        # Of bundles rather one too few: what is too many would be a small batch of its own.
        count = min(count, max(1, max_messages // known.rows))
        expected_bytes = count * self._entry_bytes
        block = self._store.range(self._lane, self._place, known.last, count, expected_bytes=expected_bytes)
        if not block or not self._continues(EntryId.parse(self._lane, block.offset(0))):
            return None
        whole = block.consecutive(*self._place)
        if whole < len(block):
            self._rest = None
            return block.part(0, whole)
        self._known = known._replace(rows=-(-len(block) // block.entries))
        return block

    def _continues(self, first: EntryId) -> bool:
        """Whether nothing is missing before what came. The first of another run may hide that some before it were trimmed:
        that is asked after it came, since what is trimmed stays so. `_next_page` tells what is wrong."""
        if first == self._place.next:
            return True
        trimmed = self._store.field("acks", f"/{self._lane}")
        if trimmed is not None and EntryId.parse(self._lane, trimmed.decode()) > self._place:
            return False
        return first.follows(self._place)

    def _next_page(self, max_messages: int, max_bytes: int, *, few: bool) -> Sequence[Received]:
        """`few`: none where there are many, but what is known of them."""
        page = self._store.read(self._lane, self._place, max_messages, max_bytes, few=few)
        if self._anywhere:
            if not page.entries:
                return ()
        else:
            check_not_trimmed(self._lane, self._place, page.trimmed)
        self._known = page.known
        for entry in page.entries:
            found = EntryId.parse(self._lane, entry.offset)
            if not self._anywhere:
                check_follows(self._lane, self._place, found)
            self._anywhere = False
            self._place = found
        if page.entries:
            value_bytes = sum(len(entry.value) for entry in page.entries)
            self._entry_bytes = value_bytes // len(page.entries) + _ENTRY_OVERHEAD_BYTES
        received = _messages(page.entries)
        self._read_since_ack += len(received)
        return received

    def ack(self, offset: str) -> None:
        self._acked = EntryId.parse(self._lane, offset)
        self._unsent_ack = bool(self._sink)
        self._send_ack_if_due()

    def _send_ack_if_due(self) -> None:
        due = time.monotonic() - self._last_ack >= ACK_SECONDS or self._read_since_ack >= ACK_MESSAGES
        if self._unsent_ack and due:
            self._send_ack()

    def _send_ack(self) -> None:
        self._store.ack(self._lane, self._sink, self._acked)
        self._unsent_ack = False
        self._last_ack = time.monotonic()
        self._read_since_ack = 0

    def pass_gap(self) -> None:
        self._known = self._rest = None
        self._few_until = float("-inf")
        self._anywhere = True

    def nack(self) -> None:
        self._known = self._rest = None
        self._few_until = float("-inf")
        self._place = self._acked

    def close(self) -> None:
        if not self._unsent_ack:
            return
        self._unsent_ack = False
        try:
            self._store.ack(self._lane, self._sink, self._acked)
        except CdcError as error:
            # The next reader of this lane says it again.
            _log.debug("The last ack of lane %s was not sent: %s", self._lane, error, extra={"action": "ack_lost"})


def _messages(entries: Sequence[Received]) -> Sequence[Received]:
    """Those of the rows in place of bundles."""
    if not any(is_bundle(entry.key, entry.value) for entry in entries):
        return entries
    return ReceivedBlock.of(entries) if COMPILED else expanded(entries)
