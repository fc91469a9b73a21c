"""The statement that undoes one row's change, and when there is none."""

from collections.abc import Sequence
from dataclasses import replace

from cdc.binlog.reverse.statements import Facts, Undo, undo
from cdc.binlog.row_changes import row_changes
from cdc.model.change import Draft
from cdc.model.schema import Column, TableSchema
from tests.support.shop_events import ORDERS, created, deleted, draft, moved, row, updated

PLAIN = Facts()


def undone(drafts: Sequence[Draft], facts: Facts = PLAIN, schema: TableSchema = ORDERS) -> Undo:
    (change,) = row_changes(drafts)
    return undo(change, schema, facts)


def test_an_insert_is_deleted_by_its_key() -> None:
    assert undone([created(5)]) == Undo("DELETE FROM `shop`.`orders` WHERE `id` = 5 LIMIT 1;")


def test_a_delete_is_inserted_with_all_columns() -> None:
    assert undone([deleted(5)]).statement == (
        "INSERT INTO `shop`.`orders` (`id`, `total`, `at`) VALUES (5, 1.50, '2024-02-29 01:02:03');"
    )


def test_an_update_sets_what_changed_and_holds_what_would_move_by_itself() -> None:
    assert undone([updated(5)]).statement == (
        "UPDATE `shop`.`orders` SET `total` = 1.50, `at` = `at` WHERE `id` = 5 LIMIT 1;"
    )


def test_a_changed_key_is_found_by_the_new_one_and_set_to_the_old_one() -> None:
    assert undone(moved(5, 7)).statement == "UPDATE `shop`.`orders` SET `id` = 5, `at` = `at` WHERE `id` = 7 LIMIT 1;"


def test_an_update_that_changed_nothing_needs_no_statement() -> None:
    assert undone([draft("u", 5, row(5), row(5))]) == Undo()


def test_the_sign_of_a_zero_is_a_change() -> None:
    schema = replace(ORDERS, columns=(Column("id", "int"), Column("ratio", "double")))
    change = draft("u", 5, {"id": 5, "ratio": -0.0}, {"id": 5, "ratio": 0.0}, schema)
    assert "`ratio` = -0.0e0" in undone([change], schema=schema).statement


def test_the_whole_key_in_its_order_finds_the_row() -> None:
    schema = replace(ORDERS, columns=(Column("a", "int"), Column("b", "varchar")), key=("b", "a"))
    change = Draft("c", "shop", "orders", schema.fingerprint(), {"b": "x", "a": 1}, None, {"a": 1, "b": "x"})
    assert "WHERE `b` = 'x' AND `a` = 1 LIMIT 1" in undone([change], schema=schema).statement


def test_computed_columns_are_left_out() -> None:
    facts = Facts(computed=lambda column: column == "shop.orders.total")
    assert "total" not in undone([deleted(5)], facts).statement
    assert undone([updated(5)], facts) == Undo()


def test_images_that_lack_what_is_needed_are_refused_by_name_of_the_column() -> None:
    for lacking in (
        draft("d", 5, {"id": 5}, None),
        draft("u", 5, {"id": 5}, {"id": 5, "total": "2", "at": None}),
    ):
        made = undone([lacking])
        assert made.statement == ""
        assert "total, at" in made.refused
        assert "binlog_row_image" in made.refused


def test_columns_that_no_image_has_kept_what_they_had() -> None:
    change = draft("u", 5, {"id": 5, "total": "1"}, {"id": 5, "total": "2"})
    assert undone([change]).statement == "UPDATE `shop`.`orders` SET `total` = 1, `at` = `at` WHERE `id` = 5 LIMIT 1;"


def test_disguised_values_are_refused_where_they_are_needed_only() -> None:
    facts = Facts(disguised=lambda schema, column: "it may be a UUID" if column.name == "total" else "")
    assert undone([deleted(5)], facts).refused == "column total: it may be a UUID"
    assert undone([created(5)], facts).statement
    assert undone([draft("d", 5, row(5, None), None)], facts).statement


def test_number_0_of_an_enum_asks_for_an_unstrict_mode_and_a_decimal_in_json_is_doubted() -> None:
    schema = replace(ORDERS, columns=(Column("id", "int"), Column("kind", "enum", members=("a",)), Column("j", "json")))
    made = undone([draft("d", 5, {"id": 5, "kind": "", "j": "1.10"}, None, schema)], schema=schema)
    assert made.unstrict
    assert made.statement.endswith("VALUES (5, '', CAST('1.10' AS JSON));")
    assert made.doubts == ("column j: its JSON has a decimal number, which becomes a double",)
