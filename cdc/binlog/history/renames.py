"""RENAME TABLE: which tables are where in the end, and what that means to the captured ones."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cdc.binlog.history.context import TableName
from cdc.binlog.history.tokens import Reader

# How online schema changes name their copy of table t: gh-ost `_t_gho`, pt-online-schema-change `_t_new` (with more
# underscores where that is taken) and spirit as well, Facebook's OSC `__osc_new_t`, LHM `lhmn_t`.
_GHOSTS = (
    re.compile(r"_+(?P<table>.+)_(?:gho|new)", re.DOTALL),
    re.compile(r"__osc_new_(?P<table>.+)", re.DOTALL),
    re.compile(r"lhmn_(?P<table>.+)", re.DOTALL),
)


def ghost_of(name: TableName) -> TableName | None:
    """The table that an online schema change with this name would be of."""
    for shape in _GHOSTS:
        found = shape.fullmatch(name[1])
        if found:
            return name[0], found["table"]
    return None


def read_pairs(reader: Reader, db: str) -> list[tuple[TableName, TableName]]:
    """From behind RENAME on."""
    if not reader.skip_any("TABLE", "TABLES"):
        raise LookupError("RENAME of something else than tables")
    reader.skip("IF", "EXISTS")
    pairs = []
    while True:
        old = reader.name(db)
        if reader.skip("WAIT"):
            reader.number()
        reader.skip("NOWAIT")
        reader.expect("TO")
        pairs.append((old, reader.name(db)))
        if not reader.skip(","):
            break
    reader.end()
    return pairs


class Moves(NamedTuple):
    """`dropped`: captured ones that went to a name that is not captured, and nothing came in their place. `renamed`: captured
    to captured, in an order in which each name is free. `replaced`: (captured, what took its place). `came`: from a name that is
    not captured to a captured one that was free. `at`: for each name that holds a table in the end, the one it had."""

    dropped: list[TableName]
    renamed: list[tuple[TableName, TableName]]
    replaced: list[tuple[TableName, TableName]]
    came: list[tuple[TableName, TableName]]
    at: dict[TableName, TableName]


def moves(pairs: Sequence[tuple[TableName, TableName]], captured: Callable[[TableName], bool]) -> Moves:
    """The pairs take effect one after the other. Raises LookupError for captured tables that swap their names."""
    at: dict[TableName, TableName] = {}
    emptied: set[TableName] = set()
    for old, new in pairs:
        at[new] = at.pop(old, old)
        emptied.add(old)
        emptied.discard(new)
    at = {new: old for new, old in at.items() if new != old}
    went = {old: new for new, old in at.items()}
    found = Moves([], [], [], [], at)
    for new, old in at.items():
        if not captured(new):
            continue
        if captured(old):
            found.renamed.append((old, new))
        elif new in went:
            found.replaced.append((new, old))
        else:
            found.came.append((old, new))
    refilled = {new for new, _ in found.replaced}
    found.dropped.extend(
        old for old, new in went.items() if captured(old) and not captured(new) and old not in refilled
    )
    return found._replace(renamed=_in_order(found.renamed))


def _in_order(pairs: list[tuple[TableName, TableName]]) -> list[tuple[TableName, TableName]]:
    left, ordered = dict(pairs), []
    while left:
        ready = next((old for old, new in left.items() if new not in left), None)
        if ready is None:
            raise LookupError("captured tables swap their names")
        ordered.append((ready, left.pop(ready)))
    return ordered
