"""A table map event's body to a TableMap."""

from cdc.binlog.decoder import metadata
from cdc.binlog.decoder.columns import (
    ENUM,
    METADATA_BYTES,
    NUMERIC_CODES,
    SET,
    TEXT_CODES,
    ColumnFacts,
    Readable,
    describe,
    real_code,
)
from cdc.binlog.decoder.cursor import Cursor, damaged
from cdc.binlog.decoder.metadata import OptionalMetadata
from cdc.binlog.decoder.plan import Plan
from cdc.binlog.decoder.port import TableMap
from cdc.model.errors import NotUnderstood
from cdc.model.schema import TableSchema


def read_table_map(body: bytes | memoryview, known: TableSchema | None = None) -> TableMap:
    """The contract is `Decoder.table_map`'s."""
    cursor = Cursor(body, "table map event")
    table_id = cursor.uint(6)
    cursor.take(2)  # flags: of no use to a reader
    db, table = cursor.name(), cursor.name()
    name = f"{db}.{table}"
    cursor.what = f"table map event of {name}"
    codes = cursor.take(cursor.packed())
    if not codes:
        raise damaged(f"table map event of {name}: a table without columns")
    metadatas = _column_metadata(cursor.sub(cursor.packed(), f"table map event of {name}"), codes, name)
    nullable = cursor.take((len(codes) + 7) // 8)
    optional = metadata.read(cursor, name)
    if optional.names is None:
        raise NotUnderstood(
            f"table {name}: the binlog holds no column names here, so it was written without binlog_row_metadata=FULL",
            hint="SET GLOBAL binlog_row_metadata=FULL at the source, then start reading at a position behind that",
        )
    if len(optional.names) != len(codes):
        raise damaged(f"table map event of {name}: {len(codes)} columns with {len(optional.names)} names")
    columns = _facts(name, codes, metadatas, nullable, optional)
    described = [describe(facts) for facts in columns]
    readers = tuple(each.reader for each in described if isinstance(each, Readable))
    refusals = (f"column {each.column.name} {each.reason}" for each in described if not isinstance(each, Readable))
    return TableMap(
        table_id=table_id,
        db=db,
        table=table,
        schema=TableSchema(db, table, tuple(each.column for each in described), _key(name, optional, optional.names)),
        prefix_key=frozenset(optional.names[index] for index in optional.prefix_key),
        plan=Plan(readers, _never_null(columns), next(refusals, None)),
    )


def _column_metadata(cursor: Cursor, codes: bytes, name: str) -> list[bytes]:
    metadatas = []
    for number, code in enumerate(codes, 1):
        if code not in METADATA_BYTES:
            raise NotUnderstood(
                f"table {name}: its column {number} has type code {code}, which is not known here",
                hint="exclude the table from `tables`, or store the column as one of the types in docs/types.md",
            )
        metadatas.append(cursor.take(METADATA_BYTES[code]))
    if cursor.remaining:
        raise damaged(f"table map event of {name}: {cursor.remaining} bytes behind the columns' metadata")
    return metadatas


def _facts(
    name: str, codes: bytes, metadatas: list[bytes], nullable: bytes, optional: OptionalMetadata
) -> list[ColumnFacts]:
    """Hands out the optional metadata, which is kept by kind, to the columns of each kind in their order."""
    names = optional.names or []
    numbers = texts = choices = 0
    members = {ENUM: iter(optional.enum_members), SET: iter(optional.set_members)}
    columns = []
    for index, raw_code in enumerate(codes):
        code = real_code(raw_code, metadatas[index])
        unsigned, collation = False, None
        own_members: list[bytes] = []
        if code in NUMERIC_CODES:
            unsigned = optional.is_unsigned(numbers)
            numbers += 1
        elif code in members:
            collation = optional.members.of(choices)
            choices += 1
            own_members = next(members[code], [])
            if not own_members:
                raise damaged(f"table map event of {name}: column {names[index]} is an enumeration without members")
        elif code in TEXT_CODES:
            collation = optional.text.of(texts)
            texts += 1
        null = bool(nullable[index // 8] >> index % 8 & 1)
        columns.append(ColumnFacts(names[index], code, metadatas[index], null, unsigned, collation, tuple(own_members)))
    return columns


def _never_null(columns: list[ColumnFacts]) -> int:
    return sum(1 << index for index, facts in enumerate(columns) if not facts.nullable)


def _key(name: str, optional: OptionalMetadata, names: list[str]) -> tuple[str, ...]:
    if any(index >= len(names) for index in optional.key):
        raise damaged(f"table map event of {name}: the primary key has a column that the table lacks")
    return tuple(names[index] for index in optional.key)
