"""Tables as the servers write them: what a table map says of every kind of column, key and generated column."""

import pytest

from cdc.binlog.decoder import load
from cdc.binlog.decoder.rows import ABSENT, DecodedRow
from cdc.model.errors import NotUnderstood
from cdc.model.schema import Column, TableSchema
from tests.fixtures.servers import Database
from tests.support.binlog_dump import TableRows, end_of_binlog, events_since, rows_events

DECODER = load("python")


def written(database: Database, *statements: str, session: str = "") -> list[TableRows]:
    """The rows events of `database` that the statements made."""
    with database.connect() as connection, connection.cursor() as cursor:
        begin = end_of_binlog(connection)
        for statement in filter(None, (session, *statements)):
            cursor.execute(statement)
    with database.connect() as dump:
        events = rows_events(events_since(dump, begin), DECODER)
        return [rows for rows in events if rows.table.db == database.dbname]


def decoded(events: list[TableRows]) -> list[DecodedRow]:
    return [row for event in events for row in event.decode(DECODER)]


def schema(database: Database, columns: str) -> TableSchema:
    """The schema of a table with one row of NULLs beside its id."""
    create = f"CREATE TABLE t (id INT, {columns}, PRIMARY KEY (id))"
    (event, *_) = written(database, create, "INSERT INTO t (id) VALUES (1)")
    return event.table.schema


TYPES = [
    *("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "DECIMAL(5,2)", "FLOAT", "DOUBLE", "BIT(3)", "YEAR", "DATE"),
    *(
        "TIME",
        "DATETIME",
        "TIMESTAMP NULL",
        "CHAR(5)",
        "VARCHAR(5)",
        "BINARY(3)",
        "VARBINARY(4)",
        "BLOB",
        "TEXT",
        "JSON",
    ),
    *("GEOMETRY", "POINT", "POLYGON"),
    *("ENUM('a')", "SET('a')", "ENUM('é') CHARACTER SET ucs2", "SET('é', 'ü') CHARACTER SET utf16"),
]


@pytest.mark.parametrize("definition", TYPES)
def test_no_type_shifts_what_is_said_of_the_columns_behind_it(any_source_db: Database, definition: str) -> None:
    found = schema(
        any_source_db,
        f"x {definition}, a INT UNSIGNED, b VARCHAR(3) CHARACTER SET latin1, c INT, d INT UNSIGNED, "
        "e ENUM('z', 'é') CHARACTER SET latin2, f SET('y') CHARACTER SET ascii",
    )
    assert found.columns[2:] == (
        Column("a", "int", unsigned=True),
        Column("b", "varchar", length=3, charset="latin1", collation="latin1_swedish_ci"),
        Column("c", "int"),
        Column("d", "int", unsigned=True),
        Column("e", "enum", charset="latin2", collation="latin2_general_ci", members=("z", "é")),
        Column("f", "set", charset="ascii", collation="ascii_general_ci", members=("y",)),
    )
    assert found.key == ("id",)


def test_a_schema_says_all_that_a_target_needs(any_source_db: Database) -> None:
    found = schema(
        any_source_db,
        "a TINYINT UNSIGNED NOT NULL DEFAULT 1, b DECIMAL(20,5), c BIT(12), d DATETIME(3), e TIME, f TIMESTAMP(6) NULL, "
        "g CHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, h VARCHAR(300) CHARACTER SET ucs2, i BINARY(200), "
        "j VARBINARY(300), k TINYBLOB, l MEDIUMBLOB, m LONGTEXT CHARACTER SET latin1",
    )
    assert found.columns == (
        Column("id", "int", nullable=False),
        Column("a", "tinyint", unsigned=True, nullable=False),
        Column("b", "decimal", precision=20, scale=5),
        Column("c", "bit", length=12),
        Column("d", "datetime", scale=3),
        Column("e", "time", scale=0),
        Column("f", "timestamp", scale=6),
        Column("g", "char", length=200, charset="utf8mb4", collation="utf8mb4_bin"),
        Column("h", "varchar", length=300, charset="ucs2", collation="ucs2_general_ci"),
        Column("i", "binary", length=200),
        Column("j", "varbinary", length=300),
        Column("k", "tinyblob"),
        Column("l", "mediumblob"),
        Column("m", "longtext", charset="latin1", collation="latin1_swedish_ci"),
    )


def test_a_composite_key_is_in_key_order_and_prefixes_are_whole_columns(any_source_db: Database) -> None:
    (event,) = written(
        any_source_db,
        "CREATE TABLE t (a INT, b VARCHAR(20), c INT, PRIMARY KEY (c, b(5), a))",
        "INSERT INTO t VALUES (1, 'bbbbbbb', 3)",
    )
    assert event.table.schema.key == ("c", "b", "a")
    assert event.table.prefix_key == {"b"}


def test_a_table_without_a_primary_key_has_none(any_source_db: Database) -> None:
    (event,) = written(any_source_db, "CREATE TABLE t (a INT UNIQUE, b INT, KEY (b))", "INSERT INTO t VALUES (1, 2)")
    assert event.table.schema.key == ()


def test_a_unique_key_without_nulls_stands_in_for_a_missing_primary_key(any_source_db: Database) -> None:
    (event,) = written(any_source_db, "CREATE TABLE t (b INT, a INT NOT NULL UNIQUE)", "INSERT INTO t VALUES (1, 2)")
    assert event.table.schema.key == ("a",)


@pytest.mark.parametrize("name", ['a"b', "x; DROP TABLE t--", "new\nline", "ü" * 64, "select", "back\\slash", "''"])
def test_hostile_names_come_through(any_source_db: Database, name: str) -> None:
    (event,) = written(
        any_source_db,
        f"CREATE TABLE `{name}` (`{name}` INT PRIMARY KEY, `{name[:60]} 2` ENUM('a'))".replace("%", "%%"),
        f"INSERT INTO `{name}` VALUES (1, 'a')",
    )
    assert event.table.table == name
    assert [column.name for column in event.table.schema.columns] == [name, f"{name[:60]} 2"]
    assert decoded([event]) == [("c", None, (1, "a"))]


def test_many_columns_with_nulls_among_them(any_source_db: Database) -> None:
    names = [f"c{number}" for number in range(300)]
    values = [None if number % 3 == 0 else number for number in range(300)]
    events = written(
        any_source_db,
        f"CREATE TABLE t (id INT PRIMARY KEY, {', '.join(f'{name} SMALLINT' for name in names)})",
        f"INSERT INTO t VALUES (1, {', '.join('NULL' if value is None else str(value) for value in values)})",
        f"UPDATE t SET {', '.join(f'{name} = NULL' for name in names[::2])}",
    )
    changed = [None if number % 2 == 0 else value for number, value in enumerate(values)]
    assert decoded(events) == [("c", None, (1, *values)), ("u", (1, *values), (1, *changed))]


def test_generated_and_invisible_columns_are_columns(any_source_db: Database) -> None:
    events = written(
        any_source_db,
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, v INT GENERATED ALWAYS AS (a + 1) VIRTUAL, "
        "s INT GENERATED ALWAYS AS (a + 2) STORED, i INT INVISIBLE DEFAULT 5)",
        "INSERT INTO t (id, a) VALUES (1, 3)",
        "UPDATE t SET a = 4",
    )
    assert decoded(events) == [("c", None, (1, 3, 4, 5, 5)), ("u", (1, 3, 4, 5, 5), (1, 4, 5, 6, 5))]


def test_hidden_columns_of_functional_indexes_are_not_seen(mysql_db: Database) -> None:
    events = written(
        mysql_db,
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9), j JSON, KEY ((UPPER(a))), "
        "KEY ((CAST(j->'$[*]' AS UNSIGNED ARRAY))))",
        "INSERT INTO t VALUES (1, 'x', '[1, 3]')",
    )
    assert decoded(events) == [("c", None, (1, "x", "[1, 3]"))]


def test_a_column_added_in_place_reads_as_the_server_shows_it(any_source_db: Database) -> None:
    events = written(
        any_source_db,
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "INSERT INTO t VALUES (1)",
        "ALTER TABLE t ADD COLUMN a VARCHAR(9) NOT NULL DEFAULT 'new', ADD COLUMN b INT FIRST",
        "UPDATE t SET b = 2",
    )
    assert decoded(events) == [("c", None, (1,)), ("u", (None, 1, "new"), (2, 1, "new"))]


def test_a_json_column_added_not_null_reads_as_the_server_shows_it(mysql_db: Database) -> None:
    events = written(
        mysql_db,
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "INSERT INTO t VALUES (1)",
        "ALTER TABLE t ADD COLUMN j JSON NOT NULL",
        "UPDATE t SET id = 2",
    )
    assert decoded(events)[1:] == [("u", (1, "null"), (2, "null"))]


def test_mariadb_types_of_their_own_come_as_their_bytes_where_no_history_tells_them(mariadb_db: Database) -> None:
    events = written(
        mariadb_db,
        "CREATE TABLE t (id INT PRIMARY KEY, u UUID, i INET6, j INET4)",
        "INSERT INTO t VALUES (1, '123e4567-e89b-12d3-a456-426655440000', '::1', '1.2.3.0')",
    )
    assert decoded(events) == [("c", None, (1, "Ej5FZ+ibEtOkVkJmVUQAAA==", "AAAAAAAAAAAAAAAAAAAAAQ==", "AQIDAA=="))]


def test_a_geometry_column_added_not_null_is_empty_at_mariadb(mariadb_db: Database) -> None:
    """MySQL refuses the statement."""
    events = written(
        mariadb_db,
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "INSERT INTO t VALUES (1)",
        "ALTER TABLE t ADD COLUMN g POINT NOT NULL",
        "UPDATE t SET id = 2",
        session="SET sql_mode = ''",
    )
    empty = {"srid": 0, "wkb": ""}
    assert decoded(events)[1:] == [("u", (1, empty), (2, empty))]


def test_a_vector_column_added_not_null_is_empty(mysql_db: Database) -> None:
    events = written(
        mysql_db,
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "INSERT INTO t VALUES (1)",
        "ALTER TABLE t ADD COLUMN v VECTOR(3) NOT NULL",
        "UPDATE t SET id = 2",
    )
    assert decoded(events)[1:] == [("u", (1, []), (2, []))]


def test_an_image_that_is_not_full_lacks_columns_and_an_insert_the_ones_it_did_not_name(
    any_source_db: Database,
) -> None:
    events = written(
        any_source_db,
        "CREATE TABLE t (id INT PRIMARY KEY, a INT DEFAULT 7, b TEXT, d DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6))",
        "INSERT INTO t (id, b) VALUES (1, 'x')",
        "UPDATE t SET a = 3",
        "UPDATE t SET b = 'y'",
        "DELETE FROM t",
        session="SET binlog_row_image = MINIMAL",
    )
    (_, _, created), *rest = decoded(events)
    assert created is not None
    assert created[:3] == (1, ABSENT, "x")
    assert isinstance(created[3], str)  # what the server computed is there
    assert rest == [
        ("u", (1, ABSENT, ABSENT, ABSENT), (ABSENT, 3, ABSENT, ABSENT)),
        ("u", (1, ABSENT, ABSENT, ABSENT), (ABSENT, ABSENT, "y", ABSENT)),
        ("d", (1, ABSENT, ABSENT, ABSENT), None),
    ]


def test_an_image_without_blobs_has_them_where_they_changed(any_source_db: Database) -> None:
    events = written(
        any_source_db,
        "CREATE TABLE t (id INT PRIMARY KEY, a INT DEFAULT 7, b TEXT)",
        "INSERT INTO t (id) VALUES (1)",
        "UPDATE t SET a = 3",
        "UPDATE t SET b = 'y'",
        session="SET binlog_row_image = NOBLOB",
    )
    assert decoded(events) == [
        ("c", None, (1, 7, ABSENT)),
        ("u", (1, 7, ABSENT), (1, 3, ABSENT)),
        ("u", (1, 3, ABSENT), (1, 3, "y")),
    ]


def test_replace_is_whole_at_mysql_and_lacks_what_took_its_default_at_mariadb(any_source_db: Database) -> None:
    """Why MariaDB's partial images are refused where REPLACE cannot be excluded (docs/types.md): absent means unchanged in every
    other update."""
    events = written(
        any_source_db,
        "CREATE TABLE t (id INT PRIMARY KEY, a INT DEFAULT 7, b TEXT)",
        "INSERT INTO t (id, a, b) VALUES (1, 2, 'x')",
        "REPLACE INTO t (id) VALUES (1)",
        session="SET binlog_row_image = MINIMAL",
    )
    after = (1, ABSENT, ABSENT) if any_source_db.server.kind == "mariadb" else (1, 7, None)
    assert decoded(events)[1:] == [("u", (1, ABSENT, ABSENT), after)]


def test_virtual_columns_are_in_a_minimal_image_of_mysql_alone(any_source_db: Database) -> None:
    events = written(
        any_source_db,
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, v INT GENERATED ALWAYS AS (a + 1) VIRTUAL)",
        "INSERT INTO t (id, a) VALUES (1, 1)",
        "UPDATE t SET a = 2",
        session="SET binlog_row_image = MINIMAL",
    )
    changed = ABSENT if any_source_db.server.kind == "mariadb" else 3
    assert decoded(events)[1:] == [("u", (1, ABSENT, ABSENT), (ABSENT, 2, changed))]


def test_a_partial_json_update_without_the_document_before_it_stops(mysql_db: Database) -> None:
    events = written(
        mysql_db,
        "SET binlog_row_value_options = PARTIAL_JSON",
        "CREATE TABLE t (id INT PRIMARY KEY, j JSON)",
        "INSERT INTO t VALUES (1, JSON_ARRAY(1, REPEAT('x', 100)))",
        "UPDATE t SET j = JSON_SET(j, '$[0]', 2)",
        session="SET binlog_row_image = MINIMAL",
    )
    with pytest.raises(NotUnderstood, match=rf"table {mysql_db.dbname}\.t, column j: .*binlog_row_value_options=''"):
        events[-1].decode(DECODER)


def test_generated_invisible_primary_keys_are_keys(mysql_db: Database) -> None:
    (event,) = written(
        mysql_db,
        "CREATE TABLE t (a INT)",
        "INSERT INTO t VALUES (5)",
        session="SET sql_generate_invisible_primary_key = ON",
    )
    assert event.table.schema.key == ("my_row_id",)
    assert event.table.schema.columns[0] == Column("my_row_id", "bigint", unsigned=True, nullable=False)
    assert decoded([event]) == [("c", None, (1, 5))]
