"""What the reader renders, the schema describes and the sink parses: one wire format."""

import itertools
import tracemalloc
from collections.abc import Sequence as Many
from typing import Any

import orjson
import pytest

from cdc import __version__
from cdc.model.change import Change, Draft, Marker, Message, Row, Transaction, parse, render_change, render_marker
from cdc.model.checkpoint import Checkpoint, SourcePoint
from cdc.model.errors import PoisonMessage
from cdc.model.position import Sequence
from cdc.processes.outbound import Outbound
from cdc.processes.spread import Routing
from tests.support.events import assert_valid_event

POINT = SourcePoint("3e11fa47-71ca-11e1-9e33-c80aa9429562", "mysql-bin.000003", 1234)
ROW: Row = {
    "id": 2**64 - 1,
    "total": "12.30",
    "ratio": 0.5,
    "paid": True,
    "note": "ü\n€\u2028",
    "blob": "AP8=",
    "x": None,
}
KEY: Row = {"id": 2**64 - 1}
TRANSACTION = Transaction(POINT, 1, "3e11fa47-71ca-11e1-9e33-c80aa9429562:23", 8, 1_700_000_000_123_456)
DRAFTS = [
    Draft("c", "shop", "orders", "0123456789abcdef", KEY, None, ROW),
    Draft("u", "shop", "orders", "0123456789abcdef", KEY, ROW, ROW),
    Draft("u", "shop", "orders", "0123456789abcdef", KEY, None, {"id": 2**64 - 1, "note": "MINIMAL"}),
    Draft("d", "shop", "orders", "0123456789abcdef", KEY, ROW, None),
    Draft("d", "shop", "orders", "0123456789abcdef", KEY, None, None),
    Draft("c", 'a"b`', "x; DROP TABLE t--", "0123456789abcdef", {"\n😀": "é"}, None, {"\n😀": "é"}),
]


def outbound(lanes: int = 2, topic: str | None = None, **checkpoint: object) -> Outbound:
    begin = Checkpoint(generation=3, point=POINT, token=7, fingerprint="f00", **checkpoint)  # type: ignore[arg-type]
    return Outbound(begin, Routing("shop", "mysql", lanes, topic))


def rendered(out: Outbound, drafts: Many[Draft] = DRAFTS, transaction: Transaction = TRANSACTION) -> list[bytes]:
    out.begin_run()
    out.begin(transaction)
    out.rows(1300, drafts)
    out.end(SourcePoint(POINT.source_id, POINT.file, 2000))
    out.begin(Transaction(SourcePoint(POINT.source_id, POINT.file, 2000), 1, None, None, 0))
    out.truncate(2100, "shop", "orders")
    out.end(SourcePoint(POINT.source_id, "mysql-bin.1000000", 4))
    out.heartbeat()
    return [message.value for message in out.take()[0]]


@pytest.mark.parametrize("topic", [None, "{name}.{db}.{table}"])
@pytest.mark.parametrize("previous", [None, (2, {"0": 5, "1": 6})])
def test_everything_that_a_reader_sends_is_as_the_schema_says(
    topic: str | None, previous: tuple[int, dict[str, int]] | None
) -> None:
    values = rendered(outbound(topic=topic, previous=previous, replay_until=Sequence(3, 3, 1300, 2)))
    for value in values:
        assert_valid_event(value)
    events = [orjson.loads(value) for value in values]
    assert {event["op"] for event in events} == {"c", "u", "d", "t", "m"}
    kinds = {event["marker"]["kind"] for event in events if "marker" in event}
    assert kinds == {"epoch", "barrier", "heartbeat"}
    assert {bool(event["source"].get("replay")) for event in events if "marker" not in event} == {True, False}


def rendered_change(draft: Draft, transaction: Transaction = TRANSACTION, **other: Any) -> Message:
    given: dict[str, Any] = {
        "connector": "shop",
        "flavor": "mariadb",
        "transaction": transaction,
        "seq": Sequence(0, 1, 100, 0),
        "event_offset": 100,
        "lane": "0",
        "n": 1,
        "token": 0,
        "total_order": 1,
        "table_order": 1,
        "ends_transaction": True,
        "replay": False,
        "now_ms": 0,
    }
    return render_change(draft, **{**given, **other})


def test_mariadb_events_without_gtid_are_as_the_schema_says() -> None:
    transaction = Transaction(SourcePoint("1", "m.000001", 4), 1, None, None, 0)
    for draft in DRAFTS:
        message = rendered_change(draft, transaction)
        assert_valid_event(message.value)
        assert orjson.loads(message.value)["transaction"]["id"] == "m.000001:4"


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("query", [None, "UPDATE t SET a = \"100%\", é = '\n'"])
@pytest.mark.parametrize("replay", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_the_text_of_a_change_event_is_orjsons(draft: Draft, query: str | None, replay: bool, ends: bool) -> None:
    for lane, row in ("0", 0), ('läd"en.x/1', 7):
        message = rendered_change(
            draft,
            connector='s"höp',
            seq=Sequence(3, 4, 5_000_000_000, row),
            event_offset=5_000_000_000,
            lane=lane,
            n=12,
            token=13,
            total_order=14,
            table_order=15,
            ends_transaction=ends,
            replay=replay,
            now_ms=1_700_000_000_999,
            query=query,
        )
        assert message.key == orjson.dumps(draft.key)
        assert message.lane == lane
        source = {
            "version": __version__,
            "connector": "mariadb",
            "name": 's"höp',
            "ts_ms": 1_700_000_000_123,
            "ts_us": 1_700_000_000_123_456,
            "snapshot": "false",
            "db": draft.db,
            "table": draft.table,
            "server_id": 1,
            "gtid": TRANSACTION.gtid,
            "file": POINT.file,
            "pos": 5_000_000_000,
            "row": row,
            "thread": 8,
            "query": query,
            "source_id": POINT.source_id,
            "tx_pos": 1234,
            "seq": [3, 4, 5_000_000_000, row],
            "schema": draft.schema,
            "token": 13,
            "lane": lane,
            "n": 12,
        }
        if replay:
            source["replay"] = True
        order: dict[str, object] = {"id": TRANSACTION.gtid, "total_order": 14, "data_collection_order": 15}
        if ends:
            order["end"] = True
        whole = {
            "before": draft.before,
            "after": draft.after,
            "source": source,
            "op": draft.op,
            "ts_ms": 1_700_000_000_999,
            "transaction": order,
        }
        assert message.value == orjson.dumps(whole)


def test_a_message_that_waits_holds_no_more_memory_than_its_bytes() -> None:
    rendered_change(DRAFTS[0])
    tracemalloc.start()
    try:
        waiting = [rendered_change(DRAFTS[0], n=n) for n in range(200)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = sum(len(message.value) + len(message.key or b"") for message in waiting)
    assert held < size + 400 * len(waiting)  # three objects and their places in a tuple and a list


def test_a_change_event_comes_back_as_it_went() -> None:
    out = outbound(lanes=1)
    out.begin_run()
    out.take()
    out.begin(TRANSACTION)
    out.rows(1300, DRAFTS)
    out.end(POINT)
    messages = out.take()[0]
    changes = [parse(message.key, message.value) for message in messages]
    for number, (draft, change) in enumerate(zip(DRAFTS, changes, strict=True)):
        assert isinstance(change, Change)
        assert (change.op, change.db, change.table, change.after) == (draft.op, draft.db, draft.table, draft.after)
        assert change.key == tuple(draft.key.values())
        assert change.seq == Sequence(3, 3, 1300, number)
        assert (change.n, change.token, change.commit_us) == (number + 1, 7, TRANSACTION.commit_us)
        assert change.ends_transaction is (number == len(DRAFTS) - 1)


def test_a_marker_comes_back_as_it_went() -> None:
    for kind, lane in itertools.product(("epoch", "heartbeat"), ("0", "shop.orders/1")):
        content = {"generation": 3, "previous": None, "start": [3, 4], "lanes": ["0"], "fingerprint": "f"}
        marker = Marker(kind, lane, Sequence(3, 3, 4, 0), 17, 7, POINT, 5, content if kind == "epoch" else {})
        message = render_marker(marker, connector="shop", flavor="mysql", now_ms=1)
        assert_valid_event(message.value)
        assert parse(message.key, message.value) == marker


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b'{"id":1}', b""),
        (b'{"id":1}', b"\xff"),
        (b'{"id":1}', b"[]"),
        (b'{"id":1}', b"null"),
        (b'{"id":1}', b"{}"),
        (b'{"id":1}', b'{"source": 5}'),
        (None, b'{"op":"c","before":null,"after":{},"source":{},"ts_ms":1}'),
        (b'{"id":1}', b'{"source":{"seq":[1,2,3]}}'),
    ],
)
def test_what_is_not_ours_is_poison_and_nothing_else(key: bytes | None, value: bytes) -> None:
    with pytest.raises(PoisonMessage):
        parse(key, value)


@pytest.mark.parametrize("cut", ["source", "op", "after", "transaction"])
def test_an_event_that_lacks_a_part_is_not_valid(cut: str) -> None:
    event = orjson.loads(rendered(outbound())[2])
    assert_valid_event(orjson.dumps(event))
    del event[cut]
    with pytest.raises(AssertionError):
        assert_valid_event(orjson.dumps(event))


def test_an_event_with_more_than_the_schema_knows_is_not_valid() -> None:
    event = orjson.loads(rendered(outbound())[2])
    event["source"]["secret"] = "x"
    with pytest.raises(AssertionError, match="secret"):
        assert_valid_event(orjson.dumps(event))
