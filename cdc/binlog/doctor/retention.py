"""How long the server keeps its binlog. Against a checkpoint and a first copy it is held by cdc.processes.doctor.retention."""

from collections.abc import Iterator

from cdc.binlog.server import Server
from cdc.model.config import SourceConfig
from cdc.model.finding import Finding

_SHORT_SECONDS = 86_400


def retention(config: SourceConfig, server: Server) -> Iterator[Finding]:
    kept = server.retention()
    if kept.seconds is None:
        yield Finding("ok", "retention", "binlogs are never purged by age")
    elif kept.seconds < _SHORT_SECONDS:
        yield Finding(
            "warning",
            "retention",
            f"binlogs are purged after {kept.seconds / 3600:.1f} hours: a reader that stands still for longer loses its place",
            f"SET GLOBAL binlog_expire_logs_seconds={3 * _SHORT_SECONDS} or more",
        )
    else:
        yield Finding("ok", "retention", f"binlogs are kept for {kept.seconds / 86_400:.1f} days")
    if kept.total_bytes is not None:
        yield from _by_size(kept.total_bytes, server)


def _by_size(limit_bytes: int, server: Server) -> Iterator[Finding]:
    """A limit of two files or less may be reached by one burst of changes."""
    found = server.variables("max_binlog_size", "max_binlog_total_size")
    name = "max_binlog_total_size" if "max_binlog_total_size" in found else "binlog_space_limit"
    file_bytes = int(found.get("max_binlog_size") or 0)
    text = f"the oldest binlogs are purged when all together have {limit_bytes / 2**20:,.0f} MiB"
    if limit_bytes <= 2 * file_bytes:
        yield Finding(
            "warning",
            "retention",
            f"{text}, no more than two files: a burst of changes purges what the reader still needs",
            f"SET GLOBAL {name}=0, or several times max_binlog_size",
        )
    else:
        yield Finding("ok", "retention", text)
