# ruff: noqa: S608 - names in statements are quoted by cdc.target.sql.names
"""The temporary tables of one connection: made once for each use, used by many transactions."""

from itertools import count

from cdc.target.postgresql_bulk import STAGE, Shape, stage_name
from cdc.target.postgresql_connection import Connection

# Each temporary table is emptied at every commit that used any: not more of them than that on one connection.
_MOST_STAGES = 32

_Use = tuple[Shape, str, int]


class Stages:
    """Knows which tables are there and which are empty, through rollbacks too: one that ends a transaction, or one to the
    savepoint, which is told by `save` and `undone`. Making one takes the server long (some milliseconds, more under load), so
    those that a savepoint may take away with it are better asked for before."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tables: dict[_Use, str] = {}
        self._filled: set[_Use] = set()
        self._saved: tuple[dict[_Use, str], set[_Use]] = ({}, set())
        # As they were before the transaction; None: nothing has changed since.
        self._before: dict[_Use, str] | None = None
        self._stale: list[str] = []
        self._dropped = 0
        self._numbers = count(1)

    def rows(self, shape: Shape, number: int = 0) -> str:
        """An empty table of the shape's columns; another one for each `number`."""
        return self._empty((shape, "rows", number), shape.stage_definition)

    def moved(self, shape: Shape, number: int = 0) -> str:
        """An empty table of all columns of the target's that can be written; another one for each `number`."""
        return self._empty((shape, "moved", number), shape.moved_definition)

    def trim(self) -> None:
        """Drops what is stale, and the longest unused where there are too many. Whatever a rollback brings back is dropped
        again."""
        while len(self._tables) > _MOST_STAGES:
            self._keep()
            oldest = next(iter(self._tables))
            self._stale.append(self._tables.pop(oldest))
            self._filled.discard(oldest)
        if self._stale:
            self._connection.execute(f"DROP TABLE IF EXISTS {', '.join(self._stale)}")
            self._dropped = len(self._stale)

    def forget(self) -> None:
        """The target's tables may have another shape: all of these are stale."""
        self._stale += dict.fromkeys([*self._tables.values(), *(self._before or {}).values()])
        self._tables = {}
        self._settled()

    def save(self) -> None:
        """A savepoint begins."""
        self._saved = (dict(self._tables), set(self._filled))

    def undone(self) -> None:
        """It was rolled back to; tables made since are gone."""
        self._tables, self._filled = dict(self._saved[0]), set(self._saved[1])

    def committed(self) -> None:
        del self._stale[: self._dropped]
        self._settled()

    def rolled_back(self) -> None:
        """Tables made in the transaction are gone with it."""
        if self._before is not None:
            gone = set(self._stale)
            self._tables = {use: name for use, name in self._before.items() if name not in gone}
        self._settled()

    def _settled(self) -> None:
        self._before = None
        self._dropped = 0
        self._filled = set()
        self._saved = ({}, set())

    def _keep(self) -> None:
        if self._before is None:
            self._before = dict(self._tables)

    def _empty(self, use: _Use, definition: str) -> str:
        self._keep()
        name = self._tables.pop(use, None)
        if name is None:
            name = stage_name(next(self._numbers))
            self._connection.execute(definition.replace(STAGE, name))
        elif use in self._filled:
            self._connection.execute(f"DELETE FROM {name}")
        self._filled.add(use)
        self._tables[use] = name
        return name
