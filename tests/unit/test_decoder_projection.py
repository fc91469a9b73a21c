"""What leaves the source: keys, key changes, exclusions and masks."""

import hashlib

import pytest

from cdc.binlog.decoder.projection import Projection
from cdc.binlog.decoder.rows import ABSENT, DecodedRow, PartialValues, Values
from cdc.model.change import Value
from cdc.model.errors import NotUnderstood, TableRefused
from cdc.model.schema import Column, TableSchema

USERS = TableSchema(
    "shop",
    "users",
    (
        Column("name", "varchar", length=20, charset="utf8mb4", collation="utf8mb4_bin"),
        Column("id", "int", nullable=False),
        Column("region", "char", length=2, charset="ascii", collation="ascii_bin", nullable=False),
        Column("salary", "decimal", precision=10, scale=2),
    ),
    ("region", "id"),
)
ANN = ("Ann", 1, "eu", "10.00")


def _project(*rows: DecodedRow, exclude: tuple[str, ...] = (), mask: tuple[str, ...] = ()) -> list[tuple[object, ...]]:
    projection = Projection(USERS, exclude, mask, b"salt")
    drafts = projection.drafts(rows)
    assert all(draft.schema == projection.schema.fingerprint() for draft in drafts)
    assert all((draft.db, draft.table) == ("shop", "users") for draft in drafts)
    return [(draft.op, draft.key, draft.before, draft.after) for draft in drafts]


def test_the_key_is_in_the_order_of_the_key() -> None:
    [(op, key, before, after)] = _project(("c", None, ANN))
    assert (op, before) == ("c", None)
    assert list(key.items()) == [("region", "eu"), ("id", 1)]  # type: ignore[attr-defined]
    assert after == {"name": "Ann", "id": 1, "region": "eu", "salary": "10.00"}


def test_an_update_that_keeps_the_key_stays_one() -> None:
    [(op, _, before, after)] = _project(("u", ANN, ("Bea", 1, "eu", None)))
    assert op == "u"
    assert before == {"name": "Ann", "id": 1, "region": "eu", "salary": "10.00"}
    assert after == {"name": "Bea", "id": 1, "region": "eu", "salary": None}


def test_an_update_that_changes_the_key_is_a_delete_and_a_create() -> None:
    first, second = _project(("u", ANN, ("Ann", 1, "us", "10.00")))
    assert first[:2] == ("d", {"region": "eu", "id": 1})
    assert first[3] is None
    assert second[:3] == ("c", {"region": "us", "id": 1}, None)


def test_a_delete_holds_the_row_that_was() -> None:
    [(op, key, before, after)] = _project(("d", ANN, None))
    assert (op, key, after) == ("d", {"region": "eu", "id": 1}, None)
    assert before == {"name": "Ann", "id": 1, "region": "eu", "salary": "10.00"}


def test_excluded_columns_are_in_neither_schema_nor_row() -> None:
    projection = Projection(USERS, ["shop.*.salary", "other.*.name"], [], b"")
    assert [column.name for column in projection.schema.columns] == ["name", "id", "region"]
    assert projection.schema.key == USERS.key
    assert projection.schema.fingerprint() != USERS.fingerprint()
    [(_, _, _, after)] = _project(("c", None, ANN), exclude=("shop.*.salary",))
    assert after == {"name": "Ann", "id": 1, "region": "eu"}


def test_a_masked_column_is_a_salted_hash_and_null_stays_null() -> None:
    hashed = hashlib.sha256(b"salt" + b"10.00").hexdigest()
    [(_, _, before, after)] = _project(("u", ANN, ("Ann", 1, "eu", None)), mask=("shop.users.salary",))
    assert (before["salary"], after["salary"]) == (hashed, None)  # type: ignore[index]
    masked = Projection(USERS, [], ["shop.users.salary"], b"salt").schema.column("salary")
    assert masked == Column("salary", "char", length=64, charset="ascii", collation="ascii_bin")


def test_a_masked_key_is_the_same_hash_in_key_and_row_and_still_tells_rows_apart() -> None:
    one = hashlib.sha256(b"salt" + b"1").hexdigest()
    drafts = _project(("u", ANN, ("Ann", 2, "eu", "10.00")), mask=("shop.users.id",), exclude=("shop.users.name",))
    assert [op for op, *_ in drafts] == ["d", "c"]
    assert drafts[0][1] == {"region": "eu", "id": one}
    assert drafts[0][2] == {"id": one, "region": "eu", "salary": "10.00"}


def test_an_excluded_column_is_not_masked_as_well() -> None:
    [(_, _, _, after)] = _project(("c", None, ANN), exclude=("*.*.salary",), mask=("*.*.salary",))
    assert "salary" not in after  # type: ignore[operator]


def test_a_table_without_a_primary_key_is_refused_with_the_way_out() -> None:
    with pytest.raises(TableRefused, match=r"table shop\.users has no primary key.*ADD PRIMARY KEY"):
        Projection(TableSchema("shop", "users", USERS.columns, ()), [], [], b"")


def test_a_key_column_cannot_be_excluded() -> None:
    with pytest.raises(TableRefused, match=r"shop\.users\.id is excluded, but belongs to the table's primary key"):
        Projection(USERS, ["shop.users.id"], [], b"")


def test_an_enumeration_whose_two_empty_values_are_one_text_is_no_key() -> None:
    columns = (Column("e", "enum", members=("", "a"), nullable=False), Column("v", "int"))
    with pytest.raises(TableRefused, match="two rows would be one"):
        Projection(TableSchema("shop", "t", columns, ("e",)), (), (), b"")
    Projection(TableSchema("shop", "t", columns, ("v",)), (), (), b"")


# ---- rows whose images lack columns

_ = ABSENT
KEY_OF_ANN = PartialValues((_, 1, "eu", _))


def _project_partial(
    *rows: DecodedRow,
    defaults: dict[str, Value] | None = None,
    unlogged: tuple[str, ...] | None = (),
    mariadb_update: bool = False,
    **patterns: tuple[str, ...],
) -> list[tuple[object, ...]]:
    exclude, mask = patterns.get("exclude", ()), patterns.get("mask", ())
    projection = Projection(USERS, exclude, mask, b"salt", defaults, unlogged)
    return [
        (draft.op, draft.key, draft.before, draft.after)
        for draft in projection.drafts(rows, mariadb_update=mariadb_update)
    ]


def test_absent_is_neither_null_nor_in_the_row() -> None:
    key = {"region": "eu", "id": 1}
    after = PartialValues((_, _, _, "20.00"))
    assert _project_partial(("u", KEY_OF_ANN, after)) == [("u", key, key, {**key, "salary": "20.00"})]
    assert _project_partial(("u", KEY_OF_ANN, PartialValues((None, _, _, _)))) == [
        ("u", key, key, {**key, "name": None})
    ]
    assert _project_partial(("d", KEY_OF_ANN, None)) == [("d", key, key, None)]


def test_what_the_after_image_lacks_is_as_the_before_image_has_it() -> None:
    """MariaDB's FULL_NODUP: the before image is whole, the after image has what changed."""
    [(op, key, before, after)] = _project_partial(("u", ANN, PartialValues(("Anna", _, _, _))))
    assert (op, key) == ("u", {"region": "eu", "id": 1})
    assert before == {"name": "Ann", "id": 1, "region": "eu", "salary": "10.00"}
    assert after == {"name": "Anna", "id": 1, "region": "eu", "salary": "10.00"}
    drafts = _project_partial(("u", ANN, PartialValues((_, 2, _, _))))
    assert [(draft[0], draft[1]) for draft in drafts] == [
        ("d", {"region": "eu", "id": 1}),
        ("c", {"region": "eu", "id": 2}),
    ]
    assert drafts[1][3] == {"name": "Ann", "id": 2, "region": "eu", "salary": "10.00"}


def test_a_changed_key_stops_where_the_row_under_its_new_key_cannot_be_told_whole() -> None:
    with pytest.raises(NotUnderstood, match=r"shop\.users: a row changed its key.*missing: name, salary.*image=FULL"):
        _project_partial(("u", KEY_OF_ANN, PartialValues((_, 2, _, _))))
    drafts = _project_partial(("u", KEY_OF_ANN, PartialValues((_, 2, _, _))), exclude=("*.salary", "*.name"))
    assert [draft[0] for draft in drafts] == ["d", "c"]


def test_an_inserted_row_takes_the_defaults_of_what_its_image_lacks_or_stops() -> None:
    row: DecodedRow = ("c", None, PartialValues((_, 1, "eu", "10.00")))
    with pytest.raises(NotUnderstood, match=r"shop\.users: an inserted row has columns.*missing: name\).*image=FULL"):
        _project_partial(row)
    [(_op, _key, _before, after)] = _project_partial(row, defaults={"name": None})
    assert after == {"name": None, "id": 1, "region": "eu", "salary": "10.00"}
    [(_op, _key, _before, after)] = _project_partial(row, exclude=("*.name",))
    assert after == {"id": 1, "region": "eu", "salary": "10.00"}


def test_a_default_is_masked_like_a_value() -> None:
    row: DecodedRow = ("c", None, PartialValues((_, 1, "eu", "10.00")))
    [(_op, _key, _before, masked)] = _project_partial(row, defaults={"name": "Ann"}, mask=("*.name",))
    [(_op, _key, _before, plain)] = _project(("c", None, ANN), mask=("*.name",))
    assert masked == plain


def test_what_may_be_a_replace_without_its_defaults_stops() -> None:
    """MariaDB's; an UPDATE has the key in its after image only where it sets it."""
    projection = Projection(USERS, (), (), b"", unlogged=())
    replaced: DecodedRow = ("u", KEY_OF_ANN, PartialValues(("Anna", 1, "eu", _)))
    with pytest.raises(
        NotUnderstood, match=r"replaced with columns back at their defaults \(missing: salary\).*image=FULL"
    ):
        projection.drafts([replaced], mariadb_update=True)
    assert len(projection.drafts([replaced])) == 1
    assert len(projection.drafts([("u", KEY_OF_ANN, PartialValues(("Anna", _, _, _)))], mariadb_update=True)) == 1
    assert (
        len(projection.drafts([("u", KEY_OF_ANN, PartialValues(("Anna", 1, "eu", "1.00")))], mariadb_update=True)) == 1
    )


def test_an_image_without_the_key_stops() -> None:
    with pytest.raises(NotUnderstood, match=r"lacks columns of its key \(missing: region\)"):
        _project_partial(("d", PartialValues(("Ann", 1, _, _)), None))


@pytest.mark.parametrize("before", [KEY_OF_ANN, ANN], ids=["minimal", "full_nodup"])
def test_a_virtual_column_that_may_have_changed_unseen_at_mariadb_stops(before: Values) -> None:
    """A before image that has it says nothing of what it is now."""
    update: DecodedRow = ("u", before, PartialValues(("Anna", _, _, _)))
    with pytest.raises(NotUnderstood, match=r"virtual.*does not hold \(missing: salary\).*image=FULL.*exclude_columns"):
        _project_partial(update, unlogged=("salary",), mariadb_update=True)
    assert _project_partial(update, unlogged=("salary",), mariadb_update=True, exclude=("*.salary",))
    assert _project_partial(update, unlogged=("salary",)), "MySQL logs them"
    told: DecodedRow = ("u", before, PartialValues((_, _, _, "1.00")))
    assert _project_partial(told, unlogged=("salary",), mariadb_update=True)


def test_where_virtual_columns_are_not_known_an_update_of_mariadb_that_lacks_columns_stops() -> None:
    update: DecodedRow = ("u", KEY_OF_ANN, PartialValues(("Anna", _, _, _)))
    with pytest.raises(NotUnderstood, match=r"which columns are virtual.*is not known \(missing: salary\).*image=FULL"):
        _project_partial(update, unlogged=None, mariadb_update=True)
    assert _project_partial(update, unlogged=None), "MySQL logs them"
    whole: DecodedRow = ("u", KEY_OF_ANN, PartialValues(("Anna", _, _, "1.00")))
    assert _project_partial(whole, unlogged=None, mariadb_update=True), "a key has no virtual column"
