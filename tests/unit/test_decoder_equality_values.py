"""Values of every type that the compiled decoder reads itself: the plain one makes the same of them, and C gives none up."""

import struct
from collections.abc import Callable, Sequence
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.binlog.decoder.port import TableMap
from cdc.model.compiled import EncodedRows
from tests.support import row_events
from tests.support.changes import both, must_be_equal, projected
from tests.support.row_events import ColumnBytes, image, prefixed, rows_event, table_map

PLAIN, COMPILED = both()
compiled_plan = import_module("cdc.binlog.decoder.compiled_plan")
KEY = ColumnBytes("id", 3, nullable=False)
ENUM, SET, CHAR, VARCHAR, BLOB = 247, 248, 254, 15, 252


def _table(column: ColumnBytes) -> TableMap:
    return PLAIN.table_map(memoryview(table_map([KEY, column])))


def _kind(table: TableMap) -> int:
    layout = table.plan.layout
    found: int = compiled_plan.column_code(table.schema.columns[1], layout.codes[1], layout.metadatas[1]).kind
    return found


def values_must_be_equal(column: ColumnBytes, values: Sequence[bytes | None], *, sound: bool = True) -> None:
    """`sound`: C reads them itself."""
    table = _table(column)
    images = [image([number.to_bytes(4, "little"), value]) for number, value in enumerate(values)]
    body = rows_event(30, 2, images)
    projection = projected(table)
    mine = must_be_equal(30, body, table, projection)
    if sound:
        assert isinstance(mine, list)
        assert _kind(table) != compiled_plan.Kind.PYTHON
        assert isinstance(COMPILED.changes(30, memoryview(body), table, projection), EncodedRows)


def as_key(column: ColumnBytes, values: Sequence[bytes]) -> None:
    """In the key, with a value that follows another in each update: whether they are equal, and their lane."""
    table = PLAIN.table_map(memoryview(table_map([column._replace(nullable=False)])))
    body = rows_event(31, 1, [image([value]) for value in values * 2])
    must_be_equal(31, body, table, projected(table))


def _decimal_bytes(precision: int, scale: int) -> int:
    sizes = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
    return sum(places // 9 * 4 + sizes[places % 9] for places in (precision - scale, scale))


FIXED = [
    *(
        (ColumnBytes("v", code, unsigned=unsigned), size)
        for code, size in ((1, 1), (2, 2), (9, 3), (3, 4), (8, 8))
        for unsigned in (False, True)
    ),
    (ColumnBytes("v", 13), 1),
    *((ColumnBytes("v", 16, bytes((bits % 8, bits // 8))), (bits + 7) // 8) for bits in (1, 8, 13, 40, 63, 64)),
    (ColumnBytes("v", 10), 3),
    *(
        (ColumnBytes("v", code, bytes((scale,))), size + (scale + 1) // 2)
        for code, size in ((17, 4), (18, 5), (19, 3))
        for scale in range(7)
    ),
]


@pytest.mark.parametrize(
    ("column", "size"), FIXED, ids=lambda value: str(value.code) if isinstance(value, ColumnBytes) else str(value)
)
@given(data=st.data())
def test_numbers_dates_and_times_of_any_bytes(column: ColumnBytes, size: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=20))
    for value in values:
        values_must_be_equal(column, [value, None], sound=column.code not in (17, 18, 19))
    as_key(column, values)


@pytest.mark.parametrize("scale", range(7))
@given(data=st.data())
def test_sound_dates_and_times(scale: int, data: st.DataObject) -> None:
    width = (scale + 1) // 2
    fractions = st.integers(0, 10 ** (2 * width) - 1).map(lambda number: number.to_bytes(width, "big"))
    seconds = st.integers(0, 2**32 - 1) | st.sampled_from((0, 1, 86399, 86400, 951782400, 951868800, 4107542400))
    stamps = st.tuples(seconds.map(lambda number: number.to_bytes(4, "big")), fractions).map(b"".join)
    moments = st.tuples(st.integers(2**39, 2**40 - 1).map(lambda number: number.to_bytes(5, "big")), fractions).map(
        b"".join
    )
    spans = st.tuples(st.integers(0, 2**24 - 1), fractions, st.booleans()).map(lambda parts: _time(*parts))
    for code, values in ((17, stamps), (18, moments), (19, spans)):
        values_must_be_equal(
            ColumnBytes("v", code, bytes((scale,))), data.draw(st.lists(values | st.none(), max_size=10))
        )


def _time(whole: int, fraction: bytes, negative: bool) -> bytes:
    """Of a distance from zero."""
    size = 3 + len(fraction)
    distance = (whole & 0x7FFFFF) << 8 * len(fraction) | int.from_bytes(fraction, "big")
    return ((0x800000 << 8 * len(fraction)) + (-distance if negative else distance)).to_bytes(size, "big")


@given(st.integers(1, 65), st.integers(0, 38), st.data())
def test_decimals(precision: int, scale: int, data: st.DataObject) -> None:
    scale = min(scale, precision)
    column = ColumnBytes("v", 246, bytes((precision, scale)))
    integral = precision - scale
    texts = st.tuples(
        st.text("0123456789", min_size=integral, max_size=integral),
        st.text("0123456789", min_size=scale, max_size=scale),
        st.booleans(),
    )
    values_must_be_equal(column, [_decimal(*each) for each in data.draw(st.lists(texts, min_size=1, max_size=10))])
    size = _decimal_bytes(precision, scale)
    values_must_be_equal(column, [data.draw(st.binary(min_size=size, max_size=size))], sound=False)
    as_key(column, [_decimal(*each) for each in data.draw(st.lists(texts, min_size=1, max_size=4))])


def _decimal(whole: str, fraction: str, negative: bool) -> bytes:
    """As decimal2bin stores it: nine digits in four bytes, the odd ones outermost."""
    sizes, odd = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4), len(whole) % 9
    groups = [whole[:odd], *(whole[n : n + 9] for n in range(odd, len(whole), 9))]
    groups += [fraction[n : n + 9] for n in range(0, len(fraction), 9)]
    raw = bytearray(b"".join(int(group or "0").to_bytes(sizes[len(group)], "big") for group in groups))
    raw[0] ^= 0x80
    return bytes(byte ^ 0xFF for byte in raw) if negative else bytes(raw)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_doubles(numbers: list[float]) -> None:
    values_must_be_equal(ColumnBytes("v", 5, b"\x08"), [struct.pack("<d", number) for number in numbers])


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_floats(numbers: list[float]) -> None:
    values_must_be_equal(ColumnBytes("v", 4, b"\x04"), [struct.pack("<f", number) for number in numbers])


def test_doubles_at_every_power() -> None:
    for code in ("<d", "<f"):
        powers = [
            struct.pack(code, 2.0**exponent) for exponent in (range(-149, 128) if code == "<f" else range(-1074, 1024))
        ]
        tens = [struct.pack(code, float(f"{n}e{exponent}")) for exponent in range(-44, 34) for n in (1, 2, 5, 9, 12345)]
        near = [
            (int.from_bytes(raw, "little") + step).to_bytes(len(raw), "little")
            for raw in powers[1:-1]
            for step in (-1, 1)
        ]
        values_must_be_equal(ColumnBytes("v", 5 if code == "<d" else 4, b"\x08"), powers + tens + near)


@pytest.mark.parametrize("number", [b"\0\0\x80\x7f", b"\0\0\x80\xff", b"\0\0\xc0\x7f"])
def test_what_is_no_number_is_damage_to_both(number: bytes) -> None:
    values_must_be_equal(ColumnBytes("v", 4, b"\x04"), [number], sound=False)


AWKWARD = st.sampled_from(
    '"\\/\b\f\n\r\t\0\x01\x1f\x7f\u0080\u00e9\u07ff\u0800\u20ac\u2028\ufeff\ufffd\uffff\U00010000\U0010ffff Aa'
)
UNICODE = st.text(st.characters(exclude_categories=("Cs",)) | AWKWARD, max_size=60)
PREFIXES = (
    (VARCHAR, b"\xff\0", 1),
    (VARCHAR, b"\0\1", 2),
    (BLOB, b"\1", 1),
    (BLOB, b"\2", 2),
    (BLOB, b"\3", 3),
    (BLOB, b"\4", 4),
    (CHAR, b"\xfe\x20", 1),
    (CHAR, b"\xee\xfc", 2),
)


@pytest.mark.parametrize(("code", "metadata", "prefix"), PREFIXES)
@given(data=st.data())
def test_text(code: int, metadata: bytes, prefix: int, data: st.DataObject) -> None:
    for collation in (row_events.UTF8MB4, row_events.UTF8MB3):
        column = ColumnBytes("v", code, metadata, collation)
        texts = [prefixed(text.encode(), prefix) for text in data.draw(st.lists(UNICODE, min_size=1, max_size=8))]
        values_must_be_equal(column, [*texts, None])
        as_key(column, texts)
        values_must_be_equal(column, [prefixed(data.draw(st.binary(max_size=40)), prefix)], sound=False)


@pytest.mark.parametrize("collation", [row_events.UTF8MB4, row_events.LATIN1])
def test_text_of_every_length_with_what_needs_care_at_every_place(collation: int) -> None:
    """Plain characters are taken many at once, and the last ones together: 0 to 75 of them, and one that is not plain."""
    charset = "utf-8" if collation == row_events.UTF8MB4 else "cp1252"
    plain = "abcdefghijklmnopqrstuvwxyz !#ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-*/=~[]^_`"[:75]
    texts = [plain[:length] for length in range(76)]
    texts += [
        plain[:place] + awkward + plain[place:length]
        for length in range(0, 75, 7)
        for place in range(length + 1)
        for awkward in ('"', "\\", "\x1f", "\x7f", "\xe9")
    ]
    values_must_be_equal(
        ColumnBytes("v", VARCHAR, b"\xff\0", collation), [prefixed(text.encode(charset)) for text in texts]
    )


@pytest.mark.parametrize("collation", [row_events.LATIN1, row_events.ASCII, row_events.CP1251])
@given(raw=st.binary(max_size=100))
def test_text_of_one_byte_for_each_character(collation: int, raw: bytes) -> None:
    column = ColumnBytes("v", VARCHAR, b"\xff\0", collation)
    values_must_be_equal(column, [prefixed(raw)], sound=False)
    values_must_be_equal(column, [prefixed(bytes(byte & 0x7F for byte in raw))])
    as_key(column, [prefixed(raw), prefixed(raw.upper())])


@pytest.mark.parametrize("shift", range(9))
def test_long_text_in_which_characters_lie_on_every_border(shift: int) -> None:
    text = "x" * shift + ("é€😀\n" + "y" * 7) * 1500
    values_must_be_equal(
        ColumnBytes("v", BLOB, b"\3"), [prefixed(text.encode(), 3), prefixed(("\0" * 20000).encode(), 3)]
    )
    values_must_be_equal(ColumnBytes("v", BLOB, b"\3", row_events.LATIN1), [prefixed(b"\x80\0\xe9" * 5000, 3)])


@pytest.mark.parametrize(
    "raw",
    [
        b"\x80",
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xc3",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xe2\x82",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xf0\x9f\x98",
        b"\xff",
        b"\xe2\x28\xa1",
        b"\xf0\x9f\x28\x80",
    ],
)
def test_what_is_no_utf_8_is_refused_by_both(raw: bytes) -> None:
    for text in (raw, raw + b"a", b"abcdefgh" + raw, raw + b"abcdefgh"):
        values_must_be_equal(ColumnBytes("v", VARCHAR, b"\xff\0"), [prefixed(text)], sound=False)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=8))
def test_bytes_as_base64(values: list[bytes]) -> None:
    for column, prefix in (
        (ColumnBytes("v", VARCHAR, b"\xff\0", row_events.BINARY), 1),
        (ColumnBytes("v", BLOB, b"\3", row_events.BINARY), 3),
        (ColumnBytes("v", CHAR, b"\xfe\x09", row_events.BINARY), 1),
        (ColumnBytes("v", CHAR, b"\xfe\x0a", row_events.BINARY), 1),
        (ColumnBytes("v", CHAR, b"\xfe\x0b", row_events.BINARY), 1),
    ):
        stored = [prefixed(value, prefix) for value in values]
        values_must_be_equal(column, [*stored, None])
        as_key(column, stored)


MEMBERS = tuple(text.encode() for text in ("a", "", 'quo"te', "é\n", "x,y", *(f"m{number}" for number in range(59))))


@given(st.integers(1, 64), st.data())
def test_enumerations_and_sets(count: int, data: st.DataObject) -> None:
    members = MEMBERS[:count]
    width = data.draw(st.sampled_from((1, 2)))
    numbers = data.draw(st.lists(st.integers(0, count), min_size=1, max_size=5))
    enum = ColumnBytes("v", ENUM, bytes((ENUM, width)), members=members)
    values_must_be_equal(enum, [number.to_bytes(width, "little") for number in numbers])
    values_must_be_equal(enum, [data.draw(st.binary(min_size=width, max_size=width))], sound=False)
    bits = (count + 7) // 8
    bits = bits if bits <= 4 else 8
    chosen = ColumnBytes("v", SET, bytes((SET, bits)), members=members)
    values_must_be_equal(chosen, [data.draw(st.integers(0, 2**count - 1)).to_bytes(bits, "little"), None])
    values_must_be_equal(chosen, [data.draw(st.binary(min_size=bits, max_size=bits))], sound=False)


OTHERS: tuple[tuple[ColumnBytes, Callable[[st.DataObject], bytes]], ...] = (
    (ColumnBytes("v", VARCHAR, b"\xff\0", row_events.SJIS), lambda data: prefixed("カA\\".encode("shift_jis"))),
    (
        ColumnBytes("v", VARCHAR, b"\xff\0", row_events.UTF16),
        lambda data: prefixed(data.draw(UNICODE)[:20].encode("utf-16-be")),
    ),
    (ColumnBytes("v", 255, b"\4"), lambda data: prefixed(data.draw(st.binary(min_size=13, max_size=40)), 4)),
    (ColumnBytes("v", 242, b"\4", row_events.BINARY), lambda data: prefixed(struct.pack("<2f", 1.5, -0.1), 4)),
    (ColumnBytes("v", 141, b"\x50\0"), lambda data: prefixed(b"\0" + data.draw(UNICODE)[:15].encode())),
)


@pytest.mark.parametrize(
    ("column", "value"), OTHERS, ids=lambda value: str(value.code) if isinstance(value, ColumnBytes) else ""
)
@given(data=st.data())
def test_what_the_plain_readers_read_for_it(
    column: ColumnBytes, value: Callable[[st.DataObject], bytes], data: st.DataObject
) -> None:
    assert _kind(_table(column)) == compiled_plan.Kind.PYTHON
    values_must_be_equal(column, [value(data), None, value(data)], sound=False)
    values_must_be_equal(column, [data.draw(st.binary(max_size=30))], sound=False)


def test_a_null_in_a_column_that_is_not_null_is_damage_to_both() -> None:
    table = PLAIN.table_map(memoryview(table_map([KEY])))
    body = rows_event(30, 1, [image([None])])
    assert not isinstance(must_be_equal(30, body, table, projected(table)), list)
