"""Golden bytes: written here from real servers (`python -m tests.support.golden URL… [CASE…]`), read by the decoder's tests."""

import json
import sys
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pymysql

from cdc.binlog.decoder import load
from cdc.binlog.decoder.rows import DecodedRow
from cdc.model.schema import Column, TableSchema
from tests.support.binlog_dump import end_of_binlog, events_since, rows_events
from tests.support.value_oracle import TEXT_ANSWERS, row_metadata

FOLDER = Path(__file__).parents[1] / "unit" / "golden"


class Case(NamedTuple):
    """`columns` of the table, what is done to it (`{t}` is its name), and what is asked before the last statement.

    `only`: the server that has it, from version `since` on. `session`: a SET statement's assignment. `metadata`:
    binlog_row_metadata. `known`: the columns but `id` as a schema history knows them, where the decoder is given one.
    """

    columns: str
    statements: tuple[str, ...]
    select: str
    only: str = ""
    since: int = 0
    session: str = ""
    metadata: str = "FULL"
    known: tuple[Column, ...] = ()


_SHAPES = (
    *("POINT(1.5 -2)", "LINESTRING(0 0, 1 1, 2 3)", "POLYGON((0 0, 4 0, 4 4, 0 0), (1 0.5, 2 0.5, 2 1, 1 0.5))"),
    *("MULTIPOINT(1 2, 3 4)", "MULTILINESTRING((0 0, 1 1), (2 2, 3 3))", "MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))"),
    "GEOMETRYCOLLECTION(POINT(1 2), LINESTRING(0 0, 1 1))",
)
_UNTOLD = "a TINYINT UNSIGNED, b VARCHAR(20) CHARACTER SET latin1, c BLOB, d ENUM('x', 'é') CHARACTER SET latin2, e POINT, f TEXT"
_UNTOLD_COLUMNS = (
    Column("a", "tinyint", unsigned=True),
    Column("b", "varchar", length=20, charset="latin1", collation="latin1_swedish_ci"),
    Column("c", "blob"),
    Column("d", "enum", charset="latin2", collation="latin2_general_ci", members=("x", "é")),
    Column("e", "point"),
    Column("f", "text", charset="utf8mb4", collation="utf8mb4_general_ci"),
)
_UNTOLD_STATEMENTS = (
    "INSERT INTO {t} VALUES (1, 255, 'é', x'00ff', 'é', ST_GeomFromText('POINT(1 2)', 4326), '😀')",
    "INSERT INTO {t} VALUES (2, NULL, NULL, NULL, NULL, NULL, NULL)",
)
_UNTOLD_SELECT = "a, b, HEX(c), d, HEX(e), f"
_UTF8 = " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"


CASES = {
    "integers": Case(
        "a TINYINT, b TINYINT UNSIGNED, c SMALLINT, d SMALLINT UNSIGNED, e MEDIUMINT, f MEDIUMINT UNSIGNED, g INT, "
        "h INT UNSIGNED, i BIGINT, j BIGINT UNSIGNED, k BOOL, l YEAR, m BIT(1), n BIT(64)",
        (
            "INSERT INTO {t} VALUES (1, -128, 255, -32768, 65535, -8388608, 16777215, -2147483648, 4294967295, "
            "-9223372036854775808, 18446744073709551615, 1, 0, 1, 18446744073709551615)",
            "INSERT INTO {t} VALUES (2, 127, 0, 32767, 0, 8388607, 0, 2147483647, 0, 9223372036854775807, 0, 0, 2155, 0, 257)",
        ),
        "a, b, c, d, e, f, g, h, i, j, k, l + 0, m + 0, n + 0",
    ),
    "decimals_and_floats": Case(
        "a DECIMAL(5,2), b DECIMAL(65,30), c DECIMAL(10,0) ZEROFILL, d DECIMAL(9,9), e FLOAT, f DOUBLE",
        (
            "INSERT INTO {t} VALUES (1, -0.5, -12345678901234567890123456789012345.000000000000000000000000000001, 7, "
            "0.000000001, 0.1, 1e300)",
            "INSERT INTO {t} VALUES (2, 999.99, 0, 4294967295, -0.999999999, -3.4028235e38, -5e-324)",
        ),
        "a, b, c + 0, d, CAST(e AS DOUBLE), f",
    ),
    "dates_and_times": Case(
        "a DATE, b DATETIME, c DATETIME(3), d DATETIME(6), e TIMESTAMP NULL, f TIMESTAMP(6) NULL, g TIME, h TIME(1), i TIME(6)",
        (
            "INSERT INTO {t} VALUES (1, '0000-00-00', '2024-05-00 00:00:00', '9999-12-31 23:59:59.999', "
            "'0001-01-01 00:00:00.000001', '0000-00-00', '1970-01-01 00:00:01.5', '-838:59:59', '-00:00:00.1', "
            "'-00:00:00.000001')",
            "INSERT INTO {t} VALUES (2, '2023-02-31', '0000-00-00', '2024-02-29 01:02:03.45', '2024-02-29', "
            "'2038-01-19 03:14:07', '0000-00-00', '838:59:59', '01:00:00.9', '-01:00:00.5')",
        ),
        "a, b, c, d, e, f, g, h, i",
    ),
    "text_and_bytes": Case(
        "a CHAR(10) CHARACTER SET latin1, b CHAR(100) CHARACTER SET utf8mb4, c VARCHAR(300) CHARACTER SET utf8mb4, "
        "d TEXT CHARACTER SET utf16, e VARCHAR(20) CHARACTER SET gbk, f BINARY(5), g VARBINARY(300), h LONGBLOB",
        (
            "INSERT INTO {t} VALUES (1, CONVERT(x'80818d8f909dff' USING latin1), 'é ', '😀 ', '😀a', '中文', x'0100', "
            "x'0100', x'')",
            "INSERT INTO {t} VALUES (2, '', '', '', '', '', x'', x'', x'00ff00')",
        ),
        "a, b, c, d, e, HEX(f), HEX(g), HEX(h)",
    ),
    "enumerations_and_sets": Case(
        "a ENUM('x', 'é, y') CHARACTER SET latin1, b ENUM('', 'ü') CHARACTER SET ucs2, c SET('p', 'ö', 'r') CHARACTER SET latin2",
        (
            "INSERT INTO {t} VALUES (1, 'é, y', 'ü', 'r,p')",
            "INSERT IGNORE INTO {t} VALUES (2, 'none', '', '')",
        ),
        "a, b, c",
    ),
    "nulls_in_every_operation": Case(
        "a INT, b VARCHAR(9), c DATETIME, d INT, e INT, f INT, g INT, h INT, i INT",
        (
            "INSERT INTO {t} VALUES (1, NULL, 'b', NULL, 4, NULL, 6, NULL, 8, NULL), "
            "(2, 1, NULL, '2024-01-01', 4, 5, 6, 7, 8, 9)",
            "UPDATE {t} SET a = 1, b = NULL, i = 9, id = id + 10 ORDER BY id DESC",
            "DELETE FROM {t}",
        ),
        "a, b, c, d, e, f, g, h, i",
    ),
    "json": Case(
        "a JSON",
        (
            """INSERT INTO {t} VALUES (1, '{{"b": [1, -1, 70000, 1.5, 1e20, true, null, "é\\\\n"], "aa": {{}}, "": []}}')""",
            "INSERT INTO {t} VALUES (2, JSON_ARRAY(1.10, CAST('2024-01-02' AS DATE), CAST('-10:11:12.5' AS TIME(6)), "
            "TIMESTAMP'2024-01-02 03:04:05', x'00ff', 18446744073709551615))",
        ),
        "a",
        only="mysql",
    ),
    "geometries": Case(
        "a GEOMETRY, b POINT, c LINESTRING, d POLYGON, e MULTIPOINT, f MULTILINESTRING, g MULTIPOLYGON, h GEOMETRYCOLLECTION, "
        "i TEXT CHARACTER SET latin1, j BLOB",
        (
            "INSERT INTO {t} VALUES (1, ST_GeomFromText('POINT(1 2)', 4326), "
            + ", ".join(f"ST_GeomFromText('{shape}')" for shape in _SHAPES)
            + ", 'é', x'00')",
            "INSERT INTO {t} (id, a, i) VALUES (2, ST_GeomFromText('GEOMETRYCOLLECTION EMPTY'), 'ü')",
        ),
        ", ".join(f"HEX({column})" for column in "abcdefgh") + ", i, HEX(j)",
    ),
    "vectors": Case(
        "a VECTOR(3), b VECTOR, c TEXT CHARACTER SET latin1",
        (
            "INSERT INTO {t} VALUES (1, STRING_TO_VECTOR('[1, 0.1, -3.4028234e38]'), STRING_TO_VECTOR('[-0.0]'), 'é')",
            "INSERT INTO {t} VALUES (2, STRING_TO_VECTOR('[16777216]'), NULL, 'ü')",
        ),
        "HEX(a), HEX(b), c",
        only="mysql",
    ),
    "vectors_of_mariadb": Case(
        "a VECTOR(3), b VECTOR(100), c VARBINARY(12)",
        (
            "INSERT INTO {t} VALUES (1, VEC_FromText('[1, 0.1, -34.5]'), NULL, x'01')",
            "INSERT INTO {t} VALUES (2, x'0000803fcdcccc3d000080ff', NULL, NULL)",
        ),
        "HEX(a), HEX(b), HEX(c)",
        only="mariadb",
        since=11,
        known=(Column("a", "vector", length=3), Column("b", "vector", length=100), Column("c", "varbinary", length=12)),
    ),
    "text_in_eucjpms": Case(
        "a VARCHAR(20) CHARACTER SET eucjpms",
        (
            "INSERT INTO {t} VALUES (1, '①～ⅰ黑ｱ日本\\\\~')",
            "INSERT INTO {t} VALUES (2, CONVERT(x'f5a18ffefea1c18fa2b7' USING eucjpms))",
        ),
        "a",
    ),
    "compressed_columns": Case(
        "a VARCHAR(300) COMPRESSED CHARACTER SET latin1, b VARBINARY(200) COMPRESSED, c TEXT COMPRESSED CHARACTER SET utf8mb4, "
        "d TINYBLOB COMPRESSED, e LONGTEXT COMPRESSED CHARACTER SET utf16",
        (
            "INSERT INTO {t} VALUES (1, REPEAT('é', 300), REPEAT(x'00', 200), REPEAT('😀', 100), REPEAT(x'ff', 255), '')",
            "SET column_compression_zlib_wrap = ON",
            "INSERT INTO {t} VALUES (2, 'short', x'', REPEAT('ab', 4000), x'01', REPEAT('😀', 300))",
            "SET column_compression_zlib_wrap = OFF",
        ),
        "a, HEX(b), c, HEX(d), e",
        only="mariadb",
    ),
    "types_that_the_history_tells": Case(
        "a UUID, b INET6, c INET4, d BINARY(16)",
        (
            "INSERT INTO {t} VALUES (1, '123e4567-e89b-12d3-a456-426655440000', '::ffff:1.2.3.4', '1.2.3.0', x'01')",
            "INSERT INTO {t} VALUES (2, '00000000-0000-0000-0000-000000000000', '2001:db8::1:0:0:0', '0.0.0.0', x'')",
        ),
        "a, b, c, HEX(d)",
        only="mariadb",
        known=(Column("a", "uuid"), Column("b", "inet6"), Column("c", "inet4"), Column("d", "binary", length=16)),
    ),
    "old_dates_and_times": Case(
        "a TIME, b DATETIME, c TIMESTAMP NULL, d TIME(3), e DATETIME(6), f TIMESTAMP(2) NULL, g DATETIME(1), h TIME(6)",
        (
            "INSERT INTO {t} VALUES (1, '-838:59:59', '9999-12-31 23:59:59', '2038-01-19 03:14:07', '-01:02:03.456', "
            "'2024-02-29 01:02:03.000001', '1970-01-01 00:00:01.5', '0001-01-01 00:00:00.9', '838:59:59')",
            "INSERT INTO {t} VALUES (2, '00:00:01', '0000-00-00', '0000-00-00', '-00:00:00.001', '2024-05-00', '0000-00-00', "
            "'2023-02-31 10:00:00.1', '-00:00:00.000001')",
        ),
        "a, b, c, d, e, f, g, h",
        only="mariadb",
        session="GLOBAL mysql56_temporal_format = OFF",
        known=tuple(
            Column(name, kind, scale=scale)
            for name, kind, scale in (
                *(("a", "time", 0), ("b", "datetime", 0), ("c", "timestamp", 0), ("d", "time", 3)),
                *(("e", "datetime", 6), ("f", "timestamp", 2), ("g", "datetime", 1), ("h", "time", 6)),
            )
        ),
    ),
    "partial_json": Case(
        "a JSON, b JSON, c INT, d JSON",
        (
            """INSERT INTO {t} VALUES (1, '{{"a": [1, 2, {{"b c": "x"}}], "bb": "long enough to be worth it"}}', """
            "'[1, 2, 3, 4, 5]', 1, NULL)",
            """UPDATE {t} SET a = JSON_SET(a, '$.a[2]."b c"', 'yyy', '$.neué', CAST(1.50 AS DECIMAL(5,2)))""",
            "UPDATE {t} SET a = JSON_SET(a, '$.a[last]', 'z'), b = JSON_REMOVE(b, '$[1]', '$[last]'), c = 2",
            "UPDATE {t} SET b = JSON_ARRAY_INSERT(b, '$[1]', JSON_ARRAY(99)), d = '{{}}'",
            """UPDATE {t} SET b = JSON_SET(b, '$[100]', -1, '$[0]', TRUE), a = JSON_SET(a, '$."q\\\\"u"', 1), d = NULL""",
            "UPDATE {t} SET a = JSON_REMOVE(a, '$.bb', '$.a'), c = NULL",
        ),
        "a, b, c, d",
        only="mysql",
        session="binlog_row_value_options = 'PARTIAL_JSON'",
    ),
    **{
        f"row_image_{image.lower()}": Case(
            "a INT, b TEXT CHARACTER SET utf8mb4, c INT NOT NULL, d VARCHAR(9) CHARACTER SET latin1, e BLOB, f INT, g INT, "
            "h INT, i INT",
            (
                "INSERT INTO {t} VALUES (1, 1, 'b', 3, NULL, x'05', 6, 7, NULL, 9), (2, NULL, NULL, 4, 'é', NULL, 1, 2, 3, 4)",
                "UPDATE {t} SET a = a + 1, i = NULL",
                "UPDATE {t} SET b = 'changed', h = 8 WHERE id = 1",
                "UPDATE {t} SET e = x'00', d = NULL",
                "DELETE FROM {t}",
            ),
            "a, b, c, d, HEX(e), f, g, h, i",
            session=f"binlog_row_image = {image}",
        )
        for image in ("MINIMAL", "NOBLOB")
    },
    **{
        f"metadata_{metadata.lower()}": Case(
            _UNTOLD + _UTF8,
            _UNTOLD_STATEMENTS,
            _UNTOLD_SELECT,
            only=only,
            metadata=metadata,
            known=_UNTOLD_COLUMNS,
        )
        for metadata, only in (("MINIMAL", ""), ("NO_LOG", "mariadb"))
    },
}


def record(url: str, names: Container[str] = CASES) -> None:
    """Runs the cases at the server of `url` and writes a file for each."""
    parts = urlsplit(url)
    arguments: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password or "",
        "charset": "utf8mb4",
        "autocommit": True,
    }
    connection, dump = pymysql.connect(**arguments, conv=TEXT_ANSWERS), lambda: pymysql.connect(**arguments)
    version = int(connection.get_server_info().removeprefix("5.5.5-").partition(".")[0])
    for name, case in CASES.items():
        if case.only in ("", parts.scheme) and name in names and version >= case.since:
            golden = _run(connection, dump, name, case)
            text = json.dumps(golden, indent=1, ensure_ascii=False)
            (FOLDER / f"{parts.scheme}_{name}.json").write_text(text + "\n", encoding="utf-8")


def _run(connection: Any, dump: Any, name: str, case: Case) -> dict[str, Any]:
    table = f"golden.{name}"
    statements = [statement.format(t=table) for statement in case.statements]
    create = f"CREATE TABLE {table} (id INT PRIMARY KEY, {case.columns})"
    select = f"SELECT id, {case.select} FROM {table} ORDER BY id"
    said: list[list[str | None]] = []
    decoder = load("python")
    known = (
        TableSchema("golden", name, (Column("id", "int", nullable=False), *case.known), ("id",)) if case.known else None
    )
    with connection.cursor() as cursor, row_metadata(connection, case.metadata), session(cursor, case.session):
        cursor.execute("SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'")
        cursor.execute("CREATE DATABASE IF NOT EXISTS golden")
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
        cursor.execute(create)
        begin = end_of_binlog(connection)
        for statement in statements:
            cursor.execute(statement)
            cursor.execute(select)
            said = [list(row) for row in cursor.fetchall()] or said
        cursor.execute("SELECT VERSION()")
        (version,) = cursor.fetchone()
    events = [
        {
            "table_map": bytes(rows.table_map.body).hex(),
            "type": rows.event.type,
            "rows": bytes(rows.event.body).hex(),
            "event_holds": told(rows.decode(decoder)),
        }
        for rows in rows_events(events_since(dump(), begin), decoder, known and {("golden", name): known})
    ]
    settings = [f"SET {case.session}"] * bool(case.session) + [f"SET GLOBAL binlog_row_metadata = {case.metadata}"]
    return {
        "server": version,
        "sql": [*settings, create, *statements, select],
        "server_says": said,
        "known": known and json.loads(known.to_json()),
        "events": events,
    }


def told(rows: list[DecodedRow]) -> Any:
    """As JSON has it; a column that an image lacks as `{"absent": true}`."""
    return json.loads(json.dumps(rows, default=lambda _: {"absent": True}))


@contextmanager
def session(cursor: Any, assignment: str) -> Iterator[None]:
    """One `SET` for a while; what is global outlives the session otherwise."""
    if not assignment:
        yield
        return
    variable = assignment.partition(" = ")[0]
    scope, _, name = variable.rpartition(" ")
    cursor.execute(f"SELECT @@{scope or 'SESSION'}.{name}")
    (before,) = cursor.fetchone()
    cursor.execute(f"SET {assignment}")
    try:
        yield
    finally:
        cursor.execute(f"SET {variable} = {before if before.isdigit() else repr(before)}")


if __name__ == "__main__":
    urls = [argument for argument in sys.argv[1:] if "://" in argument]
    for each in urls:
        record(each, set(sys.argv[1:]) - set(urls) or CASES)
