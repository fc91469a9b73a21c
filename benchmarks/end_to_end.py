"""Sustained rows a second from MySQL through Redis Streams into PostgreSQL, all of it on the same cores; and the memory that one
transaction of 1 GB needs."""

import time
from collections.abc import Mapping

import redis

from benchmarks import binlogs, connectors, kafka_connect, targets
from benchmarks.applied import SHARING_SECONDS, WORKERS, Clock
from benchmarks.apply import bare_job
from benchmarks.binlogs import Binlog
from benchmarks.capture import DEBEZIUM, DEBEZIUM_ENGINE, Peers, job_of
from benchmarks.capture_queues import LANES, Setting, entries, watermarks
from benchmarks.children.report import NotRun
from benchmarks.peers import build
from benchmarks.processes import python_child, run_child
from benchmarks.results import Figure, Section
from benchmarks.rows import Lanes, by_lane
from benchmarks.run import Contestant, Run, Say, interleaved
from benchmarks.servers import connect
from benchmarks.sizes import Sizes
from benchmarks.targets import PostgreSQL
from cdc.local import Server

TABLE = "flow"
SLOW_TABLE = "flow_slow"
WARM_TABLE = "flow_warm"
BARE = "bare COPY and merge"
BARE_RENDERED = "bare COPY and merge, rendered before"
DEBEZIUM_PIPELINE = "Debezium engine with its JDBC sink"
COMPILED = "lockstep, compiled"
PYTHON = "lockstep, python"


def measure(setting: Setting, postgresql: Server, peers: Peers, sizes: Sizes, say: Say) -> Section:
    say("end to end: writing the binlog")
    target = targets.PostgreSQL(postgresql)
    binlog = binlogs.bulk(setting.mysql.url, sizes.end_to_end_rows, TABLE)
    slow = binlogs.bulk(setting.mysql.url, min(binlog.rows, sizes.slow_rows), SLOW_TABLE)
    # The last of all: what reads it comes to an end there.
    warm = binlogs.bulk(setting.mysql.url, slow.rows // 2, WARM_TABLE)
    lanes = by_lane(job_of(setting.mysql, binlog, binlog.rows), setting.folder, TABLE)
    say("end to end: a first time, which makes the table")
    target.run(f"DROP TABLE IF EXISTS {TABLE}, {SLOW_TABLE}, {WARM_TABLE}")
    pipeline(setting, target, binlog, lanes, "python")
    for table in (SLOW_TABLE, WARM_TABLE):
        target.run(target.like(table, TABLE))

    def reset() -> None:
        target.forget()
        target.run(f"TRUNCATE TABLE {TABLE}")
        target.settle(TABLE)

    def product(decoder: str) -> Run:
        reset()
        return pipeline(setting, target, binlog, lanes, decoder)

    def bare(*, rendered: bool) -> Run:
        reset()
        job = bare_job(target, lanes, "inserts", TABLE, rendered=rendered)
        return run_child(python_child("bare_apply"), job, seconds=setting.seconds, servers=(postgresql,))[0]

    def debezium() -> Run:
        reset()
        argv = [*peers.get(DEBEZIUM, build.debezium), "pipeline"]
        rows = min(binlog.rows, sizes.slow_rows)
        job = {**job_of(setting.mysql, binlog, rows), "engine": DEBEZIUM_ENGINE, "sink": target.debezium()}
        run = run_child(argv, job, seconds=setting.seconds, servers=(setting.mysql, postgresql))[0]
        if (there := target.count(TABLE, 0)) < rows:
            raise NotRun(f"it said nothing, and {there} of {rows} rows are there")
        return run

    def over_kafka() -> Run:
        reset()
        target.run(f"TRUNCATE TABLE {SLOW_TABLE}, {WARM_TABLE}")
        return connect_pipeline(setting, peers, target, slow, warm)

    outcomes = interleaved(
        [
            Contestant(BARE, lambda: bare(rendered=False)),
            Contestant(BARE_RENDERED, lambda: bare(rendered=True)),
            Contestant(COMPILED, lambda: product("compiled")),
            Contestant(PYTHON, lambda: product("python"), sizes.rounds),
            Contestant(DEBEZIUM_PIPELINE, debezium, sizes.rounds),
            Contestant(kafka_connect.NAME, over_kafka, sizes.rounds),
        ],
        sizes.rounds + sizes.more_rounds,
        lambda text: say(f"end to end, {text}"),
    )
    title = f"End to end, MySQL to Redis Streams to PostgreSQL ({binlog.rows:,} rows, {LANES} lanes, {WORKERS} sinks)"
    return Section("end-to-end.rows", title, list(outcomes.values()), BARE)


def pipeline(setting: Setting, target: PostgreSQL, binlog: Binlog, lanes: Lanes, decoder: str) -> Run:
    """Sinks first, which share the lanes; then the reader. The clock starts with its first messages in the queue."""
    name, server = f"flow-{decoder}", _redis(setting)
    place = connectors.Place(
        name=name,
        source=setting.mysql.url,
        server_id=65_001,
        table=binlog.table,
        start=f"{binlog.file}:4",
        queue=server.url,
        sink=target.url,
        lanes=LANES,
        max_backlog=None,
    )
    file = str(connectors.write(setting.folder, place))
    chosen: Mapping[str, str] = {"CDC_DECODER": decoder}
    arrived = entries(server)
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    with connectors.Command(setting.folder, "sink", file, "--workers", str(WORKERS), environment=chosen) as sink:
        time.sleep(SHARING_SECONDS)
        with connectors.Command(setting.folder, "reader", file, environment=chosen) as reader:
            reader.until(lambda: arrived(name) > LANES, setting.seconds, "the first message")
            clock = Clock((sink, reader), (setting.mysql, server, target.server))
            return clock.until_applied(target, TABLE, lanes, least_k=0, seconds=setting.seconds)


def connect_pipeline(setting: Setting, peers: Peers, target: PostgreSQL, binlog: Binlog, warm: Binlog) -> Run:
    """A worker that is warm: another table went through it. The sink waits; the clock starts as in `pipeline`."""
    tables, tuning = (binlog.name, warm.name), kafka_connect.THROUGHPUT
    with connect(setting.mysql.url) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT id, k FROM {binlog.table} ORDER BY id DESC LIMIT 1")
        last = cursor.fetchone()
    assert last is not None
    with kafka_connect.pipeline(setting, peers, tables, target.debezium(), tuning) as way:
        assert setting.kafka is not None
        worker, arrived = way.worker, watermarks(setting.kafka)
        way.read(warm)
        worker.until(lambda: target.rows(warm.name) >= warm.rows, setting.seconds, "the last row to warm it", 0.2)
        way.read(binlog)
        worker.until(lambda: arrived(way.topic(binlog.name)) > 0, setting.seconds, "the first message")
        clock = Clock((worker,), (setting.mysql, setting.kafka, target.server))
        return clock.until_counted(target, binlog.name, (last[0], last[1]), binlog.rows, seconds=setting.seconds)


def huge(setting: Setting, postgresql: Server, sizes: Sizes, decoder: str, say: Say) -> list[Figure]:
    """The most memory of reader and sink while one transaction of 1 GB passes."""
    titles = {"reader": "memory of the reader, one transaction of 1 GB", "sink": "memory of a sink, the same"}
    if not sizes.huge_rows:
        return [_unmeasured(role, titles[role], "not with --quick") for role in titles]
    say("one transaction of 1 GB: writing the binlog")
    target, server = targets.PostgreSQL(postgresql), _redis(setting)
    target.forget()
    target.run("DROP TABLE IF EXISTS huge")
    binlog = binlogs.huge(setting.mysql.url, sizes.huge_rows, sizes.huge_row_bytes)
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    place = connectors.Place(
        name="huge",
        source=setting.mysql.url,
        server_id=65_002,
        table=binlog.table,
        start=f"{binlog.file}:4",
        queue=server.url,
        sink=target.url,
        max_backlog=None,
    )
    file = str(connectors.write(setting.folder, place))
    say("one transaction of 1 GB: on its way")
    environment = {"CDC_DECODER": decoder}
    try:
        with connectors.Command(
            setting.folder, "run", file, "--workers", str(WORKERS), environment=environment
        ) as command:
            command.until(lambda: _all_there(target, sizes.huge_rows), 1_200, "the last row's appearance", 2.0)
            peaks = command.peaks
    except NotRun as error:
        return [_unmeasured(role, titles[role], str(error)) for role in titles]
    return [Figure(f"memory.{role}", titles[role], peaks.get(role, 0) / 1e6, "MB") for role in titles]


def _unmeasured(role: str, title: str, reason: str) -> Figure:
    return Figure(f"memory.{role}", title, None, "MB", reason)


def _all_there(target: PostgreSQL, rows: int) -> bool:
    return target.has("huge") and target.rows("huge") >= rows


def _redis(setting: Setting) -> Server:
    if setting.redis is None:
        raise NotRun("Redis could not be started")
    return setting.redis
