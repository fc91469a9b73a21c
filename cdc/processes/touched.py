"""What a stretch of the binlog touched: counts by table and operation, and the key of every row, old and new where it changed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType

import orjson

from cdc.binlog.gtid import MysqlGtids, gtids
from cdc.binlog.port import Altered, Begin, Item, Rows, Truncated
from cdc.binlog.rows_port import Key
from cdc.model.change import Row, Transaction
from cdc.model.checkpoint import SourcePoint
from cdc.model.compiled import EncodedRows
from cdc.model.schema import TableSchema
from cdc.model.schema_change import SchemaChange
from cdc.processes.key_sets import KeySets
from cdc.processes.row_choice import Choice
from cdc.processes.span import boundary

_TableName = tuple[str, str]


@dataclass(slots=True)
class Committed:
    """How many transactions, and the commit times, microseconds since 1970, of the earliest and the latest (0 where none)."""

    transactions: int = 0
    first_us: int = 0
    last_us: int = 0
    _latest: Transaction | None = None

    def add(self, transaction: Transaction) -> None:
        """Again and again for one transaction counts once."""
        if transaction is self._latest:
            return
        self._latest = transaction
        self.first_us = min(self.first_us, transaction.commit_us) if self.transactions else transaction.commit_us
        self.last_us = max(self.last_us, transaction.commit_us)
        self.transactions += 1


@dataclass(slots=True)
class TableTouched:
    """`key`: the key's columns at the end, in key order; () where no row was changed. `ops`: change events by operation, `c`,
    `u`, `d`; a changed key is a `d` and a `c`. `truncated`: how often it was emptied. `whole`: why its keys do not tell which
    rows were touched, so that all rows count; "" where they tell."""

    db: str
    table: str
    number: int
    key: tuple[str, ...] = ()
    ops: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    whole: str = ""
    committed: Committed = field(default_factory=Committed)

    @property
    def name(self) -> str:
        return f"{self.db}.{self.table}"


class Touched:
    """Read by `take`, item by item; a context manager, since the keys may lie in a file. For one thread.

    The keys are those that the stream has: of a table whose key is masked, read without masks what is to be found again.
    `begin`, `end`: the boundaries of what was read. `schema_changes`: of chosen tables, in order.
    """

    def __init__(self, begin: SourcePoint, flavor: str, choice: Choice) -> None:
        self.begin = self.end = begin
        self.committed = Committed()
        self.schema_changes: list[SchemaChange] = []
        self._flavor = flavor
        self._choice = choice
        self._tables: dict[_TableName, TableTouched] = {}
        self._made = 0
        self._shapes: dict[int, tuple[tuple[str, str], ...]] = {}
        self._schemas: dict[str, TableSchema] = {}
        self._transaction: Transaction | None = None
        self._keys = KeySets()

    def __enter__(self) -> "Touched":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keys.close()

    @property
    def tables(self) -> list[TableTouched]:
        """By the name that each has at the end, sorted."""
        return [self._tables[name] for name in sorted(self._tables)]

    def take(self, item: Item | None) -> None:
        """One item of a stream that was asked for no stretches."""
        match item:
            case Begin():
                self._transaction = item.transaction
                return
            case Rows() if item.drafts:
                self._schemas.update((schema.fingerprint(), schema) for schema in item.new_schemas)
                self._rows(item)
            case Truncated(_, db, table) if self._choice.has_table(db, table):
                found = self._table(db, table)
                found.truncated += 1
                found.whole = found.whole or "emptied by TRUNCATE"
            case Altered():
                self._altered(item.change)
        self.end = boundary(item) or self.end

    def gtids(self) -> str:
        """Of all transactions from `begin` to `end`: MySQL's as a set, MariaDB's as the last of each domain that went on; ""
        where the source has none."""
        after, before = gtids(self._flavor, self.end.gtid_set), gtids(self._flavor, self.begin.gtid_set)
        if isinstance(after, MysqlGtids) and isinstance(before, MysqlGtids):
            return after.minus(before).text()
        known = set(before.text().split(","))
        return ",".join(gtid for gtid in after.text().split(",") if gtid not in known)

    def key_count(self, table: TableTouched) -> int:
        """How many rows that are."""
        return self._keys.count(table.number)

    def keys(self, table: TableTouched) -> Iterator[Key]:
        """Each once, in an order that is the same in every reading."""
        return self._keys.keys(table.number)

    def _rows(self, item: Rows) -> None:
        drafts = item.drafts
        schema = self._schemas[drafts.schema if isinstance(drafts, EncodedRows) else drafts[0].schema]
        if not self._choice.has_table(schema.db, schema.table):
            return
        found = self._table(schema.db, schema.table)
        self._hold_against(found, schema)
        if isinstance(drafts, EncodedRows):
            found.ops.update(drafts.ops())
            # The images stay what they are: bytes that nobody reads.
            keys: Iterator[Row] = (orjson.loads(drafts.texts(row)[0]) for row in range(len(drafts)))
        else:
            found.ops.update(draft.op for draft in drafts)
            keys = (draft.key for draft in drafts)
        self._keys.add(found.number, keys)

    def _table(self, db: str, table: str) -> TableTouched:
        """The one of that name; the open transaction counts in it."""
        found = self._tables.get((db, table))
        if found is None:
            found = self._tables[db, table] = TableTouched(db, table, self._made)
            self._made += 1
        if self._transaction is not None:
            found.committed.add(self._transaction)
            self.committed.add(self._transaction)
        return found

    def _hold_against(self, found: TableTouched, schema: TableSchema) -> None:
        """Keys of another shape cannot be compared with those of now, and find no row any more."""
        columns = [schema.column(name) for name in schema.key]
        shape = tuple((column.name, column.type) for column in columns)
        if self._shapes.setdefault(found.number, shape) != shape:
            self._shapes[found.number] = shape
            found.whole = "its key changed"
        found.key = schema.key

    def _altered(self, change: SchemaChange) -> None:
        name = (change.db, change.table)
        if not any(self._choice.has_table(*one) for one in (name, change.to) if one is not None):
            return
        self.schema_changes.append(change)
        if self._transaction is not None:
            self.committed.add(self._transaction)
        found = self._tables.get(name)
        if found is None:
            return
        if change.kind == "drop":
            # Its rows are gone with it; a table that takes its name begins anew.
            self._keys.forget(found.number)
            self._shapes.pop(found.number, None)
            found.whole, found.key = "", ()
        elif change.to is not None:
            del self._tables[name]
            self._tables[change.to] = self._renamed(found, change.to)

    def _renamed(self, found: TableTouched, to: _TableName) -> TableTouched:
        """What was counted under that name before, for a table that is gone, stays counted."""
        former = self._tables.get(to)
        found.db, found.table = to
        if former is not None:
            found.ops.update(former.ops)
            found.truncated += former.truncated
        return found
