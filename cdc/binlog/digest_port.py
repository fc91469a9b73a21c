"""What a comparison asks of a source beside cdc.binlog.rows_port: digests of ranges, which cost it no row on the wire.

Adapter: cdc.binlog.source.BinlogSource.
"""

from dataclasses import dataclass
from typing import Protocol

from cdc.binlog.rows_port import Key
from cdc.model.checkpoint import SourcePoint
from cdc.model.row_digest import RangeDigest
from cdc.model.schema import TableSchema


@dataclass(frozen=True, slots=True)
class Digested:
    """The digest of a range, made at one moment; `schema`, `high`, `last` as of rows_port.Chunk."""

    schema: TableSchema
    digest: RangeDigest
    high: SourcePoint
    last: Key | None


class DigestSource(Protocol):
    """Thread-safe, as RowSource is."""

    def digest(self, db: str, table: str, after: Key | None, max_rows: int) -> Digested | None:
        """Of the rows behind `after` (None: from the first on), up to `max_rows`, as cdc.model.row_digest describes it.

        None where the table's key is not of numbers that ascend, or a column has no text that is the same everywhere, or is
        masked. Raises as RowSource.chunk does."""
