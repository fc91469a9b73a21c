"""Messages of copied rows, as a reader sends them: in bundles, or each by itself."""

from collections.abc import Iterable, Sequence

from cdc.model.change import Draft, Message
from cdc.model.checkpoint import Checkpoint, SourcePoint
from cdc.model.compiled import EncodedRows
from cdc.model.schema import Column, TableSchema
from cdc.processes.outbound import Outbound
from cdc.processes.spread import Routing

ITEMS = TableSchema("shop", "items", (Column("id", "int", nullable=False), Column("t", "text")), ("id",))
POINT = SourcePoint("s", "m.000001", 4)


def copied_messages(
    ids: Iterable[int], bundle_bytes: int, *, token: int = 1, lanes: int = 1, db: str = "shop", text: str = "é"
) -> Sequence[Message]:
    """Of a chunk with these rows of `items`, packed; no epoch markers."""
    out = Outbound(
        Checkpoint(1, POINT, token, "f"), Routing("shop", "mysql", lanes), lambda: 1.5, bundle_bytes=bundle_bytes
    )
    out.begin_run()
    out.take()
    fingerprint = ITEMS.fingerprint()
    rows = [Draft("r", db, "items", fingerprint, {"id": number}, None, {"id": number, "t": text}) for number in ids]
    out.copied(EncodedRows.of(rows))
    return out.take()[0]
