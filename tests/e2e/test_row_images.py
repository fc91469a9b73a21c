"""Row images that are not whole, by sessions that chose so: what the binlog does not hold keeps its value at every target, and
where a row must be known whole and is not, the connector stops."""

from collections.abc import Iterator

import pytest

from tests.fixtures.servers import Database
from tests.support.three_sinks import ThreeSinks, three_sinks

TABLE = """CREATE TABLE t (
    id INT PRIMARY KEY, name VARCHAR(20) NOT NULL DEFAULT 'unnamed', n INT NULL DEFAULT 7, picture BLOB NULL, note TEXT NULL)"""
DOCUMENTS = "CREATE TABLE documents (id INT PRIMARY KEY, doc JSON NULL, n INT NOT NULL, picture BLOB NULL)"
IMAGES = [("mysql", "MINIMAL"), ("mysql", "NOBLOB"), ("mariadb", "MINIMAL")]
"""MariaDB's NOBLOB stops at the first update that lacks a blob: it may be a REPLACE."""


@pytest.fixture
def case(request: pytest.FixtureRequest, source: Database) -> Iterator[ThreeSinks]:
    """A table with four whole rows at every target."""
    with three_sinks(request, source) as found:
        found.sql(
            TABLE,
            "INSERT INTO t VALUES (1, 'one', 1, x'00ff01', 'first'), (2, 'two', 2, x'02', 'second'), "
            "(3, 'three', NULL, NULL, NULL), (4, 'four', 4, x'04', 'fourth')",
        )
        found.drain()
        assert found.unlike("t") == []
        yield found


@pytest.mark.parametrize(("source", "image"), IMAGES, indirect=["source"], ids=["-".join(one) for one in IMAGES])
def test_what_an_image_lacks_keeps_its_value_at_every_target(case: ThreeSinks, image: str) -> None:
    case.sql(
        "UPDATE t SET name = 'renamed' WHERE id = 1",
        "UPDATE t SET picture = x'aa00' WHERE id = 2",
        "UPDATE t SET note = NULL, n = n + 1 WHERE id = 2",
        "UPDATE t SET n = 8 WHERE n IS NULL",
        "DELETE FROM t WHERE id = 4",
        "INSERT INTO t VALUES (5, 'five', 5, x'05', NULL)",
        "INSERT INTO t (id, picture) VALUES (6, x'06')",
        "UPDATE t SET note = CONCAT(name, ' noted')",
        binlog_row_image=image,
    )
    case.drain()
    assert case.unlike("t") == []


@pytest.mark.parametrize(("source", "image"), IMAGES, indirect=["source"], ids=["-".join(one) for one in IMAGES])
def test_an_update_of_one_column_leaves_a_blob_at_the_target_alone(case: ThreeSinks, image: str) -> None:
    """Seen by a mark that only the target's blob has."""
    marked = {"postgresql": r"'\x6d61726b'", "mysql": "x'6d61726b'", "sqlite": "x'6d61726b'"}
    for target, literal in marked.items():
        case.at(target, f"UPDATE t SET picture = {literal} WHERE id = 1")
    case.sql("UPDATE t SET n = 100 WHERE id = 1", binlog_row_image=image)
    case.drain()
    found = case.at_targets("SELECT n, picture, name FROM t WHERE id = 1")
    assert {target: (n, bytes(picture), name) for target, [(n, picture, name)] in found.items()} == dict.fromkeys(
        found, (100, b"mark", "one")
    )


@pytest.mark.parametrize(
    ("source", "image", "missing_rows"),
    [("mysql", "MINIMAL", "error"), ("mysql", "NOBLOB", "insert"), ("mariadb", "MINIMAL", "insert")],
    indirect=["source"],
)
def test_an_update_of_a_row_that_the_target_lacks_is_refused(case: ThreeSinks, image: str, missing_rows: str) -> None:
    """Even where whole rows would be taken as inserts."""
    for sink in case.document["sinks"].values():
        sink |= {"missing_rows": missing_rows, "on_error": "dead_letter"}
    case.at_targets("DELETE FROM t WHERE id = 1")
    case.sql("UPDATE t SET n = 100 WHERE id = 1", "UPDATE t SET n = 200 WHERE id = 2", binlog_row_image=image)
    case.drain()
    letters = case.at_targets("SELECT key_json, reason FROM _cdc_dead_letters")
    assert {target: len(found) for target, found in letters.items()} == dict.fromkeys(case.targets, 1), letters
    assert case.at_targets("SELECT id, n FROM t WHERE id < 3") == {target: [(2, 200)] for target in case.targets}
    for target, [(key, reason)] in letters.items():
        assert key == "[1]", target
        assert "lack" in reason or "no row" in reason, (target, reason)


@pytest.mark.parametrize(("source", "image"), IMAGES, indirect=["source"], ids=["-".join(one) for one in IMAGES])
def test_a_changed_key_whose_row_is_not_told_whole_stops(case: ThreeSinks, image: str) -> None:
    case.sql("UPDATE t SET id = 10 WHERE id = 1", binlog_row_image=image)
    said = case.stop()
    for words in ("a row changed its key" if case.source.server.kind == "mysql" else "replaced", "picture", ".t"):
        assert words in said, said
    assert "binlog_row_image=FULL" in said
    assert case.at_targets("SELECT id, name FROM t WHERE id IN (1, 10)") == {
        target: [(1, "one")] for target in case.targets
    }


@pytest.mark.parametrize("source", ["mariadb"], indirect=True)
@pytest.mark.parametrize(
    ("image", "statement"),
    [
        ("MINIMAL", "REPLACE INTO t (id, name) VALUES (1, 'replaced')"),
        ("NOBLOB", "REPLACE INTO t (id, name) VALUES (1, 'replaced')"),
        ("MINIMAL", "INSERT INTO t (id, name) VALUES (1, 'x') ON DUPLICATE KEY UPDATE id = 1, name = 'upserted'"),
        ("NOBLOB", "UPDATE t SET name = 'not a replace' WHERE id = 1"),
    ],
)
def test_what_may_be_a_replace_at_mariadb_stops(case: ThreeSinks, image: str, statement: str) -> None:
    case.sql(statement, binlog_row_image=image)
    said = case.stop()
    assert "or replaced with columns back at their defaults" in said
    assert "picture" in said
    assert case.at_targets("SELECT name FROM t WHERE id = 1") == {target: [("one",)] for target in case.targets}


@pytest.mark.parametrize("source", ["mariadb"], indirect=True)
def test_a_replace_with_whole_images_at_mariadb_is_what_it_is(case: ThreeSinks) -> None:
    case.sql("REPLACE INTO t (id, name) VALUES (1, 'replaced'), (9, 'new')")
    case.drain()
    assert case.unlike("t") == []


@pytest.mark.parametrize("source", ["mysql"], indirect=True)
def test_a_replace_at_mysql_is_told_whatever_the_image(case: ThreeSinks) -> None:
    for image in ("MINIMAL", "NOBLOB"):
        case.sql(f"REPLACE INTO t (id, name) VALUES (1, 'by {image}'), (9, 'new')", binlog_row_image=image)
    case.drain()
    assert case.unlike("t") == []


PARTIAL = (
    "UPDATE documents SET doc = JSON_SET(doc, '$.a', 5, '$.new', JSON_ARRAY(1, 'é', NULL))",
    "UPDATE documents SET doc = JSON_REPLACE(doc, '$.list[1]', JSON_OBJECT('deep', TRUE)) WHERE id = 1",
    "UPDATE documents SET doc = JSON_REMOVE(doc, '$.a'), n = n + 1 WHERE id < 3",
    "UPDATE documents SET doc = JSON_SET(doc, '$.text', REPEAT('y', 3000)) WHERE id = 2",
    "UPDATE documents SET doc = NULL WHERE id = 3",
    "UPDATE documents SET n = 50 WHERE id = 1",
)


@pytest.mark.parametrize("source", ["mysql"], indirect=True)
@pytest.mark.parametrize("image", ["FULL", "NOBLOB"])
def test_partial_json_updates_reach_every_target_as_whole_documents(case: ThreeSinks, image: str) -> None:
    case.sql(
        DOCUMENTS,
        *(
            f"""INSERT INTO documents VALUES ({number}, '{{"a": 1, "list": [1, 2, 3], "text": "{"x" * 200}"}}', 0, x'ff')"""
            for number in (1, 2, 3)
        ),
    )
    case.drain()
    for statement in PARTIAL:
        case.sql(statement, binlog_row_image=image, binlog_row_value_options="PARTIAL_JSON")
    case.drain()
    assert case.unlike("documents") == []


@pytest.mark.parametrize("source", ["mysql"], indirect=True)
def test_a_partial_update_of_a_document_that_nobody_knows_stops(case: ThreeSinks) -> None:
    case.sql(DOCUMENTS, """INSERT INTO documents VALUES (1, '{"a": 1, "b": "xxxxxxxxxxxxxxxxxxxxxxxxx"}', 0, NULL)""")
    case.drain()
    case.sql(
        "UPDATE documents SET doc = JSON_SET(doc, '$.a', 2)",
        binlog_row_image="MINIMAL",
        binlog_row_value_options="PARTIAL_JSON",
    )
    said = case.stop()
    assert "holds only what changed in the JSON document" in said
    assert "documents, column doc" in said
    found = case.at_targets("SELECT doc FROM documents")
    assert all('"a": 1' in str(document).replace("'", '"') for [(document,)] in found.values()), found
