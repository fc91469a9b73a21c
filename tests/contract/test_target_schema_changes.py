"""The port's contract, held by every adapter in the registry on its real server: `change_schema`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from cdc.model.change import Row, Value
from cdc.model.errors import CdcError, RowRefused, TargetBusy, TargetRefused
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import (
    AddColumn,
    DropColumn,
    ModifyColumn,
    RenameColumn,
    SchemaChange,
    SetKey,
    Step,
)
from cdc.target.memory import store
from cdc.target.port import LaneWriter, Target
from tests.contract.conftest import LEASE_SECONDS
from tests.support.targets import ORDERS, Place, deletes, inserts, letter, moved, order, problems, updates, write

UTF8: dict[str, Any] = {"charset": "utf8mb4", "collation": "utf8mb4_general_ci"}
NOTE = ORDERS.column("note")
TOTAL = ORDERS.column("total")
ID = ORDERS.column("id")


def shape(*columns: Column, key: Sequence[str] = ("id",), table: str = "orders") -> TableSchema:
    return TableSchema("shop", table, columns, tuple(key))


def alter(*steps: Step, schema: TableSchema | None = None, table: str = "orders") -> SchemaChange:
    return SchemaChange("alter", "shop", table, steps, schema, ddl="ALTER TABLE x; DROP TABLE canary--")


def do(writer: LaneWriter, change: SchemaChange, count: int = 2) -> None:
    """One whole transaction."""
    progress = writer.begin()
    writer.change_schema(change)
    writer.commit(moved(progress, count))


def columns_of(place: Place, table: str = "orders") -> list[str]:
    """In the table's order."""
    if place.kind == "memory":
        return list(dict.fromkeys(name for row in store(place.url).rows(table).values() for name in row))
    if place.kind == "sqlite":
        return [row[1] for row in place.execute(f"PRAGMA table_info({place.quoted(table)})")]
    where = "current_schema()" if place.kind == "postgresql" else "DATABASE()"
    literal = table.replace("'", "''")
    rows = place.execute(
        f"SELECT column_name FROM information_schema.columns WHERE table_schema = {where} AND table_name = '{literal}'"
        " ORDER BY ordinal_position"
    )
    return [row[0] for row in rows]


def tables_of(place: Place) -> set[str]:
    """But for Lockstep's own."""
    if place.kind == "memory":
        return set(store(place.url).tables)
    if place.kind == "sqlite":
        rows = place.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    else:
        where = "current_schema()" if place.kind == "postgresql" else "DATABASE()"
        rows = place.execute(f"SELECT table_name FROM information_schema.tables WHERE table_schema = {where}")
    return {row[0] for row in rows if not row[0].startswith("_cdc_")}


# Columns come.


def test_a_new_column_holds_the_fill_in_the_rows_that_are_there_and_nothing_by_itself_later(
    writer: LaneWriter, place: Place
) -> None:
    write(writer, inserts(order(1), order(2)))
    extra = Column("extra", "int")
    wider = shape(*ORDERS.columns, extra)
    do(writer, alter(AddColumn(extra, 7), schema=wider))
    assert place.rows(columns=["id", "extra"]) == [(1, 7), (2, 7)]
    write(writer, inserts({**order(3), "extra": None}, schema=wider), updates({**order(1), "extra": 8}, schema=wider))
    if place.sql:
        place.execute(f"INSERT INTO {place.quoted('orders')} (id) VALUES (4)")
        assert place.rows(columns=["id", "extra"])[3] == (4, None)
    assert place.rows(columns=["id", "extra"])[:3] == [(1, 8), (2, 7), (3, None)]


FILLS: list[tuple[Column, Value]] = [
    (Column("c", "tinyint"), -128),
    (Column("c", "bigint", unsigned=True), 2**64 - 1),
    (Column("c", "decimal", precision=20, scale=4), "-12.5000"),
    (Column("c", "float"), 0.1),
    (Column("c", "double"), 1e300),
    (Column("c", "bit", length=64), 2**64 - 1),
    (Column("c", "year"), 2024),
    (Column("c", "date"), "2024-02-29"),
    (Column("c", "time", scale=3), "-838:59:58.999"),
    (Column("c", "datetime", scale=0), "2024-02-29T01:02:03"),
    (Column("c", "timestamp", scale=3), "2024-02-29T01:02:03.500Z"),
    (Column("c", "char", length=9, **UTF8), "é'\\%s"),
    (Column("c", "varchar", length=30, **UTF8), 'it\'s "%(x)s" \\ :n\n?'),
    (Column("c", "text", **UTF8), ""),
    (Column("c", "longtext", **UTF8), "x" * 1000),
    (Column("c", "binary", length=4), "AAEC/w=="),
    (Column("c", "varbinary", length=9), ""),
    (Column("c", "blob"), "/wAn"),
    (Column("c", "enum", members=("a'b", "c"), **UTF8), "a'b"),
    (Column("c", "set", members=("x", "y"), **UTF8), "x,y"),
    (Column("c", "json", **UTF8), '{"a": ["it\'s", 1]}'),
    (Column("c", "point"), {"srid": 4326, "wkb": "AQEAAAAAAAAAAADwPwAAAAAAAABA"}),
    (Column("c", "vector", length=3), [1.5, -2.0, 0.25]),
    (Column("c", "uuid"), "123e4567-e89b-12d3-a456-426655440000"),
    (Column("c", "inet6"), "2001:db8::ff"),
]


def test_a_fill_of_every_type_is_what_a_row_of_that_value_holds(writer: LaneWriter, place: Place) -> None:
    """Of all types at once: a table for each takes minutes."""
    write(writer, inserts(order(1)))
    fills = {f"c{number}": (column, fill) for number, (column, fill) in enumerate(FILLS)}
    columns = {name: replace(column, name=name) for name, (column, _) in fills.items()}
    wider = shape(*ORDERS.columns, *columns.values())
    do(writer, alter(*(AddColumn(columns[name], fill) for name, (_, fill) in fills.items()), schema=wider))
    written = {name: fill for name, (_, fill) in fills.items()}
    write(writer, inserts({**order(2), **written}, schema=wider), count=3)
    for name, column in columns.items():
        filled, expected = _bytes_of(place, "orders", name)
        assert filled is not None, column
        assert filled == expected, column


def _bytes_of(place: Place, table: str, column: str) -> list[Any]:
    """A column by the order of the ids; from MySQL in hexadecimal, since PyMySQL takes a VECTOR for a text."""
    if place.kind in {"mysql", "mariadb"}:
        return [row[0] for row in place.execute(f"SELECT HEX({column}) FROM {table} ORDER BY id")]
    return [row[1] for row in place.rows(table, ["id", column])]


@pytest.mark.parametrize(
    ("after", "expected"),
    [("", ["x", "id", "note", "total"]), ("id", ["id", "x", "note", "total"]), (None, ["id", "note", "total", "x"])],
)
def test_the_place_of_a_new_column_is_the_sources_at_mysql(
    writer: LaneWriter, place: Place, after: str | None, expected: list[str]
) -> None:
    write(writer, inserts(order(1)))
    do(writer, alter(AddColumn(Column("x", "int"), 1, after)))
    assert set(columns_of(place)) == set(expected)
    if place.kind in {"mysql", "mariadb"}:
        assert columns_of(place) == expected


def test_a_column_that_a_user_made_in_advance_is_taken_and_not_filled(writer: LaneWriter, place: Place) -> None:
    if not place.sql:
        pytest.skip("memory has no tables made by others")
    write(writer, inserts(order(1)))
    place.execute(f"ALTER TABLE {place.quoted('orders')} ADD COLUMN extra BIGINT DEFAULT 5")
    do(writer, alter(AddColumn(Column("extra", "int"), 7)))
    assert place.rows(columns=["id", "extra"]) == [(1, 5)]


def test_a_column_made_in_advance_that_cannot_hold_the_values_is_refused(writer: LaneWriter, place: Place) -> None:
    if place.kind in {"memory", "sqlite"}:
        pytest.skip("any integer column holds any integer there")
    write(writer, inserts(order(1)))
    place.execute(f"ALTER TABLE {place.quoted('orders')} ADD COLUMN extra SMALLINT")
    _refused(writer, place, alter(AddColumn(Column("extra", "int"), 7)), "extra")


def _refused(writer: LaneWriter, place: Place, change: SchemaChange, named: str) -> None:
    """With what to do, and nothing is changed, progress included."""
    before = columns_of(place), place.rows(columns=columns_of(place))
    progress = writer.begin()
    with pytest.raises(TargetRefused, match=named) as caught:
        writer.change_schema(change)
    assert not isinstance(caught.value, RowRefused)
    assert caught.value.hint
    writer.rollback()
    assert (columns_of(place), place.rows(columns=columns_of(place))) == before
    assert writer.begin() == progress
    writer.rollback()


# Columns go, and get other names.


def test_a_dropped_column_goes_with_its_values(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1)))
    do(writer, alter(DropColumn("note")))
    assert columns_of(place) == ["id", "total"]
    narrower = shape(ID, TOTAL)
    write(writer, inserts({"id": 2, "total": 5}, schema=narrower), count=3)
    assert place.rows(columns=["id", "total"]) == [(1, 0), (2, 5)]


def test_a_column_that_is_dropped_and_made_again_starts_anew(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1, "old", 4)))
    do(
        writer,
        alter(DropColumn("note"), AddColumn(replace(NOTE, type="int", charset=None, collation=None, length=None), 3)),
    )
    assert place.rows() == [(1, 3, 4)]


def test_a_renamed_column_keeps_its_values(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1, "kept", 3)))
    do(writer, alter(RenameColumn("note", "remark"), RenameColumn("total", "TOTAL")))
    renamed = shape(ID, replace(NOTE, name="remark"), replace(TOTAL, name="TOTAL"))
    write(writer, updates({"id": 1, "remark": "kept", "TOTAL": 4}, schema=renamed), count=3)
    assert columns_of(place) == ["id", "remark", "TOTAL"]
    assert place.rows(columns=["id", "remark", "TOTAL"]) == [(1, "kept", 4)]


SWAPS = [
    [RenameColumn("a", "b"), RenameColumn("b", "a")],
    [RenameColumn("a", "x"), RenameColumn("b", "a"), RenameColumn("x", "b")],
]


@pytest.mark.parametrize("steps", SWAPS, ids=["at-once", "through-a-third"])
def test_columns_that_change_names_keep_their_values(writer: LaneWriter, place: Place, steps: list[Step]) -> None:
    schema = shape(ID, Column("a", "int"), Column("b", "int"))
    write(writer, inserts({"id": 1, "a": 10, "b": 20}, schema=schema))
    do(writer, alter(*steps), 2)
    assert place.rows(columns=["id", "a", "b"]) == [(1, 20, 10)]
    do(writer, alter(*steps), 3)
    assert place.rows(columns=["id", "a", "b"]) == [(1, 10, 20)]


def test_three_columns_move_their_names_around_and_a_new_one_takes_a_freed_name(
    writer: LaneWriter, place: Place
) -> None:
    schema = shape(ID, Column("a", "int"), Column("b", "int"), Column("c", "int"))
    write(writer, inserts({"id": 1, "a": 10, "b": 20, "c": 30}, schema=schema))
    ring = [RenameColumn("a", "b"), RenameColumn("b", "c"), RenameColumn("c", "a")]
    do(writer, alter(*ring))
    assert place.rows(columns=["id", "a", "b", "c"]) == [(1, 30, 10, 20)]
    do(writer, alter(RenameColumn("a", "d"), AddColumn(Column("a", "int"), 1, after="d")), 3)
    assert place.rows(columns=["id", "a", "b", "c", "d"]) == [(1, 1, 10, 20, 30)]


def test_a_rename_of_what_is_not_there_and_one_onto_what_is_are_refused(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1)))
    _refused(writer, place, alter(RenameColumn("nothing", "something")), "nothing")
    _refused(writer, place, alter(RenameColumn("note", "total")), "note")


# Columns change.

CHANGES: dict[str, tuple[Column, Column, list[Value]]] = {
    "wider integer": (Column("v", "int"), Column("v", "bigint"), [-(2**31), 2**31 - 1]),
    "narrower integer, nothing beyond": (Column("v", "int"), Column("v", "smallint"), [-32768, 32767]),
    "unsigned to signed": (Column("v", "int", unsigned=True), Column("v", "bigint"), [0, 2**32 - 1]),
    "signed to unsigned, none below": (Column("v", "int"), Column("v", "int", unsigned=True), [0, 7]),
    "to unsigned bigint": (Column("v", "int", unsigned=True), Column("v", "bigint", unsigned=True), [0, 2**32 - 1]),
    "from unsigned bigint": (Column("v", "bigint", unsigned=True), Column("v", "bigint"), [0, 2**63 - 1]),
    "longer text": (Column("v", "varchar", length=5, **UTF8), Column("v", "varchar", length=50, **UTF8), ["a", "é "]),
    "shorter text": (
        Column("v", "varchar", length=50, **UTF8),
        Column("v", "varchar", length=5, **UTF8),
        ["a", "éééé "],
    ),
    "text to varchar": (Column("v", "text", **UTF8), Column("v", "varchar", length=5, **UTF8), ["a", "12345"]),
    "varchar to text": (Column("v", "varchar", length=5, **UTF8), Column("v", "text", **UTF8), ["a", ""]),
    "char to varchar": (Column("v", "char", length=5, **UTF8), Column("v", "varchar", length=5, **UTF8), ["a", ""]),
    "latin1 to utf8mb4": (
        Column("v", "varchar", length=5, charset="latin1", collation="latin1_swedish_ci"),
        Column("v", "varchar", length=5, **UTF8),
        ["é", "x"],
    ),
    "more members": (
        Column("v", "enum", members=("a", "b"), **UTF8),
        Column("v", "enum", members=("a", "b", "c"), **UTF8),
        ["a", "b"],
    ),
    "more members of a set": (
        Column("v", "set", members=("a", "b"), **UTF8),
        Column("v", "set", members=("a", "b", "c"), **UTF8),
        ["a,b", ""],
    ),
    "enum to varchar": (
        Column("v", "enum", members=("a", "b"), **UTF8),
        Column("v", "varchar", length=1, **UTF8),
        ["a", "b"],
    ),
    "longer binary": (Column("v", "varbinary", length=2), Column("v", "blob"), ["AAE=", ""]),
    "wider vector": (Column("v", "vector", length=2), Column("v", "vector", length=4), [[1.0, 2.0]]),
    "any geometry": (
        Column("v", "point"),
        Column("v", "geometry"),
        [{"srid": 0, "wkb": "AQEAAAAAAAAAAADwPwAAAAAAAABA"}],
    ),
    "not null": (Column("v", "int"), Column("v", "int", nullable=False), [1]),
}


@pytest.mark.parametrize("case", list(CHANGES))
def test_a_change_of_type_that_keeps_all_values_keeps_them(writer: LaneWriter, place: Place, case: str) -> None:
    before, after, values = CHANGES[case]
    old, new = shape(ID, before, table="t"), shape(ID, after, table="t")
    rows: list[Row] = [{"id": number, "v": value} for number, value in enumerate(values)]
    write(writer, inserts(*rows, schema=old))
    do(writer, alter(ModifyColumn(after, before), schema=new, table="t"))
    # The same rows, written under the new type, are the oracle.
    write(writer, inserts(*({**row, "id": 100 + number} for number, row in enumerate(rows)), schema=new), count=3)
    found = _bytes_of(place, "t", "v")
    assert found[: len(values)] == found[len(values) :]
    assert None not in found


def _longer_fraction(kind: str, tail: str = "") -> tuple[Column, Column, str, str]:
    text = "12:34:56" if kind == "time" else "2024-02-29T12:34:56"
    return Column("v", kind, scale=0), Column("v", kind, scale=3), text + tail, f"{text}.000{tail}"


REWRITTEN: list[tuple[Column, Column, Value, Value]] = [
    _longer_fraction("time"),
    _longer_fraction("datetime"),
    _longer_fraction("timestamp", "Z"),
    (Column("v", "date"), Column("v", "datetime", scale=0), "2024-02-29", "2024-02-29T00:00:00"),
    (Column("v", "date"), Column("v", "datetime", scale=3), "1000-01-01", "1000-01-01T00:00:00.000"),
    (Column("v", "decimal", precision=5, scale=2), Column("v", "decimal", precision=9, scale=4), "-1.50", "-1.5000"),
    (Column("v", "decimal", precision=5, scale=0), Column("v", "decimal", precision=9, scale=1), "15", "15.0"),
    (Column("v", "varchar", length=9, **UTF8), Column("v", "char", length=9, **UTF8), "a  ", "a"),
    (Column("v", "varchar", length=9, **UTF8), Column("v", "char", length=4, **UTF8), "a  ", "a"),
]


@pytest.mark.parametrize(("before", "after", "old", "new"), REWRITTEN)
def test_values_that_are_written_in_another_way_after_the_change_are_so(
    writer: LaneWriter, place: Place, before: Column, after: Column, old: Value, new: Value
) -> None:
    if not place.sql:
        pytest.skip("memory keeps values as they came")
    write(writer, inserts({"id": 1, "v": old}, schema=shape(ID, before, table="t")))
    wider = shape(ID, after, table="t")
    do(writer, alter(ModifyColumn(after, before), schema=wider, table="t"))
    write(writer, inserts({"id": 2, "v": new}, schema=wider), count=3)
    (_, changed), (_, written) = place.rows("t", ["id", "v"])
    assert changed == written


def test_float_to_double_is_mysqls_conversion_or_refused(writer: LaneWriter, place: Place) -> None:
    if not place.sql:
        pytest.skip("memory keeps values as they came")
    before, after = Column("v", "float"), Column("v", "double")
    write(writer, inserts({"id": 1, "v": 0.1}, schema=shape(ID, before)))
    if place.kind == "sqlite":
        _refused(writer, place, alter(ModifyColumn(after, before)), "v")
        return
    do(writer, alter(ModifyColumn(after, before)))
    assert place.rows(columns=["id", "v"]) == [(1, 0.10000000149011612)]


INEXACT: dict[str, tuple[Column, Column]] = {
    "rounded": (Column("v", "decimal", precision=9, scale=4), Column("v", "decimal", precision=9, scale=2)),
    "another type": (Column("v", "int"), Column("v", "varchar", length=9, **UTF8)),
    "by a time zone": (Column("v", "timestamp", scale=0), Column("v", "datetime", scale=0)),
    "padded": (Column("v", "varbinary", length=4), Column("v", "binary", length=4)),
    "members gone": (Column("v", "enum", members=("a", "b"), **UTF8), Column("v", "enum", members=("a",), **UTF8)),
    "in another order": (
        Column("v", "set", members=("a", "b"), **UTF8),
        Column("v", "set", members=("b", "a"), **UTF8),
    ),
    "fewer characters": (
        Column("v", "varchar", length=4, **UTF8),
        Column("v", "varchar", length=4, charset="latin1", collation="latin1_swedish_ci"),
    ),
}


@pytest.mark.parametrize("case", list(INEXACT))
def test_a_change_of_type_that_would_change_values_is_refused_with_what_to_do(
    writer: LaneWriter, place: Place, case: str
) -> None:
    if not place.sql:
        pytest.skip("memory has no types")
    before, after = INEXACT[case]
    write(writer, inserts({"id": 1, "v": None}, schema=shape(ID, before)))
    _refused(writer, place, alter(ModifyColumn(after, before)), "v")


BEYOND: list[tuple[Column, Column, Value]] = [
    (Column("v", "int"), Column("v", "smallint"), 40_000),
    (Column("v", "int"), Column("v", "int", unsigned=True), -1),
    (Column("v", "bigint", unsigned=True), Column("v", "bigint"), 2**63),
    (Column("v", "varchar", length=9, **UTF8), Column("v", "varchar", length=3, **UTF8), "four"),
    (Column("v", "blob"), Column("v", "varbinary", length=2), "AAEC"),
]


@pytest.mark.parametrize(("before", "after", "value"), BEYOND)
def test_a_narrower_type_is_refused_where_a_row_is_beyond_it(
    writer: LaneWriter, place: Place, before: Column, after: Column, value: Value
) -> None:
    if not place.sql:
        pytest.skip("memory has no types")
    write(writer, inserts({"id": 1, "v": value}, schema=shape(ID, before)))
    _refused(writer, place, alter(ModifyColumn(after, before)), "v")


def test_what_was_converted_by_hand_is_taken(writer: LaneWriter, place: Place) -> None:
    if place.kind in {"memory", "sqlite"}:
        pytest.skip("there the types are the same before and after")
    before, after = Column("v", "int"), Column("v", "varchar", length=9, **UTF8)
    write(writer, inserts({"id": 1, "v": 5}, schema=shape(ID, before)))
    _refused(writer, place, alter(ModifyColumn(after, before)), "v")
    how = "MODIFY COLUMN v VARCHAR(9)" if place.kind != "postgresql" else "ALTER COLUMN v TYPE VARCHAR(9)"
    place.execute(f"ALTER TABLE {place.quoted('orders')} {how}")
    do(writer, alter(ModifyColumn(after, before)), 3)
    assert place.rows(columns=["id", "v"]) == [(1, "5")]


def test_where_the_type_before_is_not_known_the_targets_own_decides(writer: LaneWriter, place: Place) -> None:
    if not place.sql:
        pytest.skip("memory has no types")
    write(writer, inserts({"id": 1, "v": 5}, schema=shape(ID, Column("v", "int"))))
    do(writer, alter(ModifyColumn(Column("v", "bigint"))))
    write(writer, inserts({"id": 2, "v": 2**62}, schema=shape(ID, Column("v", "bigint"))), count=3)
    assert place.rows(columns=["id", "v"]) == [(1, 5), (2, 2**62)]
    _refused(writer, place, alter(ModifyColumn(Column("v", "decimal", precision=5, scale=2))), "v")


def test_a_column_is_renamed_and_changed_in_one_statement(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1, "x", 3)))
    wide = Column("sum", "bigint")
    before = replace(TOTAL, name="sum")
    steps: list[Step] = [
        RenameColumn("total", "sum"),
        ModifyColumn(wide, before),
        AddColumn(Column("total", "int"), 9, after="id"),
    ]
    do(writer, alter(*steps, DropColumn("note")))
    schema = shape(ID, Column("total", "int"), wide)
    write(writer, inserts({"id": 2, "total": 1, "sum": 2**40}, schema=schema), count=3)
    assert place.rows(columns=["id", "total", "sum"]) == [(1, 9, 3), (2, 1, 2**40)]


# The key.


def test_a_new_key_is_the_targets_too(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1, "a", 10), order(2, "b", 20)))
    keyed = shape(ID, NOTE, replace(TOTAL, nullable=False), key=("total",))
    do(writer, alter(SetKey(("total",)), schema=keyed))
    batch = updates({"id": 1, "note": "changed", "total": 10}, schema=keyed)
    batch.inserts.append({"id": 1, "note": "the same id", "total": 30})
    batch.deletes.append((20,))
    write(writer, batch, count=3)
    assert sorted(place.rows()) == [(1, "changed", 10), (1, "the same id", 30)]
    if place.sql:
        write(writer, inserts({"id": None, "note": None, "total": 40}, schema=keyed), count=4)


def test_a_key_of_more_columns_and_back(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1, "a", 10), order(2, "b", 20)))
    both = shape(ID, NOTE, replace(TOTAL, nullable=False), key=("total", "id"))
    do(writer, alter(SetKey(("total", "id")), schema=both))
    write(writer, inserts(order(1, "second", 11), schema=both), count=3)
    assert len(place.rows()) == 3
    write(writer, deletes_of(both, (11, 1)), count=4)
    do(writer, alter(SetKey(("id",)), schema=ORDERS), 5)
    write(writer, updates(order(1, "z", 1)), count=6)
    assert place.rows() == [(1, "z", 1), (2, "b", 20)]


def deletes_of(schema: TableSchema, *keys: tuple[Value, ...]) -> Any:
    batch = deletes(schema=schema)
    batch.deletes.extend(keys)
    return batch


def test_a_key_column_goes_and_another_takes_its_place(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1, "a", 10), order(2, "b", 20)))
    left = shape(NOTE, replace(TOTAL, nullable=False), key=("total",))
    do(writer, alter(DropColumn("id"), SetKey(("total",)), schema=left))
    write(writer, updates({"note": "x", "total": 10}, schema=left), count=3)
    assert place.rows(columns=["total", "note"]) == [(10, "x"), (20, "b")]


def test_a_key_that_the_rows_do_not_allow_is_refused(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1, "a", 10), order(2, "b", 10)))
    _refused(writer, place, alter(SetKey(("total",))), "orders")


def test_a_key_column_whose_numbers_nobody_saw_is_refused_where_there_are_rows(
    writer: LaneWriter, place: Place
) -> None:
    """AUTO_INCREMENT in a table that had rows: the binlog does not say which row got which number."""
    if not place.sql:
        pytest.skip("memory holds no key to NOT NULL")
    write(writer, inserts(order(1)))
    change = alter(AddColumn(Column("n", "int", nullable=False), None, after=""), SetKey(("n",)))
    _refused(writer, place, change, "orders")
    write(writer, deletes(1), count=2)
    do(writer, change, 3)
    write(writer, inserts({"n": 7, **order(1)}, schema=shape(Column("n", "int"), *ORDERS.columns, key=("n",))), count=4)
    assert place.rows(columns=["n", "id"]) == [(7, 1)]


# Tables.


def test_a_new_table_is_made_as_its_first_row_would_make_it(writer: LaneWriter, place: Place, target: Target) -> None:
    change = SchemaChange("create", "shop", "orders", schema=ORDERS)
    do(writer, change)
    do(writer, change, 3)
    assert tables_of(place) == {"orders"}
    write(writer, inserts(order(1)), count=4)
    assert place.rows() == [(1, "new", 0)]
    do(writer, SchemaChange("create", "shop", "heap", schema=TableSchema("shop", "heap", (ID,), ())), 5)
    do(writer, SchemaChange("create", "shop", "unknown"), 6)
    assert tables_of(place) == {"orders"}
    assert not problems(target, ORDERS)


def test_a_table_that_is_not_ours_to_make_is_not_made(place: Place) -> None:
    front = place.open(create_tables=False)
    opened = front.writer(LEASE_SECONDS)
    opened.take_over("0", 1)
    do(opened, SchemaChange("create", "shop", "orders", schema=ORDERS))
    do(opened, alter(AddColumn(Column("x", "int"))), 3)
    assert tables_of(place) == set()
    opened.close()
    front.close()


def test_a_dropped_table_goes_with_its_dead_letters(writer: LaneWriter, place: Place, target: Target) -> None:
    write(writer, inserts(order(1)))
    progress = writer.begin()
    elsewhere = letter(3)
    writer.park([letter(1), replace(elsewhere, change=elsewhere.change._replace(table="visits"))])
    writer.commit(moved(progress, 2))
    change = SchemaChange("drop", "shop", "orders")
    do(writer, change, 3)
    do(writer, change, 4)
    assert tables_of(place) == set()
    assert [one.table for one in target.dead_letters(9)] == ["visits"]
    write(writer, inserts(order(2)), count=5)
    assert place.rows() == [(2, "new", 0)]


def test_a_renamed_table_keeps_its_rows_and_its_dead_letters(writer: LaneWriter, place: Place, target: Target) -> None:
    write(writer, inserts(order(1)))
    progress = writer.begin()
    writer.park([letter(7)])
    writer.commit(moved(progress, 2))
    renamed = replace(ORDERS, table="sales")
    change = SchemaChange("rename", "shop", "orders", schema=renamed, to=("shop", "sales"))
    do(writer, change, 3)
    do(writer, change, 4)
    assert tables_of(place) == {"sales"}
    write(writer, updates(order(1, "later"), schema=renamed), inserts(order(2), schema=renamed), count=5)
    assert place.rows("sales") == [(1, "later", 0), (2, "new", 0)]
    writer.begin()
    assert writer.parked() == {("shop", "sales", (7,))}
    writer.rollback()
    assert target.dead_letter_count() == 1


# Dead letters.


def _parked(writer: LaneWriter, *keys: int, count: int = 2) -> None:
    progress = writer.begin()
    writer.park([letter(key) for key in keys])
    writer.commit(moved(progress, count))


def test_a_dead_letter_keeps_its_message_and_carries_each_alteration_of_its_table_since(
    writer: LaneWriter, target: Target
) -> None:
    _parked(writer, 7)
    before = target.dead_letters(5)[0]
    first = alter(AddColumn(Column("extra", "int"), 5), schema=shape(*ORDERS.columns, Column("extra", "int")))
    second = alter(RenameColumn("note", 'it\'s \\ "é" %s'))
    do(writer, first, 3)
    do(writer, second, 4)
    _parked(writer, 8, count=5)
    older, newer = target.dead_letters(5)
    assert older.changes == (replace(first, ddl=""), replace(second, ddl=""))
    assert (older.value, older.key_json, older.id) == (before.value, before.key_json, before.id)
    assert newer.changes == ()


def test_an_alteration_that_comes_to_nothing_is_in_no_dead_letter(writer: LaneWriter, target: Target) -> None:
    _parked(writer, 7)
    writer.begin()
    writer.change_schema(alter(AddColumn(Column("extra", "int"), 5)))
    writer.rollback()
    assert target.dead_letters(5)[0].changes == ()


@pytest.mark.parametrize("rename", [False, True], ids=["altered", "renamed"])
def test_a_settlement_of_letters_whose_table_has_changed_since_they_were_listed_changes_nothing(
    writer: LaneWriter, target: Target, place: Place, rename: bool
) -> None:
    write(writer, inserts(order(1)))
    _parked(writer, 7)
    listed = target.dead_letters(5)
    renamed = SchemaChange("rename", "shop", "orders", schema=replace(ORDERS, table="sales"), to=("shop", "sales"))
    do(writer, renamed if rename else alter(RenameColumn("note", "remark")), 3)
    with pytest.raises(TargetBusy, match="list again"):
        target.settle(listed, [inserts(order(7))])
    with pytest.raises(TargetBusy, match="list again"):
        target.settle(listed, [])
    assert tables_of(place) == {"sales" if rename else "orders"}
    assert target.dead_letter_count() == 1
    target.settle(target.dead_letters(5), [])
    assert target.dead_letter_count() == 0


@pytest.mark.parametrize(
    "steps",
    [
        (SetKey(("id", "total")),),
        (ModifyColumn(Column("id", "decimal", precision=10, scale=0), ID),),
        (ModifyColumn(ID),),
    ],
    ids=["another key", "another writing", "unknown before"],
)
def test_a_change_of_the_key_waits_until_the_table_has_no_dead_letters(
    writer: LaneWriter, target: Target, place: Place, steps: Sequence[Step]
) -> None:
    """A later change of a parked row would not be found to wait behind it."""
    write(writer, inserts(order(1)))
    _parked(writer, 7)
    with pytest.raises(TargetRefused, match="dead letters") as refused:
        do(writer, alter(*steps, schema=ORDERS), 3)
    writer.rollback()
    assert "cdc dlq" in refused.value.hint
    assert target.dead_letters(5)[0].changes == ()
    assert columns_of(place) == ["id", "note", "total"]
    target.settle(target.dead_letters(5), [])
    do(writer, alter(SetKey(("id", "total")), schema=shape(*ORDERS.columns, key=("id", "total"))), 4)


def test_a_wider_key_of_the_same_writing_does_not_wait(writer: LaneWriter, target: Target) -> None:
    _parked(writer, 7)
    wider = Column("id", "bigint", nullable=False)
    do(writer, alter(ModifyColumn(wider, ID), schema=shape(wider, NOTE, TOTAL)), 3)
    assert len(target.dead_letters(5)[0].changes) == 1


def test_a_rename_within_what_the_template_leaves_alone_changes_nothing(place: Place) -> None:
    front = place.open(table="all_{table}")
    opened = front.writer(LEASE_SECONDS)
    opened.take_over("0", 1)
    write(opened, inserts(order(1)))
    moved_away = replace(ORDERS, db="other")
    do(opened, SchemaChange("rename", "shop", "orders", schema=moved_away, to=("other", "orders")))
    write(opened, updates(order(1, "x"), schema=moved_away), count=3)
    assert place.rows("all_orders") == [(1, "x", 0)]
    opened.close()
    front.close()


def test_a_rename_onto_a_table_that_is_there_is_refused(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1)), inserts(order(9), schema=replace(ORDERS, table="sales")))
    change = SchemaChange("rename", "shop", "orders", to=("shop", "sales"))
    _refused(writer, place, change, "sales")
    assert tables_of(place) == {"orders", "sales"}


def test_a_change_of_a_table_that_is_not_there_is_left_to_its_first_row(writer: LaneWriter, place: Place) -> None:
    wider = shape(*ORDERS.columns, Column("x", "int"))
    do(writer, alter(AddColumn(Column("x", "int"), 7), schema=wider))
    write(writer, inserts({**order(1), "x": None}, schema=wider), count=3)
    assert place.rows(columns=["id", "x"]) == [(1, None)]


# Again, undone, and beside others.

ALL_STEPS = alter(
    AddColumn(Column("made", "varchar", length=9, **UTF8), "filled", after="id"),
    AddColumn(Column("text", "text", **UTF8), "filled too"),
    RenameColumn("note", "remark"),
    ModifyColumn(Column("total", "bigint"), TOTAL),
)


def test_what_is_rolled_back_is_undone_or_finished_by_the_next_attempt(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1, "a", 3)))
    for _ in range(3):
        writer.begin()
        writer.change_schema(ALL_STEPS)
        writer.rollback()
        if place.kind not in {"mysql", "mariadb"}:
            assert columns_of(place) == ["id", "note", "total"]
    do(writer, ALL_STEPS)
    names = ["id", "made", "text", "remark", "total"]
    assert place.rows(columns=names) == [(1, "filled", "filled too", "a", 3)]


def test_names_that_change_places_do_so_once_however_often_it_is_begun(writer: LaneWriter, place: Place) -> None:
    schema = shape(ID, Column("a", "int"), Column("b", "int"))
    write(writer, inserts({"id": 1, "a": 10, "b": 20}, schema=schema))
    for _ in range(3):
        writer.begin()
        writer.change_schema(alter(*SWAPS[0]))
        writer.rollback()
    do(writer, alter(*SWAPS[0]))
    assert place.rows(columns=["id", "a", "b"]) == [(1, 20, 10)]


@pytest.mark.parametrize("change", [ALL_STEPS, alter(DropColumn("note")), alter(AddColumn(Column("x", "int"), 4))])
def test_a_change_that_was_done_and_comes_again_changes_nothing_more(
    writer: LaneWriter, place: Place, change: SchemaChange
) -> None:
    write(writer, inserts(order(1, "a", 3), order(2, None, 4)))
    do(writer, change, 2)
    names = columns_of(place)
    before = place.rows(columns=names)
    do(writer, change, 3)
    assert (columns_of(place), place.rows(columns=names)) == (names, before)


def test_a_change_needs_a_transaction_and_a_lane_that_is_still_held(writer: LaneWriter, target: Target) -> None:
    with pytest.raises(TargetRefused):
        writer.change_schema(ALL_STEPS)
    rival = target.writer(LEASE_SECONDS)
    rival.take_over("0", 6)
    with pytest.raises(CdcError):
        do(writer, ALL_STEPS)
    rival.close()


def test_the_other_lanes_go_on_with_the_new_shape_once_they_forget_the_old(
    writer: LaneWriter, target: Target, place: Place
) -> None:
    other = target.writer(LEASE_SECONDS)
    other.take_over("1", 1)
    rows = [order(number) for number in range(300)]
    write(other, inserts(*rows))
    change = alter(ModifyColumn(Column("total", "bigint"), TOTAL), AddColumn(Column("x", "int"), 5), DropColumn("note"))
    do(writer, change)
    other.forget()
    schema = shape(ID, Column("total", "bigint"), Column("x", "int"))
    wide: list[Row] = [{"id": number, "total": 2**40, "x": 6} for number in range(300)]
    write(other, updates(*wide, schema=schema), count=2)
    write(other, updates({"id": 1, "total": 0, "x": 0}, schema=schema), count=3)
    assert {row[1:] for row in place.rows(columns=["id", "total", "x"])} == {(2**40, 6), (0, 0)}
    other.close()


def test_a_reader_with_an_open_transaction_makes_the_target_busy_and_not_the_connector_wait(
    writer: LaneWriter, place: Place
) -> None:
    if not place.sql:
        pytest.skip("memory has no readers with transactions")
    write(writer, inserts(order(1)))
    change = alter(AddColumn(Column("x", "int"), 4))
    with place.reading("SELECT * FROM orders"):
        if place.kind == "sqlite":
            # A reader of a write-ahead log stands in nobody's way, and keeps what it saw.
            do(writer, change)
        else:
            writer.begin()
            with pytest.raises(TargetBusy):
                writer.change_schema(change)
            writer.rollback()
    do(writer, change, 3)
    assert place.rows(columns=["id", "x"]) == [(1, 4)]


# Names.

HOSTILE = [
    'a"b',
    "x; DROP TABLE canary--",
    "back`tick",
    "100%",
    "%s",
    "{c}",
    "select",
    "it's",
    "m" * 63,
    "m" * 64,
    "🚀",
    "new\nline",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_in_a_change_are_exact_copies_or_refused(writer: LaneWriter, place: Place, name: str) -> None:
    if place.sql:
        place.execute("CREATE TABLE canary (id INTEGER PRIMARY KEY)")
    write(writer, inserts(order(1, "a", 3)))
    progress, refused = writer.begin(), ""
    try:
        writer.change_schema(alter(AddColumn(Column(name, "varchar", length=9, **UTF8), "x'%s")))
    except TargetRefused as error:
        writer.rollback()
        refused = str(error)
    if refused:
        assert "\n" not in refused
        assert name not in {'a"b', "x; DROP TABLE canary--", "100%", "%s", "{c}", "select", "it's", "m" * 63}
        return
    writer.commit(moved(progress, 2))
    assert place.rows(columns=["id", name]) == [(1, "x'%s")]
    longer = Column(name, "varchar", length=20, **UTF8)
    before = replace(longer, length=9)
    do(writer, alter(ModifyColumn(longer, before), RenameColumn("note", f"{name[:50]}2"), SetKey(("total",))), 3)
    do(writer, alter(RenameColumn(name, "plain"), DropColumn(f"{name[:50]}2")), 4)
    assert sorted(columns_of(place)) == ["id", "plain", "total"]
    assert place.rows(columns=["id", "plain"]) == [(1, "x'%s")]
    if place.sql:
        assert place.execute("SELECT * FROM canary") in ([], ())
