"""Steps of an ALTER of a table whose shape is not known (no table map and no baseline so far): what the statement alone tells."""

from collections.abc import Sequence

from cdc.binlog.history import clauses
from cdc.binlog.history.clauses import Add, AddIndex, Change, Clause, Drop, DropIndex, Rename
from cdc.binlog.history.columns import column_of, fill_of
from cdc.binlog.history.context import Context
from cdc.binlog.history.definitions import Definition, Source
from cdc.binlog.history.keys import PRIMARY
from cdc.binlog.history.options import Charset
from cdc.binlog.history.values import Untold
from cdc.model.schema_change import AddColumn, DropColumn, ModifyColumn, RenameColumn, SetKey, Step


def blind_steps(given: Sequence[Clause], context: Context) -> list[Step]:
    """Raises LookupError where the shape before matters, values.Untold as `steps_between` does."""
    steps: list[Step] = []
    keys = [one.made for one in given if isinstance(one, AddIndex) and one.made.kind == "primary"]
    for one in given:
        _refuse_unknown(one, bool(keys))
        match one:
            case Drop():
                steps.append(DropColumn(one.name))
            case Rename():
                steps.append(RenameColumn(one.name, one.to))
            case Change():
                if one.definition.default.source is Source.GENERATED:
                    raise Untold(f"of column {one.definition.name} is generated from other columns, row by row")
                if one.name != one.definition.name:
                    steps.append(RenameColumn(one.name, one.definition.name))
                steps.append(ModifyColumn(column_of(one.definition, None, context, blind=True)))
            case Add():
                steps.append(_added(one, context))
    steps.extend(SetKey(tuple(part.column for part in index.parts)) for index in keys)
    return steps


def _added(one: Add, context: Context) -> Step:
    column = column_of(one.definition, None, context, blind=True)
    try:
        return AddColumn(column, fill_of(one.definition, column, context), one.after)
    except Untold as error:
        raise Untold(f"of column {one.definition.name} {error}") from error


def _refuse_unknown(one: Clause, has_key: bool) -> None:
    conditional = isinstance(one, Add) and one.if_not_exists
    conditional |= isinstance(one, Drop | Change | Rename) and one.if_exists
    if conditional:
        raise LookupError("whether the column is there is not known")
    if isinstance(one, Charset) and one.converts:
        raise LookupError("its columns are not known")
    if isinstance(one, DropIndex) and one.name.upper() == PRIMARY and not has_key:
        raise LookupError("its keys are not known")
    definition: Definition | None = one.definition if isinstance(one, clauses.Add | clauses.Change) else None
    if definition is not None and definition.primary:
        raise LookupError("its keys are not known")
