"""The port's contract, held by every adapter in the registry on its real server: geometries, vectors, uuid, inet, and partial
rows."""

import struct
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from cdc.model.change import Row, Value
from cdc.model.errors import RowRefused
from cdc.model.schema import Column, TableSchema
from cdc.target.port import LaneWriter, Target
from tests.support.targets import Place, deletes, inserts, moved, order, problems, updates, write

ID = Column("id", "int", nullable=False)


def _point(x: float, y: float) -> bytes:
    return struct.pack("<BIdd", 1, 1, x, y)


def _line(*points: tuple[float, float], kind: int = 2) -> bytes:
    return struct.pack("<BII", 1, kind, len(points)) + b"".join(struct.pack("<dd", *one) for one in points)


def _ring(*points: tuple[float, float]) -> bytes:
    return _line(*points)[5:]


def _many(kind: int, *parts: bytes) -> bytes:
    return struct.pack("<BII", 1, kind, len(parts)) + b"".join(parts)


SQUARE = _ring((0, 0), (9, 0), (9, 9), (0, 9), (0, 0))
HOLE = _ring((1, 1), (1, 2), (2, 2), (2, 1), (1, 1))
POLYGON = _many(3, SQUARE, HOLE)
# By type: SRID and well-known binary (OGC 06-103r4, 8.2).
GEOMETRIES: list[tuple[str, int, bytes]] = [
    ("point", 0, _point(1.5, -2.25)),
    ("point", 4326, _point(13.4, 52.5)),
    ("point", 3857, _point(1.7976931348623157e308, 5e-324)),
    ("linestring", 0, _line((0, 0), (1, 1), (1e-7, -0.0))),
    ("polygon", 4326, POLYGON),
    ("multipoint", 0, _many(4, _point(1, 2), _point(3, 4))),
    ("multilinestring", 0, _many(5, _line((0, 0), (1, 1)), _line((2, 2), (3, 3)))),
    ("multipolygon", 4326, _many(6, POLYGON, POLYGON)),
    ("geometrycollection", 0, _many(7, _point(1, 2), _line((0, 0), (1, 1)), POLYGON)),
    ("geometrycollection", 0, _many(7)),
    ("geometry", 4326, _line((1, 2), (3, 4))),
]


def _wire(srid: int, wkb: bytes) -> Value:
    return {"srid": srid, "wkb": b64encode(wkb).decode()}


def _ewkb(srid: int, wkb: bytes) -> bytes:
    """As ST_AsEWKB of PostGIS writes it."""
    if not srid:
        return wkb
    (kind,) = struct.unpack_from("<I", wkb, 1)
    return b"\1" + struct.pack("<II", kind | 0x20000000, srid) + wkb[5:]


def _table(column: Column, name: str = "t") -> TableSchema:
    return TableSchema("shop", name, (ID, column), ("id",))


def _kept(place: Place, table: str = "t") -> list[Any]:
    text = "HEX(v)" if place.kind in {"mysql", "mariadb"} else "v"
    return [row[1] for row in sorted(place.execute(f"SELECT id, {text} FROM {table}"))]


@pytest.mark.parametrize("copies", [1, 80])
def test_geometries_come_back_to_the_byte_with_their_srid(
    writer: LaneWriter, place: Place, target: Target, copies: int, subtests: pytest.Subtests
) -> None:
    for number, (kind, srid, wkb) in enumerate(GEOMETRIES):
        with subtests.test(f"{kind} {srid}"):
            schema = _table(Column("v", kind), f"t{number}")
            write(writer, inserts({"id": 0, "v": None}, schema=schema))
            rows: list[Row] = [{"id": n, "v": _wire(srid, wkb)} for n in range(1, copies + 1)]
            write(writer, inserts(*rows, schema=schema), updates({"id": 0, "v": _wire(srid, wkb)}, schema=schema))
            assert not problems(target, schema)
            if not place.sql:
                continue
            kept = _kept(place, schema.table)
            expected: Any = _ewkb(srid, wkb)
            if place.kind in {"mysql", "mariadb"}:
                # The server's own storage: SRID, then WKB, axes as they are.
                expected = (struct.pack("<I", srid) + wkb).hex().upper()
            assert kept == [expected] * (copies + 1)


def test_mysql_reads_the_geometry_that_was_meant(writer: LaneWriter, place: Place) -> None:
    if place.kind not in {"mysql", "mariadb"}:
        pytest.skip("only there is it a geometry")
    write(writer, inserts({"id": 1, "v": _wire(4326, _point(13.4, 52.5))}, schema=_table(Column("v", "point"))))
    # MySQL calls the axes of SRID 4326 latitude and longitude; MariaDB knows no order.
    x, y = ("ST_Longitude(v)", "ST_Latitude(v)") if place.kind == "mysql" else ("ST_X(v)", "ST_Y(v)")
    assert place.execute(f"SELECT {x}, {y}, ST_SRID(v) FROM t") == [(13.4, 52.5, 4326)]


VECTORS: list[list[float]] = [
    [1.5, -2.0, 0.25],
    [3.4028234663852886e38, -3.4028234663852886e38, 1.401298464324817e-45],
    [0.10000000149011612, -0.0, 0.0],
]


@pytest.mark.parametrize("length", [3, 4, None])
@pytest.mark.parametrize("copies", [1, 80])
def test_vectors_come_back_to_the_bit(
    writer: LaneWriter, place: Place, target: Target, length: int | None, copies: int
) -> None:
    schema = _table(Column("v", "vector", length=length))
    values = [vector for vector in VECTORS for _ in range(copies)]
    rows: list[Row] = [{"id": n, "v": list(vector)} for n, vector in enumerate(values)]
    write(writer, inserts(*rows, schema=schema))
    assert not problems(target, schema)
    if not place.sql:
        return
    kept = _kept(place)
    packed = [struct.pack("<3f", *vector) for vector in values]
    if place.kind in {"mysql", "mariadb"}:
        assert kept == [one.hex().upper() for one in packed]
    elif place.kind == "sqlite":
        assert [struct.pack("<3f", *map(float, text[1:-1].split(","))) for text in kept] == packed
    else:
        assert [struct.pack("<3f", *floats) for floats in kept] == packed


WORDS: list[tuple[str, list[str]]] = [
    (
        "uuid",
        [
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "123e4567-e89b-12d3-a456-426655440000",
        ],
    ),
    ("inet4", ["0.0.0.1", "255.255.255.255", "127.0.0.1"]),
    ("inet6", ["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:192.0.2.1", "2001:db8::ff00:42:8329"]),
]


@pytest.mark.parametrize(("kind", "values"), WORDS, ids=[kind for kind, _ in WORDS])
def test_uuid_and_inet_come_back_as_they_were_written_and_find_their_rows(
    writer: LaneWriter, place: Place, target: Target, kind: str, values: list[str]
) -> None:
    column = Column("k", kind, nullable=False)
    schema = TableSchema("shop", "t", (column, replace(column, name="v", nullable=True)), ("k",))
    rows: list[Row] = [{"k": value, "v": value} for value in values]
    write(writer, inserts(*rows, schema=schema))
    batch = updates(*({**row, "v": values[0]} for row in rows[1:]), schema=schema)
    batch.deletes.append((values[0],))
    write(writer, batch, count=2)
    assert not problems(target, schema)
    found: list[tuple[Any, ...]] = place.rows("t", ["k", "v"])
    if place.kind == "postgresql" and kind != "uuid":
        # As the server writes it: Python's IPv6Address would write ::ffff:c000:201.
        found = place.execute("SELECT host(k), host(v) FROM t")
    assert sorted((str(k), str(v)) for k, v in found) == sorted((value, values[0]) for value in values[1:])


# Rows of which only some columns came: absent is not NULL.


@pytest.mark.parametrize("copies", [1, 150])
def test_rows_of_one_batch_change_each_the_columns_that_they_have(
    writer: LaneWriter, place: Place, copies: int
) -> None:
    rows = [order(3 * n + k, "old", 1) for n in range(copies) for k in range(3)]
    write(writer, inserts(*rows))
    changed: list[Row] = []
    for n in range(copies):
        changed += [{"id": 3 * n, "note": "new"}, {"id": 3 * n + 1, "total": 2}, {"id": 3 * n + 2}]
    write(writer, updates(*changed), count=2)
    expected = [[(3 * n, "new", 1), (3 * n + 1, "old", 2), (3 * n + 2, "old", 1)] for n in range(copies)]
    assert place.rows() == [row for three in expected for row in three]


def test_null_is_written_where_absent_is_not(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1, "old", 1), order(2, "old", 1)))
    write(writer, updates({"id": 1, "note": None}, {"id": 2, "total": None}), count=2)
    assert place.rows() == [(1, None, 1), (2, "old", None)]


@pytest.mark.parametrize("tolerant", [False, True])
@pytest.mark.parametrize("row", [{"id": 2}, {"id": 2, "note": "x"}], ids=["key-only", "partial"])
def test_a_partial_row_whose_target_is_missing_is_refused_and_never_inserted(
    writer: LaneWriter, place: Place, row: Row, tolerant: bool
) -> None:
    write(writer, inserts(order(1)))
    writer.begin()
    with pytest.raises(RowRefused, match="orders"):
        writer.apply([updates(row, {"id": 1, "total": 9})], tolerant=tolerant)
    writer.rollback()
    assert place.rows() == [(1, "new", 0)]


def test_an_insert_that_lacks_columns_is_refused(writer: LaneWriter, place: Place) -> None:
    write(writer, inserts(order(1)))
    for rows in ([{"id": 2, "note": "x"}], [order(3), {"id": 2}], [{"id": 1, "total": 3}]):
        writer.begin()
        with pytest.raises(RowRefused, match="orders"):
            writer.apply([inserts(*rows)])
        writer.rollback()
    assert place.rows() == [(1, "new", 0)]


def test_partial_rows_and_whole_ones_in_one_batch_with_deletes_and_a_savepoint(
    writer: LaneWriter, place: Place
) -> None:
    write(writer, inserts(order(1, "a", 1), order(2, "b", 2), order(3, "c", 3)))
    batch = updates({"id": 1, "total": 10}, order(2, "B", 20))
    batch.deletes.extend(deletes(3).deletes)
    batch.inserts.append(order(4, "d", 40))
    progress = writer.begin()
    with pytest.raises(RowRefused):
        writer.apply([updates({"id": 1, "total": 99}, {"id": 9, "note": "nobody"})], savepoint=True)
    writer.apply([batch], savepoint=True)
    writer.commit(moved(progress, 2))
    assert place.rows() == [(1, "a", 10), (2, "B", 20), (4, "d", 40)]


def test_a_key_of_two_columns_with_partial_rows(writer: LaneWriter, place: Place) -> None:
    columns = (
        Column("a", "int", nullable=False),
        Column("v", "int"),
        Column("b", "int", nullable=False),
        Column("w", "int"),
    )
    schema = TableSchema("shop", "t", columns, ("b", "a"))
    rows: list[Row] = [{"a": a, "b": b, "v": 0, "w": 0} for a in (1, 2) for b in (1, 2)]
    write(writer, inserts(*rows, schema=schema))
    write(writer, updates({"a": 1, "b": 2, "w": 5}, {"b": 1, "a": 2, "v": 6}, schema=schema), count=2)
    assert sorted(place.rows("t", ["a", "b", "v", "w"])) == [(1, 1, 0, 0), (1, 2, 0, 5), (2, 1, 6, 0), (2, 2, 0, 0)]
