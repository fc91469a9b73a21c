"""A schema change as it leaves the source: without excluded columns, masked ones as what masks make of them."""

from collections.abc import Iterable
from dataclasses import replace

from cdc.binlog.decoder.projection import Projection, hasher, masked_column
from cdc.model.errors import NotUnderstood
from cdc.model.routing import matches
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import AddColumn, DropColumn, ModifyColumn, RenameColumn, SchemaChange, Step


class ChangeProjection:
    """The patterns are those of `cdc.binlog.decoder.projection.Projection`. Pure."""

    def __init__(self, exclude: Iterable[str], mask: Iterable[str], salt: bytes) -> None:
        self._exclude = tuple(exclude)
        self._mask = tuple(mask)
        self._salt = salt

    def __call__(self, change: SchemaChange) -> SchemaChange | None:
        """None where nothing of it is left. Raises TableRefused (no key), NotUnderstood (a rename that brings a column in whose
        values nobody has seen)."""
        steps = tuple(kept for step in change.steps if (kept := self._step(change, step)) is not None)
        if change.kind == "alter" and not steps:
            return None
        schema = change.schema
        if schema is not None:
            schema = Projection(schema, self._exclude, self._mask, self._salt).schema
        return replace(change, steps=steps, schema=schema)

    def _step(self, change: SchemaChange, step: Step) -> Step | None:
        match step:
            case AddColumn():
                return self._added(change, step)
            case RenameColumn(name, to):
                return self._rename(change, name, to)
            case ModifyColumn(column) if self._masked(change, column.name):
                return None
            case ModifyColumn(Column(name)) | DropColumn(name) if self._excluded(change, name):
                return None
        return step

    def _added(self, change: SchemaChange, step: AddColumn) -> Step | None:
        if self._excluded(change, step.column.name):
            return None
        after = self._place(change, step.after)
        if not self._masked(change, step.column.name):
            return replace(step, after=after)
        return AddColumn(masked_column(step.column), hasher(self._salt)(step.fill), after)

    def _rename(self, change: SchemaChange, name: str, to: str) -> Step | None:
        before, after = self._excluded(change, name), self._excluded(change, to)
        if before and after:
            return None
        if after:
            return DropColumn(name)
        if before or self._masked(change, name) != self._masked(change, to):
            raise NotUnderstood(
                f"column {change.name}.{name} becomes {to}, which is sent in another way (exclude_columns, mask_columns): "
                "what the rows that are there have in it was never sent",
                hint=f"add {to} to the pattern that holds {name}, or copy the table anew and replay from behind",
            )
        return RenameColumn(name, to)

    def _place(self, change: SchemaChange, after: str | None) -> str | None:
        """The nearest column before the new one that the target has."""
        if not after or not self._excluded(change, after):
            return after
        kept = ""
        for name in _names(change.schema):
            if name == after:
                return kept
            if not self._excluded(change, name):
                kept = name
        return None

    def _excluded(self, change: SchemaChange, column: str) -> bool:
        return matches(self._exclude, f"{change.name}.{column}")

    def _masked(self, change: SchemaChange, column: str) -> bool:
        return matches(self._mask, f"{change.name}.{column}")


def _names(schema: TableSchema | None) -> list[str]:
    return [] if schema is None else [column.name for column in schema.columns]
