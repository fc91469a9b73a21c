"""One librdkafka producer: messages in, confirmations counted by batch, and nothing more once one has failed."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Report

from cdc.model.config import ConnectorConfig
from cdc.model.errors import CdcError, QueueUnavailable
from cdc.queue.breakage import lost
from cdc.queue.kafka_client import BATCH_OVERHEAD_BYTES, CONFIRM_SECONDS, Ear, behind, explained, meaning, settings

_POLL_SECONDS: Final = 0.1
_MESSAGE_OVERHEAD_BYTES: Final = 512  # key and bookkeeping, which count as well


class Batch:
    """Messages that are confirmed together: how many are still out, and the bytes of all."""

    __slots__ = ("_outbox", "outstanding", "size_bytes")

    def __init__(self, outbox: "Outbox") -> None:
        self._outbox = outbox
        self.outstanding = 0
        self.size_bytes = 0

    def delivered(self, error: KafkaError | None, report: Report) -> None:
        self.outstanding -= 1
        self._outbox.outstanding -= 1
        if error is not None:
            self._outbox.failed(error, report)


class Room:
    """What librdkafka's queue has room for, with a distance: a batch call that meets a full queue leaves one message out and
    goes on with the next, which may find room again."""

    def __init__(self, chosen: Mapping[str, Any]) -> None:
        self._messages = int(chosen["queue.buffering.max.messages"]) * 3 // 4
        self._bytes = int(chosen["queue.buffering.max.kbytes"]) * 1024 * 3 // 4
        self._batches: list[Batch] = []

    def opened(self, batch: "Batch") -> None:
        self._batches = [one for one in self._batches if one.outstanding]
        self._batches.append(batch)

    def takes(self, count: int, size_bytes: int) -> bool:
        return (
            count + sum(one.outstanding for one in self._batches) <= self._messages
            and size_bytes + sum(one.size_bytes for one in self._batches if one.outstanding) <= self._bytes
        )


class Outbox:
    """Raises QueueUnavailable, QueueRefused and Fenced; what it raised once is for its owner to remember, who then calls
    `discard`.

    In librdkafka messages never time out (message.timeout.ms 0): its gapless guarantee does not cover those that do, and a
    later message might overtake one that is lost. Instead, when nothing was confirmed for CONFIRM_SECONDS, all are discarded.

    With that guarantee the report of the last message of a batch call speaks for the whole call. A broker appends what one
    producer sends to a partition in its sequence only, and a message that failed for good, which would leave a hole in it, ends
    the whole producer: `poll` raises that before anything sent later can be confirmed. The broker's offsets are held against it
    besides. (Each report is a copy of its message as Python objects, and a call.) In a Kafka transaction there is no such
    guarantee, so there each message is reported.
    """

    def __init__(self, config: ConnectorConfig, fixed: dict[str, Any]) -> None:
        self._config = config
        self._ear = Ear()
        own = {
            "acks": "all",
            "enable.idempotence": True,
            "message.timeout.ms": 0,
            "message.max.bytes": config.queue.max_message_bytes + BATCH_OVERHEAD_BYTES,
            **fixed,
        }
        tunable = {
            "linger.ms": 5,
            "compression.type": "lz4",
            "queue.buffering.max.kbytes": max(64 * 1024, 2 * config.queue.max_message_bytes // 1024),
            "queue.buffering.max.messages": 100_000,
        }
        chosen = settings(config, self._ear, own, tunable)
        self._room = Room(chosen)
        self._gapless = bool(own.get("enable.gapless.guarantee"))
        self._offsets: dict[tuple[str, int], int] = {}
        self._producer: Producer | None = Producer(chosen)
        self._heard_at = time.monotonic()
        self._failure: CdcError | None = None
        self._sent = 0
        self._done = 0
        self.outstanding = 0

    @property
    def driver(self) -> Producer:
        if self._producer is None:
            raise QueueUnavailable("the producer is closed", hint="open another one")
        return self._producer

    def batch(self) -> Batch:
        batch = Batch(self)
        self._room.opened(batch)
        return batch

    def send_all(
        self, batch: Batch, topic: str, partition: int, messages: list[dict[str, Any]], size_bytes: int
    ) -> None:
        """Hands messages of one partition, of a `key` and a `value` each, to librdkafka, in order; waits while its queue is
        full. `size_bytes`: of the values."""
        if not self._room.takes(len(messages), size_bytes + len(messages) * _MESSAGE_OVERHEAD_BYTES):
            for message in messages:
                self.send(batch, topic, partition, message["key"], message["value"])
            return
        if not self.outstanding:
            self._heard_at = time.monotonic()
        # A partition in a message's own dictionary is not looked at (confluent-kafka 2.16): it must be the call's.
        self._handed_over(batch, len(messages), size_bytes)
        each = None if self._gapless else batch.delivered
        if self._gapless:
            messages[-1]["callback"] = partial(self._confirmed, batch, (topic, partition), len(messages))
        try:
            taken = self.driver.produce_batch(topic, messages, partition=partition, on_delivery=each)
        except (BufferError, KafkaException) as error:
            self._hear(0)
            raise self._failure or self.failure(_reason(error)) from error
        if taken != len(messages):
            self._hear(0)
            refused = next((message["_error"] for message in messages if "_error" in message), None)
            raise self._failure or self.failure(_reason(refused))

    def send(self, batch: Batch, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Hands a message to librdkafka; waits while its queue is full."""
        if not self.outstanding:
            self._heard_at = time.monotonic()
        while not self._taken(batch, topic, partition, key, value):
            self.poll(_POLL_SECONDS)
        self._handed_over(batch, 1, len(value or b""))

    def _handed_over(self, batch: Batch, count: int, size_bytes: int) -> None:
        batch.outstanding += count
        batch.size_bytes += size_bytes
        self.outstanding += count
        self._sent += count

    def _confirmed(
        self, batch: Batch, place: tuple[str, int], count: int, error: KafkaError | None, report: Report
    ) -> None:
        """The report of the last of `count` messages that were sent to a partition in one call."""
        batch.outstanding -= count
        self.outstanding -= count
        if error is not None:
            self.failed(error, report)
            return
        before, offset = self._offsets.get(place), report.offset()
        if offset is None:
            # Sent twice, since the first answer was lost: then librdkafka does not know where it lies.
            self._offsets.pop(place, None)
            return
        self._offsets[place] = offset
        # More than `count` where another reader, a zombie, writes too.
        if before is not None and offset < before + count:
            topic, partition = place
            self._failure = self._failure or lost(
                f"{topic}/{partition} went from offset {before} to {offset} by {count} messages"
            )

    def _taken(self, batch: Batch, topic: str, partition: int, key: bytes | None, value: bytes | None) -> bool:
        try:
            self.driver.produce(topic, value, key, partition, on_delivery=batch.delivered)
        except BufferError:
            return False
        except KafkaException as error:
            # Once something has failed for good it says only that; the reports say why.
            self._note(error.args[0], f"{topic}/{partition}", len(value or b""))
            self._hear(0)
            raise self._failure or self.failure(_reason(error)) from error
        return True

    def poll(self, seconds: float) -> None:
        """Lets confirmations in; waits up to `seconds` for the first. Raises what failed."""
        if not self._hear(seconds):
            # The reports of the messages that it concerns come after it, and may say more.
            self._hear(_POLL_SECONDS)
        if self._failure is not None:
            raise self._failure
        now = time.monotonic()
        # Its length counts single messages, also those that are not reported.
        done = self._sent - len(self.driver)
        if done > self._done or not self.outstanding:
            self._heard_at, self._done = now, done
        elif now - self._heard_at > CONFIRM_SECONDS:
            heard = self._ear.heard or KafkaError(KafkaError._TIMED_OUT, "no message was confirmed in time")
            raise self.failure(heard)

    def _hear(self, seconds: float) -> bool:
        """Serves callbacks; False where it heard of an error that ends the whole producer."""
        try:
            self.driver.poll(seconds)
        except KafkaException as error:
            self._note(*behind(error.args[0]))
            return False
        return True

    def failed(self, error: KafkaError, report: Report) -> None:
        """A report says that a message did not arrive."""
        self._note(error, f"{report.topic()}/{report.partition()}", len(report.value() or b""))

    def _note(self, error: KafkaError, lane: str = "", size: int = 0) -> None:
        """Keeps the first error, but for one that has a reason where the first had none: most fell with another."""
        if self._failure is None or (isinstance(self._failure, QueueUnavailable) and meaning(error) != "unavailable"):
            self._failure = self.failure(error, lane, size)

    def until_confirmed(self, batch: Batch) -> None:
        """Returns when all of the batch are confirmed."""
        while batch.outstanding:
            self.poll(_POLL_SECONDS)

    def failure(self, error: KafkaError, lane: str = "", size: int = 0) -> CdcError:
        return explained(self._config, error, self._ear, what="publishing", lane=lane, size=size)

    def discard(self) -> None:
        """Ends it at once: what is not confirmed is not sent any more. May be called twice."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge(in_queue=True, in_flight=True, blocking=False)


def _reason(error: object) -> KafkaError:
    """`error`: an exception of the driver, or what it notes in a message that it did not take."""
    found = error.args[0] if isinstance(error, Exception) and error.args else error
    return found if isinstance(found, KafkaError) else KafkaError(KafkaError._FAIL, str(found))
