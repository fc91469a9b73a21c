"""Literals and statement sizes of the MySQL target: pure functions."""

from base64 import b64encode

import pytest

from cdc.target.mysql_literals import encoder, literal, pieces, row_texts, size_bytes


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (True, "1"),
        (False, "0"),
        (18446744073709551615, "18446744073709551615"),
        (0.1, "0.1e0"),
        (1e22, "1e+22"),
        (-0.0, "-0.0e0"),
        ("it's \\ 100%\n\0", r"'it\'s \\ 100%\n\0'"),
        ("😀", "'😀'"),
        (b"\x00\xff", "x'00ff'"),
        (b"", "x''"),
    ],
)
def test_a_value_becomes_the_literal_that_reads_back_as_it(value: object, text: str) -> None:
    assert literal(value) == text


def test_a_decimal_stands_bare_so_that_it_is_compared_exactly() -> None:
    encode = encoder("decimal", None)
    assert [encode(value) for value in ("-1.50", "0", None)] == ["-1.50", "0", "NULL"]


@pytest.mark.parametrize("forged", ["1); DROP TABLE t; --", "1e5", "", "0x10", "１"])
def test_what_is_no_decimal_never_stands_bare(forged: str) -> None:
    text = encoder("decimal", None)(forged)
    assert text == f"'{forged}'"


def test_binary_comes_from_base64() -> None:
    encode = encoder("varbinary", None)
    assert encode(b64encode(bytes(range(4))).decode()) == "x'00010203'"
    assert encode(None) == "NULL"


def test_a_conversion_is_not_asked_about_null() -> None:
    encode = encoder("timestamp", lambda value: value.removesuffix("Z"))
    assert (encode("2024-01-01T00:00:00Z"), encode(None)) == ("'2024-01-01T00:00:00'", "NULL")


def test_rows_are_written_in_the_order_of_the_names() -> None:
    rows = [{"b": "x", "a": 1}, {"a": 2, "b": None}]
    assert row_texts((literal, literal), ("a", "b"), rows) == ["(1,'x')", "(2,NULL)"]


def test_pieces_hold_both_limits_and_lose_nothing() -> None:
    texts = ["a" * 10, "b" * 10, "ü" * 10, "c" * 100, "d"]
    parts = [texts[part] for part in pieces(texts, max_bytes=35, max_count=2)]
    assert parts == [texts[0:2], texts[2:3], texts[3:4], texts[4:5]]
    assert [texts[part] for part in pieces(texts, max_bytes=10**6, max_count=4)] == [texts[:4], texts[4:]]
    assert list(pieces([], max_bytes=1, max_count=1)) == []


def test_sizes_are_counted_in_bytes() -> None:
    assert (size_bytes("ab"), size_bytes("ü😀")) == (2, 6)
