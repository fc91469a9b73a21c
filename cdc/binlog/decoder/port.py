"""The decoder's contract: from the bytes of a table map or rows event to rows of JSON-ready values, and to drafts.

A decoder is a pure function of bytes (and of the table map): no socket, no clock, no state of its own. `body` is always the
event without its 19-byte header and without its checksum. Errors name table and column; the stream, which knows file and
offset, adds the position. The bytes are hostile until proven otherwise: whatever they are, the answer is rows, BinlogDamaged
(truncated, too long, out of range) or NotUnderstood (a type, charset, metadata or value that we do not read).

Format: https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Table__map__event.html and
https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Rows__event.html.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cdc.binlog.decoder.cursor import Cursor
from cdc.binlog.decoder.projection import Projection
from cdc.binlog.decoder.rows import DecodedRow
from cdc.model.change import Draft
from cdc.model.schema import TableSchema

WRITE_ROWS_EVENTS = (23, 30)
PARTIAL_UPDATE_ROWS_EVENT = 39
MARIADB_UPDATE_ROWS_EVENT = 24
UPDATE_ROWS_EVENTS = (MARIADB_UPDATE_ROWS_EVENT, 31, PARTIAL_UPDATE_ROWS_EVENT)
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

    def table_map(self, body: memoryview, known: TableSchema | None = None) -> TableMap:
        """Reads a TABLE_MAP_EVENT (19). Called once for each captured table map whose body was not seen before.

        `known`: the table's shape at this place, from the schema history; all columns, unprojected. Where the event lacks names,
        signs, charsets, members or the key (`binlog_row_metadata` MINIMAL or NO_LOG), they come from it; where it has them,
        the event is right. Types that the binlog does not tell from others (MariaDB's uuid, inet4, inet6: fixed bytes) come
        from it in both cases. Column count and type codes are held against it where it is used.

        Raises NotUnderstood (neither names nor `known`; `known` contradicts the event) and BinlogDamaged.
        A column of a type or charset that is not understood is no error here: `rows` raises it at the first row.
        """

    def rows(self, event_type: int, body: memoryview, table: TableMap) -> list[DecodedRow]:
        """Reads one rows event (23-25 version 1, as MariaDB writes it; 30-32 version 2), all rows, in order.

        Columns that an image lacks are ABSENT in it. A partial JSON update (39) is applied to the document of its before image.

        Raises NotUnderstood (another event type; a partial JSON update whose before image lacks the document; a type or charset
        that we do not read, with table and column) and BinlogDamaged (truncated, trailing bytes, another table id than the
        map's, impossible value).
        """

    def encoding(self, table: TableMap, projection: Projection) -> Any:
        """What reads the table's rows events in C (cdc.binlog.decoder.compiled.Encoding); None: this decoder only does."""

    def changes(self, event_type: int, body: memoryview, table: TableMap, projection: Projection) -> Sequence[Draft]:
        """What `rows` reads, projected: what `projection`, which is made of the table map's schema, makes of it.

        The compiled decoder's are `EncodedRows`, whose JSON is what orjson makes of each draft's. Raises what `rows` and
        `Projection.drafts` raise.
        """


def table_map_names(body: memoryview) -> tuple[int, str, str]:
    """(table_id, db, table) of a TABLE_MAP_EVENT's body, without reading the rest; raises BinlogDamaged."""
    cursor = Cursor(body, "table map event")
    table_id = cursor.uint(6)
    cursor.take(2)  # flags
    db = cursor.name()
    return table_id, db, cursor.name()
