"""Where the checkpoint lies at Kafka: a compacted topic, one record for each reader's token.

Keys of their own keep a zombie's late record from replacing the newer reader's; who reads takes the highest token. A new
reader removes the older keys after its own first checkpoint.
"""

from collections.abc import Mapping
from typing import NamedTuple

from cdc.model.checkpoint import Checkpoint
from cdc.model.config import ConnectorConfig
from cdc.queue.kafka_log import KeyedLog
from cdc.queue.layout import checkpoint_topic


class Stored(NamedTuple):
    """The checkpoint of the highest token, that token (0: none), and the keys of all that are there."""

    checkpoint: Checkpoint | None
    token: int
    keys: tuple[bytes, ...]


def key_of(token: int) -> bytes:
    return b"%020d" % token


def stored_in(values: Mapping[bytes, bytes]) -> Stored:
    if not values:
        return Stored(None, 0, ())
    newest = max(values, key=int)
    return Stored(Checkpoint.from_json(values[newest]), int(newest), tuple(values))


def load(config: ConnectorConfig) -> Stored:
    """Read from the topic's beginning: nothing that was read before is trusted."""
    log = KeyedLog(config, checkpoint_topic(config))
    try:
        return stored_in(log.latest())
    finally:
        log.close()
