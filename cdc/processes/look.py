"""Looking back: the changes of chosen rows in a stretch of the binlog, each with its transaction, before and after."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from cdc.binlog.port import Altered, Begin, End, Item, Remembered, Rows, Truncated
from cdc.binlog.row_changes import RowChange, row_changes
from cdc.model.change import Draft, Transaction
from cdc.model.checkpoint import SourcePoint
from cdc.model.compiled import EncodedRows
from cdc.model.schema import TableSchema
from cdc.model.schema_change import SchemaChange
from cdc.model.table_version import TableVersion
from cdc.processes.row_choice import Choice


@dataclass(frozen=True, slots=True)
class RowSeen:
    """`schema`: the table's version at the change. `query`: the statement, where the binlog has it and it was asked for."""

    transaction: Transaction
    schema: TableSchema
    change: RowChange
    query: str | None = None


@dataclass(frozen=True, slots=True)
class TableSeen:
    """A chosen table was emptied (`change` is None), or made, altered, renamed or dropped."""

    transaction: Transaction
    db: str
    table: str
    change: SchemaChange | None = None

    @property
    def name(self) -> str:
        return f"{self.db}.{self.table}"

    @property
    def what(self) -> str:
        """TRUNCATE, CREATE, ALTER, RENAME, DROP."""
        return "TRUNCATE" if self.change is None else self.change.kind.upper()


@dataclass(frozen=True, slots=True)
class Closed:
    """A transaction of which something was seen is over."""

    point: SourcePoint


@dataclass(frozen=True, slots=True)
class Told:
    """What the schema history learnt, of chosen tables and others."""

    versions: tuple[TableVersion, ...]


Seen = RowSeen | TableSeen | Closed | Told


def look(items: Iterable[Item | None], choice: Choice) -> Iterator[Seen | None]:
    """None where an item has nothing for who looks: time to show progress, or to see whether anybody still reads."""
    schemas: dict[str, TableSchema] = {}
    transaction: Transaction | None = None
    shown = False
    for item in items:
        match item:
            case Begin():
                transaction, shown = item.transaction, False
            case Rows() if transaction is not None:
                schemas.update((schema.fingerprint(), schema) for schema in item.new_schemas)
                for change, schema in _chosen(item, choice, schemas):
                    shown = True
                    yield RowSeen(transaction, schema, change, item.query)
            case Truncated(_, db, table) if transaction is not None and choice.has_table(db, table):
                shown = True
                yield TableSeen(transaction, db, table)
            case Altered(_, _, altered) if transaction is not None and _concerns(altered, choice):
                shown = True
                yield TableSeen(transaction, altered.db, altered.table, altered)
            case Remembered(versions):
                yield Told(tuple(versions))
            case End(point) if shown:
                yield Closed(point)
            case _:
                yield None


def _chosen(rows: Rows, choice: Choice, schemas: dict[str, TableSchema]) -> Iterator[tuple[RowChange, TableSchema]]:
    drafts = rows.drafts
    if not drafts:
        return
    first = drafts[0]
    if choice.has_table(first.db, first.table):
        schema = schemas[first.schema]
        for change in chosen_changes(drafts, choice):
            yield change, schema


def chosen_changes(drafts: Sequence[Draft], choice: Choice) -> Iterator[RowChange]:
    """Of one rows event, which is of a chosen table."""
    if choice.keys and isinstance(drafts, EncodedRows):
        # Most events have none: their keys tell, and the images stay bytes.
        keys = (orjson.loads(drafts.texts(row)[0]) for row in range(len(drafts)))
        if not any(map(choice.has_row, keys)):
            return
    for change in row_changes(drafts):
        if choice.has_row(*change.keys):
            yield change


def _concerns(change: SchemaChange, choice: Choice) -> bool:
    return choice.has_table(change.db, change.table) or (change.to is not None and choice.has_table(*change.to))
