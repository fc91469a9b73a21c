"""Makes the long-running processes of a connector from its parts."""

from cdc.model.position import Sequence
from cdc.observe.health import Health
from cdc.observe.metrics import ReaderMetrics, SinkMetrics
from cdc.processes.drain import Drain
from cdc.processes.reader import Reader
from cdc.processes.replay import Rewound, replay_from
from cdc.processes.sink import SinkWorker
from cdc.wiring.parts import Parts


def reader(parts: Parts, *, metrics: ReaderMetrics, health: Health, drain_to: Sequence | None = None) -> Reader:
    return Reader(
        parts.config,
        parts.source,
        parts.queue,
        parts.targets,
        parts.coordination,
        metrics=metrics,
        health=health,
        drain_to=drain_to,
    )


def sink_worker(parts: Parts, sink: str, *, metrics: SinkMetrics, health: Health) -> SinkWorker:
    return SinkWorker(
        parts.config, sink, parts.queue, parts.target(sink), parts.coordination, metrics=metrics, health=health
    )


def drain(parts: Parts) -> Drain:
    return Drain(parts.source, parts.queue, parts.targets)


def rewind(parts: Parts, asked: str) -> Rewound:
    return replay_from(
        asked,
        parts.config,
        source=parts.source,
        queue=parts.queue,
        targets=parts.targets,
        coordination=parts.coordination,
    )
