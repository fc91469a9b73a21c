"""Messages written into one piece of memory are those that are rendered one by one, byte for byte."""

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdc.connect.redis import packed as pack
from cdc.model.change import Draft, Message, Row, Transaction
from cdc.model.checkpoint import Checkpoint, LaneCount, SourcePoint
from cdc.model.position import Sequence
from cdc.model.routing import key_hash, lane_number
from cdc.processes.outbound import Outbound
from cdc.processes.spread import Routing

encoded = pytest.importorskip("cdc.model.encoded", reason="the compiled parts are not built")
packed = pytest.importorskip("cdc.model.packed", reason="the compiled parts are not built")

POINT = SourcePoint("3e11fa47-71ca-11e1-9e33-c80aa9429562", "mysql-bin.000003", 4)
TABLES = [("shop", "orders"), ("shop", 'x"y`'), ("läden", "ß")]

values: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=9)
)
keys = st.one_of(st.integers(-5, 5), st.text(max_size=3), st.sampled_from(["Ä", "a", "A ", "ａ"]))


@st.composite
def drafts(draw: st.DrawFn) -> list[Draft]:
    db, table = draw(st.sampled_from(TABLES))
    found = []
    for _ in range(draw(st.integers(1, 5))):
        key: Row = {"id": draw(keys), "é": 1}
        row: Row = {**key, "v": draw(values)}
        op = draw(st.sampled_from("cud"))
        before = None if op == "c" else row
        after = None if op == "d" else {**row, "v": draw(values)}
        found.append(Draft(op, db, table, "0123456789abcdef", key, before, after))
    return found


transactions = st.lists(
    st.tuples(
        st.lists(st.one_of(drafts(), st.sampled_from(["take", "truncate"])), max_size=4),
        st.one_of(st.none(), st.just("3e11fa47-71ca-11e1-9e33-c80aa9429562:23")),
        st.one_of(st.none(), st.text(max_size=5)),
        st.sampled_from(["", "take", "heartbeat"]),
    ),
    max_size=5,
)

checkpoints = st.builds(
    lambda after, until, lanes, by_table: Checkpoint(
        2, POINT, 7, "f", after=after, replay_until=until, lanes=lanes, by_table=by_table
    ),
    st.sampled_from([Sequence(1, 9, 9, 9), Sequence(2, 3, 100, 1), Sequence(2, 3, 220, 0)]),
    st.sampled_from([Sequence(0, 0, 0, 0), Sequence(2, 3, 110, 1), Sequence(2, 4, 4, 0)]),
    st.sampled_from(
        [
            {},
            {"0": LaneCount(5), "1": LaneCount(7)},
            {"1": LaneCount(5, Sequence(2, 3, 120, 1)), "0": LaneCount(2)},
        ]
    ),
    st.sampled_from([(), ("shop.orders",)]),
)
routings = st.sampled_from(
    [
        Routing("shop", "mysql", 1),
        Routing("shop", "mysql", 3),
        Routing("sh\u00f6p", "mariadb", 2, topic="{name}.{db}.{table}"),
        Routing("shop", "mysql", 2, by_table=("shop.*",)),
    ]
)


def sent(checkpoint: Checkpoint, routing: Routing, what: Any, *, encodes: bool) -> tuple[list[Message], list[Any]]:
    """All messages, and what each `take` told beside them."""
    out = Outbound(checkpoint, routing, now=lambda: 1.5)
    messages: list[Message] = []
    told: list[Any] = []

    def take() -> None:
        before = len(out), out.bytes
        taken, after = out.take()
        messages.extend(taken)
        told.append((before, after, out.lanes, sum(len(message.value) for message in taken)))

    out.begin_run()
    offset = 100
    for number, (steps, gtid, query, then) in enumerate(what):
        point = SourcePoint(POINT.source_id, "mysql-bin.000003", offset - 10, gtid or "")
        out.begin(Transaction(point, 1, gtid, number or None, 1_700_000_000_123_456 + number))
        first_row = 0
        for step in steps:
            if step == "take":
                take()
            elif step == "truncate":
                out.truncate(offset, "shop", "orders")
            else:
                out.rows(offset, encoded.EncodedRows.of(step) if encodes else step, first_row, query)
                first_row += len(step)
            if query:  # a payload: its events share the place, and rows count on
                continue
            first_row = 0
            offset += 10
        offset += 20
        out.end(SourcePoint(POINT.source_id, "mysql-bin.000003", offset))
        if then == "heartbeat":
            out.heartbeat()
        if then:
            take()
        offset += 10
    take()
    return messages, told


@given(checkpoints, routings, transactions)
@settings(max_examples=300)
def test_packed_messages_are_the_rendered_ones(checkpoint: Checkpoint, routing: Routing, what: Any) -> None:
    messages, told = sent(checkpoint, routing, what, encodes=True)
    rendered, rendered_told = sent(checkpoint, routing, what, encodes=False)
    assert messages == rendered
    # A lane of a topic is opened when its first message is written, be that still held; rendered ones, when it is released.
    assert told == rendered_told or routing.topic


@pytest.mark.parametrize("lanes", [1, 3, 40])
def test_numbers_that_grow_by_a_digit_within_an_event_are_the_rendered_ones(lanes: int) -> None:
    rows = [
        Draft("c", "shop", "orders", "0123456789abcdef", {"id": number}, None, {"id": number})
        for number in range(1_203)
    ]
    counts = {str(lane): LaneCount((0, 8, 95, 99_990, 10**12 - 3)[lane % 5]) for lane in range(lanes)}
    checkpoint = Checkpoint(2, POINT, 7, "f", lanes=counts)
    what = [([rows[:5], rows[5:]], None, None, "take")]
    messages, _ = sent(checkpoint, Routing("shop", "mysql", lanes), what, encodes=True)
    rendered, _ = sent(checkpoint, Routing("shop", "mysql", lanes), what, encodes=False)
    assert messages == rendered


def copied(checkpoint: Checkpoint, routing: Routing, chunks: list[list[Draft]], *, encodes: bool) -> tuple[Any, ...]:
    """All messages, how many were counted, and where that ends."""
    out = Outbound(checkpoint, routing, now=lambda: 1.5)
    out.begin_run()
    for number, chunk in enumerate(chunks):
        if number % 2:
            out.begin(Transaction(POINT, 1, None, None, 1_700_000_000_123_456))
            out.rows(100 + number, encoded.EncodedRows.of(chunk) if encodes else chunk)
            out.end(SourcePoint(POINT.source_id, "mysql-bin.000003", 150 + number))
        read = [draft._replace(op="r", before=None, after=draft.after or draft.before) for draft in chunk]
        out.copied(encoded.EncodedRows.of(read) if encodes else read)
        out.copied(encoded.EncodedRows.of(read).cut(0, 0) if encodes else [])
    size = out.bytes
    messages, after = out.take()
    return list(messages), size, after, out.lanes


@given(checkpoints, routings, st.lists(drafts(), max_size=4))
def test_packed_copied_rows_are_the_rendered_ones(checkpoint: Checkpoint, routing: Routing, chunks: Any) -> None:
    assert copied(checkpoint, routing, chunks, encodes=True) == copied(checkpoint, routing, chunks, encodes=False)


@given(drafts(), st.sets(st.integers(0, 4)))
def test_rows_without_some_of_their_keys(rows: list[Draft], which: set[int]) -> None:
    made = encoded.EncodedRows.of(rows)
    texts = made.keys()
    keys = {texts[place] for place in which if place < len(rows)} | {b"{}"}
    left = made.without(keys)
    kept = [place for place in range(len(rows)) if texts[place] not in keys]
    assert [left.texts(place) for place in range(len(left))] == [made.texts(place) for place in kept]
    assert [left.crc(place) for place in range(len(left))] == [made.crc(place) for place in kept]
    assert list(left) == [rows[place] for place in kept]
    assert made.without(set()) is made


@given(st.lists(drafts(), min_size=1, max_size=1))
def test_encoded_rows_are_the_drafts_that_they_were_made_of(made: list[list[Draft]]) -> None:
    (rows,) = made
    encoded_rows = encoded.EncodedRows.of(rows)
    assert list(encoded_rows) == rows
    assert encoded_rows == rows
    assert encoded_rows == encoded.EncodedRows.of(rows)
    assert encoded_rows != rows[:-1]
    assert encoded_rows[1:] == rows[1:]
    assert [encoded_rows.crc(number) for number in range(len(rows))] == [
        key_hash(row.db, row.table, row.key.values()) for row in rows
    ]
    assert lane_number(rows[0].db, rows[0].table, rows[0].key.values(), 7) == encoded_rows.crc(0) % 7


def _unpacked(blob: bytes) -> list[tuple[int, bytes, bytes]]:
    found = []
    while blob:
        place, key, value = struct.unpack_from("<III", blob)
        found.append((place, blob[12 : 12 + key], blob[12 + key : 12 + key + value]))
        blob = blob[12 + key + value :]
    return found


def test_parts_of_packed_messages_are_bounded_and_whole() -> None:
    messages = [Message(str(number % 3), b"k" * number or None, b"v" * (1 + number * 7 % 50)) for number in range(40)]
    gathered = packed.PackedMessages(packed.Lanes(["0", "1", "2"]))
    for message in messages:
        gathered.append(message)
    assert gathered.largest == max(len(message.value) for message in messages)
    seen: list[tuple[int, bytes, bytes]] = []
    start = 0
    while start < len(gathered):
        end = gathered.part(start, 9, 100)
        size = sum(len(message.key or b"") + len(message.value) for message in messages[start:end])
        assert end == start + 1 or size <= 100
        assert end - start <= 9
        counts = gathered.lane_counts(start, end)
        assert list(counts) == list(dict.fromkeys(message.lane for message in messages[start:end]))
        assert sum(counts.values()) == end - start
        seen += _unpacked(gathered.blob(start, end, {"0": 10, "1": 11, "2": 12}))
        start = end
    by_lane = gathered.by_lane()
    assert list(by_lane) == ["0", "1", "2"]
    for lane, (entries, size) in by_lane.items():
        assert entries == [{"key": m.key, "value": m.value} for m in messages if m.lane == lane]
        assert size == sum(len(m.value) for m in messages if m.lane == lane)
    assert seen == [(10 + int(message.lane), message.key or b"", message.value) for message in messages]


def test_messages_as_commands_are_what_redis_py_would_send() -> None:
    messages = [
        Message(str(number % 3), b"k" * (number % 4) or None, b"v" * (number * 97 % 120)) for number in range(40)
    ]
    gathered = packed.PackedMessages(packed.Lanes(["0", "1", "2"]))
    for message in messages:
        gathered.append(message)
    streams = {lane: b"{a}:lane:" + lane.encode() for lane in "012"}
    first = {"0": 8, "1": 10**15, "2": 1}
    numbers = dict(first)
    for message in messages[:5]:
        numbers[message.lane] += 1
    wanted = []
    largest: dict[str, int] = {}
    for lane, key, value in messages[5:]:
        fields = [b"k", key] if key else []
        wanted += pack(("XADD", streams[lane], f"7001-{numbers[lane]}", *fields, b"v", value))
        numbers[lane] += 1
        largest[lane] = max(largest.get(lane, 0), len(key or b"") + len(value))
    counts = {lane: first[lane] + gathered.lane_counts(0, 5)[lane] for lane in "012"}
    assert gathered.appends(5, 40, streams, 7001, counts) == b"".join(wanted)
    assert gathered.lane_largest(5, 40) == largest
    assert gathered.appends(5, 5, {}, 1, {}) == b""
    with pytest.raises(KeyError):
        gathered.appends(0, 40, {"0": b"zero"}, 1, {})


def test_a_message_out_of_range_is_no_message() -> None:
    gathered = packed.PackedMessages(packed.Lanes(["0"]))
    with pytest.raises(IndexError):
        gathered[0]
    with pytest.raises(IndexError):
        gathered.blob(0, 1, {})
    with pytest.raises(IndexError):
        gathered.appends(0, 1, {}, 1, {})
    assert gathered.part(0, 10, 10) == 0
