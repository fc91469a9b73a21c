"""Messages read without objects for their fields are those that `parse` reads; all others are left to it."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdc.model.change import Change, Marker, Received
from cdc.model.checkpoint import Progress
from cdc.model.errors import Gap
from cdc.model.position import Sequence
from cdc.processes.gate import LaneGate, Verdict
from tests.support.received import POINT, draft_of, edited, edits, message, read, reply_of, texts, values

compiled = pytest.importorskip("cdc.model.received", reason="the compiled parts are not built")
ReceivedBlock = compiled.ReceivedBlock

rows = st.dictionaries(texts, values, max_size=5)
drafts = st.builds(draft_of, st.sampled_from("cudr"), rows, rows)
messages = st.builds(
    message,
    drafts,
    n=st.integers(0, 2**60),
    gtid=st.one_of(st.none(), texts),
    replay=st.booleans(),
    ends=st.booleans(),
    query=st.one_of(st.none(), texts),
    commit_us=st.integers(0, 2**60),
)
GOOD = message(draft_of("u", {"id": 1}, {"id": 1, "t": "aé\n", "f": 1.5, "n": None}))


def agrees(received: Received) -> bool:
    """Whether it was read here; then as `parse` reads it."""
    change = ReceivedBlock.of([received]).change(0)
    if change is None:
        return False
    there = read(received)
    assert change.plain() == there
    assert (change.key, change.after, change.seq, change.op) == (there.key, there.after, there.seq, there.op)  # type: ignore[union-attr]
    return True


@given(messages)
def test_a_change_event_is_read_as_parse_reads_it(received: Received) -> None:
    agrees(received)


@given(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(blacklist_categories=["Cs"]), max_size=9), st.booleans())
def test_our_own_ordinary_messages_are_read_here(number: int, text: str, ends: bool) -> None:
    assert agrees(message(draft_of("u", {"id": number}, {"id": number, "t": text, "n": None, "f": 0.5}), ends=ends))


@settings(max_examples=1000)
@given(edits, st.booleans())
@example([("put", GOOD.value.index(b"a\xc3"), 0xFF)], False)
@example([("put", GOOD.value.index(b"a\xc3"), 0x1F)], False)
def test_damaged_messages_are_never_read_otherwise(how: list[tuple[str, int, int]], in_key: bool) -> None:
    key, value = GOOD.key or b"", GOOD.value
    agrees(Received("5-1", edited(key, how) if in_key else key, value if in_key else edited(value, how)))


def agrees_in_a_row(received: list[Received]) -> None:
    """What was read of a message before is used for the next one; it must make no difference."""
    block = ReceivedBlock.of(received)
    tables = block.tables
    for at, one in enumerate(received):
        alone, change = ReceivedBlock.of([one]).change(0), block.change(at)
        assert (change is None) == (alone is None)
        if change is not None:
            assert change.plain() == alone.plain() == read(one)
            assert (change.db, change.table, change.schema) in tables


in_a_row = st.builds(
    message,
    st.builds(
        draft_of,
        st.sampled_from("cud"),
        st.just({"id": 1}),
        st.just({"id": 1, "t": "a"}),
        table=st.sampled_from(["items", "orders"]),
        schema=st.sampled_from(["s", "t"]),
    ),
    n=st.integers(1, 3),
    seq=st.builds(Sequence, *[st.integers(1, 2)] * 4),
    token=st.integers(5, 6),
    gtid=st.sampled_from([None, "a:1", "a:2"]),
    replay=st.booleans(),
    ends=st.booleans(),
    query=st.sampled_from([None, "q"]),
    commit_us=st.integers(1, 2),
)


@settings(max_examples=300)
@given(st.lists(st.one_of(in_a_row, in_a_row, st.just(Received("5-1", None, b"marker"))), max_size=8))
def test_messages_in_a_row_are_each_read_as_parse_reads_it(received: list[Received]) -> None:
    agrees_in_a_row(received)


@settings(max_examples=1000)
@given(edits)
def test_a_damaged_message_is_read_behind_a_good_one_as_alone(how: list[tuple[str, int, int]]) -> None:
    agrees_in_a_row([GOOD, Received("5-1", GOOD.key, edited(GOOD.value, how)), GOOD])


@pytest.mark.parametrize(
    "text",
    [b"-0", b"01", b"1.", b".5", b"1e400", b"18446744073709551616", b"-9223372036854775809", b"nul", b"tru", b"+1", b"1e",
     b'"\\ud800"', b'"\\x"', b'"\x1f"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b"[1,]", b"[" * 70 + b"]" * 70, b"{\"a\"}", b" 1"],
)  # fmt: skip
def test_values_at_the_edge_of_json_are_read_as_parse_reads_them_or_left_to_it(text: bytes) -> None:
    agrees(Received("5-1", GOOD.key, GOOD.value.replace(b"1.5", text)))
    agrees(Received("5-1", (GOOD.key or b"").replace(b"1", text), GOOD.value))


def test_a_block_hands_out_what_it_was_made_of() -> None:
    given = [Received("5-1", None, b"marker"), GOOD, Received("5-2", b"{}", b"")]
    for block in (ReceivedBlock.of(given), ReceivedBlock.of_reply(bytearray(reply_of(given)))):
        assert list(block) == given
        assert [block[1], block[-1], block[0:2]] == [given[1], given[2], given[0:2]]
        assert list(block.part(1, 3)) == given[1:]
        assert block.value_bytes == sum(len(one.value) for one in given)
        assert block.within(9, len(given[0].value)) == 1
        assert block.within(9, 0) == 1
        assert block.change(0) is None
        with pytest.raises(IndexError):
            block[3]


def test_a_reply_of_redis_is_whole_when_its_last_byte_has_come() -> None:
    reply = reply_of([GOOD, Received("5-2", None, b"x" * 50)])
    reader = compiled.ReplyReader(16)
    for size in range(len(reply)):
        reader.grow(size)
        reader.buffer[:size] = reply[:size]
        assert 0 < reader.missing(size) <= len(reply) - size
    reader.grow(len(reply) + 9)
    reader.buffer[: len(reply)] = reply
    assert reader.missing(len(reply)) == 0
    assert reader.end(len(reply)) == reply


def test_several_replies_are_whole_when_the_last_one_is() -> None:
    replies = b"+OK\r\n+QUEUED\r\n-OOM no\r\n*2\r\n$3\r\n5-1\r\n*2\r\n$2\r\nOK\r\n:7\r\n"
    reader = compiled.ReplyReader(len(replies), 4)
    for size in range(len(replies)):
        reader.buffer[:size] = replies[:size]
        assert 0 < reader.missing(size) <= len(replies) - size
    reader.buffer[:] = replies
    assert reader.missing(len(replies)) == 0


@pytest.mark.parametrize("reply", [b"-ERR no\r\n", b"$-1\r\n", b":1\r\n", b"*-1\r\n"])
def test_a_reply_that_has_no_entries_is_whole_and_none(reply: bytes) -> None:
    reader = compiled.ReplyReader(64)
    reader.buffer[: len(reply)] = reply
    assert reader.missing(len(reply)) == 0
    assert ReceivedBlock.of_reply(reader.end(len(reply))) is None


@pytest.mark.parametrize("size", range(1, len(reply_of([GOOD])), 7))
def test_a_reply_that_is_cut_off_is_none(size: int) -> None:
    assert ReceivedBlock.of_reply(bytearray(reply_of([GOOD])[:size])) is None


def test_entries_follow_one_another_without_a_hole() -> None:
    def count(*offsets: str) -> int:
        return int(ReceivedBlock.of([Received(offset, None, b"") for offset in offsets]).consecutive(5, 7))

    assert count("5-8", "5-9", "6-1", "9-1", "9-2") == 5
    assert count("5-9") == count("4-1") == count("6-2") == count("x") == count("5-8x") == count("5-08") == 0
    assert count("5-8", "5-10") == 1


steps = st.lists(
    st.tuples(
        st.sampled_from(["next", "next", "next", "again", "skip", "older", "newer", "other", "epoch"]),
        st.booleans(),
        st.integers(0, 3),
    ),
    max_size=12,
)


def lane(how: list[tuple[str, bool, int]]) -> list[tuple[Received, Change | Marker]]:
    made: list[tuple[Received, Change | Marker]] = []
    n = offset = 0
    for kind, ends, commit_us in how:
        if kind == "epoch":
            marker = Marker("epoch", "0", Sequence(1, 3, offset, 0), n, 6, POINT, 0, {"fingerprint": "f"})
            made.append((Received("0", None, b""), marker))
            continue
        if kind != "again":
            n, offset = n + (2 if kind == "skip" else 1), offset + 1
        generation, token = (2 if kind == "newer" else 1), (4 if kind == "older" else 5)
        draft = draft_of("c", {"id": n}, {"id": n}, table="others" if kind == "other" else "items")
        seq = Sequence(generation, 3, offset, 0)
        one = message(draft, n=n, seq=seq, token=token, ends=ends, commit_us=commit_us)
        change = read(one)
        assert change is not None
        made.append((one, change))
    return made


@given(steps)
def test_a_run_passes_the_gate_as_its_messages_do_one_by_one(how: list[tuple[str, bool, int]]) -> None:
    came = lane(how)
    begin = Progress("0", 1, 5, Sequence(1, 3, 0, 0), 0)

    def alone() -> tuple[list[Any], Progress]:
        gate, applied = LaneGate(begin), []
        try:
            for received, item in came:
                if gate.offer(received.offset, item) is Verdict.APPLY:
                    applied.append(item)
        except Gap as gap:
            applied.append(gap.message)
        return applied, gate.progress

    def together() -> tuple[list[Any], Progress]:
        gate, applied, at = LaneGate(begin), [], 0
        block = ReceivedBlock.of([received for received, _ in came])
        every = [True] * len(block.tables)
        try:
            while at < len(came):
                end = gate.run(block, at, every)
                if end > at:
                    gate.pass_run(block, at, end)
                    applied += [change.plain() for change in block.changes(at, end, every)]
                    at = end
                    continue
                if gate.offer(came[at][0].offset, came[at][1]) is Verdict.APPLY:
                    applied.append(came[at][1])
                at += 1
        except Gap as gap:
            applied.append(gap.message)
        return applied, gate.progress

    assert together() == alone()


def test_a_run_ends_before_a_table_that_is_not_captured_and_leaves_out_one_that_is_not_wanted() -> None:
    came = [received for received, _ in lane([("next", True, 1), ("other", False, 1), ("next", True, 1)])]
    block = ReceivedBlock.of(came)
    assert [table for _, table, _ in block.tables] == ["items", "others"]
    watermark = Sequence(1, 3, 0, 0)
    assert block.run(0, 5, watermark, 0, [True, True]) == 3
    assert block.run(0, 5, watermark, 0, [True, False]) == 1
    assert [change.n for change in block.changes(0, 3, [True, False])] == [1, 3]
    assert (block.last_end(0, 3), block.last_end(0, 2), block.last_end(1, 2)) == (3, 1, 1)
