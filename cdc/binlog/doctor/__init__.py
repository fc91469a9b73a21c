"""What `cdc check` finds out about a source: a list of checks, each a function from configuration and server to findings.

To add one: write it in the file that it belongs to, name it in CHECKS, and give its subject a line in docs/doctor.md. None
raises: what the server refuses becomes a finding. All of it only reads.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cdc.binlog.archive.check import archives
from cdc.binlog.connection import where
from cdc.binlog.doctor.clock import clock
from cdc.binlog.doctor.decoder import decoder
from cdc.binlog.doctor.foreign_keys import cascades
from cdc.binlog.doctor.replicas import following, lagging, replicas, server_id
from cdc.binlog.doctor.retention import retention
from cdc.binlog.doctor.rights import process_right, rights
from cdc.binlog.doctor.settings import checksum, gtids, partial_json, settings
from cdc.binlog.doctor.tables import tables
from cdc.binlog.server import Server
from cdc.model.config import SourceConfig
from cdc.model.errors import CdcError
from cdc.model.finding import Finding


class Check(NamedTuple):
    """`subject`: that of the finding which its failure becomes."""

    subject: str
    run: Callable[[SourceConfig, Server], Iterator[Finding]]


CHECKS: tuple[Check, ...] = (
    Check("settings", settings),
    Check("binlog_checksum", checksum),
    Check("binlog_row_value_options", partial_json),
    Check("rights", rights),
    Check("rights", process_right),
    Check("server_id", server_id),
    Check("replicas", replicas),
    Check("snapshot.replicas", lagging),
    Check("replication", following),
    Check("retention", retention),
    Check("archives", archives),
    Check("clock", clock),
    Check("gtid_mode", gtids),
    Check("tables", tables),
    Check("foreign keys", cascades),
)


def checks(config: SourceConfig, server: Server) -> Sequence[Finding]:
    try:
        product = server.product().name
    except CdcError as error:
        return [Finding("error", "source", error.message, error.hint)]
    findings = [Finding("ok", "source", f"{product} at {where(config.url)}"), decoder()]
    for check in CHECKS:
        try:
            findings.extend(check.run(config, server))
        except CdcError as error:
            findings.append(Finding("error", check.subject, error.message, error.hint))
    return findings
