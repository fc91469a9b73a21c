"""Items of a made-up table, as a stream gives them, for tests of what looks at a stretch of the binlog."""

from collections.abc import Sequence
from dataclasses import replace

from cdc.binlog.port import Begin, End, Item, Rows
from cdc.model.change import Draft, Row, Transaction
from cdc.model.checkpoint import SourcePoint
from cdc.model.schema import Column, TableSchema

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
ORDERS = TableSchema(
    "shop",
    "orders",
    (Column("id", "bigint", nullable=False), Column("total", "decimal"), Column("at", "timestamp")),
    ("id",),
)
COMMIT_US = 1_700_000_000_000_000


def point(number: int) -> SourcePoint:
    """The boundary in front of the transaction of that number; the first one is 1."""
    executed = f"{UUID}:1-{number - 1}" if number > 2 else f"{UUID}:1" if number == 2 else ""
    return SourcePoint("s", "mysql-bin.000003", 100 * number, executed)


def draft(
    op: str, key: int, before: Row | None = None, after: Row | None = None, schema: TableSchema = ORDERS
) -> Draft:
    return Draft(op, schema.db, schema.table, schema.fingerprint(), {schema.key[0]: key}, before, after)


def row(id_: int, total: str | None = "1.50", at: str | None = "2024-02-29T01:02:03Z") -> Row:
    return {"id": id_, "total": total, "at": at}


def created(id_: int) -> Draft:
    return draft("c", id_, None, row(id_))


def deleted(id_: int) -> Draft:
    return draft("d", id_, row(id_), None)


def updated(id_: int, total: str = "2.00") -> Draft:
    return draft("u", id_, row(id_), row(id_, total))


def moved(id_: int, to: int) -> list[Draft]:
    return [deleted(id_), created(to)]


def transaction(number: int, *items: Item, schemas: Sequence[TableSchema] = (ORDERS,)) -> list[Item]:
    """With Begin and End around; where an item is Rows, it tells the schemas."""
    told = [replace(item, new_schemas=schemas) if isinstance(item, Rows) else item for item in items]
    begin = Begin(Transaction(point(number), 1, f"{UUID}:{number}", 12, COMMIT_US + number * 1_000_000))
    return [begin, *told, End(point(number + 1))]


def rows(*drafts: Draft, query: str | None = None) -> Rows:
    """One rows event."""
    return Rows(50, drafts, query=query)
