"""Which tables are captured, which columns leave, and which lane a change goes to: pure functions."""

import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from cdc.model.change import Value


def _pattern(text: str) -> re.Pattern[str]:
    """`*` matches any run of characters, `?` one; everything else stands for itself."""
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in text), re.DOTALL)


@dataclass(frozen=True)
class TableFilter:
    """`db.table` patterns in the order they stand in the file; `!` excludes, the last match decides."""

    patterns: tuple[str, ...]

    def __call__(self, db: str, table: str) -> bool:
        captured = False
        for pattern in self.patterns:
            excludes = pattern.startswith("!")
            if _compiled(pattern.removeprefix("!")).fullmatch(f"{db}.{table}"):
                captured = not excludes
        return captured


@lru_cache(maxsize=4096)
def _compiled(text: str) -> re.Pattern[str]:
    return _pattern(text)


def matches(patterns: Iterable[str], name: str) -> bool:
    """Whether any of the patterns (`db.table`, `db.table.column`) names `name`."""
    return any(_compiled(pattern).fullmatch(name) for pattern in patterns)


def folded(value: Value) -> str:
    """What two keys that one collation may hold equal have in common.

    A key change from `a` to `A` is, under a case-insensitive collation, a change of the same row: both must go to one
    lane. Accents, case, width and trailing spaces are dropped; that maps more together than any one collation does, which
    costs balance, never order.
    """
    if not isinstance(value, str):
        return repr(value)
    if value.isascii():
        return value.lower().rstrip(" ")
    decomposed = unicodedata.normalize("NFKD", value)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold().rstrip(" ")


def lane_number(db: str, table: str, key: Iterable[Value], lanes: int) -> int:
    """0 … lanes-1, the same in every run: CRC-32 of table and folded key. An empty key: one lane for the table."""
    return 0 if lanes == 1 else key_hash(db, table, key) % lanes


def key_hash(db: str, table: str, key: Iterable[Value]) -> int:
    """CRC-32 of table and folded key, separated by NUL characters."""
    return key_hasher(db, table)(key)


def key_hasher(db: str, table: str) -> Callable[[Iterable[Value]], int]:
    """`key_hash` for many keys of one table."""
    crc32 = zlib.crc32
    begun = crc32(f"{db}\0{table}".encode("utf-8", "surrogatepass"))

    def hashed(key: Iterable[Value]) -> int:
        text = "\0".join(["", *map(folded, key)])
        return crc32(text.encode("utf-8", "surrogatepass"), begun)

    return hashed


def lane_name(topic: str | None, number: int) -> str:
    """`2`, or `shop.orders/2` where a topic template makes a topic for each table."""
    return str(number) if topic is None else f"{topic}/{number}"
