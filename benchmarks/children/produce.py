"""The bare loops: finished messages, rendered before the clock starts, into Redis Streams or Kafka in batches, no more."""

import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import redis

from benchmarks.children.lockstep_null import batches
from benchmarks.children.report import Meter, job
from cdc.model.change import Message

# As many as the reader publishes at once.
_BATCH = 2000

_SCRIPT = """
for i = 1, #ARGV, 3 do
  redis.call('XADD', KEYS[tonumber(ARGV[i])], '*', 'k', ARGV[i + 1], 'v', ARGV[i + 2])
end
return #ARGV / 3
"""


def finished(asked: dict[str, Any]) -> list[list[Message]]:
    """The change events of the binlog, in batches."""
    messages = [message for batch in batches(asked) for message in batch if message.key is not None]
    return [messages[start : start + _BATCH] for start in range(0, len(messages), _BATCH)]


def redis_script(asked: dict[str, Any], parts: Sequence[list[Message]]) -> None:
    """One script call for each batch."""
    lanes = {str(lane): f"bare:{lane}" for lane in range(asked["lanes"])}
    index = {lane: str(place).encode() for place, lane in enumerate(lanes, start=1)}
    with redis.Redis.from_url(asked["queue"]) as client:
        script = client.register_script(_SCRIPT)
        script(keys=list(lanes.values()), args=[])
        meter = Meter()
        for part in parts:
            arguments: list[bytes] = []
            for lane, key, value in part:
                arguments += (index[lane], key or b"", value)
            script(keys=list(lanes.values()), args=arguments)
        meter.tell(sum(map(len, parts)))


def redis_pipeline(asked: dict[str, Any], parts: Sequence[list[Message]]) -> None:
    """One pipeline of XADDs for each batch."""
    with redis.Redis.from_url(asked["queue"]) as client:
        client.ping()
        meter = Meter()
        for part in parts:
            with client.pipeline(transaction=False) as pipeline:
                for lane, key, value in part:
                    pipeline.xadd(f"bare:{lane}", {b"k": key or b"", b"v": value})
                pipeline.execute()
        meter.tell(sum(map(len, parts)))


def _kafka(asked: dict[str, Any]) -> Any:
    from confluent_kafka import Producer  # noqa: PLC0415 - an extra

    producer = Producer(
        {
            "bootstrap.servers": urlsplit(asked["queue"]).netloc,
            # As the product's: the same promise, the same compression.
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "compression.type": "lz4",
            "queue.buffering.max.kbytes": 64 * 1024,
        }
    )
    # Connections stand, and the topic is known, before the clock starts.
    for lane in range(asked["lanes"]):
        producer.produce(asked["topic"], b"warm", b"warm", lane)
    producer.flush(30)
    return producer


def _until_delivered(producer: Any, failed: list[object]) -> None:
    left = producer.flush(120)
    if left or failed:
        raise SystemExit(f"{left} messages were not delivered; {failed[:1]}")


def kafka_batch(asked: dict[str, Any], parts: Sequence[list[Message]]) -> None:
    """librdkafka's batch call, a batch for each partition."""
    producer = _kafka(asked)
    failed: list[object] = []

    def delivered(error: object, _: object) -> None:
        if error is not None:
            failed.append(error)

    meter = Meter()
    for part in parts:
        by_lane: dict[str, list[dict[str, bytes | None]]] = {}
        for lane, key, value in part:
            by_lane.setdefault(lane, []).append({"key": key, "value": value})
        for lane, messages in by_lane.items():
            waiting = messages
            while waiting:
                try:
                    taken = producer.produce_batch(asked["topic"], waiting, partition=int(lane), on_delivery=delivered)
                except BufferError:
                    taken = 0
                waiting = [message for message in waiting if "_error" in message] if taken < len(waiting) else []
                for message in waiting:
                    del message["_error"]
                producer.poll(0.05 if waiting else 0)
    _until_delivered(producer, failed)
    meter.tell(sum(map(len, parts)))


def kafka_produce(asked: dict[str, Any], parts: Sequence[list[Message]]) -> None:
    """One call for each message; librdkafka makes the batches."""
    producer = _kafka(asked)
    failed: list[object] = []

    def delivered(error: object, _: object) -> None:
        if error is not None:
            failed.append(error)

    meter = Meter()
    for part in parts:
        for lane, key, value in part:
            while True:
                try:
                    producer.produce(asked["topic"], value, key, int(lane), on_delivery=delivered)
                    break
                except BufferError:
                    producer.poll(0.05)
        producer.poll(0)
    _until_delivered(producer, failed)
    meter.tell(sum(map(len, parts)))


WAYS = {
    "redis-script": redis_script,
    "redis-pipeline": redis_pipeline,
    "kafka-batch": kafka_batch,
    "kafka-produce": kafka_produce,
}


if __name__ == "__main__":
    asked = job()
    WAYS[sys.argv[1]](asked, finished(asked))
