"""Literals of the source's SQL: exact, and the same whatever the session's sql_mode and character set."""

import pytest

from cdc.binlog.reverse.literals import NoLiteralError, doubt, is_refused_member, literal, quoted
from cdc.model.change import Value
from cdc.model.schema import Column


@pytest.mark.parametrize(
    ("type_", "value", "text"),
    [
        ("int", None, "NULL"),
        ("bigint", 2**64 - 1, "18446744073709551615"),
        ("bit", 5, "5"),
        ("year", 0, "0"),
        ("decimal", "-0.50", "-0.50"),
        ("double", 0.1, "0.1e0"),
        ("double", -0.0, "-0.0e0"),
        ("double", 1e300, "1e+300"),
        ("float", 0.1, "0.10000000149011612e0"),
        ("float", 3.4028235e38, "3.4028234663852886e+38"),
        ("date", "0000-00-00", "'0000-00-00'"),
        ("time", "-838:59:58.99", "'-838:59:58.99'"),
        ("datetime", "2024-02-29T01:02:03.450", "'2024-02-29 01:02:03.450'"),
        ("timestamp", "2024-02-29T01:02:03Z", "'2024-02-29 01:02:03'"),
        ("varchar", "it's", "'it''s'"),
        ("varchar", "", "''"),
        ("varchar", "é ", "_utf8mb4'é '"),
        ("varchar", "a\\b", "_utf8mb4 0x615c62"),
        ("varchar", "a\0", "_utf8mb4 0x6100"),
        ("text", "line\nbreak", "_utf8mb4 0x6c696e650a627265616b"),
        ("text", "\x1b[31m", "_utf8mb4 0x1b5b33316d"),
        ("text", "\u202e", "_utf8mb4 0xe280ae"),
        ("enum", "x", "'x'"),
        ("set", "p,r", "'p,r'"),
        ("uuid", "123e4567-e89b-12d3-a456-426655440000", "'123e4567-e89b-12d3-a456-426655440000'"),
        ("inet6", "::1", "'::1'"),
        ("binary", "AP8=", "0x00ff"),
        ("blob", "", "''"),
        ("json", '{"a": 1}', "CAST('{\"a\": 1}' AS JSON)"),
        ("json", '"\\n"', "CAST(_utf8mb4 0x225c6e22 AS JSON)"),
        ("point", {"srid": 4326, "wkb": "AQE="}, "0xe61000000101"),
        ("vector", [1.0, -0.5], "0x0000803f000000bf"),
    ],
)
def test_a_value_becomes_the_literal_that_reads_back_as_it(type_: str, value: Value, text: str) -> None:
    assert literal(Column("c", type_), value) == text


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("decimal", "1); DROP TABLE t; --"),
        ("decimal", "1e5"),
        ("decimal", "１"),
        ("int", "5"),
        ("double", float("nan")),
        ("double", float("inf")),
        ("varchar", 5),
        ("point", {"srid": 0, "wkb": ""}),
        ("point", "AQE="),
        ("blob", 5),
        ("vector", ["x"]),
        ("hologram", "x"),
    ],
)
def test_what_is_no_value_of_the_type_is_refused_without_saying_it(type_: str, value: Value) -> None:
    with pytest.raises(NoLiteralError) as refused:
        literal(Column("c", type_), value)
    assert str(value) not in str(refused.value) or value == "x"


def test_number_0_of_an_enum_is_known_by_its_missing_member() -> None:
    assert is_refused_member(Column("c", "enum", members=("a",)), "")
    assert not is_refused_member(Column("c", "enum", members=("", "a")), "")
    assert not is_refused_member(Column("c", "enum", members=("a",)), "a")
    assert not is_refused_member(Column("c", "varchar"), "")


@pytest.mark.parametrize(
    ("text", "doubtful"),
    [
        ('{"k": 1.10}', True),
        ("1.500", True),
        ("0.12345678901234567890", True),
        ('{"k": 1.0, "l": [1.5, 1e300, -0.0, 1e-7, 18446744073709551615, 1000000000000000.5]}', False),
        ('{"k": "1.10"}', False),
        ('{"1.10": "\\"1.10"}', False),
    ],
)
def test_a_decimal_in_json_is_doubted(text: str, doubtful: bool) -> None:
    assert bool(doubt(Column("c", "json"), text)) is doubtful


def test_names_keep_what_is_in_them() -> None:
    assert quoted("a`b; DROP TABLE t--\n") == "`a``b; DROP TABLE t--\n`"
