"""The only place that turns a connector's configuration into concrete sources, queues, targets and processes."""

from collections.abc import Mapping

from cdc.binlog.port import Source
from cdc.binlog.registry import open_source
from cdc.coordination.port import Coordination
from cdc.coordination.registry import open_coordination
from cdc.model.config import ConnectorConfig
from cdc.model.position import Sequence
from cdc.observe.health import Health
from cdc.observe.metrics import ReaderMetrics, SinkMetrics
from cdc.processes.reader import Reader
from cdc.processes.sink import SinkWorker
from cdc.queue.port import Queue
from cdc.queue.registry import open_queue
from cdc.target.port import Target
from cdc.target.registry import open_target


def source(config: ConnectorConfig) -> Source:
    return open_source(config.source, connector=config.name)


def queue(config: ConnectorConfig) -> Queue:
    return open_queue(config)


def coordination(config: ConnectorConfig) -> Coordination:
    return open_coordination(config.name, config.coordinator)


def target(config: ConnectorConfig, sink: str) -> Target:
    return open_target(config.name, sink, config.all_sinks[sink])


def targets(config: ConnectorConfig) -> Mapping[str, Target]:
    return {sink: target(config, sink) for sink in config.all_sinks}


def reader(
    config: ConnectorConfig, *, metrics: ReaderMetrics, health: Health, drain_to: Sequence | None = None
) -> Reader:
    return Reader(
        config,
        source(config),
        queue(config),
        targets(config),
        coordination(config),
        metrics=metrics,
        health=health,
        drain_to=drain_to,
    )


def sink_worker(config: ConnectorConfig, sink: str, *, metrics: SinkMetrics, health: Health) -> SinkWorker:
    return SinkWorker(
        config, sink, queue(config), target(config, sink), coordination(config), metrics=metrics, health=health
    )
