"""Who else reads this source, and whether it is itself a replica.

"SHOW REPLICAS Statement", "SHOW REPLICA STATUS Statement", "Replica Server Options and Variables" (MySQL); "SHOW SLAVE HOSTS",
"SHOW ALL SLAVES STATUS" (MariaDB).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pymysql
from pymysql.constants import ER

from cdc.binlog.replica_lag import Replicas
from cdc.binlog.server import Result, Server
from cdc.connect.mysql import error_code
from cdc.model.config import SourceConfig
from cdc.model.finding import Finding, named


class _Replica(NamedTuple):
    server_id: int
    host: str


def _replicas(server: Server) -> Sequence[_Replica] | None:
    """Those that dump now, readers of other connectors among them; None: the user may not know. A host is what the replica
    says of itself (report_host)."""
    modern = server.product().flavor == "mysql" and server.product().version >= (8, 0, 22)
    rows = _allowed(server, "SHOW REPLICAS" if modern else "SHOW SLAVE HOSTS")
    return None if rows is None else sorted(_Replica(int(row[0]), str(row[1] or "")) for row in rows)


def _allowed(server: Server, sql: str) -> Result | None:
    """None where the user lacks a right that reading does not need: MariaDB 10.5 took some of them out of REPLICATION SLAVE and
    REPLICATION CLIENT ("GRANT", REPLICATION MASTER ADMIN, SLAVE MONITOR)."""
    try:
        return server.ask(sql)
    except (pymysql.err.MySQLError, OSError) as error:
        if error_code(error) == ER.SPECIFIC_ACCESS_DENIED_ERROR and server.product().flavor == "mariadb":
            return None
        raise server.explained(error) from error


def server_id(config: SourceConfig, server: Server) -> Iterator[Finding]:
    ours = config.server_id
    if server.variables("server_id").get("server_id") == str(ours):
        yield Finding(
            "error",
            "server_id",
            f"{ours} is the server's own",
            "choose another source.server_id: unique among replicas",
        )
        return
    connected = _replicas(server)
    if connected is None:
        text = f"{ours} is not the server's own; whether a replica has it is not told without REPLICATION MASTER ADMIN"
        yield Finding("ok", "server_id", text)
    elif any(replica.server_id == ours for replica in connected):
        yield Finding(
            "warning",
            "server_id",
            f"a replica with server_id {ours} is connected: this connector's own reader, or another's",
            "if this connector is not running, choose another source.server_id",
        )
    else:
        yield Finding("ok", "server_id", f"{ours} is free")


def replicas(config: SourceConfig, server: Server) -> Iterator[Finding]:
    """Only named: each of them takes the server what a reader takes."""
    others = [replica for replica in _replicas(server) or () if replica.server_id != config.server_id]
    if others:
        shown = named([f"{replica.host or '(unnamed)'} (server_id {replica.server_id})" for replica in others])
        yield Finding("ok", "replicas", f"{len(others)} read the same binlog: {shown}")


def lagging(config: SourceConfig, _server: Server) -> Iterator[Finding]:
    """Those that a copy waits for (`source.snapshot.replicas`)."""
    named_replicas = Replicas(config)
    try:
        lags = named_replicas.lags()
    finally:
        named_replicas.close()
    for lag in lags:
        if lag.seconds is None:
            yield Finding(
                "warning",
                "snapshot.replicas",
                f"replica {lag.replica} {lag.problem}: a copy waits until that is known",
                "let it replicate, give the user REPLICATION CLIENT there (MariaDB: SLAVE MONITOR), or take it out",
            )
        else:
            yield Finding("ok", "snapshot.replicas", f"replica {lag.replica} is {lag.seconds:g} s behind")


def following(config: SourceConfig, server: Server) -> Iterator[Finding]:
    """A source that is itself a replica must log what it repeats, and commit it in its source's order."""
    follows = _follows(server)
    if follows is None:
        yield Finding("ok", "replication", "whether the source is itself a replica is not told without SLAVE MONITOR")
    if not follows:
        return
    names = ("log_replica_updates", "log_slave_updates")
    order = ("replica_preserve_commit_order", "slave_preserve_commit_order")
    workers = ("replica_parallel_workers", "slave_parallel_workers")
    found = server.variables(*names, *order, *workers)
    logs = next((found[name] for name in names if name in found), "ON")
    if logs.upper() not in {"ON", "1"}:
        yield Finding(
            "error",
            "log_replica_updates",
            f"{logs}: the source is a replica, and what it repeats is not in its binlog",
            "start it with --log-replica-updates (MariaDB: --log-slave-updates), or read its own source",
        )
    keeps = next((found[name] for name in order if name in found), "ON")
    parallel = next((int(found[name]) for name in workers if name in found), 0)
    if keeps.upper() not in {"ON", "1"} and parallel > 1 and server.product().flavor == "mysql":
        yield Finding(
            "warning",
            "replica_preserve_commit_order",
            f"{keeps}, with {parallel} workers: the source is a replica, and its binlog may have transactions in another order"
            " than they were committed in",
            "STOP REPLICA; SET PERSIST replica_preserve_commit_order=ON; START REPLICA",
        )


def _follows(server: Server) -> bool | None:
    """None: the user may not know."""
    modern = server.product().version >= (8, 0, 22)
    mysql = "SHOW REPLICA STATUS" if modern else "SHOW SLAVE STATUS"
    rows = _allowed(server, mysql if server.product().flavor == "mysql" else "SHOW ALL SLAVES STATUS")
    return None if rows is None else bool(rows)
