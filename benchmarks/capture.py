"""One reader over one binlog file, in a process of its own: `python -m benchmarks.capture READER URL FILE ROWS`."""

import json
import sys
import time
from urllib.parse import unquote, urlsplit

from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import WriteRowsEvent

from cdc.binlog.port import Begin, End, Rows
from cdc.binlog.registry import open_source
from cdc.model.checkpoint import Checkpoint, SourcePoint
from cdc.model.config import SourceConfig
from cdc.processes.outbound import Outbound, Routing


def lockstep(url: str, file: str, rows: int) -> float:
    """Socket to finished messages: decoded, routed to four lanes, rendered; then thrown away."""
    source = open_source(SourceConfig(url=url, server_id=60_001, tables=("b.*",)), connector="bench")  # type: ignore[arg-type]
    point = SourcePoint(source.identity(), file, 4)
    out = Outbound(Checkpoint(1, point, 1, "bench"), Routing("bench", "mysql", 4))
    stream = source.stream(point)
    began = time.monotonic()
    seen = 0
    for item in stream.items(lambda: 1.0):
        match item:
            case Begin():
                out.begin(item.transaction)
            case Rows():
                out.rows(item.offset, item.drafts)
                seen += len(item.drafts)
            case End():
                out.end(item.point)
        if len(out) >= 2000:
            out.take()
        if seen >= rows:
            break
    taken = time.monotonic() - began
    stream.close()
    return taken


def pymysqlreplication(url: str, file: str, rows: int) -> float:
    parts = urlsplit(url)
    settings = {
        "host": parts.hostname,
        "port": parts.port,
        "user": unquote(parts.username or ""),
        "passwd": unquote(parts.password or ""),
    }
    stream = BinLogStreamReader(
        connection_settings=settings,
        server_id=60_002,
        log_file=file,
        log_pos=4,
        resume_stream=True,
        blocking=True,
        only_events=[WriteRowsEvent],
    )
    began = time.monotonic()
    seen = 0
    for event in stream:
        seen += len(event.rows)
        if seen >= rows:
            break
    taken = time.monotonic() - began
    stream.close()
    return taken


if __name__ == "__main__":
    reader, url, file, rows = sys.argv[1:]
    seconds = {"lockstep": lockstep, "pymysqlreplication": pymysqlreplication}[reader](url, file, int(rows))
    sys.stdout.write(json.dumps({"seconds": seconds}))
