"""The row images of a rows event: whole ones on a fast path, and ones that lack columns or hold JSON differences."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from cdc.binlog.decoder import json_diff
from cdc.binlog.decoder.cursor import Cursor, damaged
from cdc.binlog.decoder.plan import Plan, Reader
from cdc.binlog.decoder.port import TableMap
from cdc.binlog.decoder.rows import ABSENT, Absent, PartialValues, Values
from cdc.model.change import Value
from cdc.model.errors import CdcError, NotUnderstood

_PARTIAL_JSON = 1  # the only bit of a row's value_options (binlog_row_value_options)


def whole(data: bytes, start: int, table: TableMap) -> list[Values]:
    """All row images: a bitmap of the NULL columns, then the values of the others.

    Readers may read short at the end; so each row is checked to end inside the event before it counts.
    """
    readers: tuple[Reader, ...] = table.plan.readers
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
            values_at = position + bitmap_bytes
            nulls = data[position] if bitmap_bytes == 1 else int.from_bytes(data[position:values_at], "little")
            position = values_at
            nulls &= all_columns
            if nulls:
                if nulls & never_null:
                    raise ValueError("a NULL in a column that is NOT NULL")
                for read in readers:
                    if nulls & 1:
                        values.append(None)
                    else:
                        value, position = read(data, position)
                        values.append(value)
                    nulls >>= 1
            else:
                for read in readers:
                    value, position = read(data, position)
                    values.append(value)
            if position > end:
                raise IndexError("the row ends behind the event")
            images.append(tuple(values))  # type: ignore[arg-type]
    except (IndexError, struct.error, ValueError) as error:
        raise _unreadable(table, len(images), len(values), position, end, error) from error
    return images


class _Layout(NamedTuple):
    """What an image of one kind holds: the columns in it, and their readers."""

    columns: tuple[int, ...]
    readers: tuple[Reader, ...]
    never_null: tuple[bool, ...]
    bitmap_bytes: int


def _layout(plan: Plan, present: int) -> _Layout:
    columns = tuple(index for index in range(len(plan.readers)) if present >> index & 1)
    return _Layout(
        columns,
        tuple(plan.readers[index] for index in columns),
        tuple(bool(plan.never_null >> index & 1) for index in columns),
        (len(columns) + 7) // 8,
    )


def partial(data: bytes, start: int, table: TableMap, present: Sequence[int], *, differences: bool) -> list[Values]:
    """Row images that may lack columns. `present` has the bitmap of each image of a row, before it after; the bitmap of NULLs
    has a bit for each column that is there. `differences`: after images are those of a PARTIAL_UPDATE_ROWS_EVENT."""
    layouts = [_layout(table.plan, bitmap) for bitmap in present]
    images: list[Values] = []
    reading = _Reading(data, start, table)
    while reading.position < len(data):
        for number, layout in enumerate(layouts):
            images.append(reading.image(layout, len(images), json_diffs=differences and number == 1))
    return images


class _Reading:
    """A walk over the images of one event. `_starts`: where the values of the last whole-valued image begin, by column."""

    def __init__(self, data: bytes, start: int, table: TableMap) -> None:
        self._data = data
        self._table = table
        self._starts: dict[int, int] = {}
        self._documents = [n for n, column in enumerate(table.schema.columns) if column.type == "json"]
        self.position = start

    def image(self, layout: _Layout, number: int, *, json_diffs: bool) -> Values:
        """One image. Raises as `Decoder.rows` does; `number` counts images, for the error's text."""
        values: list[Value | Absent] = [ABSENT] * len(self._table.plan.readers)
        read: list[int] = []
        try:
            changed = self._changed_documents() if json_diffs else frozenset()
            starts: dict[int, int] = {}
            self._values(layout, changed, values, read, starts)
            if self.position > len(self._data):
                raise IndexError("the row ends behind the event")
            self._starts = starts
        except (IndexError, struct.error, ValueError) as error:
            column = layout.columns[len(read)] if len(read) < len(layout.columns) else len(values)
            raise _unreadable(self._table, number, column, self.position, len(self._data), error) from error
        return PartialValues(values)

    def _values(
        self,
        layout: _Layout,
        changed: frozenset[int],
        values: list[Value | Absent],
        read: list[int],
        starts: dict[int, int],
    ) -> None:
        """Fills `values`; `read` gets the columns that are done, `starts` where each value began."""
        nulls = int.from_bytes(self._take(layout.bitmap_bytes), "little")
        for bit, (column, reader) in enumerate(zip(layout.columns, layout.readers, strict=True)):
            if nulls >> bit & 1:
                if layout.never_null[bit]:
                    raise ValueError("a NULL in a column that is NOT NULL")
                values[column] = None
            elif column in changed:
                values[column] = self._patched(column)
            else:
                starts[column] = self.position
                values[column], self.position = reader(self._data, self.position)
            read.append(column)

    def _take(self, length: int) -> bytes:
        begin = self.position
        if begin + length > len(self._data):
            raise IndexError("the row ends behind the event")
        self.position = begin + length
        return self._data[begin : begin + length]

    def _changed_documents(self) -> frozenset[int]:
        """The columns of which the after image has differences: value_options, then a bit for each JSON column of the table
        (`Rows_log_event::write_row`, sql/rpl_record.cc `start_partial_bits_reader`)."""
        cursor = Cursor(self._data, f"rows event of {self._table.schema.name}", self.position)
        options = cursor.packed()
        if options & ~_PARTIAL_JSON:
            raise NotUnderstood(
                f"table {self._table.schema.name}: a row has value options {options}, which are not known here",
                hint="the server is newer than this version of Lockstep knows: upgrade Lockstep, or exclude the table",
            )
        self.position = cursor.position
        if not options:
            return frozenset()
        bits = int.from_bytes(self._take((len(self._documents) + 7) // 8), "little")
        return frozenset(column for bit, column in enumerate(self._documents) if bits >> bit & 1)

    def _patched(self, column: int) -> Value:
        """The document of the before image with the differences that follow: their length in four bytes, then they."""
        name = f"table {self._table.schema.name}, column {self._table.schema.columns[column].name}"
        diffs = self._take(int.from_bytes(self._take(4), "little"))
        if column not in self._starts:
            raise NotUnderstood(
                f"{name}: the binlog holds only what changed in the JSON document, and not the document before it",
                hint="SET GLOBAL binlog_row_image=FULL or binlog_row_value_options='' at the source, let its sessions "
                "reconnect, and start reading behind that",
            )
        start = self._starts[column]
        length = int.from_bytes(self._data[start : start + 4], "little")
        return json_diff.patched(self._data[start + 4 : start + 4 + length], diffs, name)


def _unreadable(table: TableMap, row: int, column: int, position: int, end: int, error: Exception) -> CdcError:
    """`column`: the index of the one that could not be read; behind the last one, where the row itself could not."""
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
