"""A table map event's body, and what the schema history knows of the table, to a TableMap."""

from cdc.binlog.decoder import metadata
from cdc.binlog.decoder.columns import METADATA_BYTES, Described, Readable, describe, real_code
from cdc.binlog.decoder.cursor import Cursor, damaged
from cdc.binlog.decoder.facts import FactsOf, Layout, text_collations
from cdc.binlog.decoder.history import require_agreement
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
    layout = _layout(cursor, name)
    optional = metadata.read(cursor, name)
    _require_names(name, layout, optional, known)
    texts = text_collations(layout, optional, known)
    facts = FactsOf(layout, optional, texts, known, name).columns()
    names = [each.name for each in facts]
    if any(index >= len(names) for index in (*optional.key, *optional.prefix_key)):
        raise damaged(f"table map event of {name}: the primary key has a column that the table lacks")
    key = known.key if optional.names is None and known is not None else _key(optional, names)
    described = [describe(each._replace(key_of=name) if each.name in key else each) for each in facts]
    if optional.names is None and known is not None:
        require_agreement(name, facts, described, known)
    return TableMap(
        table_id=table_id,
        db=db,
        table=table,
        schema=TableSchema(db, table, tuple(each.column for each in described), key),
        prefix_key=frozenset(names[index] for index in optional.prefix_key),
        plan=_plan(described, layout, texts.only_mariadb),
    )


def _layout(cursor: Cursor, name: str) -> Layout:
    codes = cursor.take(cursor.packed())
    if not codes:
        raise damaged(f"table map event of {name}: a table without columns")
    metadatas = _column_metadata(cursor.sub(cursor.packed(), f"table map event of {name}"), codes, name)
    nullable = cursor.take((len(codes) + 7) // 8)
    return Layout([real_code(code, each) for code, each in zip(codes, metadatas, strict=True)], metadatas, nullable)


def _require_names(name: str, layout: Layout, optional: OptionalMetadata, known: TableSchema | None) -> None:
    if optional.names is not None:
        if len(optional.names) != len(layout.codes):
            raise damaged(f"table map event of {name}: {len(layout.codes)} columns with {len(optional.names)} names")
    elif known is None:
        raise NotUnderstood(
            f"table {name}: the binlog holds no column names here, so it was written without binlog_row_metadata=FULL",
            hint="SET GLOBAL binlog_row_metadata=FULL at the source, then start reading at a position behind that",
        )
    elif len(known.columns) != len(layout.codes):
        raise NotUnderstood(
            f"table {name}: the binlog has {len(layout.codes)} columns here, the schema history {len(known.columns)}",
            hint="SET GLOBAL binlog_row_metadata=FULL at the source, then start reading at a position behind that",
        )


def _plan(described: list[Described], layout: Layout, only_mariadb: bool) -> Plan:
    refusals = (f"column {each.column.name} {each.reason}" for each in described if not isinstance(each, Readable))
    refusal = next(refusals, None)
    never_null = sum(1 << index for index in range(len(described)) if not layout.nullable[index // 8] >> index % 8 & 1)
    readers = tuple(each.reader for each in described if isinstance(each, Readable))
    return Plan(readers, never_null, refusal, layout, only_mariadb)


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


def _key(optional: OptionalMetadata, names: list[str]) -> tuple[str, ...]:
    return tuple(names[index] for index in optional.key)
