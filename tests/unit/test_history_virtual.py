"""Which columns are VIRTUAL generated ones: no table map tells, so the history must."""

from collections.abc import Iterable

from cdc.binlog.history import Context, History, Place, Session
from cdc.model.schema import Column, TableSchema
from cdc.model.table_version import TableVersion

SESSION = Session(utf8mb4_collation=255, explicit_timestamps=True)
CONTEXT = Context(Place("s", 1, 100), "db", 1_700_000_000, "mysql", SESSION)
BASE = TableVersion("s", 1, 4, "db", "", None, collation="utf8mb4_0900_ai_ci")
T = (
    "CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL, v INT AS (a + 1), "
    "w INT GENERATED ALWAYS AS (a + 2) VIRTUAL NOT NULL, s INT AS (a + 3) STORED, p INT AS (a + 4) PERSISTENT)"
)


def history(*statements: str, base: Iterable[TableVersion] = (BASE,), flavor: str = "mysql") -> History:
    """Captures every table of `db` whose name has no underscore before it."""
    made = History(lambda db, table: db == "db" and not table.startswith("_"), False, base)
    for sql in statements:
        made.statement(sql, CONTEXT._replace(flavor=flavor))
    return made


def version(known: History, table: str = "t") -> TableVersion:
    found = known.version("db", table)
    assert found is not None
    return found


def virtual(known: History, table: str = "t") -> tuple[str, ...] | None:
    return version(known, table).virtual


def test_a_definition_tells() -> None:
    assert virtual(history(T)) == ("v", "w")
    assert virtual(history("CREATE TABLE t (id INT PRIMARY KEY)")) == ()


def test_a_system_versioned_row_s_times_are_stored() -> None:
    sql = (
        "CREATE TABLE t (id INT PRIMARY KEY, x TIMESTAMP(6) GENERATED ALWAYS AS ROW START, "
        "y TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (x, y)) WITH SYSTEM VERSIONING"
    )
    assert virtual(history(sql, flavor="mariadb")) == ()


def test_it_follows_alters_renames_and_copies() -> None:
    known = history(
        T,
        "ALTER TABLE t ADD b INT FIRST, RENAME COLUMN v TO vv, DROP COLUMN p",
        "CREATE TABLE u LIKE t",
        "ALTER TABLE t DROP COLUMN w, RENAME TO x",
    )
    assert virtual(known, "x") == ("vv",)
    assert virtual(known, "u") == ("vv", "w")


def test_it_comes_with_what_takes_a_table_s_place() -> None:
    known = history(
        T,
        "CREATE TABLE _t_new LIKE t",
        "ALTER TABLE _t_new ADD COLUMN c INT, DROP COLUMN v",
        "RENAME TABLE t TO _t_old, _t_new TO t",
    )
    assert virtual(known) == ("w",)


def test_it_lasts_where_a_table_map_says_something_else_of_known_columns() -> None:
    known = history(T)
    schema = version(known).schema
    assert schema is not None
    fewer = TableSchema("db", "t", schema.columns[:3], schema.key)
    assert known.observe(fewer, Place("s", 1, 200)) is not None
    assert virtual(known) == ("v",)


def test_it_is_not_known_of_what_table_maps_alone_told() -> None:
    known = history()
    schema = TableSchema("db", "t", (Column("id", "int", nullable=False), Column("a", "int")), ("id",))
    assert known.observe(schema, Place("s", 1, 200)) is not None
    assert virtual(known) is None
    known.statement("ALTER TABLE t ADD b INT", CONTEXT)
    assert virtual(known) is None, "which of the others are virtual is still not known"
    told = history("CREATE TABLE t (id INT PRIMARY KEY, a INT)")
    more = TableSchema("db", "t", (*schema.columns, Column("n", "int")), ("id",))
    assert told.observe(more, Place("s", 1, 200)) is not None
    assert virtual(told) is None, "a column that was not known may be virtual"


def test_a_unique_key_of_a_virtual_column_that_was_there_is_not_taken_for_the_key() -> None:
    made = "CREATE TABLE t (id INT NOT NULL, a INT NOT NULL, w INT AS (a + 2) VIRTUAL NOT NULL)"
    restarted = TableVersion.from_json(version(history(made)).to_json())
    for known in (history(made), history(base=(BASE, restarted))):
        known.statement("ALTER TABLE t ADD UNIQUE (w), ADD UNIQUE (id)", CONTEXT)
        schema = version(known).schema
        assert schema is not None
        assert schema.key == ("id",)


def test_indexes_are_kept_beside_the_defaults() -> None:
    known = history("CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) DEFAULT 'x', UNIQUE u (a(2), id), KEY (a))")
    found = TableVersion.from_json(version(known).to_json())
    assert found == version(known)
    assert found.defaults == {"id": 0, "a": "x"}
    assert found.indexes == {"PRIMARY": ("primary", "id"), "u": ("unique", "(a", "id"), "a": ("plain", "a")}
    known.statement("ALTER TABLE t ADD INDEX b (id)", CONTEXT)
    assert version(known).indexes == {**found.indexes, "b": ("plain", "id")}
