"""Parked rows under their table's later shapes: what is exact is carried over, all else is refused, by the right names."""

from typing import Any

import pytest

from cdc.model.change import Row, Value
from cdc.model.errors import RowRefused
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import AddColumn, DropColumn, ModifyColumn, RenameColumn, SchemaChange, SetKey, Step
from cdc.target.carried import carried, changes_keys

UTF8: dict[str, Any] = {"charset": "utf8mb4", "collation": "utf8mb4_0900_ai_ci"}
ID = Column("id", "int", nullable=False)
A = Column("a", "int")
B = Column("b", "int")
TABLE = TableSchema("shop", "orders", (ID, A, B), ("id",))
ROW: Row = {"id": 1, "a": 2, "b": 3}


def shape(*columns: Column) -> TableSchema:
    return TableSchema("shop", "orders", columns, ("id",))


def alter(*steps: Step, schema: TableSchema | None = None) -> SchemaChange:
    return SchemaChange("alter", "shop", "orders", steps, schema)


SWAP = alter(
    RenameColumn("a", "b"),
    RenameColumn("b", "a"),
    schema=shape(ID, Column("b", "int"), Column("a", "int")),
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([alter(AddColumn(Column("c", "int"), 9))], {"id": 1, "a": 2, "b": 3, "c": 9}),
        ([alter(AddColumn(Column("c", "int")))], {"id": 1, "a": 2, "b": 3, "c": None}),
        ([alter(DropColumn("A"))], {"id": 1, "b": 3}),
        ([alter(RenameColumn("a", "c"))], {"id": 1, "c": 2, "b": 3}),
        ([alter(RenameColumn("id", "number"))], {"number": 1, "a": 2, "b": 3}),
        ([SWAP], {"id": 1, "b": 2, "a": 3}),
        ([alter(DropColumn("a"), RenameColumn("b", "a"))], {"id": 1, "a": 3}),
        ([alter(DropColumn("a")), alter(AddColumn(A, 7, after="id"))], {"id": 1, "a": 7, "b": 3}),
        ([alter(AddColumn(Column("c", "int"), 9)), alter(RenameColumn("c", "d"))], {"id": 1, "a": 2, "b": 3, "d": 9}),
    ],
)
def test_names_values_and_fills_follow_the_steps(changes: list[SchemaChange], expected: Row) -> None:
    row, schema = carried(ROW, TABLE, changes)
    assert row == expected
    assert {column.name for column in schema.columns} == expected.keys()
    assert len(schema.key) == 1


def test_a_change_that_a_rewind_brings_again_changes_nothing_more() -> None:
    changes = [
        alter(AddColumn(Column("c", "int"), 9)),
        alter(RenameColumn("c", "d")),
        alter(DropColumn("a")),
    ]
    once, _ = carried(ROW, TABLE, changes)
    twice, _ = carried(ROW, TABLE, [*changes, *changes[1:]])
    assert once == twice == {"id": 1, "b": 3, "d": 9}


def test_names_that_changed_places_and_came_again_are_refused_for_nothing_tells_which_is_which() -> None:
    with pytest.raises(RowRefused, match="renamed at once"):
        carried(ROW, TABLE, [SWAP, SWAP])


def test_the_table_version_that_the_change_left_is_taken_under_the_letters_table_name() -> None:
    left = TableSchema("shop", "orders", (ID, A, B, Column("c", "int")), ("id",))
    _, schema = carried(
        ROW, TableSchema("shop", "sales", TABLE.columns, ("id",)), [alter(AddColumn(left.columns[3], 1), schema=left)]
    )
    assert (schema.table, schema.columns) == ("sales", left.columns)


def test_a_partial_update_leaves_a_new_column_to_the_row_that_is_there() -> None:
    row, _ = carried({"id": 1, "b": 3}, TABLE, [alter(AddColumn(Column("c", "int"), 9), RenameColumn("b", "d"))])
    assert row == {"id": 1, "d": 3}


def test_a_delete_has_no_row_but_the_present_shape() -> None:
    row, schema = carried(None, TABLE, [alter(DropColumn("a"))])
    assert row is None
    assert [column.name for column in schema.columns] == ["id", "b"]


@pytest.mark.parametrize(
    "change",
    [
        alter(RenameColumn("nobody", "c")),
        alter(DropColumn("a"), schema=TABLE),
        alter(SetKey(("a",)), schema=TableSchema("shop", "orders", TABLE.columns, ("a",))),
        alter(AddColumn(Column("n", "int", nullable=False), None)),
        alter(ModifyColumn(Column("a", "varchar", length=20, **UTF8), A)),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(change: SchemaChange) -> None:
    with pytest.raises(RowRefused, match="orders") as refused:
        carried(ROW, TABLE, [change])
    assert "drop its letters" in refused.value.hint


def _text(kind: str = "varchar", length: int | None = 5, charset: str = "utf8mb4") -> Column:
    return Column("v", kind, length=length, charset=charset, collation=f"{charset}_bin")


def _number(kind: str, **more: Any) -> Column:
    return Column("v", kind, **more)


@pytest.mark.parametrize(
    ("before", "after", "value", "expected"),
    [
        (_number("int"), _number("bigint"), -7, -7),
        (_number("int"), _number("tinyint", unsigned=True), 255, 255),
        (_number("int"), _number("int", nullable=False), 7, 7),
        (_number("int"), _number("bigint"), None, None),
        (_text(), _text(length=2), "é\U0001f600", "é\U0001f600"),
        (_text(), _text("char"), "a  ", "a"),
        (_text("char"), _text("longtext", None), "a", "a"),
        (_text(charset="latin1"), _text(charset="utf8mb3"), "é", "é"),
        (_text("tinytext", None), _text("text", None), "x" * 255, "x" * 255),
        (_number("decimal", precision=5, scale=0), _number("decimal", precision=8, scale=2), "-7", "-7.00"),
        (_number("decimal", precision=5, scale=1), _number("decimal", precision=7, scale=3), "1.5", "1.500"),
        (_number("datetime", scale=0), _number("datetime", scale=3), "2024-02-29T01:02:03", "2024-02-29T01:02:03.000"),
        (_number("date"), _number("datetime", scale=0), "2024-02-29", "2024-02-29T00:00:00"),
        (_number("date"), _number("datetime", scale=2), "2024-02-29", "2024-02-29T00:00:00.00"),
        (
            _number("timestamp", scale=1),
            _number("timestamp", scale=2),
            "2024-02-29T01:02:03.5Z",
            "2024-02-29T01:02:03.50Z",
        ),
        (_number("time"), _number("time", scale=1), "-838:59:59", "-838:59:59.0"),
        (_number("varbinary", length=3), _number("blob"), "AAEC", "AAEC"),
        (_number("enum", members=("a", "b")), _number("enum", members=("b", "c")), "b", "b"),
        (_number("set", members=("a", "b")), _number("set", members=("a", "b", "c")), "a,b", "a,b"),
        (_number("json"), _number("json", nullable=False), "[1]", "[1]"),
    ],
)
def test_a_value_that_is_the_same_in_its_columns_new_type_is_carried(
    before: Column, after: Column, value: Value, expected: Value
) -> None:
    row, schema = carried({"id": 1, "v": value}, shape(ID, before), [alter(ModifyColumn(after, before))])
    assert row == {"id": 1, "v": expected}
    assert schema.columns[1] == after
    row, _ = carried({"id": 1, "v": value}, shape(ID, before), [alter(ModifyColumn(after))])
    assert row == {"id": 1, "v": expected}


@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        (_number("int"), _number("tinyint"), 128),
        (_number("int"), _number("int", unsigned=True), -1),
        (_number("int"), _number("int", nullable=False), None),
        (_number("int"), _number("double"), 1),
        (_number("int"), _text(), 1),
        (_text(), _text(length=2), "abc"),
        (_text(), _text(charset="utf8mb3"), "\U0001f600"),
        (_text(), _text(charset="latin1"), "é"),
        (_text("text", None), _text("tinytext", None), "é" * 128),
        (_text(), _number("int"), "1"),
        (_number("decimal", precision=5, scale=2), _number("decimal", precision=5, scale=1), "1.25"),
        (_number("decimal", precision=5, scale=0), _number("decimal", precision=5, scale=2), "12345"),
        (_number("decimal", precision=5, scale=0), _number("decimal", precision=5, scale=0, unsigned=True), "-1"),
        (_number("datetime", scale=0), _number("timestamp", scale=0), "2024-02-29T01:02:03"),
        (_number("datetime", scale=3), _number("datetime", scale=0), "2024-02-29T01:02:03.500"),
        (_number("float"), _number("double"), 0.1),
        (_number("varbinary", length=3), _number("varbinary", length=2), "AAEC"),
        (_number("binary", length=3), _number("binary", length=4), "AAEC"),
        (_number("enum", members=("a", "b")), _number("enum", members=("b",)), "a"),
        (_number("set", members=("a", "b")), _number("set", members=("b", "a")), "a,b"),
        (_number("bit", length=3), _number("bit", length=2), 7),
    ],
)
def test_a_value_that_may_be_another_one_in_its_columns_new_type_is_refused(
    before: Column, after: Column, value: Value
) -> None:
    with pytest.raises(RowRefused, match="column v"):
        carried({"id": 1, "v": value}, shape(ID, before), [alter(ModifyColumn(after, before))])


@pytest.mark.parametrize(
    ("steps", "schema", "expected"),
    [
        ((SetKey(("a",)),), TABLE, True),
        ((ModifyColumn(Column("id", "bigint"), ID),), TABLE, False),
        ((ModifyColumn(Column("id", "varchar", length=9, **UTF8), ID),), TABLE, True),
        ((ModifyColumn(Column("id", "char", length=9), Column("id", "varchar", length=9)),), TABLE, True),
        ((ModifyColumn(Column("id", "text"), Column("id", "varchar", length=9)),), TABLE, False),
        ((ModifyColumn(Column("id", "datetime", scale=3), Column("id", "datetime", scale=0)),), TABLE, True),
        ((ModifyColumn(Column("id", "bigint")),), TABLE, True),
        ((ModifyColumn(Column("a", "varchar", length=9), A),), TABLE, False),
        ((ModifyColumn(Column("a", "varchar", length=9), A),), None, True),
        ((RenameColumn("id", "number"), AddColumn(A), DropColumn("b")), None, False),
    ],
)
def test_changes_of_keys_or_of_their_writing_are_told(
    steps: tuple[Step, ...], schema: TableSchema | None, expected: bool
) -> None:
    assert changes_keys(alter(*steps, schema=schema)) is expected
