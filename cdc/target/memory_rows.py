"""Reads a table of the memory target back."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cdc.model.batch import Key
from cdc.model.change import Row
from cdc.model.row_digest import RangeDigest, row_number, texts_of
from cdc.model.schema import TableSchema
from cdc.target.memory_store import MemoryStore

_NUMBERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year")


class MemoryRows:
    """See cdc.target.rows_port.TableRows. Values are kept as they are on the wire."""

    def __init__(self, place: MemoryStore, name: str, schema: TableSchema) -> None:
        self._store = place
        self._name = name
        self._schema = schema
        self._columns = [column.name for column in schema.columns]
        self._ordered = all(schema.column(name).type in _NUMBERS for name in schema.key)

    @property
    def ordered(self) -> bool:
        return self._ordered

    def key(self, key: Key) -> Key:
        return key

    def at(self, keys: Sequence[Key]) -> Mapping[Key, Row]:
        rows = self._store.rows(self._name)
        return {key: rows[key] for key in keys if key in rows}

    def between(self, after: Key | None, until: Key | None, limit: int) -> Mapping[Key, Row]:
        rows = self._store.rows(self._name)
        inside = [key for key in self._behind(after) if until is None or _place(key) <= _place(until)]
        return {key: rows[key] for key in inside[:limit] if key in rows}

    def digest(self, after: Key | None, until: Key | None) -> RangeDigest | None:
        rows = list(self.between(after, until, sys.maxsize).values())
        texts = [texts_of(self._schema, row) for row in rows]
        if not self._ordered or None in texts:
            return None
        return RangeDigest(len(rows), sum(row_number(one or ()) for one in texts))

    def keys_after(self, after: Key | None, limit: int) -> Sequence[Key]:
        return self._behind(after)[:limit]

    def differing(self, row: Row, found: Row) -> tuple[str, ...]:
        return tuple(name for name in self._columns if row.get(name) != found.get(name))

    def close(self) -> None:
        """Nothing is held open."""

    def _behind(self, after: Key | None) -> list[Key]:
        keys = sorted(self._store.rows(self._name), key=_place)
        return keys if after is None else [key for key in keys if _place(key) > _place(after)]


def _place(key: Key) -> tuple[tuple[str, Any], ...]:
    """An order of its own for keys of any values."""
    return tuple((type(value).__name__, value) for value in key)
