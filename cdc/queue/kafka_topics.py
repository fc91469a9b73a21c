"""The connector's topics: made where they are missing, looked at where they are there.

Topic settings: https://kafka.apache.org/documentation/#topicconfigs
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from cdc.model.config import ConnectorConfig
from cdc.model.errors import QueueRefused, QueueUnavailable
from cdc.model.finding import Finding
from cdc.queue.kafka_client import ANSWER_SECONDS, BATCH_OVERHEAD_BYTES, Ear, asking, explained, settings
from cdc.queue.kafka_doctor import TopicFacts, judged, judged_own
from cdc.queue.layout import by_table, checkpoint_topic, default_topic, schemas_topic

COMPACTED: Final = {
    "cleanup.policy": "compact",
    # A new reader reads the topic from its beginning: small segments, soon closed, so that there is little of it.
    "segment.bytes": str(16 * 1024 * 1024),
    "segment.ms": "3600000",
    "min.cleanable.dirty.ratio": "0.1",
}


_UNTOLD: Final = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError._UNSUPPORTED_FEATURE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)


class Topics:
    """Thread-safe. Raises QueueUnavailable and QueueRefused."""

    def __init__(self, config: ConnectorConfig) -> None:
        self._config = config
        self._ear = Ear()
        self._lock = threading.Lock()
        self._admin: AdminClient | None = None
        self._made: set[str] = set()

    def ensure_own(self) -> None:
        """Those of checkpoint and schemas, and the default topic of the lanes."""
        self.ensure(checkpoint_topic(self._config), 1, COMPACTED)
        self.ensure(schemas_topic(self._config), 1, COMPACTED)
        if not by_table(self._config):
            self.ensure_lanes(default_topic(self._config))

    def ensure_lanes(self, topic: str) -> None:
        """A topic whose partitions are lanes. Kept for ever: expiry would lose what a slow sink has not read."""
        limit = self._config.queue.max_message_bytes + BATCH_OVERHEAD_BYTES
        kept = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
        self.ensure(topic, self._config.lanes, {**kept, "max.message.bytes": str(limit)})

    def ensure(self, topic: str, partitions: int, config: Mapping[str, str]) -> None:
        with self._lock:
            if topic in self._made:
                return
            found = self._partitions().get(topic, 0)
            if not found:
                self._create(topic, partitions, config)
            elif found < partitions:
                raise self._too_few(topic, found, partitions)
            self._made.add(topic)

    def check(self) -> list[str]:
        """Lines about brokers and topics for a person; raises QueueRefused for a topic that may lose messages."""
        with self._lock:
            partitions = self._partitions()
            lines = [f"Kafka, {self._brokers()} broker(s)"]
            if by_table(self._config):
                return lines
            topic = default_topic(self._config)
            if topic not in partitions:
                return [*lines, f"topic {topic} is made at the reader's start, with {self._config.lanes} partition(s)"]
            if partitions[topic] < self._config.lanes:
                raise self._too_few(topic, partitions[topic], self._config.lanes)
            return lines + self._judged(topic, partitions[topic])

    def findings(self, topics: Sequence[str]) -> Iterator[Finding]:
        """What is there now, of `topics` (those of lanes) and of the connector's own; raises QueueUnavailable and QueueRefused
        where the brokers cannot be asked."""
        config = self._config
        needed_bytes = config.queue.max_message_bytes + BATCH_OVERHEAD_BYTES
        with self._lock:
            there = self._metadata()
            yield Finding("ok", "version", f"Kafka, {len(there.brokers)} broker(s)")
            for topic in topics:
                if topic in there.topics:
                    yield from judged(self._facts(topic, there), config.lanes, needed_bytes)
                else:
                    text = f"{topic} is made at the reader's start, with {config.lanes} partition(s)"
                    yield Finding("ok", "topic", text)
            for topic in (checkpoint_topic(config), schemas_topic(config)):
                if topic in there.topics:
                    yield from judged_own(self._facts(topic, there))

    def _facts(self, topic: str, there: Any) -> TopicFacts:
        partitions = there.topics[topic].partitions.values()
        return TopicFacts(
            topic,
            len(partitions),
            min((len(partition.replicas) for partition in partitions), default=1),
            len(there.brokers),
            self._settings_of(topic),
            self._allowed(topic),
        )

    def _allowed(self, topic: str) -> frozenset[str] | None:
        """None where the broker does not tell: one without this request, or of before Kafka 2.3 (KIP-430)."""
        wanted = TopicCollection([topic])
        future = self._client().describe_topics(
            wanted, include_authorized_operations=True, request_timeout=ANSWER_SECONDS
        )[topic]
        told = self._answer(future, f"rights on topic {topic}", *_UNTOLD)
        operations = None if told is None else told.authorized_operations
        return None if operations is None else frozenset(operation.name for operation in operations)

    def _judged(self, topic: str, partitions: int) -> list[str]:
        found = self._settings_of(topic)
        if "compact" in found.get("cleanup.policy", ""):
            raise QueueRefused(
                f"topic {topic} is compacted: it loses all but the last change of a row",
                hint=f"set cleanup.policy=delete for {topic}, or name another one in queue.topic",
            )
        if not found:
            return [f"topic {topic}: {partitions} partition(s), settings not told by the broker"]
        retention = found.get("retention.ms", "?")
        kept = (
            "kept for ever"
            if retention == "-1"
            else f"kept for {retention} ms (a sink that is longer away finds a gap)"
        )
        largest = found.get("max.message.bytes", "?")
        return [f"topic {topic}: {partitions} partition(s), {kept}, messages up to {largest} bytes"]

    def _client(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(settings(self._config, self._ear, {}, {}))
        return self._admin

    def _partitions(self) -> dict[str, int]:
        return {name: len(topic.partitions) for name, topic in self._metadata().topics.items()}

    def _metadata(self) -> Any:
        # Asked for all topics at once: asking for one by name may make it, with the broker's defaults.
        with asking(self._config, self._ear, "list of topics"):
            return self._client().list_topics(timeout=ANSWER_SECONDS)

    def _brokers(self) -> int:
        with asking(self._config, self._ear, "list of brokers"):
            return len(self._client().list_topics(timeout=ANSWER_SECONDS).brokers)

    def _create(self, topic: str, partitions: int, config: Mapping[str, str]) -> None:
        wanted = NewTopic(topic, num_partitions=partitions, replication_factor=-1, config=dict(config))
        future = self._client().create_topics([wanted], request_timeout=ANSWER_SECONDS)[topic]
        self._answer(future, f"making topic {topic}", KafkaError.TOPIC_ALREADY_EXISTS)

    def _settings_of(self, topic: str) -> dict[str, str]:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        future = self._client().describe_configs([resource], request_timeout=ANSWER_SECONDS)[resource]
        told = self._answer(
            future, f"settings of topic {topic}", KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNSUPPORTED_VERSION
        )
        return {} if told is None else {name: str(entry.value) for name, entry in told.items()}

    def _answer(self, future: "Future[Any]", what: str, *harmless: int) -> Any:
        """The future's result, or None for an error of a code that is harmless here."""
        try:
            return future.result(ANSWER_SECONDS)
        except KafkaException as error:
            if error.args[0].code() in harmless:
                return None
            raise explained(self._config, error.args[0], self._ear, what=what) from error
        except FutureTimeout as error:
            raise QueueUnavailable(
                f"Kafka at {self._config.queue.url}, {what}: no answer", hint="it is tried again"
            ) from error

    def _too_few(self, topic: str, found: int, wanted: int) -> QueueRefused:
        return QueueRefused(
            f"topic {topic} has {found} partition(s), and {wanted} lanes are wanted",
            hint=f"add partitions to {topic}, lower queue.lanes, or name another topic in queue.topic",
        )
