"""The stream over events built by hand: offsets, boundaries, damage, refusals. Values and real servers are tested elsewhere."""

import itertools
from collections.abc import Iterable
from typing import Any

import pytest

from cdc.binlog.capture import Capture
from cdc.binlog.decoder import load
from cdc.binlog.port import Begin, End, Item, Passed, Remembered, Truncated
from cdc.binlog.schema_policy import Policy, SchemaPolicy
from cdc.binlog.stream import BinlogStream
from cdc.binlog.transactions import Rules, Transactions
from cdc.model.checkpoint import SourcePoint
from cdc.model.config import SourceConfig, Url
from cdc.model.errors import BinlogDamaged, CdcError, NotUnderstood, PositionError, SourceChanged
from tests.support.binlog_events import (
    GTID,
    HEARTBEAT,
    MARIADB_GTID,
    QUERY,
    ROWS,
    TABLE_MAP,
    UUID_TEXT,
    XID,
    File,
    Replayed,
    event,
    format_description,
    gtid_body,
    query_body,
    rotate,
    table_map_body,
    xid_body,
)

FILE = "mysql-bin.000001"
NEXT = "mysql-bin.000002"


def point(offset: int = 4, gtid_set: str = "", created: int = 0) -> SourcePoint:
    return SourcePoint("server", FILE, offset, gtid_set, created)


def stream_of(
    events: Iterable[bytes], begin: SourcePoint | None = None, *, schema_changes: Policy = "stop", flavor: str = "mysql"
) -> BinlogStream:
    begin = begin or point()
    config = SourceConfig(url=Url("mysql://u@h"), server_id=9, tables=("shop.*", "!shop.other"))
    rules = Rules(flavor, SchemaPolicy(schema_changes, schema_changes))
    transactions = Transactions(begin, Capture(config, load("python")), rules)
    offset = begin.offset if begin.offset < 2**32 else 4
    return BinlogStream(Replayed(events), begin, transactions, offset=offset)


def items_of(events: Iterable[bytes], begin: SourcePoint | None = None, **settings: Any) -> list[Item]:
    """All items until nothing comes any more, but for what the schema history learnt."""
    stream = stream_of(events, begin, **settings)
    found: list[Item] = []
    for item in stream.items(lambda: 0.0):
        if item is None:
            return found
        if not isinstance(item, Remembered):
            found.append(item)
    raise AssertionError("the stream ended")


def opening(begin: int = 4, timestamp: int = 1_700_000_000) -> list[bytes]:
    """What a dump from inside a file begins with."""
    return [rotate(FILE, begin), format_description(log_pos=0, timestamp=timestamp)]


def refused(file: File, begin: SourcePoint | None = None, **settings: Any) -> CdcError:
    with pytest.raises(CdcError) as caught:
        items_of([*opening(begin.offset if begin else 4), *file.raw], begin, **settings)
    return caught.value


def truncation(file: File, number: int = 1) -> tuple[int, int]:
    start = file.add(GTID, gtid_body(number))
    return start, file.add(QUERY, query_body("TRUNCATE TABLE orders"))


def test_a_truncation_is_a_transaction_of_its_own() -> None:
    file = File()
    start, at = truncation(file, 5)
    begin, truncated, end = items_of([*opening(), *file.raw], point(gtid_set=f"{UUID_TEXT}:1-4"))
    assert isinstance(begin, Begin)
    assert begin.transaction.point == SourcePoint("server", FILE, start, f"{UUID_TEXT}:1-4", 1_700_000_000)
    assert begin.transaction.gtid == f"{UUID_TEXT}:5"
    assert begin.transaction.commit_us == 1_700_000_000_123_456
    assert begin.transaction.thread == 7
    assert truncated == Truncated(at, "shop", "orders")
    assert end == End(SourcePoint("server", FILE, file.offset, f"{UUID_TEXT}:1-5", 1_700_000_000))


def test_offsets_go_on_beyond_4_gib() -> None:
    file = File(2**32 - 100)
    start, at = truncation(file, 1)
    begin, truncated, end = items_of([*opening(2**32 - 100), *file.raw], point(2**32 - 100))
    assert isinstance(begin, Begin)
    assert isinstance(truncated, Truncated)
    assert isinstance(end, End)
    assert start < 2**32 < file.offset
    assert (begin.transaction.point.offset, truncated.offset, end.point.offset) == (start, at, file.offset)


def unplaced(file: File, number: int) -> tuple[int, int]:
    """A transaction of MariaDB whose statement does not say where it ends; where the two start."""
    start = file.add(MARIADB_GTID, number.to_bytes(8, "little") + bytes(11))
    at = file.add(QUERY, query_body("TRUNCATE TABLE orders"), says_end=False)
    file.add(XID, xid_body())
    return start, at


@pytest.mark.parametrize("begin", [4, 2**32 - 100])
def test_events_of_a_transaction_need_not_say_where_they_end_at_mariadb(begin: int) -> None:
    file = File(begin)
    places = [unplaced(file, number) for number in (1, 2)]
    found = items_of([*opening(begin), *file.raw], point(begin), flavor="mariadb")
    starts = [item.transaction.point.offset for item in found if isinstance(item, Begin)]
    assert list(zip(starts, (item.offset for item in found if isinstance(item, Truncated)), strict=True)) == places
    assert found[-1].point.offset == file.offset  # type: ignore[union-attr]


def test_events_that_do_not_say_where_they_end_are_passed_over_before_the_start() -> None:
    file = File()
    while file.offset < 2**32:
        unplaced(file, 1)
        file.offset += 2**31 - 1000
    begin = SourcePoint("server", FILE, file.offset)
    start, at = unplaced(file, 5)
    found = items_of([rotate(FILE), format_description(log_pos=0), *file.raw], begin, flavor="mariadb")
    assert isinstance(found[0], Begin)
    assert found[0].transaction.point.offset == start
    assert Truncated(at, "shop", "orders") in found


@pytest.mark.parametrize("begin", [4, 2**31 + 1000])
def test_at_mysql_an_event_that_does_not_say_where_it_ends_is_damage(begin: int) -> None:
    file = File(begin)
    file.add(GTID, gtid_body(1))
    file.add(QUERY, query_body("TRUNCATE TABLE orders"), says_end=False)
    assert isinstance(refused(file, point(begin)), BinlogDamaged)


def test_an_event_outside_of_transactions_says_where_it_ends() -> None:
    file = File(2**31 + 1000)
    file.add(MARIADB_GTID, (1).to_bytes(8, "little") + bytes(11), says_end=False)
    assert isinstance(refused(file, point(2**31 + 1000), flavor="mariadb"), BinlogDamaged)


def test_an_event_that_ends_at_4_gib_to_the_byte_counts() -> None:
    length = len(query_body("TRUNCATE TABLE orders")) + 23
    file = File(2**32 - length - len(gtid_body(1)) - 23)
    begin = point(file.offset)
    _, at = truncation(file)
    assert file.offset == 2**32
    found = items_of([*opening(begin.offset), *file.raw], begin)
    assert Truncated(at, "shop", "orders") in found


def test_a_start_beyond_4_gib_passes_over_the_file_from_its_beginning() -> None:
    file = File()
    for number in range(1, 5):
        truncation(file, number)
        file.offset += 2**31 - 1000  # as large as an event that a dump leaves out may be
    begin = SourcePoint("server", FILE, file.offset, f"{UUID_TEXT}:1-4")
    start, at = truncation(file, 5)
    found = items_of([rotate(FILE), format_description(log_pos=0), *file.raw], begin)
    assert start == begin.offset > 2**32
    assert [type(item) for item in found] == [Begin, Truncated, End]
    assert found[1] == Truncated(at, "shop", "orders")


def test_an_event_that_ends_before_it_begins_is_damage() -> None:
    file = File(1000)
    truncation(file, 1)
    with pytest.raises(BinlogDamaged, match="before it begins"):
        items_of([*opening(1500), *file.raw], point(1500))


def test_events_before_the_point_are_passed_over() -> None:
    file = File()
    truncation(file, 1)
    boundary = file.offset
    start, _ = truncation(file, 2)
    begin = SourcePoint("server", FILE, boundary, f"{UUID_TEXT}:1")
    config = SourceConfig(url=Url("mysql://u@h"), server_id=9, tables=("shop.*",))
    transactions = Transactions(begin, Capture(config, load("python")), Rules("mysql", "stop"))
    stream = BinlogStream(Replayed([*opening(), *file.raw]), begin, transactions, offset=4)
    found = list(itertools.takewhile(lambda item: item is not None, stream.items(lambda: 0.0)))
    assert [type(item) for item in found] == [Begin, Truncated, End]
    assert isinstance(found[0], Begin)
    assert found[0].transaction.point.offset == start


def test_events_that_a_dump_leaves_out_make_a_step() -> None:
    file = File()
    file.add(GTID, gtid_body(1))
    file.add(QUERY, query_body("BEGIN"))
    file.offset += 77
    at = file.add(QUERY, query_body("TRUNCATE orders"))
    file.add(XID, xid_body())
    truncated = items_of([*opening(), *file.raw])[1]
    assert truncated == Truncated(at, "shop", "orders")


def test_a_rotation_leads_to_the_next_file_and_its_creation_time() -> None:
    file = File()
    truncation(file, 1)
    following = File(format_end := 4 + len(format_description(log_pos=0)))
    start, _ = truncation(following, 2)
    found = items_of(
        [
            *opening(),
            *file.raw,
            rotate(NEXT, log_pos=file.offset + 47),
            rotate(NEXT),
            format_description(log_pos=format_end, timestamp=1_700_000_500),
            *following.raw,
        ]
    )
    begin = [item for item in found if isinstance(item, Begin)][1]
    assert begin.transaction.point == SourcePoint("server", NEXT, start, f"{UUID_TEXT}:1", 1_700_000_500)


def test_transactions_of_other_tables_come_as_passed_at_most() -> None:
    file = File()
    for number in range(1, 201):
        file.add(GTID, gtid_body(number))
        file.add(QUERY, query_body("BEGIN"))
        file.add(TABLE_MAP, table_map_body(55, "shop", "other"))
        file.add(ROWS, (55).to_bytes(6, "little") + b"never decoded")
        file.add(XID, xid_body())
    found = items_of([*opening(), *file.raw])
    assert all(isinstance(item, Passed) for item in found)
    assert len(found) < 20
    assert found[-1] == Passed(SourcePoint("server", FILE, file.offset, f"{UUID_TEXT}:1-200", 1_700_000_000), False)


def test_a_heartbeat_says_that_all_was_read() -> None:
    file = File()
    truncation(file, 1)
    beat = event(HEARTBEAT, FILE.encode(), log_pos=file.offset, timestamp=0)
    passed = items_of([*opening(), *file.raw, beat])[-1]
    assert passed == Passed(SourcePoint("server", FILE, file.offset, f"{UUID_TEXT}:1", 1_700_000_000), True)


def test_a_flipped_bit_anywhere_in_an_event_stops() -> None:
    file = File()
    truncation(file, 1)
    for place in range(len(file.raw[1])):
        spoiled = bytearray(file.raw[1])
        spoiled[place] ^= 0x10
        with pytest.raises((BinlogDamaged, NotUnderstood), match=f"at {FILE}:"):
            items_of([*opening(), file.raw[0], bytes(spoiled)])


def test_a_truncated_event_stops() -> None:
    file = File()
    start, at = truncation(file, 1)
    with pytest.raises(BinlogDamaged, match=f"at {FILE}:{at}: an event says that it has"):
        items_of([*opening(), file.raw[0], file.raw[1][:-9]])
    assert start < at


def test_rows_whose_table_map_is_missing_stop() -> None:
    file = File()
    file.add(GTID, gtid_body(1))
    file.add(QUERY, query_body("BEGIN"))
    at = file.add(ROWS, (55).to_bytes(6, "little") + bytes(10))
    error = refused(file)
    assert isinstance(error, BinlogDamaged)
    assert f"{FILE}:{at}" in error.message


@pytest.mark.parametrize("kind", [TABLE_MAP, ROWS])
def test_a_start_inside_a_transaction_is_refused(kind: int) -> None:
    file = File()
    file.add(kind, table_map_body(55, "shop", "orders"))
    error = refused(file)
    assert isinstance(error, PositionError)
    assert "inside a transaction" in error.message


def test_table_ids_end_with_their_transaction() -> None:
    file = File()
    file.add(GTID, gtid_body(1))
    file.add(QUERY, query_body("BEGIN"))
    file.add(TABLE_MAP, table_map_body(55, "shop", "other"))
    file.add(XID, xid_body())
    file.add(GTID, gtid_body(2))
    file.add(QUERY, query_body("BEGIN"))
    file.add(ROWS, (55).to_bytes(6, "little") + bytes(10))
    assert isinstance(refused(file), BinlogDamaged)


@pytest.mark.parametrize(
    ("kind", "error", "hint"),
    [
        (26, BinlogDamaged, "copy the tables anew"),
        (164, NotUnderstood, "encrypt_binlog=OFF"),
        (17, NotUnderstood, "binlog_format=ROW"),
        (20, NotUnderstood, "report"),
        (99, NotUnderstood, "report"),
        (250, NotUnderstood, "report"),
    ],
)
def test_events_that_are_not_read_stop_with_position_and_way_out(kind: int, error: type[CdcError], hint: str) -> None:
    file = File()
    file.add(GTID, gtid_body(1))
    at = file.add(kind, b"\0" * 30)
    raised = refused(file)
    assert type(raised) is error
    assert f"at {FILE}:{at}" in raised.message
    assert hint in raised.hint
    if error is NotUnderstood:
        assert f"event type {kind}" in raised.message


def test_an_unknown_event_that_says_it_can_be_ignored_is() -> None:
    file = File()
    file.add(99, b"whatever", flags=0x80)
    assert [type(item) for item in items_of([*opening(), *file.raw])] == [Passed]


@pytest.mark.parametrize("kind", [3, 5, 13, 14, 28, 29, 35, 36, 37, 160, 161, 163])
def test_harmless_events_are_passed_over(kind: int) -> None:
    file = File()
    file.add(kind, bytes(16))
    assert [type(item) for item in items_of([*opening(), *file.raw])] == [Passed]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE orders",
        "ALTER TABLE orders RENAME TO o2",
        "ALTER TABLE orders ADD COLUMN x INT",
        "DROP DATABASE shop",
        "CREATE TABLE orders (id INT PRIMARY KEY)",
    ],
)
def test_what_changes_a_captured_tables_shape_stops_or_is_passed_over(
    sql: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = File()
    file.add(GTID, gtid_body(1))
    at = file.add(QUERY, query_body(sql))
    error = refused(file)
    assert isinstance(error, NotUnderstood)
    assert f"at {FILE}:{at}" in error.message
    assert f"--from {FILE}:{file.offset}" in error.hint
    with caplog.at_level("WARNING"):
        found = items_of([*opening(), *file.raw], schema_changes="ignore")
    assert [type(item) for item in found] == [Passed]
    assert "is passed over" in caplog.text


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE other",
        "DROP DATABASE elsewhere",
        "ALTER TABLE orders ADD INDEX i (a)",
        "ALTER TABLE other ADD COLUMN x INT",
        "ALTER TABLE other TRUNCATE PARTITION p0",
        "TRUNCATE other",
        "CREATE USER x@y",
        "INSERT INTO other VALUES (1)",
    ],
)
def test_statements_that_leave_captured_rows_alone_pass(sql: str) -> None:
    file = File()
    file.add(GTID, gtid_body(1))
    file.add(QUERY, query_body(sql))
    found = items_of([*opening(), *file.raw])
    assert found == [Passed(SourcePoint("server", FILE, file.offset, f"{UUID_TEXT}:1", 1_700_000_000), False)]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE orders DROP PARTITION p0",
        "RENAME TABLE other TO orders",
        "ALTER TABLE other EXCHANGE PARTITION p0 WITH TABLE orders",
        "INSERT INTO orders VALUES (1)",
        "REPLACE INTO other VALUES (1)",
        "CALL p()",
        "FROBNICATE",
    ],
)
@pytest.mark.parametrize("schema_changes", ["stop", "ignore"])
def test_what_changes_captured_rows_without_row_events_stops(sql: str, schema_changes: str) -> None:
    file = File()
    file.add(GTID, gtid_body(1))
    at = file.add(QUERY, query_body(sql))
    error = refused(file, schema_changes=schema_changes)
    assert isinstance(error, NotUnderstood)
    assert f"at {FILE}:{at}" in error.message
    assert f"--from {FILE}:{file.offset}" in error.hint


def test_a_file_that_was_created_anew_is_another_source() -> None:
    with pytest.raises(SourceChanged, match="is not the file that it was"):
        items_of(opening(timestamp=1_700_000_001), point(created=1_700_000_000))


def test_a_transaction_without_an_end_before_a_new_file_stops_if_it_was_shown() -> None:
    file = File()
    file.add(GTID, gtid_body(1))
    file.add(QUERY, query_body("BEGIN"))
    file.add(QUERY, query_body("TRUNCATE orders"))
    after = [rotate(NEXT), format_description(log_pos=127)]
    with pytest.raises(BinlogDamaged, match="has no end"):
        items_of([*opening(), *file.raw, *after])
    assert [type(item) for item in items_of([*opening(), *file.raw[:2], *after])] == [Passed]


def test_xa_commit_of_what_was_not_seen_stops_and_rollback_passes() -> None:
    file = File()
    file.add(GTID, gtid_body(1))
    file.add(QUERY, query_body("XA ROLLBACK X'61',X'',1"))
    assert [type(item) for item in items_of([*opening(), *file.raw])] == [Passed]
    file.add(GTID, gtid_body(2))
    file.add(QUERY, query_body("XA COMMIT X'61',X'',1"))
    error = refused(file)
    assert isinstance(error, PositionError)
    assert "before the first binlog file" in error.message
