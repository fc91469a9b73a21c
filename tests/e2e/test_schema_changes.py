"""Tables that change while the pipeline runs: each change reaches the target at its place in the stream, columns included."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import position, queue_sections
from tests.fixtures.servers import Database
from tests.support.pipeline import Process, cdc, connector, write_connector
from tests.support.sides import differences, rows
from tests.support.sinks import statement_at
from tests.support.sources import execute
from tests.support.wait import until

COMBINATIONS = [
    ("mysql", "redis", "postgresql", "key"),
    ("mysql", "memory", "mysql", "transaction"),
    ("mariadb", "redis", "mariadb", "key"),
    ("mysql", "kafka", "sqlite", "key"),
    ("mariadb", "memory", "postgresql", "transaction"),
]
LONGER = 3
"""From here on behind `make faults`."""

CHANGES = (
    "ALTER TABLE items ADD COLUMN price DECIMAL(10,2) NOT NULL DEFAULT 1.50 AFTER name",
    "UPDATE items SET price = price + id",
    "ALTER TABLE items ADD COLUMN (a INT, b VARCHAR(20) DEFAULT 'bé'), MODIFY id BIGINT NOT NULL",
    "INSERT INTO items (id, name) VALUES (100, 'after add')",
    "ALTER TABLE items RENAME COLUMN a TO c, ALTER COLUMN b SET DEFAULT 'later', MODIFY name VARCHAR(200)",
    "INSERT INTO items (id, name, c) VALUES (101, REPEAT('x', 150), 7)",
    "ALTER TABLE items CHANGE b note TEXT AFTER id, DROP COLUMN price",
    "UPDATE items SET note = CONCAT(note, '!') WHERE id < 5",
    "ALTER TABLE items RENAME COLUMN c TO d, RENAME COLUMN note TO c",
    "INSERT INTO items (id, c, name, d) VALUES (102, 'swapped', 'n', 8)",
    "TRUNCATE TABLE other",
    "INSERT INTO other VALUES (9, 'nine')",
    "ALTER TABLE other ADD COLUMN stamp DATETIME(3) DEFAULT '2024-02-29 01:02:03.5'",
    "DELETE FROM items WHERE id = 3",
    "CREATE TABLE fresh (k VARCHAR(30) PRIMARY KEY, v JSON)",
    "INSERT INTO fresh VALUES ('é', '[1]')",
    "RENAME TABLE fresh TO renamed",
    "INSERT INTO renamed VALUES ('two', NULL)",
    "CREATE TABLE copied (PRIMARY KEY (id)) SELECT id, name FROM items WHERE id < 200",
    "UPDATE copied SET name = 'copied' WHERE id < 9",
    "CREATE TABLE doomed (id INT PRIMARY KEY)",
    "INSERT INTO doomed VALUES (1)",
    "DROP TABLE doomed",
)
# As gh-ost and pt-online-schema-change do it, but for the writes while they copy; the ghosts match no pattern.
SWAPS = (
    "CREATE TABLE _items_gho LIKE items",
    "ALTER TABLE _items_gho ADD COLUMN ghost INT NOT NULL DEFAULT 5, DROP COLUMN d",
    "INSERT INTO _items_gho (id, c, name) SELECT id, c, name FROM items; "
    "RENAME TABLE items TO _items_del, _items_gho TO items",
    "UPDATE items SET ghost = 6 WHERE id = 100",
    "DROP TABLE _items_del",
    "INSERT INTO items (id, c, name) VALUES (103, 'x', 'y')",
)
KEYS = {"items": ("id",), "other": ("id",), "renamed": ("k",), "copied": ("id",)}


@pytest.mark.parametrize(
    ("source", "queue", "target_url", "order"),
    [
        pytest.param(*one, marks=pytest.mark.faults if number >= LONGER else ())
        for number, one in enumerate(COMBINATIONS)
    ],
    indirect=["source", "target_url"],
    ids=["-".join(one) for one in COMBINATIONS],
)
def test_both_sides_have_the_same_columns_and_rows_after_changes_under_load(
    source: Database, queue: str, target_url: str, order: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    document = document_of(source, target_url, order, **queue_sections(queue, request))
    execute(
        source,
        "CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(40))",
        "CREATE TABLE other (id INT PRIMARY KEY, v VARCHAR(40))",
        "INSERT INTO items VALUES " + ", ".join(f"({n}, 'row {n}')" for n in range(1, 40)),
        "INSERT INTO other VALUES (1, 'one'), (2, 'two')",
    )
    file = write_connector(tmp_path, document)
    ids = itertools.count(1000)
    with Process(tmp_path, "run", str(file)) as process:
        for statement in (*CHANGES, *SWAPS):
            execute(source, f"INSERT INTO items (id, name) VALUES ({next(ids)}, 'load')")
            execute(source, *statement.split("; "), "UPDATE items SET name = CONCAT('u', id) WHERE id >= 1000 LIMIT 3")
        until(lambda: not unlike(source, target_url), 90, lambda: f"{unlike(source, target_url)}\n{process.text()}")
        assert process.end() == 0, process.text()
    with pytest.raises(Exception, match="doomed"):
        rows(target_url, "doomed", ("id",))


def document_of(source: Database, target_url: str, order: str, **sections: Any) -> dict[str, Any]:
    name = f"s-{source.dbname.replace('_', '-')}"
    tables = [f"{source.dbname}.*", f"!{source.dbname}._*"]
    document = connector(
        name, source_url=source.server.url, target_url=target_url, tables=tables, order=order, **sections
    )
    document["source"] |= {"start": position(source), "destructive_changes": "apply"}
    return document


def unlike(source: Database, target: str) -> list[str]:
    found = []
    for table, key in KEYS.items():
        try:
            left, right = rows(source.url, table, key), rows(target, table, key)
        except Exception as error:  # noqa: BLE001 — a table that is not there yet is a difference like any other
            found.append(str(error))
            continue
        found += differences(left, right)
        columns = [{name for row in side.values() for name in row} for side in (left, right)]
        if columns[0] != columns[1]:
            found.append(f"{table}: columns {columns[0] ^ columns[1]} on one side only")
    return found


def test_a_destructive_change_stops_with_what_to_do_and_goes_on_when_allowed(
    mysql_db: Database, pg_db: str, redis_url: str, tmp_path: Path
) -> None:
    document = document_of(mysql_db, pg_db, "key", queue={"url": redis_url})
    del document["source"]["destructive_changes"]
    execute(mysql_db, "CREATE TABLE items (id INT PRIMARY KEY, a INT, b INT)", "INSERT INTO items VALUES (1, 2, 3)")
    file = write_connector(tmp_path, document)
    assert cdc("run", str(file), "--drain").returncode == 0
    execute(mysql_db, "ALTER TABLE items DROP COLUMN a", "INSERT INTO items VALUES (2, 4)")
    stopped = cdc("run", str(file), "--drain")
    assert stopped.returncode == 1
    assert "destructive_changes: apply" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert rows(pg_db, "items", ("id",)) == {("1",): {"id": 1, "a": 2, "b": 3}}
    document["source"]["destructive_changes"] = "apply"
    file = write_connector(tmp_path, document)
    done = cdc("run", str(file), "--drain")
    assert done.returncode == 0, done.stderr
    assert rows(pg_db, "items", ("id",)) == {("1",): {"id": 1, "b": 3}, ("2",): {"id": 2, "b": 4}}


def test_a_replay_across_a_new_column_gives_rows_that_come_back_what_it_was_filled_with(
    mysql_db: Database, pg_db: str, redis_url: str, tmp_path: Path
) -> None:
    document = document_of(mysql_db, pg_db, "key", queue={"url": redis_url})
    start = document["source"]["start"]
    file = write_connector(tmp_path, document)
    execute(
        mysql_db,
        "CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(20))",
        "INSERT INTO items VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        "ALTER TABLE items ADD COLUMN extra INT DEFAULT 5, RENAME COLUMN name TO title",
        "ALTER TABLE items RENAME COLUMN title TO name",
        "UPDATE items SET extra = NULL WHERE id = 2",
        "INSERT INTO items VALUES (4, 'd', NULL)",
    )
    assert cdc("run", str(file), "--drain").returncode == 0
    expected = rows(mysql_db.url, "items", ("id",))
    assert rows(pg_db, "items", ("id",)) == expected
    statement_at(pg_db, "DELETE FROM items WHERE id IN (1, 2, 4)")
    replayed = cdc("replay", str(file), "--from", start)
    assert replayed.returncode == 0, replayed.stderr
    done = cdc("run", str(file), "--drain")
    assert done.returncode == 0, done.stderr
    assert rows(pg_db, "items", ("id",)) == expected


def test_tail_shows_a_change_as_an_event_from_the_binlog_and_from_the_queue(
    mysql_db: Database, redis_url: str, tmp_path: Path
) -> None:
    document = document_of(mysql_db, f"sqlite:///{tmp_path / 't.db'}", "key", queue={"url": redis_url})
    file = write_connector(tmp_path, document)
    start = document["source"]["start"]
    execute(mysql_db, "CREATE TABLE items (id INT PRIMARY KEY)", "ALTER TABLE items ADD COLUMN a INT")
    # Without a sink, which would let the queue trim what it has applied.
    with Process(tmp_path, "reader", str(file)):
        for begin in (start, "beginning"):
            shown = cdc("tail", str(file), "--from", begin, "--limit", "2").stdout
            assert shown.count('"kind":"create"') == 1, begin
            assert shown.count('"step":"AddColumn"') == 1, begin
