"""What every target tells `cdc check` of tables that would refuse or change what is applied: found where it is, and not where
not."""

from dataclasses import replace

import pytest

from cdc.model.finding import Finding
from cdc.model.schema import Column, TableSchema
from cdc.target.port import Expected, LaneWriter, Target
from tests.support.doctor import about, not_fine, only
from tests.support.targets import ORDERS, Place, inserts, order, write

TEXT_KEY = TableSchema(
    "shop",
    "words",
    (Column("word", "varchar", length=20, charset="utf8mb4", collation="utf8mb4_bin", nullable=False),),
    ("word",),
)


@pytest.fixture
def made(place: Place, writer: LaneWriter) -> Place:
    """The target's table is there, as the sink makes it."""
    write(writer, inserts(order(1)))
    return place


@pytest.fixture
def made_sql(made: Place) -> Place:
    if not made.sql:
        pytest.skip("memory has rows alone")
    return made


def found(target: Target, expected: Expected | None = None) -> list[Finding]:
    return list(target.findings([expected or Expected(ORDERS, lanes=4)]))


def test_a_table_that_the_sink_makes_has_no_findings(target: Target, made: Place) -> None:
    assert not_fine(found(target), "target") == []


def test_a_target_that_has_nothing_yet_has_no_findings(target: Target) -> None:
    assert not_fine(found(target), "target") == []
    assert not_fine(target.findings([]), "target") == []


def test_a_unique_key_that_the_source_has_not(target: Target, made_sql: Place) -> None:
    made_sql.execute("CREATE UNIQUE INDEX own_note ON orders (note)")
    assert "own_note (note)" in only(found(target), "unique keys", "warning").text
    known = Expected(ORDERS, (frozenset({"note"}),))
    assert about(found(target, known), "unique keys") == []


def test_a_unique_key_around_one_of_the_source_s_is_none_of_its_own(target: Target, made_sql: Place) -> None:
    made_sql.execute("CREATE UNIQUE INDEX around ON orders (total, id)")
    made_sql.execute("CREATE INDEX plain ON orders (total)")
    assert about(found(target), "unique keys") == []


def test_triggers_are_named(target: Target, made_sql: Place) -> None:
    if made_sql.kind == "postgresql":
        made_sql.execute("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        made_sql.execute("CREATE TRIGGER watcher BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION nothing()")
    elif made_sql.kind == "sqlite":
        made_sql.execute("CREATE TRIGGER watcher AFTER INSERT ON orders BEGIN SELECT 1; END")
    else:
        made_sql.execute("CREATE TRIGGER watcher BEFORE INSERT ON orders FOR EACH ROW SET @seen = 1")
    assert "watcher" in only(found(target), "triggers", "warning").text
    if made_sql.kind == "postgresql":
        made_sql.execute("ALTER TABLE orders DISABLE TRIGGER watcher")
    else:
        made_sql.execute("DROP TRIGGER watcher")
    assert about(found(target), "triggers") == []


def test_foreign_keys_matter_while_several_lanes_run(target: Target, made_sql: Place) -> None:
    made_sql.execute("CREATE TABLE totals (total INT PRIMARY KEY)")
    made_sql.execute("INSERT INTO totals VALUES (0)")
    if made_sql.kind == "sqlite":
        made_sql.execute("CREATE TABLE child (id INT PRIMARY KEY, total INT REFERENCES totals (total))")
        child = replace(ORDERS, table="child", columns=(ORDERS.columns[0], ORDERS.columns[2]))
        assert about(found(target, Expected(child, lanes=4)), "foreign keys") == []
        return
    made_sql.execute("ALTER TABLE orders ADD CONSTRAINT to_totals FOREIGN KEY (total) REFERENCES totals (total)")
    assert "to_totals → totals" in only(found(target), "foreign keys", "warning").text
    assert about(found(target, Expected(ORDERS, lanes=1)), "foreign keys") == []


def test_columns_that_every_new_row_lacks(target: Target, made_sql: Place) -> None:
    made_sql.execute("DELETE FROM orders")
    made_sql.execute("ALTER TABLE orders ADD COLUMN more INT NOT NULL DEFAULT 1")
    assert about(found(target), "mandatory columns") == []
    if made_sql.kind == "sqlite":
        made_sql.execute("DROP TABLE orders")
        made_sql.execute("CREATE TABLE orders (id INT PRIMARY KEY, note TEXT, total INT, more INT NOT NULL)")
    elif made_sql.kind == "postgresql":
        made_sql.execute("ALTER TABLE orders ALTER COLUMN more DROP DEFAULT")
    else:
        made_sql.execute("ALTER TABLE orders MODIFY COLUMN more INT NOT NULL")
    assert "more" in only(found(target), "mandatory columns", "error").text


def test_columns_that_the_target_computes(target: Target, made_sql: Place) -> None:
    assert about(found(target), "generated columns") == []
    made_sql.execute("DROP TABLE orders")
    made_sql.execute(
        "CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(40), total INT GENERATED ALWAYS AS (id + 1) STORED)"
    )
    assert "total" in only(found(target), "generated columns", "warning").text


def test_a_key_whose_collation_merges_what_the_source_keeps_apart(target: Target, place: Place) -> None:
    """MySQL's is found by `inspect`."""
    columns = {
        "sqlite": ("word TEXT COLLATE NOCASE PRIMARY KEY", "word TEXT PRIMARY KEY"),
        "postgresql": ('word VARCHAR(20) COLLATE "folding" PRIMARY KEY', "word VARCHAR(20) PRIMARY KEY"),
    }
    if place.kind not in columns:
        pytest.skip("memory compares values; MySQL: test_mysql_target")
    if place.kind == "postgresql":
        place.execute("CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    merging, exact = columns[place.kind]
    place.execute(f"CREATE TABLE words ({merging})")
    assert "words" in only(found(target, Expected(TEXT_KEY)), "collations", "error").text
    folding = replace(TEXT_KEY, columns=(replace(TEXT_KEY.columns[0], collation="utf8mb4_general_ci"),))
    only(found(target, Expected(folding)), "collations", "warning")
    place.execute("DROP TABLE words")
    place.execute(f"CREATE TABLE words ({exact})")
    assert about(found(target, Expected(TEXT_KEY)), "collations") == []


def test_looking_changes_nothing(target: Target, place: Place) -> None:
    found(target)
    assert target.progress() == {}
    if place.kind == "sqlite":
        assert not place.path.exists()
    elif place.sql:
        tables = place.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'mysql', 'sys',"
            " 'information_schema', 'performance_schema') AND table_name IN ('orders', '_cdc_progress')"
            + (" AND table_schema = DATABASE()" if place.kind in {"mysql", "mariadb"} else "")
        )
        assert tables == []
