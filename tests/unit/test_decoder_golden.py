"""Golden bytes of real servers: the decoder reads what their SELECT said, and whatever becomes of the bytes it says so."""

import json
import struct
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.binlog.decoder import load
from cdc.binlog.decoder.port import table_map_names
from cdc.model.change import Value
from cdc.model.errors import BinlogDamaged, NotUnderstood
from cdc.model.schema import Column

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
DECODER = load("python")


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _as_select_prints(column: Column, value: Value) -> str | None:
    if value is None:
        return None
    if "binary" in column.type or "blob" in column.type:
        return b64decode(str(value)).hex().upper()
    if column.type in ("datetime", "timestamp"):
        return str(value).replace("T", " ").removesuffix("Z")
    if column.type in ("float", "double"):
        # Of a float the server was asked for the double that it is; its layout of exponents is its own.
        code, number = ("<f" if column.type == "float" else "<d"), float(value)
        (exact,) = struct.unpack(code, struct.pack(code, number))
        return repr(exact).replace("e+", "e")
    return str(value)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_bytes_hold_what_the_server_said(path: Path) -> None:
    golden = _read(path)
    rows: dict[Any, list[str | None]] = {}
    for event in golden["events"]:
        table = DECODER.table_map(memoryview(bytes.fromhex(event["table_map"])))
        decoded = DECODER.rows(event["type"], memoryview(bytes.fromhex(event["rows"])), table)
        assert json.loads(json.dumps(decoded)) == event["event_holds"]
        for op, before, after in decoded:
            if op == "d":  # the server was asked before the rows went away
                continue
            if before is not None:
                del rows[before[0]]
            assert after is not None
            rows[after[0]] = [_as_select_prints(*pair) for pair in zip(table.schema.columns, after, strict=True)]
    assert [row for _, row in sorted(rows.items())] == golden["server_says"]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_names_are_had_without_the_rest(path: Path) -> None:
    for event in _read(path)["events"]:
        body = memoryview(bytes.fromhex(event["table_map"]))
        table = DECODER.table_map(body)
        assert table_map_names(body) == (table.table_id, table.db, table.table)


def _outcome(event_type: int, table_map: bytes, rows: bytes) -> str:
    """Any other error than these two fails the test."""
    try:
        table_map_names(memoryview(table_map))
        DECODER.rows(event_type, memoryview(rows), DECODER.table_map(memoryview(table_map)))
    except (BinlogDamaged, NotUnderstood) as error:
        return type(error).__name__
    return "rows"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_truncation_and_every_trailing_byte_is_an_error(path: Path) -> None:
    for event in _read(path)["events"]:
        table_map, rows = bytes.fromhex(event["table_map"]), bytes.fromhex(event["rows"])
        complete = len(DECODER.rows(event["type"], memoryview(rows), DECODER.table_map(memoryview(table_map))))
        for length in range(len(rows)):
            if _outcome(event["type"], table_map, rows[:length]) == "rows":
                # Only an end between two rows cannot be told from a shorter event.
                short = DECODER.rows(event["type"], memoryview(rows[:length]), DECODER.table_map(memoryview(table_map)))
                assert len(short) < complete
        assert _outcome(event["type"], table_map, rows + b"\xff") != "rows"
        columns = DECODER.table_map(memoryview(table_map)).schema.columns
        for length in range(len(table_map)):
            if _outcome(event["type"], table_map[:length], rows) == "rows":
                # Metadata fields are a list without a count: the last ones, the key among them, may be missing.
                assert DECODER.table_map(memoryview(table_map[:length])).schema.columns == columns


@given(st.sampled_from(GOLDEN), st.data())
def test_damaged_bytes_end_in_one_of_two_errors(path: Path, data: st.DataObject) -> None:
    event = data.draw(st.sampled_from(_read(path)["events"]))
    bodies = [bytearray.fromhex(event["table_map"]), bytearray.fromhex(event["rows"])]
    for body in bodies:
        for place in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
            body[place] = data.draw(st.integers(0, 255))
    _outcome(event["type"], bytes(bodies[0]), bytes(bodies[1]))


@given(st.sampled_from(GOLDEN), st.binary(max_size=200), st.integers(20, 45))
def test_random_bytes_end_in_one_of_two_errors(path: Path, noise: bytes, event_type: int) -> None:
    event = _read(path)["events"][0]
    table_map = bytes.fromhex(event["table_map"])
    _outcome(event_type, table_map, table_map[:6] + noise)
    _outcome(event_type, noise, noise)
    head = bytes.fromhex(event["rows"])[:12]
    _outcome(event["type"], table_map, head + noise)
