"""Types and values at SQL targets, as docs/types.md says: pure functions."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import types as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from cdc.model.errors import TargetRefused
from cdc.model.schema import Column
from cdc.target.sql import holds
from cdc.target.sql.dialects import MYSQL, POSTGRESQL, SQLITE, SqlDialect
from cdc.target.sql.losses import losses
from cdc.target.sql.typemap import Named, Type, column_type, integer_range, mysql_collation
from cdc.target.sql.values import convert, converter

UTF8: dict[str, Any] = {"charset": "utf8mb4", "collation": "utf8mb4_0900_ai_ci"}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (Column("c", "tinyint"), "SMALLINT"),
        (Column("c", "tinyint", unsigned=True), "SMALLINT"),
        (Column("c", "smallint", unsigned=True), "INTEGER"),
        (Column("c", "mediumint", unsigned=True), "INTEGER"),
        (Column("c", "int"), "INTEGER"),
        (Column("c", "int", unsigned=True), "BIGINT"),
        (Column("c", "bigint"), "BIGINT"),
        (Column("c", "bigint", unsigned=True), "NUMERIC(20, 0)"),
        (Column("c", "bit", length=63), "BIGINT"),
        (Column("c", "bit", length=64), "NUMERIC(20, 0)"),
        (Column("c", "decimal", precision=12, scale=3), "NUMERIC(12, 3)"),
        (Column("c", "time", scale=6), "INTERVAL (6)"),
        (Column("c", "timestamp", scale=0), "TIMESTAMP(0) WITH TIME ZONE"),
        (Column("c", "char", length=5, **UTF8), "VARCHAR(5)"),
        (Column("c", "json"), "JSON"),
    ],
)
def test_a_postgresql_column_is_as_wide_as_the_sources(column: Column, expected: str) -> None:
    assert column_type(POSTGRESQL, column).compile(dialect=POSTGRESQL.plain) == expected


@pytest.mark.parametrize("dialect", [POSTGRESQL, MYSQL, SQLITE], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("kind", ["something new"])
def test_a_type_without_a_counterpart_is_refused_by_name(dialect: SqlDialect, kind: str) -> None:
    with pytest.raises(TargetRefused, match=kind):
        column_type(dialect, Column("where", kind))


@pytest.mark.parametrize(
    ("column", "server", "expected"),
    [
        (Column("c", "point"), {}, ("BYTEA", "POINT", "BLOB")),
        (Column("c", "vector", length=3), {}, ("REAL[]", "VARBINARY(12)", "TEXT")),
        (Column("c", "vector", length=5000), {}, ("REAL[]", "LONGBLOB", "TEXT")),
        (Column("c", "vector", length=3), {"vector"}, ("REAL[]", "VECTOR(3)", "TEXT")),
        (Column("c", "vector"), {"vector"}, ("REAL[]", "VECTOR(16383)", "TEXT")),
        (Column("c", "uuid"), {}, ("UUID", "CHAR(36) CHARACTER SET ascii COLLATE ascii_bin", "TEXT")),
        (Column("c", "uuid"), {"uuid"}, ("UUID", "UUID", "TEXT")),
        (Column("c", "inet4"), {"inet6"}, ("INET", "VARCHAR(45) CHARACTER SET ascii COLLATE ascii_bin", "TEXT")),
        (Column("c", "inet6"), {"inet6"}, ("INET", "INET6", "TEXT")),
    ],
)
def test_special_types_are_the_servers_own_where_it_has_them(
    column: Column, server: set[str], expected: tuple[str, ...]
) -> None:
    for dialect, text in zip((POSTGRESQL, MYSQL, SQLITE), expected, strict=True):
        made = column_type(dialect, column, frozenset(), frozenset(server))
        assert made.compile(dialect=dialect.plain) == text
        assert holds.problem(dialect, column, made) is None


@pytest.mark.parametrize(
    ("column", "target"),
    [
        (Column("c", "point"), Named("polygon")),
        (Column("c", "geometry"), Named("point")),
        (Column("c", "vector", length=4), Named("vector(3)")),
        (Column("c", "vector", length=4), sa.VARBINARY(15)),
        (Column("c", "uuid"), mysql.CHAR(35)),
        (Column("c", "inet6"), Named("inet4")),
        (Column("c", "inet6"), mysql.VARCHAR(15)),
    ],
)
def test_special_types_that_do_not_fit_are_said(column: Column, target: Type) -> None:
    assert holds.problem(MYSQL, column, target)


def test_mysqls_two_names_of_a_collection_are_one() -> None:
    assert holds.problem(MYSQL, Column("c", "geometrycollection"), Named("geomcollection")) is None


def test_what_a_column_loses_is_said_once_for_all_that_lose_it() -> None:
    columns = [
        Column("d", "date"),
        Column("t", "datetime", scale=0),
        Column("n", "varchar", length=5, **UTF8),
        Column("b", "varchar", length=5, charset="utf8mb4", collation="utf8mb4_bin"),
        Column("i", "int"),
    ]
    found = list(losses(POSTGRESQL, [(column, column_type(POSTGRESQL, column)) for column in columns]))
    assert [(one.column, one.severity) for one in found] == [("d, t", "note"), ("n, b", "note"), ("n", "note")]
    assert not list(losses(MYSQL, [(column, column_type(MYSQL, column)) for column in columns]))


def test_what_mysql_makes_of_decimals_in_documents_is_said() -> None:
    columns = [Column("doc", "json"), Column("text", "longtext", **UTF8)]
    (found,) = losses(MYSQL, [(column, column_type(MYSQL, column)) for column in columns])
    assert (found.column, found.severity) == ("doc", "note")
    assert "double" in found.problem


def test_sqlite_keeps_as_text_what_its_numbers_would_change() -> None:
    for column in (Column("c", "bigint", unsigned=True), Column("c", "decimal", precision=5, scale=2)):
        assert isinstance(column_type(SQLITE, column), sa.TEXT)
    assert isinstance(column_type(SQLITE, Column("c", "bigint")), sa.INTEGER)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"utf8mb4_0900_ai_ci", "utf8mb4_0900_bin"}, "utf8mb4_0900_ai_ci"),
        ({"utf8mb4_nopad_bin", "utf8mb4_bin"}, "utf8mb4_nopad_bin"),
        ({"utf8mb4_0900_bin"}, "utf8mb4_0900_bin"),
        (set(), "utf8mb4_bin"),
    ],
)
def test_a_collation_that_the_target_lacks_becomes_one_that_keeps_more_apart(there: set[str], expected: str) -> None:
    assert mysql_collation(Column("c", "varchar", length=5, **UTF8), frozenset(there)) == expected
    latin = Column("c", "varchar", length=5, charset="latin1", collation="latin1_swedish_ci")
    assert mysql_collation(latin, frozenset({*there, "latin1_swedish_ci"})).endswith("_bin")


def test_text_of_another_charset_gets_room_for_its_utf8mb4_bytes() -> None:
    latin = Column("c", "text", charset="latin1", collation="latin1_swedish_ci")
    assert isinstance(column_type(MYSQL, latin), mysql.MEDIUMTEXT)
    assert isinstance(column_type(MYSQL, Column("c", "text", **UTF8)), mysql.TEXT)
    assert isinstance(column_type(MYSQL, Column("c", "varchar", length=60_000, **UTF8)), mysql.MEDIUMTEXT)


ALL = [
    *(
        Column("c", kind, unsigned=u)
        for kind in ("tinyint", "smallint", "mediumint", "int", "bigint")
        for u in (False, True)
    ),
    *(Column("c", kind, scale=s) for kind in ("time", "datetime", "timestamp") for s in (0, 3, 6)),
    *(Column("c", kind, length=n, **UTF8) for kind in ("char", "varchar") for n in (1, 255)),
    *(Column("c", kind, length=20) for kind in ("binary", "varbinary")),
    *(Column("c", kind, **UTF8) for kind in ("tinytext", "text", "mediumtext", "longtext", "json")),
    *(Column("c", kind) for kind in ("tinyblob", "blob", "mediumblob", "longblob", "float", "double", "year", "date")),
    *(Column("c", "bit", length=n) for n in (1, 8, 64)),
    Column("c", "decimal", precision=65, scale=30),
    *(Column("c", kind, members=("a", "b"), **UTF8) for kind in ("enum", "set")),
]


@pytest.mark.parametrize("dialect", [POSTGRESQL, MYSQL, SQLITE], ids=lambda dialect: dialect.name)
def test_what_is_made_for_a_column_can_hold_it(dialect: SqlDialect) -> None:
    for column in ALL:
        assert holds.problem(dialect, column, column_type(dialect, column)) is None, column


@pytest.mark.parametrize(
    ("column", "target"),
    [
        (Column("c", "int", unsigned=True), sa.INTEGER()),
        (Column("c", "int"), sa.SMALLINT()),
        (Column("c", "int"), sa.BOOLEAN()),
        (Column("c", "int"), postgresql.DOUBLE_PRECISION()),
        (Column("c", "bigint", unsigned=True), sa.NUMERIC(19, 0)),
        (Column("c", "decimal", precision=10, scale=2), sa.NUMERIC(10, 1)),
        (Column("c", "decimal", precision=10, scale=2), sa.NUMERIC(10, 3)),
        (Column("c", "double"), sa.REAL()),
        (Column("c", "time", scale=0), sa.TIME()),
        (Column("c", "time", scale=6), postgresql.INTERVAL(precision=3)),
        (Column("c", "datetime", scale=0), postgresql.TIMESTAMP(timezone=True)),
        (Column("c", "datetime", scale=6), postgresql.TIMESTAMP(precision=3)),
        (Column("c", "varchar", length=10), sa.VARCHAR(9)),
        (Column("c", "varchar", length=10), sa.CHAR(10)),
        (Column("c", "text"), sa.VARCHAR(100)),
        (Column("c", "blob"), sa.TEXT()),
        (Column("c", "enum", members=("long one",)), sa.VARCHAR(3)),
        (Column("c", "date"), sa.NullType()),
    ],
)
def test_what_cannot_hold_every_value_of_a_column_is_said(column: Column, target: Type) -> None:
    assert holds.problem(POSTGRESQL, column, target)
    assert holds.fix(POSTGRESQL, column_type(POSTGRESQL, column)).startswith("make it ")


@pytest.mark.parametrize(
    ("column", "target"),
    [
        (Column("c", "int"), sa.BIGINT()),
        (Column("c", "bigint", unsigned=True), sa.NUMERIC()),
        (Column("c", "decimal", precision=10, scale=2), sa.NUMERIC()),
        (Column("c", "float"), postgresql.DOUBLE_PRECISION()),
        (Column("c", "timestamp", scale=0), postgresql.TIMESTAMP()),
        (Column("c", "char", length=10), sa.CHAR(10)),
        (Column("c", "varchar", length=10), sa.TEXT()),
        (Column("c", "json"), postgresql.JSONB()),
        (Column("c", "json"), sa.TEXT()),
        (Column("c", "enum", members=("a",)), sa.VARCHAR(3)),
    ],
)
def test_a_wider_column_made_by_others_is_taken(column: Column, target: Type) -> None:
    assert holds.problem(POSTGRESQL, column, target) is None


@pytest.mark.parametrize(
    ("column", "target"),
    [
        (Column("c", "blob"), mysql.TINYBLOB()),
        (Column("c", "binary", length=4), sa.BINARY(8)),
        (Column("c", "datetime", scale=0), mysql.TIMESTAMP()),
        (Column("c", "enum", members=("a", "b")), mysql.ENUM("a")),
        (Column("c", "set", members=("a",)), mysql.ENUM("a")),
        (Column("c", "int", unsigned=True), mysql.INTEGER()),
        (Column("c", "int"), mysql.INTEGER(unsigned=True)),
        (Column("c", "text"), mysql.TINYTEXT()),
    ],
)
def test_what_cannot_hold_every_value_at_mysql_is_said(column: Column, target: Type) -> None:
    assert holds.problem(MYSQL, column, target)


@pytest.mark.parametrize(
    ("column", "target"),
    [
        (Column("c", "decimal", precision=5, scale=2), sqlite.NUMERIC()),
        (Column("c", "varchar", length=5), sqlite.INTEGER()),
        (Column("c", "bigint", unsigned=True), sqlite.INTEGER()),
        (Column("c", "double"), sqlite.TEXT()),
    ],
)
def test_an_affinity_that_would_change_values_at_sqlite_is_said(column: Column, target: Type) -> None:
    assert holds.problem(SQLITE, column, target)


def test_only_columns_that_need_it_are_converted() -> None:
    assert converter(POSTGRESQL, Column("c", "varchar", length=5)) is None
    assert converter(MYSQL, Column("c", "bigint", unsigned=True)) is None
    rows = [(1, "a")]
    assert convert(rows, ()) is rows


@pytest.mark.parametrize(
    ("dialect", "column", "wire", "expected"),
    [
        (POSTGRESQL, Column("c", "blob"), "AP8=", "\\x00ff"),
        (MYSQL, Column("c", "blob"), "AP8=", b"\0\xff"),
        (SQLITE, Column("c", "binary", length=2), "AP8=", b"\0\xff"),
        (MYSQL, Column("c", "timestamp", scale=0), "2024-01-02T03:04:05Z", "2024-01-02T03:04:05"),
        (MYSQL, Column("c", "float"), 0.1, 0.10000000149011612),
        (MYSQL, Column("c", "float"), 3.4028235e38, 3.4028234663852886e38),
        (MYSQL, Column("c", "float"), -0.0, -0.0),
        (SQLITE, Column("c", "bigint", unsigned=True), 2**64 - 1, "18446744073709551615"),
        (SQLITE, Column("c", "bit", length=64), 1, "1"),
        (MYSQL, Column("c", "point"), {"srid": 4326, "wkb": "AQEAAAA="}, bytes.fromhex("e61000000101000000")),
        (POSTGRESQL, Column("c", "point"), {"srid": 4326, "wkb": "AQEAAAA="}, "\\x0101000020e6100000"),
        (POSTGRESQL, Column("c", "point"), {"srid": 0, "wkb": "AQEAAAA="}, "\\x0101000000"),
        (SQLITE, Column("c", "point"), {"srid": 1, "wkb": "AAAAAAE="}, bytes.fromhex("002000000100000001")),
        (MYSQL, Column("c", "vector"), [1.5, -0.0], bytes.fromhex("0000c03f00000080")),
        (POSTGRESQL, Column("c", "vector"), [1.5, -2], "{1.5,-2}"),
        (SQLITE, Column("c", "vector"), [1.5, -2], "[1.5,-2]"),
    ],
)
def test_wire_values_become_what_the_driver_takes(
    dialect: SqlDialect, column: Column, wire: object, expected: object
) -> None:
    change = converter(dialect, column)
    assert change is not None
    assert change(wire) == expected
    assert list(convert([(None, 1), (wire, 2)], [(0, change)])) == [[None, 1], [expected, 2]]  # type: ignore[list-item]


def test_ranges_of_integers() -> None:
    assert integer_range(Column("c", "mediumint")) == (-8388608, 8388607)
    assert integer_range(Column("c", "bit", length=3)) == (0, 7)
    assert integer_range(Column("c", "varchar", length=3)) is None


_DOCUMENTED = {
    "`TINYINT`, `SMALLINT`, `MEDIUMINT`, `INT`, `BIGINT`, `BOOL`": [
        "tinyint",
        "smallint",
        "mediumint",
        "int",
        "bigint",
    ],
    "`DECIMAL(p,s)`, `NUMERIC`": ["decimal"],
    "`FLOAT`": ["float"],
    "`DOUBLE`": ["double"],
    "`BIT(n)`": ["bit"],
    "`YEAR`": ["year"],
    "`DATE`": ["date"],
    "`TIME(s)`": ["time"],
    "`DATETIME(s)`": ["datetime"],
    "`TIMESTAMP(s)`": ["timestamp"],
    "`CHAR(n)`": ["char"],
    "`VARCHAR(n)`": ["varchar"],
    "`BINARY(n)`": ["binary"],
    "`VARBINARY(n)`": ["varbinary"],
    "`ENUM`": ["enum"],
    "`SET`": ["set"],
    "`JSON` (MySQL)": ["json"],
}


def test_docs_types_says_what_the_targets_columns_become() -> None:
    lines = (Path(__file__).parents[2] / "docs" / "types.md").read_text().splitlines()
    table = {cells[0]: cells[3:6] for line in lines if len(cells := line.strip("| ").split(" | ")) == 6}
    for label, kinds in _DOCUMENTED.items():
        for dialect, cell in zip((POSTGRESQL, MYSQL, SQLITE), table[label], strict=True):
            said = label if cell == "the same" else cell
            for kind in kinds:
                column = Column("c", kind, length=5, precision=5, scale=2, members=("a",), **UTF8)
                made = column_type(dialect, column).compile(dialect=dialect.plain).split(" CHARACTER SET")[0]
                # MySQL's INTEGER is its INT.
                made = made.replace("INTEGER", "INT") if dialect is MYSQL else made
                assert re.sub(r" ?\(.*\)", "", made).lower() in re.sub(r"\([^)]*\)", "", said).lower(), (
                    label,
                    dialect.name,
                )
    unsigned = table["the same, `UNSIGNED`"][0]
    for kind in ("tinyint", "smallint", "mediumint", "int", "bigint"):
        made = column_type(POSTGRESQL, Column("c", kind, unsigned=True)).compile(dialect=POSTGRESQL.plain)
        assert f"`{made.lower()}`" in unsigned
