"""What a reader's run at Kafka does the same way with and without transactions."""

from collections.abc import Sequence
from typing import Any, Final

from cdc.model.change import Message
from cdc.model.checkpoint import Checkpoint
from cdc.model.compiled import PackedMessages
from cdc.model.config import ConnectorConfig
from cdc.model.schema import TableSchema
from cdc.model.table_version import TableVersion
from cdc.queue.breakage import Guard, fenced
from cdc.queue.kafka_checkpoint import key_of, load
from cdc.queue.kafka_outbox import Batch, Outbox
from cdc.queue.kafka_topics import Topics
from cdc.queue.layout import checkpoint_topic, partition_of, schemas_topic


class KafkaRun:
    """Places of lanes, records of each kind, and the checkpoints found at the start."""

    bundle_bytes: Final = 0

    def __init__(self, config: ConnectorConfig, topics: Topics) -> None:
        self._config = config
        self._topics = topics
        self._places: dict[str, tuple[str, int]] = {}
        self._outbox: Outbox | None = None
        self._token = 0
        self._older_keys: tuple[bytes, ...] = ()
        self._confirmed: Checkpoint | None = None
        self._guard = Guard(on_break=self._discard)

    def _begin(self, outbox: dict[str, Any]) -> None:
        self._outbox = Outbox(self._config, outbox)

    @property
    def _out(self) -> Outbox:
        # The guard lets nobody in before `open` made it.
        assert self._outbox is not None  # noqa: S101
        return self._outbox

    def _load(self, token: int) -> Checkpoint | None:
        """The stored checkpoint; raises Fenced where its token is not below `token`."""
        stored = load(self._config)
        if stored.token >= token:
            raise fenced(token, stored.token)
        self._token = token
        self._older_keys = stored.keys
        return stored.checkpoint

    def _send_messages(self, batch: Batch, messages: Sequence[Message]) -> None:
        by_lane = messages.by_lane() if isinstance(messages, PackedMessages) else _by_lane(messages)
        for lane, (entries, size_bytes) in by_lane.items():
            topic, partition = self._places.get(lane) or self._place(lane)
            self._out.send_all(batch, topic, partition, entries, size_bytes)

    def _place(self, lane: str) -> tuple[str, int]:
        place = partition_of(self._config, lane)
        self._topics.ensure_lanes(place[0])
        self._places[lane] = place
        return place

    def _send_schemas(self, batch: Batch, schemas: Sequence[TableSchema], versions: Sequence[TableVersion]) -> None:
        topic = schemas_topic(self._config)
        for schema in schemas:
            self._out.send(batch, topic, 0, schema.fingerprint().encode(), schema.to_json())
        for version in versions:
            self._out.send(batch, topic, 0, version.name.encode(), version.to_json())

    def _send_checkpoint(self, batch: Batch, checkpoint: Checkpoint) -> None:
        self._out.send(batch, checkpoint_topic(self._config), 0, key_of(self._token), checkpoint.to_json())

    def _remove_older(self, batch: Batch) -> None:
        older, self._older_keys = self._older_keys, ()
        for key in older:
            self._out.send(batch, checkpoint_topic(self._config), 0, key, None)

    @property
    def confirmed(self) -> Checkpoint | None:
        return self._confirmed

    def close(self) -> None:
        self._guard.closed()
        self._discard()

    def _discard(self) -> None:
        if self._outbox is not None:
            self._outbox.discard()


def _by_lane(messages: Sequence[Message]) -> dict[str, tuple[list[dict[str, Any]], int]]:
    """As PackedMessages.by_lane."""
    found: dict[str, list[dict[str, Any]]] = {}
    for lane, key, value in messages:
        found.setdefault(lane, []).append({"key": key, "value": value})
    return {lane: (entries, sum(len(entry["value"]) for entry in entries)) for lane, entries in found.items()}
