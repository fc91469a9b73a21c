"""What the schema history keeps: a source table's shape from one place in the binlog on."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from cdc.model.change import Value
from cdc.model.schema import TableSchema
from cdc.model.schema_change import Step, step_from_json, step_to_json


@dataclass(frozen=True, slots=True)
class TableVersion:
    """`db.table` at the source `source_id`, from `offset` in `file` (number of the binlog file) on; whole, nothing excluded.

    `schema`: its shape; None: it is gone, or what it is cannot be known from here on. `defaults`: by column, what a row takes
    that does not name it, as a change event shows it; a column that is not in it has no default that could be known.
    `collation`: the table's default, of text columns to come. `origin`, `steps`: a table that was made like another one (an
    online schema change's ghost), and what was done to it since; () and None for all others. `virtual`: the names of its VIRTUAL
    generated columns, sorted; None: not known (table maps do not tell). `indexes`: by name, in the server's order, the kind
    (primary, unique, plain) and then the columns, with a `(` before those that count by a prefix alone; None: never told.
    """

    source_id: str
    file: int
    offset: int
    db: str
    table: str
    schema: TableSchema | None
    defaults: dict[str, Value] = field(default_factory=dict)
    collation: str | None = None
    origin: tuple[str, str] | None = None
    steps: tuple[Step, ...] = ()
    virtual: tuple[str, ...] | None = None
    indexes: dict[str, tuple[str, ...]] | None = None

    @property
    def name(self) -> str:
        """Of this version; the same in every reading of the same binlog."""
        return f"{self.source_id}/{self.file}:{self.offset}/{self.db}.{self.table}"

    def to_json(self) -> bytes:
        raw = {
            name: getattr(self, name)
            for name in (
                "source_id",
                "file",
                "offset",
                "db",
                "table",
                "defaults",
                "collation",
                "origin",
                "virtual",
                "indexes",
            )
        }
        raw["schema"] = None if self.schema is None else self.schema.to_json().decode()
        raw["steps"] = [step_to_json(step) for step in self.steps]
        return orjson.dumps(raw)

    @classmethod
    def from_json(cls, text: bytes | str) -> "TableVersion":
        raw: dict[str, Any] = orjson.loads(text)
        schema, origin, virtual, indexes = raw["schema"], raw["origin"], raw.get("virtual"), raw.get("indexes")
        raw["schema"] = None if schema is None else TableSchema.from_json(schema)
        raw["origin"] = None if origin is None else tuple(origin)
        raw["steps"] = tuple(step_from_json(step) for step in raw["steps"])
        raw["virtual"] = None if virtual is None else tuple(virtual)
        raw["indexes"] = None if indexes is None else {name: tuple(parts) for name, parts in indexes.items()}
        return cls(**raw)
