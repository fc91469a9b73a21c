"""The plain Python decoder, written to be read; the compiled one is held equal to it."""

import struct

from cdc.binlog.decoder.cursor import Cursor, damaged
from cdc.binlog.decoder.plan import Reader
from cdc.binlog.decoder.port import (
    DELETE_ROWS_EVENTS,
    ROWS_EVENTS,
    UPDATE_ROWS_EVENTS,
    DecodedRow,
    TableMap,
    Values,
)
from cdc.binlog.decoder.table_map import read_table_map
from cdc.model.errors import CdcError, NotUnderstood

_FIRST_VERSION_2 = 30


class PythonDecoder:
    """See `cdc.binlog.decoder.port.Decoder`."""

    name = "python"

    def table_map(self, body: memoryview) -> TableMap:
        return read_table_map(body)

    def rows(self, event_type: int, body: memoryview, table: TableMap) -> list[DecodedRow]:
        if event_type not in ROWS_EVENTS:
            raise NotUnderstood(
                f"table {table.schema.name}: event type {event_type} holds rows in a form that is not read yet",
                hint="set binlog_row_value_options='' at the source (MySQL), then start reading behind that",
            )
        if table.plan.refusal is not None:
            raise NotUnderstood(
                f"table {table.schema.name}: {table.plan.refusal}",
                hint="exclude the table from `tables`, or store the column as one of the types in docs/types.md",
            )
        data = bytes(body)
        start = _read_header(event_type, data, table)
        images = _images(data, start, table)
        if event_type in UPDATE_ROWS_EVENTS:
            if len(images) % 2:
                raise damaged(f"rows event of {table.schema.name}: the last update has no second image")
            return [("u", before, after) for before, after in zip(images[::2], images[1::2], strict=True)]
        if event_type in DELETE_ROWS_EVENTS:
            return [("d", before, None) for before in images]
        return [("c", None, after) for after in images]


def _read_header(event_type: int, data: bytes, table: TableMap) -> int:
    """Checks all that stands before the rows, and returns where they begin."""
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
    for _ in range(2 if event_type in UPDATE_ROWS_EVENTS else 1):
        bitmap = int.from_bytes(cursor.take((count + 7) // 8), "little")
        everything = (1 << count) - 1
        if bitmap & everything != everything:
            raise _not_full(table, ~bitmap & everything)
    return cursor.position


def _not_full(table: TableMap, missing: int) -> NotUnderstood:
    absent = [column.name for index, column in enumerate(table.schema.columns) if missing >> index & 1]
    return NotUnderstood(
        f"table {table.schema.name}: the binlog holds only a part of each row here (missing: {', '.join(absent)}), "
        "so it was written without binlog_row_image=FULL",
        hint="SET GLOBAL binlog_row_image=FULL at the source, let its sessions reconnect, and start reading behind that",
    )


def _images(data: bytes, start: int, table: TableMap) -> list[Values]:
    """All row images: a bitmap of the NULL columns, then the values of the others.

    Readers may read short at the end; so each row is checked to end inside the event before it counts.
    """
    readers: tuple[Reader, ...] = table.plan.readers
    bits = [(1 << index, reader) for index, reader in enumerate(readers)]
    bitmap_bytes = (len(readers) + 7) // 8
    never_null: int = table.plan.never_null
    all_columns = (1 << len(readers)) - 1
    images: list[Values] = []
    end = len(data)
    position = start
    values: list[object] = []
    try:
        while position < end:
            values = []
            add = values.append
            nulls = int.from_bytes(data[position : position + bitmap_bytes], "little") & all_columns
            position += bitmap_bytes
            if nulls:
                if nulls & never_null:
                    raise ValueError("a NULL in a column that is NOT NULL")
                for bit, read in bits:
                    if nulls & bit:
                        add(None)
                    else:
                        value, position = read(data, position)
                        add(value)
            else:
                for read in readers:
                    value, position = read(data, position)
                    add(value)
            if position > end:
                raise IndexError("the row ends behind the event")
            images.append(tuple(values))  # type: ignore[arg-type]
    except (IndexError, struct.error, ValueError) as error:
        raise _unreadable(table, len(images), len(values), position, end, error) from error
    return images


def _unreadable(table: TableMap, row: int, column: int, position: int, end: int, error: Exception) -> CdcError:
    """`column`: how many values of the row could be read, so the index of the one that could not."""
    name = table.schema.name
    columns = table.schema.columns
    if position >= end or column == len(columns):
        return damaged(f"rows event of {name}: row image {row + 1} is cut short")
    where = f"rows event of {name}: row image {row + 1}, column {columns[column].name}"
    if isinstance(error, UnicodeDecodeError) and columns[column].charset is not None:
        return NotUnderstood(
            f"{where}: its bytes are not text in its charset {columns[column].charset}",
            hint="mend the value at the source and take the table over anew, or store such bytes in a binary column",
        )
    return damaged(f"{where}: {error}")
