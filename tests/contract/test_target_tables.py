"""The port's contract, held by every adapter in the registry on its real server: tables, types, names, values."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from cdc.model.change import Row, Value
from cdc.model.errors import RowRefused, TargetRefused
from cdc.model.schema import Column, TableSchema
from cdc.target.port import LaneWriter, Target
from tests.contract.conftest import LEASE_SECONDS
from tests.support.targets import ORDERS, Place, deletes, inserts, moved, order, problems, updates, write

ALL_BYTES = b64encode(bytes(range(256))).decode()
LATIN: dict[str, Any] = {"charset": "latin1", "collation": "latin1_swedish_ci"}
UTF8: dict[str, Any] = {"charset": "utf8mb4", "collation": "utf8mb4_general_ci"}

# Every everyday type, with edge values of its wire form.
TYPES: list[tuple[Column, list[Value]]] = [
    (Column("c_tinyint", "tinyint"), [-128, 127]),
    (Column("c_tinyint_u", "tinyint", unsigned=True), [0, 255]),
    (Column("c_smallint", "smallint"), [-32768, 32767]),
    (Column("c_smallint_u", "smallint", unsigned=True), [0, 65535]),
    (Column("c_mediumint", "mediumint"), [-8388608, 8388607]),
    (Column("c_mediumint_u", "mediumint", unsigned=True), [0, 16777215]),
    (Column("c_int", "int"), [-(2**31), 2**31 - 1]),
    (Column("c_int_u", "int", unsigned=True), [0, 2**32 - 1]),
    (Column("c_bigint", "bigint"), [-(2**63), 2**63 - 1]),
    (Column("c_bigint_u", "bigint", unsigned=True), [0, 2**64 - 1]),
    (Column("c_decimal", "decimal", precision=20, scale=4), ["-1234567890123456.7890", "0.0000"]),
    (Column("c_decimal65", "decimal", precision=65, scale=0), ["9" * 65, "-" + "9" * 65]),
    (Column("c_float", "float"), [1.5, -0.0078125]),
    (Column("c_double", "double"), [1.7976931348623157e308, 5e-324, 0.1]),
    (Column("c_bit1", "bit", length=1), [0, 1]),
    (Column("c_bit64", "bit", length=64), [0, 2**64 - 1]),
    (Column("c_year", "year"), [1901, 2155]),
    (Column("c_date", "date"), ["1000-01-01", "9999-12-31"]),
    (Column("c_time", "time", scale=0), ["-838:59:59", "838:59:59"]),
    (Column("c_time6", "time", scale=6), ["-00:00:00.000001", "12:34:56.789012"]),
    (Column("c_datetime", "datetime", scale=0), ["1000-01-01T00:00:00", "9999-12-31T23:59:59"]),
    (Column("c_datetime6", "datetime", scale=6), ["2024-02-29T12:34:56.000001"]),
    (Column("c_timestamp", "timestamp", scale=0), ["1970-01-01T00:00:01Z", "2038-01-19T03:14:07Z"]),
    (Column("c_timestamp3", "timestamp", scale=3), ["2024-02-29T12:34:56.789Z"]),
    (Column("c_char", "char", length=20, **UTF8), ["", "ÄÖÜ€😀"]),
    (Column("c_char_latin1", "char", length=20, **LATIN), ["ÿþ"]),
    (
        Column("c_varchar", "varchar", length=200, **UTF8),
        ["", "a\tb\\c\nd\re'f\"g%s%(x)s{}`;--", "\\N", "\\.", "x" * 200],
    ),
    (Column("c_varchar_latin1", "varchar", length=20, **LATIN), ["é" * 20]),
    (Column("c_binary", "binary", length=16), [b64encode(b"\0" * 15 + b"\xff").decode()]),
    (Column("c_varbinary", "varbinary", length=256), ["", ALL_BYTES]),
    (Column("c_tinyblob", "tinyblob"), [b64encode(b"\\x41").decode()]),
    (Column("c_blob", "blob"), [ALL_BYTES]),
    (Column("c_mediumblob", "mediumblob"), [ALL_BYTES]),
    (Column("c_longblob", "longblob"), ["", ALL_BYTES]),
    (Column("c_tinytext", "tinytext", **UTF8), ["t" * 255]),
    (Column("c_text", "text", **UTF8), ["", "\\\t\n", "line\r\n"]),
    (Column("c_mediumtext", "mediumtext", **UTF8), ["€" * 70_000]),
    (Column("c_longtext", "longtext", **UTF8), ["x" * 300_000]),
    (Column("c_enum", "enum", members=("a'b", "ü", "c,d"), **UTF8), ["a'b", "ü", "c,d"]),
    (Column("c_set", "set", members=("x", "y z", "ü"), **UTF8), ["", "x", "x,ü"]),
    (
        Column("c_json", "json", **UTF8),
        ['{"a": [1, 2.5, null, "\\u00fc\\"\\\\"], "b": {"": true}}', "null", '"text"', "[]"],
    ),
]
ID = Column("id", "int", nullable=False)
EVERYTHING = TableSchema("shop", "everything", (ID, *(column for column, _ in TYPES)), ("id",))


def _rows() -> list[Row]:
    """Each edge value of each column at least once, and a row of NULLs."""
    longest = max(len(values) for _, values in TYPES)
    rows: list[Row] = [
        {"id": number, **{column.name: values[number % len(values)] for column, values in TYPES}}
        for number in range(longest)
    ]
    return [*rows, {"id": longest, **{column.name: None for column, _ in TYPES}}]


def _span(text: str) -> timedelta:
    hours, minutes, seconds = text.removeprefix("-").split(":")
    span = timedelta(hours=int(hours), minutes=int(minutes), microseconds=round(float(seconds) * 1_000_000))
    return -span if text.startswith("-") else span


# What the driver's plain SELECT gives for a wire value, as docs/types.md says.
_PLAIN: dict[str, Callable[[Any], Any]] = {
    "decimal": Decimal,
    "date": date.fromisoformat,
    "time": _span,
    "datetime": datetime.fromisoformat,
    "timestamp": lambda text: datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC),
    "json": json.loads,
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), b64decode),
}


def _expected(kind: str, column: Column, value: Value) -> Any:
    if value is None or kind == "memory":
        return value
    if kind == "sqlite":
        wide = (column.unsigned and column.type == "bigint") or (column.type == "bit" and column.length == 64)
        if wide:
            return str(value)
        return b64decode(str(value)) if _PLAIN.get(column.type) is b64decode else value
    if kind != "postgresql":
        if column.type == "bit":
            return int(str(value)).to_bytes(((column.length or 1) + 7) // 8, "big")
        if column.type == "timestamp":
            return datetime.fromisoformat(str(value).removesuffix("Z"))
    return _PLAIN.get(column.type, lambda same: same)(value)


def _found(kind: str, column: Column, value: Any) -> Any:
    if column.type == "json" and kind in {"mysql", "mariadb"} and value is not None:
        return json.loads(value)
    return value


@pytest.mark.parametrize("copies", [1, 80])
def test_values_of_every_everyday_type_come_back_equal(writer: LaneWriter, place: Place, copies: int) -> None:
    rows = [{**row, "id": row["id"] + 100 * copy} for copy in range(copies) for row in _rows()]  # type: ignore[operator]
    write(writer, inserts(*rows, schema=EVERYTHING))
    _assert_equal(place, rows)
    write(writer, updates(*({**row, "id": rows[-1 - at]["id"]} for at, row in enumerate(rows)), schema=EVERYTHING))
    _assert_equal(place, [{**row, "id": rows[-1 - at]["id"]} for at, row in enumerate(rows)])


def _assert_equal(place: Place, rows: list[Row]) -> None:
    names = [column.name for column in EVERYTHING.columns]
    found = {row[0]: row for row in place.rows("everything", names)}
    assert len(found) == len(rows)
    for row in rows:
        for column, value in zip(EVERYTHING.columns, found[row["id"]], strict=True):
            expected = _expected(place.kind, column, row[column.name])
            assert (column.name, _found(place.kind, column, value)) == (column.name, expected)


def test_every_type_that_can_be_a_key_finds_its_rows_again(
    writer: LaneWriter, place: Place, subtests: pytest.Subtests
) -> None:
    for column, values in TYPES:
        # The others are no primary key at the source, or only by a prefix.
        if column.type not in {"json", "float", "double"} and not column.type.endswith(("text", "blob")):
            with subtests.test(column.name):
                _keyed(writer, place, column, values)


def _keyed(writer: LaneWriter, place: Place, column: Column, values: list[Value]) -> None:
    name = f"keyed_{column.name}"
    schema = TableSchema("shop", name, (replace(column, nullable=False), Column("v", "int")), (column.name,))
    write(writer, inserts(*({column.name: value, "v": 0} for value in values), schema=schema))
    write(writer, updates(*({column.name: value, "v": 1} for value in values[1:]), schema=schema))
    write(writer, deletes(values[0], schema=schema))
    assert [row[0] for row in place.rows(name, ["v"])] == [1] * (len(values) - 1)


def test_text_keys_that_differ_in_case_or_accent_are_different_rows(writer: LaneWriter, place: Place) -> None:
    """As long as the source's collation tells them apart."""
    column = Column("k", "varchar", length=20, charset="utf8mb4", collation="utf8mb4_bin", nullable=False)
    schema = TableSchema("shop", "words", (column, Column("v", "int")), ("k",))
    words = ["a", "A", "ä", "Ä", "ss", "ß"]
    rows: list[Row] = [{"k": word, "v": at} for at, word in enumerate(words)]
    write(writer, inserts(*rows, schema=schema))
    write(writer, deletes("A", schema=schema))
    found = {word: v for v, word in place.rows("words", ["v", "k"])}
    assert found == {word: at for at, word in enumerate(words) if word != "A"}


# What a target cannot hold.


EDGES: dict[str, tuple[Column, Value]] = {
    "zero_date": (Column("v", "date"), "0000-00-00"),
    "zero_month": (Column("v", "datetime", scale=0), "2024-00-15T00:00:00"),
    "zero_timestamp": (Column("v", "timestamp", scale=0), "0000-00-00T00:00:00Z"),
    "nul": (Column("v", "varchar", length=20, **UTF8), "a\0b"),
    "no_json": (Column("v", "json", **UTF8), "{nonsense"),
    "beyond_int": (Column("v", "int"), 2**40),
    "text_for_int": (Column("v", "int"), "seven"),
    "too_long": (Column("v", "varchar", length=3, **UTF8), "four"),
}


@pytest.mark.parametrize("rows", [1, 300])
def test_a_value_is_held_exactly_or_refused(
    writer: LaneWriter, place: Place, rows: int, subtests: pytest.Subtests
) -> None:
    for name, (column, value) in EDGES.items():
        with subtests.test(name):
            _held_or_refused(writer, place, TableSchema("shop", name, (ID, column), ("id",)), value, rows)


def _held_or_refused(writer: LaneWriter, place: Place, schema: TableSchema, value: Value, rows: int) -> None:
    nothing: list[Row] = [{"id": n, "v": None} for n in range(rows)]
    write(writer, inserts(*nothing, schema=schema))
    batch = updates(*({"id": n, "v": value if n == rows - 1 else None} for n in range(rows)), schema=schema)
    progress = writer.begin()
    refusal = ""
    try:
        writer.apply([batch], savepoint=True)
    except RowRefused as error:
        refusal = str(error)
    writer.commit(moved(progress, 2))
    if refusal:
        assert schema.table in refusal
        assert "\0" not in refusal
        assert place.kind != "postgresql" or f"id={rows - 1}" in refusal
        assert place.rows(schema.table, ["id", "v"])[-1] == (rows - 1, None)
        return
    assert place.kind != "postgresql"
    text = "CAST(v AS CHAR)" if place.kind in {"mysql", "mariadb"} else "v"
    found = place.execute(f"SELECT {text} FROM {schema.table} WHERE id = {rows - 1}")[0][0] if place.sql else value
    assert str(found).replace(" ", "T").removesuffix("Z") == str(value).removesuffix("Z")


def test_a_missing_table_is_refused_where_the_sink_does_not_make_tables(place: Place) -> None:
    front = place.open(create_tables=False)
    opened = front.writer(LEASE_SECONDS)
    opened.take_over("0", 1)
    opened.begin()
    with pytest.raises(TargetRefused, match="orders"):
        opened.apply([inserts(order(1))])
    opened.rollback()
    with pytest.raises(TargetRefused, match="orders"):
        front.inspect([ORDERS])
    opened.close()
    front.close()


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ("id INTEGER PRIMARY KEY, note VARCHAR(40)", "total"),
        ("id INTEGER PRIMARY KEY, note VARCHAR(39), total INTEGER", "note"),
        ("id INTEGER PRIMARY KEY, note VARCHAR(40), total SMALLINT", "total"),
        ("id INTEGER, note VARCHAR(40), total INTEGER", "id"),
        ("id INTEGER, note VARCHAR(40), total INTEGER, PRIMARY KEY (id, total)", "id"),
    ],
    ids=["missing", "narrow-text", "narrow-integer", "no-key", "other-key"],
)
def test_a_table_that_cannot_hold_the_sources_rows_is_refused_naming_table_and_column(
    place: Place, target: Target, writer: LaneWriter, columns: str, named: str
) -> None:
    if not place.sql:
        pytest.skip("memory has neither types nor tables made by others")
    if place.kind == "sqlite" and ("39" in columns or "SMALLINT" in columns):
        pytest.skip("SQLite keeps to no declared length")
    place.execute(f"CREATE TABLE orders ({columns})")
    (findings,) = problems(target, ORDERS).values()
    assert [finding.column for finding in findings] == [named]
    assert findings[0].problem
    assert findings[0].hint
    writer.begin()
    with pytest.raises(TargetRefused, match=rf"(?s){named}.*orders|orders.*{named}") as caught:
        writer.apply([inserts(order(1))])
    assert not isinstance(caught.value, RowRefused)
    writer.rollback()
    assert place.execute("SELECT id FROM orders") in ([], ())


def test_a_table_that_is_fit_has_no_findings_and_extra_columns_are_left_alone(
    place: Place, target: Target, writer: LaneWriter
) -> None:
    assert not problems(target, ORDERS, EVERYTHING)
    if place.sql:
        place.execute(
            "CREATE TABLE orders (ours VARCHAR(9) DEFAULT 'x', total BIGINT, id BIGINT PRIMARY KEY, note VARCHAR(99))"
        )
    assert not problems(target, ORDERS)
    write(writer, inserts(order(1), order(2)))
    if place.sql:
        place.execute("UPDATE orders SET ours = 'kept'")
    write(writer, inserts(order(1, "again"), order(3)), updates(order(2, "changed")))
    assert [row[1] for row in place.rows()] == ["again", "changed", "new"]
    if place.sql:
        assert [row[0] for row in place.execute("SELECT ours FROM orders ORDER BY id")] == ["kept", "kept", "x"]


def test_what_a_target_will_lose_is_said_and_stops_nothing(place: Place, target: Target, writer: LaneWriter) -> None:
    dated = TableSchema("shop", "orders", (*ORDERS.columns, Column("day", "date")), ORDERS.key)
    expected = {"memory": [], "postgresql": ["day", "note", "note"], "sqlite": ["note"]}.get(place.kind, [])
    for _ in range(2):
        # Before the table is made, and after.
        found = target.inspect([dated]).get("shop.orders", ())
        assert [(one.column, one.severity) for one in found] == [(column, "note") for column in expected]
        write(writer, inserts({**order(1), "day": "2024-02-29"}, schema=dated))


def test_a_collation_that_compares_in_another_way_is_said_at_mysql(place: Place, target: Target) -> None:
    if place.kind not in {"mysql", "mariadb"}:
        pytest.skip("elsewhere no collation is the source's")
    place.execute("CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(40) COLLATE utf8mb4_bin, total INT)")
    (found,) = target.inspect([ORDERS])["shop.orders"]
    assert (found.column, found.severity) == ("note", "note")


def test_what_a_target_makes_itself_it_finds_fit(place: Place, target: Target, writer: LaneWriter) -> None:
    write(writer, inserts(*_rows(), schema=EVERYTHING))
    assert not problems(target, EVERYTHING)
    again = place.open(create_tables=False)
    assert not problems(again, EVERYTHING)
    again.close()


def test_a_new_version_of_a_schema_is_looked_at_anew(place: Place, writer: LaneWriter) -> None:
    write(writer, inserts(order(1)))
    wider = TableSchema("shop", "orders", (*ORDERS.columns, Column("extra", "int")), ORDERS.key)
    row = {**order(2), "extra": 7}
    if place.sql:
        writer.begin()
        with pytest.raises(TargetRefused, match="extra"):
            writer.apply([inserts(row, schema=wider)])
        writer.rollback()
        place.execute("ALTER TABLE orders ADD COLUMN extra INTEGER")
    write(writer, inserts(order(3)), inserts(row, schema=wider))
    assert place.rows(columns=["id", "extra"]) == [(1, None), (2, 7), (3, None)]


def test_a_table_without_a_primary_key_is_refused(writer: LaneWriter) -> None:
    schema = TableSchema("shop", "heap", (Column("id", "int"),), ())
    writer.begin()
    with pytest.raises(TargetRefused, match="heap"):
        writer.apply([inserts({"id": 1}, schema=schema)])
    writer.rollback()


def test_the_tables_name_comes_from_the_template(place: Place) -> None:
    front = place.open(table="{db}__{table}")
    opened = front.writer(LEASE_SECONDS)
    opened.take_over("0", 1)
    write(opened, inserts(order(1)))
    assert place.rows("shop__orders") == [(1, "new", 0)]
    opened.close()
    front.close()


@pytest.mark.parametrize("name", ["_cdc_progress", "_CDC_DEAD_LETTERS"])
def test_lockstep_s_own_tables_are_never_written_as_a_source_s(writer: LaneWriter, name: str) -> None:
    schema = TableSchema("shop", name, ORDERS.columns, ORDERS.key)
    writer.begin()
    with pytest.raises(TargetRefused):
        writer.apply([inserts(order(1), schema=schema)])
    writer.rollback()


# Names.

HOSTILE = [
    'a"b',
    "back`tick",
    "x; DROP TABLE canary--",
    "new\nline",
    "tab\tand\\backslash",
    "select",
    "Order By",
    "it's",
    "100%",
    "%s",
    "%(id)s",
    "{table}",
    ":name",
    "$1",
    "?",
    "ümläut",
    "b" * 60,
    "m" * 64,
    "ü" * 40,
    "rocket🚀",
    " lead",
    "a.b",
    "s",
    "t",
]


@pytest.mark.parametrize("rows", [2, 300])
def test_hostile_names_are_exact_copies_or_refused(
    writer: LaneWriter, place: Place, rows: int, subtests: pytest.Subtests
) -> None:
    if place.sql:
        place.execute("CREATE TABLE canary (id INTEGER PRIMARY KEY)")
    for name in HOSTILE:
        with subtests.test(name):
            _copied_or_refused(writer, place, name, rows)
    assert not place.sql or place.execute("SELECT * FROM canary") in ([], ())


def _copied_or_refused(writer: LaneWriter, place: Place, name: str, rows: int) -> None:
    text = Column("v", "varchar", length=20, **UTF8)
    schema = TableSchema("shop", name, (Column(name, "int", nullable=False), text), (name,))
    progress = writer.begin()
    refused: TargetRefused | None = None
    try:
        named: list[Row] = [{name: n, "v": name[:20]} for n in range(rows)]
        writer.apply([inserts(*named, schema=schema)])
    except TargetRefused as error:
        refused = error
    if refused is not None:
        writer.rollback()
        assert not isinstance(refused, RowRefused)
        assert "\n" not in str(refused)
        held = (
            name.isascii()
            and len(name) <= 63
            and (place.kind not in {"mysql", "mariadb"} or not set(name) & set("`\n"))
        )
        assert not held
        return
    writer.apply([updates({name: 1, "v": "u"}, schema=schema), deletes(0, schema=schema)])
    with pytest.raises(RowRefused):
        writer.apply([updates({name: 777, "v": "u"}, schema=schema)], savepoint=True)
    writer.commit(moved(progress, 1))
    assert place.rows(name, [name, "v"]) == [(1, "u")] + [(n, name[:20]) for n in range(2, rows)]


def test_two_source_tables_are_not_written_to_one(place: Place, writer: LaneWriter) -> None:
    if not place.sql:
        pytest.skip("the check is the SQL targets'")
    write(writer, inserts(order(1)))
    schema = TableSchema("other", "orders", ORDERS.columns, ORDERS.key)
    writer.begin()
    with pytest.raises(TargetRefused, match="orders"):
        writer.apply([inserts(order(1), schema=schema)])
    writer.rollback()
