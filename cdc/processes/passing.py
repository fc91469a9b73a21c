"""Waits until a sink has passed a place in the source's binlog, in every lane."""

import time
from collections.abc import Callable, Mapping, Sequence

from cdc.model.checkpoint import Progress, SourcePoint
from cdc.model.errors import RetryableError, SinkBehind
from cdc.model.position import ORIGIN, file_number
from cdc.observe.logs import fields, get_logger
from cdc.queue.port import Queue
from cdc.target.port import Target

log = get_logger(__name__)

_POLL_SECONDS = 0.1
_SAY_SECONDS = 5.0
_LAYOUT_SECONDS = 2.0


def behind(
    point: SourcePoint, lanes: Sequence[str], generation: int, rows: Mapping[str, Progress]
) -> dict[str, Progress]:
    """The lanes that are not known to have applied all that was committed before `point`, with what is known of them.

    `generation`: of the queue's checkpoint, 0 where that is not known; then the newest that any lane is in. A lane of an older
    one may be about to go back. Positions of another server than the point's say nothing.
    """
    newest = max([generation, *(row.watermark.generation for row in rows.values())])
    place = (file_number(point.file), point.offset)
    found = {}
    for lane in lanes:
        row = rows.get(lane, Progress(lane))
        same_server = row.point is not None and row.point.source_id == point.source_id
        watermark = row.watermark
        if not (same_server and watermark.generation >= newest and (watermark.file, watermark.offset) >= place):
            found[lane] = row
    return found


class Passing:
    """One sink's lanes. What a lane has passed it has passed, unless a rewind begins: `passed(…, anew=True)` tells."""

    def __init__(
        self,
        sink: str,
        queue: Queue,
        target: Target,
        *,
        patience_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`patience_seconds`: how long no lane that is waited for may move."""
        self._sink = sink
        self._queue = queue
        self._target = target
        self._patience = patience_seconds
        self._clock = clock
        self._pause = pause
        self._behind: Callable[[SourcePoint], dict[str, Progress]] | None = None
        self._asked = 0.0
        self._layout: tuple[Sequence[str], int] | None = None
        self._layout_asked = 0.0
        self.waits = ""

    def passed(self, point: SourcePoint, *, anew: bool = False) -> bool:
        """Asks the target now and then, at each call only with `anew`."""
        if self._behind is not None and not anew and not self._behind(point):
            return True
        if self._behind is None or anew or self._clock() - self._asked >= _POLL_SECONDS:
            self._ask()
        return self._behind is not None and not self._behind(point)

    def wait(self, point: SourcePoint) -> None:
        """Until every lane has passed `point`. Raises SinkBehind where none of those that lack it moves any more, and what the
        queue and the target raise, an outage only after that time too."""
        moved = said = self._clock()
        before: object = None
        try:
            while True:
                trouble = None
                try:
                    if self.passed(point):
                        return
                except RetryableError as error:
                    trouble = error
                now = self._clock()
                lacking = self._behind(point) if self._behind is not None and trouble is None else {}
                if lacking and (places := {lane: row.watermark for lane, row in lacking.items()}) != before:
                    moved, before = now, places
                if now - moved >= self._patience:
                    raise trouble or self._stands(point, lacking)
                self.waits = self._words(point, lacking)
                if now - said >= _SAY_SECONDS:
                    said = now
                    log.info(self.waits, extra=fields("verify.waits", sink=self._sink, position=str(point.position)))
                self._pause(_POLL_SECONDS)
        finally:
            self.waits = ""

    def _ask(self) -> None:
        self._behind = None
        lanes, generation = self._lanes()
        rows = self._target.progress()
        self._asked = self._clock()
        self._behind = lambda point: behind(point, lanes, generation, rows)

    def _lanes(self) -> tuple[Sequence[str], int]:
        """The lanes and their generation. Not asked each time: which generation lanes are in, their own rows tell as well."""
        if self._layout is None or self._clock() - self._layout_asked >= _LAYOUT_SECONDS:
            checkpoint = self._queue.checkpoint()
            self._layout = self._queue.lanes(), 0 if checkpoint is None else checkpoint.generation
            self._layout_asked = self._clock()
        return self._layout

    def _words(self, point: SourcePoint, lacking: Mapping[str, Progress]) -> str:
        if not lacking:
            return f"waiting for sink {self._sink} to answer"
        return f"waiting for sink {self._sink} to pass {point.position}: {_places(lacking)}"

    def _stands(self, point: SourcePoint, lacking: Mapping[str, Progress]) -> SinkBehind:
        others = {row.point.source_id for row in lacking.values() if row.point} - {point.source_id}
        if others:
            return SinkBehind(
                f"sink {self._sink} follows another server than the one that is compared with ({', '.join(sorted(others))}, "
                f"not {point.source_id})",
                hint="start the reader, which goes over to the server of source.url; `cdc status` shows where it stands",
            )
        return SinkBehind(
            f"sink {self._sink} has stood still for {self._patience:g} s and does not come to {point.position}: "
            f"{_places(lacking)}",
            hint="both sides are compared while the connector runs: start `cdc run FILE`, or look at `cdc status FILE`",
        )


def _places(lacking: Mapping[str, Progress]) -> str:
    listed = [
        f"lane {lane} is "
        + ("nowhere yet" if row.watermark == ORIGIN else f"at {row.watermark.file}:{row.watermark.offset}")
        for lane, row in lacking.items()
    ]
    return ", ".join(listed[:4]) + (f" and {len(listed) - 4} more" if len(listed) > 4 else "")
