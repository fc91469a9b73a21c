"""Golden bytes of real servers: the decoder reads what their SELECT said, and whatever becomes of the bytes it says so."""

import json
import struct
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.binlog.decoder import load
from cdc.binlog.decoder.port import table_map_names
from cdc.model.change import Value
from cdc.model.errors import BinlogDamaged, NotUnderstood
from cdc.model.schema import Column, TableSchema
from tests.support.golden import told
from tests.support.value_oracle import Mirror

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
DECODER = load("python")


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _known(golden: dict[str, Any]) -> TableSchema | None:
    return TableSchema.from_json(json.dumps(golden["known"])) if golden.get("known") else None


def _as_select_prints(column: Column, value: Value) -> str | None:
    if value is None:
        return None
    if "binary" in column.type or "blob" in column.type or isinstance(value, dict | list):
        return _bytes(value).hex().upper()
    if column.type in ("datetime", "timestamp"):
        return str(value).replace("T", " ").removesuffix("Z")
    if column.type in ("float", "double"):
        # Of a float the server was asked for the double that it is; its layout of exponents is its own.
        code, number = ("<f" if column.type == "float" else "<d"), float(str(value))
        (exact,) = struct.unpack(code, struct.pack(code, number))
        return repr(exact).replace("e+", "e")
    return str(value)


def _bytes(value: Value) -> bytes:
    """Of a binary string, a geometry or a vector."""
    if isinstance(value, dict):
        return int(str(value["srid"])).to_bytes(4, "little") + b64decode(str(value["wkb"]))
    if isinstance(value, list):
        return b"".join(struct.pack("<f", number) for number in value)
    return b64decode(str(value))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_bytes_hold_what_the_server_said(path: Path) -> None:
    golden = _read(path)
    mirror = Mirror()
    columns: tuple[Column, ...] = ()
    for event in golden["events"]:
        table = DECODER.table_map(memoryview(bytes.fromhex(event["table_map"])), _known(golden))
        columns = table.schema.columns
        decoded = DECODER.rows(event["type"], memoryview(bytes.fromhex(event["rows"])), table)
        assert told(decoded) == event["event_holds"]
        # The server was asked before the rows went away.
        mirror.apply(row for row in decoded if row[0] != "d")
    rows = [row for _, row in sorted(mirror.rows.items(), key=itemgetter(0))]
    said = [[_as_select_prints(*pair) for pair in zip(columns, row, strict=True)] for row in rows]
    assert said == golden["server_says"]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_names_are_had_without_the_rest(path: Path) -> None:
    golden = _read(path)
    for event in golden["events"]:
        body = memoryview(bytes.fromhex(event["table_map"]))
        table = DECODER.table_map(body, _known(golden))
        assert table_map_names(body) == (table.table_id, table.db, table.table)


def _outcome(event_type: int, table_map: bytes, rows: bytes, known: TableSchema | None) -> str:
    """Any other error than these two fails the test."""
    try:
        table_map_names(memoryview(table_map))
        DECODER.rows(event_type, memoryview(rows), DECODER.table_map(memoryview(table_map), known))
    except (BinlogDamaged, NotUnderstood) as error:
        return type(error).__name__
    return "rows"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_truncation_and_every_trailing_byte_is_an_error(path: Path) -> None:
    golden = _read(path)
    known = _known(golden)
    for event in golden["events"]:
        table_map, rows = bytes.fromhex(event["table_map"]), bytes.fromhex(event["rows"])
        table = DECODER.table_map(memoryview(table_map), known)
        complete = len(DECODER.rows(event["type"], memoryview(rows), table))
        for length in range(len(rows)):
            if _outcome(event["type"], table_map, rows[:length], known) == "rows":
                # Only an end between two rows cannot be told from a shorter event.
                assert len(DECODER.rows(event["type"], memoryview(rows[:length]), table)) < complete
        assert _outcome(event["type"], table_map, rows + b"\xff", known) != "rows"
        for length in range(len(table_map)):
            if _outcome(event["type"], table_map[:length], rows, known) == "rows":
                # Metadata fields are a list without a count: the last ones, the key among them, may be missing.
                short = DECODER.table_map(memoryview(table_map[:length]), known)
                assert _without_dimensions(short.schema.columns) == _without_dimensions(table.schema.columns)


def _without_dimensions(columns: Sequence[Column]) -> list[Column]:
    """Vectors' are in the last field."""
    return [replace(column, length=None) if column.type == "vector" else column for column in columns]


@given(st.sampled_from(GOLDEN), st.data())
def test_damaged_bytes_end_in_one_of_two_errors(path: Path, data: st.DataObject) -> None:
    golden = _read(path)
    event = data.draw(st.sampled_from(golden["events"]))
    bodies = [bytearray.fromhex(event["table_map"]), bytearray.fromhex(event["rows"])]
    for body in bodies:
        for place in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
            body[place] = data.draw(st.integers(0, 255))
    _outcome(event["type"], bytes(bodies[0]), bytes(bodies[1]), _known(golden))


@given(st.sampled_from(GOLDEN), st.binary(max_size=200), st.integers(20, 45))
def test_random_bytes_end_in_one_of_two_errors(path: Path, noise: bytes, event_type: int) -> None:
    golden = _read(path)
    event, known = golden["events"][0], _known(golden)
    table_map = bytes.fromhex(event["table_map"])
    _outcome(event_type, table_map, table_map[:6] + noise, known)
    _outcome(event_type, noise, noise, known)
    head = bytes.fromhex(event["rows"])[:12]
    _outcome(event["type"], table_map, head + noise, known)
