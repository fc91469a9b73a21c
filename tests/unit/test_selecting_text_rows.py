"""Rows of the text protocol in C: held equal to the plain reader, whatever the bytes are."""

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

import orjson
import pytest

from cdc.binlog.decoder.projection import Projection
from cdc.binlog.selecting.columns import left_out, read_column
from cdc.binlog.selecting.rows import Read, plain_reader, read_rows
from cdc.binlog.selecting.text_plan import TextRows, text_encoding
from cdc.model.compiled import EncodedRows
from cdc.model.errors import NotUnderstood
from cdc.model.schema import Column, TableSchema
from tests.support.text_protocol import packets, sent

pytestmark = pytest.mark.skipif(TextRows is None, reason="the compiled parts are not built")

MEMBERS = ("b", 'q"', "é")
KINDS: dict[str, tuple[Column, Sequence[bytes]]] = {
    "int": (Column("c", "int"), (b"0", b"-2147483648", b"0000000042", b"7")),
    "bigint": (
        Column("c", "bigint", unsigned=True),
        (b"18446744073709551615", b"-9223372036854775808", b"00000000000000000001", b"0"),
    ),
    "year": (Column("c", "year"), (b"0000", b"2155")),
    "decimal": (Column("c", "decimal"), (b"-0.50", b"0000123.40", b"0000.40", b"0000", b"0", b"0.0", b"9" * 65, b"-1")),
    "float": (
        Column("c", "float"),
        (
            b"0.10000000149011612",
            b"0",
            b"-0",
            b"3.4028234663852886e38",
            b"1.401298464324817e-45",
            b"16777216",
            b"-12.5",
        ),
    ),
    "double": (
        Column("c", "double"),
        (
            b"1e300",
            b"0",
            b"-0",
            b"5e-324",
            b"1.7976931348623157e308",
            b"-2.2250738585072014e-308",
            b"0.1",
            b"1e15",
            b"1e16",
            b"12345678.901234567",
            b"100000000000000000000",
            b"9007199254740993",
            b"1E5",
            b"0.000001",
        ),
    ),
    "bit": (Column("c", "bit", length=12), (b"\x01\x02", b"\0\0", b"\xff" * 8)),
    "date": (Column("c", "date"), (b"2024-00-00", b"0000-00-00")),
    "datetime": (Column("c", "datetime", scale=3), (b"2024-02-31 01:02:03.450", b"0000-00-00 00:00:00.000")),
    "timestamp": (Column("c", "timestamp", scale=0), (b"0000-00-00 00:00:00", b"2038-01-19 03:14:07")),
    "time": (Column("c", "time", scale=2), (b"-838:59:58.99", b"00:00:00.00")),
    "binary": (Column("c", "binary", length=2), (b"\0\xff", b"a")),
    "blob": (Column("c", "blob"), (b"", b"\0" * 300, b"\xff\xfe" * 40_000)),
    "utf8mb4": (
        Column("c", "text", charset="utf8mb4"),
        ('é😀\n"\\\x00'.encode(), b"", b"x" * 300, "ß".encode() * 9000),
    ),
    "ascii": (Column("c", "varchar", charset="ascii"), (b"plain \t text", b"")),
    "latin1": (Column("c", "varchar", charset="latin1"), (b"\xe9\x80", b'long enough for words "\\')),
    "cp1250": (Column("c", "varchar", charset="cp1250"), (b"\xe9", b"a")),
    "enum": (Column("c", "enum", charset="latin1", members=MEMBERS), (b"0", b"1", b"2", b"3")),
    "set": (Column("c", "set", charset="latin1", members=MEMBERS), (b"0", b"7", b"5")),
    "json": (Column("c", "json"), (b'{"a": 1.0, "b": "\\u0001"}', b"null")),
    "uuid": (Column("c", "uuid"), (b"123e4567-e89b-12d3-a456-426655440000",)),
}
# In the key: text of each sort decides the lane in its own way.
KEY = Column("k", "varchar", charset="utf8mb4")


class Both:
    """One table, by both readers."""

    def __init__(self, *columns: Column, key: Sequence[str] = ("k",), exclude: Sequence[str] = ()) -> None:
        self.schema = TableSchema("d", 't"é', tuple(columns), tuple(key))
        self.projection = Projection(self.schema, exclude, (), b"")
        self.readers = [
            read_column(column, "`x`", "d.t").read if place in self.projection.kept else left_out().read
            for place, column in enumerate(columns)
        ]
        self.plain = plain_reader(self.readers, self.schema, self.projection)
        encoding = text_encoding(self.schema, self.projection)
        assert encoding is not None
        self.encoding = encoding
        self.asked_plainly = 0

    def rows(self, max_rows: int = 1000, max_bytes: int = 1 << 30) -> TextRows:
        self.asked_plainly = 0
        return TextRows(self.encoding, self._plain, max_rows, max_bytes, True)

    def _plain(self, row: bytes) -> Any:
        self.asked_plainly += 1
        return self.plain(row)

    def read_plainly(self, rows: Sequence[bytes], max_rows: int = 1000, max_bytes: int = 1 << 30) -> Read:
        return read_rows(
            iter([[row] for row in rows]),
            self.readers,
            self.schema,
            self.projection,
            max_rows=max_rows,
            max_bytes=max_bytes,
        )

    def must_be_equal(self, rows: Sequence[bytes]) -> None:
        compiled = self.rows()
        data = packets(rows)
        assert compiled.take(data, 0, len(data), 0) == (len(data), len(rows) & 0xFF)
        self.must_be(compiled, self.read_plainly(rows))

    @staticmethod
    def must_be(compiled: TextRows, plain: Read) -> None:
        assert (compiled.size, compiled.more, compiled.last) == (plain.size, plain.more, plain.last)
        expected = EncodedRows.of(plain.rows) if plain.rows else []
        assert len(compiled.rows) == len(plain.rows)
        for index in range(len(plain.rows)):
            assert compiled.rows.texts(index) == expected.texts(index)  # type: ignore[union-attr]
            assert compiled.rows.crc(index) == expected.crc(index)  # type: ignore[union-attr]
        assert list(compiled.rows) == list(plain.rows)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_what_the_plain_reader_gives(kind: str) -> None:
    column, values = KINDS[kind]
    both = Both(KEY, column)
    both.must_be_equal([sent(b"%d" % number, value) for number, value in enumerate([*values, None])])
    assert both.asked_plainly <= 2  # what no server sends in this form


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("float", "double", "json")])
def test_each_kind_as_a_key_has_the_same_lane(kind: str) -> None:
    column, values = KINDS[kind]
    Both(column, KEY, key=("c", "k")).must_be_equal([sent(value, "É \\ ".encode()) for value in values])


def test_what_is_excluded_is_not_there() -> None:
    columns = Column("a", "point"), KEY, Column("b", "int")
    Both(*columns, exclude=("d.*.a",)).must_be_equal([sent(None, b"x", b"1"), sent(None, b"y", None)])


@pytest.mark.parametrize(
    "column",
    [
        Column("c", "point"),
        Column("c", "varchar", charset="ucs2"),
        Column("c", "enum", charset="utf8mb4", members=("?",)),
        Column("c", "vector", length=1),
    ],
)
def test_what_only_the_plain_reader_reads(column: Column) -> None:
    schema = TableSchema("d", "t", (KEY, column), ("k",))
    assert text_encoding(schema, Projection(schema, (), (), b"")) is None


def test_masks_and_floats_in_keys_are_for_the_plain_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = TableSchema("d", "t", (KEY, Column("c", "int")), ("k",))
    assert text_encoding(schema, Projection(schema, (), ("*.c",), b"")) is None
    assert text_encoding(schema, Projection(schema, (), (), b"")) is not None
    by_float = TableSchema("d", "t", (KEY, Column("c", "double")), ("c",))
    assert text_encoding(by_float, Projection(by_float, (), (), b"")) is None
    monkeypatch.setenv("CDC_DECODER", "python")
    assert text_encoding(schema, Projection(schema, (), (), b"")) is None


ID, TEXT = Column("id", "int"), Column("v", "longtext", charset="utf8mb4")


@pytest.mark.parametrize(("max_rows", "max_bytes"), [(1000, 1 << 30), (3, 1 << 30), (1000, 50), (1000, 1), (20, 400)])
def test_bounds_are_kept_as_the_plain_reader_does(max_rows: int, max_bytes: int) -> None:
    both = Both(ID, TEXT, key=("id",))
    rows = [sent(b"%d" % number, b"x" * 17) for number in range(20)]
    compiled = both.rows(max_rows, max_bytes)
    for row in rows:
        if not compiled.full:
            compiled.add(row)
    both.must_be(compiled, both.read_plainly(rows, max_rows, max_bytes))
    at_once, data = both.rows(max_rows, max_bytes), packets(rows)
    at_once.take(data, 0, len(data), 0)
    both.must_be(at_once, both.read_plainly(rows, max_rows, max_bytes))


def test_packets_that_are_no_rows_stay_where_they_are() -> None:
    both = Both(ID, TEXT, key=("id",))
    row = packets([sent(b"1", b"x")])
    end, error = b"\x05\0\0\x01\xfe\0\0\2\0", b"\x09\0\0\x01\xff\x48\x04#HY000"
    for rest in (
        end,
        error,
        b"\0\0\0\x01",
        b"\xff\xff\xff\x01" + bytes(100),
        packets([sent(b"2", b"y")], 2),
        packets([sent(b"2", b"y")], 1)[:-1],
        b"\x01\0",
        b"",
    ):
        rows = both.rows()
        data = bytearray(b"junk" + row + rest)
        assert rows.take(memoryview(data), 4, len(data), 0) == (4 + len(row), 1)
        assert [draft.key for draft in rows.rows] == [{"id": 1}]
    with pytest.raises(IndexError):
        both.rows().take(row, 0, len(row) + 1, 0)
    with pytest.raises(IndexError):
        both.rows().take(row, -1, len(row), 0)


def test_a_row_that_begins_as_the_end_does_is_one() -> None:
    text = b"x" * (1 << 16)
    both = Both(TEXT, ID, key=("id",))
    long = b"\xfe" + len(text).to_bytes(8, "little") + text + sent(b"1")
    both.must_be_equal([long])


def test_numbers_of_packets_begin_anew_behind_255() -> None:
    Both(ID, TEXT, key=("id",)).must_be_equal([sent(b"%d" % number, None) for number in range(700)])


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ((b"1", b"\xff"), "column v: its bytes are not text in its charset utf8mb4"),
        ((b"x", b""), "column id: what the server sends is no int"),
    ],
)
def test_the_plain_reader_says_what_is_wrong(values: tuple[bytes, ...], why: str) -> None:
    rows = Both(ID, TEXT, key=("id",)).rows()
    data = packets([sent(b"1", b"first"), sent(*values)])
    with pytest.raises(NotUnderstood, match=why):
        rows.take(data, 0, len(data), 0)
    with pytest.raises(NotUnderstood, match=why):
        rows.add(sent(*values))
    assert [draft.key for draft in rows.rows] == [{"id": 1}]


def test_damaged_rows_are_what_the_plain_reader_makes_of_them() -> None:
    """Cut off, with bytes changed, put in, left out: the same rows, or the same error."""
    rng = Random(7)
    columns = [column for column, _ in KINDS.values()]
    named = [Column(**{**_fields(column), "name": f"c{place}"}) for place, column in enumerate(columns)]
    both = Both(KEY, *named)
    for _ in range(1500):
        values = [rng.choice(values) if rng.random() < 0.9 else None for _, values in KINDS.values()]
        row = bytearray(sent(b"k", *[value if value is None or len(value) < 400 else b"" for value in values]))
        for _ in range(rng.randrange(3)):
            place = rng.randrange(len(row) or 1)
            match rng.randrange(4):
                case 0:
                    row[place : place + 1] = rng.randbytes(1)
                case 1:
                    del row[place : place + rng.randrange(1, 4)]
                case 2:
                    row[place:place] = rng.randbytes(rng.randrange(1, 4))
                case _:
                    del row[place:]
        if row:
            assert _outcome(partial(_compiled, both, bytes(row))) == _outcome(partial(both.plain, bytes(row)))


def _fields(column: Column) -> dict[str, Any]:
    return {name: getattr(column, name) for name in Column.__dataclass_fields__}


def _compiled(both: Both, row: bytes) -> Any:
    rows = both.rows()
    rows.add(row)
    return rows.rows[0]


def _outcome(read: Any) -> tuple[Any, ...]:
    try:
        draft = read()
        return orjson.dumps(draft.key), orjson.dumps(draft.after)
    except Exception as error:  # noqa: BLE001 - whatever the plain reader raises
        return type(error), str(error)
