"""The first copy of a table into an empty PostgreSQL: rows a second, and what reader and sink use for it."""

import time
from statistics import median

import redis

from benchmarks import binlogs, connectors, targets
from benchmarks.applied import SHARING_SECONDS, WORKERS, Clock
from benchmarks.capture_queues import LANES, Setting, entries
from benchmarks.children.report import NotRun
from benchmarks.processes import python_child, run_child
from benchmarks.results import Figure, Section
from benchmarks.run import Contestant, Run, Say, interleaved
from benchmarks.servers import client_options
from benchmarks.sizes import Sizes
from benchmarks.targets import PostgreSQL
from cdc.local import Server

TABLE = "copied"
BARE = "mysql --quick, piped into COPY"
PRODUCT = "lockstep, start: snapshot"
ROLES = ("reader", "sink")


def measure(setting: Setting, postgresql: Server, sizes: Sizes, decoder: str, say: Say) -> tuple[Section, list[Figure]]:
    """The figures: the most memory that any process of each role had, and CPU a row of each role."""
    say("first copy: writing the table")
    target = targets.PostgreSQL(postgresql)
    table = binlogs.bulk(setting.mysql.url, sizes.copy_rows, TABLE)
    target.run(f"DROP TABLE IF EXISTS {TABLE}")
    say("first copy: a first time, which makes the table")
    _copied(setting, target, table.table, table.rows, decoder)
    cpu: dict[str, list[float]] = {role: [] for role in ROLES}
    peaks = dict.fromkeys(ROLES, 0)

    def reset() -> None:
        target.forget()
        target.run(f"TRUNCATE TABLE {TABLE}")
        target.settle(TABLE)

    def product() -> Run:
        reset()
        run, used, most = _copied(setting, target, table.table, table.rows, decoder)
        for role in ROLES:
            cpu[role].append(used[role] / table.rows * 1e6)
            peaks[role] = max(peaks[role], most[role])
        return run

    def bare() -> Run:
        reset()
        return _bare(setting, postgresql, target, table.table)

    outcomes = interleaved(
        [Contestant(BARE, bare), Contestant(PRODUCT, product)], sizes.rounds, lambda text: say(f"first copy, {text}")
    )
    title = f"First copy, MySQL to an empty PostgreSQL ({table.rows:,} rows, {LANES} lanes, {WORKERS} sinks)"
    figures = []
    for role in ROLES:
        known = bool(cpu[role])
        reason = "" if known else outcomes[PRODUCT].reason
        figures += [
            Figure(
                f"copy.memory.{role}",
                f"memory of the {role}, first copy",
                peaks[role] / 1e6 if known else None,
                "MB",
                reason,
            ),
            Figure(
                f"copy.cpu.{role}",
                f"CPU of the {role}, first copy",
                median(cpu[role]) if known else None,
                "µs a row",
                reason,
            ),
        ]
    return Section("first-copy.rows", title, list(outcomes.values()), BARE), figures


def _bare(setting: Setting, postgresql: Server, target: PostgreSQL, table: str) -> Run:
    server = setting.mysql
    if "mysql" not in server.commands:
        raise NotRun("the server that was given by URL brings no client")
    columns = "id, k, c, pad"
    job = {
        "client": [
            *server.commands["mysql"],
            "--no-defaults",
            *client_options(server.url),
            "--quick",
            "--skip-column-names",
            "--batch",
            f"--execute=SELECT {columns} FROM {table}",
        ],
        "copy": f"COPY {TABLE} ({columns}) FROM STDIN",
        "target": target.url,
    }
    return run_child(python_child("bare_copy"), job, seconds=setting.seconds, servers=(server, postgresql))[0]


def _copied(
    setting: Setting, target: PostgreSQL, table: str, rows: int, decoder: str
) -> tuple[Run, dict[str, float], dict[str, int]]:
    """The run, CPU seconds and most memory of each role. Sinks first, which share the lanes; then the reader, with whose first
    rows in the queue the clock starts."""
    if setting.redis is None:
        raise NotRun("Redis could not be started")
    place = connectors.Place(
        name="first-copy",
        source=setting.mysql.url,
        server_id=65_004,
        table=table,
        start="snapshot",
        queue=setting.redis.url,
        sink=target.url,
        lanes=LANES,
        max_backlog=None,
    )
    file = str(connectors.write(setting.folder, place))
    chosen, arrived = {"CDC_DECODER": decoder}, entries(setting.redis)
    with redis.Redis.from_url(setting.redis.url) as client:
        client.flushall()
    with connectors.Command(setting.folder, "sink", file, "--workers", str(WORKERS), environment=chosen) as sink:
        time.sleep(SHARING_SECONDS)
        with connectors.Command(setting.folder, "reader", file, environment=chosen) as reader:
            # Each lane has its epoch, and what is to be copied, before the first row.
            reader.until(lambda: arrived(place.name) > 2 * LANES, setting.seconds, "the first message")
            clock = Clock((sink, reader), (setting.mysql, setting.redis, target.server))
            began = {"reader": reader.cpu_seconds, "sink": sink.cpu_seconds}
            reader.until(lambda: target.has(TABLE), setting.seconds, "the table's appearance")
            run = clock.until_copied(target, TABLE, LANES, rows, seconds=setting.seconds)
            used = {role: one.cpu_seconds - began[role] for role, one in (("reader", reader), ("sink", sink))}
            return run, used, {"reader": reader.peaks.get("reader", 0), "sink": sink.peaks.get("sink", 0)}
