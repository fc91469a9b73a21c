"""A table as it is read: what to SELECT, in which order, and what becomes of it. Made once for each shape of the table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cdc.binlog.decoder.charsets import text_decoder
from cdc.binlog.decoder.projection import Projection
from cdc.binlog.decoder.second_codes import of_a_key
from cdc.binlog.selecting.columns import FromServer, ReadColumn, left_out, read_column
from cdc.binlog.selecting.keys import KeyColumn, ambiguous, key_columns, order, quoted, quoted_table
from cdc.binlog.selecting.text_plan import Encoding, text_encoding
from cdc.binlog.server import Server
from cdc.binlog.tables import table_now
from cdc.model.config import SourceConfig
from cdc.model.errors import TableRefused
from cdc.model.schema import Column, TableSchema
from cdc.model.table_version import TableVersion


@dataclass(frozen=True, slots=True)
class TablePlan:
    """`schema`: the whole table's; what is published is `projection.schema`. `select`: SELECT … FROM …, to be followed by a
    condition, `order` and a limit. `readers`: of the values in the answer, one for each column of `schema`. `select_key`,
    `key_readers`: the same for the key alone.

    `definition`: what SHOW CREATE TABLE said when this was made. `prefix`: the key has a column of which only a prefix is in the
    index. `ambiguous`: places of key columns whose text may be stored in two ways. `row_bytes`: of an average row, as the
    server's statistics have it; 0: they do not. `encoding`: for reading the rows in C; None: they are not for it.
    """

    schema: TableSchema
    definition: bytes
    projection: Projection
    key: tuple[KeyColumn, ...]
    select: str
    order: str
    readers: tuple[FromServer, ...]
    select_key: str
    key_readers: tuple[FromServer, ...]
    prefix: bool
    ambiguous: tuple[int, ...]
    row_bytes: int
    encoding: Encoding | None


def plan_table(server: Server, config: SourceConfig, db: str, table: str, definition: bytes) -> TablePlan:
    """Raises TableRefused (none of this name, no key, one that is no use, another engine than InnoDB) and NotUnderstood (a
    type or charset that is not read)."""
    version = table_now(server, db, table)
    if version is None or version.schema is None:
        raise no_table(db, table)
    schema = version.schema
    row_bytes = _require_engine(server, schema)
    salt = config.mask_salt.get_secret_value().encode() if config.mask_salt else b""
    projection = Projection(
        schema, config.exclude_columns, config.mask_columns, salt, version.defaults, version.virtual
    )
    index = _index_of_key(version, schema)
    descending, prefix = _parts(server, schema, index)
    key = key_columns(schema, projection.masked, descending)
    read = [
        _read_column(schema, column) if place in projection.kept else left_out()
        for place, column in enumerate(schema.columns)
    ]
    of_key = [read[[column.name for column in schema.columns].index(name)] for name in schema.key]
    # Forced: from a statistic of a moment ago a server may think that a scan and a sort are cheaper.
    source = f"FROM {quoted_table(db, table)} FORCE INDEX ({quoted(index)})"
    return TablePlan(
        schema=schema,
        definition=definition,
        projection=projection,
        key=key,
        select=f"SELECT {_listed(read)} {source}",
        order=order(key),
        readers=tuple(column.read for column in read),
        select_key=f"SELECT {_listed(of_key)} {source}",
        key_readers=tuple(column.read for column in of_key),
        prefix=prefix,
        ambiguous=ambiguous(schema),
        row_bytes=row_bytes,
        encoding=text_encoding(schema, projection),
    )


def _read_column(schema: TableSchema, column: Column) -> ReadColumn:
    """A key's text is refused where the decoder refuses it."""
    found = read_column(column, quoted(column.name), schema.name)
    decode = text_decoder(column.charset or "")
    if column.name not in schema.key or found.read is not decode:
        return found
    return found._replace(read=of_a_key(decode, column.charset, schema.name, column.name))


def _listed(read: Sequence[ReadColumn]) -> str:
    return ", ".join(column.expression for column in read)


def no_table(db: str, table: str) -> TableRefused:
    return TableRefused(
        f"the source has no table {db}.{table}, or shows none to this user",
        hint="correct the name, create the table, or GRANT SELECT on it",
    )


def text_literal(text: str) -> str:
    """The same in every sql_mode."""
    return f"_utf8mb4 x'{text.encode().hex()}'"


def statistics(query: Callable[[str], Sequence[tuple[Any, ...]]], db: str, table: str) -> tuple[Any, ...]:
    """(engine, table type, rows, average bytes of a row); each may be None. Raises TableRefused: there is none of this name."""
    rows = query(
        "SELECT ENGINE, TABLE_TYPE, TABLE_ROWS, AVG_ROW_LENGTH FROM information_schema.TABLES "  # noqa: S608 - literals
        f"WHERE TABLE_SCHEMA = {text_literal(db)} AND TABLE_NAME = {text_literal(table)}"
    )
    if not rows:
        raise no_table(db, table)
    return rows[0]


# Those of which it is known when a transaction shows (cdc.binlog.selecting.settling). Rows of an engine without transactions show
# at another moment than the binlog tells of them.
_ENGINES = {"mysql": ("innodb",), "mariadb": ("innodb", "rocksdb")}


def _require_engine(server: Server, schema: TableSchema) -> int:
    """The average bytes of a row."""
    engine, table_type, _, row_bytes = statistics(server.query, schema.db, schema.table)
    if str(engine).lower() not in _ENGINES[server.product().flavor]:
        raise TableRefused(
            f"table {schema.name} is kept by {engine}: which of its rows belong to a place in the binlog is not known",
            hint=f"ALTER TABLE {schema.name} ENGINE=InnoDB, or exclude it from what is copied and compared",
        )
    if str(table_type).upper() == "SYSTEM VERSIONED":
        raise TableRefused(
            f"table {schema.name} is system-versioned: the binlog has its rows with their history, SELECT without",
            hint="exclude it from what is copied and compared",
        )
    return int(row_bytes or 0)


def _index_of_key(version: TableVersion, schema: TableSchema) -> str:
    """The name of the index that `schema.key` is of: the primary one, or the unique one that stands in for it."""
    for name, (kind, *parts) in (version.indexes or {}).items():
        if kind != "plain" and tuple(part.removeprefix("(") for part in parts) == schema.key:
            return name
    raise TableRefused(
        f"table {schema.name} has no primary key, so its rows cannot be read in order",
        hint=f"give it one (ALTER TABLE {schema.name} ADD PRIMARY KEY …), or exclude it from `tables`",
    )


def _parts(server: Server, schema: TableSchema, index: str) -> tuple[frozenset[str], bool]:
    """(columns that the index has in descending order, whether it has but a prefix of one)."""
    rows: Sequence[tuple[Any, ...]] = server.query(
        "SELECT COLUMN_NAME, COLLATION, SUB_PART FROM information_schema.STATISTICS "  # noqa: S608
        f"WHERE TABLE_SCHEMA = {text_literal(schema.db)} AND TABLE_NAME = {text_literal(schema.table)} "
        f"AND INDEX_NAME = {text_literal(index)}"
    )
    return frozenset(str(row[0]) for row in rows if row[1] == "D"), any(row[2] is not None for row in rows)
