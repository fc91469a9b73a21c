"""Whether everything that was committed at the source by some moment is applied at every sink."""

from collections.abc import Mapping
from dataclasses import dataclass

from cdc.binlog.port import Source
from cdc.model.checkpoint import Progress, SourcePoint
from cdc.model.errors import RetryableError
from cdc.model.position import Sequence, file_number
from cdc.queue.port import Queue
from cdc.target.port import Target


@dataclass(frozen=True, slots=True)
class Behind:
    """How far a connector is from being in step: lanes (of all sinks) that are not, of all lanes."""

    lanes_behind: int
    lanes: int

    @property
    def in_step(self) -> bool:
        return self.lanes > 0 and self.lanes_behind == 0


class Drain:
    """Fixed at its making: the source's end at that moment is what must be applied."""

    def __init__(self, source: Source, queue: Queue, targets: Mapping[str, Target]) -> None:
        self._queue = queue
        self._targets = targets
        self._end: SourcePoint = source.end()

    @property
    def until(self) -> Sequence:
        return Sequence(0, file_number(self._end.file), self._end.offset, 0)

    @property
    def end(self) -> str:
        """`file:offset`"""
        return str(self._end.position)

    def behind(self) -> Behind:
        """Asks the queue and the targets; what does not answer is behind."""
        try:
            checkpoint = self._queue.checkpoint()
            if checkpoint is None:
                return Behind(0, 0)
            lanes = self._queue.lanes()
            copies = checkpoint.copies
            if copies.working and not copies.paused:
                return Behind(len(lanes) * len(self._targets), len(lanes) * len(self._targets))
            waiting = sum(
                not (self._applied(rows.get(lane), checkpoint.generation) and copies.has_all(noted.get(lane)))
                for rows, noted in (
                    (target.progress(), target.copies() if copies.step else {}) for target in self._targets.values()
                )
                for lane in lanes
            )
        except RetryableError:
            return Behind(1, 1)
        return Behind(waiting, len(lanes) * len(self._targets))

    def _applied(self, row: Progress | None, generation: int) -> bool:
        if row is None or row.point is None:
            return False
        watermark = row.watermark
        return (
            row.point.source_id == self._end.source_id
            and watermark.generation >= generation
            and watermark[1:3] >= self.until[1:3]
        )
