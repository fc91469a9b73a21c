"""A reader's run in Kafka with `exactly_once`: each publish is one Kafka transaction of schemas, messages and checkpoint.

The transactional id is the connector's, so that opening ends an older producer's transaction, and fences it
(https://kafka.apache.org/documentation/#producerconfigs_transactional.id).
"""

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaException

from cdc.model.change import Message
from cdc.model.checkpoint import Checkpoint
from cdc.model.schema import TableSchema
from cdc.model.table_version import TableVersion
from cdc.queue.breakage import check_sizes
from cdc.queue.kafka_client import CONFIRM_SECONDS
from cdc.queue.kafka_run import KafkaRun


class TransactionalProducer(KafkaRun):
    def open(self, token: int) -> Checkpoint | None:
        self._guard.opening()
        with self._guard:
            self._topics.ensure_own()
            # Looked at before too: a zombie must not fence the newer reader.
            self._load(token)
            # librdkafka wants messages to time out within their transaction; those then are part of none that is committed.
            timeout = {"message.timeout.ms": int(CONFIRM_SECONDS * 1000)}
            self._begin({"transactional.id": f"{self._config.name}-reader", **timeout})
            self._call(self._out.driver.init_transactions, CONFIRM_SECONDS)
            return self._load(token)

    def ready(self, wait_seconds: float, *, midway: bool = False) -> bool:
        # Every publish that returned was committed: nothing is out.
        with self._guard:
            self._out.poll(0)
            return True

    def publish(
        self,
        messages: Sequence[Message],
        checkpoint: Checkpoint,
        schemas: Sequence[TableSchema] = (),
        versions: Sequence[TableVersion] = (),
    ) -> None:
        with self._guard:
            check_sizes(messages, self._config.queue.max_message_bytes)
            driver = self._out.driver
            batch = self._out.batch()
            self._call(driver.begin_transaction)
            self._send_schemas(batch, schemas, versions)
            self._send_messages(batch, messages)
            self._send_checkpoint(batch, checkpoint)
            self._remove_older(batch)
            self._out.until_confirmed(batch)
            self._call(driver.commit_transaction, CONFIRM_SECONDS)
            self._confirmed = checkpoint

    def flush(self) -> None:
        with self._guard:
            self._out.poll(0)

    def _call(self, call: Callable[..., None], *seconds: float) -> None:
        try:
            call(*seconds)
        except KafkaException as error:
            raise self._out.failure(error.args[0]) from error
