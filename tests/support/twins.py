"""Large tables that two sides have alike without a pipeline: MySQL and PostgreSQL each make the same rows by the same formulas.

The source logs none of it, so a connector that runs has nothing to apply; it has made the empty tables at the target.
"""

import random
from contextlib import closing
from typing import Any, NamedTuple

import psycopg

from tests.fixtures.servers import Database
from tests.support.background import Background
from tests.support.numbers import numbered
from tests.support.sides import mysql_connection

_NAMES = ("a", "B", "b ", "ä", "Zürich", "zz top", "-")
_PAUSE_SECONDS = 0.002
_LIST = ", ".join(f"'{name}'" for name in _NAMES)


class Twin(NamedTuple):
    """A table: its columns at the source, and the rows with the number `n` at either side. `number`: the unique column that
    comes from it; `share`: of the rows of all, in tenths."""

    name: str
    columns: str
    source: str
    target: str
    number: str
    read: str
    share: int


_HASH = "encode(sha256(convert_to({}::text, 'UTF8')), 'hex')"

TWINS = (
    Twin(
        "big",
        "id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(80), amount DECIMAL(12,2), moment DATETIME, v INT NOT NULL",
        "n, SHA2(n, 256), n / 100, '2020-01-01' + INTERVAL n SECOND, n % 1000",
        f"n, {_HASH.format('n')}, n::numeric / 100, timestamp '2020-01-01' + n * interval '1 second', n % 1000",
        "id",
        "id, name, amount, moment, v",
        8,
    ),
    Twin(
        "places",
        "name VARCHAR(20) NOT NULL, number INT NOT NULL, v INT NOT NULL, PRIMARY KEY (name, number)",
        f"ELT(1 + n % {len(_NAMES)}, {_LIST}), n, n % 1000",
        f"(ARRAY[{_LIST}])[1 + n % {len(_NAMES)}], n, n % 1000",
        "number",
        "number, name, v",
        1,
    ),
    Twin(
        "notes",
        "id INT UNSIGNED NOT NULL PRIMARY KEY, note TEXT, part DOUBLE, v INT NOT NULL",
        "n, CONCAT('é', SHA2(n, 512)), n / 8, n % 1000",
        "n, 'é' || encode(sha512(convert_to(n::text, 'UTF8')), 'hex'), n::float8 / 8, n % 1000",
        "id",
        "id, note, part, v",
        1,
    ),
)


def create(source: Database) -> None:
    """Empty, and logged, so that a connector makes them at its target."""
    with source.connect() as connection, connection.cursor() as cursor:
        for twin in TWINS:
            cursor.execute(f"CREATE TABLE {twin.name} ({twin.columns}) CHARACTER SET utf8mb4")


def fill(source: Database, target_url: str, rows: int) -> None:
    """`rows` all together, with the numbers from 0 on in each table."""
    with source.connect() as connection, connection.cursor() as cursor, psycopg.connect(target_url) as target:
        cursor.execute("SET SESSION sql_log_bin = 0")
        for twin in TWINS:
            count = rows * twin.share // 10
            for numbers in numbered(count):
                cursor.execute(f"INSERT INTO {twin.name} SELECT {twin.source} FROM {numbers}")
            target.execute(
                f"INSERT INTO {twin.name} SELECT {twin.target} FROM generate_series(0, {count - 1}) n".encode()
            )


class Writer(Background):
    """Changes rows of all twins in a thread until the block ends: inserts, updates and deletes, none of those whose number is
    divisible by `still`. A pause between two, else on a small machine the sink would fall behind further and further."""

    def __init__(self, source: Database, rows: int, still: int, seed: int) -> None:
        super().__init__()
        self._url = source.url
        self._rows = rows
        self._still = still
        self._random = random.Random(seed)
        self.transactions = 0

    def run(self) -> None:
        with closing(mysql_connection(self._url)) as connection, connection.cursor() as cursor:
            while not self.stop.wait(_PAUSE_SECONDS):
                self._change(cursor)
                self.transactions += 1

    def _change(self, cursor: Any) -> None:
        twin = self._random.choice(TWINS)
        number = self._random.randrange(self._rows * twin.share // 10 // self._still) * self._still + 1
        dice = self._random.random()
        if dice < 0.8:
            cursor.execute(f"UPDATE {twin.name} SET v = v + 1 WHERE {_row(twin, number)}")
        elif dice < 0.9:
            cursor.execute(f"DELETE FROM {twin.name} WHERE {_row(twin, number)}")
        else:
            cursor.execute(f"REPLACE INTO {twin.name} SELECT {twin.source} FROM (SELECT {number} AS n) numbers")


def _row(twin: Twin, number: int) -> str:
    if twin.name == "places":
        return f"name = '{_NAMES[number % len(_NAMES)]}' AND number = {number}"
    return f"{twin.number} = {number}"


def plant(target_url: str, rows: int, still: int, pick: random.Random) -> dict[str, dict[str, int]]:
    """By table the numbers of the rows that are now missing, extra and different, of those that no Writer touches."""
    planted = {}
    with psycopg.connect(target_url) as target:
        for twin in TWINS:
            count = rows * twin.share // 10
            missing, different = (number * still for number in pick.sample(range(count // still), 2))
            extra = (count // still + 1 + pick.randrange(count)) * still
            target.execute(f"DELETE FROM {twin.name} WHERE {twin.number} = {missing}".encode())
            target.execute(f"UPDATE {twin.name} SET v = -1 WHERE {twin.number} = {different}".encode())
            target.execute(f"INSERT INTO {twin.name} SELECT {twin.target} FROM (SELECT {extra} AS n) made".encode())
            planted[twin.name] = {"missing": missing, "extra": extra, "different": different}
    return planted
