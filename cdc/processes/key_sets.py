"""Sets of keys, one for each table, that need not fit memory.

They lie in a private SQLite database, which keeps the pages that it needs in a cache of fixed size and the others in a file
that is gone when it is closed (https://www.sqlite.org/inmemorydb.html, "Temporary Databases"). Sorted runs of our own would need
a merge, and bring nothing else: a key is written once, whatever the number of its changes, and read once.
"""

import sqlite3
from collections.abc import Iterable, Iterator

import orjson

from cdc.binlog.rows_port import Key
from cdc.model.change import Row

_CACHE_KIB = 32 * 1024


class KeySets:
    """By number of table. For one thread."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        for statement in (
            f"PRAGMA cache_size = -{_CACHE_KIB}",
            "PRAGMA journal_mode = OFF",
            "CREATE TABLE keys (of_table INTEGER, key BLOB, PRIMARY KEY (of_table, key)) WITHOUT ROWID",
            "BEGIN",
        ):
            self._db.execute(statement)

    def add(self, table: int, keys: Iterable[Row]) -> None:
        """`keys`: as change events have them, in key order."""
        self._db.executemany(
            "INSERT OR IGNORE INTO keys VALUES (?, ?)", ((table, orjson.dumps([*key.values()])) for key in keys)
        )

    def forget(self, table: int) -> None:
        self._db.execute("DELETE FROM keys WHERE of_table = ?", (table,))

    def count(self, table: int) -> int:
        ((count,),) = self._db.execute("SELECT COUNT(*) FROM keys WHERE of_table = ?", (table,))
        return int(count)

    def keys(self, table: int) -> Iterator[Key]:
        """Each once, in the order of their JSON, which is the same in every reading."""
        for (text,) in self._db.execute("SELECT key FROM keys WHERE of_table = ? ORDER BY key", (table,)):
            yield tuple(orjson.loads(text))

    def close(self) -> None:
        self._db.close()
