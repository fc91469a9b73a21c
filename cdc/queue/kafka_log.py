"""A compacted topic read from its beginning to its end: the last value of each key."""

import threading
import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from cdc.model.config import ConnectorConfig
from cdc.model.errors import QueueUnavailable
from cdc.queue.kafka_client import ANSWER_SECONDS, Ear, asking, explained, meaning, settings

_PAGE: Final = 500

READER = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
}
TUNABLE = {"allow.auto.create.topics": False, "check.crcs": True}


class KeyedLog:
    """Thread-safe; each `latest` reads on from where the one before ended. A topic that does not exist is empty.

    Whether the broker has compacted the topic makes no difference but to the time it takes.
    """

    def __init__(self, config: ConnectorConfig, topic: str) -> None:
        self._config = config
        self._topic = topic
        self._ear = Ear()
        self._lock = threading.Lock()
        self._consumer: Consumer | None = None
        self._values: dict[bytes, bytes] = {}
        self._next = OFFSET_BEGINNING

    def latest(self) -> Mapping[bytes, bytes]:
        """The values by key, as of now. Raises QueueUnavailable and QueueRefused."""
        with self._lock, asking(self._config, self._ear, f"reading {self._topic}"):
            if self._consumer is None:
                self._consumer = self._connected()
            self._consumer.assign([TopicPartition(self._topic, 0, self._next)])
            try:
                self._read_to_end(self._consumer)
            finally:
                self._consumer.unassign()
            return dict(self._values)

    def _connected(self) -> Consumer:
        # librdkafka wants a group's name even where no group is used.
        fixed = {**READER, "group.id": f"{self._config.name}.log", "enable.partition.eof": True}
        return Consumer(settings(self._config, self._ear, fixed, TUNABLE))

    def _read_to_end(self, consumer: Consumer) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            first = consumer.poll(0.1)
            for message in [first, *consumer.consume(_PAGE, 0)] if first is not None else ():
                error = message.error()
                if error is None:
                    self._take(message.key() or b"", message.value(), message.offset() or 0)
                    deadline = time.monotonic() + ANSWER_SECONDS
                elif error.code() == KafkaError._PARTITION_EOF:
                    return
                elif meaning(error) == "missing":
                    self._forget()
                    return
                elif meaning(error) == "gap":
                    # The topic was made anew since we last read it.
                    self._forget()
                    consumer.assign([TopicPartition(self._topic, 0, self._next)])
                    break
                else:
                    raise explained(self._config, error, self._ear, what=f"reading {self._topic}")
            if self._ear.down:
                break
        heard = self._ear.heard
        if heard is not None:
            raise explained(self._config, heard, self._ear, what=f"reading {self._topic}")
        raise QueueUnavailable(
            f"Kafka at {self._config.queue.url}, reading {self._topic}: no answer", hint="it is tried again"
        )

    def _take(self, key: bytes, value: bytes | None, offset: int) -> None:
        self._next = offset + 1
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value

    def _forget(self) -> None:
        self._values.clear()
        self._next = OFFSET_BEGINNING

    def close(self) -> None:
        with self._lock:
            consumer, self._consumer = self._consumer, None
            if consumer is not None:
                consumer.close()
