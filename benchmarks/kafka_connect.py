"""Debezium as its users run it: a Kafka Connect worker with its source and its JDBC sink, a Kafka broker between them."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit

from benchmarks import binlogs
from benchmarks.background import Background
from benchmarks.binlogs import Binlog
from benchmarks.capture import DEBEZIUM_ENGINE, Peers, source_id
from benchmarks.capture_queues import LANES, Setting, topics
from benchmarks.children.report import NotRun
from benchmarks.peers import build
from benchmarks.processes import clean
from benchmarks.servers import login
from cdc.local import Server
from cdc.local.ports import LOOPBACK, free_port

NAME = "Debezium over Kafka Connect"
_START_SECONDS = 120
_SECONDS = 60
_STATUS_SECONDS = 2.0
_SOURCE, _SINK = "source", "sink"
_JSON = "org.apache.kafka.connect.json.JsonConverter"
_numbers = count(1)


class Tuning(NamedTuple):
    """Settings of the worker (of its producers and consumers, too) and of the source connector."""

    worker: Mapping[str, str]
    source: Mapping[str, str]


# The sink writes one poll's rows in batches of `batch.size`: its page asks for polls as large as that, and what is fetched must
# hold them (a JSON message with its schema has some 3 kB before it is compressed).
_POLLS = {
    "consumer.max.poll.records": "5000",
    "consumer.max.partition.fetch.bytes": str(8 << 20),
    "consumer.fetch.max.bytes": str(64 << 20),
}
# Apache Kafka's documentation, "Producer Configs": larger batches, a little waiting for them, and compression, of what repeats
# its schema with each message; acks as Connect has it (all). "Consumer Configs": an answer waits until it is worth one.
THROUGHPUT = Tuning(
    {
        **_POLLS,
        "producer.batch.size": str(256 << 10),
        "producer.linger.ms": "10",
        "producer.compression.type": "lz4",
        "producer.buffer.memory": str(64 << 20),
        "consumer.fetch.min.bytes": str(100_000),
    },
    DEBEZIUM_ENGINE,
)
# Nothing waits for more.
LATENCY = Tuning(
    {**_POLLS, "producer.linger.ms": "0", "consumer.fetch.min.bytes": "1"},
    {**DEBEZIUM_ENGINE, "poll.interval.ms": "1"},
)


class Worker(Background):
    """A standalone worker, asked by its REST interface. The source reads nothing before `read`."""

    def __init__(self, argv: Sequence[str], properties: Mapping[str, str], folder: Path, at: str) -> None:
        file = folder / "connect.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()), encoding="utf-8")
        super().__init__([*argv, str(file)], None, folder)
        self._at = at
        self._look = 0.0

    def until(self, reached: Callable[[], bool], seconds: float, what: str, look_seconds: float = 0.01) -> float:
        """Also raises NotRun where a task failed: the worker goes on without it."""

        def looked() -> bool:
            if time.monotonic() > self._look:
                self._look = time.monotonic() + _STATUS_SECONDS
                self._check()
            return reached()

        return super().until(looked, seconds, what, look_seconds)

    def begin(self, source: Mapping[str, str], sink: Mapping[str, str]) -> None:
        super().until(self._answers, _START_SECONDS, "its REST interface's first answer", 0.2)
        self._ask("POST", "/connectors", {"name": _SINK, "config": sink})
        self._ask("POST", "/connectors", {"name": _SOURCE, "config": source, "initial_state": "STOPPED"})
        self.until(lambda: self._running(_SINK, int(sink["tasks.max"])), _SECONDS, "the sink's start", 0.2)

    def read(self, prefix: str, binlog: Binlog) -> None:
        """Reads on from there, as the offset that an earlier run would have left says."""
        self._ask("PUT", f"/connectors/{_SOURCE}/stop")
        self.until(lambda: self._status(_SOURCE) == ("STOPPED", []), _SECONDS, "the source's stop", 0.2)
        offset = {"file": binlog.file, "pos": 4, "gtids": binlog.gtids}
        self._ask(
            "PATCH",
            f"/connectors/{_SOURCE}/offsets",
            {"offsets": [{"partition": {"server": prefix}, "offset": offset}]},
        )
        self._ask("PUT", f"/connectors/{_SOURCE}/resume")

    def _answers(self) -> bool:
        """Its port is open, and says 404, before all of it stands."""
        try:
            self._ask("GET", "/connectors")
        except NotRun:
            return False
        return True

    def _running(self, connector: str, tasks: int) -> bool:
        return self._status(connector) == ("RUNNING", ["RUNNING"] * tasks)

    def _status(self, connector: str) -> tuple[str, list[str]]:
        parts = self._parts(connector)
        return (parts[0]["state"], [task["state"] for task in parts[1:]]) if parts else ("", [])

    def _check(self) -> None:
        for connector in (_SOURCE, _SINK):
            for one in self._parts(connector):
                if one["state"] == "FAILED":
                    lines = [line.strip() for line in one.get("trace", "").splitlines() if "Exception" in line]
                    raise NotRun(f"its {connector} failed: {clean((lines or ['it said nothing'])[-1])}")

    def _parts(self, connector: str) -> list[dict[str, Any]]:
        """The connector and its tasks; nothing before its first status, nor where the worker has ended, which `until` sees."""
        try:
            said = self._ask("GET", f"/connectors/{connector}/status")
        except NotRun:
            return []
        return [said["connector"], *said["tasks"]]

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        asked = urllib.request.Request(  # noqa: S310 - loopback, by a port of ours
            self._at + path,
            json.dumps(body).encode() if body is not None else None,
            {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(asked, timeout=_SECONDS) as answer:  # noqa: S310 - as above
                said = answer.read()
        except HTTPError as error:
            raise NotRun(f"{method} {path}: {clean(error.read().decode(errors='replace'))}") from None
        except OSError as error:
            raise NotRun(f"{method} {path}: {clean(str(error))}") from None
        return json.loads(said) if said else None


class Pipeline(NamedTuple):
    """A worker that waits for `read`; `topic` of a table of the source."""

    worker: Worker
    prefix: str

    def read(self, binlog: Binlog) -> None:
        self.worker.read(self.prefix, binlog)

    def topic(self, table: str) -> str:
        return _topic(self.prefix, table)


@contextmanager
def pipeline(
    setting: Setting, peers: Peers, tables: Sequence[str], target: Mapping[str, str], tuning: Tuning
) -> Iterator[Pipeline]:
    """`tables` of the source's database `b`, each with a topic of its own; its partitions, and the sink's tasks, are as many as
    ours has lanes. `target`: the sink's settings for it."""
    if setting.kafka is None:
        raise NotRun("Kafka could not be started")
    argv = peers.get(NAME, build.kafka_connect)
    prefix = f"connect{next(_numbers)}"
    wanted = [_topic(prefix, table) for table in tables]
    history = f"{prefix}.history"
    port = free_port()
    with (
        topics(setting.kafka, {**dict.fromkeys(wanted, LANES), history: 1}),
        Worker(
            argv,
            _worker(setting.kafka, setting.folder / f"{prefix}.offsets", port, tuning),
            setting.folder,
            f"http://{LOOPBACK}:{port}",
        ) as worker,
    ):
        worker.begin(
            _source(setting, tables, prefix, history, tuning),
            {
                **target,
                "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
                "tasks.max": str(LANES),
                "topics": ",".join(wanted),
            },
        )
        yield Pipeline(worker, prefix)


def _topic(prefix: str, table: str) -> str:
    return f"{prefix}.{binlogs.DATABASE}.{table}"


def _worker(kafka: Server, offsets: Path, port: int, tuning: Tuning) -> dict[str, str]:
    return {
        "bootstrap.servers": urlsplit(kafka.url).netloc,
        "listeners": f"http://{LOOPBACK}:{port}",
        # With schemas, which is their default: the sink needs them.
        "key.converter": _JSON,
        "value.converter": _JSON,
        "offset.storage.file.filename": str(offsets),
        "offset.flush.interval.ms": "10000",
        **tuning.worker,
    }


def _source(setting: Setting, tables: Sequence[str], prefix: str, history: str, tuning: Tuning) -> dict[str, str]:
    assert setting.kafka is not None
    at = login(setting.mysql.url)
    return {
        "connector.class": "io.debezium.connector.mysql.MySqlConnector",
        "tasks.max": "1",
        "topic.prefix": prefix,
        "database.hostname": at["host"],
        "database.port": str(at["port"]),
        "database.user": at["user"],
        "database.password": at["password"],
        "database.server.id": str(source_id()),
        "database.ssl.mode": "disabled",
        "driver.allowPublicKeyRetrieval": "true",
        "table.include.list": ",".join(rf"{binlogs.DATABASE}\.{table}" for table in tables),
        "include.schema.changes": "false",
        "snapshot.mode": "recovery",
        "schema.history.internal.kafka.bootstrap.servers": urlsplit(setting.kafka.url).netloc,
        "schema.history.internal.kafka.topic": history,
        **tuning.source,
    }
