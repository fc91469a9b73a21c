"""Kafka as a queue: a lane is a partition; checkpoint and schemas lie in compacted topics beside it.

docs/decisions/0004-queues.md has the reasons.
"""

import threading
import time
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from cdc.model.checkpoint import Checkpoint
from cdc.model.config import ConnectorConfig
from cdc.model.finding import Finding
from cdc.model.schema import TableSchema
from cdc.model.table_version import TableVersion
from cdc.queue.kafka_checkpoint import stored_in
from cdc.queue.kafka_client import ANSWER_SECONDS, Ear, explained, meaning, settings
from cdc.queue.kafka_log import READER, TUNABLE, KeyedLog
from cdc.queue.kafka_producer import KafkaProducer
from cdc.queue.kafka_reader import KafkaReader
from cdc.queue.kafka_topics import Topics
from cdc.queue.kafka_transactions import TransactionalProducer
from cdc.queue.layout import checkpoint_topic, known_lanes, partition_of, schemas_topic


class KafkaQueue:
    """See cdc.queue.port.Queue."""

    def __init__(self, config: ConnectorConfig) -> None:
        self._config = config
        self._topics = Topics(config)
        self._checkpoints = KeyedLog(config, checkpoint_topic(config))
        self._schemas = KeyedLog(config, schemas_topic(config))
        self._known_schemas: dict[str, TableSchema] = {}
        self._ends = _Ends(config)

    def producer(self) -> KafkaProducer | TransactionalProducer:
        made = TransactionalProducer if self._config.queue.exactly_once else KafkaProducer
        return made(self._config, self._topics)

    def reader(self, sink: str, lane: str, after: str) -> KafkaReader:
        return KafkaReader(self._config, sink, lane, after)

    def lanes(self) -> Sequence[str]:
        return known_lanes(self._config, self.checkpoint())

    def checkpoint(self) -> Checkpoint | None:
        return stored_in(self._checkpoints.latest()).checkpoint

    def schema(self, fingerprint: str) -> TableSchema | None:
        # A fingerprint names its content: what was found once stays true. A Kafka transaction's end reaches each partition in
        # its own time: an event may be there before the schema that was sent with it.
        deadline = time.monotonic() + ANSWER_SECONDS
        while fingerprint not in self._known_schemas:
            for key, value in self._schemas.latest().items():
                if b"/" not in key:
                    self._known_schemas[key.decode()] = TableSchema.from_json(value)
            if not self._schemas.pending or time.monotonic() > deadline:
                break
        return self._known_schemas.get(fingerprint)

    def versions(self) -> Sequence[TableVersion]:
        # A version's name has a slash, a schema's has none.
        return [TableVersion.from_json(value) for key, value in self._schemas.latest().items() if b"/" in key]

    def backlog(self, lane: str, after: str) -> int | None:
        """Counts the ends of Kafka transactions too."""
        low, high = self._ends.of(lane)
        return max(0, high - max(low, int(after or 0)))

    def check(self) -> Sequence[str]:
        lines = self._topics.check()
        if self._plain_password:
            lines.append("the password goes over the network in plain text: use kafka+ssl:// or tls:")
        return lines

    @property
    def _plain_password(self) -> bool:
        url, tls = self._config.queue.url, self._config.queue.tls
        return bool(url.user) and url.scheme == "kafka" and (tls is None or tls.mode == "disabled")

    def findings(self, message_bytes: int) -> Sequence[Finding]:
        topics = sorted({partition_of(self._config, lane)[0] for lane in self.lanes()})
        found = list(self._topics.findings(topics))
        if self._plain_password:
            text, fix = "the password goes over the network in plain text", "use kafka+ssl://, or tls:"
            found.append(Finding("warning", "password", text, fix))
        return found

    def close(self) -> None:
        for held in (self._checkpoints, self._schemas, self._ends):
            held.close()


class _Ends:
    """First and next offset of a lane's partition. Thread-safe."""

    def __init__(self, config: ConnectorConfig) -> None:
        self._config = config
        self._ear = Ear()
        self._lock = threading.Lock()
        self._consumer: Consumer | None = None

    def of(self, lane: str) -> tuple[int, int]:
        """(0, 0) for one that does not exist."""
        place = TopicPartition(*partition_of(self._config, lane))
        with self._lock:
            if self._consumer is None:
                fixed = {**READER, "group.id": f"{self._config.name}.ends"}
                self._consumer = Consumer(settings(self._config, self._ear, fixed, TUNABLE))
            try:
                found = self._consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS, cached=False)
            except KafkaException as error:
                if meaning(error.args[0]) == "missing":
                    return 0, 0
                raise explained(self._config, error.args[0], self._ear, what=f"ends of lane {lane}") from error
        return found

    def close(self) -> None:
        with self._lock:
            consumer, self._consumer = self._consumer, None
            if consumer is not None:
                consumer.close()
