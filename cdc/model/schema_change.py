"""A change of a table at the source, as steps that a target can repeat: what a barrier with the action `schema` carries."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from cdc.model.change import Value
from cdc.model.schema import Column, TableSchema


@dataclass(frozen=True, slots=True)
class AddColumn:
    """`fill`: what the rows that are there have in it, as a change event shows it. `after`: the column before it; "" = it is
    the first one, None = the last."""

    column: Column
    fill: Value = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class DropColumn:
    name: str


@dataclass(frozen=True, slots=True)
class RenameColumn:
    name: str
    to: str


@dataclass(frozen=True, slots=True)
class ModifyColumn:
    """`before`: the column as it was, under the name that it has now; None where that is not known."""

    column: Column
    before: Column | None = None


@dataclass(frozen=True, slots=True)
class SetKey:
    """The primary key's columns from now on, in key order."""

    key: tuple[str, ...]


Step = AddColumn | DropColumn | RenameColumn | ModifyColumn | SetKey
_STEPS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (AddColumn, DropColumn, RenameColumn, ModifyColumn, SetKey)
}


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One statement's effect on one captured table, projected (excluded columns are not in it).

    kind `create`: `db.table` is new and empty, `schema` is its shape.
    kind `alter`: `steps` in order, each seen from the table as the steps before it left it; `schema` is the shape afterwards.
    kind `drop`: `db.table` is gone, with its rows.
    kind `rename`: `db.table` is now `to`, both captured; `schema` has the new name.
    `schema` is None where the shape is not known (no metadata yet, or dropped). `ddl` is the statement's text, for people.
    `again`: a rewind sends it a second time; what was done then may be there already, but for the rows that came since.
    """

    kind: Literal["create", "alter", "drop", "rename"]
    db: str
    table: str
    steps: tuple[Step, ...] = ()
    schema: TableSchema | None = None
    to: tuple[str, str] | None = None
    ddl: str = ""
    again: bool = False

    @property
    def name(self) -> str:
        return f"{self.db}.{self.table}"

    def fills(self) -> Iterator[tuple[Column, Value]]:
        """New columns, by their names at the end of the statement, and what rows that were there have in them."""
        for at, step in enumerate(self.steps):
            if not isinstance(step, AddColumn):
                continue
            name: str | None = step.column.name
            for later in self.steps[at + 1 :]:
                if isinstance(later, RenameColumn) and later.name == name:
                    name = later.to
                elif isinstance(later, DropColumn) and later.name == name:
                    name = None
            if name is not None and step.fill is not None:
                yield replace(step.column, name=name), step.fill

    @property
    def destructive(self) -> bool:
        """Whether values are lost by it at a target that repeats it."""
        return self.kind == "drop" or any(isinstance(step, DropColumn) for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; `from_json` gives it back."""
        return {
            "kind": self.kind,
            "db": self.db,
            "table": self.table,
            "steps": [step_to_json(step) for step in self.steps],
            "schema": None if self.schema is None else self.schema.to_json().decode(),
            "to": self.to,
            "ddl": self.ddl,
            "again": self.again,
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "SchemaChange":
        """Raises KeyError, TypeError or ValueError for anything else."""
        schema = raw["schema"]
        return cls(
            raw["kind"],
            raw["db"],
            raw["table"],
            tuple(step_from_json(step) for step in raw["steps"]),
            None if schema is None else TableSchema.from_json(schema),
            None if raw["to"] is None else tuple(raw["to"]),
            raw["ddl"],
            raw.get("again", False),
        )


def step_to_json(step: Step) -> dict[str, Any]:
    return {"step": type(step).__name__, **asdict(step)}


def step_from_json(raw: dict[str, Any]) -> Step:
    raw = dict(raw)
    kind = _STEPS[raw.pop("step")]
    for name in ("column", "before"):
        if raw.get(name) is not None:
            raw[name] = Column(**{**raw[name], "members": tuple(raw[name]["members"])})
    if "key" in raw:
        raw["key"] = tuple(raw["key"])
    made: Step = kind(**raw)
    return made
