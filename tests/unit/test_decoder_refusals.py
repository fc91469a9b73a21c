"""What is not understood stops with table and column: tables and rows events built by hand."""

import pytest

from cdc.binlog.decoder import load
from cdc.binlog.decoder.port import TableMap
from cdc.model.errors import BinlogDamaged, NotUnderstood

DECODER = load("python")
NAMES = b"\x04\x04\x01a\x01b"
KEY = b"\x08\x01\x00"
INT, GEOMETRY, LONGLONG = 3, 255, 8


def _body(codes: bytes = bytes((INT, INT)), metadata: bytes = b"", optional: bytes = NAMES + KEY) -> memoryview:
    head = (7).to_bytes(6, "little") + b"\x01\x00" + b"\x01d\x00" + b"\x01t\x00"
    return memoryview(head + bytes((len(codes),)) + codes + bytes((len(metadata),)) + metadata + b"\x02" + optional)


def _rows(table: TableMap, *, event_type: int = 30, present: bytes = b"\xff", rest: bytes = b"") -> object:
    head = (7).to_bytes(6, "little") + b"\x01\x00" + (b"\x02\x00" if event_type >= 30 else b"") + b"\x02"
    return DECODER.rows(event_type, memoryview(head + present + rest), table)


def test_both_versions_of_rows_events() -> None:
    table = DECODER.table_map(_body())
    row = b"\x00" + (1).to_bytes(4, "little") + (2).to_bytes(4, "little")
    for event_type in (23, 30):
        assert _rows(table, event_type=event_type, rest=row) == [("c", None, (1, 2))]
    for event_type in (24, 31):
        assert _rows(table, event_type=event_type, present=b"\xff\xff", rest=row * 2) == [("u", (1, 2), (1, 2))]
    for event_type in (25, 32):
        assert _rows(table, event_type=event_type, rest=row * 2) == [("d", (1, 2), None)] * 2
    assert _rows(table) == []


def test_extra_data_of_a_rows_event_is_passed_over() -> None:
    table = DECODER.table_map(_body())
    body = (7).to_bytes(6, "little") + b"\x01\x00" + b"\x05\x00abc" + b"\x02\xff" + b"\x02" + (1).to_bytes(4, "little")
    assert DECODER.rows(30, memoryview(body), table) == [("c", None, (1, None))]


def test_metadata_without_names_names_the_setting() -> None:
    with pytest.raises(NotUnderstood, match=r"table d\.t: .*SET GLOBAL binlog_row_metadata=FULL"):
        DECODER.table_map(_body(optional=b"\x01\x01\x00"))


def test_a_partial_row_image_names_the_missing_column_and_the_setting() -> None:
    with pytest.raises(NotUnderstood, match=r"table d\.t: .*missing: b\).*SET GLOBAL binlog_row_image=FULL"):
        _rows(DECODER.table_map(_body()), present=b"\xfd")
    with pytest.raises(NotUnderstood, match=r"missing: a\)"):
        _rows(DECODER.table_map(_body()), event_type=31, present=b"\xff\xfe")


def test_an_unread_type_stops_at_the_first_row_with_table_and_column() -> None:
    table = DECODER.table_map(_body(codes=bytes((INT, GEOMETRY)), metadata=b"\x04"))
    assert table.schema.columns[1].type == "geometry"
    with pytest.raises(NotUnderstood, match=r"table d\.t: column b has type geometry"):
        _rows(table)


def test_an_unknown_type_stops_at_the_table_map() -> None:
    with pytest.raises(NotUnderstood, match=r"table d\.t: its column 2 has type code 200"):
        DECODER.table_map(_body(codes=bytes((INT, 200))))


def test_an_unknown_metadata_field_stops() -> None:
    with pytest.raises(NotUnderstood, match=r"table d\.t: .*metadata field 99"):
        DECODER.table_map(_body(optional=NAMES + b"\x63\x01\x00"))


def test_a_partial_update_event_stops() -> None:
    with pytest.raises(NotUnderstood, match=r"event type 39.*binlog_row_value_options"):
        _rows(DECODER.table_map(_body()), event_type=39)


def test_keys_are_in_key_order_and_prefixes_are_known() -> None:
    assert DECODER.table_map(_body(optional=NAMES + b"\x08\x02\x01\x00")).schema.key == ("b", "a")
    table = DECODER.table_map(_body(optional=NAMES + b"\x09\x04\x01\x00\x00\x05"))
    assert table.schema.key == ("b", "a")
    assert table.prefix_key == {"a"}
    assert DECODER.table_map(_body(optional=NAMES)).schema.key == ()


def test_signs_are_one_bit_for_each_number() -> None:
    table = DECODER.table_map(_body(codes=bytes((INT, LONGLONG)), optional=b"\x01\x01\x40" + NAMES + KEY))
    assert [column.unsigned for column in table.schema.columns] == [False, True]


@pytest.mark.parametrize(
    "optional",
    [
        b"\x04\x02\x01a" + KEY,  # one name for two columns
        NAMES + b"\x08\x01\x05",  # a key column that is not there
        NAMES + b"\x08\x05\x00",  # a field longer than the event
        b"\x04\x04\x01a\x01\xff",  # a name that is not UTF-8
        NAMES + b"\x08\x01\xfb",  # no length-encoded integer
    ],
)
def test_impossible_metadata_is_damage(optional: bytes) -> None:
    with pytest.raises(BinlogDamaged, match=r"d\.t"):
        DECODER.table_map(_body(optional=optional))


def test_a_rows_event_of_another_table_is_damage() -> None:
    table = DECODER.table_map(_body())
    with pytest.raises(BinlogDamaged, match="it is for table id 8, the table map's is 7"):
        DECODER.rows(30, memoryview((8).to_bytes(6, "little") + b"\x01\x00\x02\x00\x02\xff"), table)


def test_a_null_in_a_column_that_is_not_null_is_damage() -> None:
    with pytest.raises(BinlogDamaged, match="row image 1, column a"):
        _rows(DECODER.table_map(_body()), rest=b"\x01" + bytes(4) + bytes(4))


def test_a_table_without_columns_is_damage() -> None:
    with pytest.raises(BinlogDamaged, match="without columns"):
        DECODER.table_map(_body(codes=b""))
