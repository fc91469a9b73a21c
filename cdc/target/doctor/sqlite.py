"""What a SQLite file has that stands in a sink's way. It has no users, no clock and no time-outs of its own; foreign keys are not
checked in a sink's connection, which also sets how commits are synced."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from cdc.model.finding import Finding
from cdc.target.doctor.obstacles import Present, UniqueKey, obstacles
from cdc.target.port import Expected
from cdc.target.sql.dialects import SQLITE
from cdc.target.sql.names import TargetName, quote, shown
from cdc.target.sql.plan import Planner

# https://www.sqlite.org/datatype3.html#collation: NOCASE folds ASCII letters, RTRIM leaves trailing spaces out.
_EXACT = "BINARY"


def findings(connection: sqlite3.Connection, planner: Planner, tables: Sequence[Expected]) -> Iterator[Finding]:
    """sqlite3's errors pass through."""
    for expected in tables:
        present = _present(connection, planner.name(expected.schema.db, expected.schema.table))
        if present is not None and expected.schema.key:
            yield from obstacles(expected, present, fold_case=True)


def _present(connection: sqlite3.Connection, name: TargetName) -> Present | None:
    schema = "" if name.schema is None else f"{quote(SQLITE, name.schema)}."

    def pragma(what: str, argument: str) -> list[Any]:
        return connection.execute(f"PRAGMA {schema}{what}({quote(SQLITE, argument)})").fetchall()

    # https://www.sqlite.org/pragma.html#pragma_table_xinfo: name, type, not null, default, place in the key, hidden.
    columns = [(str(column[1]), *column[3:]) for column in pragma("table_xinfo", name.table)]
    if not columns:
        return None
    unique: list[UniqueKey] = []
    merging: dict[str, str] = {}
    for _, index, is_unique, origin, _partial in pragma("index_list", name.table):
        if not is_unique:
            continue
        # https://www.sqlite.org/pragma.html#pragma_index_xinfo: place, column, name, descending, collation, whether of the key.
        parts = [row for row in pragma("index_xinfo", str(index)) if row[5]]
        if origin == "pk":
            merging |= {str(part[2]).casefold(): str(part[4]) for part in parts if part[4] not in (None, _EXACT)}
        whole = all(part[2] is not None for part in parts)
        folded = frozenset(str(part[2]).casefold() for part in parts if part[2] is not None)
        unique.append(UniqueKey(shown(str(index)), folded, whole))
    triggers = connection.execute(
        f"SELECT name FROM {schema}sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(?) ORDER BY name",  # noqa: S608
        (name.table,),
    ).fetchall()
    return Present(
        name=shown(str(name)),
        unique=tuple(unique),
        triggers=tuple(shown(str(trigger)) for (trigger,) in triggers),
        generated=frozenset(column.casefold() for column, *_, hidden in columns if hidden),
        mandatory=tuple(
            column.casefold()
            for column, not_null, default, in_key, hidden in columns
            if not_null and default is None and not in_key and not hidden
        ),
        merging=merging,
    )
