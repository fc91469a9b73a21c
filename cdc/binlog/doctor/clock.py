"""The source's clock against ours."""

from collections.abc import Iterator

from cdc.binlog.server import Server
from cdc.model.config import SourceConfig
from cdc.model.finding import Finding, clock_finding


def clock(config: SourceConfig, server: Server) -> Iterator[Finding]:
    yield clock_finding(server.clock_offset_seconds(), "lag in seconds is off by that")
