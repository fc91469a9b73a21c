"""The private servers of a run, the same for all contestants, and connections to them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql

from cdc.local import Stack, start_stack
from cdc.local.progress import Progress

# Room for the tables that fill the binlogs, and binlog files that are not cut in the middle of one measurement.
_OPTIONS: Mapping[str, Sequence[str]] = {
    "mysql": (
        "--innodb-buffer-pool-size=512M",
        "--innodb-redo-log-capacity=1G",
        "--innodb-doublewrite=0",
        "--max-binlog-size=1G",
        "--max-allowed-packet=64M",
        "--table-open-cache=4000",
        "--table-definition-cache=4000",
    ),
    # The time of each commit, to tell latency without a poll.
    "postgresql": ("-c", "track_commit_timestamp=on", "-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB"),
}


def start(kinds: Sequence[str], folder: Path, progress: Progress) -> Stack:
    return start_stack(kinds, folder, options=_OPTIONS, progress=progress)


def login(url: str) -> dict[str, Any]:
    """host, port, user and password of a URL."""
    parts = urlsplit(url)
    return {
        "host": parts.hostname or "",
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }


def client_options(url: str) -> list[str]:
    """Of MySQL's own programs: where the server is, and as all others here, plain text on loopback."""
    at = login(url)
    return [
        f"--host={at['host']}",
        f"--port={at['port']}",
        f"--user={at['user']}",
        f"--password={at['password']}",
        "--ssl-mode=DISABLED",
        "--get-server-public-key",
    ]


def connect(url: str, **more: Any) -> "pymysql.connections.Connection[Any]":
    """MySQL, with autocommit."""
    return pymysql.connect(**login(url), **{"autocommit": True, **more})
