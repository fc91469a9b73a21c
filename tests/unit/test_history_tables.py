"""What DDL statements make of captured tables: changes with their steps, and the versions that hold from there on."""

from collections.abc import Sequence

import pytest

from cdc.binlog.history import Context, History, Place, Session
from cdc.model.errors import NotUnderstood
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import AddColumn, DropColumn, ModifyColumn, RenameColumn, SchemaChange, SetKey, Step
from cdc.model.table_version import TableVersion

SESSION = Session(utf8mb4_collation=255, explicit_timestamps=True)
CONTEXT = Context(Place("s", 1, 100), "db", 1_700_000_000, "mysql", SESSION)
BASE = [
    TableVersion("s", 1, 4, "db", "", None, collation="utf8mb4_0900_ai_ci"),
    TableVersion("s", 1, 4, "other", "", None, collation="latin1_swedish_ci"),
]
HOSTILE = [
    'a"b',
    "a`b",
    "x; DROP TABLE t--",
    "new\nline",
    "日本",
    "select",
    "ü" * 64,
    "back\\slash",
    "''",
    "/*!x*/",
    "a.b",
]


def history(
    *statements: str, context: Context = CONTEXT, base: Sequence[TableVersion] = BASE, folds: bool = False
) -> History:
    """Captures all of `db` but tables that begin with an underscore, after `statements`."""
    made = History(lambda db, table: db == "db" and not table.startswith("_"), folds, base)
    for sql in statements:
        made.statement(sql, context)
    return made


def changes(known: History, sql: str, context: Context = CONTEXT) -> list[SchemaChange]:
    return known.statement(sql, context).changes


def steps(known: History, sql: str, context: Context = CONTEXT) -> tuple[Step, ...]:
    (change,) = changes(known, sql, context)
    assert change.kind == "alter"
    version = known.version(change.db, change.table)
    assert version is not None
    assert change.schema == version.schema
    return change.steps


def schema(known: History, table: str, db: str = "db") -> TableSchema:
    version = known.version(db, table)
    assert version is not None
    assert version.schema is not None
    return version.schema


def names(known: History, table: str = "t") -> list[str]:
    return [column.name for column in schema(known, table).columns]


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


T = "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9) NOT NULL DEFAULT 'x')"
ID = Column("id", "int", nullable=False)
A = Column("a", "int")
B = Column("b", "varchar", length=9, charset="utf8mb4", collation="utf8mb4_0900_ai_ci", nullable=False)


def test_create() -> None:
    known = history()
    outcome = known.statement(T, CONTEXT)
    shape = TableSchema("db", "t", (ID, A, B), ("id",))
    assert outcome.changes == [SchemaChange("create", "db", "t", schema=shape, ddl=T)]
    (version,) = outcome.versions
    assert (version.file, version.offset, version.schema, version.collation) == (1, 100, shape, "utf8mb4_0900_ai_ci")
    assert known.version("db", "t") == version
    assert TableVersion.from_json(version.to_json()) == version


def test_a_database_s_default_collation_comes_from_where_it_was_said_last() -> None:
    known = History(lambda *_: True, False, BASE)
    for sql in (
        "CREATE TABLE other.t (a TEXT)",
        "ALTER DATABASE other CHARACTER SET koi8r",
        "CREATE TABLE other.u (a TEXT, b TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin) COLLATE latin2_bin",
        "CREATE TABLE other.v (a TEXT)",
        "CREATE DATABASE new",
        "CREATE TABLE new.t (a TEXT)",
    ):
        known.statement(sql, CONTEXT._replace(session=SESSION._replace(server_collation=8)))
    assert [known.version("other", table).collation for table in "tuv"] == [  # type: ignore[union-attr]
        "latin1_swedish_ci",
        "latin2_bin",
        "koi8r_general_ci",
    ]
    assert [column.collation for column in schema(known, "u", "other").columns] == ["latin2_bin", "utf8mb4_bin"]
    assert schema(known, "t", "new").columns[0].collation == "latin1_swedish_ci"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE t ADD c INT", (AddColumn(Column("c", "int"), None, "b"),)),
        ("ALTER TABLE t ADD COLUMN c INT NOT NULL FIRST", (AddColumn(Column("c", "int", nullable=False), 0, ""),)),
        (
            "ALTER TABLE t ADD (c INT DEFAULT 5, d INT)",
            (AddColumn(Column("c", "int"), 5, "b"), AddColumn(Column("d", "int"), None, "c")),
        ),
        (
            "ALTER TABLE t ADD c INT AFTER id, ADD d INT AFTER c",
            (AddColumn(Column("c", "int"), None, "id"), AddColumn(Column("d", "int"), None, "c")),
        ),
        (
            "ALTER TABLE t DROP b, ADD COLUMN b INT FIRST",
            (DropColumn("b"), AddColumn(Column("b", "int"), None, "")),
        ),
        ("ALTER TABLE t RENAME COLUMN a TO c", (RenameColumn("a", "c"),)),
        (
            "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a",
            (RenameColumn("a", "_cdc_0"), RenameColumn("b", "a"), RenameColumn("_cdc_0", "b")),
        ),
        ("ALTER TABLE t RENAME COLUMN a TO c, RENAME COLUMN b TO a", (RenameColumn("a", "c"), RenameColumn("b", "a"))),
        (
            "ALTER TABLE t CHANGE a c BIGINT",
            (RenameColumn("a", "c"), ModifyColumn(Column("c", "bigint"), Column("c", "int"))),
        ),
        ("ALTER TABLE t MODIFY a BIGINT FIRST", (ModifyColumn(Column("a", "bigint"), A),)),
        ("ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (b, id)", (SetKey(("b", "id")),)),
        ("ALTER TABLE t RENAME COLUMN id TO k", (RenameColumn("id", "k"),)),
        (
            "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (a)",
            (ModifyColumn(Column("a", "int", nullable=False), A), SetKey(("a",))),
        ),
        ("ALTER TABLE t DROP PRIMARY KEY", (SetKey(()),)),
        ("DROP INDEX `PRIMARY` ON t", (SetKey(()),)),
        ("ALTER TABLE t ADD c INT, ALGORITHM=INSTANT, LOCK=NONE", (AddColumn(Column("c", "int"), None, "b"),)),
        ("ALTER TABLE t ADD c INT PARTITION BY HASH(id) PARTITIONS 4", (AddColumn(Column("c", "int"), None, "b"),)),
        ("ALTER TABLE t MODIFY a INT FIRST", ()),
    ],
)
def test_alter(sql: str, expected: tuple[Step, ...]) -> None:
    assert steps(history(T), sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ADD INDEX i (a)",
        "CREATE UNIQUE INDEX i ON t (a)",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 5), ADD CONSTRAINT FOREIGN KEY (a) REFERENCES u (id) ON DELETE SET NULL",
        "ALTER TABLE t ENGINE=InnoDB ROW_FORMAT DYNAMIC, COMMENT 'RENAME TO u'",
        "ALTER TABLE t FORCE, ALGORITHM=COPY",
        "ALTER TABLE t ORDER BY a, b DESC",
        "ALTER TABLE t PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (5), PARTITION q VALUES LESS THAN MAXVALUE)",
        "ALTER TABLE t REORGANIZE PARTITION p INTO (PARTITION p VALUES LESS THAN (1))",
        "ALTER TABLE t REMOVE PARTITIONING",
        "ALTER TABLE t ALTER a SET DEFAULT 5",
        "ALTER TABLE t DEFAULT CHARSET=latin1",
        "ALTER TABLE t ALTER a SET INVISIBLE",
        "ALTER TABLE t AUTO_INCREMENT 7",
        "TRUNCATE TABLE t",
        "CREATE TABLE IF NOT EXISTS t (z INT)",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE elsewhere.t (id INT, x FROBNICATE)",
        "ALTER TABLE elsewhere.t FROBNICATE",
    ],
)
def test_what_changes_no_captured_shape_is_no_change(sql: str) -> None:
    known = history(T)
    before = schema(known, "t")
    assert changes(known, sql) == []
    assert schema(known, "t") == before


def test_defaults_and_the_table_s_collation_follow() -> None:
    known = history(T, "ALTER TABLE t ALTER a SET DEFAULT 5, DEFAULT CHARSET=latin1, ALTER b DROP DEFAULT")
    version = known.version("db", "t")
    assert version is not None
    assert version.collation == "latin1_swedish_ci"
    assert version.defaults == {"id": 0, "a": 5, "b": ""}
    (step,) = steps(known, "ALTER TABLE t ADD c CHAR(3)")
    assert isinstance(step, AddColumn)
    assert step.column.collation == "latin1_swedish_ci"


def test_convert_makes_texts_as_large_as_they_must_be() -> None:
    known = history(
        "CREATE TABLE t (a VARCHAR(3), b TEXT, c BLOB, d ENUM('x'), e LONGTEXT, f JSON) CHARACTER SET latin1"
    )
    modified = steps(known, "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4")
    assert [(step.column.name, step.column.type) for step in modified if isinstance(step, ModifyColumn)] == [
        ("a", "varchar"),
        ("b", "mediumtext"),
        ("d", "enum"),
        ("e", "longtext"),
    ]


def test_rename_and_drop() -> None:
    known = history(T, "CREATE TABLE u (id INT PRIMARY KEY)")
    renamed, again = changes(known, "RENAME TABLE t TO v, db.u TO t")
    assert (renamed.kind, renamed.table, renamed.to) == ("rename", "t", ("db", "v"))
    assert (again.kind, again.table, again.to) == ("rename", "u", ("db", "t"))
    assert schema(known, "v").columns == (ID, A, B)
    assert names(known) == ["id"]
    altered, moved = changes(known, "ALTER TABLE v DROP a, RENAME TO w")
    assert (altered.kind, altered.steps) == ("alter", (DropColumn("a"),))
    assert (moved.kind, moved.to, moved.schema) == ("rename", ("db", "w"), schema(known, "w"))
    assert [
        (change.kind, change.name) for change in changes(known, "DROP TABLE IF EXISTS w, nope, elsewhere.t, t")
    ] == [
        ("drop", "db.w"),
        ("drop", "db.t"),
    ]
    version = known.version("db", "t")
    assert version is not None
    assert version.schema is None


def test_renamed_to_a_name_that_is_not_captured_is_a_drop() -> None:
    known = history(T)
    assert [(change.kind, change.name) for change in changes(known, "RENAME TABLE t TO _t")] == [("drop", "db.t")]
    assert [(change.kind, change.name) for change in changes(history(T), "ALTER TABLE t RENAME elsewhere.t")] == [
        ("drop", "db.t")
    ]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("RENAME TABLE _x TO new", "rows that nobody has seen"),
        ("ALTER TABLE elsewhere.t RENAME TO db.new", "rows that nobody has seen"),
        ("RENAME TABLE t TO _old, _load TO t", "other rows"),
        ("RENAME TABLE t TO _t_old, _t_new TO t", "what was done to that is not known"),
        ("RENAME TABLE t TO x, u TO t, x TO u", "swap their names"),
        ("ALTER TABLE t ADD c FROBNICATE", "type FROBNICATE is not known"),
        ("ALTER TABLE t ADD c INT FROBNICATE", "FROBNICATE in the definition of column c is not known"),
        ("ALTER TABLE t FROBNICATE", "FROBNICATE is not expected"),
        ("ALTER TABLE t DROP nope", "column nope is not known"),
        ("ALTER TABLE t ADD c INT AFTER nope", "column nope is not known"),
        ("ALTER TABLE t ADD c TEXT CHARACTER SET klingon", "charset klingon is not known"),
        ("ALTER TABLE t MODIFY a INT AS (id + 1)", "generated from other columns"),
        ("CREATE TABLE n (a INT, b FROBNICATE)", "type FROBNICATE is not known"),
        ("CREATE TABLE n (a INT) SELECT 1 AS b", "come from a SELECT"),
        ("CREATE TABLE n AS SELECT 1 AS b", "come from a SELECT"),
    ],
)
def test_what_is_not_understood_stops_and_changes_nothing(sql: str, why: str) -> None:
    known = history(T, "CREATE TABLE u (id INT)")
    before = schema(known, "t")
    with pytest.raises(NotUnderstood, match=rf"table db\.\w+: .*{why}"):
        changes(known, sql)
    assert schema(known, "t") == before
    assert known.version("db", "new") is None


def test_half_a_statement_is_not_kept() -> None:
    known = history(T)
    with pytest.raises(NotUnderstood):
        changes(known, "ALTER TABLE t DROP a, RENAME TO _x, RENAME INDEX q")
    assert names(known) == ["id", "a", "b"]


def test_mariadb_s_conditions() -> None:
    mariadb = CONTEXT._replace(flavor="mariadb")
    known = history(T)
    assert changes(known, "ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT, DROP COLUMN IF EXISTS z", mariadb) == []
    assert changes(known, "ALTER TABLE IF EXISTS nope ADD a INT", mariadb) == []
    assert steps(known, "ALTER TABLE t ADD IF NOT EXISTS c INT", mariadb) == (AddColumn(Column("c", "int"), None, "b"),)
    dropped, created = changes(known, "CREATE OR REPLACE TABLE t (x INT)", mariadb)
    assert (dropped.kind, created.kind, names(known)) == ("drop", "create", ["x"])
    assert [change.kind for change in changes(known, "CREATE OR REPLACE TABLE new (x INT)", mariadb)] == ["create"]


def test_the_first_phase_of_an_alter_changes_nothing() -> None:
    known = history(T)
    assert changes(known, "ALTER TABLE t ADD c INT", CONTEXT._replace(session=SESSION._replace(unfinished=True))) == []
    assert names(known) == ["id", "a", "b"]


def test_like() -> None:
    known = history(T, "CREATE TABLE u LIKE t")
    assert schema(known, "u").columns == schema(known, "t").columns
    (created,) = changes(known, "CREATE TABLE v (LIKE elsewhere.x)")
    assert (created.kind, created.schema) == ("create", None)
    assert known.version("db", "v") is None


def test_a_unique_key_stands_in_for_a_missing_primary_one() -> None:
    known = history("CREATE TABLE t (a INT NOT NULL, b INT, c INT NOT NULL, UNIQUE (b), UNIQUE k (c), UNIQUE (a))")
    assert schema(known, "t").key == ("c",)
    assert changes(known, "ALTER TABLE t RENAME INDEX k TO l, ADD INDEX (b)") == []
    assert steps(known, "DROP INDEX l ON t") == (SetKey(("a",)),)
    assert steps(known, "ALTER TABLE t ADD PRIMARY KEY (c)") == (SetKey(("c",)),)
    assert steps(known, "ALTER TABLE t DROP PRIMARY KEY, DROP KEY a") == (SetKey(()),)
    assert steps(known, "ALTER TABLE t MODIFY b INT NOT NULL")[-1] == SetKey(("b",))
    assert steps(known, "ALTER TABLE t DROP b") == (DropColumn("b"), SetKey(()))
    assert steps(known, "ALTER TABLE t ADD UNIQUE (a(3)), ADD UNIQUE (c, a)") == (SetKey(("c", "a")),)


def test_drop_database_drops_its_captured_tables() -> None:
    known = history(T, "CREATE TABLE u (id INT)")
    assert [(change.kind, change.name) for change in changes(known, "DROP DATABASE IF EXISTS db")] == [
        ("drop", "db.t"),
        ("drop", "db.u"),
    ]
    assert changes(known, "DROP DATABASE elsewhere") == []


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name: str) -> None:
    table, column = quoted(name), quoted(name[:60] + "2")
    known = history(f"CREATE TABLE {table} ({table} INT PRIMARY KEY, x INT)")
    (change,) = changes(
        known, f"ALTER TABLE db.{table} ADD {column} ENUM({column!r}) AFTER {table}".replace("\\n", "\n")
    )
    assert change.table == name
    assert [each.name for each in schema(known, name).columns] == [name, name[:60] + "2", "x"]
    (renamed,) = changes(known, f"RENAME TABLE {table} TO `r{table[1:]}")
    assert renamed.to == ("db", "r" + name)
    assert schema(known, "r" + name).key == (name,)


def test_ansi_quotes() -> None:
    ansi = CONTEXT._replace(session=SESSION._replace(sql_mode=4))
    known = history('CREATE TABLE "a""b" ("x y" INT COMMENT \'"\', "z" INT DEFAULT \'5\')', context=ansi)
    assert [column.name for column in schema(known, 'a"b').columns] == ["x y", "z"]
    assert steps(known, 'ALTER TABLE "a""b" DROP "x y"', ansi) == (DropColumn("x y"),)


def test_names_are_folded_where_the_server_folds_them() -> None:
    known = history("CREATE TABLE T (Id INT PRIMARY KEY)", folds=True)
    assert steps(known, "ALTER TABLE DB.t ADD c INT")[0] == AddColumn(Column("c", "int"), None, "Id")
    assert known.version("DB", "T") == known.version("db", "t")
    mixed = TableVersion("s", 1, 4, "db", "Mixed", TableSchema("db", "Mixed", (ID,), ("id",)))
    known = history(base=[*BASE, mixed], folds=True)
    assert known.observe(TableSchema("db", "Mixed", (ID,), ("id",)), Place("s", 1, 9)) is None
    assert steps(known, "ALTER TABLE mIXED ADD c INT") == (AddColumn(Column("c", "int"), None, "id"),)


def test_columns_are_found_whatever_their_case() -> None:
    assert steps(history(T), "ALTER TABLE t DROP A, MODIFY B VARCHAR(9) NOT NULL") == (
        DropColumn("a"),
        RenameColumn("b", "B"),
    )


def test_without_a_baseline_a_statement_tells_what_it_can() -> None:
    known = history(base=())
    (change,) = changes(
        known, "ALTER TABLE t ADD c INT DEFAULT 5 AFTER a, DROP d, CHANGE e f INT, ADD g INT, ADD PRIMARY KEY (c)"
    )
    assert change.schema is None
    assert change.steps == (
        AddColumn(Column("c", "int"), 5, "a"),
        DropColumn("d"),
        RenameColumn("e", "f"),
        ModifyColumn(Column("f", "int")),
        AddColumn(Column("g", "int"), None, None),
        SetKey(("c",)),
    )
    assert changes(known, "ALTER TABLE t ADD INDEX (a)") == []
    assert changes(known, "CREATE TABLE IF NOT EXISTS t (a INT)") == []
    (text,) = changes(known, "ALTER TABLE t ADD c TEXT")
    assert text.steps == (AddColumn(Column("c", "text"), None, None),), "its collation is the table's, whatever that is"
    (made,) = changes(known, "CREATE TABLE u (c TEXT)")
    assert (made.kind, made.schema) == ("create", None)
    assert known.version("db", "u") is None or known.version("db", "u").schema is None
    with pytest.raises(NotUnderstood, match="whether the column is there is not known"):
        changes(known, "ALTER TABLE t DROP COLUMN IF EXISTS c")
    assert [change.kind for change in changes(known, "DROP TABLE t")] == ["drop"]


def test_a_table_map_is_right_where_it_says_something_else() -> None:
    known = history(T)
    place = Place("s", 2, 7)
    assert known.observe(schema(known, "t"), place) is None
    seen = TableSchema("db", "t", (ID, B, Column("n", "int")), ("id",))
    version = known.observe(seen, place)
    assert version is not None
    assert (version.file, version.offset, version.schema) == (2, 7, seen)
    assert version.defaults == {"id": 0, "b": "x"}
    assert known.version("db", "t") == version
    new = known.observe(TableSchema("db", "u", (ID,), ("id",)), place)
    assert new is not None
    assert new == known.version("db", "u")


def test_what_a_table_map_cannot_tell_is_no_difference() -> None:
    mariadb = CONTEXT._replace(flavor="mariadb")
    known = history("CREATE TABLE t (a UUID, b INET6, c INET4, d POINT, e INT)", context=mariadb)
    binary = [Column("a", "binary", length=16), Column("b", "binary", length=16), Column("c", "binary", length=4)]
    seen = TableSchema("db", "t", (*binary, Column("d", "geometry"), Column("e", "int")), ())
    assert known.observe(seen, Place("s", 1, 200)) is None


def test_timestamps_without_a_word_on_null() -> None:
    old = CONTEXT._replace(session=SESSION._replace(explicit_timestamps=False))
    known = history("CREATE TABLE t (id INT, a TIMESTAMP, b TIMESTAMP, c TIMESTAMP NULL)", context=old)
    assert [column.nullable for column in schema(known, "t").columns] == [True, False, False, True]
    version = known.version("db", "t")
    assert version is not None
    assert "a" not in version.defaults
    assert version.defaults["b"] == "0000-00-00T00:00:00Z"
    with pytest.raises(NotUnderstood, match="explicit_defaults_for_timestamp"):
        changes(
            history(T),
            "ALTER TABLE t ADD c TIMESTAMP",
            CONTEXT._replace(session=SESSION._replace(explicit_timestamps=None)),
        )


def test_a_long_definition_of_another_s_table_is_not_read_to_its_end() -> None:
    columns = ", ".join(f"c{number} FROBNICATE" for number in range(100))
    known = history(T)
    assert changes(known, f"CREATE TABLE elsewhere.t ({columns}, 'a quote that does not end") == []
    with pytest.raises(NotUnderstood, match=r"table db\.n: .*type FROBNICATE is not known"):
        changes(known, f"CREATE TABLE n ({columns})")
