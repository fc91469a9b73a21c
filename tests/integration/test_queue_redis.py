"""Redis Streams as a queue, on a Redis that forgets, fails, fills up and evicts."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from cdc.connect.redis import packed as packed_command
from cdc.local import Server, start_server
from cdc.model.bundle import expanded
from cdc.model.change import Message, Received
from cdc.model.compiled import Lanes, PackedMessages
from cdc.model.compiled_received import COMPILED
from cdc.model.config import ConnectorConfig
from cdc.model.errors import Fenced, Gap, QueueRefused, QueueUnavailable
from cdc.queue.entry_id import EntryId
from cdc.queue.redis_producer import RedisProducer
from cdc.queue.redis_reader import RedisReader
from cdc.queue.redis_store import MANY, RedisStore
from cdc.queue.redis_streams import RedisStreamsQueue
from tests.support.copied_messages import copied_messages
from tests.support.own_redis import start_cluster_node
from tests.support.queues import MB, ORDERS, checkpoint, connector, messages, numbers, publish, seconds_of, take
from tests.support.wait import until

# A server that was given by URL is not for us to kill.
OWN = ("path", "docker", "packages", "wheel")


@pytest.fixture
def config(redis_url: str) -> ConnectorConfig:
    return connector(redis_url, sinks=("one", "two"), max_backlog=1000)


@pytest.fixture
def queue(config: ConnectorConfig) -> Iterator[RedisStreamsQueue]:
    opened = RedisStreamsQueue(config)
    yield opened
    opened.close()


@pytest.fixture
def raw(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a Redis that only this test uses, with these options."""
    started: list[Server] = []

    def start(*options: str) -> Server:
        started.append(start_server("redis", tmp_path / f"redis{len(started)}", options=options, ways=OWN))
        return started[-1]

    yield start
    for server in started:
        server.remove()


Batch = Callable[..., Sequence[Message]]


@pytest.fixture(params=["cut from one text by the script", "a command for each"])
def batch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """Messages, in the two ways in which they go to Redis."""
    if request.param == "cut from one text by the script":
        return messages
    if not COMPILED:
        pytest.skip("the compiled parts are not built")
    monkeypatch.setattr("cdc.queue.redis_parts.MANY", 1)

    return packed_messages


def packed_messages(*args: Any, **kwargs: Any) -> Sequence[Message]:
    gathered = PackedMessages(Lanes())
    for message in messages(*args, **kwargs):
        gathered.append(message)
    return gathered


def lane_of(config: ConnectorConfig, lane: str = "0") -> str:
    return f"{{{config.name}}}:lane:{lane}"


def ack_all(queue: RedisStreamsQueue, sink: str, count: int) -> None:
    reader = queue.reader(sink, "0", "")
    reader.ack(take(reader, count)[-1].offset)
    reader.close()


def test_all_keys_lie_in_the_slot_of_the_connector(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis"
) -> None:
    producer = queue.producer()
    producer.open(7)
    publish(producer, [*messages(2), *messages(1, lane="1")], checkpoint(7), ORDERS)
    ack_all(queue, "one", 2)
    keys = {key.decode() for key in raw.scan_iter()}
    names = ("lane:0", "lane:1", "checkpoint", "epoch", "schemas", "acks")
    assert keys == {f"{{{config.name}}}:{name}" for name in names}
    assert [entry_id for entry_id, _ in raw.xrange(lane_of(config))] == [b"7-1", b"7-2"]


def test_a_lane_is_trimmed_only_behind_the_slowest_sink(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis", batch: Batch
) -> None:
    producer = queue.producer()
    producer.open(1)
    publish(producer, batch(10), checkpoint(1))
    ack_all(queue, "one", 8)
    assert raw.xlen(lane_of(config)) == 10
    ack_all(queue, "two", 5)
    assert [entry_id for entry_id, _ in raw.xrange(lane_of(config))] == [b"1-6", b"1-7", b"1-8", b"1-9", b"1-10"]
    one = queue.reader("one", "0", "1-8")
    assert numbers(take(one, 2)) == [9, 10]
    one.close()


def test_a_sink_whose_target_was_restored_gets_what_it_needs_again(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis"
) -> None:
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(10), checkpoint(1))
    ack_all(queue, "one", 9)
    restored = queue.reader("one", "0", "1-2")
    assert numbers(take(restored, 1)) == [3]
    ack_all(queue, "two", 6)
    assert numbers(take(restored, 7)) == [4, 5, 6, 7, 8, 9, 10]
    restored.close()


def test_a_reader_who_only_looks_on_holds_back_no_trimming_and_begins_anywhere(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis"
) -> None:
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(10), checkpoint(1))
    for sink in ("one", "two"):
        ack_all(queue, sink, 4)
    looking = queue.reader("", "0", "")
    taken = take(looking, 6)
    assert numbers(taken) == [5, 6, 7, 8, 9, 10]
    looking.ack(taken[-1].offset)
    looking.close()
    assert raw.xlen(lane_of(config)) == 6


@pytest.mark.parametrize("after", ["", "1-1"])
def test_a_lane_trimmed_by_hand_is_a_gap(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis", after: str
) -> None:
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(10), checkpoint(1))
    raw.xtrim(lane_of(config), minid="1-4", approximate=False)
    reader = queue.reader("one", "0", after)
    with pytest.raises(Gap, match="lane 0") as caught:
        reader.read(10, MB, 1.0)
    assert "cdc replay" in caught.value.hint
    assert repr(after) in caught.value.message
    reader.pass_gap()
    assert numbers(take(reader, 7)) == [4, 5, 6, 7, 8, 9, 10]


def test_an_entry_deleted_in_the_middle_is_a_gap(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis"
) -> None:
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(10), checkpoint(1))
    raw.xdel(lane_of(config), "1-5")
    reader = queue.reader("one", "0", "1-2")
    with pytest.raises(Gap, match="1-4"):
        take(reader, 8)


@pytest.mark.parametrize("more", [5, 3 * MANY])
def test_a_sink_behind_what_was_trimmed_finds_a_gap_although_a_new_run_begins_there(
    queue: RedisStreamsQueue, config: ConnectorConfig, more: int
) -> None:
    first = queue.producer()
    first.open(1)
    publish(first, messages(5), checkpoint(1))
    for sink in ("one", "two"):
        ack_all(queue, sink, 5)
    second = queue.producer()
    second.open(2)
    publish(second, messages(more, first=6), checkpoint(2))
    for after in ("", "1-3"):
        late = queue.reader("one", "0", after)
        with pytest.raises(Gap, match="trimmed up to 1-5"):
            late.read(1000, MB, 1.0)
    in_time = queue.reader("one", "0", "1-5")
    assert numbers(take(in_time, more)) == list(range(6, 6 + more))


def test_a_sink_that_begins_within_a_run_of_which_nothing_is_before_it_finds_a_gap(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis"
) -> None:
    for token in (1, 2):
        producer = queue.producer()
        producer.open(token)
        publish(producer, messages(3 * MANY, first=1 if token == 1 else 3 * MANY + 1), checkpoint(token))
    raw.xtrim(lane_of(config), minid="2-3", approximate=False)
    with pytest.raises(Gap, match="the next one there is 2-3"):
        queue.reader("one", "0", f"1-{3 * MANY}").read(1000, MB, 1.0)


def test_a_flushed_redis_is_noticed_by_the_producer_and_the_lane_goes_on_with_the_next_run(
    queue: RedisStreamsQueue, raw: "redis.Redis", batch: Batch
) -> None:
    producer = queue.producer()
    producer.open(5)
    publish(producer, batch(10), checkpoint(5))
    reader = queue.reader("one", "0", "")
    offset = take(reader, 10)[-1].offset
    reader.ack(offset)
    raw.flushdb()
    with pytest.raises(QueueUnavailable, match="the queue lost what was stored"):
        publish(producer, batch(1, first=11), checkpoint(5))
    assert not list(raw.scan_iter())
    successor = queue.producer()
    assert successor.open(6) is None
    publish(successor, batch(3, first=11), checkpoint(6))
    assert numbers(take(reader, 3)) == [11, 12, 13]
    reader.close()


def test_a_redis_restored_to_an_older_state_is_noticed_by_the_producer(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis", batch: Batch
) -> None:
    producer = queue.producer()
    producer.open(1)
    publish(producer, batch(3), checkpoint(1, 10))
    older = {key: raw.dump(key) for key in raw.scan_iter()}
    publish(producer, batch(3, first=4), checkpoint(1, 20))
    for key, value in older.items():
        raw.restore(key, 0, value, replace=True)
    with pytest.raises(QueueUnavailable, match="lost"):
        publish(producer, batch(3, first=7), checkpoint(1, 30))
    assert raw.xlen(lane_of(config)) == 3
    assert queue.checkpoint() == checkpoint(1, 10)


def test_an_older_producer_is_fenced_and_writes_nothing(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis", batch: Batch
) -> None:
    older, newer = queue.producer(), queue.producer()
    older.open(1)
    publish(older, batch(1), checkpoint(1))
    newer.open(4)
    with pytest.raises(Fenced) as caught:
        publish(older, batch(1, first=2), checkpoint(1, 99), ORDERS)
    assert caught.value.stored == 4
    assert raw.xlen(lane_of(config)) == 1
    assert queue.schema(ORDERS.fingerprint()) is None
    assert queue.checkpoint() == checkpoint(1)


@pytest.mark.skipif(not COMPILED, reason="the compiled parts are not built")
def test_a_successor_that_opens_while_commands_are_on_their_way_calls_them_off(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = queue.producer(), queue.producer()
    older.open(1)
    publish(older, packed_messages(2), checkpoint(1))
    opened = []

    def packed(command: Sequence[str | bytes | int]) -> list[bytes]:
        if command[0] == "EXEC":
            opened.append(newer.open(2))
        return packed_command(command)

    monkeypatch.setattr("cdc.connect.redis_reply.packed", packed)
    with pytest.raises(Fenced) as caught:
        publish(older, packed_messages(MANY, first=3), checkpoint(1, 99), ORDERS)
    assert opened == [checkpoint(1)]
    assert caught.value.stored == 2
    assert raw.xlen(lane_of(config)) == 2
    assert queue.schema(ORDERS.fingerprint()) is None
    assert queue.checkpoint() == checkpoint(1)


def test_a_lost_epoch_key_does_not_let_an_older_token_in(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis", batch: Batch
) -> None:
    producer = queue.producer()
    producer.open(9)
    publish(producer, batch(1), checkpoint(9))
    raw.delete(f"{{{config.name}}}:epoch", f"{{{config.name}}}:checkpoint")
    late = queue.producer()
    assert late.open(3) is None
    with pytest.raises(Fenced) as caught:
        publish(late, batch(1), checkpoint(3))
    assert caught.value.stored == 9


def test_a_publish_in_parts_moves_the_checkpoint_only_with_the_last(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis", monkeypatch: pytest.MonkeyPatch, batch: Batch
) -> None:
    monkeypatch.setattr("cdc.queue.redis_parts.CALL_MESSAGES", 10)
    producer = queue.producer()
    producer.open(1)
    publish(producer, batch(5), checkpoint(1, 10))
    # The second part meets a Redis that lost something in between.
    batch = batch(25, first=6)
    real = RedisStore.publish

    def tampered(store: RedisStore, token: int, call: int, part: object) -> object:
        answer = real(store, token, call, part)  # type: ignore[arg-type]
        if call == 1:
            raw.hset(f"{{{config.name}}}:epoch", "call", 1)
        return answer

    monkeypatch.setattr(RedisStore, "publish", tampered)
    with pytest.raises(QueueUnavailable):
        publish(producer, batch, checkpoint(1, 20))
    assert queue.checkpoint() == checkpoint(1, 10)
    assert raw.xlen(lane_of(config)) == 15
    monkeypatch.setattr(RedisStore, "publish", real)
    successor = queue.producer()
    assert successor.open(2) == checkpoint(1, 10)
    publish(successor, batch, checkpoint(2, 20))
    reader = queue.reader("one", "0", "")
    assert numbers(take(reader, 40)) == [*range(1, 16), *range(6, 31)]


def test_the_reader_waits_while_a_lane_is_full_and_goes_on_when_sinks_have_acked(
    queue: RedisStreamsQueue, config: ConnectorConfig
) -> None:
    producer = queue.producer()
    producer.open(1)
    publish(producer, messages(1200), checkpoint(1))
    assert seconds_of(lambda: producer.ready(0.3)) >= 0.3
    assert not producer.ready(0.0)
    ack_all(queue, "one", 1000)
    assert not producer.ready(0.1)
    ack_all(queue, "two", 1000)
    assert producer.ready(1.0)
    publish(producer, messages(1, first=1201), checkpoint(1))


def test_scripts_that_redis_forgot_are_sent_again(queue: RedisStreamsQueue, raw: "redis.Redis", batch: Batch) -> None:
    producer = queue.producer()
    producer.open(1)
    publish(producer, batch(1), checkpoint(1))
    raw.script_flush()
    publish(producer, batch(1, first=2), checkpoint(1, 20))
    assert numbers(take(queue.reader("one", "0", ""), 2)) == [1, 2]


def test_a_read_holds_no_more_than_it_was_asked_for(
    queue: RedisStreamsQueue, config: ConnectorConfig, batch: Batch
) -> None:
    producer = queue.producer()
    producer.open(1)
    publish(producer, [*batch(50), *batch(30, first=51, size=MB)], checkpoint(1))
    store = RedisStore(config)
    pages = []
    after = EntryId(0, 0)
    while sum(len(page.entries) for page in pages) < 80:
        pages.append(store.read("0", after, 1000, 2 * MB))
        assert sum(len(entry.value) for entry in pages[-1].entries) <= 2 * MB
        after = EntryId.parse("0", pages[-1].entries[-1].offset)
    store.close()


def test_what_is_not_a_stream_is_refused(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis", batch: Batch
) -> None:
    raw.set(lane_of(config), "somebody's")
    with pytest.raises(QueueRefused, match="WRONGTYPE"):
        queue.reader("one", "0", "").read(1, MB, 0.1)
    producer = queue.producer()
    producer.open(1)
    with pytest.raises(QueueRefused, match="WRONGTYPE"):
        publish(producer, batch(1), checkpoint(1))


def test_a_redis_that_is_down_is_unavailable_within_bounds(own_redis: Callable[..., Server]) -> None:
    server = own_redis()
    queue = RedisStreamsQueue(connector(server.url))
    producer, reader = queue.producer(), queue.reader("one", "0", "")
    producer.open(1)
    publish(producer, messages(3), checkpoint(1))
    assert take(reader, 3)
    server.kill()
    calls: list[Callable[[], object]] = [
        lambda: publish(producer, messages(1), checkpoint(1)),
        lambda: reader.read(1, MB, 1.0),
        queue.checkpoint,
        queue.check,
    ]
    for call in calls:
        begin = time.monotonic()
        with pytest.raises(QueueUnavailable, match="Redis at"):
            call()
        assert time.monotonic() - begin < 8
    reader.close()
    queue.close()


def test_a_publish_whose_reply_does_not_come_is_not_sent_again(
    own_redis: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, batch: Batch
) -> None:
    monkeypatch.setattr(RedisStore, "timeout_seconds", 1.0)
    server = own_redis()
    queue = RedisStreamsQueue(connector(server.url))
    producer = queue.producer()
    producer.open(1)
    publish(producer, batch(1), checkpoint(1, 10))

    def packed(command: Sequence[str | bytes | int]) -> list[bytes]:
        # What was asked for before is answered.
        if command[0] in {"MULTI", "EVALSHA"}:
            server.pause()
        return packed_command(command)

    with monkeypatch.context() as sending:
        for module in ("redis", "redis_reply") if batch is messages else ("redis_reply",):
            sending.setattr(f"cdc.connect.{module}.packed", packed)
        with pytest.raises(QueueUnavailable):
            publish(producer, batch(1, first=2), checkpoint(1, 20))
    server.resume()
    with pytest.raises(QueueUnavailable):
        producer.flush()
    # The paused server finds the call in its socket: it was done after all, once.
    successor = RedisStreamsQueue(connector(server.url, name=queue._config.name)).producer()
    stored = until(lambda: queue.checkpoint() == checkpoint(1, 20) and successor.open(2), 5, "the call is done")
    assert stored == checkpoint(1, 20)
    publish(successor, batch(1, first=3), checkpoint(2, 30))
    assert numbers(take(queue.reader("one", "0", ""), 4, seconds=2.0)) == [1, 2, 3]
    queue.close()


def test_a_full_redis_is_unavailable_until_sinks_have_acked(own_redis: Callable[..., Server], batch: Batch) -> None:
    server = own_redis("--maxmemory", "12mb")
    queue = RedisStreamsQueue(connector(server.url))
    count = 0
    producer = queue.producer()
    producer.open(1)

    def fill() -> None:
        nonlocal count
        while count < 100:
            publish(producer, batch(1, first=count + 1, size=MB // 2), checkpoint(1, count))
            count += 1

    with pytest.raises(QueueUnavailable, match="out of memory"):
        fill()
    assert 5 < count < 100
    ack_all(queue, "one", count)
    successor = queue.producer()
    assert successor.open(2) == checkpoint(1, count - 1)
    publish(successor, batch(1, size=MB // 2), checkpoint(2))
    queue.close()


def test_an_evicting_redis_is_refused(own_redis: Callable[..., Server]) -> None:
    server = own_redis("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
    queue = RedisStreamsQueue(connector(server.url))
    with pytest.raises(QueueRefused, match="allkeys-lru") as caught:
        queue.check()
    assert "noeviction" in caught.value.hint
    queue.close()


def test_a_wrong_password_is_refused_and_not_shown(own_redis: Callable[..., Server]) -> None:
    server = own_redis("--requirepass", "right")
    queue = RedisStreamsQueue(connector(server.url.replace(":right@", ":c4n4ry@")))
    with pytest.raises(QueueRefused) as caught:
        queue.checkpoint()
    assert "c4n4ry" not in str(caught.value)
    queue.close()


def test_the_check_says_what_a_restart_would_cost(own_redis: Callable[..., Server], queue: RedisStreamsQueue) -> None:
    assert "append-only file off" in " ".join(queue.check())
    kept = RedisStreamsQueue(connector(own_redis("--appendonly", "yes").url))
    assert "append-only file on" in " ".join(kept.check())
    kept.close()


def test_a_redis_that_was_killed_with_its_file_goes_on(own_redis: Callable[..., Server]) -> None:
    server = own_redis("--appendonly", "yes", "--appendfsync", "always")
    config = connector(server.url)
    queue = RedisStreamsQueue(config)
    producer = queue.producer()
    producer.open(1)

    def publish_until_it_fails() -> None:
        for done in range(10_000):
            publish(producer, messages(20, first=20 * done + 1), checkpoint(1, done, lane_0=20 * done + 20))

    killing = threading.Timer(0.5, server.kill)
    killing.start()
    with pytest.raises(QueueUnavailable):
        publish_until_it_fails()
    killing.join()
    server.restart()
    stored = RedisStreamsQueue(config).checkpoint()
    assert stored is not None
    assert stored.lanes["0"].count > 0
    taken = numbers(take(RedisStreamsQueue(config).reader("one", "0", ""), stored.lanes["0"].count))
    assert taken == list(range(1, stored.lanes["0"].count + 1))
    queue.close()


@pytest.fixture
def cluster_url(tmp_path: Path) -> Iterator[str]:
    """Of a Redis Cluster of one node, which has all slots."""
    server = start_cluster_node(tmp_path / "node")
    address = server.url.removeprefix("redis://").split("/")[0]
    host, port = address.split(":")
    command = [*server.commands["redis-cli"], "-h", host, "-p", port, "cluster", "addslotsrange", "0", "16383"]
    if not server.version.startswith("6."):
        subprocess.run(command, check=True, capture_output=True)
    else:
        slots = [str(slot) for slot in range(16384)]
        subprocess.run([*command[:-3], "addslots", *slots], check=True, capture_output=True)
    with redis.Redis.from_url(server.url) as client:
        until(lambda: client.cluster("info")["cluster_state"] == "ok", 20, "the cluster is up")
    yield f"redis+cluster://{address}"
    server.remove()


def test_a_cluster_takes_every_script(cluster_url: str) -> None:
    queue = RedisStreamsQueue(connector(cluster_url, sinks=("one",)))
    producer = queue.producer()
    producer.open(1)
    publish(producer, [*messages(3), *messages(2, lane="1")], checkpoint(1), ORDERS)
    reader = queue.reader("one", "0", "")
    taken = take(reader, 3)
    assert numbers(taken) == [1, 2, 3]
    assert not reader.read(1, MB, 0.2)
    reader.ack(taken[-1].offset)
    reader.close()
    assert queue.backlog("0", "1-3") == 0
    assert queue.schema(ORDERS.fingerprint()) == ORDERS
    assert queue.check()
    assert isinstance(reader, RedisReader)
    queue.close()


def test_a_message_at_the_limit_passes(redis_url: str) -> None:
    queue = RedisStreamsQueue(connector(redis_url, max_message_bytes=20 * MB))
    producer = queue.producer()
    producer.open(1)
    large = Message("0", None, b"x" * 20 * MB)
    publish(producer, [*messages(1), large, *messages(1, first=2)], checkpoint(1))
    reader = queue.reader("one", "0", "")
    sizes = [[len(entry.value) for entry in reader.read(10, MB, 1.0)] for _ in range(3)]
    assert sizes == [[2], [20 * MB], [2]]
    queue.close()


in_bundles = pytest.mark.skipif(not COMPILED, reason="the compiled parts are not built")


@pytest.fixture(params=["compiled", "plain"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundles that a reader with compiled parts has sent are read with and without them."""
    if request.param == "plain":
        monkeypatch.setattr("cdc.queue.redis_reader.COMPILED", False)
        monkeypatch.setattr("cdc.queue.redis_store.takes_raw", lambda _: False)


def mixed(producer: RedisProducer, token: int = 1) -> list[Message]:
    """Publishes bundles of up to some 60 rows between other messages; returns the messages of them all, one by one."""
    sent: list[Message] = []
    for first in range(0, 3000, 1000):
        for part in (messages(70, first=first + 1), copied_messages(range(first, first + 1000), 4096, token=token)):
            publish(producer, part, checkpoint(token))
            sent += [
                Message("0", key, value)
                for one in part
                for _, key, value in expanded([Received("", one.key, one.value)])
            ]
    return sent


@in_bundles
@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize(
    ("max_messages", "max_bytes"), [(1, MB), (100, MB), (5000, 8 * MB), (5000, 64 * 1024), (500, 1000)]
)
def test_bundles_come_whole_in_order_and_in_reads_that_are_bounded(
    queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis", max_messages: int, max_bytes: int
) -> None:
    producer = queue.producer()
    producer.open(1)
    sent = mixed(producer)
    stored: Any = raw.xrange(lane_of(config))
    sizes = {offset.decode(): len(fields[b"v"]) for offset, fields in stored}
    assert max(sizes.values()) > 50 * min(sizes.values())
    reader = queue.reader("one", "0", "")
    found: list[Received] = []
    while received := list(reader.read(max_messages, max_bytes, 0)):
        offsets = {entry.offset for entry in received}
        assert not found or found[-1].offset not in offsets
        # What the rows of a bundle have in common is not counted.
        size = sum(max(0, sizes[offset] - 1000) for offset in offsets)
        before_last = sum(entry.offset != received[-1].offset for entry in received)
        assert len(offsets) == 1 or (before_last < max_messages and size <= max_bytes)
        found += received
    assert [(entry.key, entry.value) for entry in found] == [(message.key, message.value) for message in sent]
    middle = found[len(found) // 2].offset
    rest = [entry for entry in found if EntryId.parse("0", entry.offset) > EntryId.parse("0", middle)]
    assert take(queue.reader("one", "0", middle), len(rest)) == rest


@in_bundles
@pytest.mark.usefixtures("reading")
def test_a_cluster_takes_bundles_and_many_messages_at_once(cluster_url: str) -> None:
    queue = RedisStreamsQueue(connector(cluster_url))
    producer = queue.producer()
    producer.open(1)
    sent = mixed(producer)
    found = take(queue.reader("one", "0", ""), len(sent))
    assert [(entry.key, entry.value) for entry in found] == [(message.key, message.value) for message in sent]
    assert queue.backlog("0", found[-1].offset) == 0
    queue.close()


@in_bundles
@pytest.mark.usefixtures("reading")
def test_a_bundle_that_is_gone_is_a_gap(queue: RedisStreamsQueue, config: ConnectorConfig, raw: "redis.Redis") -> None:
    producer = queue.producer()
    producer.open(1)
    publish(producer, copied_messages(range(3000), 4096), checkpoint(1))
    raw.xdel(lane_of(config), "1-9")
    reader = queue.reader("one", "0", "")
    with pytest.raises(Gap, match="1-8"):
        take(reader, 3000)
    assert {entry.offset for entry in take(queue.reader("one", "0", "1-9"), 1)} == {"1-10"}


@in_bundles
def test_a_bundle_counts_as_its_rows_where_a_lane_is_full(queue: RedisStreamsQueue, config: ConnectorConfig) -> None:
    producer = queue.producer()
    producer.open(1)
    publish(producer, copied_messages(range(900), producer.bundle_bytes), checkpoint(1))
    assert producer.ready(0.0)
    publish(producer, copied_messages(range(900, 1800), producer.bundle_bytes), checkpoint(1))
    assert not producer.ready(0.0)
    # The next run does not know the bundles, but how much they are.
    successor = queue.producer()
    successor.open(2)
    publish(successor, messages(1), checkpoint(2))
    assert not successor.ready(0.0)
    offsets = sorted({entry.offset for entry in take(queue.reader("", "0", ""), 1801)})
    assert len(offsets) == 3
    # Nor which of them are left: all, as long as one is.
    for sink in ("one", "two"):
        acked(queue, sink, offsets[0])
    assert not successor.ready(0.1)
    for sink in ("one", "two"):
        acked(queue, sink, offsets[1])
    assert successor.ready(1.0)
    publish(successor, copied_messages(range(900), producer.bundle_bytes, token=2), checkpoint(2))
    assert successor.ready(0.0)
    publish(successor, messages(200), checkpoint(2))
    assert not successor.ready(0.0)
    third = queue.producer()
    third.open(3)
    for sink in ("one", "two"):
        acked(queue, sink, "2-202")
    publish(third, messages(999), checkpoint(3))
    assert third.ready(0.0)


def acked(queue: RedisStreamsQueue, sink: str, offset: str) -> None:
    queue.reader(sink, "0", offset).close()


@in_bundles
def test_the_limit_of_a_message_is_that_of_a_bundle(redis_url: str) -> None:
    queue = RedisStreamsQueue(connector(redis_url, max_message_bytes=2000))
    producer = queue.producer()
    producer.open(1)
    sent = copied_messages(range(100), producer.bundle_bytes)
    assert 2 < len(sent) < 100
    publish(producer, sent, checkpoint(1))
    assert len(take(queue.reader("one", "0", ""), 100)) == 100
    queue.close()
