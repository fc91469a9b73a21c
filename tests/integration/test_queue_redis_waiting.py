"""A reader that waits for a lane of Redis Streams gets what comes with the answer to its wait, and notices all the same what is
missing there."""

import threading
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis

from cdc.model.compiled_received import COMPILED, ReceivedBlock
from cdc.model.config import ConnectorConfig
from cdc.model.errors import Gap, QueueRefused
from cdc.queue.entry_id import EntryId
from cdc.queue.port import Producer, Received
from cdc.queue.redis_reader import MOST_AWAITED, RedisReader
from cdc.queue.redis_store import RedisStore
from cdc.queue.redis_streams import RedisStreamsQueue
from tests.support.queues import MB, checkpoint, connector, messages, numbers, publish, take
from tests.support.wait import until


@pytest.fixture
def config(redis_url: str) -> ConnectorConfig:
    return connector(redis_url)


@pytest.fixture
def queue(config: ConnectorConfig) -> Iterator[RedisStreamsQueue]:
    opened = RedisStreamsQueue(config)
    yield opened
    opened.close()


@pytest.fixture
def producer(queue: RedisStreamsQueue) -> Producer:
    opened = queue.producer()
    opened.open(1)
    return opened


@pytest.fixture
def raw(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def reader(queue: RedisStreamsQueue, producer: Producer) -> Iterator[RedisReader]:
    """It has read message 1."""
    publish(producer, messages(1), checkpoint(1))
    opened = queue.reader("one", "0", "")
    assert isinstance(opened, RedisReader)
    assert numbers(take(opened, 1)) == [1]
    yield opened
    opened.close()


class Waiting:
    """A read that is under way."""

    def __init__(self, reader: RedisReader, raw: "redis.Redis", max_bytes: int = 64 * MB) -> None:
        self._found: list[Sequence[Received]] = []
        self._failed: list[Exception] = []
        self._thread = threading.Thread(target=lambda: self._read(reader, max_bytes))
        self._thread.start()
        until(lambda: raw.info("clients")["blocked_clients"], 10, "the reader waits")

    def _read(self, reader: RedisReader, max_bytes: int) -> None:
        try:
            self._found.append(reader.read(5000, max_bytes, 20))
        except Gap as error:
            self._failed.append(error)

    def end(self) -> Sequence[Received]:
        self._thread.join(20)
        if self._failed:
            raise self._failed[0]
        return self._found[0]


def ranges(raw: "redis.Redis") -> int:
    """How often anybody, a script too, has asked for a range of a stream."""
    return int(raw.info("commandstats")["cmdstat_xrange"]["calls"])


@pytest.mark.skipif(not COMPILED, reason="plain Python asks again for what it waited for")
def test_what_it_waited_for_comes_at_once_and_is_not_asked_for_again(
    reader: RedisReader, producer: Producer, raw: "redis.Redis"
) -> None:
    waiting = Waiting(reader, raw)
    before = ranges(raw)
    publish(producer, messages(3, first=2), checkpoint(1))
    assert numbers(waiting.end()) == [2, 3, 4]
    assert ranges(raw) == before


def test_more_than_come_with_the_answer_come_with_the_next_reads(
    reader: RedisReader, producer: Producer, raw: "redis.Redis"
) -> None:
    waiting = Waiting(reader, raw)
    publish(producer, messages(3 * MOST_AWAITED, first=2), checkpoint(1))
    first = numbers(waiting.end())
    rest = numbers(take(reader, 3 * MOST_AWAITED - len(first)))
    assert first + rest == list(range(2, 2 + 3 * MOST_AWAITED))
    assert not reader.read(100, MB, 0)


def test_it_hands_out_no_more_bytes_than_it_was_asked_for(
    reader: RedisReader, producer: Producer, raw: "redis.Redis"
) -> None:
    waiting = Waiting(reader, raw, max_bytes=2500)
    publish(producer, messages(5, first=2, size=1000), checkpoint(1))
    found = [numbers(waiting.end())]
    while sum(map(len, found)) < 5:
        found.append(numbers(reader.read(5000, 2500, 5)))
    assert [number for part in found for number in part] == [2, 3, 4, 5, 6]
    assert max(map(len, found)) <= 2


@pytest.mark.parametrize("gone", ["1-2", "1-3"], ids=["before what came", "within what came"])
def test_what_is_missing_where_it_waited_is_a_gap(
    reader: RedisReader, producer: Producer, config: ConnectorConfig, raw: "redis.Redis", gone: str
) -> None:
    waiting = Waiting(reader, raw)
    lane = f"{{{config.name}}}:lane:0"
    with raw.pipeline(transaction=True) as together:
        for number in (2, 3, 4):
            together.xadd(lane, {"v": f"{number}:"}, id=f"1-{number}")
        together.xdel(lane, gone)
        together.execute()
    with pytest.raises(Gap, match="the next one there is 1-3" if gone == "1-2" else "the next one there is 1-4"):
        waiting.end()


def test_a_rewind_while_few_come_hands_out_all_since_the_last_ack_again(
    reader: RedisReader, producer: Producer, raw: "redis.Redis"
) -> None:
    reader.ack("1-1")
    waiting = Waiting(reader, raw)
    publish(producer, messages(2, first=2), checkpoint(1))
    assert numbers(waiting.end()) == [2, 3]
    reader.nack()
    assert numbers(take(reader, 2)) == [2, 3]


def test_a_new_run_is_gone_on_with_where_it_waited(
    queue: RedisStreamsQueue, reader: RedisReader, raw: "redis.Redis"
) -> None:
    waiting = Waiting(reader, raw)
    following = queue.producer()
    following.open(2)
    publish(following, messages(2, first=7), checkpoint(2))
    found = waiting.end()
    assert numbers(found) == [7, 8]
    assert [one.offset for one in found] == ["2-1", "2-2"]


def test_a_user_who_may_not_wait_is_refused(
    redis_url: str, reader: RedisReader, config: ConnectorConfig, raw: "redis.Redis"
) -> None:
    user = f"u{config.name}"
    raw.acl_setuser(user, enabled=True, passwords=["+canary"], keys=["*"], categories=["+@all"], commands=["-xread"])
    server = urlsplit(redis_url)
    url = urlunsplit(server._replace(netloc=f"{user}:canary@{server.hostname}:{server.port}"))
    barred = RedisStreamsQueue(connector(url, name=config.name))
    try:
        with pytest.raises(QueueRefused, match="xread"):
            take(barred.reader("one", "0", "1-1"), 1, seconds=5)
    finally:
        barred.close()
        raw.acl_deluser(user)


def test_large_entries_do_not_come_by_their_number(
    reader: RedisReader, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis bounds the answer to a wait by number alone; of a backlog of large ones a page takes as many as it may."""
    asked: list[int] = []
    wait = RedisStore.wait

    def told(store: RedisStore, lane: str, after: EntryId, wait_seconds: float, count: int) -> ReceivedBlock | None:
        asked.append(count)
        return wait(store, lane, after, wait_seconds, count)

    monkeypatch.setattr(RedisStore, "wait", told)
    publish(producer, messages(9, first=2, size=100_000), checkpoint(1))
    pages = [numbers(reader.read(100, 300_000, wait_seconds)) for wait_seconds in (0, 5, 5)]
    assert pages == [[2, 3, 4], [5, 6, 7], [8, 9, 10]]
    assert asked == []
    assert not reader.read(100, 300_000, 0.01)
    assert set(asked) == {1}
