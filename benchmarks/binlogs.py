"""The binlogs: each in files of its own on the private MySQL, written by statements that the server runs by itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from benchmarks.servers import connect
from benchmarks.sizes import Sizes

DATABASE = "b"
SMALL_ROWS = 4
_BULK = "id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL"
_BULK_VALUES = "i, RPAD(SHA2(i, 256), 119, '-'), LEFT(SHA2(i + 1, 256), 59)"

Cursor = Any


@dataclass(frozen=True, slots=True)
class Binlog:
    """`file` is the first; reading begins at its first event. `gtids`: all that went before. `table` (a pattern) holds all that
    was written."""

    name: str
    title: str
    table: str
    file: str
    gtids: str
    rows: int
    bytes: int


def numbers(cursor: Cursor, statement: str, count: int) -> None:
    """INSERT … SELECT … FROM n, where n has the numbers 1 … `count` in a column i."""
    with_numbers = f"WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    cursor.execute("SET SESSION cte_max_recursion_depth = 4000000")
    cursor.execute(statement.replace("SELECT", f"{with_numbers} SELECT", 1))


def write(
    url: str, name: str, title: str, rows: int, fill: Callable[[Cursor], None], columns: Mapping[str, str] | None = None
) -> Binlog:
    """A binlog with what `fill` does, from the start of a file to the end of one. `columns`: of tables that are made before, in
    another file, so that no reader or sink is told with the time that it takes for a new table."""
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        cursor.execute(f"USE {DATABASE}")
        for table, definition in (columns or {}).items():
            cursor.execute(f"CREATE TABLE `{table}` ({definition})")
        cursor.execute("FLUSH BINARY LOGS")
        file = end(cursor)
        cursor.execute("SELECT @@GLOBAL.gtid_executed")
        gtids = str(cursor.fetchone()[0]).replace("\n", "")
        fill(cursor)
        cursor.execute("FLUSH BINARY LOGS")
        cursor.execute("SHOW BINARY LOGS")
        size = sum(int(row[1]) for row in cursor.fetchall() if str(row[0]) >= file)
    return Binlog(name, title, f"{DATABASE}.{name}", file, gtids, rows, size)


def end(cursor: Cursor) -> str:
    """The file that is written now."""
    try:
        cursor.execute("SHOW BINARY LOG STATUS")
    except Exception:  # noqa: BLE001 - older servers know only the older word, and say so with a syntax error
        cursor.execute("SHOW MASTER STATUS")
    return str(cursor.fetchone()[0])


def bulk(url: str, rows: int, name: str = "bulk", transaction_rows: int = 10_000) -> Binlog:
    def fill(cursor: Cursor) -> None:
        # With numbers of our own: those that the server gives have gaps.
        for done in range(0, rows, transaction_rows):
            statement = f"INSERT INTO {name} (id, k, c, pad) SELECT {done} + i, {_BULK_VALUES} FROM n"
            numbers(cursor, statement, min(rows - done, transaction_rows))

    title = f"bulk: sysbench rows in transactions of {transaction_rows:,}"
    return write(url, name, title, rows, fill, {name: _BULK})


def small(url: str, transactions: int, name: str = "small", rows: int = SMALL_ROWS) -> Binlog:
    def fill(cursor: Cursor) -> None:
        values = ", ".join(["(i, REPEAT('c', 119), REPEAT('p', 59))"] * rows)
        cursor.execute(
            f"CREATE PROCEDURE fill_{name}(IN n INT) BEGIN DECLARE i INT DEFAULT 0; WHILE i < n DO"
            f" INSERT INTO {name} (k, c, pad) VALUES {values}; SET i = i + 1; END WHILE; END"
        )
        cursor.execute(f"CALL fill_{name}({transactions})")

    return write(url, name, f"small: sysbench rows in transactions of {rows}", transactions * rows, fill, {name: _BULK})


_WIDE = (
    ("INT", "i + {n}"),
    ("BIGINT UNSIGNED", "i * 1000003"),
    ("DECIMAL(18,4)", "i / 7"),
    ("DOUBLE", "i / 3"),
    ("DATE", "DATE_ADD('2000-01-01', INTERVAL i % 9000 DAY)"),
    ("DATETIME(6)", "TIMESTAMPADD(MICROSECOND, i * 1234567, '2001-02-03')"),
    ("VARCHAR(40)", "LEFT(SHA2(i + {n}, 224), i % 40)"),
    ("CHAR(10)", "LEFT(SHA2(i, 224), 10)"),
    ("ENUM('new','open','done')", "1 + i % 3"),
    ("TINYINT", "IF(i % 5, i % 100, NULL)"),
)


def wide(url: str, rows: int, columns: int = 100, name: str = "wide", transaction_rows: int = 1_000) -> Binlog:
    kinds = [_WIDE[n % len(_WIDE)] for n in range(columns - 1)]
    definition = "id INT PRIMARY KEY AUTO_INCREMENT, " + ", ".join(f"c{n} {kind}" for n, (kind, _) in enumerate(kinds))

    def fill(cursor: Cursor) -> None:
        values = ", ".join(value.format(n=n) for n, (_, value) in enumerate(kinds))
        names = ", ".join(f"c{n}" for n in range(len(kinds)))
        left = rows
        while left > 0:
            numbers(cursor, f"INSERT INTO {name} ({names}) SELECT {values} FROM n", min(left, transaction_rows))
            left -= transaction_rows

    return write(url, name, f"wide: {columns} columns of ten types", rows, fill, {name: definition})


def documents(url: str, rows: int, name: str = "json") -> Binlog:
    document = (
        "JSON_OBJECT('id', i, 'name', SHA2(i, 224), 'price', i / 8, 'tags', JSON_ARRAY('a', 'bc', i), 'open', i % 2 = 0,"
        " 'address', JSON_OBJECT('street', SHA2(i + 1, 224), 'city', 'Köln', 'geo', JSON_ARRAY(i / 3, i / 7)))"
    )

    def fill(cursor: Cursor) -> None:
        left = rows
        while left > 0:
            numbers(cursor, f"INSERT INTO `{name}` (doc) SELECT {document} FROM n", min(left, 1_000))
            left -= 1_000

    return write(
        url,
        name,
        "json: a nested document of about 250 bytes",
        rows,
        fill,
        {name: "id INT PRIMARY KEY AUTO_INCREMENT, doc JSON"},
    )


def blobs(url: str, rows: int, name: str = "blob_rows") -> Binlog:
    def fill(cursor: Cursor) -> None:
        left = rows
        while left > 0:
            numbers(
                cursor, f"INSERT INTO {name} (body) SELECT REPEAT(UNHEX(SHA2(i, 512)), 32) FROM n", min(left, 1_000)
            )
            left -= 1_000

    return write(
        url, name, "blob: 2,048 bytes in each row", rows, fill, {name: "id INT PRIMARY KEY AUTO_INCREMENT, body BLOB"}
    )


@cache
def huge(url: str, rows: int, row_bytes: int, name: str = "huge") -> Binlog:
    """One transaction; written once in a run."""

    def fill(cursor: Cursor) -> None:
        numbers(cursor, f"INSERT INTO {name} (body) SELECT RPAD(SHA2(i, 512), {row_bytes - 8}, '-') FROM n", rows)

    columns = {name: "id INT PRIMARY KEY AUTO_INCREMENT, body VARCHAR(4000) CHARACTER SET latin1"}
    return write(url, name, f"huge: one transaction of {rows * row_bytes / 1e9:.1f} GB", rows, fill, columns)


def empty(url: str) -> Binlog:
    """Nothing but what begins and ends a file: what a reader costs before its first row."""
    return write(url, "empty", "empty", 0, lambda cursor: None)


def many_tables(url: str, tables: int, rows: int) -> Binlog:
    """Transactions of 100 rows, each in one of `tables` tables in turn."""
    name = f"t{tables}_"
    columns = {f"{name}{number}": _BULK for number in range(tables)}

    def fill(cursor: Cursor) -> None:
        each = max(1, rows // tables)
        at_once = min(each, 100)
        for start in range(0, each, at_once):
            for number in range(tables):
                numbers(
                    cursor,
                    f"INSERT INTO {name}{number} (k, c, pad) SELECT {_BULK_VALUES} FROM n",
                    min(at_once, each - start),
                )

    made = write(url, name, f"{tables:,} tables", max(1, rows // tables) * tables, fill, columns)
    return replace(made, table=f"{DATABASE}.{name}*")


def of(url: str, sizes: Sizes) -> list[Binlog]:
    """Those of the part `capture`, but for the transaction of 1 GB."""
    return [
        bulk(url, sizes.bulk_rows),
        small(url, sizes.small_transactions),
        wide(url, sizes.wide_rows),
        documents(url, sizes.json_rows),
        blobs(url, sizes.blob_rows),
    ]
