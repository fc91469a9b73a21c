"""Target values → wire values: what the drivers answer, and what is the same all the same. Pure functions."""

import math
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import types as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from cdc.model.schema import Column
from cdc.target.sql.dialects import MYSQL, POSTGRESQL, SQLITE, SqlDialect
from cdc.target.sql.readings import is_ordered, reading, scaled
from cdc.target.sql.rows import row_values, spelled_out
from cdc.target.sql.typemap import Named, Type

BIG = Column("c", "bigint", unsigned=True)
NUMERIC = sa.Numeric(20, 0)
MOMENT = Column("c", "datetime", scale=3)
STAMP = Column("c", "timestamp", scale=2)


@pytest.mark.parametrize(
    ("dialect", "column", "target", "answer", "wire"),
    [
        (POSTGRESQL, BIG, NUMERIC, Decimal(2**64 - 1), 2**64 - 1),
        (POSTGRESQL, BIG, sa.Numeric(30, 2), Decimal("5.00"), 5),
        (POSTGRESQL, BIG, sa.Numeric(30, 2), Decimal("5.10"), "5.10"),
        (POSTGRESQL, BIG, NUMERIC, Decimal("NaN"), "NaN"),
        (SQLITE, BIG, sqlite.TEXT(), "18446744073709551615", 2**64 - 1),
        (SQLITE, BIG, sqlite.TEXT(), "007", "007"),
        (MYSQL, Column("c", "decimal", precision=65, scale=10), sa.DECIMAL(65, 10), Decimal("0E-10"), "0.0000000000"),
        (POSTGRESQL, Column("c", "decimal", precision=5, scale=1), sa.Numeric(9, 4), Decimal("-1.5000"), "-1.5"),
        (POSTGRESQL, Column("c", "decimal", precision=5, scale=1), sa.Numeric(9, 4), Decimal("-1.5010"), "-1.501"),
        (POSTGRESQL, Column("c", "decimal", precision=9, scale=2), sa.Numeric(), Decimal("7"), "7.00"),
        (POSTGRESQL, MOMENT, postgresql.TIMESTAMP(), "2024-02-29 01:02:03.45", "2024-02-29T01:02:03.450"),
        (POSTGRESQL, MOMENT, postgresql.TIMESTAMP(), "2024-02-29 01:02:03.4567", "2024-02-29T01:02:03.4567"),
        (POSTGRESQL, STAMP, postgresql.TIMESTAMP(timezone=True), "2024-02-29 01:02:03+00", "2024-02-29T01:02:03.00Z"),
        (POSTGRESQL, STAMP, postgresql.TIMESTAMP(), "2024-02-29 01:02:03.5", "2024-02-29T01:02:03.50Z"),
        (MYSQL, STAMP, mysql.TIMESTAMP(fsp=6), "2024-02-29 01:02:03.500000", "2024-02-29T01:02:03.50Z"),
        (POSTGRESQL, Column("c", "time", scale=2), postgresql.INTERVAL(), "-838:59:58.9", "-838:59:58.90"),
        (POSTGRESQL, Column("c", "char", length=4), sa.CHAR(4), "ab  ", "ab"),
        (POSTGRESQL, Column("c", "blob"), postgresql.BYTEA(), b"\xff", "/w=="),
        (POSTGRESQL, Column("c", "blob"), postgresql.BYTEA(), b"", ""),
        (POSTGRESQL, Column("c", "point"), postgresql.BYTEA(), b"\x01\x01\0\0\0" + bytes(16), "whole"),
        (POSTGRESQL, Column("c", "point"), postgresql.BYTEA(), b"", {"srid": 0, "wkb": ""}),
        (MYSQL, Column("c", "point"), Named("point"), b"\xe6\x10\0\0\x01", {"srid": 4326, "wkb": "AQ=="}),
        (MYSQL, Column("c", "vector", length=2), Named("vector(2)"), "0000803F000000BF", [1.0, -0.5]),
        (SQLITE, Column("c", "vector", length=2), sqlite.TEXT(), "[1.0,0.1]", [1.0, 0.1]),
        (POSTGRESQL, Column("c", "inet4"), postgresql.INET(), "1.2.3.4/32", "1.2.3.4"),
        (POSTGRESQL, Column("c", "inet6"), postgresql.INET(), "::1/128", "::1"),
        (POSTGRESQL, Column("c", "inet4"), postgresql.INET(), "1.2.3.0/24", "1.2.3.0/24"),
    ],
)
def test_what_a_driver_answers_becomes_the_wire_value(
    dialect: SqlDialect, column: Column, target: Type, answer: Any, wire: Any
) -> None:
    given = reading(dialect, column, target).given
    assert given is not None
    if wire == "whole":
        wire = {"srid": 0, "wkb": "AQEAAAAAAAAAAAAAAAAAAAAAAAAA"}
    assert given(answer) == wire


@pytest.mark.parametrize(
    ("dialect", "column", "target"),
    [
        (SQLITE, Column("c", "blob"), sqlite.BLOB()),
        (SQLITE, Column("c", "point"), sqlite.BLOB()),
        (SQLITE, Column("c", "vector"), sqlite.TEXT()),
        (SQLITE, BIG, sqlite.TEXT()),
        (POSTGRESQL, BIG, NUMERIC),
        (POSTGRESQL, Column("c", "decimal", precision=5, scale=1), sa.Numeric(5, 1)),
        (POSTGRESQL, MOMENT, postgresql.TIMESTAMP()),
        (POSTGRESQL, Column("c", "double"), postgresql.DOUBLE_PRECISION()),
        (POSTGRESQL, Column("c", "vector"), postgresql.ARRAY(sa.REAL())),
        (MYSQL, Column("c", "vector"), Named("vector(2)")),
        (MYSQL, Column("c", "point"), Named("point")),
        (POSTGRESQL, Column("c", "inet4"), postgresql.INET()),
    ],
    ids=lambda one: one.type if isinstance(one, Column) else getattr(one, "name", ""),
)
@pytest.mark.parametrize("answer", [b"\x00\xff", b"", "no such thing", "", 5, 1.5, Decimal("1.5"), ["x"], True])
def test_what_nobody_of_ours_wrote_is_shown_in_some_form_and_is_no_error(
    dialect: SqlDialect, column: Column, target: Type, answer: Any
) -> None:
    one = reading(dialect, column, target)
    assert one.given is not None
    shown = one.given(answer)
    assert isinstance(shown, str | int | float | bool | dict | list)
    if one.alike is not None:
        assert isinstance(one.alike("wire", shown), bool)
    if one.key is not None:
        one.key(shown)


@pytest.mark.parametrize(
    ("dialect", "column", "target", "wire", "found", "same"),
    [
        (POSTGRESQL, Column("c", "json"), postgresql.JSONB(), '{"b": 1.50, "a": [1]}', '{"a": [1], "b": 1.5}', True),
        (POSTGRESQL, Column("c", "json"), postgresql.JSONB(), "1e2", "100", True),
        (POSTGRESQL, Column("c", "json"), postgresql.JSONB(), "1", "true", False),
        (POSTGRESQL, Column("c", "json"), postgresql.JSONB(), '"1"', "1", False),
        (POSTGRESQL, Column("c", "json"), postgresql.JSONB(), "1.00000000000000001", "1", False),
        (POSTGRESQL, Column("c", "json"), postgresql.JSONB(), "1", "not json", False),
        (MYSQL, Column("c", "json"), mysql.JSON(), '{"a": 1.10}', '{"a": 1.1}', True),
        (MYSQL, Column("c", "json"), mysql.JSON(), "1.1000000000000000000001", "1.1", True),
        (MYSQL, Column("c", "json"), mysql.JSON(), "18446744073709551615", "18446744073709551614", False),
        (MYSQL, Column("c", "json"), mysql.JSON(), "1", "true", False),
        (MYSQL, Column("c", "float"), mysql.FLOAT(), 0.1, 0.10000000149011612, True),
        (MYSQL, Column("c", "float"), mysql.FLOAT(), 0.1, 0.2, False),
        (MYSQL, Column("c", "float"), mysql.FLOAT(), 0.1, "text", False),
        (POSTGRESQL, Column("c", "float"), sa.REAL(), 1e300, 1.0, False),
        (MYSQL, Column("c", "set", members=("a", "b")), mysql.SET("b", "a"), "a,b", "b,a", True),
        (MYSQL, Column("c", "set", members=("a", "b")), mysql.SET("b", "a"), "a,b", "b", False),
        (POSTGRESQL, Column("c", "inet6"), postgresql.INET(), "::ffff:1.2.3.4", "::ffff:102:304", True),
        (POSTGRESQL, Column("c", "inet6"), postgresql.INET(), "::1", "::2", False),
        (POSTGRESQL, Column("c", "vector"), postgresql.ARRAY(sa.REAL()), [0.1], [0.10000000149011612], True),
        (POSTGRESQL, Column("c", "vector"), postgresql.ARRAY(sa.REAL()), [0.1], [0.1, 0.2], False),
    ],
)
def test_two_that_are_unequal_may_mean_the_same(
    dialect: SqlDialect, column: Column, target: Type, wire: Any, found: Any, same: bool
) -> None:
    alike = reading(dialect, column, target).alike
    assert alike is not None
    assert alike(wire, found) is same


@pytest.mark.parametrize(
    ("dialect", "target", "signed"),
    [
        (POSTGRESQL, postgresql.DOUBLE_PRECISION(), True),
        (MYSQL, mysql.DOUBLE(), True),
        (MYSQL, mysql.DOUBLE(), False),
        (SQLITE, sqlite.REAL(), False),
    ],
)
def test_the_sign_of_a_zero_counts_where_the_target_keeps_it(dialect: SqlDialect, target: Type, signed: bool) -> None:
    one = reading(dialect, Column("c", "double"), target, signed_zero=signed)
    negative, positive = (one.wanted(zero) if one.wanted else zero for zero in (-0.0, 0.0))
    found = one.given(-0.0) if one.given else -0.0
    assert (negative == found) is True
    assert (positive == found) is not signed
    for of_key in (found, -0.0, 0.0):
        assert one.key is not None
        key = one.key(of_key)
        assert key == 0.0
        assert math.copysign(1, float(str(key))) == 1


@pytest.mark.parametrize(
    ("text", "digits", "expected"),
    [
        ("1.50", 1, "1.5"),
        ("1.5", 3, "1.500"),
        ("1", 0, "1"),
        ("1.000", 0, "1"),
        ("1.01", 1, "1.01"),
        ("-2", 2, "-2.00"),
    ],
)
def test_digits_behind_the_point_are_added_and_taken_away_where_they_are_zeros(
    text: str, digits: int, expected: str
) -> None:
    assert scaled(text, digits) == expected


@pytest.mark.parametrize(
    ("column", "target", "ordered"),
    [
        (Column("c", "int"), sa.Integer(), True),
        (BIG, NUMERIC, True),
        (BIG, mysql.BIGINT(unsigned=True), True),
        (Column("c", "year"), mysql.YEAR(), True),
        (BIG, sqlite.TEXT(), False),
        (Column("c", "varchar", length=5), sa.VARCHAR(5), False),
        (Column("c", "decimal", precision=5, scale=1), sa.Numeric(5, 1), False),
    ],
)
def test_which_keys_have_one_order_at_both_sides(column: Column, target: Type, ordered: bool) -> None:
    assert is_ordered(column, target) is ordered


def test_a_range_of_a_key_of_several_columns() -> None:
    assert row_values(["a", "b"], ">", ["1", "2"]) == "(t.a, t.b) > (1, 2)"
    assert spelled_out(["a"], "<=", ["1"]) == "((t.a <= 1))"
    assert spelled_out(["a", "b"], ">", ["1", "2"]) == "((t.a > 1) OR (t.a = 1 AND t.b > 2))"
    assert spelled_out(["a", "b"], "<=", ["1", "2"]) == "((t.a < 1) OR (t.a = 1 AND t.b <= 2))"
