"""A reader's run in Kafka without transactions: idempotent, and every message is confirmed before the checkpoint that
covers it is sent. A crash leaves messages after the checkpoint; they come again, and sinks drop them."""

import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from cdc.model.change import Message
from cdc.model.checkpoint import Checkpoint
from cdc.model.config import ConnectorConfig
from cdc.model.schema import TableSchema
from cdc.model.table_version import TableVersion
from cdc.queue.breakage import check_sizes
from cdc.queue.kafka_outbox import Batch
from cdc.queue.kafka_run import KafkaRun
from cdc.queue.kafka_topics import Topics

UNCONFIRMED_BYTES: Final = 8 * 1024 * 1024
"""Bulk rows of some 50 ms, more than a broker takes to answer. librdkafka needs about twice as much memory for them."""

UNCONFIRMED_MESSAGES: Final = 50_000
CHECKPOINT_SECONDS: Final = 0.1
"""At most so often a checkpoint is sent, but for `flush`; the newest one counts."""


class KafkaProducer(KafkaRun):
    def __init__(self, config: ConnectorConfig, topics: Topics) -> None:
        super().__init__(config, topics)
        self._unconfirmed: deque[tuple[Batch, Checkpoint]] = deque()
        self._due: Checkpoint | None = None
        self._storing: deque[tuple[Batch, Checkpoint]] = deque()
        self._stored_at = float("-inf")

    def open(self, token: int) -> Checkpoint | None:
        self._guard.opening()
        with self._guard:
            self._topics.ensure_own()
            stored = self._load(token)
            # gapless: after a failed message librdkafka sends none that came later.
            self._begin({"enable.gapless.guarantee": True})
            return stored

    def ready(self, wait_seconds: float, *, midway: bool = False) -> bool:
        with self._guard:
            deadline = time.monotonic() + wait_seconds
            self._settle(0.0)
            while not (room := self._has_room()) and (left := deadline - time.monotonic()) > 0:
                self._settle(min(left, CHECKPOINT_SECONDS))
            return room

    def _has_room(self) -> bool:
        messages = sum(batch.outstanding for batch, _ in self._unconfirmed)
        size = sum(batch.size_bytes for batch, _ in self._unconfirmed)
        return messages < UNCONFIRMED_MESSAGES and size < UNCONFIRMED_BYTES

    def publish(
        self,
        messages: Sequence[Message],
        checkpoint: Checkpoint,
        schemas: Sequence[TableSchema] = (),
        versions: Sequence[TableVersion] = (),
    ) -> None:
        with self._guard:
            check_sizes(messages, self._config.queue.max_message_bytes)
            if schemas or versions:
                described = self._out.batch()
                self._send_schemas(described, schemas, versions)
                self._out.until_confirmed(described)
            batch = self._out.batch()
            self._unconfirmed.append((batch, checkpoint))
            self._send_messages(batch, messages)
            self._settle(0.0)

    def flush(self) -> None:
        with self._guard:
            self._settle(0.0, at_once=True)
            while self._unconfirmed or self._storing:
                self._settle(CHECKPOINT_SECONDS, at_once=True)

    def _settle(self, wait_seconds: float, *, at_once: bool = False) -> None:
        """Lets confirmations in, and moves on what they cover; raises what failed."""
        self._out.poll(wait_seconds)
        while self._unconfirmed and not self._unconfirmed[0][0].outstanding:
            self._due = self._unconfirmed.popleft()[1]
        now = time.monotonic()
        if self._due is not None and (at_once or now - self._stored_at >= CHECKPOINT_SECONDS):
            self._stored_at = now
            batch = self._out.batch()
            self._storing.append((batch, self._due))
            self._send_checkpoint(batch, self._due)
            self._due = None
        while self._storing and not self._storing[0][0].outstanding:
            self._confirmed = self._storing.popleft()[1]
            self._remove_older(self._out.batch())
