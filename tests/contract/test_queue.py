"""The port's contract, held by every adapter in the registry on its real server."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from cdc.model.change import Change, Marker, Message, parse
from cdc.model.compiled_received import COMPILED
from cdc.model.config import ConnectorConfig
from cdc.model.errors import CdcError, Fenced, Gap, QueueRefused
from cdc.model.table_version import TableVersion
from cdc.queue.port import Producer, Queue
from cdc.queue.registry import ADAPTERS, open_queue
from tests.support.copied_messages import copied_messages
from tests.support.doctor import not_fine
from tests.support.queues import MB, ORDERS, checkpoint, connector, messages, numbers, publish, take
from tests.support.wait import until

OPTIONS: dict[str, list[dict[str, object]]] = {
    "cdc.queue.memory:MemoryQueue": [{"url": "memory://"}],
    "cdc.queue.redis_streams:RedisStreamsQueue": [{"url": "redis_url"}],
    "cdc.queue.kafka:KafkaQueue": [{"url": "kafka"}, {"url": "kafka", "exactly_once": True}],
}
"""How each adapter is set up here; `url` names a fixture where it has no `://`."""

CASES = [(path, options) for path in dict.fromkeys(path for path, _ in ADAPTERS.values()) for options in OPTIONS[path]]


def _name(case: tuple[str, dict[str, object]]) -> str:
    path, options = case
    return path.partition(":")[2] + ("-exactly-once" if "exactly_once" in options else "")


@pytest.fixture(params=CASES, ids=_name)
def config(request: pytest.FixtureRequest) -> ConnectorConfig:
    options = dict(request.param[1])
    url = str(options.pop("url"))
    if "://" not in url:
        server = request.getfixturevalue(url)
        url = server if isinstance(server, str) else server.url
    return connector(url, sinks=("one", "two"), **options)


@pytest.fixture
def open_again(config: ConnectorConfig) -> Iterator[Callable[[], Queue]]:
    """Opens the connector's queue as another process would."""
    opened: list[Queue] = []

    def open_one() -> Queue:
        opened.append(open_queue(config))
        return opened[-1]

    yield open_one
    for queue in opened:
        queue.close()


@pytest.fixture
def queue(open_again: Callable[[], Queue]) -> Queue:
    return open_again()


@pytest.fixture
def new_producer(queue: Queue) -> Iterator[Callable[[int], Producer]]:
    """An open producer with the given token."""
    made: list[Producer] = []

    def make(token: int) -> Producer:
        made.append(queue.producer())
        made[-1].open(token)
        return made[-1]

    yield make
    for producer in made:
        producer.close()


@pytest.fixture
def producer(new_producer: Callable[[int], Producer]) -> Producer:
    return new_producer(1)


def test_messages_of_a_lane_come_in_the_order_in_which_they_were_published(queue: Queue, producer: Producer) -> None:
    for first in range(1, 3001, 1000):
        producer.publish(messages(1000, first=first), checkpoint(1, first))
    producer.flush()
    reader = queue.reader("one", "0", "")
    assert numbers(take(reader, 3000)) == list(range(1, 3001))
    assert not reader.read(10, MB, 0.0)
    reader.close()


@pytest.mark.skipif(not COMPILED, reason="the compiled parts are not built")
def test_each_copied_row_comes_as_a_message_however_it_was_sent(queue: Queue, producer: Producer) -> None:
    alone = copied_messages(range(3000), 0, lanes=2)
    sent = copied_messages(range(3000), producer.bundle_bytes, lanes=2)
    assert (len(sent) < 10) == bool(producer.bundle_bytes)
    publish(producer, sent, checkpoint(1))
    for lane in ("0", "1"):
        wanted = [message for message in alone if message.lane == lane]
        reader = queue.reader("one", lane, "")
        found = take(reader, len(wanted))
        assert [received.key for received in found] == [message.key for message in wanted]
        for received, message in zip(found, wanted, strict=True):
            assert without_order(parse(received.key, received.value)) == without_order(
                parse(message.key, message.value)
            )
        reader.ack(found[-1].offset)
        reader.close()
        behind = queue.reader("one", lane, found[-1].offset)
        assert not behind.read(10, MB, 0.2)
        behind.close()


def without_order(change: Change | Marker) -> Change:
    """`raw` has the order within the chunk, which is another where lanes are written one after the other."""
    assert isinstance(change, Change)
    return change._replace(raw=b"")


def test_lanes_are_apart(queue: Queue, producer: Producer) -> None:
    mixed = [message for pair in zip(messages(50), messages(50, lane="1", first=101), strict=True) for message in pair]
    publish(producer, mixed, checkpoint(1))
    for lane, first in (("0", 1), ("1", 101)):
        reader = queue.reader("one", lane, "")
        assert numbers(take(reader, 50)) == list(range(first, first + 50))
        reader.close()


def test_what_was_not_acked_comes_again_after_a_nack(queue: Queue, producer: Producer) -> None:
    publish(producer, messages(6), checkpoint(1))
    reader = queue.reader("one", "0", "")
    first = take(reader, 2)
    reader.ack(first[-1].offset)
    assert numbers(take(reader, 3)) == [3, 4, 5]
    reader.nack()
    again = take(reader, 4)
    assert numbers(again) == [3, 4, 5, 6]
    reader.ack(again[-1].offset)
    reader.nack()
    assert not reader.read(10, MB, 0.2)
    reader.close()


def test_a_nack_before_any_ack_goes_back_to_where_the_reader_began(queue: Queue, producer: Producer) -> None:
    publish(producer, messages(5), checkpoint(1))
    looking = queue.reader("", "0", "")
    offsets = [entry.offset for entry in take(looking, 5)]
    looking.close()
    reader = queue.reader("one", "0", offsets[1])
    assert numbers(take(reader, 2)) == [3, 4]
    reader.nack()
    assert numbers(take(reader, 3)) == [3, 4, 5]
    reader.close()


def test_a_reader_opened_at_an_offset_goes_on_after_it(
    queue: Queue, producer: Producer, open_again: Callable[[], Queue]
) -> None:
    publish(producer, messages(10), checkpoint(1))
    reader = queue.reader("one", "0", "")
    offset = take(reader, 4)[-1].offset
    reader.close()
    other = open_again().reader("one", "0", offset)
    assert numbers(take(other, 6)) == [5, 6, 7, 8, 9, 10]
    other.close()


def test_a_reader_waits_for_the_first_message(queue: Queue, producer: Producer) -> None:
    reader = queue.reader("one", "0", "")
    assert not reader.read(10, MB, 0.1)
    later = threading.Timer(0.3, publish, (producer, messages(1), checkpoint(1)))
    later.start()
    assert numbers(take(reader, 1)) == [1]
    later.join()
    reader.close()


def test_two_sinks_read_and_ack_independently(queue: Queue, producer: Producer) -> None:
    publish(producer, messages(5), checkpoint(1))
    one, two = queue.reader("one", "0", ""), queue.reader("two", "0", "")
    taken = take(one, 5)
    one.ack(taken[-1].offset)
    one.close()
    assert numbers(take(two, 5)) == [1, 2, 3, 4, 5]
    two.close()


def test_a_read_gives_no_more_messages_than_asked_for(queue: Queue, producer: Producer) -> None:
    publish(producer, messages(30), checkpoint(1))
    reader = queue.reader("one", "0", "")
    sizes = []
    while sum(sizes) < 30:
        sizes.append(len(reader.read(7, MB, 10.0)))
        assert 1 <= sizes[-1] <= 7
    reader.close()


def test_a_read_stops_at_max_bytes_and_one_larger_message_comes_alone(queue: Queue, producer: Producer) -> None:
    batch = [*messages(4, size=1000), *messages(1, first=5, size=50_000), *messages(2, first=6, size=1000)]
    publish(producer, batch, checkpoint(1))
    reader = queue.reader("one", "0", "")
    reads = []
    while sum(len(read) for read in reads) < 7:
        reads.append(reader.read(100, 2500, 10.0))
        assert len(reads[-1]) == 1 or sum(len(entry.value) for entry in reads[-1]) <= 2500
        assert reads[-1]
    assert [number for read in reads for number in numbers(read)] == [1, 2, 3, 4, 5, 6, 7]
    assert [5] in [numbers(read) for read in reads]
    reader.close()


def test_keys_and_values_come_as_they_were(queue: Queue, producer: Producer) -> None:
    values = [b"\0\0a\0", "ÄÖ 漢字 \U0001f600".encode(), bytes(range(256)), b"{}", b"x" * MB]
    batch = [Message("0", '{"k":"\U0001f600"}'.encode() if place % 2 else None, v) for place, v in enumerate(values)]
    publish(producer, batch, checkpoint(1))
    reader = queue.reader("one", "0", "")
    assert [(entry.key, entry.value) for entry in take(reader, 5)] == [(key, value) for _, key, value in batch]
    reader.close()


def test_a_publish_of_many_megabytes_arrives_whole(queue: Queue, producer: Producer) -> None:
    batch = messages(24, size=MB)
    publish(producer, batch, checkpoint(1))
    reader = queue.reader("one", "0", "")
    taken: list[int] = []
    while len(taken) < 24:
        page = reader.read(100, 4 * MB, 10.0)
        assert 1 <= len(page) <= 4
        taken += numbers(page)
    assert taken == list(range(1, 25))
    reader.close()


def test_there_is_no_checkpoint_at_first(queue: Queue, new_producer: Callable[[int], Producer]) -> None:
    assert queue.checkpoint() is None
    producer = queue.producer()
    assert producer.open(1) is None
    assert producer.confirmed is None
    producer.close()


def test_a_flushed_checkpoint_is_what_everybody_sees(
    queue: Queue, producer: Producer, open_again: Callable[[], Queue]
) -> None:
    stored = checkpoint(1, 120, lane_0=3)
    publish(producer, messages(3), stored)
    assert producer.confirmed == stored
    assert queue.checkpoint() == stored
    assert open_again().checkpoint() == stored
    successor = open_again().producer()
    assert successor.open(2) == stored
    successor.close()


def test_an_empty_publish_moves_the_checkpoint(queue: Queue, producer: Producer) -> None:
    publish(producer, messages(1), checkpoint(1, 10))
    publish(producer, (), checkpoint(1, 20))
    assert queue.checkpoint() == checkpoint(1, 20)


def test_the_checkpoint_is_never_ahead_of_the_messages(
    queue: Queue, producer: Producer, open_again: Callable[[], Queue]
) -> None:
    seen_enough = threading.Event()
    sent: list[int] = []

    def send() -> None:
        while not seen_enough.is_set():
            if producer.ready(1.0):
                first = 50 * len(sent) + 1
                sent.append(first)
                producer.publish(messages(50, first=first, size=600), checkpoint(1, first, lane_0=first + 49))
        producer.flush()

    sending = threading.Thread(target=send, daemon=True)
    sending.start()
    observer = open_again()
    reader = observer.reader("one", "0", "")
    promises: set[int] = set()
    seen = 0
    try:
        while len(promises) < 8:
            stored = until(observer.checkpoint, 20, "the first checkpoint")
            assert stored is not None
            promises.add(stored.lanes["0"].count)
            seen += len(take(reader, max(promises) - seen, seconds=60.0))
            assert seen >= max(promises)
    finally:
        seen_enough.set()
        sending.join()
        reader.close()
    stored = observer.checkpoint()
    assert stored is not None
    assert stored.lanes["0"].count == 50 * len(sent)


def test_the_highest_token_wins(queue: Queue, new_producer: Callable[[int], Producer]) -> None:
    for token, offset in ((3, 900), (10, 100)):
        publish(new_producer(token), messages(1), checkpoint(token, offset))
    assert queue.checkpoint() == checkpoint(10, 100)


@pytest.mark.parametrize("token", [4, 5])
def test_a_token_that_is_not_above_the_stored_one_is_fenced(
    queue: Queue, new_producer: Callable[[int], Producer], token: int
) -> None:
    publish(new_producer(5), messages(1), checkpoint(5))
    late = queue.producer()
    with pytest.raises(Fenced) as caught:
        late.open(token)
    assert caught.value.stored == 5
    late.close()


def test_an_older_producer_does_not_change_the_checkpoint_of_a_newer_one(
    queue: Queue, new_producer: Callable[[int], Producer]
) -> None:
    older = new_producer(1)
    publish(older, messages(1), checkpoint(1, 10))
    newer = new_producer(2)
    publish(newer, messages(1), checkpoint(2, 20))
    with contextlib.suppress(Fenced):
        publish(older, messages(1, first=99), checkpoint(1, 999))
    assert queue.checkpoint() == checkpoint(2, 20)
    publish(newer, messages(1, first=2), checkpoint(2, 30))
    assert queue.checkpoint() == checkpoint(2, 30)


def test_a_new_run_goes_on_in_the_same_lane(queue: Queue, new_producer: Callable[[int], Producer]) -> None:
    publish(new_producer(1), messages(3), checkpoint(1))
    reader = queue.reader("one", "0", "")
    assert numbers(take(reader, 3)) == [1, 2, 3]
    publish(new_producer(2), messages(3, first=4), checkpoint(2))
    assert numbers(take(reader, 3)) == [4, 5, 6]
    reader.close()


def test_a_schema_is_found_by_those_who_come_later(
    queue: Queue, producer: Producer, open_again: Callable[[], Queue]
) -> None:
    assert queue.schema(ORDERS.fingerprint()) is None
    publish(producer, messages(1), checkpoint(1), ORDERS)
    assert queue.schema(ORDERS.fingerprint()) == ORDERS
    assert open_again().schema(ORDERS.fingerprint()) == ORDERS
    assert queue.schema("0" * 16) is None


def test_a_schema_is_there_before_the_message_that_needs_it(queue: Queue, producer: Producer) -> None:
    reader = queue.reader("one", "0", "")
    producer.publish(messages(1), checkpoint(1), (ORDERS,))
    assert take(reader, 1)
    assert queue.schema(ORDERS.fingerprint()) == ORDERS
    producer.flush()
    reader.close()


def test_the_schema_history_is_found_whole_by_those_who_come_later(
    queue: Queue, producer: Producer, open_again: Callable[[], Queue]
) -> None:
    assert list(queue.versions()) == []
    first = TableVersion("server", 1, 157, "shop", "orders", ORDERS, {"status": "new"}, "utf8mb4_bin")
    gone = TableVersion("server", 2, 900, "shop", "orders", None)
    producer.publish((), checkpoint(1), (ORDERS,), (first,))
    producer.publish((), checkpoint(1), (), (gone, first))
    producer.flush()
    for each in (queue, open_again()):
        assert sorted(each.versions(), key=lambda version: version.file) == [first, gone]
        assert each.schema(ORDERS.fingerprint()) == ORDERS


def test_the_lanes_are_those_of_the_layout_and_of_the_checkpoint(queue: Queue, producer: Producer) -> None:
    assert list(queue.lanes()) == ["0", "1"]
    publish(producer, (), checkpoint(1, lane_0=1, lane_7=2))
    assert list(queue.lanes()) == ["0", "1", "7"]


def test_the_backlog_counts_what_lies_after_an_offset(queue: Queue, producer: Producer) -> None:
    publish(producer, messages(9), checkpoint(1))
    # Alone in its batch: Tansu tells the place of the last batch's first message as the end.
    publish(producer, messages(1, first=10), checkpoint(1))
    reader = queue.reader("one", "0", "")
    taken = take(reader, 4)
    assert queue.backlog("0", taken[-1].offset) in {6, 7, 8, None}  # ends of Kafka transactions count too
    assert queue.backlog("0", "") in {10, 11, 12}
    reader.close()


def test_a_message_above_the_limit_is_refused_by_name_and_nothing_is_sent_after_it(config: ConnectorConfig) -> None:
    limited = config.model_copy(update={"queue": config.queue.model_copy(update={"max_message_bytes": 2000})})
    queue = open_queue(limited)
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(1), checkpoint(1, 10))
    with pytest.raises(QueueRefused, match="max_message_bytes"):
        publish(producer, messages(1, first=2, size=3000), checkpoint(1, 20))
    for call in (lambda: publish(producer, (), checkpoint(1, 30)), producer.flush, lambda: producer.ready(0.0)):
        with pytest.raises(CdcError):
            call()
    assert producer.confirmed == checkpoint(1, 10)
    assert queue.checkpoint() == checkpoint(1, 10)
    reader = queue.reader("one", "0", "")
    assert numbers(take(reader, 2, seconds=1.0)) == [1]
    reader.close()
    producer.close()
    producer.close()
    queue.close()


def test_an_offset_of_another_kind_of_queue_is_a_gap(queue: Queue, producer: Producer) -> None:
    publish(producer, messages(1), checkpoint(1))

    def read() -> None:
        reader = queue.reader("one", "0", "elsewhere")
        try:
            reader.read(1, MB, 5.0)
        finally:
            reader.close()

    with pytest.raises(Gap, match="lane 0"):
        read()


def test_a_producer_is_ready_while_there_is_room(producer: Producer) -> None:
    assert producer.ready(0.0)
    publish(producer, messages(10), checkpoint(1))
    assert producer.ready(0.0)


def test_a_check_says_what_it_found(queue: Queue) -> None:
    lines = queue.check()
    assert lines
    assert all("\n" not in line for line in lines)


def test_findings_of_a_fit_queue_are_no_faults_and_nothing_is_written(queue: Queue) -> None:
    found = list(queue.findings(1000))
    assert found
    assert not_fine(found, "queue") == []
    assert queue.checkpoint() is None
    assert all("\n" not in one.text for one in found)


def test_closing_twice_is_no_error(queue: Queue, producer: Producer) -> None:
    reader = queue.reader("one", "0", "")
    reader.read(1, MB, 0.0)
    for closed in (reader, reader, producer, producer, queue, queue):
        closed.close()


def test_threads_may_share_a_queue(queue: Queue, producer: Producer) -> None:
    publish(producer, [*messages(500), *messages(500, lane="1")], checkpoint(1), ORDERS)
    counts: dict[str, int] = {}

    def work(lane: str) -> None:
        reader = queue.reader("one", lane, "")
        counts[lane] = len(take(reader, 500))
        assert queue.schema(ORDERS.fingerprint()) == ORDERS
        reader.close()

    threads = [threading.Thread(target=work, args=(lane,), daemon=True) for lane in ("0", "1")]
    for thread in threads:
        thread.start()
    until(lambda: counts == {"0": 500, "1": 500}, 30, "both lanes are read")
    for thread in threads:
        thread.join()
