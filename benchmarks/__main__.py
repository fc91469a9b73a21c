"""How fast a binlog is captured: ours, python-mysql-replication, and `mysqlbinlog --raw` as the limit of the server itself.

One private MySQL; each binlog is read by all in turn, several rounds, and the median is told. Our figure includes the wire
format (JSON messages with lanes), python-mysql-replication's only the row values; both run in a process of their own.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pymysql
from rich.console import Console
from rich.table import Table

from cdc.local import Server, start_server
from cdc.local.progress import shown

ROUNDS = 3
BULK_ROWS = 200_000
SMALL_TRANSACTIONS = 20_000
SMALL_ROWS = 4

_CREATE = "CREATE TABLE b.{name} (id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL)"


def main() -> None:
    console = Console()
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as name, shown() as progress:
        server = start_server("mysql", Path(name) / "mysql", progress=progress)
        try:
            console.print(
                f"MySQL {server.version}; python-mysql-replication {version('mysql-replication')}; {ROUNDS} rounds"
            )
            for title, fill, rows in (
                (f"bulk: transactions of 10,000 rows, {BULK_ROWS:,} rows", _fill_bulk, BULK_ROWS),
                (
                    f"small: {SMALL_TRANSACTIONS:,} transactions of {SMALL_ROWS} rows",
                    _fill_small,
                    SMALL_TRANSACTIONS * SMALL_ROWS,
                ),
            ):
                _measure(console, server, title, fill, rows, Path(name))
        finally:
            server.remove()


def _measure(
    console: Console,
    server: Server,
    title: str,
    fill: Callable[["pymysql.cursors.Cursor"], None],
    rows: int,
    folder: Path,
) -> None:
    file = _fresh_binlog(server, fill)
    readers: dict[str, Callable[[], float]] = {
        "mysqlbinlog --raw": lambda: _raw(server, file, folder),
        "lockstep, python decoder": lambda: _in_child("lockstep", server, file, rows),
        "python-mysql-replication": lambda: _in_child("pymysqlreplication", server, file, rows),
    }
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(ROUNDS):
        for name, read in readers.items():
            seconds[name].append(read())
    limit = statistics.median(seconds["mysqlbinlog --raw"])
    table = Table("reader", "seconds (median)", "rows/s", "of the limit", title=title, title_justify="left")
    for name, taken in seconds.items():
        median = statistics.median(taken)
        table.add_row(name, f"{median:.2f}", f"{rows / median:,.0f}", f"{limit / median:.2f}")
    console.print(table)


def _fresh_binlog(server: Server, fill: Callable[["pymysql.cursors.Cursor"], None]) -> str:
    with _connect(server) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS b")
        cursor.execute("USE b")
        cursor.execute("FLUSH BINARY LOGS")
        cursor.execute("SHOW BINARY LOG STATUS")
        file = str((cursor.fetchone() or [""])[0])
        fill(cursor)
        cursor.execute("FLUSH BINARY LOGS")
    return file


def _fill_bulk(cursor: "pymysql.cursors.Cursor") -> None:
    cursor.execute(_CREATE.format(name="bulk"))
    cursor.execute("SET SESSION cte_max_recursion_depth = 100000")
    for _ in range(BULK_ROWS // 10_000):
        cursor.execute(
            "INSERT INTO b.bulk (k, c, pad) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
            " SELECT i, RPAD(SHA2(i, 256), 119, '-'), LEFT(SHA2(i + 1, 256), 59) FROM n"
        )


def _fill_small(cursor: "pymysql.cursors.Cursor") -> None:
    cursor.execute(_CREATE.format(name="small"))
    values = ", ".join(["(7, REPEAT('c', 119), REPEAT('p', 59))"] * SMALL_ROWS)
    for _ in range(SMALL_TRANSACTIONS):
        cursor.execute(f"INSERT INTO b.small (k, c, pad) VALUES {values}")


def _raw(server: Server, file: str, folder: Path) -> float:
    parts = urlsplit(server.url)
    began = time.monotonic()
    subprocess.run(
        [
            *server.commands["mysqlbinlog"],
            "--no-defaults",
            "--read-from-remote-server",
            "--raw",
            f"--result-file={folder}/raw-",
            f"--host={parts.hostname}",
            f"--port={parts.port}",
            f"--user={unquote(parts.username or '')}",
            f"--password={unquote(parts.password or '')}",
            file,
        ],
        check=True,
        capture_output=True,
    )
    return time.monotonic() - began


def _in_child(reader: str, server: Server, file: str, rows: int) -> float:
    """Seconds that the reading itself took; starting Python and importing does not count."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.capture", reader, server.url, file, str(rows)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(json.loads(done.stdout)["seconds"])


def _connect(server: Server) -> "pymysql.connections.Connection[pymysql.cursors.Cursor]":
    parts = urlsplit(server.url)
    return pymysql.connect(
        host=parts.hostname or "",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        autocommit=True,
    )


if __name__ == "__main__":
    main()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    Console().print(f"peak memory of any child: {peak:.0f} MB")
