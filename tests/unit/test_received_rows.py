"""Rows that are compacted and written without objects are what the plain compactor and writers make of them."""

import struct
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdc.model.change import Received, Row
from cdc.model.schema import Column, TableSchema
from cdc.processes.compactor import compact, runs
from cdc.target.mysql_literals import encoders, received_encoders, row_texts
from cdc.target.postgresql_bulk import Shape, TargetTable, copy_text, records
from cdc.target.sql.dialects import MYSQL, POSTGRESQL, SqlDialect
from cdc.target.sql.names import TargetName
from cdc.target.sql.plan import TablePlan
from cdc.target.sql.values import converter, single
from tests.support.received import draft_of, message, numbers, read, texts

compiled = pytest.importorskip("cdc.model.received", reason="the compiled parts are not built")
ReceivedRows = pytest.importorskip("cdc.model.received_rows").ReceivedRows

COLUMNS = (
    Column("id", "bigint", nullable=False),
    Column("n", "double"),
    Column('t"\\é', "text"),
    Column("b", "blob"),
    Column("d", "decimal"),
    Column("z", "timestamp"),
    Column("f", "float"),
)
NAMES = tuple(column.name for column in COLUMNS)
SCHEMAS = {name: TableSchema("shop", name, COLUMNS, ("id",)) for name in "ab"}
SCHEMAS["two"] = TableSchema("shop", "two", COLUMNS, ('t"\\é', "id"))

binaries = st.binary(max_size=9).map(lambda value: b64encode(value).decode())
decimals = st.sampled_from(["0", "-1.50", "1e5", "", "1); DROP TABLE t; --", "１", "99999999999999999999.5"])
EXACT = ("0", "-1.50", "99999999999999999999.5")
instants = st.sampled_from(["2024-02-29T12:00:00Z", "2024-02-29T12:00:00", "Z"])
floats = st.sampled_from([0.5, 3.4028235e38, -0.0, 1, 0.1])


@st.composite
def rows(draw: st.DrawFn, ids: st.SearchStrategy[Any]) -> Row:
    made: dict[str, Any] = {"id": draw(ids)}
    kinds = (numbers, texts, binaries, decimals, instants, floats)
    for name, kind in zip(NAMES[1:], kinds, strict=True):
        made[name] = draw(st.one_of(st.none(), kind))
    return made


@st.composite
def batches(draw: st.DrawFn) -> list[Received]:
    made = []
    for n in range(1, draw(st.integers(1, 9)) + 1):
        table = draw(st.sampled_from(sorted(SCHEMAS)))
        row = draw(rows(st.one_of(st.integers(1, 3), st.sampled_from([2**64 - 1, -5, True, 1.0]))))
        if draw(st.integers(0, 15)) == 0:
            row = {name: row[name] for name in row if name == "id" or draw(st.booleans())}
        key = {name: row.get(name) for name in SCHEMAS[table].key}
        draft = draft_of(draw(st.sampled_from("cud")), key, row, table=table, schema=table)
        made.append(message(draft, n=n, replay=draw(st.integers(0, 9)) == 0))
    return made


@given(batches(), st.booleans())
def test_received_changes_are_compacted_as_plain_ones_are(received: list[Received], upsert: bool) -> None:
    block = compiled.ReceivedBlock.of(received)
    plain = [read(one) for one in received]
    mixed = [block.change(place) or plain[place] for place in range(len(received))]
    net = [compact(run, SCHEMAS.__getitem__, upsert=upsert) for run in runs(mixed)]
    expected = [compact(tuple(run), SCHEMAS.__getitem__, upsert=upsert) for run in runs(tuple(plain))]  # type: ignore[arg-type]
    assert len(net) == len(expected)
    for ours, theirs in zip(net, expected, strict=True):
        assert [(b.schema, b.deletes, list(b.updates), list(b.inserts)) for b in ours] == [
            (b.schema, b.deletes, list(b.updates), list(b.inserts)) for b in theirs
        ]


def test_each_of_very_many_keys_gets_its_own_net_change() -> None:
    ids = [*range(3000), *range(0, 3000, 2), *range(0, 3000, 3)]
    ops = ["c"] * 3000 + ["u"] * 1500 + ["d"] * 1000
    received = []
    for n, (op, id_) in enumerate(zip(ops, ids, strict=True), 1):
        row: Row = {**dict.fromkeys(NAMES), "id": id_, "n": n}
        received.append(message(draft_of(op, {"id": id_}, row, table="a", schema="a"), n=n))
    (ours,) = compact(compiled.ReceivedBlock.of(received).changes(0, len(received), [True]), SCHEMAS.__getitem__)
    (theirs,) = compact(tuple(map(read, received)), SCHEMAS.__getitem__)  # type: ignore[arg-type]
    assert len(ours) == 3000
    assert isinstance(ours.inserts, ReceivedRows)
    assert (ours.deletes, list(ours.inserts)) == (theirs.deletes, list(theirs.inserts))


def received_rows(plain: list[Row], schema: TableSchema) -> Any:
    came = [message(draft_of("c", {"id": row["id"]}, row, table="a", schema="a"), n=n) for n, row in enumerate(plain)]
    block = compiled.ReceivedBlock.of(came)
    changes = [block.change(place) for place in range(len(came))]
    if None in changes:
        return None
    (batch,) = compact(changes, lambda _: schema)
    assert isinstance(batch.inserts, ReceivedRows)
    return batch.inserts


def plan(dialect: SqlDialect) -> TablePlan:
    changes = ((i, converter(dialect, column)) for i, column in enumerate(COLUMNS))
    quoted = tuple(f'"{name}"' for name in NAMES)
    return TablePlan(
        schema=SCHEMAS["a"],
        name=TargetName(None, "t"),
        quoted='"t"',
        source_columns=NAMES,
        columns=NAMES,
        quoted_columns=quoted,
        key=("id",),
        key_indexes=(0,),
        quoted_key=quoted[:1],
        converters=tuple((i, change) for i, change in changes if change),
        key_converters=(),
        types=(),
    )


some = st.lists(rows(st.integers(-(2**63), 2**64 - 1)), min_size=1, max_size=5, unique_by=lambda row: row["id"])


@pytest.mark.parametrize("last", ['{"a": "b"}', "\n", '"', "\\", "\x01", "é\t"])
def test_a_text_that_ends_with_an_escape_is_no_reason_to_ask_plain_objects(last: str) -> None:
    schema = TableSchema("shop", "a", (Column("id", "int", nullable=False), Column("c", "text")), ("id",))
    assert list(received_rows([{"id": 1, "c": last}], schema)) == [{"id": 1, "c": last}]


@given(some, st.sampled_from([(0, 1, 2, 3, 4, 5, 6), (0, 3), (6, 2, 0)]))
def test_copy_text_of_received_rows_is_that_of_plain_ones(plain: list[Row], written: tuple[int, ...]) -> None:
    table = TargetTable(plan(POSTGRESQL), ("text",) * len(NAMES), (), False, False)
    shape = Shape(table, tuple(range(len(NAMES))))
    shape.__dict__["written"] = written
    made = received_rows(plain, SCHEMAS["a"])
    if made is not None:
        assert list(made) == plain
        assert copy_text(shape, made) == copy_text(shape, plain)
        assert records(shape, made) == records(shape, plain)


@given(some)
def test_literals_of_received_rows_are_those_of_plain_ones(plain: list[Row]) -> None:
    table = plan(MYSQL)
    made = received_rows(plain, SCHEMAS["a"])
    if made is not None:
        written = tuple(range(len(NAMES)))
        expected = [text.encode() for text in row_texts(encoders(table), NAMES, plain)]
        encoded = received_encoders(table)
        assert made.mysql_values(0, written, encoded, 1 << 20, 99) == (b",".join(expected), len(plain))
        assert made.mysql_values(0, written, encoded, 1 << 20, 1) == (expected[0], 1)
        assert made.mysql_values(0, written, encoded, 0, 99) == (expected[0], 1)
        whole = len(b",".join(expected))
        assert made.mysql_values(0, written, encoded, whole, 99)[1] == len(plain)
        assert made.mysql_values(0, written, encoded, whole - 1, 99)[1] == max(1, len(plain) - 1)


def parameters(data: bytes, count: int) -> list[Any]:
    """What COM_STMT_EXECUTE is told of so many parameters, by the protocol's description. A decimal: its text, in a tuple."""
    nulls, at = data[: (count + 7) // 8], (count + 7) // 8
    assert data[at] == 1
    types, at = data[at + 1 : at + 1 + 2 * count], at + 1 + 2 * count
    found: list[Any] = []
    for place in range(count):
        kind, sign = types[2 * place], types[2 * place + 1]
        if nulls[place // 8] >> place % 8 & 1:
            found.append(None)
        elif kind == 0x05:
            found.append(struct.unpack_from("<d", data, at)[0])
            at += 8
        elif kind == 0x08:
            found.append(struct.unpack_from("<Q" if sign == 0x80 else "<q", data, at)[0])
            at += 8
        else:
            size, at = data[at], at + 1
            if size > 250:
                width = {0xFC: 2, 0xFD: 3, 0xFE: 8}[size]
                size, at = int.from_bytes(data[at : at + width], "little"), at + width
            text = data[at : at + size].decode()
            found.append((text,) if kind == 0xF6 else text)
            at += size
    assert at == len(data)
    return found


@given(some, st.sampled_from([(0, 1, 2, 4, 5, 6), (0, 4), (5, 6), (6, 2, 0)]), st.booleans())
def test_parameters_of_received_rows_are_their_values(
    plain: list[Row], written: tuple[int, ...], as_they_are: bool
) -> None:
    made = received_rows(plain, SCHEMAS["a"])
    assume(made is not None)
    special = {} if as_they_are else {4: "decimal", 5: "instant", 6: "single"}
    kinds = [special.get(place, "literal") for place in written]
    found = made.mysql_parameters(0, len(plain), written, kinds, 1 << 20)
    if not as_they_are and 4 in written and any(row["d"] not in {None, *EXACT} for row in plain):
        assert found is None
        return

    def expected(kind: str, value: Any) -> Any:
        if value is None or kind == "literal":
            return value
        return {"decimal": lambda v: (v,), "instant": lambda v: v.removesuffix("Z"), "single": single}[kind](value)

    values = [expected(kind, row[NAMES[place]]) for row in plain for place, kind in zip(written, kinds, strict=True)]
    assert parameters(found, len(values)) == values
    assert made.mysql_parameters(0, len(plain), written, kinds, len(found)) == found
    assert made.mysql_parameters(0, len(plain), written, kinds, len(found) - 1) is None
    last = made.mysql_parameters(len(plain) - 1, 1, written, kinds, 1 << 20)
    assert parameters(last, len(written)) == values[-len(written) :]


@pytest.mark.parametrize("size", [250, 251, 65_535, 65_536, 16_777_216])
def test_a_long_parameter_has_its_length_before_it(size: int) -> None:
    text = "\\" + "x" * (size - 1)
    made = received_rows([{**dict.fromkeys(NAMES), "id": 1, NAMES[2]: text}], SCHEMAS["a"])
    assert parameters(made.mysql_parameters(0, 1, (2, 0), ["literal", "literal"], 1 << 25), 2) == [text, 1]


def test_no_parameters_are_made_of_what_is_no_plain_value() -> None:
    for value in ({"a": 1}, [1]):
        made = received_rows([{**dict.fromkeys(NAMES), "id": 1, "n": value}], SCHEMAS["a"])
        assert made.mysql_parameters(0, 1, (1,), ["literal"], 1 << 20) is None
    made = received_rows([{**dict.fromkeys(NAMES), "id": 1}], SCHEMAS["a"])
    with pytest.raises(IndexError):
        made.mysql_parameters(0, 2, (0,), ["literal"], 1 << 20)
