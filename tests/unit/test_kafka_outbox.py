"""What a librdkafka producer's reports say of messages that were sent at once, on a driver that reports what the test says."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from cdc.model.errors import QueueRefused, QueueUnavailable
from cdc.queue import kafka_outbox
from cdc.queue.kafka_client import behind
from cdc.queue.kafka_outbox import Outbox
from tests.support.queues import connector

GAPLESS = {"enable.gapless.guarantee": True}
Callback = Callable[[KafkaError | None, Any], None]


class Report:
    def __init__(self, offset: int | None) -> None:
        self._offset = offset

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 0

    def value(self) -> bytes:
        return b"v"

    def offset(self) -> int | None:
        return self._offset


class Driver:
    """Takes all; `served` are the reports that the next poll hands out, `left` how many messages are not done."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.callbacks: list[Callback | None] = []
        self.served: list[tuple[Callback | None, KafkaError | None, int | None]] = []
        self.left: int | None = None

    def produce_batch(
        self, topic: str, messages: list[dict[str, Any]], *, partition: int, on_delivery: Callback | None
    ) -> int:
        self.callbacks += [message.get("callback", on_delivery) for message in messages]
        return len(messages)

    def poll(self, seconds: float) -> int:
        served, self.served = self.served, []
        for callback, error, offset in served:
            assert callback is not None
            callback(error, Report(offset))
        return len(served)

    def __len__(self) -> int:
        return len(self.callbacks) if self.left is None else self.left


@pytest.fixture
def outbox(monkeypatch: pytest.MonkeyPatch) -> Outbox:
    return made(monkeypatch, GAPLESS)


def made(monkeypatch: pytest.MonkeyPatch, fixed: dict[str, Any]) -> Outbox:
    monkeypatch.setattr(kafka_outbox, "Producer", Driver)
    return Outbox(connector("kafka://127.0.0.1"), fixed)


def driver_of(outbox: Outbox) -> Driver:
    driver = outbox.driver
    assert isinstance(driver, Driver)
    return driver


def send(outbox: Outbox, count: int, partition: int = 0) -> tuple[kafka_outbox.Batch, list[Callback | None]]:
    """A batch of so many messages, and the callbacks that the driver got."""
    batch = outbox.batch()
    driver = driver_of(outbox)
    before = len(driver.callbacks)
    outbox.send_all(batch, "t", partition, [{"key": b"k", "value": b"v"} for _ in range(count)], count)
    return batch, driver.callbacks[before:]


def test_a_batch_is_confirmed_by_the_report_of_its_last_message(outbox: Outbox) -> None:
    batch, callbacks = send(outbox, 3)
    assert callbacks[:2] == [None, None]
    outbox.poll(0)
    assert batch.outstanding == outbox.outstanding == 3
    driver_of(outbox).served = [(callbacks[2], None, 2)]
    outbox.poll(0)
    assert batch.outstanding == outbox.outstanding == 0


def test_a_batch_of_two_partitions_waits_for_both(outbox: Outbox) -> None:
    batch, callbacks = send(outbox, 3)
    outbox.send_all(batch, "t", 1, [{"key": None, "value": b"v"}], 1)
    driver_of(outbox).served = [(callbacks[2], None, 2)]
    outbox.poll(0)
    assert batch.outstanding == outbox.outstanding == 1


def test_the_last_message_s_error_is_raised(outbox: Outbox) -> None:
    _, callbacks = send(outbox, 3)
    driver_of(outbox).served = [(callbacks[2], KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), None)]
    with pytest.raises(QueueRefused):
        outbox.poll(0)


def test_in_a_kafka_transaction_each_message_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = made(monkeypatch, {"transactional.id": "t"})
    batch, callbacks = send(outbox, 3)
    driver_of(outbox).served = [(callback, None, number) for number, callback in enumerate(callbacks[:2])]
    outbox.poll(0)
    assert batch.outstanding == outbox.outstanding == 1
    driver_of(outbox).served = [(callbacks[2], KafkaError(KafkaError._MSG_TIMED_OUT), None)]
    with pytest.raises(QueueUnavailable):
        outbox.poll(0)


@pytest.mark.parametrize(
    ("offsets", "fine"), [((9, 12), True), ((9, 30), True), ((9, None, 2), True), ((9, 11), False), ((9, 2), False)]
)
def test_offsets_that_did_not_grow_by_what_was_sent_are_a_loss(
    outbox: Outbox, offsets: tuple[int | None, ...], fine: bool
) -> None:
    def all_of_them() -> None:
        for offset in offsets:
            _, callbacks = send(outbox, 3)
            driver_of(outbox).served = [(callbacks[2], None, offset)]
            outbox.poll(0)

    if fine:
        all_of_them()
    else:
        with pytest.raises(QueueUnavailable, match=r"t/0 went from offset 9 to \d+ by 3 messages"):
            all_of_them()


def test_a_batch_that_moves_on_is_waited_for_and_one_that_stands_is_not(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("cdc.queue.kafka_outbox.time.monotonic", lambda: clock[0])
    send(outbox, 5)
    for left in (4, 3, 2):
        clock[0] += 8
        driver_of(outbox).left = left
        outbox.poll(0)
    clock[0] += 8
    outbox.poll(0)
    clock[0] += 8
    with pytest.raises(QueueUnavailable, match="no message was confirmed in time"):
        outbox.poll(0)


def test_what_lies_behind_the_end_of_a_gapless_producer() -> None:
    said = (
        "ProduceRequest for shop.orders [3] with 2 message(s) failed: Broker: Message size too large (broker 1"
        " PID{Id:1,Epoch:0}, base seq 7): unable to satisfy gap-less guarantee"
    )
    error, lane = behind(KafkaError(KafkaError._GAPLESS_GUARANTEE, said))
    assert (error.code(), lane) == (KafkaError.MSG_SIZE_TOO_LARGE, "shop.orders/3")
    other = KafkaError(KafkaError._GAPLESS_GUARANTEE, "something else")
    assert behind(other)[0].code() == KafkaError._GAPLESS_GUARANTEE
    assert behind(KafkaError(KafkaError._FENCED)) == (KafkaError(KafkaError._FENCED), "")
