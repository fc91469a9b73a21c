"""A copy that is given up halfway leaves its table alone tolerant of rows that are missing, until it is copied again."""

from contextlib import closing
from pathlib import Path

import psycopg

from tests.fixtures.servers import Database
from tests.support.fleet import Fleet
from tests.support.pipeline import cdc, connector, write_connector
from tests.support.sides import differences, mysql_connection, rows
from tests.support.wait import until

MANY = 20_000


def committed(source: Database, *statements: str) -> None:
    with closing(mysql_connection(source.url)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_changes_of_rows_that_no_copy_brings_are_taken_and_those_of_other_tables_are_not(
    mysql_db: Database, pg_db: str, redis_url: str, tmp_path: Path
) -> None:
    source = mysql_db
    committed(
        source,
        "CREATE TABLE small (id INT PRIMARY KEY, v VARCHAR(20))",
        "CREATE TABLE large (id INT PRIMARY KEY, v VARCHAR(20))",
        "INSERT INTO small VALUES (1, 'old'), (2, 'old')",
        "SET SESSION cte_max_recursion_depth = 100000",
        "INSERT INTO large WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n"
        f" WHERE i < {MANY}) SELECT i, 'old' FROM n",
    )
    document = connector(
        f"cancelled-{source.dbname.replace('_', '-')}",
        source_url=source.server.url,
        target_url=pg_db,
        tables=[f"{source.dbname}.*"],
        queue={"url": redis_url},
        source={"start": "snapshot", "snapshot": {"chunk_rows": 20, "parallel": 1}},
    )
    file = write_connector(tmp_path, document)

    def there(table: str, condition: str = "true") -> int:
        with psycopg.connect(pg_db) as connection:
            try:
                found = connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}".encode()).fetchone()
            except psycopg.errors.UndefinedTable:
                return 0
        assert found is not None
        return int(found[0])

    with Fleet(file, tmp_path) as fleet:
        fleet.reader()
        sink = fleet.sink()
        until(lambda: there("small") == 2 and there("large") > 0, 60, "rows are copied")
        cancelled = cdc("snapshot", str(file), "--table", f"{source.dbname}.large", "--cancel")
        assert cancelled.returncode == 0, cancelled.stderr
        fleet.drain(60)
        copied = there("large")
        assert copied < MANY
        # One row that came, and one that did not; one update of it alone would find nothing.
        committed(
            source, f"UPDATE large SET v = 'new' WHERE id IN (1, {MANY})", f"DELETE FROM large WHERE id = {MANY - 1}"
        )
        fleet.drain(60)
        assert there("large", f"v = 'new' AND id IN (1, {MANY})") == 2
        assert there("large") == copied + 1
        again = cdc("snapshot", str(file), "--table", f"{source.dbname}.large", "--json")
        assert again.returncode == 0, again.stderr
        fleet.require_running()
        for table in ("small", "large"):
            assert list(differences(rows(source.url, table, ("id",)), rows(pg_db, table, ("id",)))) == []
        # The other table never was tolerant: a row that is missing there is a surprise.
        with psycopg.connect(pg_db, autocommit=True) as hand:
            hand.execute("DELETE FROM small WHERE id = 1")
        committed(source, "UPDATE small SET v = 'new' WHERE id = 1")
        until(lambda: not sink.running, 60, "the sink stops")
        assert "error: table small lacks the row id=1 that an update is for" in sink.text()
        fleet.kill(sink)
