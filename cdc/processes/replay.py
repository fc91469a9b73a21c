"""The rewind: a new generation whose checkpoint lies at an earlier position; readers and sinks do the rest.

It holds the reader's lease while it writes that checkpoint, so no reader is at work meanwhile: a running one is asked to hand
over, and goes on afterwards from the new checkpoint.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from cdc.binlog.port import Source
from cdc.coordination.port import Coordination
from cdc.model.checkpoint import Checkpoint
from cdc.model.config import ConnectorConfig
from cdc.model.errors import CoordinationUnavailable, PositionError
from cdc.model.position import file_number
from cdc.processes.lease import Held, LeaseKeeper, worker_name
from cdc.processes.reader_run import READER
from cdc.processes.resume import noted, rewind
from cdc.queue.port import Queue
from cdc.target.port import Target


@dataclass(frozen=True, slots=True)
class Rewound:
    """What a rewind did; `asked` is the position as the user wrote it."""

    asked: str
    before: Checkpoint | None
    now: Checkpoint


def replay_from(
    asked: str,
    config: ConnectorConfig,
    *,
    source: Source,
    queue: Queue,
    targets: Mapping[str, Target],
    coordination: Coordination,
) -> Rewound:
    """Raises PositionError (not a place in the source's binlog, or one that would leave changes out)."""
    point = source.resolve(asked)
    lease_seconds = config.coordinator.lease_seconds
    with LeaseKeeper(coordination, lease_seconds) as keeper:
        held = _reader_lease(keeper, coordination, queue, targets, lease_seconds)
        producer = queue.producer()
        try:
            stored = producer.open(held.token)
            _refuse_to_skip(stored, point.file, point.offset, point.source_id)
            progress = {name: target.progress() for name, target in targets.items()}
            known = partial(noted, progress, targets)
            checkpoint = rewind(stored, progress, point, source, config, known).with_token(held.token)
            held.require()
            producer.publish([], checkpoint)
            producer.flush()
        finally:
            producer.close()
            keeper.release(held)
    return Rewound(asked, stored, checkpoint)


def _reader_lease(
    keeper: LeaseKeeper, coordination: Coordination, queue: Queue, targets: Mapping[str, Target], lease_seconds: float
) -> Held:
    stored = queue.checkpoint()
    rows = [row.reader_token for target in targets.values() for row in target.progress().values()]
    floor = max([stored.token if stored else 0, *rows])
    pause = threading.Event()
    deadline = time.monotonic() + 3 * lease_seconds + 30
    held = None
    while held is None and time.monotonic() < deadline:
        coordination.ask_handover(READER, 3.0)
        held = keeper.acquire(READER, worker_name(), floor=floor)
        if held is None:
            pause.wait(0.25)
    if held is None:
        raise CoordinationUnavailable(
            "the running reader did not hand over in time",
            hint="look at `cdc status`, or stop the reader and try again",
        )
    return held


def _refuse_to_skip(stored: Checkpoint | None, file: str, offset: int, source_id: str) -> None:
    """A rewind goes back; going forward would lose the changes between."""
    if stored is None or stored.point.source_id != source_id:
        return
    if (file_number(file), offset) > (file_number(stored.point.file), stored.point.offset):
        raise PositionError(
            f"{file}:{offset} lies after the checkpoint {stored.point.position}: the changes between would be lost",
            hint="give a position at or before the checkpoint",
        )
