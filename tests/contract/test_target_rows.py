"""The port's contract, held by every adapter in the registry on its real server: a table read back, for comparisons."""

import struct
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from cdc.model.batch import Key
from cdc.model.change import Row, Value
from cdc.model.errors import TargetRefused
from cdc.model.row_digest import RangeDigest, row_number, texts_of
from cdc.model.schema import Column, TableSchema
from cdc.target.memory import store
from cdc.target.port import LaneWriter, Target
from cdc.target.rows_port import TableRows
from tests.support.targets import ORDERS, Place, inserts, order, write

ID = Column("id", "int", nullable=False)
TEXT: dict[str, Any] = {"charset": "utf8mb4", "collation": "utf8mb4_general_ci"}
_ONE_ZERO = {"mariadb", "sqlite", "memory"}


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def _point(srid: int, x: float, y: float) -> Value:
    return {"srid": srid, "wkb": _base64(struct.pack("<BIdd", 1, 1, x, y))}


# Of each type values that a comparison must tell apart.
VALUES: list[tuple[Column, list[Value]]] = [
    (Column("v", "tinyint"), [-128, 0, 127]),
    (Column("v", "int", unsigned=True), [0, 2**32 - 1]),
    (Column("v", "bigint"), [-(2**63), -1, 2**63 - 1]),
    (Column("v", "bigint", unsigned=True), [0, 2**63, 2**64 - 1]),
    (Column("v", "bit", length=10), [0, 5, 1023]),
    (Column("v", "bit", length=64), [0, 2**64 - 1]),
    (Column("v", "year"), [0, 1901, 2155]),
    (Column("v", "decimal", precision=12, scale=3), ["0.000", "-0.500", "123456789.125"]),
    (Column("v", "decimal", precision=65, scale=0), ["9" * 65, "-" + "9" * 65]),
    (Column("v", "float"), [0.1, -0.1, 0.0, 3.4028235e38, 1.1754944e-38, 16777216.0]),
    (Column("v", "double"), [0.1, 0.1 + 2**-56, 0.0, 1e300, -5e-324]),
    (Column("v", "date"), ["2024-02-29", "1000-01-01", "9999-12-31"]),
    (Column("v", "time", scale=2), ["-838:59:58.99", "00:00:00.00", "00:00:00.01", "838:59:58.00"]),
    (Column("v", "time"), ["-00:00:01", "24:00:00"]),
    (Column("v", "datetime", scale=6), ["2024-02-29T01:02:03.000001", "2024-02-29T01:02:03.000000"]),
    (Column("v", "datetime"), ["2024-02-29T01:02:03", "2024-02-29T00:00:00"]),
    (Column("v", "timestamp", scale=3), ["2024-02-29T01:02:03.450Z", "2024-02-29T01:02:03.000Z"]),
    (Column("v", "char", length=5, **TEXT), ["", "é", "a  b"]),
    (Column("v", "varchar", length=9, **TEXT), ["", "é ", "é", "🦊%s\\'\"", "line\nfeed"]),
    (Column("v", "longtext", **TEXT), ["x" * 9000, "x" * 9001]),
    (Column("v", "binary", length=3), [_base64(b"\0\0\0"), _base64(b"a\0\xff")]),
    (Column("v", "varbinary", length=9), ["", _base64(b"\0"), _base64(b"\xff\xfe")]),
    (Column("v", "blob"), ["", _base64(bytes(range(256)))]),
    (Column("v", "enum", members=("a", "ü", "c,d"), **TEXT), ["a", "ü", "c,d"]),
    (Column("v", "set", members=("x", "y", "z"), **TEXT), ["", "x", "x,z"]),
    (Column("v", "json"), ['{"a": [1, 2.5, "é"], "b": null}', "1", "true", '"1"', "[]"]),
    (Column("v", "point"), [_point(0, 1.5, -2.25), _point(4326, 13.4, 52.5), _point(4326, 52.5, 13.4)]),
    (Column("v", "vector", length=3), [[1.0, 0.1, -0.0], [1.0, 0.1, 0.0], [1.0, 0.1, 0.5]]),
    (Column("v", "uuid"), ["123e4567-e89b-12d3-a456-426655440000", "123e4567-e89b-12d3-a456-426655440001"]),
    (Column("v", "inet4"), ["1.2.3.4", "255.255.255.255"]),
    (Column("v", "inet6"), ["::", "::ffff:1.2.3.4", "2001:db8::1"]),
]


@pytest.fixture
def opened(target: Target) -> Iterator[list[TableRows]]:
    """Closed at the end, whatever happens."""
    rows: list[TableRows] = []
    yield rows
    for one in rows:
        one.close()


def _rows(target: Target, schema: TableSchema, opened: list[TableRows]) -> TableRows:
    found = target.rows(schema)
    assert found is not None
    opened.append(found)
    return found


def _all_keys(rows: TableRows, page: int) -> list[Key]:
    found: list[Key] = []
    while keys := rows.keys_after(found[-1] if found else None, page):
        assert len(keys) <= page
        found += keys
        assert len(found) < 1000, "it never ends"
    return found


def test_a_table_that_is_not_there_has_no_rows_and_is_not_made(target: Target) -> None:
    assert target.rows(ORDERS) is None
    assert target.rows(ORDERS) is None


def test_rows_come_back_by_key_in_bulk_and_those_that_are_not_there_do_not(
    target: Target, writer: LaneWriter, opened: list[TableRows]
) -> None:
    write(writer, inserts(*(order(number, f"note {number}", None) for number in range(2000))))
    rows = _rows(target, ORDERS, opened)
    asked: list[Key] = [(number,) for number in range(-5, 1995, 2)]
    found = rows.at(asked)
    assert found == {(number,): order(number, f"note {number}", None) for number in range(1, 1995, 2)}
    assert rows.at([]) == {}
    assert rows.at([(-1,)]) == {}


def test_each_call_sees_what_is_committed_then(target: Target, writer: LaneWriter, opened: list[TableRows]) -> None:
    write(writer, inserts(order(1, "old")))
    rows = _rows(target, ORDERS, opened)
    assert rows.at([(1,)])[1,]["note"] == "old"
    write(writer, inserts(order(1, "new"), order(2)), count=2)
    assert rows.at([(1,)])[1,]["note"] == "new"
    assert list(rows.keys_after(None, 5)) == [(1,), (2,)]


def test_a_range_is_paged_through_in_key_order(target: Target, writer: LaneWriter, opened: list[TableRows]) -> None:
    write(writer, inserts(*map(order, range(0, 100, 3))))
    rows = _rows(target, ORDERS, opened)
    assert rows.ordered
    assert list(rows.between(None, None, 4)) == [(0,), (3,), (6,), (9,)]
    assert list(rows.between((9,), (20,), 100)) == [(12,), (15,), (18,)]
    assert list(rows.between((9,), (18,), 2)) == [(12,), (15,)]
    assert list(rows.between((9,), (18,), 100)) == [(12,), (15,), (18,)]
    assert list(rows.between((99,), None, 100)) == []


@pytest.mark.parametrize(("column", "values"), VALUES, ids=lambda one: one.type if isinstance(one, Column) else "")
def test_values_of_each_type_come_back_as_they_were_and_are_told_apart(
    place: Place, target: Target, writer: LaneWriter, opened: list[TableRows], column: Column, values: list[Value]
) -> None:
    schema = TableSchema("shop", "t", (ID, column), ("id",))
    wire: list[Row] = [{"id": number, "v": value} for number, value in enumerate([*values, None])]
    write(writer, inserts(*wire, schema=schema))
    rows = _rows(target, schema, opened)
    found = rows.at([(row["id"],) for row in wire])
    assert found.keys() == {(row["id"],) for row in wire}
    for row in wire:
        assert rows.differing(row, found[row["id"],]) == (), (row, found[row["id"],])
        for other in wire:
            unlike = {**found[other["id"],], "id": row["id"]}
            same = row["id"] == other["id"] or (place.kind == "memory" and row["v"] == other["v"])
            assert rows.differing(row, unlike) == (() if same else ("v",)), (row, unlike)


@pytest.mark.parametrize("kind", ["float", "double"])
def test_the_sign_of_a_zero_is_told_where_the_target_keeps_it(
    place: Place, target: Target, writer: LaneWriter, opened: list[TableRows], kind: str
) -> None:
    schema = TableSchema("shop", "t", (ID, Column("v", kind)), ("id",))
    write(writer, inserts({"id": 1, "v": -0.0}, {"id": 2, "v": 0.0}, schema=schema))
    rows = _rows(target, schema, opened)
    found = rows.at([(1,), (2,)])
    assert rows.differing({"id": 1, "v": -0.0}, found[1,]) == ()
    assert rows.differing({"id": 2, "v": 0.0}, found[2,]) == ()
    unlike = rows.differing({"id": 1, "v": 0.0}, found[1,])
    assert unlike == (() if place.kind in _ONE_ZERO else ("v",))


KEYS: list[tuple[Column, list[Value]]] = [
    (Column("k", "bigint", unsigned=True), [0, 9, 10, 2**63, 2**64 - 1]),
    (Column("k", "decimal", precision=9, scale=2), ["-1.50", "0.00", "10.00", "9.25"]),
    (Column("k", "double"), [-1e300, 0.1, 0.0, 2.5]),
    (Column("k", "float"), [0.1, -0.1, 3.4028235e38]),
    (Column("k", "varchar", length=20, **TEXT), ["", "B", "a", "é", "zz", "10", "9", "🦊", "a%s'\\"]),
    (Column("k", "varbinary", length=20), ["", _base64(b"\0"), _base64(b"\xff\0"), _base64(b"a")]),
    (Column("k", "enum", members=("z", "m", "a"), **TEXT), ["z", "m", "a"]),
    (Column("k", "set", members=("z", "a"), **TEXT), ["", "z", "a", "z,a"]),
    (Column("k", "date"), ["2024-02-29", "1999-12-31"]),
    (Column("k", "time", scale=1), ["-10:00:00.5", "09:00:00.0", "100:00:00.0"]),
    (Column("k", "datetime", scale=3), ["2024-02-29T01:02:03.450", "2024-02-29T01:02:03.000"]),
    (Column("k", "timestamp"), ["2024-02-29T01:02:03Z", "2001-01-01T00:00:00Z"]),
    (Column("k", "uuid"), ["123e4567-e89b-12d3-a456-426655440000", "023e4567-e89b-12d3-a456-426655440000"]),
    (Column("k", "inet6"), ["::1", "2001:db8::1"]),
    (Column("k", "bit", length=8), [0, 200, 255]),
    (Column("k", "year"), [2024, 1999]),
]


@pytest.mark.parametrize(("column", "values"), KEYS, ids=lambda one: one.type if isinstance(one, Column) else "")
def test_keys_of_each_type_are_found_and_paged_through_once(
    target: Target, writer: LaneWriter, opened: list[TableRows], column: Column, values: list[Value]
) -> None:
    schema = TableSchema("shop", "k", (column, Column("v", "int")), ("k",))
    write(writer, inserts(*({"k": value, "v": number} for number, value in enumerate(values)), schema=schema))
    rows = _rows(target, schema, opened)
    expected = {rows.key((value,)): number for number, value in enumerate(values)}
    assert len(expected) == len(values)
    assert {key: row["v"] for key, row in rows.at([(value,) for value in values]).items()} == expected
    for page in (1, 2, 100):
        keys = _all_keys(rows, page)
        assert len(keys) == len(values)
        assert {*keys} == expected.keys()
    # What the pages give finds the same rows again.
    assert {key: row["v"] for key, row in rows.at(_all_keys(rows, 3)).items()} == expected
    if rows.ordered:
        assert list(rows.between(None, None, 100)) == sorted(expected)


def test_keys_of_several_columns(target: Target, writer: LaneWriter, opened: list[TableRows]) -> None:
    name = Column("name", "varchar", length=9, nullable=False, **TEXT)
    schema = TableSchema("shop", "c", (name, Column("v", "int"), ID), ("id", "name"))
    wire: list[Row] = [{"name": name, "v": 1, "id": number} for number in range(12) for name in ("a", "b", "Ü")]
    write(writer, inserts(*wire, schema=schema))
    rows = _rows(target, schema, opened)
    assert not rows.ordered
    keys: list[Key] = [(row["id"], row["name"]) for row in wire]
    assert {*rows.at(keys[::2])} == {*keys[::2]}
    assert sorted(_all_keys(rows, 5)) == sorted(keys)


def test_ranges_of_keys_of_several_numbers(target: Target, writer: LaneWriter, opened: list[TableRows]) -> None:
    second = Column("n", "bigint", unsigned=True, nullable=False)
    schema = TableSchema("shop", "c", (ID, second), ("n", "id"))
    wire: list[Row] = [{"id": number, "n": n} for number in (-1, 0, 5) for n in (0, 2**63, 7)]
    write(writer, inserts(*wire, schema=schema))
    rows = _rows(target, schema, opened)
    ordered = sorted((row["n"], row["id"]) for row in wire)  # type: ignore[type-var] # numbers
    if not rows.ordered:  # SQLite keeps such numbers as text
        assert sorted(_all_keys(rows, 2)) == ordered  # type: ignore[comparison-overlap]
        return
    for start in range(len(ordered)):
        for end in range(start, len(ordered)):
            assert list(rows.between(ordered[start], ordered[end], 100)) == ordered[start + 1 : end + 1]
    assert list(rows.between(ordered[2], None, 3)) == ordered[3:6]


def test_hostile_names(place: Place, target: Target, writer: LaneWriter, opened: list[TableRows]) -> None:
    names = ['a"b', "50%s", "x; DROP TABLE t--", "select", "{c}", "ö"]
    schema = TableSchema("shop", "we%ird {t}", tuple(Column(name, "int") for name in names), (names[1], names[4]))
    wire: list[Row] = [dict.fromkeys(names, number) for number in range(5)]
    write(writer, inserts(*wire, schema=schema))
    rows = _rows(target, schema, opened)
    assert list(rows.at([(3, 3), (9, 9)]).values()) == [wire[3]]
    assert list(rows.between((1, 1), (3, 3), 9)) == [(2, 2), (3, 3)]
    assert _all_keys(rows, 2) == [(number, number) for number in range(5)]


def test_a_table_under_another_name(place: Place) -> None:
    target = place.open(table="{db}_{table}")
    writer = target.writer(2.0)
    writer.take_over("0", 1)
    write(writer, inserts(order(1)))
    writer.close()
    rows = target.rows(ORDERS)
    assert rows is not None
    assert {*rows.at([(1,)])} == {(1,)}
    rows.close()
    target.close()


def test_a_table_that_no_sink_could_write_is_refused_with_the_column(place: Place, target: Target) -> None:
    if place.kind == "memory":
        store(place.url).tables["orders"] = {}
        assert target.rows(ORDERS) is not None  # it has no columns to lack
        return
    place.execute(f"CREATE TABLE {place.quoted('orders')} (id INT PRIMARY KEY, total INT)")
    with pytest.raises(TargetRefused, match="note"):
        target.rows(ORDERS)


def test_a_column_that_the_target_generates_is_left_out(place: Place, opened: list[TableRows]) -> None:
    if place.kind == "memory":
        return
    stored = "GENERATED ALWAYS AS (id * 2) STORED"
    place.execute(f"CREATE TABLE {place.quoted('orders')} (id INT PRIMARY KEY, note VARCHAR(40), total INT {stored})")
    target = place.open()
    writer = target.writer(2.0)
    writer.take_over("0", 1)
    write(writer, inserts(order(4, "x", total=1)))
    writer.close()
    rows = _rows(target, ORDERS, opened)
    found = rows.at([(4,)])[4,]
    assert rows.differing(order(4, "x", total=1), found) == ()
    assert rows.differing(order(4, "y", total=1), found) == ("note",)


def test_a_row_read_before_a_column_came_differs_and_is_no_error(
    target: Target, writer: LaneWriter, opened: list[TableRows]
) -> None:
    write(writer, inserts(order(1)))
    rows = _rows(target, ORDERS, opened)
    assert rows.differing({"id": 1, "note": "new"}, rows.at([(1,)])[1,]) == ("total",)


WIDER = {
    "postgresql": (
        "CREATE TYPE kind AS ENUM ('b', 'a'); CREATE TABLE w (id NUMERIC(30, 2) PRIMARY KEY, j JSONB, f DOUBLE PRECISION,"
        " n NUMERIC, s TIMESTAMP, k kind, c CHAR(6), t BIGINT)"
    ),
    "mysql": (
        "CREATE TABLE w (id BIGINT PRIMARY KEY, j LONGTEXT, f DOUBLE, n DECIMAL(30, 9), s DATETIME(6), k ENUM('c', 'b', 'a'),"
        " c VARCHAR(60), t DECIMAL(9))"
    ),
    "sqlite": "CREATE TABLE w (id NUMERIC PRIMARY KEY, j, f REAL, n, s TEXT, k, c, t)",
}
WIDE = TableSchema(
    "shop",
    "w",
    (
        ID,
        Column("j", "json"),
        Column("f", "float"),
        Column("n", "decimal", precision=9, scale=2),
        Column("s", "timestamp", scale=1),
        Column("k", "enum", members=("a", "b"), **TEXT),
        Column("c", "char", length=6, **TEXT),
        Column("t", "tinyint"),
    ),
    ("id",),
)


def test_wider_columns_that_others_made_give_the_same_values(
    place: Place, target: Target, writer: LaneWriter, opened: list[TableRows]
) -> None:
    made = WIDER.get("mysql" if place.kind == "mariadb" else place.kind)
    if made is None:
        return
    place.execute(made)
    row: Row = {
        "id": 5,
        "j": '{"b": 1.50, "a": [true, null]}',
        "f": 0.1,
        "n": "-1.50",
        "s": "2024-02-29T01:02:03.0Z",
        "k": "b",
        "c": "x",
        "t": -7,
    }
    write(writer, inserts(row, schema=WIDE))
    rows = _rows(target, WIDE, opened)
    (key,) = _all_keys(rows, 5)
    assert key == (5,)
    found = rows.at([(5,)])[5,]
    assert rows.differing(row, found) == ()
    others: Row = {
        "j": '{"b": 1.51}',
        "f": 0.2,
        "n": "-1.51",
        "s": "2024-02-29T01:02:03.1Z",
        "k": "a",
        "c": "y",
        "t": 7,
    }
    for name, value in others.items():
        assert rows.differing({**row, name: value}, found) == (name,)


def test_what_others_wrote_into_sqlite_differs_and_is_no_error(
    place: Place, target: Target, writer: LaneWriter, opened: list[TableRows]
) -> None:
    """SQLite keeps any value in any column."""
    if place.kind != "sqlite":
        return
    write(writer, inserts(order(1), order(2), order(3)))
    place.execute("UPDATE orders SET note = x'ff00', total = 'many' WHERE id = 1")
    place.execute("UPDATE orders SET note = CAST(x'ff' AS TEXT), total = 1.5 WHERE id = 2")
    rows = _rows(target, ORDERS, opened)
    found = rows.at([(1,), (2,), (3,)])
    assert rows.differing(order(1), found[1,]) == ("note", "total")
    assert rows.differing(order(2), found[2,]) == ("note", "total")
    assert rows.differing(order(3), found[3,]) == ()


DIGESTED = TableSchema(
    "shop",
    "d",
    (
        ID,
        Column("big", "bigint", unsigned=True),
        Column("bits", "bit", length=9),
        Column("year", "year"),
        Column("total", "decimal", precision=9, scale=2),
        Column("day", "date"),
        Column("at", "datetime", scale=3),
        Column("stamp", "timestamp"),
        Column("name", "varchar", length=20, **TEXT),
        Column("fixed", "char", length=5, **TEXT),
        Column("note", "longtext", **TEXT),
        Column("kind", "enum", members=("a", "ü"), **TEXT),
        Column("flags", "set", members=("x", "y"), **TEXT),
        Column("raw", "varbinary", length=9),
        Column("picture", "blob"),
    ),
    ("id",),
)


def _digested(number: int) -> Row:
    return {
        "id": number,
        "big": 2**64 - 1 - number,
        "bits": number,
        "year": 2000 + number,
        "total": f"-{number}.50",
        "day": "2024-02-29",
        "at": f"2024-02-29T01:02:03.{number:03d}",
        "stamp": "2024-02-29T01:02:03Z",
        "name": "🦊%s\\'\"",
        "fixed": "é",
        "note": "",
        "kind": "ü",
        "flags": "x,y",
        "raw": _base64(b"\0\xff"),
        "picture": _base64(bytes(range(256))),
    }


def _expected(*rows: Row) -> RangeDigest:
    return RangeDigest(len(rows), sum(row_number(texts_of(DIGESTED, row) or ()) for row in rows))


def test_a_range_has_the_digest_of_its_rows_as_change_events_have_them(
    target: Target, writer: LaneWriter, opened: list[TableRows]
) -> None:
    wire = [_digested(number) for number in range(20)]
    wire.append({**dict.fromkeys(_digested(0)), "id": 20})
    write(writer, inserts(*wire, schema=DIGESTED))
    rows = _rows(target, DIGESTED, opened)
    assert rows.digest(None, None) == _expected(*wire)
    assert rows.digest((4,), (9,)) == _expected(*wire[5:10])
    assert rows.digest((20,), None) == RangeDigest(0, 0)
    others: Row = {**_digested(1), "id": 3}
    for name in [column.name for column in DIGESTED.columns if column.name != "id"]:
        other = {**wire[3], name: None if wire[3][name] == others[name] else others[name]}
        write(writer, inserts(other, schema=DIGESTED), count=2)
        assert rows.digest((2,), (3,)) == _expected(other) != _expected(wire[3]), name


@pytest.mark.parametrize("kind", ["double", "json", "time"])
def test_where_a_column_has_no_text_that_is_the_same_everywhere_there_is_no_digest(
    target: Target, writer: LaneWriter, opened: list[TableRows], kind: str
) -> None:
    schema = TableSchema("shop", "t", (ID, Column("v", kind)), ("id",))
    write(writer, inserts({"id": 1, "v": None}, schema=schema))
    assert _rows(target, schema, opened).digest(None, None) is None
