"""The next batch is read while the present one is applied: in order, bounded, and without a word before its turn."""

import secrets
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from cdc.model.change import Message, Received
from cdc.model.errors import Gap, QueueUnavailable
from cdc.processes.read_ahead import GATHER_SECONDS, ReadAhead
from cdc.queue.memory import MemoryQueue, forget
from cdc.queue.port import LaneReader
from tests.support.queues import MB, checkpoint, connector, numbers, publish
from tests.support.wait import until


class Watched:
    """A reader that notes what it is asked, and by how many at a time."""

    def __init__(self, reader: LaneReader) -> None:
        self._reader = reader
        self.calls: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.error: QueueUnavailable | None = None
        self._busy = threading.Lock()

    def _alone(self, call: str) -> None:
        if not self._busy.acquire(blocking=False):
            raise AssertionError(f"{call} during another call: {self.calls}")
        self.calls.append(call)

    def read(self, max_messages: int, max_bytes: int, wait_seconds: float) -> Sequence[Received]:
        self._alone("read")
        try:
            assert self.go_on.wait(20)
            if self.error is not None and self.calls.count("read") > 1:
                raise self.error
            return self._reader.read(max_messages, max_bytes, wait_seconds)
        finally:
            self._busy.release()

    def ack(self, offset: str) -> None:
        self._alone(f"ack {offset}")
        self._reader.ack(offset)
        self._busy.release()

    def nack(self) -> None:
        self._alone("nack")
        self._reader.nack()
        self._busy.release()

    def pass_gap(self) -> None:
        self._alone("pass_gap")
        self._reader.pass_gap()
        self._busy.release()

    def close(self) -> None:
        raise AssertionError("its owner closes it")


class Lane:
    def __init__(self) -> None:
        self.config = connector("memory://", name=f"q{secrets.token_hex(4)}", sinks=("one",))
        self.queue = MemoryQueue(self.config)
        self.producer = self.queue.producer()
        self.producer.open(1)
        self.reader = Watched(self.queue.reader("one", "0", ""))
        self.ahead = ReadAhead(self.reader, 8, MB)

    def publish(self, *batch: Message) -> None:
        publish(self.producer, batch, checkpoint(1))

    def reads(self, count: int) -> None:
        until(lambda: self.reader.calls.count("read") == count, 20, f"{count} reads")


def few(count: int, *, first: int = 1, size: int = 0) -> list[Message]:
    return [
        Message("0", b'{"id":%d}' % number, (b"%d:" % number).ljust(size, b"x"))
        for number in range(first, first + count)
    ]


@pytest.fixture
def lane() -> Iterator[Lane]:
    opened = Lane()
    yield opened
    opened.reader.go_on.set()
    opened.ahead.close()
    forget(opened.config.name)


def test_under_a_backlog_the_next_batch_is_read_before_it_is_asked_for(lane: Lane) -> None:
    lane.publish(*few(20))
    assert numbers(lane.ahead.read(0)) == list(range(1, 9))
    lane.reads(2)
    assert numbers(lane.ahead.read(0)) == list(range(9, 17))
    lane.reads(3)
    assert numbers(lane.ahead.read(0)) == [17, 18, 19, 20]
    assert lane.ahead.read(0) == ()


def test_after_a_small_batch_nothing_is_read_before_it_is_asked_for(lane: Lane) -> None:
    lane.ahead = ReadAhead(lane.reader, 800, MB)
    lane.publish(*few(2))
    assert numbers(lane.ahead.read(0)) == [1, 2]
    lane.publish(*few(3, first=3))
    assert numbers(lane.ahead.read(0)) == [3, 4, 5]
    assert lane.reader.calls == ["read", "read"]


def test_a_dense_stream_without_a_backlog_is_given_a_moment_to_gather(lane: Lane) -> None:
    lane.ahead = ReadAhead(lane.reader, 800, MB)
    lane.publish(*few(100))
    assert len(lane.ahead.read(0)) == 100
    handed_out = time.monotonic()
    lane.publish(*few(1, first=101))
    assert numbers(lane.ahead.read(1)) == [101]
    assert time.monotonic() - handed_out >= GATHER_SECONDS
    assert lane.reader.calls == ["read", "read"]


def test_whoever_does_not_want_to_wait_is_answered_at_once_by_a_dense_stream_too(lane: Lane) -> None:
    lane.ahead = ReadAhead(lane.reader, 800, MB)
    lane.publish(*few(100))
    assert len(lane.ahead.read(0)) == 100
    assert lane.ahead.read(0) == ()


def test_one_message_larger_than_a_batch_is_not_held_twice(lane: Lane) -> None:
    lane.publish(*few(2, size=2 * MB))
    assert numbers(lane.ahead.read(0)) == [1]
    assert lane.reader.calls == ["read"]
    assert numbers(lane.ahead.read(0)) == [2]


def test_acks_come_one_at_a_time_with_reads_and_none_is_left_behind(lane: Lane) -> None:
    lane.publish(*few(16))
    taken = lane.ahead.read(0)
    lane.reader.go_on.clear()
    lane.ahead.ack(taken[-1].offset)
    lane.reader.go_on.set()
    taken = lane.ahead.read(0)
    assert "ack 1-8" in lane.reader.calls
    lane.ahead.ack(taken[-1].offset)
    lane.ahead.close()
    assert lane.reader.calls[-1] == "ack 1-16"


def test_after_a_nack_what_was_read_ahead_comes_again_too(lane: Lane) -> None:
    lane.publish(*few(20))
    first = lane.ahead.read(0)
    lane.ahead.ack(first[-1].offset)
    lane.ahead.read(0)
    lane.reads(3)
    lane.ahead.nack()
    assert numbers(lane.ahead.read(0)) == list(range(9, 17))
    assert numbers(lane.ahead.read(0)) == [17, 18, 19, 20]


def test_a_gap_behind_a_batch_rises_when_that_was_handed_out_and_can_be_passed(lane: Lane) -> None:
    lane.publish(*few(10))
    assert numbers(lane.ahead.read(0)) == list(range(1, 9))
    lane.reads(2)
    assert numbers(lane.ahead.read(0)) == [9, 10]
    lane.publish(*few(8, first=11))
    other = lane.queue.reader("one", "0", "1-12")
    other.close()
    with pytest.raises(Gap):
        lane.ahead.read(0)
    lane.ahead.pass_gap()
    assert numbers(lane.ahead.read(0)) == list(range(13, 19))


def test_an_error_of_reading_ahead_rises_in_its_turn_and_not_at_the_ack_or_the_end(lane: Lane) -> None:
    lane.publish(*few(10))
    lane.reader.error = QueueUnavailable("gone", hint="again")
    taken = lane.ahead.read(0)
    assert numbers(taken) == list(range(1, 9))
    lane.reads(2)
    lane.ahead.ack(taken[-1].offset)
    with pytest.raises(QueueUnavailable):
        lane.ahead.read(0)
    lane.ahead.close()
    assert lane.reader.calls.count("ack 1-8") == 1
