"""Defaults as change events show them, and what rows that are there get in a new column."""

import pytest

from cdc.binlog.history import Context, History, Place, Session
from cdc.model.change import Value
from cdc.model.errors import NotUnderstood
from cdc.model.schema_change import AddColumn
from cdc.model.table_version import TableVersion

SESSION = Session(utf8mb4_collation=255, explicit_timestamps=True)
CONTEXT = Context(Place("s", 1, 100), "db", 1_700_000_000, "mysql", SESSION)
BASE = [TableVersion("s", 1, 4, "db", "", None, collation="utf8mb4_0900_ai_ci")]


def added(definition: str, context: Context = CONTEXT) -> Value:
    """What rows have in a column with this definition when it comes to their table."""
    history = History(lambda db, _: db == "db", False, BASE)
    history.statement("CREATE TABLE t (id INT PRIMARY KEY)", context)
    (change,) = history.statement(f"ALTER TABLE t ADD x {definition}", context).changes
    (step,) = change.steps
    assert isinstance(step, AddColumn)
    version = history.version("db", "t")
    assert version is not None
    if "x" in version.defaults:
        assert version.defaults["x"] == step.fill
    return step.fill


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ("INT", None),
        ("INT NOT NULL", 0),
        ("INT DEFAULT -5", -5),
        ("INT DEFAULT '5'", 5),
        ("INT DEFAULT 0x1F", 31),
        ("TINYINT(1) DEFAULT TRUE", 1),
        ("BIGINT UNSIGNED DEFAULT 18446744073709551615", 18446744073709551615),
        ("INT DEFAULT (5)", 5),
        ("DECIMAL(5,2) NOT NULL", "0.00"),
        ("DECIMAL(5,2) DEFAULT 1", "1.00"),
        ("DECIMAL(5,2) DEFAULT -.005", "-0.01"),
        ("DECIMAL(5,2) DEFAULT -0", "0.00"),
        ("DECIMAL(30,0) DEFAULT 123456789012345678901234567890", "123456789012345678901234567890"),
        ("FLOAT DEFAULT 0.1", 0.1),
        ("FLOAT DEFAULT 16777217", 16777216.0),
        ("DOUBLE(5,1) DEFAULT 2.25", 2.2),
        ("DOUBLE DEFAULT 1e300", 1e300),
        ("BIT(3) DEFAULT b'101'", 5),
        ("BIT(3) NOT NULL", 0),
        ("YEAR DEFAULT 24", 2024),
        ("YEAR DEFAULT 0", 0),
        ("YEAR DEFAULT '0'", 2000),
        ("DATE NOT NULL", "0000-00-00"),
        ("DATE DEFAULT '2024-1-2'", "2024-01-02"),
        ("DATE DEFAULT 20240102", "2024-01-02"),
        ("DATE DEFAULT DATE'2024-01-02'", "2024-01-02"),
        ("TIME(2) DEFAULT '-1:02:03.4'", "-01:02:03.40"),
        ("TIME DEFAULT '10:11'", "10:11:00"),
        ("DATETIME(3) NOT NULL", "0000-00-00T00:00:00.000"),
        ("DATETIME DEFAULT '2024-01-02 03:04:05'", "2024-01-02T03:04:05"),
        ("DATETIME(2) DEFAULT '2024-01-02'", "2024-01-02T00:00:00.00"),
        ("TIMESTAMP NOT NULL", "0000-00-00T00:00:00Z"),
        ("TIMESTAMP(1) NULL DEFAULT 0", "0000-00-00T00:00:00.0Z"),
        ("CHAR(5) DEFAULT 'a  '", "a"),
        ("VARCHAR(5) DEFAULT 'a  '", "a  "),
        ("VARCHAR(5) NOT NULL", ""),
        ("VARCHAR(50) DEFAULT 'it''s \\\\ \\n é😀'", "it's \\ \n é😀"),
        ("VARCHAR(5) DEFAULT 1.50", "1.50"),
        ("VARCHAR(5) DEFAULT 'a' 'b'", "ab"),
        ("VARCHAR(5) CHARACTER SET utf16 DEFAULT 0x00610062", "ab"),
        ("BINARY(3) DEFAULT 'a'", "YQAA"),
        ("BINARY(3) NOT NULL", "AAAA"),
        ("VARBINARY(3) DEFAULT X'00FF'", "AP8="),
        ("BLOB NOT NULL", ""),
        ("TEXT DEFAULT ('x')", "x"),
        ("ENUM('a','B') NOT NULL", "a"),
        ("ENUM('a','B') DEFAULT 'b'", "B"),
        ("SET('a','b') DEFAULT 'b,A'", "a,b"),
        ("SET('a','b') NOT NULL", ""),
        ("JSON NOT NULL", "null"),
        ("JSON DEFAULT (JSON_ARRAY())", "[]"),
        ("JSON DEFAULT ('{}')", "{}"),
    ],
)
def test_constants_and_implied_values(definition: str, value: Value) -> None:
    found = added(definition)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ("UUID NOT NULL", "00000000-0000-0000-0000-000000000000"),
        ("INET6 DEFAULT '::0001'", "::1"),
        ("INET4 NOT NULL", "0.0.0.0"),  # noqa: S104 — a value
        ("JSON NOT NULL", ""),
        ("TEXT DEFAULT 'x'", "x"),
    ],
)
def test_mariadb_s_own(definition: str, value: Value) -> None:
    assert added(definition, CONTEXT._replace(flavor="mariadb")) == value


@pytest.mark.parametrize(
    ("definition", "zone", "value"),
    [
        ("TIMESTAMP DEFAULT CURRENT_TIMESTAMP", None, "2023-11-14T22:13:20Z"),
        ("TIMESTAMP(3) DEFAULT NOW(3)", None, "2023-11-14T22:13:20.123Z"),
        ("TIMESTAMP(6) DEFAULT LOCALTIME(6)", None, "2023-11-14T22:13:20.123456Z"),
        ("TIMESTAMP(2) DEFAULT CURRENT_TIMESTAMP(2) ON UPDATE CURRENT_TIMESTAMP(2)", None, "2023-11-14T22:13:20.12Z"),
        ("DATETIME DEFAULT CURRENT_TIMESTAMP()", "+02:00", "2023-11-15T00:13:20"),
        ("DATETIME DEFAULT NOW()", "-03:30", "2023-11-14T18:43:20"),
        ("DATETIME DEFAULT NOW()", "Europe/Berlin", "2023-11-14T23:13:20"),
        ("TIMESTAMP DEFAULT '2024-01-02 00:00:00'", "+02:00", "2024-01-01T22:00:00Z"),
    ],
)
def test_the_time_of_the_statement(definition: str, zone: str | None, value: Value) -> None:
    assert added(definition, CONTEXT._replace(session=SESSION._replace(time_zone=zone, microseconds=123456))) == value


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ("DATETIME DEFAULT CURRENT_TIMESTAMP", "time zone, which the binlog does not tell"),
        ("DATETIME DEFAULT NOW()", "time zone"),
        ("TIMESTAMP DEFAULT '2024-01-02 00:00:00'", "time zone"),
        ("TIMESTAMP(3) DEFAULT NOW(3)", "fraction of a second"),
        ("CHAR(36) DEFAULT (UUID())", "an expression"),
        ("INT DEFAULT (RAND())", "an expression"),
        ("INT DEFAULT (1 + 2)", "an expression"),
        ("INT AS (id + 1)", "generated from other columns"),
        ("INT GENERATED ALWAYS AS (id + 1) STORED", "generated from other columns"),
        ("INT AUTO_INCREMENT UNIQUE", "numbers the rows"),
        ("JSON DEFAULT ('{\"b\": 1.5}')", "JSON, whose text is the server's to write"),
        ("VARCHAR(5) DEFAULT 1e2", "in a form that is not known"),
        ("DATE DEFAULT '24/1/2'", "in a form that is not known"),
    ],
)
def test_what_cannot_be_told_stops_with_table_column_and_way_out(definition: str, why: str) -> None:
    with pytest.raises(
        NotUnderstood, match=rf"table db\.t: the value that its rows now have of column x .*{why}"
    ) as caught:
        added(definition)
    assert "cdc replay --from" in caught.value.hint


def test_a_new_table_s_columns_may_be_anything_since_it_has_no_rows() -> None:
    history = History(lambda *_: True, False, BASE)
    history.statement(
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, g INT AS (id + 1), u CHAR(36) DEFAULT (UUID()), "
        "n DATETIME DEFAULT NOW(), c INT DEFAULT 5, d INT)",
        CONTEXT,
    )
    version = history.version("db", "t")
    assert version is not None
    assert version.defaults == {"c": 5, "d": None}
