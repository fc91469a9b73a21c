"""The decoder's contract: from the bytes of a table map or rows event to rows of JSON-ready values.

A decoder is a pure function of bytes (and of the table map): no socket, no clock, no state of its own. `body` is always the
event without its 19-byte header and without its checksum. Errors name table and column; the stream, which knows file and
offset, adds the position. The bytes are hostile until proven otherwise: whatever they are, the answer is rows, BinlogDamaged
(truncated, too long, out of range) or NotUnderstood (a type, charset, metadata or row image that we do not read).

Format: https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Table__map__event.html and
https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Rows__event.html.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from cdc.binlog.decoder.cursor import Cursor
from cdc.model.change import Value
from cdc.model.schema import TableSchema

Values = tuple[Value, ...]
DecodedRow = tuple[str, Values | None, Values | None]
"""(op, before, after): op is c, u or d; each image is aligned with `schema.columns`, or None where the op has none."""

WRITE_ROWS_EVENTS = (23, 30)
UPDATE_ROWS_EVENTS = (24, 31)
DELETE_ROWS_EVENTS = (25, 32)
ROWS_EVENTS = frozenset(WRITE_ROWS_EVENTS + UPDATE_ROWS_EVENTS + DELETE_ROWS_EVENTS)


@dataclass(frozen=True, slots=True, eq=False)
class TableMap:
    """What one table map event says; valid for the rows events of its transaction that carry `table_id`.

    `schema` holds every column, invisible ones too. `prefix_key`: the primary key's columns of which only a prefix is in
    the key; `schema.key` names the whole columns, which are unique if their prefixes are. `plan` belongs to the decoder
    that made it, and to nobody else. Equal bodies make equal table maps, so the stream may keep them by body.
    """

    table_id: int
    db: str
    table: str
    schema: TableSchema
    prefix_key: frozenset[str]
    plan: Any


class Decoder(Protocol):
    """One implementation of the contract; stateless, safe to share between threads."""

    name: str
    """`python` or `compiled`."""

    def table_map(self, body: memoryview) -> TableMap:
        """Reads a TABLE_MAP_EVENT (19). Called once for each captured table map whose body was not seen before.

        Raises NotUnderstood (metadata without column names: `binlog_row_metadata` is not FULL) and BinlogDamaged.
        A column of a type or charset that is not understood is no error here: `rows` raises it at the first row.
        """

    def rows(self, event_type: int, body: memoryview, table: TableMap) -> list[DecodedRow]:
        """Reads one rows event (23-25 version 1, as MariaDB writes it; 30-32 version 2), all rows, in order.

        Raises NotUnderstood (another event type; `binlog_row_image` not FULL; a type or charset that we do not read, with
        table and column) and BinlogDamaged (truncated, trailing bytes, another table id than the map's, impossible value).
        """


def table_map_names(body: memoryview) -> tuple[int, str, str]:
    """(table_id, db, table) of a TABLE_MAP_EVENT's body, without reading the rest; raises BinlogDamaged."""
    cursor = Cursor(body, "table map event")
    table_id = cursor.uint(6)
    cursor.take(2)  # flags
    db = cursor.name()
    return table_id, db, cursor.name()
