"""The in-memory queue where it differs from a server: what a process can make it do."""

import threading

import pytest

from cdc.model.errors import Gap, QueueUnavailable
from cdc.queue.memory import MemoryQueue, forget
from tests.support.queues import MB, checkpoint, connector, messages, numbers, publish, take


def test_queues_of_one_connector_share_their_store_and_others_do_not() -> None:
    config = connector("memory://")
    producer = MemoryQueue(config).producer()
    producer.open(1)
    publish(producer, messages(1), checkpoint(1))
    assert MemoryQueue(config).checkpoint() == checkpoint(1)
    assert MemoryQueue(connector("memory://")).checkpoint() is None


def test_a_store_that_forgot_is_noticed_by_the_producer_and_the_lane_goes_on_with_the_next_run() -> None:
    config = connector("memory://")
    queue = MemoryQueue(config)
    producer, reader = queue.producer(), queue.reader("one", "0", "")
    producer.open(3)
    publish(producer, messages(2), checkpoint(3))
    assert numbers(take(reader, 2)) == [1, 2]
    forget(config.name)
    with pytest.raises(QueueUnavailable, match="lost"):
        producer.ready(0.0)
    successor = queue.producer()
    assert successor.open(4) is None
    publish(successor, messages(2, first=3), checkpoint(4))
    assert numbers(take(reader, 2)) == [3, 4]


def test_a_full_lane_is_not_ready_until_every_sink_has_acked() -> None:
    queue = MemoryQueue(connector("memory://", sinks=("one", "two"), max_backlog=1000))
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(1000), checkpoint(1))
    assert not producer.ready(0.05)
    for sink in ("one", "two"):
        assert not producer.ready(0.0)
        reader = queue.reader(sink, "0", "")
        threading.Timer(0.05, reader.ack, (take(reader, 500)[-1].offset,)).start()
    assert producer.ready(10.0)
    assert queue.backlog("0", "") == 500


def test_a_sink_behind_what_was_trimmed_finds_a_gap() -> None:
    queue = MemoryQueue(connector("memory://"))
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(5), checkpoint(1))
    reader = queue.reader("one", "0", "")
    reader.ack(take(reader, 4)[-1].offset)
    with pytest.raises(Gap, match="trimmed"):
        queue.reader("one", "0", "1-2").read(1, MB, 0.0)
    assert numbers(queue.reader("", "0", "").read(5, MB, 0.0)) == [5]
