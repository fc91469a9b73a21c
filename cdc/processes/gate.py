"""What of a lane's messages counts: the dedup and fence of one lane, a pure state machine.

Why nothing is lost or doubled, whatever the queue delivers again and whichever readers were alive:

- A new reader's epoch marker comes before its first event in every lane. From it on, events with a lower token are dropped, so
  the events that count from one reader are a gap-free run from its checkpoint on.
- An event at or below the watermark was applied (the watermark moved in the same transaction): dropped.
- What was copied (read by SELECT) has a boundary as its place, and no count: it is let through behind all that came before it.
- Lane counts are part of the checkpoint and so the same in every run: the next event must have the next count. A greater
  one means that the queue lost something: a gap, and the lane stops.
"""

from collections.abc import Sequence as Many
from enum import Enum, auto

from cdc.model.change import Change, Marker
from cdc.model.checkpoint import Progress
from cdc.model.compiled_received import ReceivedBlock
from cdc.model.errors import Gap
from cdc.model.position import ORIGIN, Sequence


class Verdict(Enum):
    APPLY = auto()  # a change event that counts
    MOVED = auto()  # nothing to apply, but the progress moved
    DROP = auto()  # was applied before, or comes from a reader that does not count any more
    COPIES = auto()  # as MOVED, and the marker's content is to be remembered
    BARRIER = auto()  # apply all before it, wait for the other lanes, then `pass_barrier`


class LaneGate:
    """Not thread-safe. `progress` is what may be stored once everything that was let through is applied."""

    __slots__ = (
        "_base",
        "commit_us",
        "count",
        "fingerprint",
        "offset",
        "point",
        "reader_token",
        "skip_to",
        "watermark",
    )

    def __init__(self, progress: Progress) -> None:
        self._base = progress
        self.reader_token = progress.reader_token
        self.watermark = progress.watermark
        self.count = progress.count
        self.offset = progress.offset
        self.point = progress.point
        self.commit_us = progress.commit_us
        self.fingerprint = progress.fingerprint
        self.skip_to = 0

    @property
    def progress(self) -> Progress:
        """Built for each batch, not for each event."""
        return Progress(
            self._base.lane,
            self._base.token,
            self.reader_token,
            self.watermark,
            self.count,
            self.offset,
            self.point,
            None,  # arrived: set by the worker while it waits at a barrier
            self.commit_us,
            self.fingerprint,
        )

    def offer(self, offset: str, item: Change | Marker) -> Verdict:
        """Decides about the next message of the lane, which lies at `offset`; raises Gap.

        With `skip_to`, a generation: messages are known to be missing. All is dropped, and the offset stays, until a newer
        generation up to that one begins that makes good what is missing.
        """
        if self.skip_to and not self._mends(item):
            return Verdict.DROP
        verdict = self._change(item) if isinstance(item, Change) else self._marker(item)
        if verdict is not Verdict.BARRIER:
            self.offset = offset
        return verdict

    def run(self, block: ReceivedBlock, start: int, captured: Many[bool]) -> int:
        """Where a run ends of messages that `offer` would all answer with APPLY; `start` where the first is to be offered.
        `captured`: for each of the block's tables, whether its changes are expected."""
        if self.skip_to:
            return start
        return block.run(start, self.reader_token, self.watermark, self.count, captured)

    def pass_run(self, block: ReceivedBlock, start: int, end: int) -> None:
        """Lets a run through, or the beginning of one."""
        last = block.change(end - 1)
        if last is None:
            raise ValueError("no run ends there")
        self.watermark = last.seq
        self.count = last.n
        self.point = last.point
        self.commit_us = block.commit_us(start, end) or self.commit_us
        self.offset = block.offset(end - 1)

    def _mends(self, item: Change | Marker) -> bool:
        """Whether a generation begins here that leaves nothing out, or the last one that could (then `_epoch` judges it)."""
        if not isinstance(item, Marker) or item.kind != "epoch" or item.token < self.reader_token:
            return False
        generation = item.seq.generation
        whole = item.n == 0 and self._connects(item)
        return generation > self.watermark.generation and (whole or generation >= self.skip_to)

    def pass_barrier(self, offset: str, marker: Marker) -> None:
        """All lanes have arrived, and the barrier's action is done or about to be in this transaction."""
        self.skip_to = 0
        self._advance(marker)
        self.offset = offset
        if marker.kind == "epoch":
            self._enter(marker)

    def _change(self, change: Change) -> Verdict:
        if change.token < self.reader_token:
            return Verdict.DROP
        self._announced(change)
        if change.copied:
            self._behind_all(change)
            self._advance(change)
            return Verdict.APPLY
        if change.seq <= self.watermark:
            return Verdict.DROP
        self._next(change)
        self._advance(change)
        return Verdict.APPLY

    def _behind_all(self, item: Change | Marker) -> None:
        """What was copied at a boundary stands behind every change before it, and before every one behind it: the reader has
        seen to that, and read later than any reader before it. It is not counted, and so never sent again with the same place."""
        if item.n != self.count:
            raise self._gap(item.seq, f"{self.count} events came of {item.n} before what was copied")
        if item.seq < self.watermark:
            raise self._gap(item.seq, "what was copied there comes too late")

    def _marker(self, marker: Marker) -> Verdict:
        if marker.token < self.reader_token:
            return Verdict.DROP
        if marker.kind == "epoch":
            return self._epoch(marker)
        self._announced(marker)
        if marker.kind == "heartbeat":
            return self._heartbeat(marker)
        if marker.kind == "copies":
            # The first one of a run may stand before what an earlier reader has sent, which is applied.
            if marker.n >= self.count and marker.seq >= self.watermark:
                self._behind_all(marker)
                self._advance(marker)
            return Verdict.COPIES
        if marker.seq <= self.watermark:
            return Verdict.DROP
        self._next(marker)
        return Verdict.BARRIER

    def _epoch(self, marker: Marker) -> Verdict:
        generation = marker.seq.generation
        if marker.token == self.reader_token:
            return Verdict.DROP
        if generation < self.watermark.generation:
            raise self._gap(marker.seq, f"the lane is already in generation {self.watermark.generation}")
        if generation == self.watermark.generation:
            if marker.n > self.count:
                raise self._gap(marker.seq, f"{self.count} events were applied, but the reader begins after {marker.n}")
            self._enter(marker)
            return Verdict.MOVED
        if marker.n != 0:
            raise self._gap(marker.seq, f"generation {generation} is first seen at its event {marker.n}")
        if self.watermark == ORIGIN and generation == 1:
            self._enter(marker)
            self._advance(marker)
            return Verdict.MOVED
        # A lane that is new in a later generation misses nothing, but waits for the old lanes, whose earlier changes of
        # rows that come to it now must be applied first.
        if self.watermark != ORIGIN and not self._connects(marker):
            raise self._gap(marker.seq, f"generation {generation} begins after what was applied")
        return Verdict.BARRIER

    def _connects(self, marker: Marker) -> bool:
        """Whether a new generation leaves nothing out: it begins at or before what was applied of the same server, or
        everything of the generation before it was applied."""
        start: list[int] = marker.content["start"]
        same_server = self.point is not None and self.point.source_id == marker.point.source_id
        if same_server and (start[0], start[1]) <= (self.watermark.file, self.watermark.offset):
            return True
        previous: list[int] | None = marker.content["previous"]
        return previous is not None and previous[0] == self.watermark.generation and self.count >= previous[1]

    def _heartbeat(self, marker: Marker) -> Verdict:
        if marker.n > self.count:
            raise self._gap(marker.seq, f"{self.count} events came of {marker.n}")
        if marker.seq <= self.watermark:
            return Verdict.DROP
        self._advance(marker)
        return Verdict.MOVED

    def _announced(self, item: Change | Marker) -> None:
        if item.token != self.reader_token or item.seq.generation != self.watermark.generation:
            raise self._gap(
                item.seq, f"reader {item.token} sends generation {item.seq.generation} without having announced it"
            )

    def _next(self, item: Change | Marker) -> None:
        if item.n != self.count + 1:
            raise self._gap(item.seq, f"event {self.count + 1} should come, but {item.n} came")

    def _enter(self, marker: Marker) -> None:
        self.reader_token = marker.token
        self.fingerprint = marker.content["fingerprint"]

    def _advance(self, item: Change | Marker) -> None:
        self.watermark = item.seq
        self.count = item.n
        self.point = item.point
        self.commit_us = item.commit_us or self.commit_us

    def _gap(self, seq: Sequence, text: str) -> Gap:
        place = self.point.position if self.point else "the start of the source's binlog"
        return Gap(
            f"gap in lane {self._base.lane} at {seq.file}:{seq.offset}: {text}",
            hint=f"the queue lost messages; `cdc replay FILE --from {place}` sends them again",
        )


def reached(progress: Progress, seq: Sequence) -> bool:
    """Whether a lane has been applied up to `seq`, or waits there."""
    return progress.watermark >= seq or (progress.arrived is not None and progress.arrived >= seq)
