"""A compacted topic read from its beginning to its end: the last value of each key."""

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as Record

from cdc.model.config import ConnectorConfig
from cdc.model.errors import QueueUnavailable
from cdc.queue.kafka_client import ANSWER_SECONDS, Ear, asking, explained, settings

_PAGE: Final = 500

READER: Final = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
}
TUNABLE: Final = {"allow.auto.create.topics": False, "check.crcs": True}


class KeyedLog:
    """Thread-safe; each `latest` reads on from where the one before ended. A topic that does not exist is empty.

    Whether the broker has compacted the topic makes no difference but to the time it takes. `pending`: the last reading ended
    before records of a Kafka transaction that is not over; it may be one whose producer was told that it is committed.
    """

    def __init__(self, config: ConnectorConfig, topic: str) -> None:
        self._config = config
        self._topic = topic
        self._ear = Ear()
        self._lock = threading.Lock()
        self._consumer: Consumer | None = None
        self._values: dict[bytes, bytes] = {}
        self._next = 0
        self.pending = False

    def latest(self) -> Mapping[bytes, bytes]:
        """The values by key, as of now. Raises QueueUnavailable and QueueRefused."""
        with self._lock, asking(self._config, self._ear, self._what):
            if self._consumer is None:
                self._consumer = self._connected()
            if self._exists(self._consumer):
                self._read_on(self._consumer)
            else:
                self._begin_again(0)
            return dict(self._values)

    @property
    def _what(self) -> str:
        return f"reading {self._topic}"

    def _connected(self) -> Consumer:
        # librdkafka wants a group's name even where no group is used. It tells the end of an idle topic after one fetch.
        fixed = {
            **READER,
            "group.id": f"{self._config.name}.log",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
        return Consumer(settings(self._config, self._ear, fixed, TUNABLE))

    def _exists(self, consumer: Consumer) -> bool:
        # Told by the list of all topics: a broker that just does not know this one yet must not look like an empty topic.
        return self._topic in consumer.list_topics(timeout=ANSWER_SECONDS).topics

    def _read_on(self, consumer: Consumer) -> None:
        place = TopicPartition(self._topic, 0)
        low, high = consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS, cached=False)
        if self._next > high:
            # The topic was made anew since we last read it.
            self._begin_again(low)
        # Not asked whether there is anything new: Tansu tells the offset of the last batch's first record as its end.
        self._next = max(self._next, low)
        consumer.assign([TopicPartition(self._topic, 0, self._next)])
        try:
            for record in self._to_end(consumer):
                self._take(record)
        finally:
            consumer.unassign()

    def _to_end(self, consumer: Consumer) -> Iterator[Record]:
        """Records up to the end. (With a Kafka transaction under way, its end is before the high watermark.)"""
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            first = consumer.poll(0.1)
            for record in () if first is None else (first, *consumer.consume(_PAGE, 0)):
                error = record.error()
                if error is None:
                    yield record
                    deadline = time.monotonic() + ANSWER_SECONDS
                elif error.code() == KafkaError._PARTITION_EOF:
                    _, high = consumer.get_watermark_offsets(TopicPartition(self._topic, 0), cached=True)
                    self.pending = (record.offset() or 0) < high
                    return
                else:
                    raise explained(self._config, error, self._ear, what=self._what)
        raise QueueUnavailable(f"Kafka at {self._config.queue.url}, {self._what}: no answer", hint="it is tried again")

    def _take(self, record: Record) -> None:
        key, value = record.key() or b"", record.value()
        self._next = (record.offset() or 0) + 1
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value

    def _begin_again(self, offset: int) -> None:
        self._values.clear()
        self._next = offset

    def close(self) -> None:
        with self._lock:
            consumer, self._consumer = self._consumer, None
            if consumer is not None:
                consumer.close()
