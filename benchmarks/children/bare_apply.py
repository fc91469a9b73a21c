"""The bare loops that apply: rows as parsed JSON (dicts, parsed before the clock starts), made into COPY text or a statement, and
merged into a table in transactions of a batch each; as many processes and connections as the sink has, and nothing else. With
`rendered` the text is made before the clock starts, too: then only drivers and server are left."""

import multiprocessing
import pickle
import resource
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pymysql
from pymysql.converters import escape_string

from benchmarks.children.report import job, peak_bytes, tell

Rows = list[dict[str, Any]]

# COPY's text format escapes these. One pass for each text; psycopg's write_row takes as long, and its calls come on top.
_COPY = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

_STAGE = "CREATE TEMP TABLE stage ON COMMIT DELETE ROWS AS SELECT id, k, c, pad FROM {table} WITH NO DATA"
_MERGE = {
    "inserts": "INSERT INTO {table} AS t (id, k, c, pad) SELECT id, k, c, pad FROM stage"
    " ON CONFLICT (id) DO UPDATE SET k = EXCLUDED.k, c = EXCLUDED.c, pad = EXCLUDED.pad",
    "updates": "UPDATE {table} AS t SET k = s.k, c = s.c, pad = s.pad FROM stage AS s WHERE t.id = s.id",
}


class PostgreSQL:
    """COPY into a staging table, and a merge."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._connection = psycopg.connect(asked["target"])
        self._merge = _MERGE[asked["kind"]].format(table=asked["table"]).encode()
        with self._connection.transaction():
            self._connection.execute(_STAGE.format(table=asked["table"]).encode())

    def render(self, rows: Rows) -> bytes:
        return "".join(
            [f"{row['id']}\t{row['k']}\t{row['c'].translate(_COPY)}\t{row['pad'].translate(_COPY)}\n" for row in rows]
        ).encode()

    def apply(self, rendered: bytes) -> None:
        with self._connection.cursor() as cursor:
            with cursor.copy("COPY stage FROM STDIN") as copy:
                copy.write(rendered)
            cursor.execute(self._merge)
        self._connection.commit()


class MySQL:
    """One upsert of many rows."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._table = asked["table"]
        self._connection = pymysql.connect(**asked["login"], database=asked["target_database"], autocommit=True)

    def render(self, rows: Rows) -> bytes:
        values = ",".join(
            [f"({row['id']},{row['k']},'{escape_string(row['c'])}','{escape_string(row['pad'])}')" for row in rows]
        )
        text = (
            f"INSERT INTO {self._table} (id, k, c, pad) VALUES {values} AS n"
            " ON DUPLICATE KEY UPDATE k = n.k, c = n.c, pad = n.pad"
        )
        return text.encode()

    def apply(self, rendered: bytes) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(rendered)


TARGETS: dict[str, Callable[[dict[str, Any]], PostgreSQL | MySQL]] = {"postgresql": PostgreSQL, "mysql": MySQL}


def work(asked: dict[str, Any], files: Sequence[str], ready: Any, begin: Any) -> None:
    """One process: a thread and a connection for each lane."""
    lanes = []
    for file in files:
        target = TARGETS[asked["flavor"]](asked)
        parts = pickle.loads(Path(file).read_bytes())  # noqa: S301 - the harness wrote it a moment ago
        lanes.append((target, [target.render(part) for part in parts] if asked["rendered"] else parts))

    def apply(target: PostgreSQL | MySQL, parts: Iterable[Any]) -> None:
        for part in parts:
            target.apply(part if asked["rendered"] else target.render(part))

    threads = [threading.Thread(target=apply, args=lane) for lane in lanes]
    ready.release()
    begin.wait()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    asked = job()
    spawn = multiprocessing.get_context("spawn")
    ready, begin = spawn.Semaphore(0), spawn.Event()
    count = asked["processes"]
    processes = [
        spawn.Process(target=work, args=(asked, asked["files"][place::count], ready, begin)) for place in range(count)
    ]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    before = sum(_cpu(process.pid) for process in processes)
    began = time.monotonic()
    begin.set()
    peak = 0
    for process in processes:
        while process.is_alive():
            process.join(0.05)
            peak = max(peak, peak_bytes(process.pid or 0))
    seconds = time.monotonic() - began
    if any(process.exitcode for process in processes):
        raise SystemExit("a process of the bare loop failed")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = usage.ru_utime + usage.ru_stime - before
    tell({"rows": asked["rows"], "seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak})


def _cpu(pid: int | None) -> float:
    text = Path(f"/proc/{pid}/stat").read_text()
    return sum(map(int, text[text.rindex(")") + 2 :].split()[11:13])) / 100


if __name__ == "__main__":
    main()
