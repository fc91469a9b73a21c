"""The port's contract for members of ENUM and SET whatever characters they have, and for keys that are FLOATs."""

from typing import Any

import pytest

from cdc.model.change import Value
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import AddColumn, ModifyColumn, RenameColumn, SchemaChange, Step
from cdc.target.port import LaneWriter, Target
from tests.support.targets import Place, deletes, inserts, moved, problems, updates, write

UTF8: dict[str, Any] = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}
MEMBERS = ("a'b", "a\\b", "a\\'b", "\\", "\\n", "a\nb\r\t", '"`', "%s %% :x {c}", "é\U0001f600", "", "\\\\'")
ID = Column("id", "int", nullable=False)


def _table(*columns: Column) -> TableSchema:
    return TableSchema("shop", "orders", (ID, *columns), ("id",))


def _do(writer: LaneWriter, *steps: Step, schema: TableSchema) -> None:
    progress = writer.begin()
    writer.change_schema(SchemaChange("alter", "shop", "orders", steps, schema))
    writer.commit(moved(progress, 9))


@pytest.mark.parametrize("kind", ["enum", "set"])
def test_members_are_the_same_when_a_table_is_made_looked_at_and_altered(
    writer: LaneWriter, target: Target, place: Place, kind: str
) -> None:
    members = (*MEMBERS, "a,b") if kind == "enum" else MEMBERS
    values = (*members, "a'b,\\,é\U0001f600") if kind == "set" else members
    column = Column("v", kind, members=members, **UTF8)
    write(writer, inserts(*({"id": n, "v": value} for n, value in enumerate(values)), schema=_table(column)))
    assert [row[1] for row in place.rows(columns=["id", "v"])] == list(values)

    # Another process looks at what is there, and finds it fit.
    assert not problems(target, _table(column))
    writer.forget()
    write(writer, updates({"id": 1, "v": values[0]}, schema=_table(column)), count=2)

    longer = Column("v", kind, members=(*members, "\\new'"), **UTF8)
    _do(writer, ModifyColumn(longer, column), schema=_table(longer))
    added = Column("w", kind, members=members, **UTF8)
    _do(writer, AddColumn(added, "a\\b"), schema=_table(longer, added))
    last = Column("x", kind, members=members, **UTF8)
    _do(writer, RenameColumn("w", "x"), schema=_table(longer, last))
    assert not problems(target, _table(longer, last))
    write(writer, inserts({"id": 50, "v": "\\new'", "x": "a\nb\r\t"}, schema=_table(longer, last)), count=3)
    found = place.rows(columns=["id", "v", "x"])
    assert [row[1] for row in found] == [values[0], values[0], *values[2:], "\\new'"]
    assert [row[2] for row in found] == [*("a\\b" for _ in values), "a\nb\r\t"]


FLOATS: list[Value] = [0.1, 3.4028235e38, -3.4028235e38, 1e-45, 1.1754944e-38, 16777216.0, 0.0, 1.0000001, 123456.79]


@pytest.mark.parametrize("copies", [1, 40])
def test_rows_are_found_by_floats_alone_and_beside_other_keys(
    writer: LaneWriter, target: Target, place: Place, copies: int
) -> None:
    """Stored in four bytes, written with the fewest digits that tell them apart: neither is the other's decimal."""
    columns = (Column("f", "float", nullable=False), ID, Column("note", "varchar", length=9, **UTF8))
    alone = TableSchema("shop", "alone", columns, ("f",))
    beside = TableSchema("shop", "beside", columns, ("id", "f"))
    for count, schema in enumerate((alone, beside), 1):
        numbers = FLOATS if schema is alone else [value for value in FLOATS for _ in range(copies)]
        rows = [{"f": value, "id": n, "note": "new"} for n, value in enumerate(numbers)]
        write(writer, inserts(*rows, schema=schema), count=count)
        write(writer, updates(*({**row, "note": "later"} for row in rows), schema=schema), count=count + 2)
        write(writer, inserts(*({**row, "note": "again"} for row in rows), schema=schema), count=count + 4)
        found = place.rows(schema.table, columns=["id", "note"])
        assert found == [(n, "again") for n in range(len(numbers))]
        gone = deletes(schema=schema)
        gone.deletes += [(row["f"],) if schema is alone else (row["id"], row["f"]) for row in rows[1:]]
        write(writer, gone, count=count + 6)
        assert place.rows(schema.table, columns=["id", "note"]) == [(0, "again")]
    assert not problems(target, alone, beside)
