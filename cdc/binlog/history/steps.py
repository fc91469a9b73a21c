"""From two shapes of a table to the steps that lead from one to the other."""

from collections.abc import Sequence
from dataclasses import replace

from cdc.binlog.history import values
from cdc.binlog.history.columns import NoDefault, fill_of
from cdc.binlog.history.context import Context
from cdc.binlog.history.definitions import Source
from cdc.binlog.history.shape import Shape, Slot
from cdc.model.change import Value
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import AddColumn, DropColumn, ModifyColumn, RenameColumn, SetKey, Step


def steps_between(before: Shape, after: Shape, context: Context) -> list[Step]:
    """Dropped columns first, then renamed, modified and new ones, then the key, since that is an order that every statement
    can be told in. Raises values.Untold where rows that are there get values that cannot be told."""
    olds = before.columns()
    kept = {slot.was for slot in after.slots}
    steps: list[Step] = [DropColumn(name) for name in olds if name not in kept]
    renames = {slot.was: slot.name for slot in after.slots if slot.was is not None and slot.was != slot.name}
    steps += _renames(renames, {slot.name for slot in after.slots} | set(olds))
    steps += _modified(olds, after)
    previous = ""
    for slot in after.slots:
        if slot.was is None:
            steps.append(AddColumn(slot.column, _fill(slot, context), previous))
        previous = slot.name
    steps += _key_step(before, after, renames)
    return steps


def _modified(olds: dict[str, Column], after: Shape) -> list[Step]:
    found: list[Step] = []
    for slot in after.slots:
        if slot.was is None:
            continue
        if slot.definition is not None and slot.definition.default.source is Source.GENERATED:
            raise values.Untold(f"of column {slot.name} is generated from other columns, row by row")
        old = replace(olds[slot.was], name=slot.name)
        if old != slot.column:
            found.append(ModifyColumn(slot.column, old))
    return found


def _fill(slot: Slot, context: Context) -> Value:
    try:
        if slot.definition is None:
            if isinstance(slot.default, NoDefault):
                raise values.Untold("is not known")
            return slot.default
        return fill_of(slot.definition, slot.column, context)
    except values.Untold as error:
        raise values.Untold(f"of column {slot.name} {error}") from error


def _renames(names: dict[str, str], taken: set[str]) -> list[Step]:
    """One after the other: a name must be free when it is given. What goes round in a circle needs a name in between."""
    found: list[Step] = []
    left = dict(names)
    while left:
        ready = next((old for old, new in left.items() if new not in left), None)
        if ready is None:
            old, new = next(iter(left.items()))
            free = next(name for name in (f"_cdc_{number}" for number in range(len(taken) + 1)) if name not in taken)
            found.append(RenameColumn(old, free))
            del left[old]
            left[free] = new
            taken = taken | {free}
        else:
            found.append(RenameColumn(ready, left.pop(ready)))
    return found


def _key_step(before: Shape, after: Shape, renames: dict[str, str]) -> list[Step]:
    key = after.key()
    return [] if tuple(renames.get(name, name) for name in before.key()) == key else [SetKey(key)]


def applied(schema: TableSchema, steps: Sequence[Step]) -> tuple[dict[str, Column], tuple[str, ...]]:
    """What the steps make of a schema: columns by name, and the key. Raises KeyError where they do not fit it."""
    columns = {column.name: column for column in schema.columns}
    key = schema.key
    for step in steps:
        match step:
            case AddColumn():
                columns[step.column.name] = step.column
            case DropColumn():
                del columns[step.name]
            case RenameColumn():
                columns[step.to] = replace(columns.pop(step.name), name=step.to)
                key = tuple(step.to if name == step.name else name for name in key)
            case ModifyColumn():
                _ = columns[step.column.name]
                columns[step.column.name] = step.column
            case SetKey():
                key = step.key
    return columns, key


def by_name(before: Shape, after: Shape, context: Context) -> list[Step] | None:
    """The difference of two tables whose lineage is not known; None where a column may have been renamed."""
    olds, news = before.columns(), after.columns()
    if set(olds) - set(news) and set(news) - set(olds):
        return None
    compared = after.copy()
    for slot in compared.slots:
        slot.was = slot.name if slot.name in olds else None
        slot.definition = None
    return steps_between(before, compared, context)
