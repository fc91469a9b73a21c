"""MySQL's binary JSON: the server's layout of numbers, and documents whose offsets lead astray."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.binlog.decoder.json_binary import double_text, json_text, quoted

ASTRAY = (ValueError, IndexError, struct.error)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (12345.678, "12345.678"),
        (1e14, "100000000000000.0"),
        (1e15, "1e15"),
        (1e16, "1e16"),
        (1000000000000000.5, "1000000000000000.5"),
        (-4342494688329693.5, "-4342494688329693.5"),
        (9007199254740993.0, "9.007199254740992e15"),
        (123456789012345678.0, "1.2345678901234568e17"),
        (1e-14, "0.00000000000001"),
        (1e-15, "0.000000000000001"),
        (1e-16, "1e-16"),
        (-1.5e-20, "-1.5e-20"),
        (1.1e100, "1.1e100"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e308"),
    ],
)
def test_doubles_as_mysql_9_7_prints_them(number: float, text: str) -> None:
    assert double_text(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_double_reads_back_the_same(number: float) -> None:
    assert struct.pack("<d", float(double_text(number))) == struct.pack("<d", number)


def test_escapes_are_as_few_as_the_servers() -> None:
    assert quoted("\0\x1f\b\t\n\f\r\"\\/'\x7f\u2028é😀") == r'"\u0000\u001f\b\t\n\f\r\"\\' + "/'\x7f\u2028é😀\""


def test_an_empty_document_is_null() -> None:
    assert json_text(b"") == "null"


@pytest.mark.parametrize(
    "document",
    [
        b"\x02\x01\x00\x07\x00\x02\x00\x00",  # an array that contains itself
        b"\x02\x01\x00\xff\xff\x05\x01\x00",  # larger than its place
        b"\x02\xff\xff\x08\x00\x05\x01\x00",  # more values than bytes
        b"\x0c\x05ab",  # a string beyond the end
        b"\x0c\xff\xff\xff\xff\xff\x01",  # a length that does not end
        b"\x04\x03",  # no such literal
        b"\x63\x00",  # no such type
        b"\x0b" + struct.pack("<d", float("inf")),
        b"\x0f\xf6\x02\x05\x02",  # a decimal without digits
        b"\x0f\x0a\x01\x00",  # a date of one byte
        b"\x05\x01",  # half a number
    ],
)
def test_what_no_server_writes_is_an_error(document: bytes) -> None:
    with pytest.raises(ASTRAY):
        json_text(document)


def test_nesting_that_multiplies_itself_is_an_error_not_a_hang() -> None:
    # Each level holds the next one twenty times: 20 to the power of 60, if nobody counted.
    levels = 60
    header = 4 + 20 * 3
    document = b"\x02"
    for level in range(levels):
        size = (levels - level) * header
        document += struct.pack("<HH", 20, size) + struct.pack("<BH", 2, header) * 20
    with pytest.raises(ASTRAY):
        json_text(document + struct.pack("<HH", 0, 4))


@given(st.binary(max_size=300))
def test_random_bytes_are_text_or_an_error(document: bytes) -> None:
    try:
        assert json_text(document)
    except ASTRAY:
        return
