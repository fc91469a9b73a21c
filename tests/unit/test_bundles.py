"""Bundles of copied rows, written in one piece of memory, read in C or plainly, hold the messages that the rows have alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdc.model.bundle import BUNDLE_ROWS, expanded, is_bundle, messages_of
from cdc.model.change import Change, Draft, Message, Received, Row
from cdc.model.checkpoint import Checkpoint, LaneCount, SourcePoint
from cdc.model.errors import PoisonMessage
from cdc.model.position import Sequence
from cdc.processes.outbound import Outbound
from cdc.processes.spread import Routing
from tests.support.events import assert_valid_event
from tests.support.received import edited, edits, read, reply_of, texts, values

encoded = pytest.importorskip("cdc.model.encoded", reason="the compiled parts are not built")
ReceivedBlock = pytest.importorskip("cdc.model.received", reason="the compiled parts are not built").ReceivedBlock

POINT = SourcePoint("3e11fa47-71ca-11e1-9e33-c80aa9429562", "mysql-bin.000003", 4)
CHECKPOINT = Checkpoint(2, POINT, 7, "f", lanes={"1": LaneCount(12_345)})
TABLES = [("shop", "orders"), ("shop", 'x"y`'), ("läden", "ß")]
ROUTINGS = [
    Routing("shop", "mysql", 1),
    Routing("shop", "mysql", 3),
    Routing("shop", "mariadb", 2, topic="{name}.{db}.{table}"),
    Routing("shop", "mysql", 2, by_table=("shop.*",)),
]


@st.composite
def chunks(draw: st.DrawFn) -> list[Draft]:
    db, table = draw(st.sampled_from(TABLES))
    found = []
    for number in range(draw(st.integers(1, 12))):
        key: Row = {"id": draw(st.one_of(st.just(number), values)), draw(st.sampled_from(["é", 'q"'])): number}
        after: Row = {**key, "v": draw(values), "t": draw(texts)}
        # A row of a list of keys that is not there is a delete.
        gone = draw(st.integers(0, 9)) == 0
        found.append(
            Draft(
                "d" if gone else "r", db, table, "0123456789abcdef", key, key if gone else None, None if gone else after
            )
        )
    return found


def copied(rows: list[Draft], routing: Routing, bundle_bytes: int) -> tuple[list[Message], list[str]]:
    """The messages of a chunk, epoch markers left out, and the lanes in the order of their numbers."""
    out = Outbound(CHECKPOINT, routing, now=lambda: 1.5, bundle_bytes=bundle_bytes)
    out.begin_run()
    out.take()
    out.copied(encoded.EncodedRows.of(rows))
    size = out.bytes
    messages = list(out.take()[0])
    assert size == sum(len(message.value) for message in messages)
    return [message for message in messages if message.key or is_bundle(message.key, message.value)], out.lanes


def received(messages: list[Message]) -> list[Received]:
    return [Received(f"7-{number}", message.key, message.value) for number, message in enumerate(messages, 1)]


def bundles(messages: list[Message]) -> list[Message]:
    return [message for message in messages if is_bundle(message.key, message.value)]


@settings(max_examples=300)
@given(chunks(), st.sampled_from(ROUTINGS), st.sampled_from([1, 900, 1000, 1500, 10**6]))
def test_a_bundle_holds_the_messages_that_its_rows_have_alone(rows: list[Draft], routing: Routing, size: int) -> None:
    messages, lanes = copied(rows, routing, size)
    for bundle in bundles(messages):
        assert len(bundle.value) <= size
        assert 1 < len(messages_of(bundle.value)) <= BUNDLE_ROWS
        assert_valid_event(bundle.value)
    found = [
        (message.lane, key, value)
        for message in messages
        for _, key, value in expanded([Received("", message.key, message.value)])
    ]
    # Lane by lane: so the orders count.
    alone, _ = copied(rows, routing, 0)
    order = sorted(range(len(rows)), key=lambda place: lanes.index(alone[place].lane))
    assert found == [tuple(message) for message in copied([rows[place] for place in order], routing, 0)[0]]


@settings(max_examples=300)
@given(st.lists(chunks(), min_size=1, max_size=3), st.sampled_from([900, 1500, 10**6]))
def test_rows_of_a_bundle_are_read_as_from_messages_of_their_own(many: list[list[Draft]], size: int) -> None:
    came = received([message for rows in many for message in copied(rows, ROUTINGS[0], size)[0]])
    alone = expanded(came)
    for block in (ReceivedBlock.of(came), ReceivedBlock.of_reply(bytearray(reply_of(came)))):
        assert list(block) == alone
        assert block.entries == len(came)
        for place, one in enumerate(alone):
            change, there = block.change(place), read(one)
            assert isinstance(there, Change)
            if change is not None:
                assert change.plain() == there
                assert (change.raw, change.key, change.after) == (one.value, there.key, there.after)
                assert block.tables[block.tables.index((there.db, there.table, there.schema))]


def test_ordinary_rows_of_a_bundle_are_all_read_at_once() -> None:
    rows = [Draft("r", "shop", "orders", "s", {"id": n}, None, {"id": n, "t": "é\n"}) for n in range(100)]
    (bundle,) = received(copied(rows, ROUTINGS[0], 10**6)[0])
    block = ReceivedBlock.of([bundle])
    watermark = Sequence(2, 3, 4, 0)
    assert block.run(0, 7, watermark, 0, [True]) == 100
    assert block.last_end(0, 100) == 100
    assert [change.key for change in block.changes(0, 100, [True])] == [(n,) for n in range(100)]
    assert all(
        change.copied and change.ends_transaction and change.seq == watermark
        for change in block.changes(0, 100, [True])
    )


def test_a_bundle_comes_whole() -> None:
    rows = [Draft("r", "shop", "orders", "s", {"id": n}, None, {"id": n}) for n in range(20)]
    (first,), (second,) = copied(rows, ROUTINGS[0], 10**6)[0], copied(rows[:5], ROUTINGS[0], 10**6)[0]
    block = ReceivedBlock.of(received([Message("0", None, b"x"), first, second]))
    row_bytes = block.part(1, 2).value_bytes
    assert (len(block), block.entries) == (26, 3)
    assert [block.within(count, 10**6) for count in (1, 2, 20, 21, 22, 26, 99)] == [1, 21, 21, 21, 26, 26, 26]
    assert [block.part(1, 26).within(count, 10**6) for count in (1, 20, 21, 25)] == [20, 20, 25, 25]
    assert [block.within(99, size) for size in (0, 1, 1 + 5 * row_bytes, 1 + 21 * row_bytes)] == [1, 1, 1, 21]
    assert block.consecutive(7, 0) == 26
    assert block.consecutive(6, 9) == 26
    assert block.consecutive(7, 1) == 0
    assert block.part(1, 26).consecutive(7, 1) == 25
    assert block.offset(1) == block.offset(20) == "7-2"


GOOD = received(
    copied(
        [
            Draft("r", "shop", "orders", "s", {"id": n}, None, {"id": n, "t": "aé\n", "f": 1.5, "n": None})
            for n in range(3)
        ],
        ROUTINGS[0],
        10**6,
    )[0]
)[0]


def agrees(one: Received) -> None:
    """Read in C as plainly: as rows, or not at all."""
    plainly = expanded([one])
    for block in (ReceivedBlock.of([one]), ReceivedBlock.of_reply(bytearray(reply_of([one])))):
        assert list(block) == plainly
        for place, alone in enumerate(plainly):
            change = block.change(place)
            if change is not None:
                assert change.plain() == read(alone)


@settings(max_examples=1500)
@given(edits)
def test_a_damaged_bundle_is_read_as_plainly_or_refused(how: list[tuple[str, int, int]]) -> None:
    one = Received("7-1", None, edited(GOOD.value, how))
    agrees(one)
    if len(expanded([one])) == 1 and is_bundle(None, one.value):
        assert read(expanded([one])[0]) is None


@pytest.mark.parametrize("size", range(10, len(GOOD.value), 3))
def test_a_bundle_that_is_cut_off_is_refused(size: int) -> None:
    agrees(Received("7-1", None, GOOD.value[:size]))
    with pytest.raises(PoisonMessage):
        messages_of(GOOD.value[:size])


@pytest.mark.parametrize(
    ("text", "other"),
    [
        (b'"copied":3', b'"copied":2'),
        (b'"copied":3', b'"copied":4'),
        (b'"copied":3', b'"copied":999999'),
        (b'"copied":3', b'"copied":99999999999999999'),
        (b'"copied":3', b'"copied":03'),
        (b'"copied":3', b'"copied":0'),
        (b'"snapshot":"incremental"', b'"snapshot":"false"'),
        (b'"op":"r"', b'"op":"c"'),
        (b'"data_collection_order":1', b'"data_collection_order":2'),
        (b',"end":true', b""),
        (b'{"id":1}', b'[1]'),
        (b'{"id":1}', b'{}'),
        (b'{"key":{"id":1}', b'{"key":null'),
        (b'"seq":[', b'"seq":[1,'),
        (b"]}", b"]} "),
        (b"]}", b"],\"more\":1}"),
        (b"]}", b",]}"),
    ],
)  # fmt: skip
def test_what_is_not_quite_a_bundle_is_refused(text: bytes, other: bytes) -> None:
    value = GOOD.value.replace(text, other, 1)
    assert value != GOOD.value
    agrees(Received("7-1", None, value))
    if other != b"{}":
        assert expanded([Received("7-1", None, value)]) == [Received("7-1", None, value)]


@pytest.mark.parametrize(
    "text",
    [b"-0", b"1e300", b"18446744073709551616", b'"\\ud83d\\ude00"', b'"\\u0041"', b"[" * 70 + b"]" * 70, b" 1", b"NaN", b"[1,]",
     b'"\xed\xa0\x80"', b"[" * 2000 + b"]" * 2000, b'{"a":1}'],
)  # fmt: skip
def test_values_at_the_edge_of_json_are_read_as_plainly(text: bytes) -> None:
    agrees(Received("7-1", None, GOOD.value.replace(b"1.5", text, 1)))
    agrees(Received("7-1", None, GOOD.value.replace(b'"key":{"id":1}', b'"key":{"id":%b}' % text, 1)))
