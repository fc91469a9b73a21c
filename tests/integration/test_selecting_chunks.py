"""Chunks in key order: every row once, whatever the key and the size; bounds of rows and bytes; lists of keys; conditions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from cdc.binlog.rows_port import Chunk, Key, Wanted
from cdc.binlog.source import BinlogSource
from cdc.model.change import Draft
from cdc.model.errors import NotUnderstood, SourceRefused, SourceUnavailable, TableRefused
from tests.fixtures.servers import Database
from tests.support.sources import execute, open_source

DAYS = ("0000-00-00", "2024-00-00", "2024-05-00", "0000-01-01", "2023-02-31", "2024-02-29", "9999-12-31", "2023-01-01")
QUOTED_DAYS = [f"'{day}'" for day in DAYS]
MOMENTS = [*QUOTED_DAYS, *(f"'{day} 23:59:59.999'" for day in DAYS), "'2024-02-29 00:00:00.001'"]
WORDS = ["''", "'a'", "'B'", "'b c'", "'é'", "'f '", "'z'", "'ß'", "'10'", "'9'", "'\\\\'", "'it''s'", "'Zz'", "'中'"]
LATIN_WORDS = [word for word in WORDS if word != "'中'"]
EMOJI = [*WORDS, "'😀'", "'😁'", "'\\0'", "'a\\0'"]
FLOATS = ["0.1", "0.2", "0.3", "1e-30", "-1e30", "16777216", "123456.789", "0.30000004", "0", "3.4028234e38"]
BYTES = ["x''", "x'00'", "x'0000'", "x'ff'", "x'fe'", "x'27'", "x'5c'", "x'6100'", "x'61'", "x'80ff'"]

KEYS: dict[str, tuple[str, Sequence[str]]] = {
    "int": ("k INT PRIMARY KEY", ["-2147483648", "-1", "0", "1", "2", "5", "2147483647"]),
    "bigint unsigned": ("k BIGINT UNSIGNED PRIMARY KEY", ["0", "1", "9223372036854775808", "18446744073709551615"]),
    "decimal": (
        "k DECIMAL(65,30) PRIMARY KEY",
        ["0", "-0.5", "0.000000000000000000000000000001", "1e34", "-1e34", "7"],
    ),
    "float": ("k FLOAT PRIMARY KEY", FLOATS),
    "double": ("k DOUBLE PRIMARY KEY", [*FLOATS, "1e300", "5e-324", "0.30000000000000004"]),
    "bit": ("k BIT(64) PRIMARY KEY", ["0", "1", "b'101'", "9223372036854775808", "18446744073709551615"]),
    "year": ("k YEAR PRIMARY KEY", ["0", "1901", "1970", "2000", "2001", "2155"]),
    "date": ("k DATE PRIMARY KEY", QUOTED_DAYS),
    "datetime": ("k DATETIME(3) PRIMARY KEY", MOMENTS),
    "timestamp": (
        "k TIMESTAMP(2) PRIMARY KEY",
        ["0", "'1970-01-01 00:00:01'", "'2024-03-31 01:59:59.99'", "'2024-03-31 02:00:00'", "'2038-01-19 03:14:07'"],
    ),
    "time": ("k TIME(2) PRIMARY KEY", ["'-838:59:59'", "'-00:00:00.01'", "'00:00:00'", "'100:00:00.5'", "'838:59:59'"]),
    "enum": (
        "k ENUM('b', 'a', 'é', 'c') CHARACTER SET latin1 PRIMARY KEY",
        ["'a'", "'b'", "'c'", "'é'", "'no member'"],
    ),
    "set": ("k SET('b', 'a', 'c') PRIMARY KEY", ["''", "'a'", "'b'", "'c'", "'a,b'", "'a,c'", "'a,b,c'"]),
    "text without case": ("k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY", WORDS),
    "text in bytes": ("k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY", EMOJI),
    "latin1": ("k VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci PRIMARY KEY", LATIN_WORDS),
    "german": ("k CHAR(20) CHARACTER SET latin1 COLLATE latin1_german2_ci PRIMARY KEY", LATIN_WORDS),
    "gbk": ("k VARCHAR(20) CHARACTER SET gbk PRIMARY KEY", ["'a'", "'B'", "'中'", "'文'", "''"]),
    "cp932": ("k VARCHAR(20) CHARACTER SET cp932 PRIMARY KEY", ["'a'", "'B'", "'中'", "'ー'", "''", "'～'"]),
    "euckr": ("k VARCHAR(20) CHARACTER SET euckr PRIMARY KEY", ["'a'", "'B'", "'가'", "'힝'", "''"]),
    "cp1251": ("k VARCHAR(20) CHARACTER SET cp1251 PRIMARY KEY", ["'a'", "'B'", "'я'", "'Ж'", "''"]),
    "sjis": ("k CHAR(20) CHARACTER SET sjis PRIMARY KEY", ["'a'", "'B'", "'中'", "'ー'", "''"]),
    "ucs2": ("k VARCHAR(20) CHARACTER SET ucs2 PRIMARY KEY", WORDS),
    "utf16": ("k CHAR(20) CHARACTER SET utf16 PRIMARY KEY", WORDS),
    "swe7": ("k CHAR(20) CHARACTER SET swe7 PRIMARY KEY", ["'a'", "'B'", "'é'", "'ö'", "''"]),
    "binary": ("k BINARY(4) PRIMARY KEY", BYTES[3:8]),
    "varbinary": ("k VARBINARY(20) PRIMARY KEY", BYTES),
    "prefix of text": (
        "k TEXT CHARACTER SET utf8mb4, PRIMARY KEY (k(3))",
        ["'abc'", "'abd'", "'abe and on'", "'b'", "''", "REPEAT('x', 20000)", "'é'"],
    ),
    "prefix of bytes": ("k BLOB, PRIMARY KEY (k(2))", [*BYTES[3:8], "REPEAT(x'31', 20000)", "x'323133'"]),
    "unique key that stands in": ("k INT NOT NULL, UNIQUE other (v), UNIQUE one (k)", ["1", "3", "2", "-7"]),
}
OF_MYSQL = {
    "text of unicode 9": ("k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci PRIMARY KEY", WORDS),
    "text with case": ("k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_as_cs PRIMARY KEY", [*WORDS, "'😀'"]),
    "descending": ("k INT, PRIMARY KEY (k DESC)", ["1", "5", "-3", "2", "0"]),
    "descending text": ("k VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, PRIMARY KEY (k DESC)", WORDS),
}
OF_MARIADB = {
    "uuid": (
        "k UUID PRIMARY KEY",
        [
            "'00000000-0000-0000-0000-000000000000'",
            "'123e4567-e89b-12d3-a456-426655440000'",
            "'223e4567-e89b-12d3-a456-426655440000'",
            "'123e4567-e89b-12d4-a456-426655440000'",
            "'01890a5d-ac96-774b-bcce-b302099a8057'",
            "'f1890a5d-ac96-774b-0cce-b302099a8057'",
        ],
    ),
    "inet4": ("k INET4 PRIMARY KEY", ["'0.0.0.0'", "'10.0.0.1'", "'9.0.0.1'", "'255.255.255.255'"]),
    "inet6": ("k INET6 PRIMARY KEY", ["'::'", "'::1'", "'::ffff:1.2.3.4'", "'ffff::'", "'1::'"]),
    "text without padding": ("k VARCHAR(20) COLLATE utf8mb4_nopad_bin PRIMARY KEY", [*EMOJI, "'f'"]),
}
SIZES = (1, 2, 7, 1000)


@contextmanager
def reading(database: Database, **settings: Any) -> Iterator[BinlogSource]:
    source = open_source(database, **settings)
    try:
        yield source
    finally:
        source.close()


def chunks(source: BinlogSource, database: Database, **wanted: Any) -> Iterator[Chunk]:
    """The range, chunk by chunk."""
    after: Key | None = wanted.pop("after", None)
    while True:
        chunk = source.chunk(Wanted(database.dbname, "t", after=after, **wanted))
        yield chunk
        if chunk.last is None:
            return
        assert chunk.rows
        assert chunk.last == tuple(chunk.rows[-1].key.values())
        after = chunk.last


def rows(source: BinlogSource, database: Database, **wanted: Any) -> list[Draft]:
    return [row for chunk in chunks(source, database, **wanted) for row in chunk.rows]


def values(drafts: Sequence[Draft], name: str = "v") -> list[Any]:
    return [(draft.after or {})[name] for draft in drafts]


def in_order(database: Database, order: str) -> list[int]:
    """The column v, as the server itself has the order."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT v FROM t ORDER BY {order}")
        return [row[0] for row in cursor.fetchall()]


def fill(database: Database, definition: str, literals: Sequence[str]) -> None:
    """Rows (k, v): v counts."""
    execute(
        database,
        "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'",
        f"CREATE TABLE t (v INT, {definition})",
        *(f"INSERT INTO t (v, k) VALUES ({number}, {literal})" for number, literal in enumerate(literals)),
    )


def every_row_comes_once(database: Database, name: str, definition: str, literals: Sequence[str]) -> None:
    fill(database, definition, literals)
    expected = in_order(database, "k DESC" if "DESC" in definition else "k")
    assert len(expected) == len(literals)
    with reading(database) as source:
        found = rows(source, database)
        assert values(found) == expected
        for size in SIZES:
            parts = list(chunks(source, database, max_rows=size))
            assert values([row for part in parts for row in part.rows]) == expected
            assert [len(part.rows) for part in parts[:-1]] == [size] * (len(parts) - 1)
        keys = [tuple(row.key.values()) for row in found]
        for at, key in enumerate(keys):
            assert values(rows(source, database, after=key)) == expected[at + 1 :]
            assert values(rows(source, database, until=key, max_rows=3)) == expected[: at + 1]
            assert values(rows(source, database, keys=[key])) == [expected[at]]
        assert values(rows(source, database, keys=keys)) == expected


@pytest.mark.parametrize("name", KEYS)
def test_every_row_comes_once_in_the_order_of_the_key(any_source_db: Database, name: str) -> None:
    every_row_comes_once(any_source_db, name, *KEYS[name])


@pytest.mark.parametrize("name", OF_MYSQL)
def test_every_row_comes_once_in_the_order_of_a_key_of_mysql(mysql_db: Database, name: str) -> None:
    every_row_comes_once(mysql_db, name, *OF_MYSQL[name])


@pytest.mark.parametrize("name", OF_MARIADB)
def test_every_row_comes_once_in_the_order_of_a_key_of_mariadb(mariadb_db: Database, name: str) -> None:
    every_row_comes_once(mariadb_db, name, *OF_MARIADB[name])


def test_a_key_whose_character_has_two_codes_stops_before_a_row_is_read_twice(any_source_db: Database) -> None:
    execute(
        any_source_db,
        "CREATE TABLE t (k VARCHAR(9) CHARACTER SET cp932 PRIMARY KEY, v INT)",
        "INSERT INTO t VALUES (_cp932 x'81E6', 0), ('a', 1), ('z', 2)",
    )
    with reading(any_source_db) as source:
        assert sorted(values(rows(source, any_source_db, max_rows=1))) == [0, 1, 2]
        execute(any_source_db, "INSERT INTO t VALUES (_cp932 x'879A', 3), (_cp932 x'FC4B', 4)")
        with pytest.raises(
            NotUnderstood,
            match=r"\.t: column k is in the key, and a character in it is stored in the second of two codes",
        ):
            rows(source, any_source_db, max_rows=1)


COMPOSITE = [
    ("PRIMARY KEY (a, b, c)", "a, b, c"),
    ("PRIMARY KEY (c, a, b)", "c, a, b"),
    ("PRIMARY KEY (b, c(2), a)", "b, c, a"),
    ("a2 INT AS (a) VIRTUAL, PRIMARY KEY (b, a, c)", "b, a, c"),
]


@pytest.mark.parametrize(("definition", "order"), COMPOSITE)
def test_every_row_comes_once_of_a_key_of_several_columns(any_source_db: Database, definition: str, order: str) -> None:
    several_columns(any_source_db, definition, order)


@pytest.mark.parametrize("order", ["a DESC, b, c DESC", "a, b DESC, c"])
def test_every_row_comes_once_of_a_key_in_both_directions(mysql_db: Database, order: str) -> None:
    several_columns(mysql_db, f"PRIMARY KEY ({order})", order)


def several_columns(database: Database, definition: str, order: str) -> None:
    texts = ("'a'", "'B'", "''", "'c d'")
    cells = [(a, b, c) for a in (1, 2, 3) for b in ("'2024-00-00'", "'2023-02-31'", "'2024-01-01'") for c in texts]
    listed = ", ".join(f"({number}, {a}, {b}, {c})" for number, (a, b, c) in enumerate(cells))
    execute(
        database,
        "SET sql_mode = 'ALLOW_INVALID_DATES'",
        f"CREATE TABLE t (v INT, a INT, b DATE, c VARCHAR(9) COLLATE utf8mb4_general_ci, {definition})",
        f"INSERT INTO t (v, a, b, c) VALUES {listed}",
    )
    expected = in_order(database, order)
    with reading(database) as source:
        found = rows(source, database)
        assert values(found) == expected
        for size in (1, 2, 7):
            assert values(rows(source, database, max_rows=size)) == expected
        keys = [tuple(row.key.values()) for row in found]
        for at in range(0, len(keys), 5):
            for to in range(at, len(keys), 7):
                part = rows(source, database, after=keys[at], until=keys[to], max_rows=4)
                assert values(part) == expected[at + 1 : to + 1]
        assert sorted(values(rows(source, database, keys=keys[::2]))) == sorted(expected[::2])


# ---- what it costs


@pytest.fixture
def large_db(any_source_db: Database) -> Database:
    """2000 rows (a, b, v): 20 of each a."""
    listed = ", ".join(f"({number // 20}, {number % 20}, {number}, REPEAT('x', 100))" for number in range(2000))
    execute(
        any_source_db,
        "CREATE TABLE t (a INT, b INT, v INT, pad TEXT, PRIMARY KEY (a, b))",
        f"INSERT INTO t VALUES {listed}",
        "ANALYZE TABLE t",
    )
    return any_source_db


def handler_reads(database: Database) -> int:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Handler_read%'")
        return sum(int(value) for _, value in cursor.fetchall())


def test_a_table_is_read_about_once_chunk_by_chunk(large_db: Database) -> None:
    with reading(large_db) as source:
        source.chunk(Wanted(large_db.dbname, "t", max_rows=1))  # describes the table
        own = -handler_reads(large_db) + handler_reads(large_db)
        before = handler_reads(large_db)
        found = rows(source, large_db, max_rows=50)
        reads = handler_reads(large_db) - before - own
    assert values(found) == list(range(2000))
    assert reads < 2000 + 40 * 60  # an EXPLAIN that scans would read 40,000 and more


def test_a_range_reads_its_rows_alone(large_db: Database) -> None:
    with reading(large_db) as source:
        source.chunk(Wanted(large_db.dbname, "t", max_rows=1))
        own = -handler_reads(large_db) + handler_reads(large_db)
        before = handler_reads(large_db)
        part = rows(source, large_db, after=(50, 3), until=(52, 3))
        listed = rows(source, large_db, keys=[(number, 5) for number in range(0, 100, 10)])
        reads = handler_reads(large_db) - before - own
    assert values(part) == list(range(1004, 1044))
    assert len(listed) == 10
    assert reads < 400


def test_a_long_list_of_keys_is_read_in_pieces(large_db: Database) -> None:
    keys: list[Key] = [(number // 20, number % 20) for number in range(1999, -1, -1)]
    with reading(large_db) as source:
        chunk = source.chunk(Wanted(large_db.dbname, "t", keys=[*keys, (7, 7), (99_999, 1)]))
        assert sorted(values(chunk.rows)) == list(range(2000))
        assert chunk.last is None
        assert source.chunk(Wanted(large_db.dbname, "t", keys=[])).rows == []


def test_one_row_is_told_once_though_its_key_is_listed_in_two_forms(any_source_db: Database) -> None:
    execute(
        any_source_db,
        "CREATE TABLE t (k VARCHAR(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY)",
        "INSERT INTO t VALUES ('a')",
    )
    keys: list[Key] = [("a",), *((f"x{number}",) for number in range(1000)), ("A",)]
    with reading(any_source_db) as source:
        found = source.chunk(Wanted(any_source_db.dbname, "t", keys=keys)).rows
    assert [row.key for row in found] == [{"k": "a"}]


# ---- bytes


def test_a_chunk_holds_the_bound_of_bytes_and_every_row_comes_once(any_source_db: Database) -> None:
    execute(
        any_source_db,
        "CREATE TABLE t (v INT PRIMARY KEY, b LONGBLOB)",
        *(
            f"INSERT INTO t VALUES ({number}, REPEAT('x', {100_000 if number % 7 == 3 else 10}))"
            for number in range(60)
        ),
    )
    with reading(any_source_db) as source:
        parts = list(chunks(source, any_source_db, max_bytes=250_000))
        assert values([row for part in parts for row in part.rows]) == list(range(60))
        for part in parts:
            sizes = [len(str((row.after or {})["b"])) * 3 // 4 for row in part.rows]
            assert sum(sizes) <= 250_000
        assert len(parts) < 20


def test_rows_larger_than_the_bound_come_one_by_one(any_source_db: Database) -> None:
    execute(
        any_source_db,
        "CREATE TABLE t (v INT PRIMARY KEY, b LONGBLOB)",
        *(f"INSERT INTO t VALUES ({number}, REPEAT('x', 10000000))" for number in range(4)),
    )
    with reading(any_source_db) as source:
        parts = list(chunks(source, any_source_db, max_bytes=1 << 20))
    assert [values(part.rows) for part in parts] == [[0], [1], [2], [3]]


# ---- conditions


def test_a_condition_leaves_rows_out(any_source_db: Database) -> None:
    fill(any_source_db, "k INT PRIMARY KEY", [str(number) for number in range(20)])
    with reading(any_source_db) as source:
        for size in SIZES:
            found = rows(source, any_source_db, where="k % 2 = 0 OR t.v = 7", max_rows=size)
            assert values(found) == [0, 2, 4, 6, 7, 8, 10, 12, 14, 16, 18]
        some = rows(source, any_source_db, where="k > 3 OR k = 1", keys=[(1,), (2,), (5,)])
        assert values(some) == [1, 5]


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("k = ", r"refuses the condition for table .*\.t \(k =\).*syntax"),
        ("nothing = 1", r"refuses the condition for table .*\.t \(nothing = 1\).*nothing"),
        ("k = 1; DROP TABLE t", "cannot be used .* has a ; in it"),
        ("k = 1 -- ", "has a comment"),
        ("1) UNION SELECT (1", "closes nothing"),
    ],
)
def test_a_condition_that_the_server_refuses_is_named(any_source_db: Database, where: str, why: str) -> None:
    fill(any_source_db, "k INT PRIMARY KEY", ["1"])
    with reading(any_source_db) as source:
        with pytest.raises(TableRefused, match=why):
            source.chunk(Wanted(any_source_db.dbname, "t", where=where))
        assert values(rows(source, any_source_db)) == [0]


# ---- shapes that change, rights, sessions


def test_a_table_that_changes_between_chunks_is_read_as_it_is(any_source_db: Database) -> None:
    fill(any_source_db, "k INT PRIMARY KEY", ["1", "2", "3"])
    with reading(any_source_db) as source:
        first = source.chunk(Wanted(any_source_db.dbname, "t", max_rows=1))
        execute(any_source_db, "ALTER TABLE t ADD COLUMN n DECIMAL(5,2) NOT NULL DEFAULT 1.5 FIRST")
        second = source.chunk(Wanted(any_source_db.dbname, "t", after=first.last, max_rows=1))
        execute(any_source_db, "DROP TABLE t")
        with pytest.raises(TableRefused, match=r"has no table .*\.t"):
            source.chunk(Wanted(any_source_db.dbname, "t", after=second.last))
    assert [column.name for column in first.schema.columns] == ["v", "k"]
    assert second.rows[0].after == {"n": "1.50", "v": 1, "k": 2}
    assert second.schema.fingerprint() == second.rows[0].schema != first.schema.fingerprint()


def test_a_user_without_rights_is_told_so(any_source_db: Database) -> None:
    fill(any_source_db, "k INT PRIMARY KEY", ["1"])
    user = f"u{any_source_db.dbname[2:]}"
    execute(any_source_db, f"CREATE USER {user} IDENTIFIED BY 'secret'")
    try:
        url = any_source_db.server.url
        scheme, rest = url.split("://")
        source = open_source(any_source_db, url=f"{scheme}://{user}:secret@{rest.rpartition('@')[2]}")
        with pytest.raises((SourceRefused, TableRefused), match=r"denied|shows none"):
            source.chunk(Wanted(any_source_db.dbname, "t"))
        source.close()
    finally:
        execute(any_source_db, f"DROP USER {user}")


def test_a_kept_session_that_the_server_has_ended_is_opened_anew(any_source_db: Database) -> None:
    fill(any_source_db, "k INT PRIMARY KEY", ["1"])
    with reading(any_source_db) as source:
        assert values(rows(source, any_source_db)) == [0]
        with any_source_db.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND command = 'Sleep'"
            )
            for (number,) in cursor.fetchall():
                cursor.execute(f"KILL {number}")
        assert values(rows(source, any_source_db)) == [0]


def test_a_server_that_is_gone_is_unavailable(any_source_db: Database) -> None:
    source = open_source(any_source_db, url=f"mysql://root@127.0.0.1:1/{any_source_db.dbname}")
    with pytest.raises(SourceUnavailable):
        source.chunk(Wanted(any_source_db.dbname, "t"))


# ---- cuts and counts


def test_a_table_is_cut_into_ranges_of_about_the_same_size(large_db: Database) -> None:
    with reading(large_db) as source:
        source.chunk(Wanted(large_db.dbname, "t", max_rows=1))
        own = -handler_reads(large_db) + handler_reads(large_db)
        before = handler_reads(large_db)
        cuts = source.bounds(large_db.dbname, "t", 4)
        assert handler_reads(large_db) - before - own < 50
        assert len(cuts) == 3
        found = []
        for after, until in zip([None, *cuts], [*cuts, None], strict=True):
            part = values(rows(source, large_db, after=after, until=until))
            assert 400 < len(part) < 600
            found += part
        assert found == list(range(2000))
        assert source.bounds(large_db.dbname, "t", 1) == ()
        assert 500 < source.estimated_rows(large_db.dbname, "t") < 8000


@pytest.mark.parametrize(
    ("definition", "literals"),
    [("k INT PRIMARY KEY", []), ("k INT PRIMARY KEY", ["5"]), ("k VARCHAR(9) PRIMARY KEY", ["'a'", "'b'", "'c'"])],
)
def test_what_is_not_cut_cheaply_is_not_cut(any_source_db: Database, definition: str, literals: list[str]) -> None:
    fill(any_source_db, definition, literals)
    with reading(any_source_db) as source:
        assert list(source.bounds(any_source_db.dbname, "t", 4)) == []


def test_gaps_and_descending_keys_are_cut_in_key_order(mysql_db: Database) -> None:
    fill(mysql_db, "k INT, PRIMARY KEY (k DESC)", ["0", "1", "2", "3", "1000", "1001", "2000"])
    with reading(mysql_db) as source:
        assert list(source.bounds(mysql_db.dbname, "t", 4)) == [(1001,), (1000,), (3,)]


# Most keys lie close together, behind what all of them begin with, as keys of applications do.
CUT = {
    "text": ("VARCHAR(40)", "CONCAT('customer-', IF(n % 10, 'eu-', 'us-'), LPAD(n * 7, 7, '0'))"),
    "text of any case": ("VARCHAR(40) COLLATE utf8mb4_general_ci", "CONCAT(IF(n % 2, 'Ab', 'aB'), HEX(n * 1000003))"),
    "uuid": ("CHAR(36) CHARACTER SET ascii", "INSERT(INSERT(LEFT(SHA2(n, 256), 32), 9, 0, '-'), 14, 0, '-')"),
    "hash": ("BINARY(16)", "UNHEX(LEFT(SHA2(n, 256), 32))"),
    "decimal": ("DECIMAL(20,3)", "n * n * 1.001"),
    "date": ("DATE", "DATE_ADD('2000-01-01', INTERVAL n % 3000 DAY)"),
    "moment": ("DATETIME(3)", "DATE_ADD('2020-01-01', INTERVAL n * 1000 SECOND)"),
}


@pytest.mark.parametrize("name", CUT)
def test_keys_that_are_no_whole_numbers_are_cut_too_without_a_scan(any_source_db: Database, name: str) -> None:
    kind, key = CUT[name]
    execute(
        any_source_db,
        "CREATE TABLE d (i INT PRIMARY KEY)",
        "INSERT INTO d VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
        f"CREATE TABLE t (k {kind} NOT NULL, v INT NOT NULL, w CHAR(200), PRIMARY KEY (k, v)) CHARACTER SET utf8mb4",
        f"INSERT INTO t SELECT {key}, n, 'x' FROM "
        "(SELECT a.i + 10 * b.i + 100 * c.i + 1000 * e.i AS n FROM d a, d b, d c, d e) AS numbers",
        "ANALYZE TABLE t",
    )
    with reading(any_source_db) as source:
        source.chunk(Wanted(any_source_db.dbname, "t", max_rows=1))
        before = handler_reads(any_source_db)
        cuts = source.bounds(any_source_db.dbname, "t", 4)
        assert handler_reads(any_source_db) - before < 2000
        assert len(cuts) == 3
        found = []
        for after, until in zip([None, *cuts], [*cuts, None], strict=True):
            part = values(rows(source, any_source_db, after=after, until=until))
            assert 1200 < len(part) < 4500, [len(part), cuts]
            found += part
        assert sorted(found) == list(range(10_000))


@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB"])
def test_rows_go_into_no_stream_that_has_parts_of_rows(any_source_db: Database, image: str) -> None:
    database = any_source_db
    execute(database, "CREATE TABLE t (id INT PRIMARY KEY)")
    source = open_source(database)
    end = source.end()
    execute(database, f"SET GLOBAL binlog_row_image = {image}")
    try:
        with pytest.raises(TableRefused, match=f"binlog_row_image={image}") as caught:
            source.chunk(Wanted(database.dbname, "t"), end)
        assert "SET GLOBAL binlog_row_image = FULL" in caught.value.hint
        # To compare with it needs no stream.
        assert list(source.chunk(Wanted(database.dbname, "t")).rows) == []
    finally:
        execute(database, "SET GLOBAL binlog_row_image = FULL")
    assert list(source.chunk(Wanted(database.dbname, "t"), end).rows) == []
    source.close()
