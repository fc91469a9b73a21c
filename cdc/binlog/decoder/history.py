"""The schema history held against a table map that was read with its help."""

from collections.abc import Sequence

from cdc.binlog.decoder.columns import Described
from cdc.binlog.decoder.facts import ENUM, SET, ColumnFacts
from cdc.binlog.decoder.metadata import GEOMETRY_KINDS
from cdc.model.errors import NotUnderstood
from cdc.model.schema import Column, TableSchema

# Names of one type: MariaDB's JSON is a LONGTEXT, and MySQL has two names for one geometry.
_ALIASES = frozenset(
    (
        frozenset(("json", "longtext")),
        frozenset(("geomcollection", "geometrycollection")),
        *(frozenset(("geometry", kind)) for kind in GEOMETRY_KINDS),
    )
)


def require_agreement(
    table: str, facts: Sequence[ColumnFacts], described: Sequence[Described], known: TableSchema
) -> None:
    """Raises NotUnderstood, naming the column, where `known`, which has as many columns, cannot be the event's table."""
    for told, seen, had in zip(facts, described, known.columns, strict=True):
        difference = _difference(told, seen.column, had)
        if difference:
            raise NotUnderstood(
                f"table {table}: the schema history is not of this place in the binlog: column {had.name} {difference}",
                hint="SET GLOBAL binlog_row_metadata=FULL at the source, and start reading at a position behind that; the "
                "history was filled from another state of the table",
            )


def _difference(told: ColumnFacts, seen: Column, known: Column) -> str:
    if seen.type != known.type and frozenset((seen.type, known.type)) not in _ALIASES:
        return f"is {seen.type} in the binlog and {known.type} in the history"
    for name in ("length", "precision", "scale"):
        here, there = getattr(seen, name), getattr(known, name)
        if there is not None and here is not None and here != there:
            return f"has {name} {here} in the binlog and {there} in the history"
    if told.code in (ENUM, SET) and told.metadata[1] != _stored_bytes(told.code, len(known.members)):
        return f"is stored in {told.metadata[1]} bytes, which is not what {len(known.members)} members take"
    if seen.unsigned != known.unsigned:
        return f"is {'un' if seen.unsigned else ''}signed in the binlog and not so in the history"
    if known.charset is not None and seen.charset != known.charset:
        return f"has charset {seen.charset} in the binlog and {known.charset} in the history"
    return ""


def _stored_bytes(code: int, members: int) -> int:
    """Of an enumeration (its number) or a set (a bit for each member)."""
    if code == ENUM:
        return 1 if members < 256 else 2
    whole = (members + 7) // 8
    return whole if whole <= 4 else 8
