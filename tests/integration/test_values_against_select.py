"""Every supported type, its edges and random values: what the decoder reads is what the server's SELECT says."""

import json
import struct
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc.binlog.decoder import load
from tests.fixtures.servers import Database
from tests.support.value_oracle import Oracle, base64

_rounds = settings(max_examples=2, suppress_health_check=list(HealthCheck))


@pytest.fixture
def oracle(any_source_db: Database) -> Iterator[Oracle]:
    oracle = Oracle(any_source_db, load("python"))
    yield oracle
    oracle.close()


@pytest.fixture
def mysql_oracle(mysql_db: Database) -> Iterator[Oracle]:
    oracle = Oracle(mysql_db, load("python"))
    yield oracle
    oracle.close()


def many(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, min_size=30, max_size=60)


# ---- numbers

INTEGERS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}


@pytest.mark.parametrize("sign", ["", "UNSIGNED", "ZEROFILL"])
@pytest.mark.parametrize("name", INTEGERS)
def test_integers_keep_their_sign_and_range(oracle: Oracle, name: str, sign: str) -> None:
    bits = INTEGERS[name]
    low, high = (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    @_rounds
    @given(many(st.integers(low, high)))
    def compare(values: list[int]) -> None:
        oracle.compare(
            f"{name} {sign}", [low, high, 0, 1, high // 2, high // 2 + 1, *values], select="v + 0", render=int
        )

    compare()


@pytest.mark.parametrize("zerofill", ["", "ZEROFILL"])
@pytest.mark.parametrize(
    ("precision", "scale"),
    [(1, 0), (1, 1), (5, 2), (9, 0), (9, 9), (10, 0), (10, 1), (18, 9), (19, 10), (20, 5), (30, 30), (65, 0), (65, 30)],
)
def test_decimals_are_the_exact_text(oracle: Oracle, precision: int, scale: int, zerofill: str) -> None:
    low = 0 if zerofill else -(10**precision) + 1

    def text(unscaled: int) -> str:
        digits = f"{abs(unscaled):0{scale + 1}d}"
        point = len(digits) - scale
        return ("-" if unscaled < 0 else "") + digits[:point] + (f".{digits[point:]}" if scale else "")

    edges = [0, 1, 10**precision - 1, low, low and -1, 10**scale % 10**precision, low and -5 * 10 ** max(scale - 1, 0)]

    @_rounds
    @given(many(st.integers(low, 10**precision - 1)))
    def compare(values: list[int]) -> None:
        oracle.compare(
            f"DECIMAL({precision},{scale}) {zerofill}",
            [text(value) for value in edges + values if abs(value) < 10**precision],
            select=f"CAST(CAST(v AS DECIMAL({precision},{scale})) AS CHAR)",
        )

    compare()


@given(many(st.floats(width=32, allow_nan=False, allow_infinity=False)))
@_rounds
def test_a_float_is_the_shortest_number_of_its_32_bits(oracle: Oracle, values: list[float]) -> None:
    edges = [0.0, -0.0, 1.0, 0.1, -0.5, 16777216.0, 3.4028234e38, -3.4028234e38, 1.1754944e-38, 1e-45, 123456.789, 1e10]

    def stored(number: Any) -> float:
        """The fewest digits, from 6 up, that still name these 32 bits."""
        raw = struct.pack("<f", float(number))
        tries = (float(f"{float(number):.{digits}g}") for digits in range(6, 10))
        return next(shorter for shorter in tries if struct.pack("<f", shorter) == raw)

    oracle.compare("FLOAT", edges + values, select="CAST(v AS DOUBLE)", render=stored)


@given(many(st.floats(allow_nan=False, allow_infinity=False)))
@_rounds
def test_a_double_comes_back_to_the_bit(oracle: Oracle, values: list[float]) -> None:
    edges = [
        0.0,
        -0.0,
        1.0,
        0.1,
        1e300,
        -1e-300,
        1.7976931348623157e308,
        2.2250738585072014e-308,
        5e-324,
        2.0**53,
        1 / 3,
    ]
    oracle.compare("DOUBLE", edges + values, render=float)


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 16, 17, 33, 63, 64])
def test_bits_are_an_unsigned_integer(oracle: Oracle, bits: int) -> None:
    values = [0, 1, 2**bits - 1, 2 ** (bits - 1), 0x5555555555555555 % 2**bits]
    assert oracle.compare(f"BIT({bits})", values, select="v + 0", render=int)[:-1] == values


def test_years(oracle: Oracle) -> None:
    values = [0, 1901, 1970, 2000, 2024, 2155]
    assert oracle.compare("YEAR", values, insert="%s", select="v + 0", render=int)[:-1] == values


# ---- dates and times

DATES = ["0000-00-00", "2024-00-00", "2024-05-00", "0000-01-01", "2023-02-31", "2024-02-29", "1000-01-01", "9999-12-31"]


@given(many(st.dates(date(1, 1, 1), date(9999, 12, 31))))
@_rounds
def test_dates_zero_and_partial_ones_too(oracle: Oracle, values: list[date]) -> None:
    oracle.compare("DATE", [*DATES, *(value.isoformat() for value in values)], select="CAST(v AS CHAR)")


@pytest.mark.parametrize("scale", range(7))
def test_datetimes_have_exactly_the_digits_of_the_column(oracle: Oracle, scale: int) -> None:
    edges = [*DATES, *(f"{day} 23:59:59.999999" for day in DATES[:7]), "2024-02-29 00:00:00.000001"]

    @_rounds
    @given(many(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))))
    def compare(values: list[datetime]) -> None:
        oracle.compare(
            f"DATETIME({scale})",
            edges + [value.isoformat(" ") for value in values],
            select="CAST(v AS CHAR)",
            render=lambda text: text.replace(" ", "T"),
        )

    compare()


@pytest.mark.parametrize("scale", range(7))
def test_timestamps_are_utc(oracle: Oracle, scale: int) -> None:
    edges = [
        "0000-00-00",
        "1970-01-01 00:00:00.9",
        "1970-01-01 00:00:01",
        "1970-01-01 00:00:01.000001",
        "2038-01-19 03:14:07",
    ]

    @_rounds
    @given(many(st.datetimes(datetime(1970, 1, 1, 0, 0, 1), datetime(2038, 1, 19))))
    def compare(values: list[datetime]) -> None:
        oracle.compare(
            f"TIMESTAMP({scale}) NULL",
            edges + [value.isoformat(" ") for value in values],
            select="CAST(v AS CHAR)",
            render=lambda text: text.replace(" ", "T") + "Z",
        )

    compare()


@pytest.mark.parametrize("scale", range(7))
def test_times_negative_and_fractional(oracle: Oracle, scale: int) -> None:
    edges = ["00:00:00", "-00:00:00.1", "-00:00:00.000001", "-00:00:01", "838:59:59", "-838:59:59", "-838:59:58.999999"]
    edges += ["-00:00:00.99", "-01:00:00.5", "100:00:00.123456", "-00:59:59.990000"]

    def text(span: timedelta) -> str:
        seconds, micros = divmod(abs(span) // timedelta(microseconds=1), 1_000_000)
        sign = "-" if span < timedelta() else ""
        return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{micros:06d}"

    @_rounds
    @given(many(st.timedeltas(timedelta(hours=-838), timedelta(hours=838))))
    def compare(values: list[timedelta]) -> None:
        oracle.compare(f"TIME({scale})", edges + [text(value) for value in values], select="CAST(v AS CHAR)")

    compare()


# ---- text, bytes, choices

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
EDGE_TEXTS = ["", " ", "a ", "a\0", "\0", "é", "😀", "\\", "'\"`", "\n\r\t", "a" * 63, "ü" * 60, "\ufeff", "\u2028"]


@pytest.mark.parametrize(
    "definition",
    [
        "CHAR(63)",
        "CHAR(255)",
        "VARCHAR(63)",
        "VARCHAR(64)",
        "VARCHAR(16000)",
        "TINYTEXT",
        "TEXT",
        "MEDIUMTEXT",
        "LONGTEXT",
    ],
)
def test_text(oracle: Oracle, definition: str) -> None:
    @_rounds
    @given(many(_text))
    def compare(values: list[str]) -> None:
        oracle.compare(f"{definition} CHARACTER SET utf8mb4", EDGE_TEXTS + values)

    compare()


@pytest.mark.parametrize("definition", ["VARCHAR(16000)", "TEXT", "MEDIUMTEXT", "LONGTEXT"])
def test_long_text(oracle: Oracle, definition: str) -> None:
    oracle.compare(f"{definition} CHARACTER SET utf8mb4", ["x" * size for size in (255, 256, 257, 15_999, 16_000)])


@pytest.mark.parametrize(
    "definition",
    [
        "BINARY(1)",
        "BINARY(16)",
        "BINARY(255)",
        "VARBINARY(255)",
        "VARBINARY(256)",
        "VARBINARY(60000)",
        "TINYBLOB",
        "BLOB",
        "MEDIUMBLOB",
        "LONGBLOB",
        "CHAR(40) CHARACTER SET binary",
        "TEXT CHARACTER SET binary",
    ],
)
def test_bytes_are_base64_with_the_zeros_at_their_end(oracle: Oracle, definition: str) -> None:
    edges = [b"", b"\0", b"a\0\0", b"\0a", b"\xff", b" ", b"a ", bytes(16), bytes(range(40))]

    @_rounds
    @given(many(st.binary(max_size=40)))
    def compare(values: list[bytes]) -> None:
        rows = [value.hex() for value in edges + values]
        oracle.compare(definition, rows, insert="UNHEX(%s)", select="HEX(v)", render=lambda h: base64(bytes.fromhex(h)))

    compare()


@pytest.mark.parametrize("count", [1, 2, 255, 256, 1000])
@pytest.mark.parametrize("charset", ["utf8mb4", "latin1", "utf16", "ucs2"])
def test_enumerations_are_their_members(oracle: Oracle, count: int, charset: str) -> None:
    members = [f"é{number}, 'x" for number in range(count)]
    listed = ", ".join("'" + member.replace("'", "''") + "'" for member in members)
    edges = sorted({0, count - 1, count // 2, min(254, count - 1)})
    values = [members[index] for index in edges] + ["not a member"]  # which INSERT IGNORE makes number 0
    decoded = oracle.compare(f"ENUM({listed}) CHARACTER SET {charset}", values)
    assert decoded == [*values[:-1], "", None]


@pytest.mark.parametrize("count", [1, 7, 8, 9, 17, 33, 63, 64])
@pytest.mark.parametrize("charset", ["utf8mb4", "latin1"])
def test_sets_are_in_the_order_of_their_definition(oracle: Oracle, count: int, charset: str) -> None:
    members = [f"ü{number}" for number in range(count)]
    listed = ", ".join(f"'{member}'" for member in members)
    values = ["", members[0], members[-1], ",".join(members), ",".join(reversed(members)), ",".join(members[::2])]
    oracle.compare(f"SET({listed}) CHARACTER SET {charset}", values)


# ---- JSON

_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from([0, 1, -1, 2**15 - 1, 2**15, -(2**15), 2**16, 2**31, -(2**31), 2**32, 2**63, 2**64 - 1])
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_text, inner, max_size=5),
    max_leaves=20,
)


@given(many(_json))
@_rounds
def test_json_is_the_text_that_the_server_prints(oracle: Oracle, values: list[Any]) -> None:
    oracle.compare("JSON", [json.dumps(value, ensure_ascii=False) for value in values])


def test_json_in_the_large_layout(oracle: Oracle) -> None:
    big = [
        ["x" * 70_000],
        list(range(30_000)),
        {f"k{number}": number * 1.5 for number in range(9_000)},
        {"a": {"b": ["y" * 65_536, 70_000, -70_000, True, None]}},
        "z" * 66_000,
        {"k" * 65_535: 1},
    ]
    oracle.compare("JSON", [json.dumps(value) for value in big])


def test_json_at_its_deepest(oracle: Oracle) -> None:
    oracle.compare("JSON", ["[" * depth + "]" * depth for depth in (1, 50, 100)] if _is_mysql(oracle) else ["[[]]"])


def _is_mysql(oracle: Oracle) -> bool:
    return oracle.flavor == "mysql"


SQL_IN_JSON = [
    "1.10",
    "-0.05",
    "CAST(1 AS DECIMAL(65,30))",
    "CAST('2024-01-02' AS DATE)",
    "CAST('0001-01-01' AS DATE)",
    "TIMESTAMP'2024-01-02 03:04:05.000678'",
    "CAST('2024-01-02 03:04:05' AS DATETIME)",
    "CAST('10:11:12.5' AS TIME(6))",
    "CAST('-10:11:12.000005' AS TIME(6))",
    "CAST('838:59:59' AS TIME)",
    "x'00ff'",
    "REPEAT(x'ab', 57)",
    "REPEAT(x'ab', 58)",
    "REPEAT(x'ab', 300)",
    "b'101'",
    "1e0",
    "1e15",
    "1e14",
    "-1.5e-7",
    "1e-15",
    "1e-16",
    "123456789012345.6e0",
    "18446744073709551615",
    "TRUE",
    "NULL",
    "CAST(2024 AS YEAR)",
]


def test_sql_values_inside_json(mysql_oracle: Oracle) -> None:
    for expression in SQL_IN_JSON:
        insert = f"IF(%s IS NULL, NULL, JSON_OBJECT('k', {expression}, 'a', JSON_ARRAY({expression})))"
        mysql_oracle.compare("JSON", [1], insert=insert)


@given(many(st.floats(allow_nan=False, allow_infinity=False)))
@settings(_rounds, max_examples=20)
def test_doubles_inside_json_are_laid_out_as_the_server_does(mysql_oracle: Oracle, values: list[float]) -> None:
    mysql_oracle.compare("JSON", values, insert="JSON_ARRAY(%s + 0e0)")
