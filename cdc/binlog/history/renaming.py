"""Renames, and the swap at the end of an online schema change."""

from collections.abc import Sequence

from cdc.binlog.history import values
from cdc.binlog.history.context import TableName
from cdc.binlog.history.renames import ghost_of, moves
from cdc.binlog.history.shape import Shape
from cdc.binlog.history.steps import applied, by_name
from cdc.binlog.history.work import Work, not_understood
from cdc.model.schema_change import Step
from cdc.model.table_version import TableVersion

_COPY_BY_HAND = (
    "copy it by hand and `cdc replay --from` the position behind this statement, or exclude the table from `tables`"
)


def move(work: Work, pairs: Sequence[tuple[TableName, TableName]]) -> None:
    """`pairs` of (old, new) name, one after the other."""
    pairs = [(work.fold(old), work.fold(new)) for old, new in pairs]
    if not any(work.concerns(name) for pair in pairs for name in pair):
        return
    try:
        found = moves(pairs, work.captured)
    except LookupError as error:
        raise not_understood(pairs[0][0], str(error.args[0]), _COPY_BY_HAND) from error
    for old, new in found.came:
        raise not_understood(
            new, f"{old[0]}.{old[1]} takes its name, and it may have rows that nobody has seen", _COPY_BY_HAND
        )
    before = {name: work.known(name) for pair in pairs for name in pair}
    kept = {old for old, _ in found.renamed}
    for table, ghost in found.replaced:
        if table in kept:
            raise not_understood(
                table, "it is renamed, and a table that is not captured takes its place", _COPY_BY_HAND
            )
        _swap(work, table, ghost, before[ghost])
    for table in found.dropped:
        work.changed("drop", table)
    for old, new in found.renamed:
        version = before[old]
        schema = None if version is None else Shape.of(version).schema(new)
        work.changed("rename", old, schema=schema, to=new)
    _store(work, found.at, before)


def _store(work: Work, at: dict[TableName, TableName], before: dict[TableName, TableVersion | None]) -> None:
    for name in {*at.values()} - {*at}:
        work.gone(name)
    for new, old in at.items():
        version = before.get(old)
        if version is None or (work.captured(old) and not work.captured(new)):
            work.gone(new)
            continue
        lineage = version.origin if not work.captured(new) else None
        work.put(Shape.of(version).version(new, work.context.place, lineage, version.steps if lineage else ()))


def _swap(work: Work, table: TableName, ghost: TableName, version: TableVersion | None) -> None:
    """`ghost` takes the place of `table`: an ALTER of it, if the ghost is its copy with the same rows."""
    named = f"{ghost[0]}.{ghost[1]}"
    if ghost_of(ghost) != table:
        raise not_understood(
            table,
            f"{named} takes its place, and it may have other rows: its name is no online schema change's",
            _COPY_BY_HAND,
        )
    if version is None:
        raise not_understood(table, f"{named} takes its place, and what was done to that is not known", _COPY_BY_HAND)
    old = work.known(table)
    if old is None:
        raise not_understood(table, f"{named} takes its place, and what it was before is not known", _COPY_BY_HAND)
    steps = _steps(work, table, old, version)
    schema = Shape.of(version).schema(table)
    if steps or schema != old.schema:
        work.changed("alter", table, steps=tuple(steps), schema=schema)


def _steps(work: Work, table: TableName, old: TableVersion, new: TableVersion) -> Sequence[Step]:
    if new.origin == table and _leads_to(old, new):
        return new.steps
    try:
        steps = by_name(Shape.of(old), Shape.of(new), work.context)
    except values.Untold as error:
        raise not_understood(table, f"the value that its rows now have {error}", _COPY_BY_HAND) from error
    if steps is None:
        raise not_understood(
            table, f"{new.table} takes its place, with other columns: which were renamed is not known", _COPY_BY_HAND
        )
    return steps


def _leads_to(old: TableVersion, new: TableVersion) -> bool:
    """Whether the steps since the ghost was made lead from what the table is now to what the ghost is."""
    if old.schema is None or new.schema is None:
        return False
    try:
        columns, key = applied(old.schema, new.steps)
    except KeyError:
        return False
    return columns == {column.name: column for column in new.schema.columns} and key == new.schema.key
