"""Two tables for copies, one with a composite text key and one with BLOBs, and a writer that changes them at full rate."""

import random
from contextlib import closing
from typing import Any

from tests.fixtures.servers import Database
from tests.support.background import Background
from tests.support.numbers import numbered
from tests.support.sides import mysql_connection

COLUMNS = {"composed": "code, name, v", "blobs": "id, picture, v"}
"""As a comparison orders and reads them: the first column is unique."""

_NAMES = ("a", "B", "b ", "ä", "Z", "", "zz top")


def create(source: Database, rows: int) -> None:
    """Both tables, full: numbers from 0 on."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE composed (name VARCHAR(20) NOT NULL, code VARCHAR(20) NOT NULL, v INT NOT NULL,"
            " PRIMARY KEY (name, code)) CHARACTER SET utf8mb4"
        )
        cursor.execute("CREATE TABLE blobs (id INT NOT NULL PRIMARY KEY, picture MEDIUMBLOB NULL, v INT NOT NULL)")
        names = ", ".join(f"'{name}'" for name in _NAMES)
        for numbers in numbered(rows):
            cursor.execute(
                f"INSERT INTO composed SELECT ELT(1 + n % {len(_NAMES)}, {names}), LPAD(n, 10, '0'), 0 FROM {numbers}"
            )
            cursor.execute(
                f"INSERT INTO blobs SELECT n, REPEAT(UNHEX(SHA2(n, 256)), n % 30), 0 FROM {numbers}"  # none to 928 bytes
            )


class Edits(Background):
    """Updates, deletes, and inserts of what was deleted, in a thread until the block ends."""

    def __init__(self, source: Database, rows: int, seed: int) -> None:
        super().__init__()
        self._url = source.url
        self._rows = rows
        self._random = random.Random(seed)
        self.transactions = 0

    def run(self) -> None:
        with closing(mysql_connection(self._url, autocommit=False)) as connection, connection.cursor() as cursor:
            while not self.stop.is_set():
                self._edit(cursor)
                connection.commit()
                self.transactions += 1

    def _edit(self, cursor: Any) -> None:
        number = self._random.randrange(self._rows)
        key = (_NAMES[number % len(_NAMES)], f"{number:010d}")
        match self._random.randrange(4):
            case 0:
                cursor.execute("DELETE FROM composed WHERE name = %s AND code = %s", key)
                cursor.execute("INSERT INTO composed VALUES (%s, %s, 0)", key)
            case 1:
                cursor.execute("UPDATE composed SET v = v + 1 WHERE name = %s AND code = %s", key)
            case 2:
                picture = self._random.randbytes(self._random.randrange(1000))
                cursor.execute("REPLACE INTO blobs VALUES (%s, %s, 1)", (number, picture))
            case _:
                cursor.execute("DELETE FROM blobs WHERE id = %s", (number,))
