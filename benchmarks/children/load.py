"""Transactions at a steady rate: one row each, with the server's clock just before its commit in it."""

import threading
import time
from typing import Any

import pymysql

from benchmarks.children.report import Meter, job

_CONNECTIONS = 4
_CONNECT_SECONDS = 0.5
# Microseconds since 1970 by the server's clock. The row is committed by the same statement (autocommit).
_INSERT = (
    "INSERT INTO {table} (sent, pad) VALUES (CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED), REPEAT('p', 180))"
)


def send(asked: dict[str, Any], place: int, begin: float) -> None:
    """Every `_CONNECTIONS`-th transaction, each at its own time; one that is late does not move those after it."""
    login = {name: asked[name] for name in ("host", "port", "user", "password")}
    with pymysql.connect(**login, autocommit=True) as connection, connection.cursor() as cursor:
        statement = _INSERT.format(table=asked["table"])
        for number in range(place, asked["rows"], _CONNECTIONS):
            left = begin + number / asked["rate"] - time.monotonic()
            if left > 0:
                time.sleep(left)
            cursor.execute(statement)


def main() -> None:
    asked = job()
    begin = time.monotonic() + _CONNECT_SECONDS
    threads = [threading.Thread(target=send, args=(asked, place, begin)) for place in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    time.sleep(_CONNECT_SECONDS)
    meter = Meter()
    for thread in threads:
        thread.join()
    meter.tell(asked["rows"])


if __name__ == "__main__":
    main()
