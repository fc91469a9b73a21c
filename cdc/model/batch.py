"""What one call to a target applies: the net change of each key, by table."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cdc.model.change import Change, Row, Value
from cdc.model.schema import TableSchema

Key = tuple[Value, ...]


@dataclass(slots=True)
class TableBatch:
    """Net changes of one table under one schema version; a key stands in at most one of the three.

    `deletes`: keys, in key order of `schema.key`. `inserts`: whole rows by column name, to be there afterwards whether the
    target had one or not. `updates`: rows that the target must have; whole, or (row image not FULL) only some columns, the
    key included. The order between the three is: deletes, updates, inserts.
    """

    schema: TableSchema
    deletes: Sequence[Key] = field(default_factory=list)
    updates: Sequence[Row] = field(default_factory=list)
    inserts: Sequence[Row] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.deletes) + len(self.updates) + len(self.inserts)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A change event that a target refused, or that waits behind one of the same key.

    `reason`: the error of the refused one; "waits" for those behind it.
    """

    change: Change
    reason: str
