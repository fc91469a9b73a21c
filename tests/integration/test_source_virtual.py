"""Virtual generated columns under partial row images: MariaDB leaves those without an index out of an update that changes them,
so the stream stops before it tells less than what happened; MySQL logs them."""

from collections.abc import Iterator

import pytest

from cdc.binlog.port import Stream
from cdc.model.errors import NotUnderstood
from tests.fixtures.servers import Database
from tests.support.sources import collect, drafts, execute, open_source, streaming, transactions

TABLE = "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, v INT GENERATED ALWAYS AS (a + 1) VIRTUAL)"
STOP = r"table .*\.t: a row may have changed in virtual .*missing: v\).*binlog_row_image=FULL.*exclude_columns"


@pytest.fixture(params=["FULL", "NO_LOG"])
def mariadb_with(request: pytest.FixtureRequest, mariadb_db: Database) -> Iterator[Database]:
    """Table maps that tell all, and ones that tell nothing: neither tells which columns are virtual."""
    execute(mariadb_db, f"SET GLOBAL binlog_row_metadata = '{request.param}'")
    yield mariadb_db
    execute(mariadb_db, "SET GLOBAL binlog_row_metadata = 'FULL'")


def change(database: Database, *statements: str, image: str = "MINIMAL") -> None:
    execute(database, f"SET SESSION binlog_row_image = '{image}'", *statements)


def stops(stream: Stream, message: str) -> None:
    with pytest.raises(NotUnderstood) as error:
        collect(stream, lambda _: False)
    error.match(message)


def test_a_virtual_column_of_the_baseline_stops_a_minimal_update_of_mariadb(mariadb_with: Database) -> None:
    execute(mariadb_with, TABLE, "INSERT INTO t (id, a) VALUES (1, 1)")
    with streaming(open_source(mariadb_with)) as stream:
        change(mariadb_with, "UPDATE t SET a = 2")
        stops(stream, STOP)


@pytest.mark.parametrize(
    "statements",
    [
        (TABLE,),
        (TABLE.replace(" v INT", " w INT"), "ALTER TABLE t RENAME COLUMN w TO v"),
        (TABLE, "ALTER TABLE t ADD COLUMN n INT FIRST, DROP COLUMN b"),
        (TABLE.replace(" t ", " u "), "RENAME TABLE u TO t"),
        (TABLE.replace(" t ", " u "), "CREATE TABLE t LIKE u"),
        (TABLE, "CREATE TABLE _t_new LIKE t", "ALTER TABLE _t_new ADD c INT", "RENAME TABLE t TO _t_old, _t_new TO t"),
    ],
    ids=["create", "column", "alter", "rename", "like", "swap"],
)
def test_a_virtual_column_that_ddl_made_stops_a_minimal_update_of_mariadb(
    mariadb_with: Database, statements: tuple[str, ...]
) -> None:
    source = open_source(
        mariadb_with,
        f"{mariadb_with.dbname}.t",
        f"{mariadb_with.dbname}.u",
        schema_changes="apply",
        destructive_changes="apply",
    )
    with streaming(source) as stream:
        execute(mariadb_with, *statements, "INSERT INTO t (id, a) VALUES (1, 1)")
        change(mariadb_with, "UPDATE t SET a = 2")
        stops(stream, STOP)


def test_a_text_stops_an_update_without_blobs(mariadb_with: Database) -> None:
    execute(
        mariadb_with,
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, w INT AS (a + 1) VIRTUAL, v TEXT AS (concat(a, 'x')) VIRTUAL)",
        "INSERT INTO t (id, a) VALUES (1, 1)",
    )
    with streaming(open_source(mariadb_with)) as stream:
        change(mariadb_with, "UPDATE t SET a = 2", image="NOBLOB")
        stops(stream, STOP)


def test_virtual_columns_with_an_index_stored_and_excluded_ones_do_not_stop(mariadb_with: Database) -> None:
    execute(
        mariadb_with,
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, v INT AS (a + 1) VIRTUAL, k INT AS (a + 2) VIRTUAL, "
        "s INT AS (a + 3) STORED, x TEXT AS (concat(a, 'x')) VIRTUAL, KEY (k), KEY (x(3)))",
        "INSERT INTO t (id, a) VALUES (1, 1)",
    )
    with streaming(open_source(mariadb_with, exclude_columns=("*.t.v",))) as stream:
        change(mariadb_with, "UPDATE t SET a = 2", "UPDATE t SET b = 5")
        first, second = (drafts(group)[0].after for group in transactions(stream, 2))
    computed = {"k": 4, "s": 5, "x": "2x"}
    assert first == {"id": 1, "a": 2, **computed}
    assert second == {"id": 1, "b": 5, **computed}


def test_a_minimal_update_of_a_mariadb_table_of_unknown_history_stops(mariadb_db: Database) -> None:
    execute(mariadb_db, TABLE, "INSERT INTO t (id, a) VALUES (1, 1)")
    source = open_source(mariadb_db)
    stream = source.stream(source.resolve("latest"))
    change(mariadb_db, "UPDATE t SET a = 2")
    stops(stream, r"which columns are virtual .* is not known \(missing: b, v\).*binlog_row_image=FULL")
    stream.close()
    source.close()


def test_mysql_logs_virtual_columns(mysql_db: Database) -> None:
    execute(mysql_db, TABLE, "INSERT INTO t (id, a) VALUES (1, 1)")
    with streaming(open_source(mysql_db)) as stream:
        change(mysql_db, "UPDATE t SET a = 2", "UPDATE t SET b = 5")
        first, second = (drafts(group)[0].after for group in transactions(stream, 2))
    assert first == {"id": 1, "a": 2, "v": 3}
    assert second == {"id": 1, "b": 5}
