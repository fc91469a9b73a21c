"""Golden bytes: written here from real servers (`python -m tests.support.golden URL…`), read by the decoder's unit tests."""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pymysql

from cdc.binlog.decoder import load
from tests.support.binlog_dump import end_of_binlog, events_since, rows_events
from tests.support.value_oracle import TEXT_ANSWERS

FOLDER = Path(__file__).parents[1] / "unit" / "golden"


class Case(NamedTuple):
    """`columns` of the table, what is done to it (`{t}` is its name), and what is asked before the last statement."""

    columns: str
    statements: tuple[str, ...]
    select: str
    only: str = ""


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
}


def record(url: str) -> None:
    """Runs every case at the server of `url` (root, no password) and writes its file."""
    parts = urlsplit(url)
    arguments: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "charset": "utf8mb4",
        "autocommit": True,
    }
    connection, dump = pymysql.connect(**arguments, conv=TEXT_ANSWERS), lambda: pymysql.connect(**arguments)
    for name, case in CASES.items():
        if case.only in ("", parts.scheme):
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
    with connection.cursor() as cursor:
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
            "event_holds": rows.decode(decoder),
        }
        for rows in rows_events(events_since(dump(), begin), decoder)
    ]
    return {"server": version, "sql": [create, *statements, select], "server_says": said, "events": events}


if __name__ == "__main__":
    for each in sys.argv[1:]:
        record(each)
