"""A table map's own description against what is known of the table."""

from collections.abc import Mapping

from cdc.binlog.history import keys
from cdc.binlog.history.context import Place
from cdc.model.schema import Column, TableSchema
from cdc.model.table_version import TableVersion

# What the binlog does not tell from another: (type of the map, length) and the types that it may stand for.
_STANDS_FOR = {
    ("binary", 16): {"uuid", "inet6"},
    ("binary", 4): {"inet4"},
    ("geometry", None): {
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
    },
    ("vector", None): {"vector"},
}


def observed(known: TableVersion | None, seen: TableSchema, place: Place) -> TableVersion | None:
    """The version that the map makes; None where it says nothing new."""
    old = {} if known is None or known.schema is None else {each.name: each for each in known.schema.columns}
    columns = tuple(_merged(column, old.get(column.name)) for column in seen.columns)
    schema = TableSchema(seen.db, seen.table, columns, seen.key)
    if known is None:
        return TableVersion(*place, seen.db, seen.table, schema)
    if known.schema == schema:
        return None
    defaults = {name: value for name, value in known.defaults.items() if old.get(name) in columns}
    by_name = {column.name: column for column in columns}
    fits = keys.key(keys.of_version(known), by_name) == seen.key
    return TableVersion(
        *place,
        seen.db,
        seen.table,
        schema,
        defaults,
        known.collation,
        virtual=_still_virtual(known, by_name),
        indexes=known.indexes if fits else None,
    )


def _still_virtual(known: TableVersion, columns: Mapping[str, Column]) -> tuple[str, ...] | None:
    """A column that was not known may be one."""
    told = set() if known.schema is None else {column.name for column in known.schema.columns}
    if known.virtual is None or not told.issuperset(columns):
        return None
    return tuple(name for name in known.virtual if name in columns)


def _merged(seen: Column, known: Column | None) -> Column:
    stands_for = _STANDS_FOR.get((seen.type, seen.length), set())
    if known is not None and known.type in stands_for and known.nullable == seen.nullable:
        return known
    return seen
