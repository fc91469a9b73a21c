"""A schema change as statements: pure functions of the change and of what the table has, for the three dialects."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import types as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from cdc.model.errors import TargetRefused
from cdc.model.schema import Column
from cdc.model.schema_change import AddColumn, DropColumn, ModifyColumn, RenameColumn, SchemaChange, SetKey, Step
from cdc.target.sql.changes import renaming
from cdc.target.sql.column_changes import Server
from cdc.target.sql.dialects import MYSQL, POSTGRESQL, SQLITE, SqlDialect
from cdc.target.sql.evolve import Evolution, evolve, filling
from cdc.target.sql.names import TargetName
from cdc.target.sql.reflect import Found
from cdc.target.sql.typemap import Type, column_type

NAME = TargetName(None, "t")
UTF8: dict[str, Any] = {"charset": "utf8mb4", "collation": "utf8mb4_general_ci"}


def _server(dialect: SqlDialect) -> Server:
    return Server(dialect, lambda column: column_type(dialect, column))


def _found(dialect: SqlDialect, *columns: Column, key: Sequence[str] = ("id",)) -> Found:
    """As Lockstep makes a table of these."""
    types = {column.name: column_type(dialect, column) for column in (Column("id", "int"), *columns)}
    return Found(types, (frozenset(key),), tuple(key), "t_pkey")


def _plan(dialect: SqlDialect, found: Found, *steps: Step) -> Evolution:
    return evolve(_server(dialect), NAME, found, SchemaChange("alter", "shop", "t", steps, ddl="DROP TABLE t"))


V, W = Column("v", "int"), Column("w", "int")


@pytest.mark.parametrize("dialect", [POSTGRESQL, MYSQL, SQLITE], ids=lambda one: one.name)
def test_a_table_that_is_as_it_shall_be_gets_no_statement(dialect: SqlDialect) -> None:
    done = (
        AddColumn(V, 5),
        DropColumn("gone"),
        RenameColumn("old", "w"),
        ModifyColumn(W, Column("w", "smallint")) if dialect is not SQLITE else ModifyColumn(W, W),
        SetKey(("id",)),
    )
    assert not _plan(dialect, _found(dialect, V, W), *done)


@pytest.mark.parametrize(
    ("dialect", "alter", "tail"),
    [
        (
            POSTGRESQL,
            [
                'ALTER TABLE "t" ADD COLUMN "v" INTEGER DEFAULT \'5\'',
                'ALTER TABLE "t" ALTER COLUMN "v" DROP DEFAULT',
            ],
            [],
        ),
        (
            MYSQL,
            ["ALTER TABLE `t` ADD COLUMN `v` INTEGER NULL DEFAULT 5 AFTER `id`"],
            ["ALTER TABLE `t` ALTER COLUMN `v` SET DEFAULT NULL"],
        ),
        (SQLITE, ['ALTER TABLE "t" ADD COLUMN "v" INTEGER', 'UPDATE "t" SET "v" = 5'], []),
    ],
    ids=["postgresql", "mysql", "sqlite"],
)
def test_a_fill_leaves_no_default_behind(dialect: SqlDialect, alter: list[str], tail: list[str]) -> None:
    plan = _plan(dialect, _found(dialect), AddColumn(V, 5, after="id"))
    assert (list(plan.alter), list(plan.tail)) == (alter, tail)


def test_mysql_takes_no_literal_as_default_of_a_text_but_an_expression_where_it_knows_them() -> None:
    change = SchemaChange("alter", "shop", "t", (AddColumn(Column("v", "text", **UTF8), "it's"),))
    new = replace(_server(MYSQL), expression_defaults=True)
    assert evolve(new, NAME, _found(MYSQL), change).alter[0].endswith(r" NULL DEFAULT ('it\'s')")
    plan = evolve(_server(MYSQL), NAME, _found(MYSQL), change)
    assert "DEFAULT" not in plan.alter[0]
    assert plan.tail == (r"UPDATE `t` SET `v` = 'it\'s' WHERE `v` IS NULL",)


def test_all_steps_are_one_alter_at_mysql() -> None:
    steps = (RenameColumn("v", "w"), RenameColumn("w", "v"), DropColumn("x"), AddColumn(Column("x", "date"), None, ""))
    plan = _plan(MYSQL, _found(MYSQL, V, W, Column("x", "int")), *steps, SetKey(("id", "v")))
    assert plan.alter == (
        "ALTER TABLE `t` DROP COLUMN `x`, RENAME COLUMN `v` TO `w`, RENAME COLUMN `w` TO `v`, ADD COLUMN `x` DATE NULL FIRST,"
        " DROP PRIMARY KEY, ADD PRIMARY KEY (`id`, `v`)",
    )


def test_a_new_column_stands_behind_a_column_that_is_renamed_later() -> None:
    (alter,) = _plan(MYSQL, _found(MYSQL, V), AddColumn(W, None, after="v"), RenameColumn("v", "x")).alter
    assert alter.endswith("RENAME COLUMN `v` TO `x`, ADD COLUMN `w` INTEGER NULL AFTER `x`")


def test_after_a_crash_mysql_fills_what_was_not_there_before_and_nothing_else() -> None:
    change = SchemaChange("alter", "shop", "t", (AddColumn(V, 5), AddColumn(W, 6)))
    assert filling(_server(MYSQL), NAME, ["id", "v"], change) == ("ALTER TABLE `t` ALTER COLUMN `w` SET DEFAULT NULL",)


@pytest.mark.parametrize("dialect", [POSTGRESQL, SQLITE], ids=lambda one: one.name)
def test_names_that_change_places_go_through_others(dialect: SqlDialect) -> None:
    plan = _plan(dialect, _found(dialect, V, W), RenameColumn("v", "w"), RenameColumn("w", "v"))
    moves = [statement.partition("RENAME COLUMN ")[2] for statement in plan.alter]
    assert moves == [
        '"v" TO "_cdc_renamed_0"',
        '"w" TO "_cdc_renamed_1"',
        '"_cdc_renamed_0" TO "w"',
        '"_cdc_renamed_1" TO "v"',
    ]


def test_a_chain_of_renames_is_read_step_by_step_where_it_can_be_and_at_once_where_it_cannot() -> None:
    chain = (RenameColumn("v", "w"), RenameColumn("w", "x"))
    assert _plan(POSTGRESQL, _found(POSTGRESQL, V), *chain).alter == ('ALTER TABLE "t" RENAME COLUMN "v" TO "x"',)
    at_once = _plan(MYSQL, _found(MYSQL, V, W), *chain).alter
    assert at_once == ("ALTER TABLE `t` RENAME COLUMN `v` TO `w`, RENAME COLUMN `w` TO `x`",)


def test_a_name_in_another_case_is_another_column_at_postgresql_and_the_same_elsewhere() -> None:
    rename = RenameColumn("v", "V")
    for dialect in (POSTGRESQL, MYSQL, SQLITE):
        assert len(_plan(dialect, _found(dialect, V), rename).alter) in {1, 2}
    both = Found({**_found(POSTGRESQL, V).types, "V": sa.INTEGER()}, (frozenset({"id"}),), ("id",), "t_pkey")
    with pytest.raises(TargetRefused, match="both are there"):
        _plan(POSTGRESQL, both, rename)


@pytest.mark.parametrize(
    ("dialect", "statement"),
    [
        (POSTGRESQL, 'ALTER TABLE "t" ALTER COLUMN "v" TYPE BIGINT'),
        (MYSQL, "ALTER TABLE `t` CHANGE COLUMN `v` `v` BIGINT NULL"),
    ],
    ids=["postgresql", "mysql"],
)
def test_a_wider_type(dialect: SqlDialect, statement: str) -> None:
    plan = _plan(dialect, _found(dialect, V), ModifyColumn(Column("v", "bigint"), V))
    assert (plan.alter, plan.checks) == ((statement,), ())


def test_a_narrower_type_is_asked_for_first() -> None:
    plan = _plan(POSTGRESQL, _found(POSTGRESQL, V), ModifyColumn(Column("v", "smallint"), V))
    assert [check.sql for check in plan.checks] == ['SELECT 1 FROM "t" WHERE "v" < -32768 OR "v" > 32767 LIMIT 1']


def test_a_wider_column_of_a_users_own_is_left_as_it_is() -> None:
    for type_, before, after in (
        (sa.BIGINT(), V, Column("v", "bigint")),
        (sa.TEXT(), Column("v", "varchar", length=5, **UTF8), Column("v", "varchar", length=9, **UTF8)),
    ):
        found = Found({"id": sa.INTEGER(), "v": type_}, (frozenset({"id"}),), ("id",), "t_pkey")
        assert not _plan(POSTGRESQL, found, ModifyColumn(after, before))


def test_a_column_that_the_target_generates_is_left_to_it() -> None:
    found = Found({"id": sa.INTEGER(), "v": sa.INTEGER()}, (frozenset({"id"}),), ("id",), "t_pkey", frozenset({"v"}))
    assert not _plan(POSTGRESQL, found, ModifyColumn(Column("v", "bigint"), V))


def test_spaces_at_the_end_of_a_char_go() -> None:
    before, after = Column("v", "varchar", length=5, **UTF8), Column("v", "char", length=5, **UTF8)
    (update,) = _plan(POSTGRESQL, _found(POSTGRESQL, before), ModifyColumn(after, before)).alter
    assert update == 'UPDATE "t" SET "v" = rtrim("v", \' \') WHERE "v" IS NOT NULL'


@pytest.mark.parametrize("dialect", [POSTGRESQL, MYSQL, SQLITE], ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Column("v", "int"), Column("v", "decimal", precision=10, scale=0)),
        (Column("v", "double"), Column("v", "float")),
        (Column("v", "datetime", scale=6), Column("v", "datetime", scale=3)),
        (Column("v", "datetime", scale=0), Column("v", "date")),
        (Column("v", "json", **UTF8), Column("v", "longtext", **UTF8)),
        (Column("v", "binary", length=4), Column("v", "binary", length=8)),
        (Column("v", "geometry"), Column("v", "point")),
        (Column("v", "vector", length=4), Column("v", "vector", length=3)),
        (Column("v", "uuid"), Column("v", "char", length=36, **UTF8)),
        (Column("v", "enum", members=("a",), **UTF8), Column("v", "set", members=("a",), **UTF8)),
    ],
)
def test_what_is_not_exact_is_refused(dialect: SqlDialect, before: Column, after: Column) -> None:
    with pytest.raises(TargetRefused, match="column v") as caught:
        _plan(dialect, _found(dialect, before), ModifyColumn(after, before))
    assert "convert it by hand" in caught.value.hint


@pytest.mark.parametrize(
    ("now", "after", "accepted"),
    [
        (sa.INTEGER(), Column("v", "bigint"), True),
        (sa.BIGINT(), Column("v", "int"), True),
        (sa.VARCHAR(5), Column("v", "varchar", length=9, **UTF8), True),
        (sa.VARCHAR(9), Column("v", "text", **UTF8), True),
        (sa.VARCHAR(9), Column("v", "varchar", length=5, **UTF8), True),
        (sa.NUMERIC(9, 2), Column("v", "decimal", precision=12, scale=2), True),
        (sa.NUMERIC(19, 4), Column("v", "decimal", precision=12, scale=2), False),
        (postgresql.TIMESTAMP(precision=6), Column("v", "datetime", scale=3), False),
        (postgresql.TIMESTAMP(precision=0), Column("v", "datetime", scale=6), True),
        (sa.TEXT(), Column("v", "int"), False),
        (sa.INTEGER(), Column("v", "varchar", length=9, **UTF8), False),
        (sa.REAL(), Column("v", "decimal", precision=5, scale=2), False),
        (postgresql.TIMESTAMP(precision=0, timezone=True), Column("v", "datetime", scale=0), False),
    ],
)
def test_where_the_old_type_is_not_known_the_targets_own_decides(now: Type, after: Column, accepted: bool) -> None:
    found = Found({"id": sa.INTEGER(), "v": now}, (frozenset({"id"}),), ("id",), "t_pkey")
    if accepted:
        _plan(POSTGRESQL, found, ModifyColumn(after))
        return
    with pytest.raises(TargetRefused, match="not known"):
        _plan(POSTGRESQL, found, ModifyColumn(after))


def test_a_key_is_set_where_the_target_has_another() -> None:
    plan = _plan(POSTGRESQL, _found(POSTGRESQL, V), SetKey(("v",)))
    assert plan.alter == (
        'ALTER TABLE "t" DROP CONSTRAINT "t_pkey"',
        'ALTER TABLE "t" ALTER COLUMN "id" DROP NOT NULL',
        'ALTER TABLE "t" ADD PRIMARY KEY ("v")',
    )
    rebuild = _plan(SQLITE, _found(SQLITE, V), SetKey(("v",))).rebuild
    assert rebuild is not None
    assert (rebuild.key, rebuild.omitted) == (("v",), frozenset())


def test_a_users_unique_index_on_the_new_key_will_do_and_any_other_one_is_a_doubt() -> None:
    types: dict[str, Type] = {"id": sa.INTEGER(), "v": sa.INTEGER(), "w": sa.INTEGER()}
    found = Found(types, (frozenset({"id"}), frozenset({"v"})), ("id",), "t_pkey")
    assert not _plan(POSTGRESQL, found, SetKey(("v",)))
    with pytest.raises(TargetRefused, match="key"):
        _plan(POSTGRESQL, found, SetKey(("w",)))


def test_a_dropped_key_leaves_what_remains_of_it_and_none_leaves_the_targets() -> None:
    found = _found(MYSQL, V, key=("id", "v"))
    (alter,) = _plan(MYSQL, found, DropColumn("v")).alter
    assert alter.endswith("DROP PRIMARY KEY, ADD PRIMARY KEY (`id`)")
    assert not _plan(MYSQL, found, SetKey(()))
    with pytest.raises(TargetRefused, match="key"):
        _plan(MYSQL, _found(MYSQL, V), DropColumn("id"))


def test_names_are_quoted_and_texts_escaped_everywhere() -> None:
    hostile = 'x"`; DROP TABLE t--'
    for dialect in (POSTGRESQL, SQLITE):
        for statement in _plan(
            dialect, _found(dialect), AddColumn(Column(hostile, "text", **UTF8), "'; DROP --")
        ).alter:
            assert '"x""`; DROP TABLE t--"' in statement
            assert "'; DROP" not in statement.replace("'''; DROP --'", "")
    with pytest.raises(TargetRefused, match="backtick"):
        _plan(MYSQL, _found(MYSQL), AddColumn(Column(hostile, "int")))
    with pytest.raises(TargetRefused, match="64 bytes"):
        _plan(POSTGRESQL, _found(POSTGRESQL, V), RenameColumn("v", "m" * 64))


def test_a_zero_date_as_fill_matters_at_postgresql_only_where_there_are_rows() -> None:
    for column, fill in (
        (Column("d", "date"), "0000-00-00"),
        (Column("d", "datetime", scale=0), "2024-00-10T00:00:00"),
    ):
        plan = _plan(POSTGRESQL, _found(POSTGRESQL, V), AddColumn(column, fill))
        assert [check.sql for check in plan.checks] == ['SELECT 1 FROM "t" LIMIT 1']
        assert "DEFAULT" not in "".join(plan.alter)
        assert fill in plan.checks[0].problem
    sound = _plan(POSTGRESQL, _found(POSTGRESQL, V), AddColumn(Column("d", "date"), "2000-10-10"))
    assert sound.checks == ()
    assert "DEFAULT '2000-10-10'" in "".join(sound.alter)


def test_a_fill_that_no_literal_can_say_is_refused() -> None:
    with pytest.raises(TargetRefused, match="0000"):
        _plan(POSTGRESQL, _found(POSTGRESQL), AddColumn(Column("v", "varchar", length=5, **UTF8), "a\0b"))


def test_sqlite_makes_a_table_anew_only_for_another_affinity() -> None:
    signed, unsigned = Column("v", "bigint"), Column("v", "bigint", unsigned=True)
    assert _plan(SQLITE, _found(SQLITE, V), ModifyColumn(signed, V)).rebuild is None
    rebuild = _plan(SQLITE, _found(SQLITE, signed), ModifyColumn(unsigned, signed)).rebuild
    assert rebuild is not None
    assert rebuild.types == {"v": "TEXT"}
    found = Found({"id": sqlite.INTEGER(), "v": sqlite.INTEGER()}, (frozenset({"id"}),), ("id",))
    assert _plan(SQLITE, found, ModifyColumn(unsigned, signed)).checks


def test_a_column_that_mysql_shows_with_a_width_is_the_same_without() -> None:
    found = Found({"id": mysql.INTEGER(11), "v": mysql.INTEGER(11)}, (frozenset({"id"}),), ("id",), "PRIMARY")
    (alter,) = _plan(MYSQL, found, ModifyColumn(Column("v", "bigint"), V)).alter
    assert alter.endswith("CHANGE COLUMN `v` `v` BIGINT NULL")


def test_a_table_moves_between_schemas_where_the_template_names_them() -> None:
    old, new = TargetName("a", "t"), TargetName("b", "u")
    assert renaming(MYSQL, old, new) == ["RENAME TABLE `a`.`t` TO `b`.`u`"]
    assert renaming(POSTGRESQL, old, new) == [
        'ALTER TABLE "a"."t" RENAME TO "u"',
        'ALTER TABLE "a"."u" SET SCHEMA "b"',
    ]
    assert renaming(SQLITE, NAME, TargetName(None, "u")) == ['ALTER TABLE "t" RENAME TO "u"']
    with pytest.raises(TargetRefused):
        renaming(SQLITE, old, new)
