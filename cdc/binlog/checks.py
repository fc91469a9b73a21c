"""What `cdc check` finds out about a source, and what a stream refuses to begin with.

A check takes the configuration and the server and gives findings; to add one, write it and name it in `_CHECKS`. None raises:
what the server refuses becomes a finding.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cdc.binlog.archive.check import archives
from cdc.binlog.connection import where
from cdc.binlog.decoder import load
from cdc.binlog.grants import Grants, read_grants
from cdc.binlog.port import Finding, Level
from cdc.binlog.server import Server
from cdc.binlog.tables import captured_tables
from cdc.model.config import SourceConfig
from cdc.model.errors import CdcError, SourceRefused
from cdc.model.routing import TableFilter, matches

Check = Callable[[SourceConfig, Server], Iterator[Finding]]
_SHORT_RETENTION_SECONDS = 86_400
_FAR_CLOCK_SECONDS = 5


class Demand(NamedTuple):
    """A global variable that must have one of `values`; a server that does not have it fulfils it."""

    variable: str
    values: tuple[str, ...]
    why: str
    fix: str


_DEMANDS = (
    Demand("log_bin", ("ON", "1"), "no binlog is written", "start the server with --log-bin and --server-id"),
    Demand("binlog_format", ("ROW",), "changes are logged as statements", "SET GLOBAL binlog_format=ROW"),
)
# Their events stop the stream when they come: an error of `cdc check`, but no reason not to begin.
_FURTHER_DEMANDS = (
    Demand("encrypt_binlog", ("OFF", "0"), "encrypted binlogs are not read yet", "SET GLOBAL encrypt_binlog=OFF"),
)
# What is handled, but not in every case.
_ADVICE = (
    Demand(
        "binlog_row_metadata",
        ("FULL",),
        "names and types come from the schema history, which cannot reach back before a change that it has not seen",
        "SET GLOBAL binlog_row_metadata=FULL",
    ),
    Demand(
        "binlog_row_image",
        ("FULL",),
        "updates carry changed columns only: one that changes a key stops the reader, and at MariaDB one that may be a "
        "REPLACE or changes a virtual column",
        "SET GLOBAL binlog_row_image=FULL",
    ),
)
_SESSIONS = "; sessions that are open keep the old value until they reconnect"


def refuse_unsafe(server: Server) -> None:
    """Raises SourceRefused where the server's global settings make its binlog unreadable."""
    found = server.variables(*(demand.variable for demand in _DEMANDS))
    for demand in _DEMANDS:
        value = found.get(demand.variable)
        if value is not None and value.upper() not in demand.values:
            raise SourceRefused(f"the source has {demand.variable}={value}: {demand.why}", hint=demand.fix + _SESSIONS)


def checks(config: SourceConfig, server: Server) -> Sequence[Finding]:
    try:
        product = server.product().name
    except CdcError as error:
        return [Finding("error", "source", error.message, error.hint)]
    findings = [Finding("ok", "source", f"{product} at {where(config.url)}"), _decoder()]
    for check in _CHECKS:
        try:
            findings.extend(check(config, server))
        except CdcError as error:
            findings.append(Finding("error", check.__name__.strip("_").replace("_", " "), error.message, error.hint))
    return findings


def _decoder() -> Finding:
    """Which decoder a reader on this machine has."""
    try:
        name = load().name
    except CdcError as error:
        return Finding("error", "decoder", error.message, error.hint)
    if name == "compiled" or os.environ.get("CDC_DECODER"):
        return Finding("ok", "decoder", name)
    return Finding(
        "ok", "decoder", f"{name}: the compiled one, which is many times faster, was not built at installation"
    )


def _settings(config: SourceConfig, server: Server) -> Iterator[Finding]:
    demands = (*_DEMANDS, *_FURTHER_DEMANDS, *_ADVICE)
    found = server.variables(*(demand.variable for demand in demands))
    for demand in demands:
        value = found.get(demand.variable)
        if value is None:
            continue
        if value.upper() in demand.values:
            yield Finding("ok", demand.variable, value or "(empty)")
        else:
            level: Level = "warning" if demand in _ADVICE else "error"
            yield Finding(level, demand.variable, f"{value}: {demand.why}", demand.fix + _SESSIONS)


def _checksum(config: SourceConfig, server: Server) -> Iterator[Finding]:
    value = server.variables("binlog_checksum").get("binlog_checksum", "")
    if value.upper() == "CRC32":
        yield Finding("ok", "binlog_checksum", value)
    else:
        yield Finding(
            "warning",
            "binlog_checksum",
            f"{value or 'NONE'}: a damaged event may not be noticed",
            "SET GLOBAL binlog_checksum=CRC32",
        )


def _rights(config: SourceConfig, server: Server) -> Iterator[Finding]:
    grants = read_grants(server)
    for right, names in _RIGHTS.items():
        if any(grants.everywhere(name) for name in names):
            yield Finding("ok", "rights", right)
        else:
            yield Finding(
                "error", "rights", f"the user lacks {right}", f"GRANT {right} ON *.* TO the user of source.url"
            )
    yield from _select_rights(config, grants)


# MariaDB 10.5 renamed REPLICATION CLIENT to BINLOG MONITOR and split SUPER; each right by all of its names.
_RIGHTS = {
    "REPLICATION SLAVE": ("REPLICATION SLAVE", "REPLICATION REPLICA"),
    "REPLICATION CLIENT": ("REPLICATION CLIENT", "BINLOG MONITOR", "SUPER"),
}


def _select_rights(config: SourceConfig, grants: Grants) -> Iterator[Finding]:
    """Without SELECT on a table information_schema hides it, so it is the patterns that are looked at."""
    for pattern in config.tables:
        if pattern.startswith("!"):
            continue
        db, _, table = pattern.partition(".")
        if grants.on_table("SELECT", db, table):
            yield Finding("ok", "rights", f"SELECT on {pattern}")
        else:
            yield Finding(
                "error",
                "rights",
                f"the user lacks SELECT on {pattern}: tables cannot be described",
                f"GRANT SELECT ON {db if '*' not in db else '*'}.* TO the user of source.url",
            )


def _server_id(config: SourceConfig, server: Server) -> Iterator[Finding]:
    ours = config.server_id
    if server.variables("server_id").get("server_id") == str(ours):
        yield Finding(
            "error",
            "server_id",
            f"{ours} is the server's own",
            "choose another source.server_id: unique among replicas",
        )
        return
    modern = server.product().flavor == "mysql" and server.product().version >= (8, 0, 22)
    connected = {int(row[0]) for row in server.query("SHOW REPLICAS" if modern else "SHOW SLAVE HOSTS")}
    if ours in connected:
        yield Finding(
            "warning",
            "server_id",
            f"a replica with server_id {ours} is connected: this connector's own reader, or another's",
            "if this connector is not running, choose another source.server_id",
        )
    else:
        yield Finding("ok", "server_id", f"{ours} is free")


def _retention(config: SourceConfig, server: Server) -> Iterator[Finding]:
    seconds = server.expiry_seconds()
    if seconds is None:
        yield Finding("ok", "retention", "binlogs are never purged by age")
    elif seconds < _SHORT_RETENTION_SECONDS:
        yield Finding(
            "warning",
            "retention",
            f"binlogs are purged after {seconds / 3600:.1f} hours: a reader that stands still for longer loses its place",
            f"SET GLOBAL binlog_expire_logs_seconds={3 * _SHORT_RETENTION_SECONDS} or more",
        )
    else:
        yield Finding("ok", "retention", f"binlogs are kept for {seconds / 86_400:.1f} days")


def _clock(config: SourceConfig, server: Server) -> Iterator[Finding]:
    offset = server.clock_offset_seconds()
    if abs(offset) > _FAR_CLOCK_SECONDS:
        yield Finding(
            "warning",
            "clock",
            f"the server's is {offset:+.1f} s from ours: lag in seconds is off by that",
            "run NTP on both",
        )
    else:
        yield Finding("ok", "clock", f"{offset:+.2f} s from ours")


def _gtids(config: SourceConfig, server: Server) -> Iterator[Finding]:
    mode = server.variables("gtid_mode").get("gtid_mode")
    if mode is not None and mode.upper() != "ON":
        yield Finding(
            "warning",
            "gtid_mode",
            f"{mode}: after a failover to a replica reading cannot go on by itself",
            "SET PERSIST enforce_gtid_consistency=ON, then gtid_mode step by step to ON",
        )
    else:
        yield Finding("ok", "gtid_mode", mode or "MariaDB has GTIDs always")


def _tables(config: SourceConfig, server: Server) -> Iterator[Finding]:
    found = captured_tables(server, TableFilter(config.tables))
    names = [table.name for table in found]
    for pattern in config.tables:
        if not pattern.startswith("!") and not any(matches((pattern,), name) for name in names):
            yield Finding(
                "error",
                "tables",
                f"no table matches {pattern}",
                "correct the pattern, create the table, or GRANT SELECT on it",
            )
    for table in found:
        if not table.key:
            yield Finding(
                "error",
                "tables",
                f"{table.name} has no primary key: its rows cannot be kept in step",
                f"give it one, or exclude it: '!{table.name}'",
            )
    keyed = sum(bool(table.key) for table in found)
    if keyed:
        yield Finding("ok", "tables", f"{keyed} captured, with primary keys")


_CHECKS: tuple[Check, ...] = (
    _settings,
    _checksum,
    _rights,
    _server_id,
    _retention,
    archives,
    _clock,
    _gtids,
    _tables,
)
