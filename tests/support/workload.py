"""Random work on two tables of everyday types, reproducible by its seed."""

import json
import random
from typing import Any

ITEMS = """CREATE TABLE items (
    id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    name VARCHAR(80) NOT NULL,
    price DECIMAL(10,2) NULL,
    ratio DOUBLE NULL,
    kind ENUM('a','b,c','ü') NOT NULL,
    flags SET('x','y','z') NOT NULL,
    made DATE NULL,
    seen DATETIME(6) NULL,
    stamp TIMESTAMP(3) NULL,
    spent TIME(2) NULL,
    picture BLOB NULL,
    note TEXT NULL,
    extra JSON NULL,
    small TINYINT NOT NULL,
    big BIGINT UNSIGNED NOT NULL) CHARACTER SET utf8mb4"""
STOCK = """CREATE TABLE stock (
    sku VARCHAR(20) NOT NULL, place INT NOT NULL, quantity INT NOT NULL, PRIMARY KEY (place, sku)) CHARACTER SET utf8mb4"""
TABLES: dict[str, tuple[str, ...]] = {"items": ("id",), "stock": ("place", "sku")}
_TEXTS = ("", "plain", "naïve\tcafé", "line\nbreak", "back\\slash 'quoted' \"twice\"", "日本語", "🦊", "\\N", "NULL")


class Work:
    """Uses `connection` (autocommit off) in its current database."""

    def __init__(self, connection: Any, seed: int) -> None:
        self._connection = connection
        self._random = random.Random(seed)
        self._items: list[int] = []
        self._stock: list[tuple[int, str]] = []
        self._next = 1

    def create(self) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(ITEMS)
            cursor.execute(STOCK)
        self._connection.commit()

    def transactions(self, count: int, most_changes: int = 6) -> None:
        for _ in range(count):
            with self._connection.cursor() as cursor:
                for _ in range(self._random.randint(1, most_changes)):
                    self._change(cursor)
            self._connection.commit()

    def _change(self, cursor: Any) -> None:
        dice = self._random.random()
        if dice < 0.4 or len(self._items) < 5 or len(self._stock) < 5:
            self._insert(cursor)
        elif dice < 0.7:
            self._update(cursor)
        elif dice < 0.85:
            self._delete(cursor)
        else:
            self._move(cursor)

    def _insert(self, cursor: Any) -> None:
        if self._random.random() < 0.3:
            key = (self._random.randint(1, 5), f"s{self._next}")
            cursor.execute("INSERT INTO stock (place, sku, quantity) VALUES (%s, %s, %s)", (*key, self._next))
            self._stock.append(key)
        else:
            marks = ", ".join(["%s"] * 15)
            cursor.execute(f"INSERT INTO items VALUES ({marks})", (self._next, *self._values()))
            self._items.append(self._next)
        self._next += 1

    def _values(self) -> tuple[Any, ...]:
        pick = self._random
        maybe = lambda value: pick.choice((value, value, None))  # noqa: E731
        return (
            pick.choice(_TEXTS),
            maybe(f"{pick.randint(-(10**9), 10**9) / 100:.2f}"),
            maybe(pick.uniform(-1e6, 1e6)),
            pick.choice(("a", "b,c", "ü")),
            ",".join(pick.sample(("x", "y", "z"), pick.randint(0, 3))),
            maybe(f"20{pick.randint(10, 30)}-0{pick.randint(1, 9)}-1{pick.randint(0, 9)}"),
            maybe(f"2024-02-29 23:59:59.{pick.randint(0, 999999):06d}"),
            maybe(f"2025-06-01 12:00:00.{pick.randint(0, 999):03d}"),
            maybe(
                f"{pick.choice(('', '-'))}{pick.randint(0, 23):02d}:{pick.randint(0, 59):02d}:01.{pick.randint(0, 99):02d}"
            ),
            maybe(pick.randbytes(pick.randint(0, 40))),
            maybe(pick.choice(_TEXTS) * pick.randint(1, 20)),
            maybe(json.dumps({"k": pick.randint(0, 9), "list": [1, "zwei", None, True], "deep": {"ü": 1.5}})),
            pick.randint(-128, 127),
            pick.choice((0, 2**64 - 1, pick.randint(0, 2**63))),
        )

    def _update(self, cursor: Any) -> None:
        if self._random.random() < 0.3:
            cursor.execute(
                "UPDATE stock SET quantity = quantity + 1 WHERE place = %s AND sku = %s",
                self._random.choice(self._stock),
            )
        else:
            name, price, *_, small, _ = self._values()
            key = self._random.choice(self._items)
            cursor.execute(
                "UPDATE items SET name = %s, price = %s, small = %s WHERE id = %s", (name, price, small, key)
            )

    def _delete(self, cursor: Any) -> None:
        if self._random.random() < 0.3:
            key = self._stock.pop(self._random.randrange(len(self._stock)))
            cursor.execute("DELETE FROM stock WHERE place = %s AND sku = %s", key)
        else:
            cursor.execute(
                "DELETE FROM items WHERE id = %s", (self._items.pop(self._random.randrange(len(self._items))),)
            )

    def _move(self, cursor: Any) -> None:
        """A key change, and now and then two rows that change places."""
        if self._random.random() < 0.3 and len(self._items) > 1:
            one, two = self._random.sample(self._items, 2)
            for new, old in ((0, one), (one, two), (two, 0)):
                cursor.execute("UPDATE items SET id = %s WHERE id = %s", (new, old))
            return
        place = self._random.randrange(len(self._items))
        cursor.execute("UPDATE items SET id = %s WHERE id = %s", (self._next, self._items[place]))
        self._items[place] = self._next
        self._next += 1
