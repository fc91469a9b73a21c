"""The plain Python decoder, written to be read; the compiled one is held equal to it."""

from functools import lru_cache

from cdc.binlog.decoder import images
from cdc.binlog.decoder.cursor import Cursor, damaged
from cdc.binlog.decoder.port import (
    DELETE_ROWS_EVENTS,
    MARIADB_UPDATE_ROWS_EVENT,
    PARTIAL_UPDATE_ROWS_EVENT,
    ROWS_EVENTS,
    UPDATE_ROWS_EVENTS,
    TableMap,
)
from cdc.binlog.decoder.projection import Projection
from cdc.binlog.decoder.rows import DecodedRow
from cdc.binlog.decoder.table_map import read_table_map
from cdc.model.change import Draft
from cdc.model.errors import NotUnderstood
from cdc.model.schema import TableSchema

_FIRST_VERSION_2 = 30
_TABLE_AND_FLAGS = 8  # bytes
_MOST_COLUMNS_IN_ONE_BYTE = 250


class PythonDecoder:
    """See `cdc.binlog.decoder.port.Decoder`."""

    name = "python"

    def table_map(self, body: memoryview, known: TableSchema | None = None) -> TableMap:
        return read_table_map(body, known)

    def rows(self, event_type: int, body: memoryview, table: TableMap) -> list[DecodedRow]:
        if event_type not in ROWS_EVENTS:
            raise NotUnderstood(
                f"table {table.schema.name}: event type {event_type} holds rows in a form that is not known here",
                hint="the server is newer than this version of Lockstep knows: upgrade Lockstep, or exclude the table",
            )
        if table.plan.refusal is not None:
            raise NotUnderstood(
                f"table {table.schema.name}: {table.plan.refusal}",
                hint="exclude the table from `tables`, or store the column as one of the types in docs/types.md",
            )
        if table.plan.only_mariadb and event_type >= _FIRST_VERSION_2:
            raise NotUnderstood(
                f"table {table.schema.name}: a geometry column leaves open which charset belongs to which of its text columns",
                hint="upgrade MySQL to 8.0.23 or newer, whose binlog says so, or exclude the table from `tables`",
            )
        data = bytes(body)
        start, present = _read_header(event_type, data, table)
        if present is None:
            read = images.whole(data, start, table)
        else:
            differences = event_type == PARTIAL_UPDATE_ROWS_EVENT
            read = images.partial(data, start, table, present, differences=differences)
        if event_type in UPDATE_ROWS_EVENTS:
            if len(read) % 2:
                raise damaged(f"rows event of {table.schema.name}: the last update has no second image")
            return [("u", before, after) for before, after in zip(read[::2], read[1::2], strict=True)]
        if event_type in DELETE_ROWS_EVENTS:
            return [("d", before, None) for before in read]
        return [("c", None, after) for after in read]

    def encoding(self, table: TableMap, projection: Projection) -> None:
        return None

    def changes(self, event_type: int, body: memoryview, table: TableMap, projection: Projection) -> list[Draft]:
        rows = self.rows(event_type, body, table)
        return projection.drafts(rows, mariadb_update=event_type == MARIADB_UPDATE_ROWS_EVENT)


def _read_header(event_type: int, data: bytes, table: TableMap) -> tuple[int, tuple[int, ...] | None]:
    """Checks all that stands before the rows, and returns where they begin; and, where rows are not simply whole, a bitmap of
    the columns that are there for each image of a row."""
    usual = _usual_header(event_type, len(table.schema.columns))
    if usual and data.startswith(usual, _TABLE_AND_FLAGS) and int.from_bytes(data[:6], "little") == table.table_id:
        return _TABLE_AND_FLAGS + len(usual), None
    name = table.schema.name
    cursor = Cursor(data, f"rows event of {name}")
    table_id = cursor.uint(6)
    if table_id != table.table_id:
        raise damaged(f"rows event of {name}: it is for table id {table_id}, the table map's is {table.table_id}")
    cursor.take(2)  # flags: the end of a statement is of no use here
    if event_type >= _FIRST_VERSION_2:
        length = cursor.uint(2)
        if length < 2:
            raise damaged(f"rows event of {name}: its extra data has {length} bytes, itself included")
        cursor.take(length - 2)
    count = cursor.packed()
    if count != len(table.schema.columns):
        raise damaged(f"rows event of {name}: {count} columns, the table map has {len(table.schema.columns)}")
    everything = (1 << count) - 1
    size = (count + 7) // 8
    last = first = int.from_bytes(cursor.take(size), "little") & everything
    if event_type in UPDATE_ROWS_EVENTS:
        last = int.from_bytes(cursor.take(size), "little") & everything
    if first == last == everything and event_type != PARTIAL_UPDATE_ROWS_EVENT:
        return cursor.position, None
    if not last:
        raise damaged(f"rows event of {name}: row images without columns")
    return cursor.position, (first, last) if event_type in UPDATE_ROWS_EVENTS else (last,)


@lru_cache(maxsize=1024)
def _usual_header(event_type: int, columns: int) -> bytes:
    """What stands between the flags and the rows, where all columns are there and there is no extra data; empty where it is not
    usual."""
    if event_type == PARTIAL_UPDATE_ROWS_EVENT or columns > _MOST_COLUMNS_IN_ONE_BYTE:
        return b""
    extra = b"\2\0" if event_type >= _FIRST_VERSION_2 else b""  # its length, that of itself included
    bitmap = b"\xff" * ((columns + 7) // 8)
    return extra + bytes((columns,)) + bitmap * (2 if event_type in UPDATE_ROWS_EVENTS else 1)
