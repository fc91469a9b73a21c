"""How fast a full queue is applied: our sink against a bare loop that does nothing else with the same rows."""

import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import redis

from benchmarks import binlogs, connectors, targets
from benchmarks.applied import SHARING_SECONDS, WORKERS, Clock
from benchmarks.binlogs import Binlog, Cursor
from benchmarks.capture import DEBEZIUM, DEBEZIUM_ENGINE, Peers, job_of
from benchmarks.capture_queues import LANES, Setting, entries
from benchmarks.children.report import NotRun
from benchmarks.peers import build
from benchmarks.processes import python_child, run_child
from benchmarks.results import Section
from benchmarks.rows import Lanes, by_lane
from benchmarks.run import Contestant, Run, Say, interleaved
from benchmarks.servers import login
from benchmarks.sizes import Sizes
from benchmarks.targets import Target
from cdc.local import Server

TABLE = "apply_rows"
UPDATED = "apply_updated"
FULL = "apply_full"
SINK = "lockstep sink"
BARE = "bare loop"
BARE_RENDERED = "bare loop, rendered before"
DEBEZIUM_SINK = "Debezium JDBC sink"
CONFLUENT_SINK = "Confluent JDBC sink"
_UPDATED_FROM = 10_000_000
# Its records are held as Java objects, all of them, before the clock starts.
_DEBEZIUM_MOST_ROWS = 40_000


class Case(NamedTuple):
    """Inserts or updates into one target. `least_k`: rows that the case has written have at least this k."""

    kind: str
    target: Target
    binlog: Binlog
    lanes: Lanes
    least_k: int
    connector: Path

    @property
    def table(self) -> str:
        return TABLE if self.kind == "inserts" else UPDATED

    @property
    def name(self) -> str:
        return f"{self.kind} to {self.target.flavor}"


def measure(setting: Setting, postgresql: Server, peers: Peers, sizes: Sizes, say: Say) -> list[Section]:
    say("apply: writing the binlogs")
    inserts, updates = _binlogs(setting.mysql.url, sizes.apply_rows)
    into = (targets.PostgreSQL(postgresql), targets.MySQL(setting.mysql))
    sections = []
    for kind, binlog, least_k in (("inserts", inserts, 0), ("updates", updates, _UPDATED_FROM)):
        say(f"apply {kind}: filling the queue")
        lanes = by_lane(job_of(setting.mysql, binlog, binlog.rows), setting.folder, kind)
        cases = [_case(setting, target, kind, binlog, lanes, least_k) for target in into]
        _fill_queue(setting, cases[0])
        for case in cases:
            if kind == "inserts":
                say(f"apply {case.name}: a first time, which makes the tables")
                _make_tables(setting, case)
            sections.append(_section(setting, case, peers, sizes, say))
    return sections


def _section(setting: Setting, case: Case, peers: Peers, sizes: Sizes, say: Say) -> Section:
    contestants = _contestants(setting, case, peers, sizes.rounds)
    outcomes = interleaved(
        contestants, sizes.rounds + sizes.more_rounds, lambda text: say(f"apply {case.name}, {text}")
    )
    title = f"Apply {case.name} ({case.lanes.rows:,} rows, {LANES} lanes, {WORKERS} processes)"
    return Section(f"apply.{case.target.flavor}.{case.kind}", title, list(outcomes.values()), BARE)


def _binlogs(url: str, rows: int) -> tuple[Binlog, Binlog]:
    def update(cursor: Cursor) -> None:
        for first in range(1, rows + 1, 10_000):
            cursor.execute(
                f"UPDATE {UPDATED} SET k = k + {_UPDATED_FROM}, pad = REVERSE(pad)"
                f" WHERE id BETWEEN {first} AND {first + 9_999}"
            )

    # Two tables: a reader reads on to what comes later.
    inserts = binlogs.bulk(url, rows, TABLE)
    binlogs.bulk(url, rows, UPDATED)
    return inserts, binlogs.write(url, UPDATED, "updates in transactions of 10,000", rows, update)


def _case(setting: Setting, target: Target, kind: str, binlog: Binlog, lanes: Lanes, least_k: int) -> Case:
    """Connectors of one name, that differ in the target only: the queue that was filled by one is the other's too."""
    folder = setting.folder / target.flavor
    folder.mkdir(exist_ok=True)
    place = connectors.Place(
        name=f"apply-{kind}",
        source=setting.mysql.url,
        server_id=64_001,
        table=binlog.table,
        start=f"{binlog.file}:4",
        queue=_redis(setting).url,
        sink=target.url,
        lanes=LANES,
    )
    return Case(kind, target, binlog, lanes, least_k, connectors.write(folder, place))


def _redis(setting: Setting) -> Server:
    if setting.redis is None:
        raise NotRun("Redis could not be started")
    return setting.redis


def _fill_queue(setting: Setting, case: Case) -> None:
    """All change events into the queue, and a copy of it beside, from which each turn begins."""
    server = _redis(setting)
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        arrived = entries(server)
        name = case.connector.stem
        case.target.forget()
        with connectors.Command(setting.folder, "reader", str(case.connector)) as command:
            wanted = case.lanes.rows + LANES
            command.until(lambda: arrived(name) >= wanted, setting.seconds, "the queue's filling")
            # What tells idle lanes how far the stream is follows within two heartbeats.
            time.sleep(2)
        # flushall has emptied the copy of what was before, too.
        for key in client.scan_iter(match=f"{{{name}}}:*"):
            client.copy(key, key, destination_db=1, replace=True)


def _restore_queue(setting: Setting, *, lanes: bool) -> None:
    """The lanes' streams, all at one moment, or all but them."""
    url = _redis(setting).url
    beside = urlunsplit(urlsplit(url)._replace(path="/1"))
    with redis.Redis.from_url(url) as client, redis.Redis.from_url(beside) as kept:
        if not lanes:
            client.flushdb()
        wanted = [key for key in kept.scan_iter() if (kept.type(key) == b"stream") == lanes]
        with kept.pipeline(transaction=True) as together:
            for key in wanted:
                together.copy(key, key, destination_db=0, replace=True)
            together.execute()


def _make_tables(setting: Setting, case: Case) -> None:
    """The sink makes the table as it always does; a full copy is what updates begin with."""
    for table in (TABLE, UPDATED, FULL):
        case.target.run(f"DROP TABLE IF EXISTS {table}")
    _sink(setting, case, reset=False)
    case.target.run(f"CREATE TABLE {FULL} AS SELECT * FROM {TABLE}")
    case.target.run(case.target.like(UPDATED, TABLE))


def _reset(case: Case) -> None:
    case.target.forget()
    case.target.run(f"TRUNCATE TABLE {case.table}")
    if case.kind == "updates":
        case.target.run(f"INSERT INTO {UPDATED} SELECT * FROM {FULL}")
    case.target.settle(case.table)


def _contestants(setting: Setting, case: Case, peers: Peers, rounds_of_peers: int) -> list[Contestant]:
    def bare(*, rendered: bool) -> Run:
        _reset(case)
        return run_child(
            python_child("bare_apply"),
            bare_job(case.target, case.lanes, case.kind, case.table, rendered=rendered),
            seconds=setting.seconds,
            servers=(case.target.server,),
        )[0]

    def debezium() -> Run:
        _reset(case)
        argv = [*peers.get(DEBEZIUM, build.debezium), "apply"]
        rows = min(case.lanes.rows, _DEBEZIUM_MOST_ROWS)
        job = {
            **job_of(setting.mysql, case.binlog, rows),
            "engine": DEBEZIUM_ENGINE,
            "sink": case.target.debezium(),
            "batch": 5_000,
        }
        run = run_child(argv, job, seconds=setting.seconds, servers=(case.target.server,))[0]
        if (there := case.target.count(case.table, case.least_k)) < rows:
            raise NotRun(f"it said nothing, and {there} of {rows} rows are there")
        return run

    return [
        Contestant(BARE, lambda: bare(rendered=False)),
        Contestant(BARE_RENDERED, lambda: bare(rendered=True)),
        Contestant(SINK, lambda: _sink(setting, case)),
        Contestant(DEBEZIUM_SINK, debezium, rounds_of_peers),
        Contestant(CONFLUENT_SINK, _confluent),
    ]


def bare_job(target: Target, lanes: Lanes, kind: str, table: str, *, rendered: bool) -> dict[str, Any]:
    return {
        "flavor": target.flavor,
        "target": target.url,
        "login": login(target.url),
        "target_database": targets.DATABASE,
        "table": table,
        "kind": kind,
        "files": [str(file) for file in lanes.files],
        "rows": lanes.rows,
        "rendered": rendered,
        "processes": WORKERS,
    }


def _confluent() -> Run:
    raise NotRun("its artifact (kafka-connect-jdbc) lies in its maker's own repository only, not in the central one")


def _sink(setting: Setting, case: Case, *, reset: bool = True) -> Run:
    _restore_queue(setting, lanes=False)
    if reset:
        _reset(case)
    arguments = ("sink", str(case.connector), "--workers", str(WORKERS))
    with connectors.Command(setting.folder, *arguments) as command:
        # Their start, slow on a busy machine, is not measured. Then they share the lanes; that takes some turns of theirs.
        command.until(lambda: case.target.lanes_taken() == LANES, setting.seconds, "the lanes' being taken")
        time.sleep(SHARING_SECONDS)
        _restore_queue(setting, lanes=True)
        clock = Clock((command,), (case.target.server,))
        return clock.until_applied(case.target, case.table, case.lanes, least_k=case.least_k, seconds=setting.seconds)
