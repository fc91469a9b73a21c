"""A small shop at work: inserts, updates, deletes and key changes in two related tables, in transactions of one to four rows."""

import json
import random
import threading
import time
from collections import Counter
from typing import Any

import pymysql

_SCHEMA = (
    "CREATE DATABASE shop",
    """CREATE TABLE shop.customers (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        name VARCHAR(60) NOT NULL,
        email VARCHAR(120) NULL,
        balance DECIMAL(12,2) NOT NULL,
        tier ENUM('bronze','silver','gold') NOT NULL,
        profile JSON NULL,
        joined TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))""",
    """CREATE TABLE shop.orders (
        number BIGINT NOT NULL PRIMARY KEY,
        customer_id BIGINT UNSIGNED NOT NULL,
        amount DECIMAL(10,2) NOT NULL,
        status ENUM('new','paid','sent','returned') NOT NULL,
        placed DATETIME(3) NOT NULL,
        comment TEXT NULL,
        label VARBINARY(16) NULL,
        FOREIGN KEY (customer_id) REFERENCES customers (id))""",
)
_NAMES = ("Ada", "Björn", "Chloé", "Dmitri", "Ewa", "Fatma", "Gô", "Hồng", "Ιωάννα", "太郎", "🦊")


class Shop:
    """Works in a thread of its own at up to `transactions_per_second` until `stop` is set.

    `transactions` and `changes` (by kind; a key change counts once) are what it committed.
    """

    TABLES = sum(statement.startswith("CREATE TABLE") for statement in _SCHEMA)

    def __init__(self, connection: Any, transactions_per_second: int, seed: int = 7) -> None:
        self._connection = connection
        self._pace = 1 / transactions_per_second
        self._random = random.Random(seed)  # noqa: S311 - a workload, not a secret
        self._customers: list[int] = []
        self._orders: list[int] = []
        self._next_order = 1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shop", daemon=True)
        self._error: pymysql.MySQLError | None = None
        self.transactions = 0
        self.changes: Counter[str] = Counter()

    @staticmethod
    def create(connection: Any) -> None:
        with connection.cursor() as cursor:
            for statement in _SCHEMA:
                cursor.execute(statement)

    @property
    def events(self) -> int:
        """Change events that this makes: a key change is a delete and a create."""
        return sum(self.changes.values()) + self.changes["key change"]

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Waits for the last transaction; raises what the database refused."""
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while not self._stop.is_set():
                self._transaction()
                due = max(due + self._pace, time.monotonic() - 0.5)
                self._stop.wait(max(0.0, due - time.monotonic()))
        except pymysql.MySQLError as error:
            self._error = error

    def _transaction(self) -> None:
        done: Counter[str] = Counter()
        with self._connection.cursor() as cursor:
            for _ in range(self._random.randint(1, 4)):
                done[self._change(cursor)] += 1
        self._connection.commit()
        self.changes.update(done)
        self.transactions += 1

    def _change(self, cursor: Any) -> str:
        dice = self._random.random()
        if len(self._customers) < 20 or dice < 0.10:
            return self._new_customer(cursor)
        if len(self._orders) < 20 or dice < 0.45:
            return self._new_order(cursor)
        if dice < 0.62:
            return self._pay(cursor)
        if dice < 0.82:
            return self._progress(cursor)
        if dice < 0.92:
            return self._cancel(cursor)
        return self._renumber(cursor)

    def _new_customer(self, cursor: Any) -> str:
        name = f"{self._random.choice(_NAMES)} {self._random.randint(1, 10**6)}"
        profile = json.dumps({"langs": ["en", "日本語"][: self._random.randint(0, 2)], "score": self._random.random()})
        cursor.execute(
            "INSERT INTO shop.customers (name, email, balance, tier, profile) VALUES (%s, %s, %s, %s, %s)",
            (name, self._random.choice((None, f"{len(self._customers)}@shop.test")), "0.00", "bronze", profile),
        )
        self._customers.append(cursor.lastrowid)
        return "insert"

    def _new_order(self, cursor: Any) -> str:
        number, self._next_order = self._next_order, self._next_order + 1
        cursor.execute(
            "INSERT INTO shop.orders VALUES (%s, %s, %s, 'new', NOW(3), %s, %s)",
            (
                number,
                self._random.choice(self._customers),
                f"{self._random.randint(1, 10**6) / 100:.2f}",
                self._random.choice((None, "", "as a gift\nwith a 'card'\t\\o/")),
                self._random.randbytes(self._random.randint(0, 16)),
            ),
        )
        self._orders.append(number)
        return "insert"

    def _pay(self, cursor: Any) -> str:
        cursor.execute(
            "UPDATE shop.customers SET balance = balance + %s, tier = ELT(1 + %s, 'bronze', 'silver', 'gold') WHERE id = %s",
            (
                f"{self._random.randint(1, 9999) / 100:.2f}",
                self._random.randint(0, 2),
                self._random.choice(self._customers),
            ),
        )
        return "update"

    def _progress(self, cursor: Any) -> str:
        cursor.execute(
            "UPDATE shop.orders SET status = ELT(1 + %s, 'paid', 'sent', 'returned'), amount = amount + 0.01 WHERE number = %s",
            (self._random.randint(0, 2), self._random.choice(self._orders)),
        )
        return "update"

    def _cancel(self, cursor: Any) -> str:
        number = self._orders.pop(self._random.randrange(len(self._orders)))
        cursor.execute("DELETE FROM shop.orders WHERE number = %s", (number,))
        return "delete"

    def _renumber(self, cursor: Any) -> str:
        place = self._random.randrange(len(self._orders))
        number, self._next_order = self._next_order, self._next_order + 1
        cursor.execute("UPDATE shop.orders SET number = %s WHERE number = %s", (number, self._orders[place]))
        self._orders[place] = number
        return "key change"
