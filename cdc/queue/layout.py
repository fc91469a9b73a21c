"""Which lanes a connector has, and which topic a Kafka lane lies in: pure functions."""

import re

from cdc.model.checkpoint import Checkpoint
from cdc.model.config import ConnectorConfig
from cdc.model.errors import QueueRefused

_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def by_table(config: ConnectorConfig) -> bool:
    """Whether tables have topics of their own; their lanes are then known only as they come."""
    template = config.queue.topic or ""
    return "{db}" in template or "{table}" in template


def known_lanes(config: ConnectorConfig, checkpoint: Checkpoint | None) -> list[str]:
    """Those of the static layout, then those that the checkpoint names."""
    lanes = [] if by_table(config) else [str(number) for number in range(config.lanes)]
    named = sorted(checkpoint.lanes) if checkpoint is not None else []
    return list(dict.fromkeys(lanes + named))


def default_topic(config: ConnectorConfig) -> str:
    """The topic of lanes without one in their name."""
    template = config.queue.topic
    topic = config.name if template is None or by_table(config) else template.replace("{name}", config.name)
    return _legal(config, topic)


def partition_of(config: ConnectorConfig, lane: str) -> tuple[str, int]:
    """(topic, partition) of a lane; raises QueueRefused for a topic that Kafka would not take."""
    topic, slash, number = lane.rpartition("/")
    return (_legal(config, topic) if slash else default_topic(config)), int(number)


def checkpoint_topic(config: ConnectorConfig) -> str:
    return f"{config.name}.checkpoint"


def schemas_topic(config: ConnectorConfig) -> str:
    return f"{config.name}.schemas"


def _legal(config: ConnectorConfig, topic: str) -> str:
    """Kafka's rule (org.apache.kafka.common.internals.Topic): letters, digits, `.`, `_`, `-`, at most 249, not `.` or `..`.

    Replacing what is not allowed would let two tables share a partition: refused.
    """
    if not _TOPIC.fullmatch(topic) or topic in {".", ".."}:
        raise QueueRefused(
            f"'{topic}' cannot be the name of a Kafka topic",
            hint="leave {db} and {table} out of queue.topic, or exclude that table",
        )
    if topic in {checkpoint_topic(config), schemas_topic(config)}:
        raise QueueRefused(
            f"topic '{topic}' would be both a table's and the connector's own",
            hint="write queue.topic so that no table gives this name",
        )
    return topic
