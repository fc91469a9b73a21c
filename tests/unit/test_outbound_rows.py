"""Rows that are no encoded ones: what `Outbound` writes for a whole event is what `render_change` makes of each row."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cdc.model.change import Draft, Message, Transaction, render_change
from cdc.model.checkpoint import Checkpoint, LaneCount, SourcePoint
from cdc.model.copies import Copies
from cdc.model.position import ORIGIN, Sequence
from cdc.model.routing import key_hash
from cdc.processes.outbound import Outbound
from cdc.processes.spread import Routing

POINT = SourcePoint("3e11fa47-71ca-11e1-9e33-c80aa9429562", "mysql-bin.000003", 90)
LANES = 3
ROUTING = Routing("shop", "mysql", LANES, by_table=("shop.whole",))

drafts = st.builds(
    lambda op, table, key, value: Draft(
        op,
        "shop",
        table,
        "0123456789abcdef",
        {"id": key},
        None if op == "c" else {"id": key, "v": None},
        None if op == "d" else {"id": key, "v": value},
    ),
    st.sampled_from("cud"),
    st.just("orders"),
    st.one_of(st.integers(-(2**63), 2**64 - 1), st.text(max_size=3)),
    st.one_of(st.none(), st.integers(-5, 5), st.text(max_size=5)),
)


def of_table(table: str) -> st.SearchStrategy[list[Draft]]:
    return st.lists(drafts.map(lambda draft: draft._replace(table=table)), min_size=1, max_size=5)


places = st.builds(
    lambda offset, row: Sequence(2, 3, offset, row), st.sampled_from([0, 100, 110, 130]), st.integers(0, 4)
)
checkpoints = st.builds(
    lambda after, until, in_lane, given_up: Checkpoint(
        2,
        POINT,
        7,
        "f",
        after=after,
        replay_until=until,
        lanes={"0": LaneCount(5, in_lane), "1": LaneCount(7), "2": LaneCount(0)},
        copies=Copies(given_up=given_up),
    ),
    places,
    places,
    st.one_of(st.just(ORIGIN), places),
    st.sampled_from([(), (), ("shop.orders",), ("shop.orders", "shop.it%ms")]),
)


def one_by_one(checkpoint: Checkpoint, transaction: Transaction, events: list[list[Draft]]) -> list[Message]:
    counts = [lane.count for lane in checkpoint.lanes.values()]
    orders: dict[str, int] = {}
    told: list[dict[str, Any]] = []
    total = 0
    for number, event in enumerate(events):
        for row, draft in enumerate(event):
            seq = Sequence(2, 3, 100 + 10 * number, row)
            total += 1
            orders[draft.table] = orders.get(draft.table, 0) + 1
            hashed = key_hash("shop", draft.table, () if draft.table == "whole" else draft.key.values())
            lane = hashed % LANES
            if seq <= checkpoint.after:
                continue
            if seq <= checkpoint.lanes[str(lane)].after:
                told.append({})  # the row before it has one behind it all the same
                continue
            counts[lane] += 1
            told.append(
                {
                    "draft": draft,
                    "seq": seq,
                    "event_offset": seq.offset,
                    "lane": str(lane),
                    "n": counts[lane],
                    "total_order": total,
                    "table_order": orders[draft.table],
                    "replay": seq <= checkpoint.replay_until or f"shop.{draft.table}" in checkpoint.copies.given_up,
                }
            )
    return [
        render_change(
            **each,
            connector="shop",
            flavor="mysql",
            transaction=transaction,
            token=7,
            ends_transaction=each is told[-1],
            now_ms=1500,
        )
        for each in told
        if each
    ]


@given(checkpoints, st.lists(st.sampled_from(["orders", "whole", "it%ms"]).flatmap(of_table), min_size=1, max_size=4))
@settings(max_examples=300)
def test_an_event_at_once_is_its_rows_one_by_one(checkpoint: Checkpoint, events: list[list[Draft]]) -> None:
    transaction = Transaction(POINT, 1, None, None, 1_700_000_000_123_456)
    out = Outbound(checkpoint, ROUTING, now=lambda: 1.5)
    out.begin(transaction)
    for number, event in enumerate(events):
        out.rows(100 + 10 * number, event)
    before_the_end, held_back = out.take()
    out.end(SourcePoint(POINT.source_id, POINT.file, 200))
    messages, _ = out.take()
    expected = one_by_one(checkpoint, transaction, events)
    assert [*before_the_end, *messages] == expected
    # The last one is held: a checkpoint without it does not count it.
    held = len(messages)
    assert sum(lane.count for lane in held_back.lanes.values()) == 12 + len(expected) - held
    assert held <= 1


@given(of_table("orders"), of_table("items"))
def test_rows_of_several_tables_at_one_place_are_told_apart(first: list[Draft], second: list[Draft]) -> None:
    checkpoint = Checkpoint(2, POINT, 7, "f", lanes={str(number): LaneCount(0) for number in range(LANES)})
    transaction = Transaction(POINT, 1, None, None, 1_700_000_000_123_456)
    out = Outbound(checkpoint, ROUTING, now=lambda: 1.5)
    out.begin(transaction)
    out.rows(100, [*first, *second])
    out.end(SourcePoint(POINT.source_id, POINT.file, 200))
    assert list(out.take()[0]) == one_by_one(checkpoint, transaction, [[*first, *second]])
