"""A bank: transfers in transactions at the source, and watchers that read the total at each target all the while.

Every transaction leaves the sum of all balances as it was: whoever sees another sum has seen a state that never was.
"""

import random
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymysql

from tests.support.sides import mysql_connection

ACCOUNTS = 400
TOTAL = ACCOUNTS * 1000
COLUMNS = "id, balance, owner"
_PAUSE_SECONDS = 0.01


class Bank:
    """Works in the database of `url`; reproducible by `seed`."""

    def __init__(self, url: str, seed: int) -> None:
        self._connection = mysql_connection(url, autocommit=False)
        self._random = random.Random(seed)
        self._ids = list(range(1, ACCOUNTS + 1))
        self._next = ACCOUNTS + 1

    def open(self) -> None:
        """The accounts, all in one transaction."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL, owner VARCHAR(40) NOT NULL)"
            )
            rows = [(account, TOTAL // ACCOUNTS, f"owner {account}") for account in self._ids]
            cursor.executemany("INSERT INTO accounts VALUES (%s, %s, %s)", rows)
        self._connection.commit()

    def transfers(self, count: int) -> None:
        """Transactions: most move money between two accounts, some among many, some close an account or renumber one."""
        kinds = (self._two, self._two, self._two, self._many, self._close_and_open, self._renumber)
        for _ in range(count):
            with self._connection.cursor() as cursor:
                self._random.choice(kinds)(cursor)
            self._connection.commit()

    def close(self) -> None:
        self._connection.close()

    def _two(self, cursor: Any) -> None:
        one, other = self._random.sample(self._ids, 2)
        amount = self._random.randint(1, 500)
        cursor.execute("UPDATE accounts SET balance = balance - %s WHERE id = %s", (amount, one))
        cursor.execute("UPDATE accounts SET balance = balance + %s WHERE id = %s", (amount, other))

    def _many(self, cursor: Any) -> None:
        """One statement that changes up to 100 rows, and one that pays for it."""
        payer, *payees = self._random.sample(self._ids, self._random.randint(3, 100))
        marks = ", ".join(["%s"] * len(payees))
        cursor.execute(f"UPDATE accounts SET balance = balance + 3 WHERE id IN ({marks})", payees)
        cursor.execute("UPDATE accounts SET balance = balance - %s WHERE id = %s", (3 * len(payees), payer))

    def _close_and_open(self, cursor: Any) -> None:
        """An account's money goes to two others, a new account takes its place."""
        place = self._random.randrange(len(self._ids))
        closed = self._ids[place]
        heir = self._ids[place - 1]
        cursor.execute("SELECT balance FROM accounts WHERE id = %s", (closed,))
        balance = cursor.fetchone()[0]
        cursor.execute("DELETE FROM accounts WHERE id = %s", (closed,))
        cursor.execute("INSERT INTO accounts VALUES (%s, %s, %s)", (self._next, balance - 7, f"owner {self._next}"))
        cursor.execute("UPDATE accounts SET balance = balance + 7 WHERE id = %s", (heir,))
        self._ids[place] = self._next
        self._next += 1

    def _renumber(self, cursor: Any) -> None:
        place = self._random.randrange(len(self._ids))
        cursor.execute("UPDATE accounts SET id = %s WHERE id = %s", (self._next, self._ids[place]))
        self._ids[place] = self._next
        self._next += 1


class Watcher:
    """Reads one target's total again and again, in one SELECT, in a thread of its own, from the moment that there are rows.

    `states`: how many different states it saw; `wrong`: totals that were not the bank's.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.looks = 0
        self.wrong: list[int] = []
        self._shapes: set[int] = set()
        self._error: Exception | None = None
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"watch-{name}", daemon=True)
        self._thread.start()

    @property
    def states(self) -> int:
        return len(self._shapes)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
        if self._error is not None:
            raise self._error

    def _watch(self) -> None:
        try:
            with closing(_connection(self._url)) as connection:
                while not self._stop.wait(_PAUSE_SECONDS):
                    self._look(connection)
        except Exception as error:  # noqa: BLE001 - it rises again in `stop`
            self._error = error

    def _look(self, connection: Any) -> None:
        cursor = connection.cursor()
        try:
            cursor.execute("SELECT SUM(balance), SUM(balance * (id % 97)) FROM accounts")
            total, shape = cursor.fetchone()
        except _NO_TABLE:
            if self.looks:
                raise
            return
        finally:
            cursor.close()
        if total is None and not self.looks:
            return
        self.looks += 1
        self._shapes.add(shape)
        if total != TOTAL:
            self.wrong.append(total)


_NO_TABLE = (sqlite3.OperationalError, psycopg.errors.UndefinedTable, pymysql.err.ProgrammingError)


def _connection(url: str) -> Any:
    """With each statement a transaction of its own."""
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        return sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)
    if scheme == "postgresql":
        return psycopg.connect(url, autocommit=True)
    return mysql_connection(url)


@contextmanager
def watching(sinks: Mapping[str, str]) -> Iterator[list[Watcher]]:
    """A watcher for each target; stopped at the end, where their errors rise."""
    watchers = [Watcher(name, url) for name, url in sinks.items()]
    try:
        yield watchers
    finally:
        for watcher in watchers:
            watcher.stop()
