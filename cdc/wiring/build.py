# ruff: noqa: PLC0415 - a sink loads no reader, and `cdc run` neither of the two
"""Makes the long-running processes of a connector from its parts, and loads what it makes."""

from typing import TYPE_CHECKING

from cdc.wiring.parts import Parts

if TYPE_CHECKING:
    from cdc.model.position import Sequence
    from cdc.observe.health import Health
    from cdc.observe.metrics import ReaderMetrics, SinkMetrics
    from cdc.processes.drain import Drain
    from cdc.processes.reader import Reader
    from cdc.processes.replay import Rewound
    from cdc.processes.sink import SinkWorker
    from cdc.processes.verification import Verification
    from cdc.processes.verify import Options, Watcher


def reader(parts: Parts, *, metrics: "ReaderMetrics", health: "Health", drain_to: "Sequence | None" = None) -> "Reader":
    from cdc.processes.reader import Reader

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


def sink_worker(parts: Parts, sink: str, *, metrics: "SinkMetrics", health: "Health") -> "SinkWorker":
    from cdc.processes.sink import SinkWorker

    return SinkWorker(
        parts.config, sink, parts.queue, parts.target(sink), parts.coordination, metrics=metrics, health=health
    )


def drain(parts: Parts) -> "Drain":
    from cdc.processes.drain import Drain

    return Drain(parts.source, parts.queue, parts.targets)


def rewind(parts: Parts, asked: str) -> "Rewound":
    from cdc.processes.replay import replay_from

    return replay_from(
        asked,
        parts.config,
        source=parts.source,
        queue=parts.queue,
        targets=parts.targets,
        coordination=parts.coordination,
    )


def verification(parts: Parts, options: "Options", watcher: "Watcher") -> "Verification":
    from cdc.processes.verification import Verification

    return Verification(parts, parts.rows, parts.digests, options, watcher)
