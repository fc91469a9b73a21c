"""The server's settings: without which nothing is read, with which something may be lost, and what each of them costs.

MySQL: "Binary Logging Options and Variables", "InnoDB Startup Options and System Variables", "Replica Server Options and
Variables"; MariaDB: "Replication and Binary Log System Variables".
"""

from collections.abc import Iterator
from typing import NamedTuple

from cdc.binlog.server import Server
from cdc.model.config import SourceConfig
from cdc.model.errors import SourceRefused
from cdc.model.finding import Finding, Level


class Demand(NamedTuple):
    """A global variable that must have one of `values`; a server that does not have it fulfils it. `lasts`: open sessions keep
    the old value of it."""

    variable: str
    values: tuple[str, ...]
    why: str
    fix: str
    lasts: bool = False


_ON = ("ON", "1")
_OFF = ("OFF", "0")
_DEMANDS = (
    Demand("log_bin", _ON, "no binlog is written", "start the server with --log-bin and --server-id"),
    Demand("binlog_format", ("ROW",), "changes are logged as statements", "SET GLOBAL binlog_format=ROW", lasts=True),
)
# Their events stop the stream when they come: an error of `cdc check`, but no reason not to begin.
_FURTHER_DEMANDS = (
    Demand("encrypt_binlog", _OFF, "encrypted binlogs are not read yet", "SET GLOBAL encrypt_binlog=OFF"),
)
_CRASH = "after a crash of its machine the source may lack transactions that were streamed already: targets keep them"
# What is handled, but not in every case.
_ADVICE = (
    Demand(
        "binlog_row_metadata",
        ("FULL",),
        "names and types come from the schema history, which cannot reach back before a change that it has not seen",
        "SET GLOBAL binlog_row_metadata=FULL",
        lasts=True,
    ),
    Demand(
        "binlog_row_image",
        ("FULL",),
        "updates carry changed columns only: one that changes a key stops the reader, and at MariaDB one that may be a "
        "REPLACE or changes a virtual column",
        "SET GLOBAL binlog_row_image=FULL",
        lasts=True,
    ),
    Demand("sync_binlog", ("1",), _CRASH, "SET GLOBAL sync_binlog=1"),
    # MariaDB's 3 is 1 with a further sync, of before group commit.
    Demand("innodb_flush_log_at_trx_commit", ("1", "3"), _CRASH, "SET GLOBAL innodb_flush_log_at_trx_commit=1"),
    Demand(
        "binlog_order_commits",
        _ON,
        "transactions may show in tables in another order than in the binlog: rows read from tables may not fit the stream",
        "SET GLOBAL binlog_order_commits=ON",
    ),
    Demand(
        "enforce_gtid_consistency",
        _ON,
        "statements that cannot have a GTID are let through, so that gtid_mode=ON can break them",
        "SET GLOBAL enforce_gtid_consistency=ON",
    ),
)


def refuse_unsafe(server: Server) -> None:
    """Raises SourceRefused where the server's global settings make its binlog unreadable."""
    found = server.variables(*(demand.variable for demand in _DEMANDS))
    for demand in _DEMANDS:
        value = found.get(demand.variable)
        if value is not None and value.upper() not in demand.values:
            raise SourceRefused(f"the source has {demand.variable}={value}: {demand.why}", hint=_fix(demand))


def settings(config: SourceConfig, server: Server) -> Iterator[Finding]:
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
            yield Finding(level, demand.variable, f"{value}: {demand.why}", _fix(demand))


def _fix(demand: Demand) -> str:
    return demand.fix + ("; sessions that are open keep the old value until they reconnect" if demand.lasts else "")


def checksum(config: SourceConfig, server: Server) -> Iterator[Finding]:
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


def partial_json(config: SourceConfig, server: Server) -> Iterator[Finding]:
    """A partial update is applied to the document of the before image (docs/types.md), which a whole image has."""
    found = server.variables("binlog_row_value_options", "binlog_row_image")
    value = found.get("binlog_row_value_options", "")
    if "PARTIAL_JSON" not in value.upper():
        return
    if found.get("binlog_row_image", "").upper() == "FULL":
        yield Finding("ok", "binlog_row_value_options", f"{value}: applied to the document that the before image has")
    else:
        yield Finding(
            "warning",
            "binlog_row_value_options",
            f"{value}: a partial update stops the reader where the before image lacks the document",
            "SET GLOBAL binlog_row_image=FULL, or SET GLOBAL binlog_row_value_options=''",
        )


def gtids(config: SourceConfig, server: Server) -> Iterator[Finding]:
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
