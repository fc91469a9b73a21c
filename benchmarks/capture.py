"""How fast a binlog is captured: the server's own limit, ours into nothing and into queues, and the peers."""

import statistics
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from benchmarks import binlogs, capture_queues
from benchmarks.binlogs import Binlog
from benchmarks.capture_queues import Setting
from benchmarks.children.report import NotRun
from benchmarks.peers import build
from benchmarks.processes import python_child, run_child, run_program
from benchmarks.results import Section
from benchmarks.run import Contestant, Run, Say, interleaved
from benchmarks.servers import client_options, login
from benchmarks.sizes import Sizes
from cdc.binlog.decoder import load
from cdc.local import Server
from cdc.model.errors import CdcError

LIMIT = "mysqlbinlog --raw"
COMPILED = "lockstep, compiled"
PYTHON = "lockstep, python"
PYTHON_MYSQL_REPLICATION = "python-mysql-replication"
CANAL = "go-mysql canal"
DEBEZIUM = "Debezium engine"
MAXWELL = "Maxwell"
MYSQL_EVENT_STREAM = "mysql-event-stream"

# https://debezium.io/documentation/reference/stable/connectors/mysql.html: the batch and the queue before it, larger than their
# defaults (2,048 and 8,192) as its pages on throughput advise, the queue the larger of them; no wait between polls.
DEBEZIUM_ENGINE = {"max.batch.size": "16384", "max.queue.size": "65536", "poll.interval.ms": "10"}

_server_ids = count(60_001)


class Peers:
    """Builds each peer once in a run, or keeps the reason why it cannot be built."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._made: dict[str, Any] = {}

    def get(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            self._say(f"building {name} (once)")
            try:
                self._made[name] = make()
            except NotRun as error:
                self._made[name] = error
        made = self._made[name]
        if isinstance(made, NotRun):
            raise NotRun(str(made))
        return made


def measure(setting: Setting, peers: Peers, sizes: Sizes, say: Say) -> list[Section]:
    say("writing the binlogs")
    empty = binlogs.empty(setting.mysql.url)
    start_seconds = statistics.median(_mysqlbinlog(setting, empty).seconds for _ in range(5))
    sections = []
    written = binlogs.of(setting.mysql.url, sizes)
    if sizes.huge_rows:
        say("writing the transaction of 1 GB")
        written.append(binlogs.huge(setting.mysql.url, sizes.huge_rows, sizes.huge_row_bytes))
    for binlog in written:
        queues = binlog.name in {"bulk", "small"}
        contestants = _readers(setting, binlog, sizes, peers, start_seconds)
        if queues:
            rows = min(binlog.rows, sizes.queue_rows)
            # The bare loops hold all their messages.
            job = {**job_of(setting.mysql, binlog, rows), "part": rows < binlog.rows}
            contestants += capture_queues.to_redis(setting, binlog, rows, job)
            contestants += capture_queues.to_kafka(setting, binlog, rows, job)
            say(f"capture {binlog.name}: a turn that warms the broker")
            capture_queues.warm_kafka(setting, job)
        # Once is enough for what counts there, memory.
        rounds = 1 if binlog.name == "huge" else sizes.rounds
        outcomes = interleaved(contestants, rounds, _saying(say, binlog.name))
        sections.append(
            Section(
                f"capture.{binlog.name}",
                f"Capture, {binlog.title} ({binlog.rows:,} rows, {binlog.bytes / 1e6:,.0f} MB)",
                list(outcomes.values()),
                LIMIT,
            )
        )
    return sections


def _saying(say: Say, name: str) -> Say:
    return lambda text: say(f"capture {name}, {text}")


def lockstep_null(
    server: Server, binlog: Binlog, rows: int, decoder: str, *, seconds: float, lanes: int = capture_queues.LANES
) -> Run:
    """Ours, finished messages into nothing."""
    job = {**job_of(server, binlog, rows), "lanes": lanes, "part": rows < binlog.rows}
    return run_child(
        python_child("lockstep_null"), job, seconds=seconds, servers=(server,), environment={"CDC_DECODER": decoder}
    )[0]


def decoder_there() -> str:
    """The compiled one where it can be loaded."""
    try:
        load("compiled")
    except CdcError:
        return "python"
    return "compiled"


def _readers(setting: Setting, binlog: Binlog, sizes: Sizes, peers: Peers, start_seconds: float) -> list[Contestant]:
    mysql, seconds = setting.mysql, setting.seconds
    slow = min(binlog.rows, sizes.slow_rows) if binlog.name in {"bulk", "small"} else binlog.rows // 4
    # A JVM becomes fast on the way, canal is fast.
    longer = min(binlog.rows, 2 * slow)

    def child(argv: list[str], rows: int, more: Mapping[str, Any] | None = None) -> Run:
        job = {**job_of(mysql, binlog, rows), **(more or {})}
        return run_child(argv, job, seconds=seconds, servers=(mysql,))[0]

    def event_stream() -> Run:
        packages = peers.get(MYSQL_EVENT_STREAM, build.mysql_event_stream)
        return child(python_child("mysql_event_stream"), slow, {"packages": str(packages)})

    def debezium() -> Run:
        argv = [*peers.get(DEBEZIUM, build.debezium), "capture"]
        return child(argv, longer, {"engine": DEBEZIUM_ENGINE})

    def maxwell() -> Run:
        argv = list(peers.get(MAXWELL, build.maxwell))
        return child(python_child("maxwell"), slow, {"argv": argv, "folder": str(setting.folder)})

    return [
        Contestant(LIMIT, lambda: _limit(setting, binlog, start_seconds)),
        Contestant(COMPILED, lambda: lockstep_null(mysql, binlog, binlog.rows, "compiled", seconds=seconds)),
        Contestant(PYTHON, lambda: lockstep_null(mysql, binlog, slow, "python", seconds=seconds)),
        Contestant(PYTHON_MYSQL_REPLICATION, lambda: child(python_child("python_mysql_replication"), slow)),
        Contestant(MYSQL_EVENT_STREAM, event_stream),
        Contestant(CANAL, lambda: child([str(peers.get(CANAL, build.canal))], longer)),
        Contestant(DEBEZIUM, debezium),
        Contestant(MAXWELL, maxwell),
    ]


def source_id() -> int:
    """Of a replica that no other has."""
    return next(_server_ids)


def job_of(server: Server, binlog: Binlog, rows: int) -> dict[str, Any]:
    return {
        **login(server.url),
        "url": server.url,
        "server_id": source_id(),
        "database": binlogs.DATABASE,
        "tables": [binlog.table],
        "table_regex": binlog.table.replace(".", "\\.").replace("*", ".*"),
        "file": binlog.file,
        "gtids": binlog.gtids,
        "rows": rows,
        "lanes": capture_queues.LANES,
    }


def _limit(setting: Setting, binlog: Binlog, start_seconds: float) -> Run:
    """Less the time that it takes for an empty file: all others are told without their start."""
    run = _mysqlbinlog(setting, binlog)
    return run._replace(seconds=max(run.seconds - start_seconds, 1e-3))


def _mysqlbinlog(setting: Setting, binlog: Binlog) -> Run:
    server, folder = setting.mysql, setting.folder
    if "mysqlbinlog" not in server.commands:
        raise NotRun("the server that was given by URL brings no mysqlbinlog")
    argv = [
        *server.commands["mysqlbinlog"],
        "--no-defaults",
        "--read-from-remote-server",
        "--raw",
        f"--result-file={folder}/raw-",
        *client_options(server.url),
        binlog.file,
    ]
    run = run_program(argv, binlog.rows, seconds=setting.seconds, servers=(server,))
    for copy in folder.glob("raw-*"):
        copy.unlink()
    return run
