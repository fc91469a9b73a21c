"""What a topic's settings, replicas and rights mean for lanes in it. Pure; cdc.queue.kafka_topics asks the brokers.

https://kafka.apache.org/documentation/#topicconfigs
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from cdc.model.finding import Finding

NEEDED: Final = ("DESCRIBE", "READ", "WRITE")
"""Operations on a topic of lanes: the reader's and the sinks' (Kafka documentation, "Authorization and ACLs")."""


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """`replicas`: the fewest that a partition has. `settings`: empty where the broker does not tell. `allowed`: operations that
    the user may do; None where the broker does not tell."""

    name: str
    partitions: int
    replicas: int
    brokers: int
    settings: Mapping[str, str] = field(default_factory=dict)
    allowed: frozenset[str] | None = None


def judged(topic: TopicFacts, lanes: int, needed_bytes: int) -> Iterator[Finding]:
    """`needed_bytes`: of a record batch with the largest message that `queue.max_message_bytes` allows."""
    yield from _partitions(topic, lanes)
    yield from _replicas(topic)
    if not topic.settings:
        yield Finding("ok", "topic", f"{topic.name}: settings not told by the broker")
    else:
        yield from _cleanup(topic)
        yield from _retention(topic)
        yield from _largest(topic, needed_bytes)
    if topic.allowed is not None:
        yield from _rights(topic)


def judged_own(topic: TopicFacts) -> Iterator[Finding]:
    """A topic of checkpoints or schemas: the last of each key is kept, for ever."""
    yield from _replicas(topic)
    policy = topic.settings.get("cleanup.policy", "compact")
    if policy != "compact":
        yield Finding(
            "error",
            "cleanup.policy",
            f"topic {topic.name} has cleanup.policy={policy}: a checkpoint or a schema that is old is lost",
            f"set cleanup.policy=compact for {topic.name}",
        )
    if topic.allowed is not None:
        yield from _rights(topic)


def _partitions(topic: TopicFacts, lanes: int) -> Iterator[Finding]:
    if topic.partitions < lanes:
        yield Finding(
            "error",
            "partitions",
            f"topic {topic.name} has {topic.partitions} partition(s), and {lanes} lanes are wanted",
            f"add partitions to {topic.name}, lower queue.lanes, or name another topic in queue.topic",
        )
    else:
        spare = f", {topic.partitions - lanes} of them unused" if topic.partitions > lanes else ""
        yield Finding("ok", "partitions", f"topic {topic.name}: {topic.partitions} partition(s){spare}")


def _replicas(topic: TopicFacts) -> Iterator[Finding]:
    told = topic.settings.get("min.insync.replicas")
    if not told:
        yield Finding("ok", "replicas", f"topic {topic.name} has {topic.replicas} replica(s)")
        return
    in_sync = int(told)
    text = f"topic {topic.name} has {topic.replicas} replica(s), min.insync.replicas={in_sync}"
    if in_sync > topic.replicas:
        yield Finding(
            "error", "replicas", f"{text}: nothing can be written to it", "lower min.insync.replicas, or add replicas"
        )
    elif topic.brokers > 1 and topic.replicas == 1:
        yield Finding(
            "warning",
            "replicas",
            f"{text}: it is gone with its broker, and then read again from the source as far as its binlog reaches back",
            "give it 3 replicas",
        )
    elif topic.replicas > 1 and in_sync == 1:
        yield Finding(
            "warning",
            "replicas",
            f"{text}: what one broker alone confirmed is gone with it",
            f"set min.insync.replicas={min(2, topic.replicas)} for {topic.name}",
        )
    elif topic.replicas > 1 and in_sync == topic.replicas:
        yield Finding(
            "warning",
            "replicas",
            f"{text}: the reader waits whenever one broker is down",
            f"add a replica, or lower min.insync.replicas of {topic.name}",
        )
    else:
        yield Finding("ok", "replicas", text)


def _cleanup(topic: TopicFacts) -> Iterator[Finding]:
    if "compact" in topic.settings.get("cleanup.policy", ""):
        yield Finding(
            "error",
            "cleanup.policy",
            f"topic {topic.name} is compacted: it loses all but the last change of a row",
            f"set cleanup.policy=delete for {topic.name}, or name another one in queue.topic",
        )
    else:
        yield Finding("ok", "cleanup.policy", f"topic {topic.name}: delete")


def _retention(topic: TopicFacts) -> Iterator[Finding]:
    limits = {name: topic.settings.get(name, "-1") for name in ("retention.ms", "retention.bytes")}
    shown = {
        "retention.ms": lambda value: f"after {int(value) / 3_600_000:g} h",
        "retention.bytes": lambda value: f"beyond {int(value) / 2**20:,.0f} MiB of a partition",
    }
    bounded = [shown[name](value) for name, value in limits.items() if value not in {"-1", ""}]
    if bounded:
        yield Finding(
            "warning",
            "retention",
            f"topic {topic.name} drops messages {' and '.join(bounded)}: a sink that is longer behind finds a gap",
            f"set retention.ms=-1 and retention.bytes=-1 for {topic.name}, or more than any sink may stand still",
        )
    else:
        yield Finding("ok", "retention", f"topic {topic.name} is kept for ever")


def _largest(topic: TopicFacts, needed_bytes: int) -> Iterator[Finding]:
    limit = int(topic.settings.get("max.message.bytes", "0") or 0)
    if 0 < limit < needed_bytes:
        yield Finding(
            "warning",
            "max.message.bytes",
            f"topic {topic.name} takes {limit} bytes at once, queue.max_message_bytes allows more: a large row stops the reader",
            f"set max.message.bytes={needed_bytes} for {topic.name}, or lower queue.max_message_bytes",
        )
    else:
        yield Finding("ok", "max.message.bytes", f"topic {topic.name}: {limit} bytes")


def _rights(topic: TopicFacts) -> Iterator[Finding]:
    allowed = topic.allowed or frozenset()
    lacking = [] if "ALL" in allowed else [name for name in NEEDED if name not in allowed]
    if lacking:
        yield Finding(
            "error",
            "rights",
            f"the user may not {', '.join(lacking)} on topic {topic.name}",
            f"kafka-acls --add --allow-principal User:… {' '.join(f'--operation {one.title()}' for one in lacking)}"
            f" --topic {topic.name}",
        )
    else:
        yield Finding("ok", "rights", f"{', '.join(NEEDED)} on topic {topic.name}")
