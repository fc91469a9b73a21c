"""Connectors, checkpoints and messages for the tests of queues."""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from cdc.model.change import Message
from cdc.model.checkpoint import Checkpoint, LaneCount, SourcePoint
from cdc.model.config import ConnectorConfig
from cdc.model.schema import Column, TableSchema
from cdc.queue.port import LaneReader, Producer, Received

MB = 1024 * 1024

ORDERS = TableSchema("shop", "orders", (Column("id", "bigint", unsigned=True, nullable=False),), ("id",))


def connector(url: str, *, name: str = "", sinks: Sequence[str] = ("one",), **queue: Any) -> ConnectorConfig:
    """A connector with this queue; its name, unless given, is nobody else's."""
    return ConnectorConfig.model_validate(
        {
            "name": name or f"q{secrets.token_hex(4)}",
            "source": {"url": "mysql://cdc:x@127.0.0.1", "server_id": 1, "tables": ["shop.*"]},
            "queue": {"url": url, "lanes": 2, **queue},
            "sinks": {sink: {"url": f"sqlite:////tmp/{sink}.db"} for sink in sinks},
            "coordination": None if url.startswith(("memory", "redis")) else {"url": "redis://127.0.0.1"},
        }
    )


def checkpoint(token: int, offset: int = 4, **lanes: int) -> Checkpoint:
    """A checkpoint at `offset`; `lanes` gives counts by lane as `lane_0=3`."""
    counts = {lane.removeprefix("lane_"): LaneCount(count) for lane, count in lanes.items()}
    return Checkpoint(1, SourcePoint("server-1", "mysql-bin.000001", offset), token, "routing", lanes=counts)


def messages(count: int, *, lane: str = "0", first: int = 1, size: int = 0) -> list[Message]:
    """`count` messages whose values begin with their number, padded to `size` bytes."""
    numbers = range(first, first + count)
    return [Message(lane, b'{"id":%d}' % number, (b"%d:" % number).ljust(size, b"x")) for number in numbers]


def numbers(received: Sequence[Received]) -> list[int]:
    return [int(entry.value.split(b":")[0]) for entry in received]


def publish(producer: Producer, batch: Sequence[Message], stored: Checkpoint, *schemas: TableSchema) -> None:
    """Published, confirmed and stored."""
    producer.publish(batch, stored, schemas)
    producer.flush()


def take(reader: LaneReader, count: int, seconds: float = 20.0) -> list[Received]:
    """`count` messages from a lane, in as many reads as it needs; what came within `seconds` where they do not come."""
    taken: list[Received] = []
    deadline = time.monotonic() + seconds
    while len(taken) < count and time.monotonic() < deadline:
        taken += reader.read(count - len(taken), 64 * MB, 0.5)
    return taken


def seconds_of(call: Callable[[], object]) -> float:
    begin = time.monotonic()
    call()
    return time.monotonic() - begin
