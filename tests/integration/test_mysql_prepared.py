"""Upserts by prepared statements: every value arrives as it does as text, and where none can be prepared the text does."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from cdc.model.batch import TableBatch
from cdc.model.change import Row
from cdc.model.config import SinkConfig
from cdc.model.errors import RowRefused
from cdc.model.schema import Column, TableSchema
from cdc.processes.compactor import compact
from cdc.target import mysql_prepared
from cdc.target.port import LaneWriter
from cdc.target.registry import open_target
from tests.fixtures.servers import Database
from tests.support.received import draft_of, message
from tests.support.targets import write

compiled = pytest.importorskip("cdc.model.received", reason="the compiled parts are not built")

TEXT = {"charset": "utf8mb4", "collation": "utf8mb4_general_ci"}
VALUES: list[tuple[Column, list[Any]]] = [
    (Column("c", "tinyint"), [-128, 0, 127]),
    (Column("c", "mediumint", unsigned=True), [0, 16777215]),
    (Column("c", "bigint", unsigned=True), [0, 9223372036854775807, 9223372036854775808, 18446744073709551615]),
    (Column("c", "bigint"), [-9223372036854775808, -1, 9223372036854775807]),
    (Column("c", "bit", length=64), [0, 1, 18446744073709551615]),
    (Column("c", "decimal", precision=65, scale=30), ["-" + "9" * 35 + "." + "9" * 30, "0." + "0" * 29 + "1", "7"]),
    (Column("c", "decimal", precision=5, scale=0), ["-99999", "0"]),
    (Column("c", "double"), [1e16, -1.5, 0.1, -0.0, 3]),
    (Column("c", "float"), [3.4028235e38, 0.1, -1e-30, 16777216]),
    (Column("c", "timestamp", scale=6), ["2024-03-31T02:30:00.123456Z", "0000-00-00T00:00:00.000000Z"]),
    (Column("c", "year"), [0, 1901, 2155]),
    (Column("c", "date"), ["0000-00-00", "2024-02-31", "2024-00-10", "9999-12-31"]),
    (Column("c", "time", scale=6), ["-838:59:59.000000", "00:00:00.000001"]),
    (Column("c", "datetime", scale=6), ["0000-00-00T00:00:00.000000", "2024-02-31T10:00:00.000001"]),
    (Column("c", "char", length=20, **TEXT), ["", "it's \\ 100% %s", "😀\n\t\0", "trailing  "]),
    (Column("c", "varchar", length=20, charset="latin1", collation="latin1_swedish_ci"), ["é€", "trailing  "]),
    (Column("c", "longtext", **TEXT), ["", "x" * 250, "y" * 251, "é" * 40_000]),
    (Column("c", "json"), ['{"ü": [1, "\\"x\\\\"], "d": 1.10}', "null", "[]", '"text"', '{"a": "b"}']),
    (Column("c", "enum", members=("a", "b,c"), **TEXT), ["b,c"]),
    (Column("c", "set", members=("a", "b"), **TEXT), ["", "a,b"]),
]


@pytest.fixture(autouse=True)
def small_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows each, so that few rows show what many do."""
    monkeypatch.setattr(mysql_prepared, "ROWS", 2)
    monkeypatch.setattr(mysql_prepared, "_LEAST_ROWS", 1)


@pytest.fixture
def writer(mysql_db: Database) -> Iterator[LaneWriter]:
    target = open_target("shop", "sink", SinkConfig(url=mysql_db.url))
    opened = target.writer(2.0)
    opened.take_over("0", 5)
    yield opened
    opened.close()
    target.close()


def received(op: str, rows: Sequence[Row], schema: TableSchema) -> TableBatch:
    """The batch as a sink has it that read these changes from a queue."""
    drafts = [draft_of(op, {"id": row["id"]}, row, table=schema.table, schema=schema.table) for row in rows]
    block = compiled.ReceivedBlock.of([message(draft, n=n) for n, draft in enumerate(drafts, 1)])
    assert None not in map(block.change, range(len(rows)))
    (batch,) = compact(block.changes(0, len(rows), [True]), lambda _: schema)
    return batch


def ask(db: Database, sql: str) -> list[tuple[Any, ...]]:
    with db.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def executed(db: Database) -> int:
    """Prepared statements that the server has executed so far."""
    ((_, count),) = ask(db, "SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'")
    return int(count)


def schema_of(table: str, *columns: Column) -> TableSchema:
    return TableSchema("shop", table, (Column("id", "int", nullable=False), *columns), ("id",))


@pytest.mark.parametrize(("column", "values"), VALUES, ids=lambda part: getattr(part, "type", None))
def test_values_arrive_as_they_do_as_text(
    writer: LaneWriter, mysql_db: Database, monkeypatch: pytest.MonkeyPatch, column: Column, values: list[Any]
) -> None:
    # Two of each, so that statements are filled, in which the same parameter is a value and NULL by turns.
    rows = [{"id": number, "c": value} for number, value in enumerate([*values, *values, None, None])]
    turned = [{"id": row["id"], "c": other["c"]} for row, other in zip(rows, [*rows[-1:], *rows[:-1]], strict=True)]
    before = executed(mysql_db)
    write(writer, received("c", turned, schema_of("prepared", column)))
    write(writer, received("u", rows, schema_of("prepared", column)))
    done = executed(mysql_db)
    assert done - before >= len(rows)
    monkeypatch.setattr(mysql_prepared, "ROWS", 0)
    write(writer, received("c", rows, schema_of("texts", column)))
    assert executed(mysql_db) == done
    differing = (
        "SELECT p.id, p.c, t.c FROM prepared p JOIN texts t USING (id) WHERE NOT p.c <=> t.c"
        " OR NOT HEX(CAST(p.c AS BINARY)) <=> HEX(CAST(t.c AS BINARY))"
    )
    assert ask(mysql_db, differing) == []
    assert ask(mysql_db, "SELECT COUNT(*), COUNT(c) FROM prepared") == ask(
        mysql_db, "SELECT COUNT(*), COUNT(c) FROM texts"
    )
    assert ask(mysql_db, "SELECT COUNT(c) FROM prepared") == [(sum(row["c"] is not None for row in rows),)]


def test_what_does_not_fill_a_statement_and_what_only_a_literal_says_is_text(
    writer: LaneWriter, mysql_db: Database
) -> None:
    schema = schema_of("mixed", Column("b", "varbinary", length=9), Column("n", "int"))
    before = executed(mysql_db)
    write(writer, received("c", [{"id": n, "b": "AP8=", "n": n} for n in range(5)], schema))
    assert executed(mysql_db) == before
    assert ask(mysql_db, "SELECT COUNT(*) FROM mixed WHERE b = x'00ff' AND n = id") == [(5,)]
    plain = schema_of("plain", Column("n", "int"))
    write(writer, received("c", [{"id": n, "n": n} for n in range(5)], plain))
    assert executed(mysql_db) - before == 2
    assert ask(mysql_db, "SELECT COUNT(*) FROM plain WHERE n = id") == [(5,)]


def test_an_update_of_a_missing_row_is_found(writer: LaneWriter, mysql_db: Database) -> None:
    schema = schema_of("plain", Column("n", "int"))
    write(writer, received("c", [{"id": n, "n": 0} for n in range(4)], schema))
    write(writer, received("u", [{"id": n, "n": 1} for n in range(4)], schema))
    # As they are already: the server then counts none as changed.
    write(writer, received("u", [{"id": n, "n": 1} for n in range(4)], schema))
    with pytest.raises(RowRefused, match="key id=4"):
        write(writer, received("u", [{"id": n, "n": 2} for n in range(1, 5)], schema))
    assert ask(mysql_db, "SELECT id, n FROM plain ORDER BY id") == [(n, 1) for n in range(4)]


def test_a_value_that_does_not_fit_is_refused(writer: LaneWriter, mysql_db: Database) -> None:
    schema = schema_of("plain", Column("n", "tinyint"), Column("c", "varchar", length=3, **TEXT))
    for row in ({"n": 128, "c": ""}, {"n": 0, "c": "long"}):
        with pytest.raises(RowRefused):
            write(writer, received("c", [{"id": 1, "n": 0, "c": ""}, {"id": 2, **row}], schema))
    assert ask(mysql_db, "SELECT COUNT(*) FROM plain") == [(0,)]


def test_tables_that_change_are_prepared_anew(writer: LaneWriter, mysql_db: Database) -> None:
    schema = schema_of("plain", Column("n", "int"))
    write(writer, received("c", [{"id": n, "n": n} for n in range(2)], schema))
    with mysql_db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE plain MODIFY n BIGINT, ADD m INT DEFAULT 7")
    write(writer, received("c", [{"id": n, "n": 2**40} for n in range(2, 4)], schema))
    assert ask(mysql_db, "SELECT n, m FROM plain ORDER BY id") == [(0, 7), (1, 7), (2**40, 7), (2**40, 7)]


def test_more_tables_than_statements_are_kept(writer: LaneWriter, mysql_db: Database) -> None:
    for number in [*range(18), *range(18)]:
        write(writer, received("c", [{"id": n, "n": n} for n in range(2)], schema_of(f"t{number}", Column("n", "int"))))
    ((_, kept),) = ask(mysql_db, "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")
    assert int(kept) <= 16


def test_a_server_that_prepares_no_more_gets_text(writer: LaneWriter, mysql_db: Database) -> None:
    schema = schema_of("plain", Column("n", "int"))
    before = executed(mysql_db)
    try:
        with mysql_db.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL max_prepared_stmt_count = 0")
        write(writer, received("c", [{"id": n, "n": n} for n in range(5)], schema))
    finally:
        with mysql_db.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL max_prepared_stmt_count = DEFAULT")
    write(writer, received("u", [{"id": n, "n": -n} for n in range(5)], schema))
    assert executed(mysql_db) == before
    assert ask(mysql_db, "SELECT COUNT(*) FROM plain WHERE n = -id") == [(5,)]
