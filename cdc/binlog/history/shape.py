"""A table while statements are applied to it: columns with what rows take in them, indexes, the default collation."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cdc.binlog.history import keys
from cdc.binlog.history.columns import NO_DEFAULT, NoDefault, without_default
from cdc.binlog.history.context import Place, TableName
from cdc.binlog.history.definitions import Definition
from cdc.binlog.history.indexes import Index, Part
from cdc.model.change import Value
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import Step
from cdc.model.table_version import TableVersion


@dataclass(slots=True)
class Slot:
    """`was`: the name that the column had before the statement; None: it is new. `definition`: where the statement has one.
    `virtual`: a VIRTUAL generated column; None: not known."""

    column: Column
    default: Value | NoDefault = NO_DEFAULT
    was: str | None = None
    definition: Definition | None = None
    virtual: bool | None = None

    @property
    def name(self) -> str:
        return self.column.name

    def forbid_null(self) -> None:
        if self.column.nullable:
            self.column = replace(self.column, nullable=False)
            if self.default is None:
                self.default = without_default(self.column)


@dataclass(slots=True)
class Shape:
    slots: list[Slot] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)
    collation: str | None = None

    @classmethod
    def of(cls, version: TableVersion) -> "Shape":
        columns = () if version.schema is None else version.schema.columns
        virtual = version.virtual
        slots = [
            Slot(
                each,
                version.defaults.get(each.name, NO_DEFAULT),
                each.name,
                virtual=None if virtual is None else each.name in virtual,
            )
            for each in columns
        ]
        return cls(slots, keys.of_version(version), version.collation)

    def copy(self) -> "Shape":
        return Shape([replace(slot) for slot in self.slots], list(self.indexes), self.collation)

    def find(self, name: str) -> Slot | None:
        """Column names are compared without regard to case, in both products."""
        folded = name.lower()
        return next((slot for slot in self.slots if slot.name.lower() == folded), None)

    def slot(self, name: str) -> Slot:
        found = self.find(name)
        if found is None:
            raise LookupError(f"column {name} is not known")
        return found

    def same_table(self, other: "Shape") -> bool:
        """The same columns and key, in the same order."""
        return [slot.column for slot in self.slots] == [
            slot.column for slot in other.slots
        ] and self.key() == other.key()

    def columns(self) -> dict[str, Column]:
        return {slot.name: slot.column for slot in self.slots}

    def key(self) -> tuple[str, ...]:
        return keys.key(self.indexes, self.columns())

    def schema(self, name: TableName) -> TableSchema:
        return TableSchema(*name, tuple(slot.column for slot in self.slots), self.key())

    def version(
        self, name: TableName, place: Place, origin: TableName | None = None, steps: Sequence[Step] = ()
    ) -> TableVersion:
        defaults: dict[str, Value] = {
            slot.name: slot.default for slot in self.slots if not isinstance(slot.default, NoDefault)
        }
        return TableVersion(
            *place,
            *name,
            schema=self.schema(name),
            defaults=defaults,
            collation=self.collation,
            origin=origin,
            steps=tuple(steps),
            virtual=self._virtual(),
            indexes=keys.stored(self.indexes),
        )

    def _virtual(self) -> tuple[str, ...] | None:
        if any(slot.virtual is None for slot in self.slots):
            return None
        return tuple(sorted(slot.name for slot in self.slots if slot.virtual))

    def add_index(self, index: Index) -> None:
        """Names it as the server does where it has no name, and writes its columns as the table has them."""
        parts = tuple(self._part(part, index.kind) for part in index.parts)
        name = index.name or self._free_name(parts)
        if index.if_not_exists and self.index(name) is not None:
            return
        self.indexes.append(index._replace(name=name, parts=parts))
        if index.kind == "primary":
            for part in parts:
                self.slot(part.column).forbid_null()

    def _part(self, part: Part, kind: str) -> Part:
        """A key of a virtual column never stands in for the primary key: it counts as one of a prefix."""
        if not part.column:
            return part
        slot = self.slot(part.column)
        return Part(slot.name, kind == "plain" or (part.whole and not slot.virtual))

    def index(self, name: str) -> Index | None:
        folded = name.lower()
        return next((index for index in self.indexes if index.name.lower() == folded), None)

    def _free_name(self, parts: Sequence[Part]) -> str:
        """The first column's name, with _2, _3 … where that is taken (make_unique_key_name in sql/sql_table.cc)."""
        base = (parts[0].column if parts else "") or "functional_index"
        name, number = base, 1
        while self.index(name) is not None or name.upper() == keys.PRIMARY:
            number += 1
            name = f"{base}_{number}"
        return name

    def drop_column(self, slot: Slot) -> None:
        """An index loses the column, and goes with its last one."""
        self.slots.remove(slot)
        kept = []
        for index in self.indexes:
            parts = tuple(part for part in index.parts if part.column != slot.name)
            if parts or not index.parts:
                kept.append(index._replace(parts=parts))
        self.indexes = kept

    def rename_columns(self, names: dict[str, str]) -> None:
        """In the indexes; all at once, since names may be swapped."""
        self.indexes = [
            index._replace(parts=tuple(Part(names.get(part.column, part.column), part.whole) for part in index.parts))
            for index in self.indexes
        ]

    def sort_indexes(self) -> None:
        self.indexes = keys.in_server_order(self.indexes, self.columns())
