"""Reads one lane: one partition, assigned by us at the offset that the target has. No group decides who reads what."""

import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Delivery

from cdc.model.config import ConnectorConfig
from cdc.queue.entry_id import gap
from cdc.queue.kafka_client import ANSWER_SECONDS, Ear, asking, explained, meaning, settings
from cdc.queue.kafka_log import READER, TUNABLE
from cdc.queue.layout import partition_of
from cdc.queue.port import Received

ACK_SECONDS: Final = 1.0
MISSING_SECONDS: Final = 0.5
"""How long to wait before asking again for a topic that does not exist yet."""

_MOST_AT_ONCE: Final = 2000
_FETCH_KB: Final = 1024
_QUEUED_KB: Final = 2048

_log = logging.getLogger(__name__)


class KafkaReader:
    """Offsets are those of the *next* message, in decimals."""

    def __init__(self, config: ConnectorConfig, sink: str, lane: str, after: str) -> None:
        if after and not after.isdecimal():
            raise gap(lane, after, "the offset was made by another kind of queue")
        self._config = config
        self._sink = sink
        self._lane = lane
        self._topic, self._partition = partition_of(config, lane)
        self._after = after
        self._begin = int(after or 0)
        self._ear = Ear()
        self._consumer: Consumer | None = None
        self._held: deque[Delivery] = deque()
        self._unsent_ack: int | None = None
        self._acked_at = float("-inf")

    def read(self, max_messages: int, max_bytes: int, wait_seconds: float) -> Sequence[Received]:
        deadline = time.monotonic() + wait_seconds
        with asking(self._config, self._ear, f"reading lane {self._lane}"):
            while not self._held:
                left = max(0.0, deadline - time.monotonic())
                self._send_ack_if_due()
                self._fetch(max_messages, min(left, ACK_SECONDS))
                if not self._held and time.monotonic() >= deadline:
                    self._check_reachable()
                    return ()
            return self._taken(max_messages, max_bytes)

    def _fetch(self, max_messages: int, wait_seconds: float) -> None:
        consumer = self._connected()
        if consumer is None:
            # Nobody has published to it yet.
            time.sleep(min(wait_seconds, MISSING_SECONDS))
            return
        most = min(max_messages, _MOST_AT_ONCE)
        # consume() waits until it has them all: so what is there, or else the first that comes and what is there then.
        found = consumer.consume(most, 0)
        if not found and wait_seconds > 0 and (first := consumer.poll(wait_seconds)) is not None:
            found = [first, *consumer.consume(most, 0)]
        self._held.extend(found)

    def _taken(self, max_messages: int, max_bytes: int) -> list[Received]:
        taken: list[Received] = []
        held = self._held
        while held and len(taken) < max_messages:
            error = held[0].error()
            if error is not None:
                if not taken:
                    self._trouble(held.popleft())
                return taken
            value = held[0].value() or b""
            if taken and len(value) > max_bytes:
                return taken
            max_bytes -= len(value)
            delivery = held.popleft()
            taken.append(Received(str((delivery.offset() or 0) + 1), delivery.key(), value))
        self._ear.heard = None
        return taken

    def _trouble(self, delivery: Delivery) -> None:
        error = delivery.error()
        assert error is not None  # noqa: S101
        if meaning(error) == "gap":
            raise gap(self._lane, self._after, error.str())
        raise explained(self._config, error, self._ear, what=f"reading lane {self._lane}")

    def _check_reachable(self) -> None:
        if self._ear.down and self._ear.heard is not None:
            raise explained(self._config, self._ear.heard, self._ear, what=f"reading lane {self._lane}")

    def _connected(self) -> Consumer | None:
        """None where the lane does not exist (yet)."""
        if self._consumer is not None:
            return self._consumer
        consumer = self._new_consumer()
        try:
            begin = self._checked_begin(consumer)
        except BaseException:
            consumer.close()
            raise
        if begin is None:
            consumer.close()
            return None
        self._begin = begin
        consumer.assign([TopicPartition(self._topic, self._partition, begin)])
        self._consumer = consumer
        return consumer

    def _checked_begin(self, consumer: Consumer) -> int | None:
        """The offset to begin at; raises Gap where it is not there. None where the lane does not exist."""
        place = TopicPartition(self._topic, self._partition)
        try:
            low, _ = consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS, cached=False)
        except KafkaException as error:
            if meaning(error.args[0]) == "missing":
                return None
            raise
        if not self._after:
            # Where older messages have expired the sink's counts tell.
            return low
        if self._begin < low:
            raise gap(self._lane, self._after, f"the topic begins at {low}")
        # An offset beyond the end is for the fetch to refuse: not every broker tells the end rightly here.
        return self._begin

    def _new_consumer(self) -> Consumer:
        largest = self._config.queue.max_message_bytes
        fixed = {
            **READER,
            "group.id": f"{self._config.name}.{self._sink or 'tail'}",
            # What is fetched ahead, for each lane: a sink with several stays small.
            "queued.max.messages.kbytes": _QUEUED_KB,
            "max.partition.fetch.bytes": _FETCH_KB * 1024,
            "fetch.max.bytes": _FETCH_KB * 1024,
            "message.max.bytes": _FETCH_KB * 1024,
            "receive.message.max.bytes": max(100_000_000, largest * 2),
            "on_commit": _committed,
        }
        # Full, librdkafka pauses a whole second by default.
        tunable = {**TUNABLE, "fetch.queue.backoff.ms": 10}
        return Consumer(settings(self._config, self._ear, fixed, tunable))

    def ack(self, offset: str) -> None:
        self._after = offset
        self._begin = self._unsent_ack = int(offset)
        self._send_ack_if_due()

    def _send_ack_if_due(self) -> None:
        if self._unsent_ack is not None and time.monotonic() - self._acked_at >= ACK_SECONDS:
            self._send_ack()

    def _send_ack(self) -> None:
        """For lag monitors only: where a reader begins is the target's to say."""
        place, self._unsent_ack = self._unsent_ack, None
        if place is None or self._consumer is None or not self._sink:
            return
        self._acked_at = time.monotonic()
        try:
            self._consumer.commit(offsets=[TopicPartition(self._topic, self._partition, place)], asynchronous=True)
        except KafkaException as error:
            _committed(error.args[0], [])

    def pass_gap(self) -> None:
        # What is lost lies below what the topic still has, or the topic is another one: its beginning in either case.
        self._after, self._begin = "", 0
        self._drop()

    def nack(self) -> None:
        self._held.clear()
        if self._consumer is not None:
            self._consumer.assign([TopicPartition(self._topic, self._partition, self._begin)])

    def close(self) -> None:
        self._send_ack()
        self._drop()

    def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._held.clear()
        if consumer is not None:
            consumer.close()


def _committed(error: KafkaError | None, _: list[TopicPartition]) -> None:
    if error is not None:
        _log.debug("An offset was not committed: %s", error.str(), extra={"action": "ack_lost"})
