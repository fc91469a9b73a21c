"""Online schema changes: the swap at their end counts as an ALTER of the original."""

import pytest

from cdc.binlog.history import Context, History, Place, Session
from cdc.model.errors import NotUnderstood
from cdc.model.schema import Column
from cdc.model.schema_change import AddColumn, DropColumn, ModifyColumn, RenameColumn, SchemaChange, Step
from cdc.model.table_version import TableVersion

SESSION = Session(utf8mb4_collation=255, explicit_timestamps=True)
CONTEXT = Context(Place("s", 1, 100), "db", 1_700_000_000, "mysql", SESSION)
T = "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9))"
FULL = "(`id` int NOT NULL, `a` int DEFAULT NULL, `b` varchar(9) DEFAULT NULL, PRIMARY KEY (`id`)) ENGINE=InnoDB"
SWAP = "RENAME TABLE `db`.`t` TO `db`.`_t_old`, `db`.`_t_new` TO `db`.`t`"


def history(*statements: str) -> History:
    """Captures `db.t` and `db.u` only; `t` is there."""
    base = [TableVersion("s", 1, 4, "db", "", None, collation="utf8mb4_0900_ai_ci")]
    made = History(lambda db, table: db == "db" and table in "tu", False, base)
    for sql in (T, *statements):
        made.statement(sql, CONTEXT)
    return made


def change(known: History, sql: str) -> SchemaChange:
    (found,) = known.statement(sql, CONTEXT).changes
    return found


def names(known: History) -> list[str]:
    version = known.version("db", "t")
    assert version is not None
    assert version.schema is not None
    return [column.name for column in version.schema.columns]


def test_gh_ost() -> None:
    known = history()
    for sql in (
        "create /* gh-ost */ table `db`.`_t_ghc` (id bigint auto_increment, hint varchar(64)) auto_increment=256",
        "create /* gh-ost */ table `db`.`_t_gho` like `db`.`t`",
        "alter /* gh-ost */ table `db`.`_t_gho` ADD COLUMN c INT NOT NULL DEFAULT 7 AFTER id, CHANGE b bb VARCHAR(20)",
        "create /* gh-ost */ table `db`.`_t_del` (id int auto_increment primary key) comment='ghost-cut-over-sentry'",
        "drop /* gh-ost */ table if exists `db`.`_t_del`",
    ):
        assert known.statement(sql, CONTEXT).changes == []
    swapped = change(known, "rename /* gh-ost */ table `db`.`t` to `db`.`_t_del`, `db`.`_t_gho` to `db`.`t`")
    text = Column("bb", "varchar", length=20, charset="utf8mb4", collation="utf8mb4_0900_ai_ci")
    assert (swapped.kind, swapped.name) == ("alter", "db.t")
    assert swapped.steps == (
        RenameColumn("b", "bb"),
        ModifyColumn(text, Column("bb", "varchar", length=9, charset="utf8mb4", collation="utf8mb4_0900_ai_ci")),
        AddColumn(Column("c", "int", nullable=False), 7, "id"),
    )
    assert names(known) == ["id", "c", "a", "bb"]
    version = known.version("db", "t")
    assert version is not None
    assert (version.schema, version.origin, version.steps) == (swapped.schema, None, ())
    assert known.statement("drop /* gh-ost */ table if exists `db`.`_t_del`", CONTEXT).changes == []


@pytest.mark.parametrize("ghost", ["_t_new", "__t_new", "__osc_new_t", "lhmn_t"])
def test_a_copy_made_from_its_definition(ghost: str) -> None:
    known = history(f"CREATE TABLE `db`.`{ghost}` {FULL}", f"ALTER TABLE `db`.`{ghost}` RENAME COLUMN a TO x, DROP b")
    swapped = change(known, f"RENAME TABLE `db`.`t` TO `db`.`_t_old`, `db`.`{ghost}` TO `db`.`t`")
    assert swapped.steps == (DropColumn("b"), RenameColumn("a", "x"))


def test_the_lineage_outlives_a_restart() -> None:
    first = history()
    versions = [first.version("db", "t")]
    versions += first.statement("CREATE TABLE _t_new LIKE t", CONTEXT).versions
    versions += first.statement("ALTER TABLE _t_new RENAME COLUMN a TO x, ADD c INT", CONTEXT).versions
    stored = [TableVersion.from_json(version.to_json()) for version in versions if version is not None]
    again = History(lambda _, table: table == "t", False, stored)
    assert change(again, SWAP).steps == (RenameColumn("a", "x"), AddColumn(Column("c", "int"), None, "b"))


def test_a_copy_without_an_alter_changes_nothing() -> None:
    known = history("CREATE TABLE _t_new LIKE t", "ALTER TABLE _t_new ENGINE=InnoDB")
    assert known.statement(SWAP, CONTEXT).changes == []


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (
            "(id int primary key, a int, b varchar(9), c int not null default 5)",
            (AddColumn(Column("c", "int", nullable=False), 5, "b"),),
        ),
        ("(id int primary key, a bigint)", (DropColumn("b"), ModifyColumn(Column("a", "bigint"), Column("a", "int")))),
    ],
)
def test_without_lineage_the_difference_by_name(definition: str, expected: tuple[Step, ...]) -> None:
    assert change(history(f"CREATE TABLE _t_new {definition}"), SWAP).steps == expected


def test_steps_that_no_longer_fit_the_original_are_not_taken() -> None:
    known = history("CREATE TABLE _t_new LIKE t", "ALTER TABLE _t_new ADD c INT", "ALTER TABLE t ADD d INT")
    with pytest.raises(NotUnderstood, match="which were renamed is not known"):
        known.statement(SWAP, CONTEXT)


@pytest.mark.parametrize(
    ("statements", "swap", "why"),
    [
        (("CREATE TABLE _t_new (id INT PRIMARY KEY, z INT)",), SWAP, "which were renamed is not known"),
        ((), SWAP, "what was done to that is not known"),
        (
            ("CREATE TABLE _t_new LIKE t", "ALTER TABLE _t_new ADD g INT AS (a + 1)"),
            SWAP,
            "what was done to that is not known",
        ),
        (
            ("CREATE TABLE _t_new LIKE t", "ALTER TABLE _t_new ADD g FROBNICATE"),
            SWAP,
            "what was done to that is not known",
        ),
        (("CREATE TABLE _t_new AS SELECT * FROM t",), SWAP, "what was done to that is not known"),
        (("CREATE TABLE _t_new LIKE t", "DROP TABLE _t_new"), SWAP, "what was done to that is not known"),
        (("CREATE TABLE t_load LIKE t",), "RENAME TABLE t TO t_old, t_load TO t", "no online schema change's"),
        (("CREATE TABLE _u_new LIKE t",), "RENAME TABLE t TO t_old, _u_new TO t", "no online schema change's"),
        (("CREATE TABLE _t_new LIKE t",), "RENAME TABLE t TO u, _t_new TO t", "it is renamed, and"),
        (("CREATE TABLE _t_new (id INT, u CHAR(36) DEFAULT (UUID()))",), SWAP, "which were renamed is not known"),
        (
            ("CREATE TABLE _t_new (id INT PRIMARY KEY, a INT, b VARCHAR(9), u CHAR(36) DEFAULT (UUID()))",),
            SWAP,
            "of column u is not known",
        ),
    ],
)
def test_what_may_have_other_rows_or_columns_stops(statements: tuple[str, ...], swap: str, why: str) -> None:
    known = history(*statements)
    with pytest.raises(NotUnderstood, match=rf"table db\.t: .*{why}") as caught:
        known.statement(swap, CONTEXT)
    assert "exclude the table" in caught.value.hint
    assert names(known) == ["id", "a", "b"]


def test_copies_of_tables_that_are_not_captured_are_not_read() -> None:
    known = history()
    for sql in ("CREATE TABLE _x_new (a FROBNICATE)", "CREATE TABLE _x_gho LIKE t", "ALTER TABLE _x_gho FROBNICATE"):
        assert known.statement(sql, CONTEXT) == ([], [])
    assert known.statement("RENAME TABLE x TO _x_old, _x_new TO x", CONTEXT) == ([], [])
