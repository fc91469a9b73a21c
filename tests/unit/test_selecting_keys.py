"""Conditions on keys of tables that are read by SELECT: literals, and ranges over several columns."""

from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from cdc.binlog.selecting import keys
from cdc.model.errors import TableRefused
from cdc.model.schema import Column, TableSchema

A, B, C = Column("a", "int"), Column("b", "varchar", charset="utf8mb4"), Column("c", "date")


def key(*columns: Column, descending: tuple[str, ...] = ()) -> tuple[keys.KeyColumn, ...]:
    schema = TableSchema("d", "t", columns, tuple(column.name for column in columns))
    return keys.key_columns(schema, (), frozenset(descending))


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        (Column("x", "bigint", unsigned=True), 18446744073709551615, "18446744073709551615"),
        (Column("x", "bit", length=64), 5, "5"),
        (Column("x", "year"), 0, "0"),
        (Column("x", "decimal"), "-0.50", "-0.50"),
        (Column("x", "float"), 0.1, "0.10000000149011612e0"),
        (Column("x", "double"), 1e300, "1e+300"),
        (Column("x", "double"), -0.0, "-0.0e0"),
        (Column("x", "date"), "0000-00-00", "'0000-00-00'"),
        (Column("x", "time"), "-838:59:58.99", "'-838:59:58.99'"),
        (Column("x", "datetime"), "2024-02-31T23:59:59.999", "'2024-02-31 23:59:59.999'"),
        (Column("x", "timestamp"), "0000-00-00T00:00:00Z", "'0000-00-00 00:00:00'"),
        (Column("x", "varchar", charset="latin1"), "é'\\", "_utf8mb4 x'c3a9275c'"),
        (Column("x", "text", charset="utf8mb4"), "", "_utf8mb4 x''"),
        (Column("x", "binary", length=3), b64encode(b"\0'\xff").decode(), "x'0027ff'"),
        (Column("x", "enum", charset="utf8mb4", members=("b", "a")), "a", "2"),
        (Column("x", "enum", charset="utf8mb4", members=("b", "a")), "", "0"),
        (Column("x", "set", charset="utf8mb4", members=("b", "a")), "b,a", "3"),
        (Column("x", "set", charset="utf8mb4", members=("b", "a")), "", "0"),
        (Column("x", "uuid"), "123e4567-e89b-12d3-a456-426655440000", "'123e4567-e89b-12d3-a456-426655440000'"),
        (Column("x", "inet6"), "::ffff:1.2.3.4", "'::ffff:1.2.3.4'"),
    ],
)
def test_a_value_on_the_wire_becomes_the_literal_that_compares_as_the_column(
    column: Column, value: Any, text: str
) -> None:
    assert keys.literal(column, "d.t")(value) == text


@pytest.mark.parametrize("type_", ["decimal", "date", "datetime", "uuid", "binary"])
def test_what_is_no_value_of_the_type_never_stands_in_a_statement(type_: str) -> None:
    with pytest.raises(ValueError, match=r"not a|base64|characters"):
        keys.literal(Column("x", type_), "d.t")("1') OR ('1")


def test_a_range_of_one_column_is_a_comparison() -> None:
    assert keys.after(key(A), (1,)) == "`d`.`t`.`a` > 1"
    assert keys.until(key(A), (1,)) == "`d`.`t`.`a` <= 1"


def test_a_range_of_several_columns_is_alternatives_that_an_index_reads() -> None:
    texts = keys.after(key(A, B, C), (1, "x", "2024-01-02"))
    assert texts.replace("`d`.`t`.", "") == (
        "`a` >= 1 AND ((`a` > 1) OR (`a` = 1 AND `b` > _utf8mb4 x'78') "
        "OR (`a` = 1 AND `b` = _utf8mb4 x'78' AND `c` > '2024-01-02'))"
    )
    texts = keys.until(key(A, C), (1, "2024-01-02"))
    assert texts.replace("`d`.`t`.", "") == "`a` <= 1 AND ((`a` < 1) OR (`a` = 1 AND `c` <= '2024-01-02'))"


def test_a_descending_column_is_read_in_its_order() -> None:
    found = key(A, C, descending=("a",))
    assert keys.order(found) == "`d`.`t`.`a` DESC, `d`.`t`.`c`"
    assert keys.after(found, (1, "2024-01-02")).replace("`d`.`t`.", "") == (
        "`a` <= 1 AND ((`a` < 1) OR (`a` = 1 AND `c` > '2024-01-02'))"
    )


def test_listed_keys() -> None:
    assert keys.one_of(key(A), [(1,), (2,)]) == "`d`.`t`.`a` IN (1, 2)"
    assert keys.one_of(key(A, C), [(1, "2024-01-02"), (2, "2024-01-03")]).replace("`d`.`t`.", "") == (
        "(`a` = 1 AND `c` = '2024-01-02') OR (`a` = 2 AND `c` = '2024-01-03')"
    )


def test_names_are_quoted() -> None:
    (found,) = key(replace(A, name="a`b"))
    assert found.quoted == "`d`.`t`.`a``b`"


@pytest.mark.parametrize("type_", ["json", "geometry", "vector"])
def test_a_key_of_a_type_without_an_order_is_refused(type_: str) -> None:
    with pytest.raises(TableRefused, match=rf"column d\.t\.x is a {type_} in the table's key"):
        key(Column("x", type_))


def test_a_table_without_a_key_and_a_masked_key_are_refused() -> None:
    with pytest.raises(TableRefused, match=r"table d\.t has no primary key"):
        key()
    with pytest.raises(TableRefused, match=r"column d\.t\.a is masked"):
        keys.key_columns(TableSchema("d", "t", (A,), ("a",)), ("a",), frozenset())


@pytest.mark.parametrize("values", [(), (1, 2), ("x",), (None,), (1.5e400,)])
def test_a_key_that_is_none_of_the_table_is_refused(values: tuple[Any, ...]) -> None:
    with pytest.raises(TableRefused, match=r"is none of the key `d`\.`t`\.`a`"):
        keys.after(key(A), values)


def test_a_member_that_is_gone_is_refused() -> None:
    with pytest.raises(TableRefused, match="that is another one now"):
        keys.one_of(key(Column("e", "enum", charset="latin1", members=("a",))), [("b",)])
