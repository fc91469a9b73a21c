"""What is not understood stops with table and column: tables and rows events built by hand."""

import pytest

from cdc.binlog.decoder import load
from cdc.binlog.decoder.port import TableMap
from cdc.binlog.decoder.rows import ABSENT
from cdc.model.errors import BinlogDamaged, NotUnderstood

DECODER = load("python")
NAMES = b"\x04\x04\x01a\x01b"
KEY = b"\x08\x01\x00"
INT, GEOMETRY, LONGLONG, OLD_DECIMAL, OLD_TIME, BLOB = 3, 255, 8, 0, 11, 252


def _body(
    codes: bytes = bytes((INT, INT)), metadata: bytes = b"", optional: bytes = NAMES + KEY, nullable: bytes = b"\x02"
) -> memoryview:
    head = (7).to_bytes(6, "little") + b"\x01\x00" + b"\x01d\x00" + b"\x01t\x00"
    return memoryview(head + bytes((len(codes),)) + codes + bytes((len(metadata),)) + metadata + nullable + optional)


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


def test_a_column_that_the_image_lacks_is_absent_and_not_null() -> None:
    table = DECODER.table_map(_body())
    one, two = (1).to_bytes(4, "little"), (2).to_bytes(4, "little")
    assert _rows(table, present=b"\xfd", rest=b"\x00" + one) == [("c", None, (1, ABSENT))]
    assert _rows(table, event_type=31, present=b"\xfd\xfe", rest=b"\x00" + one + b"\x00" + two) == [
        ("u", (1, ABSENT), (ABSENT, 2))
    ]
    assert _rows(table, event_type=32, present=b"\xfe", rest=b"\x01") == [("d", (ABSENT, None), None)]


def test_row_images_without_any_column_are_damage() -> None:
    with pytest.raises(BinlogDamaged, match="row images without columns"):
        _rows(DECODER.table_map(_body()), present=b"\xfc")


def test_a_null_in_a_partial_image_of_a_column_that_is_not_null_is_damage() -> None:
    with pytest.raises(BinlogDamaged, match="row image 1, column a"):
        _rows(DECODER.table_map(_body()), present=b"\xfd", rest=b"\x01" + bytes(4))


def test_an_unread_type_stops_at_the_first_row_with_table_and_column() -> None:
    table = DECODER.table_map(_body(codes=bytes((INT, OLD_DECIMAL))))
    assert table.schema.columns[1].type == "decimal"
    with pytest.raises(NotUnderstood, match=r"table d\.t: column b is a decimal of before MySQL 5\.0"):
        _rows(table)


def test_an_unknown_collation_stops_at_the_first_row_with_table_and_column() -> None:
    optional = b"\x02\x03\xfc\xff\xff" + NAMES
    table = DECODER.table_map(_body(codes=bytes((INT, BLOB)), metadata=b"\x02", optional=optional))
    with pytest.raises(NotUnderstood, match=r"table d\.t: column b is text with collation 65535"):
        _rows(table)


def test_a_charset_that_is_not_told_is_damage() -> None:
    with pytest.raises(BinlogDamaged, match="nothing is said of the charset of column b"):
        DECODER.table_map(_body(codes=bytes((INT, BLOB)), metadata=b"\x02"))


def test_old_dates_and_times_stop_where_a_fraction_cannot_be_excluded() -> None:
    table = DECODER.table_map(_body(codes=bytes((INT, OLD_TIME))))
    with pytest.raises(
        NotUnderstood, match=r"table d\.t: column b is stored in the old format.*mysql56_temporal_format=ON"
    ):
        _rows(table)


GEOMETRY_BETWEEN = bytes((INT, GEOMETRY, BLOB, BLOB))
FOUR_NAMES = b"\x04\x08\x01a\x01g\x01b\x01c"


def test_geometry_is_counted_among_the_text_columns_by_mariadb_alone() -> None:
    """Where both readings fit, the visibility of columns tells MySQL, the history tells, and else it must be MariaDB's."""
    body = lambda more: _body(GEOMETRY_BETWEEN, b"\x04\x02\x02", b"\x02\x03\x3f\x01\x08" + more + FOUR_NAMES, b"\x0e")  # noqa: E731
    types = lambda table: [column.type for column in table.schema.columns[2:]]  # noqa: E731
    mysql, mariadb = DECODER.table_map(body(b"\x0c\x01\xf0")), DECODER.table_map(body(b""))
    assert types(mysql) == ["blob", "text"]
    assert types(mariadb) == ["text", "blob"]
    row = b"\x0e" + (1).to_bytes(4, "little")
    head = (7).to_bytes(6, "little") + b"\x01\x00"
    assert DECODER.rows(23, memoryview(head + b"\x04\x0f" + row), mariadb) == [("c", None, (1, None, None, None))]
    with pytest.raises(NotUnderstood, match="geometry column leaves open which charset"):
        DECODER.rows(30, memoryview(head + b"\x02\x00\x04\x0f" + row), mariadb)
    assert types(DECODER.table_map(body(b""), mysql.schema)) == ["blob", "text"]


def test_an_unknown_type_stops_at_the_table_map() -> None:
    with pytest.raises(NotUnderstood, match=r"table d\.t: its column 2 has type code 200"):
        DECODER.table_map(_body(codes=bytes((INT, 200))))


def test_an_unknown_metadata_field_stops() -> None:
    with pytest.raises(NotUnderstood, match=r"table d\.t: .*metadata field 99"):
        DECODER.table_map(_body(optional=NAMES + b"\x63\x01\x00"))


def test_an_event_that_is_not_known_to_hold_rows_stops() -> None:
    with pytest.raises(NotUnderstood, match="event type 40 holds rows in a form that is not known here"):
        _rows(DECODER.table_map(_body()), event_type=40)


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
        NAMES + b"\x09\x02\x05\x01" + KEY,  # a prefix of a key column that is not there, and a whole key behind it
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
