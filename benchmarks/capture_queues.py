"""Capture into a queue: `cdc reader` against a bare loop that produces the same finished messages."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import redis

from benchmarks import connectors
from benchmarks.background import RARE_LOOK_SECONDS
from benchmarks.binlogs import Binlog
from benchmarks.children.report import NotRun
from benchmarks.processes import cpu_seconds, python_child, run_child, server_pids
from benchmarks.run import Contestant, Run
from cdc.local import Server

LANES = 4
_ANSWER_SECONDS = 0.2
_numbers = count(1)


class Setting(NamedTuple):
    """What all contestants of the part share."""

    mysql: Server
    redis: Server | None
    kafka: Server | None
    folder: Path
    seconds: float


def to_redis(setting: Setting, binlog: Binlog, rows: int, job: Mapping[str, Any]) -> list[Contestant]:
    def product(decoder: str) -> Run:
        server = _there(setting.redis)
        _flush(server)
        try:
            return _reader(setting, binlog, rows, decoder, server, entries(server))
        finally:
            _flush(server)

    def bare(way: str) -> Run:
        server = _there(setting.redis)
        _flush(server)
        try:
            return _bare(setting, way, {**job, "queue": server.url}, server)
        finally:
            _flush(server)

    return [
        *(Contestant(f"lockstep, {one}, to Redis Streams", partial(product, one)) for one in ("compiled", "python")),
        Contestant("bare loop to Redis, script", lambda: bare("redis-script")),
        Contestant("bare loop to Redis, pipeline", lambda: bare("redis-pipeline")),
    ]


def warm_kafka(setting: Setting, job: Mapping[str, Any]) -> None:
    """A turn of the bare loop that is not counted: the broker is a JVM, slow until it has compiled what it does, and the first
    contestant would pay for all."""
    with suppress(NotRun):  # the contestants say why
        _bare_to_kafka(setting, "kafka-batch", job)


def to_kafka(setting: Setting, binlog: Binlog, rows: int, job: Mapping[str, Any]) -> list[Contestant]:
    def product(decoder: str) -> Run:
        server = _there(setting.kafka)
        return _reader(setting, binlog, rows, decoder, server, watermarks(server))

    return [
        *(Contestant(f"lockstep, {one}, to Kafka", partial(product, one)) for one in ("compiled", "python")),
        Contestant("bare loop to Kafka, produce_batch", lambda: _bare_to_kafka(setting, "kafka-batch", job)),
        Contestant("bare loop to Kafka, produce", lambda: _bare_to_kafka(setting, "kafka-produce", job)),
    ]


def _bare_to_kafka(setting: Setting, way: str, job: Mapping[str, Any]) -> Run:
    server = _there(setting.kafka)
    topic = f"bare-{next(_numbers)}"
    with topics(server, {topic: LANES}):
        return _bare(setting, way, {**job, "queue": server.url, "topic": topic}, server)


def _there(server: Server | None) -> Server:
    if server is None:
        raise NotRun("the server could not be started")
    return server


def _bare(setting: Setting, way: str, job: Mapping[str, Any], server: Server) -> Run:
    return run_child(python_child("produce", way), job, seconds=setting.seconds, servers=(server,))[0]


def _reader(
    setting: Setting,
    binlog: Binlog,
    rows: int,
    decoder: str,
    server: Server,
    arrived: Callable[[str], int],
) -> Run:
    """`cdc reader` from the binlog's start until `rows` messages lie in the queue. The clock runs from the first messages that
    are seen there, and counts what comes after them."""
    name = f"bench{next(_numbers)}"
    coordination = _there(setting.redis).url
    file = connectors.write(
        setting.folder,
        connectors.Place(
            name=name,
            source=setting.mysql.url,
            server_id=62_000 + next(_numbers) % 1000,
            table=binlog.table,
            start=f"{binlog.file}:4",
            queue=server.url,
            sink=f"sqlite:///{setting.folder}/{name}.db",
            coordination=coordination,
            lanes=LANES,
        ),
    )
    servers = server_pids((setting.mysql, server))
    # Each lane begins with an epoch marker.
    first = last = 0

    def some() -> bool:
        nonlocal first
        first = arrived(name)
        return first > LANES

    def there(wanted: float) -> bool:
        nonlocal last
        last = arrived(name)
        return last >= wanted

    with connectors.Command(setting.folder, "reader", str(file), environment={"CDC_DECODER": decoder}) as command:
        began = command.until(some, setting.seconds, "the first message")
        cpu, server_cpu = command.cpu_seconds, cpu_seconds(servers)
        command.until(lambda: there(0.9 * rows), setting.seconds, "most messages", RARE_LOOK_SECONDS)
        ended = command.until(lambda: there(rows + LANES), setting.seconds, "the last message")
        taken = command.cpu_seconds - cpu, cpu_seconds(servers) - server_cpu
        peak = max(command.peaks.values(), default=0)
    if last <= first:
        raise NotRun("all messages were there at the first look: too few rows to measure")
    return Run(last - first, max(ended - began, 1e-9), *taken, peak)


def _flush(server: Server) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()


def entries(server: Server) -> Callable[[str], int]:
    """Entries in all streams of a connector."""
    client = redis.Redis.from_url(server.url)
    keys: set[bytes] = set()

    def arrived(name: str) -> int:
        if len(keys) < LANES:
            keys.update(client.scan_iter(match=f"{{{name}}}:*", _type="stream"))
        return sum(client.xlen(key) for key in keys)

    return arrived


def watermarks(server: Server) -> Callable[[str], int]:
    """Messages in the lanes of a topic; 0 while it is not there. One request for all of them: the broker that answers is the one
    that is measured, and a bare loop is not looked at."""
    from confluent_kafka import KafkaException, TopicPartition  # noqa: PLC0415 - an extra
    from confluent_kafka.admin import (  # type: ignore[attr-defined] # noqa: PLC0415
        AdminClient,
        OffsetSpec,
    )

    # A topic that has just been made has no leader for a moment; the client's own pauses after that go up to a second.
    patience = {"retry.backoff.ms": 10, "retry.backoff.max.ms": 50}
    admin = AdminClient({"bootstrap.servers": urlsplit(server.url).netloc, "log_level": 0, **patience})

    def arrived(topic: str) -> int:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(topic, lane): latest for lane in range(LANES)}
        with suppress(KafkaException):
            # Asked anew at once where a topic that is being made has no answer: the client itself may wait for seconds.
            found = admin.list_offsets(asked, request_timeout=_ANSWER_SECONDS)
            return sum(future.result().offset for future in found.values())
        return 0

    return arrived


@contextmanager
def topics(server: Server, partitions: Mapping[str, int]) -> Iterator[None]:
    """Topics with so many partitions, deleted at the end."""
    from confluent_kafka.admin import (  # type: ignore[attr-defined] # noqa: PLC0415 - an extra
        AdminClient,
        NewTopic,
    )

    admin = AdminClient({"bootstrap.servers": urlsplit(server.url).netloc})
    new = [NewTopic(name, num_partitions=number, replication_factor=1) for name, number in partitions.items()]
    for future in admin.create_topics(new).values():
        future.result(30)
    try:
        yield
    finally:
        for future in admin.delete_topics(list(partitions)).values():
            future.result(30)
