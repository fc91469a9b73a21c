"""One normaliser: a row read by SELECT is, value by value and byte by byte, what the rows events of the same row tell.

CDC_VALUES_ROWS sets how many rows each type gets, as in test_values_standing.py.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from cdc.binlog.decoder import load
from cdc.binlog.port import Rows
from cdc.binlog.rows_port import Chunk, Wanted
from cdc.binlog.source import BinlogSource
from cdc.model.change import Draft
from cdc.model.compiled import EncodedRows
from cdc.model.errors import NotUnderstood, TableRefused
from cdc.model.routing import key_hash
from cdc.model.schema import TableSchema
from tests.fixtures.servers import Database
from tests.support.own_source import fresh_database, start_own_source
from tests.support.sources import drain, execute, open_source, streaming
from tests.support.type_space import SQL_MODE, Kind, kinds
from tests.support.value_oracle import exact, row_metadata

ROWS = int(os.environ.get("CDC_VALUES_ROWS", "20"))
TABLE_WIDTH = 12
SESSION = f"SET time_zone = '+00:00', sql_mode = '{SQL_MODE}'"


def told_and_read(
    database: Database, create: Sequence[str], change: Sequence[str], table: str = "t", **settings: Any
) -> tuple[list[Draft], list[TableSchema], Chunk]:
    """What the stream tells of `change` (drafts, and schemas of the table), and the table as a chunk afterwards."""
    execute(database, SESSION, *create)
    source = open_source(database, **settings)
    with streaming(source) as stream:
        execute(database, SESSION, *change)
        items = [item for item in drain(stream, source) if isinstance(item, Rows)]
        chunk = source.chunk(Wanted(database.dbname, table, max_bytes=1 << 30), source.end())
    must_be_read_alike(chunk, database, table, **settings)
    drafts = [draft for item in items for draft in item.drafts if draft.table == table]
    return drafts, [schema for item in items for schema in item.new_schemas if schema.table == table], chunk


def must_be_read_alike(chunk: Chunk, database: Database, table: str, **settings: Any) -> None:
    """In C, where the table is one for it, and without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDC_DECODER", "python")
        plain = read(database, table, **settings)
    assert not isinstance(plain.rows, EncodedRows)
    assert (chunk.schema, chunk.last) == (plain.schema, plain.last)
    assert list(chunk.rows) == list(plain.rows)
    for index, draft in enumerate(plain.rows):
        one = chunk.rows[index]
        assert (orjson.dumps(one.key), orjson.dumps(one.after)) == (orjson.dumps(draft.key), orjson.dumps(draft.after))
        if isinstance(chunk.rows, EncodedRows):
            assert chunk.rows.texts(index) == (orjson.dumps(draft.key), b"", orjson.dumps(draft.after))
            assert chunk.rows.crc(index) == key_hash(draft.db, draft.table, draft.key.values())


def must_be_what_was_told(drafts: Sequence[Draft], schemas: Sequence[TableSchema], chunk: Chunk) -> None:
    """`drafts`: creates alone, in any order."""
    assert schemas[-1] == chunk.schema
    assert {draft.schema for draft in drafts} == {chunk.schema.fingerprint()}
    assert {draft.op for draft in chunk.rows} <= {"r"}
    told = {orjson.dumps(draft.key): draft for draft in drafts}
    read = {orjson.dumps(draft.key): draft for draft in chunk.rows}
    assert sorted(read) == sorted(told)
    assert len(chunk.rows) == len(drafts)
    for key, draft in read.items():
        after, of_event = draft.after or {}, told[key].after or {}
        assert {name: exact(value) for name, value in after.items()} == {
            name: exact(value) for name, value in of_event.items()
        }
        assert draft._replace(op="c") == told[key]
        assert orjson.dumps(draft.after) == orjson.dumps(told[key].after)


def _tables(flavor: str) -> list[Any]:
    found = kinds(flavor)
    return [
        pytest.param(flavor, found[start : start + TABLE_WIDTH], id=f"{flavor}-{found[start].name}-and-on")
        for start in range(0, len(found), TABLE_WIDTH)
    ]


@pytest.mark.parametrize("metadata", ["FULL", "MINIMAL"])
@pytest.mark.parametrize(("flavor", "columns"), [*_tables("mysql"), *_tables("mariadb")])
def test_every_value_of_every_type_is_the_one_of_the_rows_event(
    flavor: str, columns: list[Kind], metadata: str, request: pytest.FixtureRequest
) -> None:
    database: Database = request.getfixturevalue(f"{flavor}_db")
    rng = Random(0)
    listed = "".join(f", c{number} {kind.definition}" for number, kind in enumerate(columns))
    names = "".join(f", c{number}" for number in range(len(columns)))
    rows = []
    for number in range(max(ROWS, *(len(kind.edges) + 4 for kind in columns))):
        literals = [
            kind.edges[number] if number < len(kind.edges) else "NULL" if rng.random() < 0.05 else kind.random(rng)
            for kind in columns
        ]
        rows.append(f"({', '.join([str(number), *literals])})")
    with database.connect() as connection, row_metadata(connection, metadata):
        must_be_what_was_told(
            *told_and_read(
                database,
                [f"CREATE TABLE t (id INT PRIMARY KEY{listed})"],
                [f"INSERT INTO t (id{names}) VALUES {row}" for row in rows],
            )
        )


SHAPES = {
    "composite key in another order": (
        "CREATE TABLE t (a INT, b VARCHAR(20) COLLATE utf8mb4_general_ci, c INT, PRIMARY KEY (c, b, a))",
        "INSERT INTO t VALUES (1, 'x', 2), (3, 'Y', 1)",
    ),
    "prefix key": (
        "CREATE TABLE t (a INT, b TEXT, PRIMARY KEY (b(5), a))",
        "INSERT INTO t VALUES (1, 'bbbbbbb'), (2, 'bbbbbb'), (1, '')",
    ),
    "unique key that stands in": (
        "CREATE TABLE t (a INT, u INT NOT NULL, v INT NOT NULL, UNIQUE w (a), UNIQUE z (v, u), UNIQUE y (u))",
        "INSERT INTO t VALUES (NULL, 5, 1), (1, 4, 1)",
    ),
    "generated and invisible": (
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, v INT GENERATED ALWAYS AS (a + 1) VIRTUAL, "
        "s VARCHAR(9) GENERATED ALWAYS AS (concat(a, 'x')) STORED, i INT INVISIBLE DEFAULT 5)",
        "INSERT INTO t (id, a) VALUES (1, 3), (2, NULL)",
    ),
    "zerofill and widths": (
        "CREATE TABLE t (id INT(9) ZEROFILL PRIMARY KEY, a DECIMAL(9,3) ZEROFILL, b FLOAT(7,2), c DOUBLE(20,3), "
        "d BIGINT UNSIGNED ZEROFILL, e FLOAT ZEROFILL, f DOUBLE UNSIGNED ZEROFILL, g DECIMAL(3,3) ZEROFILL)",
        "INSERT INTO t VALUES (42, 1.5, 12345.678, 1234567890.1234, 7, 0.1, 1e300, 0.001), (0, 0, 0.1, 0.1, 0, 0, 0, 0), "
        "(1, 999999.999, 99999.99, 99999999999999999.999, 18446744073709551615, 3.4028234e38, 5e-324, 0.999)",
    ),
    "binary charsets": (
        "CREATE TABLE t (k CHAR(4) CHARACTER SET binary PRIMARY KEY, b TEXT CHARACTER SET binary, n NCHAR(3), "
        "c CHAR(0), v VARCHAR(0))",
        "INSERT INTO t VALUES ('a', 'b', 'n ', '', ''), (x'00ff', x'ff00', NULL, NULL, NULL)",
    ),
    "hostile names": (
        "CREATE TABLE t (`a``b` INT, `x; DROP TABLE t--` INT, `'%s` INT, `select` INT, PRIMARY KEY (`a``b`))",
        "INSERT INTO t VALUES (1, 2, 3, 4), (2, NULL, NULL, NULL)",
    ),
    "partitions": (
        "CREATE TABLE t (a INT, b INT, PRIMARY KEY (a)) PARTITION BY HASH (a) PARTITIONS 4",
        "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)",
    ),
}


@pytest.mark.parametrize("metadata", ["FULL", "MINIMAL"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_table_of_any_shape_has_the_schema_and_the_rows_of_its_events(
    any_source_db: Database, shape: str, metadata: str
) -> None:
    create, insert = SHAPES[shape]
    with any_source_db.connect() as connection, row_metadata(connection, metadata):
        must_be_what_was_told(*told_and_read(any_source_db, [create], [insert]))


def test_columns_added_in_place_are_what_an_update_tells(any_source_db: Database) -> None:
    drafts, _, chunk = told_and_read(
        any_source_db,
        [
            "CREATE TABLE t (id INT PRIMARY KEY, n INT)",
            "INSERT INTO t (id) VALUES (1), (2)",
            "ALTER TABLE t ADD COLUMN a VARCHAR(9) NOT NULL DEFAULT 'new', ADD COLUMN b DATETIME(2) NOT NULL, "
            "ADD COLUMN e ENUM('x', 'y') NOT NULL, ADD COLUMN f BINARY(3) NOT NULL FIRST",
        ],
        ["UPDATE t SET n = 1"],
    )
    assert [draft.after for draft in chunk.rows] == [draft.after for draft in drafts]
    assert {draft.schema for draft in drafts} == {chunk.schema.fingerprint()}


def test_generated_invisible_keys_are_read(mysql_db: Database) -> None:
    must_be_what_was_told(
        *told_and_read(
            mysql_db,
            ["SET sql_generate_invisible_primary_key = ON", "CREATE TABLE t (a INT)"],
            ["INSERT INTO t VALUES (5), (6)"],
        )
    )


def test_columns_that_mysql_leaves_empty_in_old_rows(mysql_db: Database) -> None:
    drafts, _, chunk = told_and_read(
        mysql_db,
        [
            "CREATE TABLE t (id INT PRIMARY KEY, n INT)",
            "INSERT INTO t (id) VALUES (1)",
            "ALTER TABLE t ADD COLUMN j JSON NOT NULL, ADD COLUMN v VECTOR(3) NOT NULL",
        ],
        ["UPDATE t SET n = 1"],
    )
    assert [draft.after for draft in chunk.rows] == [draft.after for draft in drafts]
    assert chunk.rows[0].after == {"id": 1, "n": 1, "j": "null", "v": []}


def test_a_geometry_that_mariadb_leaves_empty_in_old_rows(mariadb_db: Database) -> None:
    drafts, _, chunk = told_and_read(
        mariadb_db,
        [
            "CREATE TABLE t (id INT PRIMARY KEY, n INT)",
            "INSERT INTO t (id) VALUES (1)",
            "ALTER TABLE t ADD COLUMN g POINT NOT NULL",
        ],
        ["UPDATE t SET n = 1"],
    )
    assert [draft.after for draft in chunk.rows] == [draft.after for draft in drafts]


def test_rows_larger_than_a_buffer_and_many_small_ones(any_source_db: Database) -> None:
    drafts, schemas, chunk = told_and_read(
        any_source_db,
        ["CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB)"],
        [
            "INSERT INTO t VALUES (-1, REPEAT('x', 2000000)), (1000000, NULL)",
            "INSERT INTO t SELECT a.n * 100 + b.n * 10 + c.n, REPEAT(CHAR(a.n USING latin1), 3000) FROM "
            + ", ".join(f"(SELECT 0 n{''.join(f' UNION SELECT {n}' for n in range(1, 10))}) {name}" for name in "abc"),
        ],
    )
    must_be_what_was_told(drafts, schemas, chunk)
    assert isinstance(chunk.rows, EncodedRows) or load().name == "python"


@pytest.mark.parametrize("size", [(1 << 24) - 11, (1 << 24) - 10, (1 << 24) - 9, (1 << 25) + 7])
def test_rows_of_about_as_many_bytes_as_a_packet(any_source_db: Database, size: int) -> None:
    """A payload of 2^24 - 1 bytes and more goes on in the next packet, which may be empty."""
    execute(
        any_source_db, "SET GLOBAL max_allowed_packet = 67108864", "CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB)"
    )
    execute(any_source_db, f"INSERT INTO t VALUES (1, REPEAT('x', {size})), (2, 'y')")
    chunk = read(any_source_db)
    assert [len(str((row.after or {})["b"])) for row in chunk.rows] == [(size + 2) // 3 * 4, 4]
    must_be_read_alike(chunk, any_source_db, "t")


def test_old_formats_of_dates_and_times_at_mariadb(mariadb_db: Database) -> None:
    execute(mariadb_db, "SET GLOBAL mysql56_temporal_format = OFF")
    try:
        must_be_what_was_told(
            *told_and_read(
                mariadb_db,
                [
                    "CREATE TABLE t (id INT PRIMARY KEY, a TIME, b TIME(4), c DATETIME, d DATETIME(6), e TIMESTAMP NULL, "
                    "f TIMESTAMP(3) NULL)"
                ],
                [
                    "INSERT INTO t VALUES (1, '-838:59:59', '-00:00:00.0001', '2024-02-31 01:02:03', "
                    "'0000-00-00 00:00:00', '2024-01-02 03:04:05', '2024-01-02 03:04:05.678'), "
                    "(2, NULL, '01:02:03.4567', NULL, '2024-02-29 01:02:03.000009', 0, 0)"
                ],
            )
        )
    finally:
        execute(mariadb_db, "SET GLOBAL mysql56_temporal_format = ON")


def test_types_of_the_newest_mariadb(tmp_path: Path) -> None:
    server = start_own_source("mariadb", tmp_path, ways=["unstable"])
    try:
        database = fresh_database(server)
        must_be_what_was_told(
            *told_and_read(
                database,
                [
                    "CREATE TABLE t (id UUID PRIMARY KEY, v VECTOR(3) NOT NULL, t TIMESTAMP(2) NULL, i INET4, "
                    "x VARCHAR(9) COLLATE utf8mb4_uca1400_ai_ci)"
                ],
                [
                    "INSERT INTO t VALUES ('123e4567-e89b-12d3-a456-426655440000', Vec_FromText('[1,0.1,-0.0]'), "
                    "'2106-02-07 06:28:15.99', '1.2.3.4', 'é'), "
                    "('01890a5d-ac96-774b-bcce-b302099a8057', Vec_FromText('[3.4028234e38,0,1e-30]'), NULL, NULL, NULL)"
                ],
            )
        )
    finally:
        server.remove()


def test_excluded_columns_do_not_come_and_masked_ones_have_the_mask_of_the_event(any_source_db: Database) -> None:
    name = any_source_db.dbname
    drafts, schemas, chunk = told_and_read(
        any_source_db,
        ["CREATE TABLE t (id INT PRIMARY KEY, secret TEXT, n DECIMAL(9,2), gone LONGBLOB, f FLOAT, last INT)"],
        ["INSERT INTO t VALUES (1, 'é', -0.5, x'ff', 0.1, 4), (2, NULL, NULL, NULL, NULL, NULL)"],
        exclude_columns=(f"{name}.t.gone",),
        mask_columns=(f"{name}.t.secret", f"{name}.*.n", f"{name}.t.f"),
        mask_salt="salt",
    )
    must_be_what_was_told(drafts, schemas, chunk)
    assert list(chunk.rows[0].after or {}) == ["id", "secret", "n", "f", "last"]
    assert len(str((chunk.rows[0].after or {})["secret"])) == 64


def test_text_that_is_none_in_its_charset_stops_as_the_stream_does(any_source_db: Database) -> None:
    create = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10) CHARACTER SET cp1250)"
    insert = "INSERT INTO t VALUES (1, CONVERT(x'81' USING cp1250))"
    execute(any_source_db, create)
    source = open_source(any_source_db)
    with streaming(source) as stream:
        execute(any_source_db, insert)
        words = "column v: its bytes are not text in its charset cp1250"
        with pytest.raises(NotUnderstood, match=words):
            drain(stream, source)
        with pytest.raises(NotUnderstood, match=words):
            source.chunk(Wanted(any_source_db.dbname, "t"))


def test_members_with_characters_that_the_server_does_not_show_stop_where_a_row_has_one(
    any_source_db: Database,
) -> None:
    create = (
        "CREATE TABLE t (id INT PRIMARY KEY, e ENUM('😀', '?', 'b') CHARACTER SET utf8mb4, "
        "f SET('x', '😀', '?') CHARACTER SET utf16)"
    )
    for number, (e, f) in enumerate([("😀", "x"), ("b", "x,😀")]):
        execute(any_source_db, "DROP TABLE IF EXISTS t", create)
        execute(any_source_db, f"INSERT INTO t VALUES (1, '?', 'x,?'), (2, 'b', ''), (3, '{e}', '{f}')")
        with pytest.raises(
            NotUnderstood, match=rf"column {'ef'[number]}: its member is one that the server shows with a \?"
        ):
            read(any_source_db)
    execute(any_source_db, "DELETE FROM t WHERE id = 3")
    assert [row.after for row in read(any_source_db).rows] == [
        {"id": 1, "e": "?", "f": "x,?"},
        {"id": 2, "e": "b", "f": ""},
    ]


def read(database: Database, table: str = "t", **settings: Any) -> Chunk:
    source: BinlogSource = open_source(database, **settings)
    try:
        return source.chunk(Wanted(database.dbname, table, max_bytes=1 << 30))
    finally:
        source.close()


@pytest.mark.parametrize(
    ("create", "why"),
    [
        ("CREATE TABLE t (a INT, b INT UNIQUE)", r"table .*\.t has no primary key"),
        (
            "CREATE TABLE t (a INT PRIMARY KEY) ENGINE=MyISAM",
            r"table .*\.t is kept by MyISAM: which of its rows",
        ),
        ("CREATE TABLE t (a ENUM('', 'x') PRIMARY KEY)", "ENUM with the member ''"),
        ("CREATE TABLE other (a INT PRIMARY KEY)", r"has no table .*\.t, or shows none"),
        ("CREATE VIEW t AS SELECT 1 AS a", r"has no table .*\.t, or shows none"),
    ],
)
def test_tables_that_cannot_be_read_are_refused_with_the_reason(any_source_db: Database, create: str, why: str) -> None:
    execute(any_source_db, create)
    with pytest.raises(TableRefused, match=why):
        read(any_source_db)


def test_a_masked_key_is_refused(any_source_db: Database) -> None:
    execute(any_source_db, "CREATE TABLE t (a INT PRIMARY KEY)")
    with pytest.raises(TableRefused, match=r"column .*\.t\.a is masked"):
        read(any_source_db, mask_columns=("*.t.a",), mask_salt="x")


def test_a_system_versioned_table_is_refused(mariadb_db: Database) -> None:
    execute(mariadb_db, "CREATE TABLE t (a INT PRIMARY KEY) WITH SYSTEM VERSIONING")
    with pytest.raises(TableRefused, match=r"table .*\.t is system-versioned"):
        read(mariadb_db)
