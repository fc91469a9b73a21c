"""What a check of `cdc check` is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cdc.binlog.port import TableSize
from cdc.model.config import ConnectorConfig
from cdc.model.routing import TableFilter
from cdc.model.schema import TableSchema
from cdc.processes.parts import Parts


@dataclass(frozen=True, slots=True)
class Facts:
    """`tables`: the captured tables as they stand now; None where the source could not be asked; `sizes` is then empty.
    `sink`: of which sink a check of targets is asked, else ""."""

    parts: Parts
    tables: Sequence[TableSchema] | None
    sizes: Mapping[str, TableSize] = field(default_factory=dict)
    sink: str = ""

    @property
    def config(self) -> ConnectorConfig:
        return self.parts.config

    def sink_tables(self) -> list[TableSchema]:
        applied = TableFilter(self.config.all_sinks[self.sink].tables)
        return [table for table in self.tables or () if applied(table.db, table.table)]
