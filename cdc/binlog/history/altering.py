"""Applies the clauses of a CREATE or ALTER to a shape, all at once, as the server does (mysql_prepare_alter_table).

Columns that are there are dropped, renamed and redefined in their places; then come, in the order of the statement, the new
ones and those that move. Names behind AFTER are the new ones.
"""

from collections.abc import Sequence
from dataclasses import replace

from cdc.binlog.history import clauses
from cdc.binlog.history.clauses import Add, AddIndex, Change, Clause, Created, Drop, DropIndex
from cdc.binlog.history.collations import resolved
from cdc.binlog.history.columns import NoDefault, column_of, converted, default_of, without_default
from cdc.binlog.history.context import Context
from cdc.binlog.history.definitions import Default, Definition, Source
from cdc.binlog.history.indexes import Index, Part
from cdc.binlog.history.keys import PRIMARY
from cdc.binlog.history.options import Charset
from cdc.binlog.history.shape import Shape, Slot
from cdc.binlog.history.types import Type
from cdc.model.change import Value


def created(made: Created, database_collation: str | None, context: Context) -> Shape:
    """Raises LookupError where the definition does not tell the shape."""
    shape = Shape(collation=resolved(made.charset, made.collation, database_collation, context))
    for definition in made.definitions:
        shape.slots.append(_new_slot(definition, shape, context))
    _promote_first_timestamp(shape, context)
    _add_indexes(shape, made.definitions, made.indexes)
    return shape


def altered(before: Shape, given: Sequence[Clause], context: Context) -> Shape:
    """The shape afterwards; each slot knows what it was. Raises LookupError for what the shape does not have."""
    shape = before.copy()
    given = [one for one in given if not _has_no_effect(one, before)]
    for one in given:
        if isinstance(one, Charset):
            _set_charset(shape, one, context)
    for one in given:
        if isinstance(one, Drop):
            shape.drop_column(shape.slot(one.name))
    for one in given:
        if isinstance(one, DropIndex):
            _drop_index(shape, one)
    added = _change_in_place(shape, given, context)
    _move_and_add(shape, added, context)
    _keep_key_not_null(shape)
    for one in given:
        if isinstance(one, clauses.SetDefault):
            _set_default(shape, one, context)
    _promote_first_timestamp(shape, context)
    definitions = [one.definition for one in given if isinstance(one, Add | Change)]
    _rename_indexes(shape, given)
    _refuse_new_candidate(shape, before, context)
    _add_indexes(shape, definitions, [one.made for one in given if isinstance(one, AddIndex)])
    return shape


def _has_no_effect(one: Clause, shape: Shape) -> bool:
    """IF EXISTS and IF NOT EXISTS (MariaDB)."""
    if isinstance(one, Add):
        return one.if_not_exists and shape.find(one.definition.name) is not None
    if isinstance(one, Drop | Change | clauses.Rename | clauses.SetDefault):
        return one.if_exists and shape.find(one.name) is None
    return False


def _new_slot(definition: Definition, shape: Shape, context: Context) -> Slot:
    column = column_of(definition, shape.collation, context)
    return Slot(column, default_of(definition, column, context), None, definition, definition.virtual)


def _set_charset(shape: Shape, one: Charset, context: Context) -> None:
    shape.collation = resolved(one.charset, one.collation, shape.collation, context)
    if not one.converts:
        return
    if shape.collation is None:
        raise LookupError("the table's default collation is not known")
    for slot in shape.slots:
        slot.column = converted(slot.column, shape.collation)


Placed = tuple[Slot, str | None]


def _change_in_place(shape: Shape, given: Sequence[Clause], context: Context) -> list[Placed]:
    """Renames and redefines; what is to be added or moved comes back, in the order of the statement."""
    names: dict[str, str] = {}
    later: list[Placed] = []
    found = {id(one): shape.slot(one.name) for one in given if isinstance(one, Change | clauses.Rename)}
    for one in given:
        if isinstance(one, Add):
            later.append((_new_slot(one.definition, shape, context), one.after))
        elif isinstance(one, clauses.Rename):
            slot = found[id(one)]
            names[slot.name] = one.to
            slot.column = replace(slot.column, name=one.to)
        elif isinstance(one, Change):
            slot = found[id(one)]
            new = _new_slot(one.definition, shape, context)
            names[slot.name] = new.name
            slot.column, slot.default = new.column, new.default
            slot.definition, slot.virtual = new.definition, new.virtual
            if one.after is not None:
                later.append((slot, one.after))
    for slot, _ in later:
        if slot.was is not None:
            shape.slots.remove(slot)
    shape.rename_columns(names)
    return later


def _keep_key_not_null(shape: Shape) -> None:
    """A column of the primary key cannot become NULL."""
    primary = shape.index(PRIMARY)
    for part in primary.parts if primary else ():
        slot = shape.find(part.column)
        if slot is not None:
            slot.forbid_null()


def _move_and_add(shape: Shape, later: list[Placed], context: Context) -> None:
    hidden = shape.slots[0] if shape.slots and _is_hidden_key(shape.slots[0], shape, context) else None
    for slot, after in later:
        if after is None:
            shape.slots.append(slot)
        elif after == "":
            shape.slots.insert(0, slot)
        else:
            shape.slots.insert(shape.slots.index(shape.slot(after)) + 1, slot)
    if hidden is not None:
        shape.slots.remove(hidden)
        shape.slots.insert(0, hidden)


def _is_hidden_key(slot: Slot, shape: Shape, context: Context) -> bool:
    """MySQL's generated invisible primary key, which stays the first column: `my_row_id bigint unsigned NOT NULL AUTO_INCREMENT
    INVISIBLE` (https://dev.mysql.com/doc/refman/8.4/en/create-table-gipks.html). That it is invisible is not kept."""
    named = context.flavor == "mysql" and slot.name == "my_row_id" and shape.key() == (slot.name,)
    numbered = slot.column.type == "bigint" and slot.column.unsigned and isinstance(slot.default, NoDefault)
    return named and numbered


def _refuse_new_candidate(shape: Shape, before: Shape, context: Context) -> None:
    """Of several unique keys MariaDB does not take one for the primary key as soon as its columns become NOT NULL, but at a
    later ALTER (seen at 10.11)."""
    uniques = [index for index in shape.indexes if index.kind == "unique"]
    if context.flavor != "mariadb" or len(uniques) < 2 or shape.index(PRIMARY) is not None:
        return
    was_nullable = {slot.name for slot in before.slots if slot.column.nullable}
    for slot in shape.slots:
        keyed = any(part.column == slot.name for index in uniques for part in index.parts)
        if keyed and slot.was in was_nullable and not slot.column.nullable:
            raise LookupError(f"whether the unique key of column {slot.name} now stands in for the primary key")


def _set_default(shape: Shape, one: clauses.SetDefault, context: Context) -> None:
    slot = shape.slot(one.name)
    if one.default == Default():
        slot.default = without_default(slot.column)
    elif slot.definition is not None:
        slot.definition = replace(slot.definition, default=one.default)
        slot.default = default_of(slot.definition, slot.column, context)
    else:
        slot.default = _default_alone(slot, one.default, context)


def _default_alone(slot: Slot, default: Default, context: Context) -> Value | NoDefault:
    return default_of(Definition(slot.name, Type(slot.column.type), default=default), slot.column, context)


def _promote_first_timestamp(shape: Shape, context: Context) -> None:
    """Without explicit_defaults_for_timestamp the first TIMESTAMP NOT NULL without a default gets CURRENT_TIMESTAMP
    (promote_first_timestamp_column in sql/sql_table.cc)."""
    if context.session.explicit_timestamps is not False:
        return
    first = next((slot for slot in shape.slots if slot.column.type == "timestamp" and not slot.column.nullable), None)
    if first is None or first.definition is None or first.definition.on_update:
        return
    if first.definition.default.source is Source.NOTHING:
        first.definition = replace(first.definition, default=Default(Source.NOW, digits=first.column.scale or 0))
        first.default = default_of(first.definition, first.column, context)


def _add_indexes(shape: Shape, definitions: Sequence[Definition], indexes: Sequence[Index]) -> None:
    for definition in definitions:
        if definition.primary:
            shape.add_index(Index(PRIMARY, "primary", (Part(definition.name),)))
        if definition.unique:
            shape.add_index(Index("", "unique", (Part(definition.name),)))
    for index in indexes:
        if index.kind in {"primary", "unique", "plain"}:
            shape.add_index(index)
    shape.sort_indexes()


def _drop_index(shape: Shape, one: DropIndex) -> None:
    found = shape.index(one.name)
    if found is not None:
        shape.indexes.remove(found)
    elif not (one.if_exists or one.constraint) and shape.index(PRIMARY) is None and shape.key():
        # It may be the key that stands in for the primary one.
        raise LookupError(f"index {one.name} is not known")


def _rename_indexes(shape: Shape, given: Sequence[Clause]) -> None:
    names = {one.name.lower(): one.to for one in given if isinstance(one, clauses.RenameIndex)}
    shape.indexes = [index._replace(name=names.get(index.name.lower(), index.name)) for index in shape.indexes]
