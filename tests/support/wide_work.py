"""Random work on tables of large rows that compress well, in statements of many rows; reproducible by its seed."""

import random
from typing import Any

TABLES: dict[str, tuple[str, ...]] = {"wide": ("id",), "pairs": ("a", "b")}


class WideWork:
    """Uses `connection` (autocommit off) in its current database. `tests.support.chaos.Load` drives it."""

    def __init__(self, connection: Any, seed: int) -> None:
        self._connection = connection
        self._random = random.Random(seed)
        self._next = 1

    def create(self) -> None:
        self._run(
            "CREATE TABLE wide (id BIGINT PRIMARY KEY, n INT NOT NULL, body TEXT NOT NULL, raw BLOB NULL, doc JSON NULL)",
            "CREATE TABLE pairs (a INT NOT NULL, b VARCHAR(20) NOT NULL, n INT NOT NULL, PRIMARY KEY (a, b))",
        )

    def transactions(self, count: int) -> None:
        for _ in range(count):
            self._run(*(self._statement() for _ in range(self._random.randint(1, 4))))

    def run_in_session(self, statement: str) -> None:
        self._run(statement)

    def _run(self, *statements: str) -> None:
        with self._connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        self._connection.commit()

    def _statement(self) -> str:
        dice, some = self._random.random(), self._random.randrange(self._next)
        if dice < 0.35:
            return self._insert()
        if dice < 0.55:
            return f"UPDATE wide SET n = n + 1, body = CONCAT('changed ', body) WHERE id BETWEEN {some} AND {some + 9}"
        if dice < 0.65:
            return f"UPDATE wide SET raw = REPEAT(x'ab00', {self._random.randrange(2000)}) WHERE id = {some}"
        if dice < 0.75:
            return f"DELETE FROM wide WHERE id BETWEEN {some} AND {some + 3}"
        if dice < 0.85:
            return f"UPDATE pairs SET n = -n WHERE a = {some % 7}"
        return f"REPLACE INTO pairs VALUES ({some % 7}, 'b{some}', {some}), ({some % 5}, 'é{some}', {some})"

    def _insert(self) -> str:
        rows = []
        for _ in range(self._random.randint(1, 12)):
            size = self._random.choice((0, 3, 200, 5000))
            rows.append(
                f"({self._next}, {size}, REPEAT('text {self._next} ', {size}), REPEAT('{size}', {size}), '[{size}, \"é\"]')"
            )
            self._next += 1
        return f"INSERT INTO wide VALUES {', '.join(rows)}"
