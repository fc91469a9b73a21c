"""Schema changes on their way out of the source: projected, judged by the connector file, and told to every lane."""

from dataclasses import replace

import orjson
import pytest

from cdc.binlog.projected_change import ChangeProjection
from cdc.binlog.schema_policy import SchemaPolicy
from cdc.binlog.shapes import shapes_at, unaltered
from cdc.model.checkpoint import Checkpoint, SourcePoint
from cdc.model.errors import NotUnderstood, TableRefused
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import AddColumn, DropColumn, ModifyColumn, RenameColumn, SchemaChange, SetKey, Step
from cdc.model.table_version import TableVersion
from cdc.processes.outbound import Outbound
from cdc.processes.spread import Routing
from tests.support.events import assert_valid_event

ID, NAME, MAIL = Column("id", "int", nullable=False), Column("name", "varchar", length=40), Column("mail", "text")
SHOP = TableSchema("shop", "people", (ID, NAME, MAIL), ("id",))
POINT = SourcePoint("server", "mysql-bin.000002", 500, file_created=7)


def altered(*steps: Step, schema: TableSchema = SHOP) -> SchemaChange:
    return SchemaChange("alter", "shop", "people", steps, schema, ddl="ALTER TABLE people …")


@pytest.mark.parametrize(
    "change",
    [
        altered(
            AddColumn(NAME, "x", ""),
            DropColumn("old"),
            RenameColumn("a", "b"),
            ModifyColumn(MAIL, NAME),
            SetKey(("id",)),
        ),
        altered(AddColumn(Column("e", "enum", members=("a", "b")), "a", "id"), ModifyColumn(MAIL)),
        SchemaChange("create", "shop", "people", schema=SHOP),
        SchemaChange("drop", "shop", "people"),
        SchemaChange("rename", "shop", "people", schema=replace(SHOP, table="persons"), to=("shop", "persons")),
    ],
    ids=lambda change: change.kind,
)
def test_a_change_comes_back_from_its_json(change: SchemaChange) -> None:
    assert SchemaChange.from_json(orjson.loads(orjson.dumps(change.to_json()))) == change


def test_a_version_comes_back_from_its_json() -> None:
    whole = TableVersion(
        "s", 1, 157, "shop", "people", SHOP, {"name": "x"}, "utf8mb4_bin", ("shop", "t"), (DropColumn("a"),)
    )
    told = replace(whole, virtual=("name",), indexes={"PRIMARY": ("primary", "id"), "n": ("unique", "(name", "id")})
    plain = replace(whole, virtual=(), indexes={})
    for version in (whole, told, plain, TableVersion("s", 1, 157, "shop", "people", None)):
        assert TableVersion.from_json(version.to_json()) == version


def test_excluded_columns_are_in_no_change() -> None:
    project = ChangeProjection(("shop.people.mail*",), (), b"")
    kept = project(
        altered(AddColumn(Column("mail2", "text")), AddColumn(Column("z", "int"), 0, "mail"), DropColumn("mail"))
    )
    assert kept is not None
    assert kept.steps == (AddColumn(Column("z", "int"), 0, "name"),)
    assert kept.schema is not None
    assert [column.name for column in kept.schema.columns] == ["id", "name"]
    assert project(altered(DropColumn("mail"), ModifyColumn(Column("mail2", "blob")))) is None


def test_masked_columns_change_as_what_masks_make_of_them() -> None:
    project = ChangeProjection((), ("shop.people.mail",), b"salt")
    kept = project(altered(AddColumn(MAIL, "me@example.org"), ModifyColumn(MAIL)))
    assert kept is not None
    (added,) = kept.steps
    assert isinstance(added, AddColumn)
    assert (added.column.type, added.column.length) == ("char", 64)
    assert len(str(added.fill)) == 64
    assert "example" not in str(kept.to_json())


def test_a_rename_into_the_captured_columns_stops_and_one_out_of_them_drops() -> None:
    project = ChangeProjection(("shop.people.secret*",), (), b"")
    out = project(altered(RenameColumn("name", "secret_name")))
    assert out is not None
    assert out.steps == (DropColumn("name"),)
    assert project(altered(RenameColumn("secret_a", "secret_b"))) is None
    with pytest.raises(NotUnderstood, match="never sent"):
        project(altered(RenameColumn("secret_name", "name")))


def test_a_change_that_takes_the_key_away_is_refused() -> None:
    with pytest.raises(TableRefused, match="no primary key"):
        ChangeProjection((), (), b"")(altered(SetKey(()), schema=replace(SHOP, key=())))


def hands_on(policy: SchemaPolicy, change: SchemaChange) -> bool:
    return policy.hands_on(change, place="mysql-bin.000002:400", behind="mysql-bin.000002:500")


def test_the_policy_tells_destructive_changes_from_others() -> None:
    add, drop = altered(AddColumn(NAME)), altered(AddColumn(NAME), DropColumn("mail"))
    assert hands_on(SchemaPolicy(), add)
    with pytest.raises(NotUnderstood, match="destructive_changes: stop") as caught:
        hands_on(SchemaPolicy(), drop)
    assert "cdc replay --from mysql-bin.000002:500" in caught.value.hint
    assert hands_on(SchemaPolicy("stop", "apply"), SchemaChange("drop", "shop", "people"))
    with pytest.raises(NotUnderstood, match="schema_changes: stop"):
        hands_on(SchemaPolicy("stop", "apply"), add)
    assert not hands_on(SchemaPolicy("ignore", "ignore"), add)
    assert not hands_on(SchemaPolicy("apply", "ignore"), drop)


def test_every_kind_of_change_is_an_event_as_the_schema_describes_it() -> None:
    out = Outbound(Checkpoint(1, POINT, 5, "print"), Routing("shop", "mysql", 1))
    out.begin_run()
    steps = (
        AddColumn(MAIL, None, ""),
        DropColumn("x"),
        RenameColumn("a", "b"),
        ModifyColumn(NAME, MAIL),
        SetKey(("id",)),
    )
    changes = [
        altered(*steps),
        SchemaChange("create", "shop", "people"),
        SchemaChange("drop", "shop", "people"),
        SchemaChange("rename", "shop", "people", to=("shop", "persons")),
    ]
    for row, change in enumerate(changes):
        out.alter(600, row, change)
    messages, _ = out.take()
    assert len(messages) == 1 + len(changes)
    for message in messages:
        assert_valid_event(message.value)


def test_a_change_is_a_barrier_on_every_lane_and_counted_there() -> None:
    out = Outbound(Checkpoint(1, POINT, 5, "print"), Routing("shop", "mysql", 3))
    out.begin_run()
    out.take()
    out.alter(600, 1, altered(AddColumn(NAME)))
    messages, checkpoint = out.take()
    markers = [orjson.loads(message.value) for message in messages]
    assert [message.lane for message in messages] == ["0", "1", "2"]
    assert {tuple(one["source"]["seq"]) for one in markers} == {(1, 2, 600, 1)}
    assert {one["source"]["n"] for one in markers} == {1}
    contents = [one["marker"]["content"] for one in markers]
    assert len({content["home"] for content in contents}) == 1
    assert SchemaChange.from_json(contents[0]["change"]) == altered(AddColumn(NAME))
    assert {state.count for state in checkpoint.lanes.values()} == {1}
    for message in messages:
        assert_valid_event(message.value)
    # A reader that begins again behind it does not send it again.
    again = Outbound(replace(checkpoint, token=6), Routing("shop", "mysql", 3))
    again.begin_run()
    again.take()
    again.alter(600, 1, altered(AddColumn(NAME)))
    assert again.take()[0] == []


def version(file: int, offset: int, table: str = "people", source: str = "server") -> TableVersion:
    return TableVersion(source, file, offset, "shop", table, replace(SHOP, table=table))


def test_the_latest_shape_at_or_before_a_place_holds() -> None:
    known = [
        version(2, 500),
        version(1, 4),
        version(2, 501),
        version(10, 4),
        version(1, 9, "orders"),
        version(1, 9, source="b"),
    ]
    assert sorted((one.table, one.file, one.offset) for one in shapes_at(POINT, known)) == [
        ("orders", 1, 9),
        ("people", 2, 500),
    ]
    assert shapes_at(replace(POINT, source_id="b"), known) == [version(1, 9, source="b")]


def test_what_the_server_has_now_holds_where_no_statement_named_it_since() -> None:
    present = [version(3, 900), version(3, 900, "orders"), version(3, 900, "Lines")]
    assert [one.table for one in unaltered(present, frozenset({("shop", "orders")}), POINT)] == ["people", "Lines"]
    assert [one.table for one in unaltered(present, frozenset({("SHOP", "lines")}), POINT)] == ["people", "orders"]
    assert unaltered(present, frozenset({("shop", "")}), POINT) == []
    assert unaltered(present, None, POINT) == []
    assert {(one.file, one.offset) for one in unaltered(present, frozenset(), POINT)} == {(2, 500)}
