"""Reads both sides with their own drivers and compares them row by row; uses nothing of the pipeline."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

TABLES = {
    "customers": ("id", "name", "email", "balance", "tier", "profile", "joined"),
    "orders": ("number", "customer_id", "amount", "status", "placed", "comment", "label"),
}


@dataclass(frozen=True, slots=True)
class Compared:
    """Rows of one table on both sides, and how many differ or are missing on one side."""

    table: str
    source_rows: int
    target_rows: int
    different: int

    @property
    def equal(self) -> bool:
        return self.different == 0


def compare(source: Any, target: Any, *, source_db: str) -> list[Compared]:
    """`source`, `target`: DB-API connections; `target`'s tables are in its own default schema."""
    found = []
    for table, columns in TABLES.items():
        names = ", ".join(columns)
        left = _rows(source, f"SELECT {names} FROM {source_db}.{table}")  # noqa: S608 - constants of this module
        right = _rows(target, f"SELECT {names} FROM {table}")  # noqa: S608
        different = sum(left.get(key) != right.get(key) for key in left.keys() | right.keys())
        found.append(Compared(table, len(left), len(right), different))
    return found


def _rows(connection: Any, query: str) -> dict[Any, tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return {int(row[0]): tuple(map(_plain, row)) for row in cursor.fetchall()}


def _plain(value: Any) -> Any:
    """One form for what the two drivers hand out differently: JSON, times with a zone, bytes, numbers."""
    if isinstance(value, str) and value[:1] == "{":
        return json.loads(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return bytes(value) if isinstance(value, memoryview) else value
