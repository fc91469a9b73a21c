"""Kafka as a queue, on a broker that loses records, goes away, and is set up against us."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from cdc.local import Server, start_server
from cdc.model.checkpoint import Checkpoint
from cdc.model.errors import CdcError, Fenced, Gap, QueueRefused, QueueUnavailable
from cdc.queue.kafka import KafkaQueue
from cdc.queue.kafka_log import KeyedLog
from tests.support.queues import MB, ORDERS, checkpoint, connector, messages, numbers, publish, take
from tests.support.wait import until

# A server that was given by URL is not for us to kill.
OWN = ("path", "docker", "packages", "wheel")

NewQueue = Callable[..., KafkaQueue]


@pytest.fixture
def new_queue(kafka: Server) -> Iterator[NewQueue]:
    """A queue on the broker; arguments as of `connector`, `url` too."""
    made: list[KafkaQueue] = []

    def make(**options: object) -> KafkaQueue:
        url = str(options.pop("url", kafka.url))
        made.append(KafkaQueue(connector(url, **options)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for queue in made:
        queue.close()


@pytest.fixture
def admin(kafka: Server) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.url.removeprefix("kafka://")})


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Server]:
    """A broker that only this test uses."""
    server = start_server("kafka", tmp_path / "kafka", ways=OWN)
    yield server
    server.remove()


def name_of(queue: KafkaQueue) -> str:
    return queue._config.name


def make_topic(admin: AdminClient, topic: str, partitions: int, config: Mapping[str, str]) -> None:
    wanted = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=dict(config))
    admin.create_topics([wanted])[topic].result(20)


@pytest.mark.parametrize("after", ["0", "2"])
def test_records_deleted_behind_the_offset_are_a_gap(new_queue: NewQueue, admin: AdminClient, after: str) -> None:
    queue = new_queue()
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(10), checkpoint(1))
    place = TopicPartition(name_of(queue), 0, 5)
    try:
        admin.delete_records([place])[place].result(20)
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"this broker deletes no records: {error}")
    late = queue.reader("one", "0", after)
    with pytest.raises(Gap, match="begins at 5") as caught:
        late.read(10, MB, 10.0)
    assert "cdc replay" in caught.value.hint
    late.pass_gap()
    assert numbers(take(late, 5)) == [6, 7, 8, 9, 10]
    late.close()
    new = queue.reader("one", "0", "")
    assert numbers(take(new, 5)) == [6, 7, 8, 9, 10]
    new.close()


def test_an_offset_beyond_the_end_is_a_gap(new_queue: NewQueue, kafka: Server) -> None:
    if "tansu" in kafka.how:
        pytest.skip("Tansu answers such a fetch with nothing")
    queue = new_queue()
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(3), checkpoint(1))
    reader = queue.reader("one", "0", "700")
    with pytest.raises(Gap, match="'700'"):
        reader.read(10, MB, 10.0)
    reader.pass_gap()
    assert numbers(take(reader, 3)) == [1, 2, 3], "the topic is another one: its beginning"
    reader.close()


def test_a_reader_of_a_topic_that_does_not_exist_waits_for_it(new_queue: NewQueue) -> None:
    queue = new_queue(topic="{name}.{db}.{table}")
    lane = f"{name_of(queue)}.shop.orders/1"
    reader = queue.reader("one", lane, "")
    assert not reader.read(1, MB, 0.2)
    assert list(queue.lanes()) == []
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(3, lane=lane), checkpoint(1, **{f"lane_{lane}": 3}))
    assert numbers(take(reader, 3)) == [1, 2, 3]
    assert list(queue.lanes()) == [lane]
    reader.close()
    producer.close()


def test_only_the_newest_reader_s_checkpoint_stays_and_a_zombie_s_does_not_win(new_queue: NewQueue) -> None:
    queue = new_queue()
    zombie, newer = queue.producer(), queue.producer()
    zombie.open(3)
    publish(zombie, messages(1), checkpoint(3, 10))
    newer.open(5)
    publish(newer, (), checkpoint(5, 20))
    publish(newer, (), checkpoint(5, 30))
    log = KeyedLog(queue._config, f"{name_of(queue)}.checkpoint")
    until(lambda: [int(key) for key in log.latest()] == [5], 10, "the older key is removed")
    publish(zombie, messages(1, first=2), checkpoint(3, 999))
    assert sorted(int(key) for key in log.latest()) == [3, 5]
    assert queue.checkpoint() == checkpoint(5, 30)
    log.close()
    for producer in (zombie, newer):
        producer.close()


def test_with_exactly_once_a_newer_reader_fences_the_older_one(new_queue: NewQueue) -> None:
    queue = new_queue(exactly_once=True)
    older, newer = queue.producer(), queue.producer()
    older.open(1)
    publish(older, messages(2), checkpoint(1))
    assert newer.open(2) == checkpoint(1)
    with pytest.raises(Fenced):
        publish(older, messages(1, first=99), checkpoint(1, 99))
    publish(newer, messages(1, first=3), checkpoint(2))
    reader = queue.reader("one", "0", "")
    assert numbers(take(reader, 4, seconds=2.0)) == [1, 2, 3]
    for held in (reader, older, newer):
        held.close()


def test_with_exactly_once_what_was_not_committed_is_never_seen(new_queue: NewQueue) -> None:
    queue = new_queue(exactly_once=True)
    broken, successor = queue.producer(), queue.producer()
    broken.open(1)
    publish(broken, messages(2), checkpoint(1, 10))
    driver = broken._out.driver
    driver.begin_transaction()
    driver.produce(name_of(queue), b"99:", partition=0)
    driver.flush(10)
    assert successor.open(2) == checkpoint(1, 10)
    publish(successor, messages(2, first=3), checkpoint(2))
    reader = queue.reader("one", "0", "")
    assert numbers(take(reader, 5, seconds=2.0)) == [1, 2, 3, 4]
    for held in (reader, broken, successor):
        held.close()


def test_a_topic_with_fewer_partitions_than_lanes_is_refused(new_queue: NewQueue, admin: AdminClient) -> None:
    queue = new_queue(lanes=3)
    make_topic(admin, name_of(queue), 2, {})
    with pytest.raises(QueueRefused, match=r"2 partition\(s\), and 3 lanes"):
        queue.producer().open(1)
    with pytest.raises(QueueRefused, match="lanes"):
        queue.check()


def test_a_compacted_topic_is_refused_for_lanes(new_queue: NewQueue, admin: AdminClient, kafka: Server) -> None:
    if "tansu" in kafka.how:
        pytest.skip("Tansu tells no settings of topics")
    queue = new_queue()
    make_topic(admin, name_of(queue), 2, {"cleanup.policy": "compact"})
    with pytest.raises(QueueRefused, match="compacted"):
        queue.check()


def test_a_topic_s_own_limit_is_named(new_queue: NewQueue, admin: AdminClient, kafka: Server) -> None:
    if "tansu" in kafka.how:
        pytest.skip("Tansu knows no limit")
    queue = new_queue()
    make_topic(admin, name_of(queue), 2, {"max.message.bytes": "20000"})
    producer = queue.producer()
    producer.open(1)
    # Random digits: compressed, a row of equal letters would be small enough.
    digits = b"".join(b"%x" % (number * 2654435761 % 2**32) for number in range(20_000))
    large = messages(1)[0]._replace(value=digits)
    with pytest.raises(QueueRefused, match=r"max\.message\.bytes"):
        publish(producer, [large, *messages(1)], checkpoint(1))
    assert queue.checkpoint() is None
    producer.close()


def test_a_message_that_is_refused_in_the_midst_of_a_batch_is_named_and_nothing_behind_it_counts(
    new_queue: NewQueue, admin: AdminClient, kafka: Server
) -> None:
    """Only the last message of a batch is reported, and it goes in another request than the one that is refused."""
    if "tansu" in kafka.how:
        pytest.skip("Tansu knows no limit")
    # Without compression, and in requests of 20,000 bytes at most.
    queue = new_queue(properties={"batch.size": "20000", "compression.type": "none"})
    make_topic(admin, name_of(queue), 2, {"max.message.bytes": "30000"})
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(100, size=1000), checkpoint(1, 10))
    batch = messages(400, first=101, size=1000)
    batch[100] = batch[100]._replace(value=b"x" * 40_000)
    with pytest.raises(QueueRefused, match=rf"{name_of(queue)}/0 is too large.*max\.message\.bytes"):
        publish(producer, batch, checkpoint(1, 20))
    with pytest.raises(QueueRefused):
        producer.flush()
    assert queue.checkpoint() == checkpoint(1, 10)
    producer.close()
    reader = queue.reader("one", "0", "")
    assert numbers(take(reader, 201, seconds=3.0)) == list(range(1, 201)), "it ends before the one that was refused"
    reader.close()


def test_the_check_names_the_topic_and_how_long_it_is_kept(new_queue: NewQueue, kafka: Server) -> None:
    queue = new_queue()
    assert "is made at the reader's start" in " ".join(queue.check())
    producer = queue.producer()
    producer.open(1)
    assert "2 partition(s)" in " ".join(queue.check())
    assert "tansu" in kafka.how or "kept for ever" in " ".join(queue.check())
    producer.close()


def test_an_ack_shows_as_the_group_s_offset(new_queue: NewQueue, kafka: Server) -> None:
    queue = new_queue()
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(5), checkpoint(1))
    reader = queue.reader("one", "0", "")
    reader.ack(take(reader, 4)[-1].offset)
    settings = {"bootstrap.servers": kafka.url.removeprefix("kafka://"), "group.id": f"{name_of(queue)}.one"}
    monitor = Consumer(settings)
    place = TopicPartition(name_of(queue), 0)

    def committed() -> int:
        reader.read(0, MB, 0.0)
        return int(monitor.committed([place], timeout=5)[0].offset)

    until(lambda: committed() == 4, 10, "the offset is committed")
    monitor.close()
    reader.close()


def test_properties_on_which_the_guarantees_rest_are_refused(new_queue: NewQueue) -> None:
    properties = {"acks": "1", "isolation.level": "read_uncommitted", "linger.ms": "1", "retries": "3"}
    with pytest.raises(QueueRefused, match=r"sets acks, isolation\.level, retries, on"):
        new_queue(properties=properties).check()


def test_a_broker_that_is_not_there_is_unavailable_within_bounds(new_queue: NewQueue) -> None:
    queue = new_queue(url="kafka://127.0.0.1:9")
    calls: list[Callable[[], object]] = [
        queue.check,
        queue.checkpoint,
        lambda: queue.producer().open(1),
        lambda: queue.reader("one", "0", "").read(1, MB, 0.1),
    ]

    def refused(call: Callable[[], object]) -> float:
        begin = time.monotonic()
        with pytest.raises(QueueUnavailable, match="127"):
            call()
        return time.monotonic() - begin

    with ThreadPoolExecutor(len(calls)) as threads:
        assert max(threads.map(refused, calls)) < 15


def _readable(queue: KafkaQueue) -> bool:
    """Where it is not so, this raises what a sink would wait for, and try again."""
    with closing(queue.reader("probe", "0", "")) as reader:
        reader.read(1, MB, 0.5)
    return True


@pytest.mark.parametrize("exactly_once", [False, True])
def test_a_broker_killed_during_publishing_loses_nothing_that_a_checkpoint_covers(
    own_kafka: Server, new_queue: NewQueue, monkeypatch: pytest.MonkeyPatch, exactly_once: bool
) -> None:
    if "tansu" in own_kafka.how:
        pytest.skip("Tansu keeps everything in memory")
    monkeypatch.setattr("cdc.queue.kafka_outbox.CONFIRM_SECONDS", 3.0)
    queue = new_queue(url=own_kafka.url, exactly_once=exactly_once)
    producer = queue.producer()
    producer.open(1)
    confirmed: list[Checkpoint] = []
    killing = threading.Timer(0.5, own_kafka.kill)

    def publish_until_it_fails() -> None:
        done = 0
        while done < 100_000:
            # A broker that stalls leaves no room for longer than that; what it had no room for is not left out.
            if producer.ready(1.0):
                batch = messages(100, first=100 * done + 1, size=300)
                producer.publish(batch, checkpoint(1, done, lane_0=100 * done + 100))
                done += 1
            if producer.confirmed is not None:
                if not confirmed:
                    killing.start()
                confirmed.append(producer.confirmed)

    with pytest.raises(QueueUnavailable):
        publish_until_it_fails()
    killing.join()
    with pytest.raises(QueueUnavailable):
        producer.flush()
    producer.close()
    own_kafka.restart()

    def stored_again() -> Checkpoint | None:
        return new_queue(url=own_kafka.url, name=name_of(queue)).checkpoint()

    stored = until(stored_again, 30, "the broker answers again")
    assert stored is not None
    assert stored.lanes["0"].count >= confirmed[-1].lanes["0"].count
    after = new_queue(url=own_kafka.url, name=name_of(queue), exactly_once=exactly_once)
    until(lambda: _readable(after), 30, "the lane's partition has a leader again")
    reader = after.reader("one", "0", "")
    taken = numbers(take(reader, stored.lanes["0"].count))
    assert taken == list(range(1, stored.lanes["0"].count + 1))
    reader.close()
    successor = after.producer()
    assert successor.open(2) == stored
    publish(successor, messages(1), checkpoint(2), ORDERS)
    successor.close()


def test_a_reader_whose_broker_goes_away_says_so_within_bounds(own_kafka: Server, new_queue: NewQueue) -> None:
    queue = new_queue(url=own_kafka.url)
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(3), checkpoint(1))
    producer.close()
    reader = queue.reader("one", "0", "")
    assert take(reader, 3)
    own_kafka.kill()

    def fails() -> bool:
        try:
            reader.read(1, MB, 0.2)
        except CdcError as error:
            return isinstance(error, QueueUnavailable)
        return False

    until(fails, 15, "the reader says that the broker is gone")
    reader.close()
