"""Rows of the text protocol as the decoder's values. What costs most of a chunk's time: each row goes through here once.

Format: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cdc.binlog.decoder.projection import Projection
from cdc.binlog.decoder.rows import DecodedRow, Values
from cdc.binlog.selecting.columns import FromServer, unreadable
from cdc.model.change import Draft, Value
from cdc.model.schema import TableSchema

_PASSED_OVER = 4  # one in so many of `max_bytes`
# Few, so that tuples that nobody needs any more are never many: Python's garbage collector looks at all that there are, again and
# again, and took two fifths of the time where a chunk was made of all its rows in one step (3.11).
_AT_ONCE = 128
_NULL = 0xFB
_WIDTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}


class Read(NamedTuple):
    """`rows`: EncodedRows where C has read them. `size`: their bytes, as the server sent them. `more`: there was another row.
    `last`: the last one of `rows` as it was sent."""

    rows: Sequence[Draft]
    size: int
    more: bool
    last: bytes


def read_rows(
    answer: Iterator[Sequence[bytes]],
    readers: Sequence[FromServer],
    schema: TableSchema,
    projection: Projection,
    *,
    max_rows: int,
    max_bytes: int,
) -> Read:
    """Up to `max_rows` rows, in `max_bytes` all together; one at least, if there is one. Raises NotUnderstood.

    `schema`: of the whole table, with one of `readers` for each column. What comes beyond is passed over as long as it is little;
    else the answer is left where it is.
    """
    drafts: list[Draft] = []
    waiting: list[DecodedRow] = []
    count = size = passed = 0
    more = False
    last = b""
    for rows in answer:
        for row in rows:
            if more or (count and (count == max_rows or size + len(row) > max_bytes)):
                more = True
                passed += len(row)
                continue
            count += 1
            size += len(row)
            last = row
            waiting.append(("r", None, _values(row, readers, schema)))
            if len(waiting) == _AT_ONCE:
                drafts += projection.drafts(waiting)
                waiting.clear()
        if passed > max_bytes // _PASSED_OVER:
            break
    drafts += projection.drafts(waiting)
    return Read(drafts, size, more, last)


def plain_reader(
    readers: Sequence[FromServer], schema: TableSchema, projection: Projection
) -> Callable[[bytes], Draft]:
    """From one row, as it was sent, to its draft. Raises NotUnderstood."""

    def read(row: bytes) -> Draft:
        (draft,) = projection.drafts([("r", None, _values(row, readers, schema))])
        return draft

    return read


def _values(data: bytes, readers: Sequence[FromServer], schema: TableSchema) -> Values:
    values: list[Value] = []
    place = 0
    try:
        for read in readers:
            length = data[place]
            start = place + 1
            if length >= _NULL:
                if length == _NULL:
                    values.append(None)
                    place = start
                    continue
                behind = start + _WIDTHS[length]
                length = int.from_bytes(data[start:behind], "little")
                start = behind
            place = start + length
            values.append(read(data[start:place]))
    except ValueError as error:
        raise unreadable(schema, len(values), error) from error
    return tuple(values)
