"""Statements are read as the session had them that wrote them: its quotes, its escapes, and its server's comments."""

import pytest

from cdc.binlog.port import Stream
from cdc.model.errors import NotUnderstood
from tests.fixtures.servers import Database
from tests.support.sources import collect, drafts, execute, open_source, streaming, transactions, truncations

TABLE = "CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(40))"


def stops(stream: Stream, message: str) -> None:
    with pytest.raises(NotUnderstood) as error:
        collect(stream, lambda _: False)
    error.match(message)


def test_quotes_of_ansi_are_names(any_source_db: Database) -> None:
    execute(any_source_db, TABLE)
    with streaming(open_source(any_source_db)) as stream:
        execute(any_source_db, "SET SESSION sql_mode = 'ANSI_QUOTES'", 'TRUNCATE TABLE "items"')
        ((_, truncated, _),) = transactions(stream, 1)
    assert [one.table for one in truncations([truncated])] == ["items"]


def test_a_backslash_that_escapes_nothing_ends_with_its_quote(any_source_db: Database) -> None:
    execute(any_source_db, TABLE)
    with streaming(open_source(any_source_db)) as stream:
        execute(
            any_source_db,
            "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'",
            "ALTER TABLE items COMMENT = 'C:\\'",
            "INSERT INTO items VALUES (1, 'a')",
        )
        (group,) = transactions(stream, 1)
    assert [draft.op for draft in drafts(group)] == ["c"]


def test_a_statement_in_mariadb_s_own_comment_counts(mariadb_db: Database) -> None:
    execute(mariadb_db, TABLE)
    with streaming(open_source(mariadb_db)) as stream:
        execute(mariadb_db, "/*M! TRUNCATE TABLE items */")
        ((_, truncated, _),) = transactions(stream, 1)
    assert [one.table for one in truncations([truncated])] == ["items"]


def test_rows_of_a_statement_are_those_of_the_tables_that_the_session_named(any_source_db: Database) -> None:
    execute(any_source_db, TABLE, "CREATE TABLE others (id INT PRIMARY KEY)")
    with streaming(open_source(any_source_db, f"{any_source_db.dbname}.items")) as stream:
        execute(
            any_source_db,
            "SET SESSION binlog_format = 'STATEMENT', SESSION sql_mode = 'ANSI_QUOTES'",
            'INSERT INTO "others" VALUES (1)',
            """INSERT INTO "items" VALUES (1, 'x')""",
        )
        stops(stream, "INSERT INTO is logged as a statement")
