"""The front of the compiled decoder: what C does not read, or cannot, goes to the plain one."""

from collections.abc import Sequence

from cdc.binlog.decoder import compiled_plan
from cdc.binlog.decoder.compiled import Encoding, GivenUp
from cdc.binlog.decoder.port import TableMap
from cdc.binlog.decoder.projection import Projection
from cdc.binlog.decoder.python import PythonDecoder
from cdc.binlog.decoder.rows import DecodedRow
from cdc.model.change import Draft
from cdc.model.schema import TableSchema


class CompiledDecoder:
    """See `cdc.binlog.decoder.port.Decoder`. `given_up` counts the events that C began, and found damaged: those the plain
    decoder reads again from the start, and its errors, or its rows, are the answer."""

    name = "compiled"

    def __init__(self) -> None:
        self.given_up = 0
        self._plain = PythonDecoder()

    def table_map(self, body: memoryview, known: TableSchema | None = None) -> TableMap:
        return self._plain.table_map(body, known)

    def rows(self, event_type: int, body: memoryview, table: TableMap) -> list[DecodedRow]:
        return self._plain.rows(event_type, body, table)

    def encoding(self, table: TableMap, projection: Projection) -> Encoding | None:
        if projection.encoding is None or projection.encoding[0] is not table:
            projection.encoding = (table, compiled_plan.encoding(table, projection))
        found: Encoding | None = projection.encoding[1]
        return found

    def changes(self, event_type: int, body: memoryview, table: TableMap, projection: Projection) -> Sequence[Draft]:
        encoding = self.encoding(table, projection)
        if encoding is not None:
            try:
                rows = encoding.rows(event_type, body)
                if rows is not None:
                    return rows
            except GivenUp:
                self.given_up += 1
        return self._plain.changes(event_type, body, table, projection)
