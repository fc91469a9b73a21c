"""What a table at the target has now: columns, types, keys, as the server's catalogue says."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from cdc.target.sql.members import Enum, Set, members_of
from cdc.target.sql.names import TargetName
from cdc.target.sql.typemap import NAMED_TYPES, Named, Type

_COLUMN_TYPES = sa.text(
    "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) "
    "AND TABLE_NAME = :name AND DATA_TYPE IN :kinds"
).bindparams(sa.bindparam("kinds", expanding=True))


@dataclass(frozen=True, slots=True)
class Found:
    """`types` by name, in the table's order; `unique`: the column sets that are unique; `primary`: the primary key's
    columns in key order, `primary_name` its constraint's name; `computed`: the columns that the target generates."""

    types: dict[str, Type]
    unique: tuple[frozenset[str], ...] = ()
    primary: tuple[str, ...] = ()
    primary_name: str | None = None
    computed: frozenset[str] = field(default_factory=frozenset)


def reflect(connection: sa.Connection, name: TargetName) -> Found | None:
    """None where there is no such table. A type that is not known is NullType."""
    inspector = sa.inspect(connection)
    if not inspector.has_table(name.table, schema=name.schema):
        return None
    with warnings.catch_warnings():
        # A type that SQLAlchemy does not know is refused where a source's column needs it, and is no matter elsewhere.
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        columns = inspector.get_columns(name.table, schema=name.schema)
    types: dict[str, Type] = {column["name"]: column["type"] for column in columns}
    if connection.dialect.name in {"mysql", "mariadb"}:
        types |= _named(connection, name)
        types |= _with_members(connection, name, types)
    key = inspector.get_pk_constraint(name.table, schema=name.schema)
    primary = tuple(key["constrained_columns"])
    unique = {frozenset(primary)}
    for constraint in inspector.get_unique_constraints(name.table, schema=name.schema):
        unique.add(frozenset(constraint["column_names"]))
    for index in inspector.get_indexes(name.table, schema=name.schema):
        # An expression or a WHERE makes an index unfit for ON CONFLICT.
        whole = not any(str(option).endswith(("_where", "_length")) for option in index.get("dialect_options", {}))
        if index["unique"] and whole and None not in index["column_names"]:
            unique.add(frozenset(column for column in index["column_names"] if column is not None))
    computed = frozenset(column["name"] for column in columns if column.get("computed"))
    return Found(types, tuple(unique), primary, key.get("name"), computed)


class _Unread(sa.types.NullType):
    """Takes the place of a type with arguments, `vector(3)`, on which SQLAlchemy's reader of SHOW CREATE TABLE would fail."""

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        super().__init__()


def teach(engine: sa.Engine) -> sa.Engine:
    """Lets a MySQL engine pass over the types that `reflect` reads by itself."""
    dialect: Any = engine.dialect
    dialect.ischema_names = {**dialect.ischema_names, **dict.fromkeys(NAMED_TYPES, _Unread)}
    return engine


def _named(connection: sa.Connection, name: TargetName) -> dict[str, Any]:
    """The types that SQLAlchemy has no class for."""
    rows = connection.execute(_COLUMN_TYPES, {"schema": name.schema, "name": name.table, "kinds": list(NAMED_TYPES)})
    return {str(column): Named(str(text)) for column, text in rows}


def _with_members(connection: sa.Connection, name: TargetName, types: Mapping[str, Type]) -> dict[str, Type]:
    """ENUMs and SETs, their members as values have them."""
    rows = connection.execute(_COLUMN_TYPES, {"schema": name.schema, "name": name.table, "kinds": ["enum", "set"]})
    found: dict[str, Type] = {}
    for column, text in rows:
        read: Any = types[str(column)]
        kind = Set if isinstance(read, mysql.SET) else Enum
        found[str(column)] = kind(*members_of(str(text)), charset=read.charset, collation=read.collation)
    return found
