"""From commit at MySQL to visible at PostgreSQL, at steady rates.

The row carries the source server's clock, read in the statement that commits it; PostgreSQL keeps the time of each commit
(track_commit_timestamp). Both are this machine's one clock, and nothing polls while the load runs.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import redis

from benchmarks import binlogs, connectors, kafka_connect, targets
from benchmarks.applied import SHARING_SECONDS, WORKERS
from benchmarks.background import Background
from benchmarks.capture import DEBEZIUM, DEBEZIUM_ENGINE, Peers, job_of
from benchmarks.capture_queues import Setting
from benchmarks.children.report import NotRun
from benchmarks.end_to_end import DEBEZIUM_PIPELINE
from benchmarks.peers import build
from benchmarks.processes import ask_child, python_child
from benchmarks.results import Latency
from benchmarks.run import Say
from benchmarks.servers import connect, login
from benchmarks.sizes import Sizes
from benchmarks.targets import PostgreSQL
from cdc.local import Server

PRODUCT = "lockstep, Redis Streams"
_COLUMNS = "id INT PRIMARY KEY AUTO_INCREMENT, sent BIGINT NOT NULL, pad VARCHAR(200) NOT NULL"
_PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def measure(setting: Setting, postgresql: Server, peers: Peers, sizes: Sizes, decoder: str, say: Say) -> list[Latency]:
    target = targets.PostgreSQL(postgresql)
    found = []
    for path in (f"{PRODUCT}, {decoder}", DEBEZIUM_PIPELINE, kafka_connect.NAME):
        for rate in sizes.latency_rates:
            say(f"latency, {path}, {rate:,} transactions/s")
            try:
                found.append(_one(setting, target, peers, sizes, decoder, path, rate))
            except NotRun as error:
                found.append(Latency(path, rate, reason=str(error)))
    return found


def _one(
    setting: Setting, target: PostgreSQL, peers: Peers, sizes: Sizes, decoder: str, path: str, rate: int
) -> Latency:
    rows = int(rate * sizes.latency_seconds)
    ours = path.startswith(PRODUCT)
    table = f"latency_{'ours' if ours else 'connect' if path == kafka_connect.NAME else 'peer'}_{rate}"
    binlog = binlogs.write(setting.mysql.url, table, "latency", rows, lambda cursor: None, {table: _COLUMNS})
    target.forget()
    target.run(f"DROP TABLE IF EXISTS {table}")
    target.run(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, sent BIGINT NOT NULL, pad VARCHAR(200) NOT NULL)")
    running: AbstractContextManager[Background]
    if ours:
        running = _ours(setting, target, binlog, decoder)
    elif path == kafka_connect.NAME:
        running = _connect(setting, target, binlog, peers)
    else:
        running = _peer(setting, target, binlog, peers)
    with running as work:
        if ours:
            time.sleep(SHARING_SECONDS)
        # The first row finds everything cold, and says that the path is open.
        with connect(setting.mysql.url) as connection, connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {binlog.table} (sent, pad) VALUES (0, '')")
        work.until(lambda: target.rows(table) > 0, 60, "the first row's appearance")
        job = {**login(setting.mysql.url), "table": binlog.table, "rows": rows, "rate": rate}
        report = ask_child(python_child("load"), job, seconds=sizes.latency_seconds * 4 + 30)
        work.until(lambda: target.rows(table) > rows, 120, "the last row's appearance", 0.2)
    return Latency(path, rate, rows / report["seconds"], rows, _percentiles(target, table, sizes.latency_warm_seconds))


def _percentiles(target: PostgreSQL, table: str, warm_seconds: float) -> Mapping[str, float]:
    """Without the first seconds, in which caches fill and a JVM compiles."""
    fractions = ", ".join(map(str, _PERCENTILES.values()))
    row: Any = target.connection.execute(
        f"SELECT percentile_disc(ARRAY[{fractions}]) WITHIN GROUP (ORDER BY us) FROM"
        f" (SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000 - sent AS us FROM {table}"
        f" WHERE sent > (SELECT min(sent) + {int(warm_seconds * 1e6)} FROM {table} WHERE sent > 0)) AS timed".encode()
    ).fetchone()
    return {name: round(float(us) / 1000, 3) for name, us in zip(_PERCENTILES, row[0], strict=True)}


def _ours(
    setting: Setting, target: PostgreSQL, binlog: binlogs.Binlog, decoder: str
) -> AbstractContextManager[connectors.Command]:
    if setting.redis is None:
        raise NotRun("Redis could not be started")
    with redis.Redis.from_url(setting.redis.url) as client:
        client.flushall()
    place = connectors.Place(
        name=binlog.name,
        source=setting.mysql.url,
        server_id=66_001,
        table=binlog.table,
        start=f"{binlog.file}:4",
        queue=setting.redis.url,
        sink=target.url,
        max_backlog=None,
    )
    file = str(connectors.write(setting.folder, place))
    return connectors.Command(
        setting.folder, "run", file, "--workers", str(WORKERS), environment={"CDC_DECODER": decoder}
    )


def _peer(
    setting: Setting, target: PostgreSQL, binlog: binlogs.Binlog, peers: Peers
) -> AbstractContextManager[Background]:
    """One row more than will come, so that it does not end by itself. Batches no larger than what is there: small and at once."""
    argv = [*peers.get(DEBEZIUM, build.debezium), "pipeline"]
    job = {
        **job_of(setting.mysql, binlog, binlog.rows + 2),
        "engine": {**DEBEZIUM_ENGINE, "poll.interval.ms": "1"},
        "sink": target.debezium(),
    }
    return Background(argv, job, setting.folder)


@contextmanager
def _connect(
    setting: Setting, target: PostgreSQL, binlog: binlogs.Binlog, peers: Peers
) -> Iterator[kafka_connect.Worker]:
    tuning = kafka_connect.LATENCY
    with kafka_connect.pipeline(setting, peers, (binlog.name,), target.debezium(), tuning) as way:
        way.read(binlog)
        yield way.worker
