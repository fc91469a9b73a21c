"""Tables as information_schema has them now, in the shape that the decoder makes from the binlog."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from cdc.binlog.history import keys
from cdc.binlog.history.collations import charset_name, collation_name
from cdc.binlog.history.columns import without_default
from cdc.binlog.history.context import Context, Place
from cdc.binlog.history.definitions import Source, read_default
from cdc.binlog.history.indexes import Index, Part
from cdc.binlog.history.tokens import STRING, Reader, Word, words
from cdc.binlog.history.types import GEOMETRIES
from cdc.binlog.history.values import Untold, constant
from cdc.binlog.history.work import DATABASE
from cdc.binlog.server import Server
from cdc.model.change import Value
from cdc.model.routing import TableFilter
from cdc.model.schema import Column, TableSchema
from cdc.model.table_version import TableVersion

_SYSTEM = "('mysql', 'information_schema', 'performance_schema', 'sys')"
_COLUMNS = f"""
    SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.COLUMN_TYPE, c.CHARACTER_MAXIMUM_LENGTH,
           c.NUMERIC_PRECISION, c.NUMERIC_SCALE, c.DATETIME_PRECISION, c.CHARACTER_SET_NAME, c.COLLATION_NAME, c.IS_NULLABLE,
           c.COLUMN_DEFAULT, c.EXTRA, t.TABLE_COLLATION
    FROM information_schema.COLUMNS c
    JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
    WHERE t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND c.TABLE_SCHEMA NOT IN {_SYSTEM}
"""  # noqa: S608 — constants
_IN_ORDER = "ORDER BY c.TABLE_SCHEMA, c.TABLE_NAME, c.ORDINAL_POSITION"
_INDEXES = f"""
    SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART
    FROM information_schema.STATISTICS c
    WHERE TABLE_SCHEMA NOT IN {_SYSTEM}
"""  # noqa: S608 — constants
_INDEXES_IN_ORDER = "ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"
_DATABASES = f"""
    SELECT SCHEMA_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN {_SYSTEM}
    ORDER BY SCHEMA_NAME
"""  # noqa: S608 — constants
_TEXTS = frozenset(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"))

_NO_PLACE = Place("", 0, 0)

TableName = tuple[str, str]


class _Described(NamedTuple):
    """One row of information_schema.COLUMNS, with its table's collation."""

    db: str
    table: str
    name: str
    data_type: str
    column_type: str
    length: Any
    precision: Any
    scale: Any
    fraction: Any
    charset: str | None
    collation: str | None
    nullable: str
    default: str | None
    extra: str
    table_collation: str | None


def captured_tables(server: Server, captures: Callable[[str, str], bool]) -> list[TableSchema]:
    """Each with its primary key, or none; a unique key that stands in for it is not named."""
    tables = _described(server, captures)
    indexes = _indexes(server)
    return [
        TableSchema(*name, tuple(map(_column, rows)), _primary(indexes.get(name, ()))) for name, rows in tables.items()
    ]


def generated_columns(server: Server, captures: Callable[[str, str], bool]) -> frozenset[str]:
    """`db.table.column` of those that the server computes. EXTRA says VIRTUAL GENERATED or STORED GENERATED; MySQL's
    DEFAULT_GENERATED is a default, and no such column."""
    return frozenset(
        f"{db}.{table}.{row.name}"
        for (db, table), rows in _described(server, captures).items()
        for row in rows
        if _is_generated(row)
    )


def tables_with_further_unique_keys(server: Server, captures: TableFilter) -> list[str]:
    return sorted(
        f"{db}.{table}"
        for (db, table), indexes in _indexes(server).items()
        if captures(db, table) and any(index.kind == "unique" for index in indexes)
    )


def unique_keys(server: Server, captures: TableFilter) -> dict[str, list[frozenset[str]]]:
    """The columns of each unique key beside the primary one, by `db.table`; those of prefixes and expressions are left out: they
    tell rows apart by less than their columns."""
    found: dict[str, list[frozenset[str]]] = {}
    for (db, table), indexes in _indexes(server).items():
        unique = [index for index in indexes if index.kind == "unique" and all(part.whole for part in index.parts)]
        if unique and captures(db, table):
            found[f"{db}.{table}"] = [frozenset(part.column for part in index.parts) for index in unique]
    return found


def baseline(server: Server, captures: Callable[[str, str], bool], place: Place) -> list[TableVersion]:
    """What the schema history begins with: the captured tables as they are, and (table "") the default collation of every
    database. `place` must be the end of the binlog while no table changes: compare the binlog's end before and after."""
    found = [
        TableVersion(*place, str(db), DATABASE, None, collation=collation_name(str(collation)))
        for db, collation in server.query(_DATABASES)
    ]
    indexes = _indexes(server)
    for name, rows in _described(server, captures).items():
        found.append(_version(server, place, name, rows, indexes.get(name, [])))
    return found


def table_now(server: Server, db: str, table: str) -> TableVersion | None:
    """One table as `baseline` has it, at no place; None: there is none of this name that the user may see."""
    only = f" AND c.TABLE_SCHEMA = {_text(db)} AND c.TABLE_NAME = {_text(table)} "
    rows = _described(server, lambda *name: name == (db, table), only).get((db, table))
    if not rows:
        return None
    return _version(server, _NO_PLACE, (db, table), rows, _indexes(server, only).get((db, table), []))


def _text(name: str) -> str:
    """A literal that reads the same in every sql_mode."""
    return f"_utf8mb4 x'{name.encode().hex()}'"


def _version(
    server: Server, place: Place, name: TableName, rows: Sequence[_Described], indexes: Sequence[Index]
) -> TableVersion:
    columns = {row.name: _column(row) for row in rows}
    own = [_without_virtual(index, rows) for index in _in_order_of_creation(server, name, indexes)]
    own = keys.in_server_order(own, columns)
    schema = TableSchema(*name, tuple(columns.values()), keys.key(own, columns))
    collation = rows[0].table_collation
    return TableVersion(
        *place,
        *name,
        schema,
        dict(_defaults(rows, columns, server.product().flavor)),
        None if collation is None else collation_name(collation),
        virtual=tuple(sorted(row.name for row in rows if _is_virtual(row))),
        indexes=keys.stored(own),
    )


def _described(
    server: Server, captures: Callable[[str, str], bool], only: str = ""
) -> dict[TableName, list[_Described]]:
    """`only`: one condition more, for the server."""
    tables: dict[TableName, list[_Described]] = defaultdict(list)
    for row in map(_Described._make, server.query(_COLUMNS + only + _IN_ORDER)):
        if captures(row.db, row.table):
            tables[row.db, row.table].append(row)
    return tables


def _indexes(server: Server, only: str = "") -> dict[TableName, list[Index]]:
    """By table, in the order of their names."""
    parts: dict[tuple[str, str, str, bool], list[Part]] = defaultdict(list)
    for db, table, name, not_unique, column, prefix in server.query(_INDEXES + only + _INDEXES_IN_ORDER):
        # Of indexes that are not unique only the names of the columns matter.
        whole = bool(column) and (bool(int(not_unique)) or prefix is None)
        parts[db, table, name, bool(int(not_unique))].append(Part(column or "", whole))
    found: dict[TableName, list[Index]] = defaultdict(list)
    for (db, table, name, not_unique), columns in parts.items():
        kind = "primary" if name == keys.PRIMARY else "plain" if not_unique else "unique"
        found[db, table].append(Index(name, kind, tuple(columns)))
    return found


def _in_order_of_creation(server: Server, name: TableName, indexes: Sequence[Index]) -> Sequence[Index]:
    """It decides between unique keys where there is no primary one, and only SHOW INDEX has it."""
    if sum(index.kind == "unique" for index in indexes) < 2 or any(index.kind == "primary" for index in indexes):
        return indexes
    db, table = (f"`{part.replace('`', '``')}`" for part in name)
    order = list(dict.fromkeys(row[2] for row in server.query(f"SHOW INDEX FROM {db}.{table}")))
    return sorted(indexes, key=lambda index: order.index(index.name))


def _is_virtual(row: _Described) -> bool:
    """EXTRA is `VIRTUAL GENERATED`, with `, INVISIBLE` behind it at MariaDB."""
    return "VIRTUAL GENERATED" in row.extra.upper()


def _is_generated(row: _Described) -> bool:
    return _is_virtual(row) or any(word in row.extra.upper() for word in ("STORED GENERATED", "PERSISTENT"))


def _without_virtual(index: Index, rows: Iterable[_Described]) -> Index:
    """A unique key of a virtual column never stands in for the primary key: it counts as one of a prefix."""
    virtual = {row.name for row in rows if _is_virtual(row)}
    if index.kind != "unique" or virtual.isdisjoint(part.column for part in index.parts):
        return index
    return index._replace(parts=tuple(Part(part.column, whole=False) for part in index.parts))


def _primary(indexes: Iterable[Index]) -> tuple[str, ...]:
    return next((tuple(part.column for part in index.parts) for index in indexes if index.kind == "primary"), ())


def _column(row: _Described) -> Column:
    kind = row.data_type.lower()
    nullable = row.nullable == "YES"
    if kind.upper() in GEOMETRIES:
        return Column(row.name, GEOMETRIES[kind.upper()], nullable=nullable)
    if kind == "vector":
        return Column(row.name, kind, length=_in_parentheses(row.column_type), nullable=nullable)
    decimal = kind == "decimal"
    chosen = kind in {"enum", "set"}
    textual = chosen or kind in _TEXTS
    return Column(
        row.name,
        kind,
        unsigned="unsigned" in row.column_type.lower() and not chosen,
        length=_length(row, kind),
        precision=_number(row.precision) if decimal else None,
        scale=_number(row.scale if decimal else row.fraction if kind in {"time", "datetime", "timestamp"} else None),
        charset=charset_name(row.charset or "binary") if textual else None,
        collation=collation_name(row.collation or "binary", row.charset) if textual else None,
        members=tuple(_members(row.column_type)) if chosen else (),
        nullable=nullable,
    )


def _length(row: _Described, kind: str) -> int | None:
    if kind in {"char", "varchar", "binary", "varbinary"}:
        return _number(row.length)
    return _number(row.precision) if kind == "bit" else None


def _in_parentheses(column_type: str) -> int | None:
    digits = column_type.partition("(")[2].partition(")")[0]
    return int(digits) if digits.isdigit() else None


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _members(column_type: str) -> Iterable[str]:
    """The strings of `enum('a','it''s')`."""
    return [word.text for word in words(column_type) if word.kind == STRING]


_NOT_CONSTANT = ("auto_increment", "generated")
_TIMES = frozenset(("date", "time", "datetime", "timestamp"))


def _defaults(rows: Iterable[_Described], columns: dict[str, Column], flavor: str) -> Iterable[tuple[str, Value]]:
    """Of the columns whose default is the same for all rows, where information_schema shows it whole."""
    for row in rows:
        column = columns[row.name]
        if any(word in row.extra.lower() for word in _NOT_CONSTANT):
            continue
        try:
            literal = _mysql_default(row, column) if flavor == "mysql" else _mariadb_default(row)
            if literal is None:
                yield row.name, without_default(column)
            elif not _is_cut(column, literal, flavor):
                yield row.name, constant(column, literal, _CONTEXT)
        except Untold:
            continue


# A TIMESTAMP's constant default is shown in the time zone of a session that is not known: it is left out.
_CONTEXT = Context(_NO_PLACE, "", 0, "")


def _is_cut(column: Column, literal: Sequence[Word], flavor: str) -> bool:
    """Both products show six digits of a FLOAT, and a question mark for what is not in their utf8mb3; MySQL ends bytes at the
    first zero."""
    text = "".join(word.text for word in literal)
    if column.type == "float":
        return sum(character.isdigit() for character in text) >= 6
    return "?" in text or (flavor == "mysql" and column.type in {"binary", "varbinary"} and text != "")


def _mysql_default(row: _Described, column: Column) -> Sequence[Word] | None:
    """COLUMN_DEFAULT is the bare text; bits are b'…'. Raises Untold for CURRENT_TIMESTAMP."""
    text = row.default
    if text is None:
        return None
    if column.type in _TIMES and text.upper().startswith("CURRENT_TIMESTAMP"):
        raise Untold("is the time of the statement")
    return words(text) if column.type == "bit" else [Word(STRING, text, "")]


def _mariadb_default(row: _Described) -> Sequence[Word] | None:
    """COLUMN_DEFAULT is SQL: quoted, NULL as a word."""
    if row.default is None or row.default.upper() == "NULL":
        return None
    reader = Reader(words(row.default, 0, "mariadb"))
    try:
        found = read_default(reader)
        reader.end()
    except LookupError as error:
        raise Untold("is an expression") from error
    if found.source is not Source.CONSTANT:
        raise Untold("is an expression")
    return found.literal or None
