"""Answers of the server: values of the text protocol, and how much of an answer becomes a chunk."""

from collections.abc import Iterator, Sequence

import pytest

from cdc.binlog.decoder.projection import Projection
from cdc.binlog.selecting.columns import read_column
from cdc.binlog.selecting.rows import Read, read_rows
from cdc.binlog.selecting.session import values_of
from cdc.model.change import Value
from cdc.model.errors import NotUnderstood
from cdc.model.schema import Column, TableSchema
from tests.support.text_protocol import sent

TEXT = Column("v", "longtext", charset="utf8mb4")
SCHEMA = TableSchema("d", "t", (Column("id", "int"), TEXT), ("id",))
PROJECTION = Projection(SCHEMA, (), (), b"")
READERS = [read_column(column, "`x`", "d.t").read for column in SCHEMA.columns]


class Counted:
    """An answer that comes row by row, and how many were taken."""

    def __init__(self, rows: Sequence[bytes]) -> None:
        self._rows = rows
        self.taken = 0

    def __iter__(self) -> Iterator[Sequence[bytes]]:
        for row in self._rows:
            self.taken += 1
            yield (row,)


def read(rows: Sequence[bytes], *, max_rows: int = 100, max_bytes: int = 1 << 30) -> tuple[Read, int]:
    counted = Counted(rows)
    found = read_rows(iter(counted), READERS, SCHEMA, PROJECTION, max_rows=max_rows, max_bytes=max_bytes)
    return found, counted.taken


def values(found: Read) -> list[list[Value]]:
    return [list((row.after or {}).values()) for row in found.rows]


@pytest.mark.parametrize("size", [0, 1, 250, 251, 252, 65_535, 65_536, 1 << 24])
def test_values_of_every_length(size: int) -> None:
    text = b"x" * size
    found, _ = read([sent(b"7", text), sent(b"8", None)])
    assert values(found) == [[7, text.decode()], [8, None]]
    assert [(row.op, row.key, row.before) for row in found.rows] == [("r", {"id": 7}, None), ("r", {"id": 8}, None)]
    assert found.last == sent(b"8", None)
    assert list(values_of(sent(b"7", None, text))) == [b"7", None, text]


def test_no_more_rows_than_asked_for_and_whether_there_are_more() -> None:
    rows = [sent(b"%d" % number, b"") for number in range(3)]
    assert read(rows, max_rows=2)[0].more
    assert [row[0] for row in values(read(rows, max_rows=2)[0])] == [0, 1]
    assert not read(rows, max_rows=3)[0].more


def test_no_more_bytes_than_asked_for_but_one_row_at_least() -> None:
    rows = [sent(b"1", b"x" * 97), sent(b"2", b"x" * 97), sent(b"3", b"x" * 97)]
    found, _ = read(rows, max_bytes=200)
    assert (len(found.rows), found.size, found.more) == (2, 200, True)
    found, _ = read(rows, max_bytes=10)
    assert (len(found.rows), found.more) == (1, True)


def test_of_what_comes_beyond_little_is_taken_and_much_is_left() -> None:
    rows = [sent(b"%d" % number, b"x" * 97) for number in range(50)]
    found, taken = read(rows, max_bytes=1000)
    assert len(found.rows) == 10
    assert taken == 13  # a quarter of the bytes, and the row that is too much
    assert read(rows[:12], max_bytes=1000)[1] == 12


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ((b"1", b"\xff"), "column v: its bytes are not text in its charset utf8mb4"),
        ((b"x", b""), "column id: what the server sends is no int"),
    ],
)
def test_what_cannot_be_read_stops_with_table_and_column(values: tuple[bytes, ...], why: str) -> None:
    with pytest.raises(NotUnderstood, match=rf"a row of d\.t, {why}"):
        read([sent(*values)])


@pytest.mark.parametrize(
    ("column", "given", "value"),
    [
        (Column("c", "int", unsigned=True), b"0000000042", 42),
        (Column("c", "decimal"), b"-0.50", "-0.50"),
        (Column("c", "decimal"), b"0000123.40", "123.40"),
        (Column("c", "decimal"), b"0000.40", "0.40"),
        (Column("c", "decimal"), b"0000", "0"),
        (Column("c", "decimal"), b"0", "0"),
        (Column("c", "decimal"), b"0.0", "0.0"),
        (Column("c", "float"), b"0.10000000149011612", 0.1),
        (Column("c", "double"), b"1e300", 1e300),
        (Column("c", "bit", length=12), b"\x01\x02", 258),
        (Column("c", "year"), b"0000", 0),
        (Column("c", "date"), b"2024-00-00", "2024-00-00"),
        (Column("c", "datetime", scale=3), b"2024-02-31 01:02:03.450", "2024-02-31T01:02:03.450"),
        (Column("c", "timestamp", scale=0), b"0000-00-00 00:00:00", "0000-00-00T00:00:00Z"),
        (Column("c", "time", scale=2), b"-838:59:58.99", "-838:59:58.99"),
        (Column("c", "binary", length=2), b"\0\xff", "AP8="),
        (Column("c", "varchar", charset="ucs2"), "é".encode("utf-16-be"), "é"),
        (Column("c", "enum", charset="latin1", members=("b", "é")), b"2", "é"),
        (Column("c", "enum", charset="latin1", members=("b", "é")), b"0", ""),
        (Column("c", "set", charset="latin1", members=("b", "é")), b"3", "b,é"),
        (Column("c", "set", charset="latin1", members=("b", "é")), b"0", ""),
        (Column("c", "point"), bytes(4) + bytes(21), {"srid": 0, "wkb": "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"}),
        (Column("c", "geometry"), b"", {"srid": 0, "wkb": ""}),
        (Column("c", "vector", length=1), b"\xcd\xcc\xcc\x3d", [0.1]),
        (Column("c", "json"), b'{"a": 1.0}', '{"a": 1.0}'),
    ],
)
def test_a_value_is_what_the_decoder_gives(column: Column, given: bytes, value: Value) -> None:
    found = read_column(column, "`c`", "d.t").read(given)
    assert (type(found), found) == (type(value), value)


def test_a_type_and_a_charset_that_the_decoder_does_not_read_are_refused() -> None:
    with pytest.raises(NotUnderstood, match=r"table d\.t: column c has type xml"):
        read_column(Column("c", "xml"), "`c`", "d.t")
    for column in (Column("c", "text", charset="klingon"), Column("c", "enum", charset="binary", members=("a",))):
        with pytest.raises(NotUnderstood, match=rf"column c .* charset {column.charset}, which is not read yet"):
            read_column(column, "`c`", "d.t")


def test_many_rows_come_in_order() -> None:
    found, _ = read([sent(b"%d" % number, None) for number in range(1000)], max_rows=999)
    assert [row[0] for row in values(found)] == list(range(999))
    assert found.more
