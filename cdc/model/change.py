"""Change events and markers, and their one wire format: Debezium's JSON envelope.

A change event is `before`, `after`, `source`, `op`, `ts_ms`, `transaction`
(https://debezium.io/documentation/reference/stable/connectors/mysql.html, "Data change events"). `source` has, in addition,
`seq` (the sequence as four integers), `schema` (the table version's fingerprint), `token` (the reader's fencing token), `lane`,
`n` (the lane's count of change events, this one included) and `tx_pos` (offset of the transaction's start in `file`);
`transaction.end` marks a transaction's last captured event; `source.replay` an event that a rewind sends again.
`source.snapshot` "incremental" marks the row of a table as it was read by SELECT (`r`; `d` where it is not there): `seq` is a
boundary, behind which it stands, and `n` does not count it.
A marker is what the reader tells the sinks: Debezium's `m` operation with a `marker` object.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from cdc import __version__
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import PoisonMessage
from cdc.model.position import Sequence

Value = str | int | float | bool | None | dict[str, "Value"] | list["Value"]
"""A column's value in a change event: scalars, but for geometry (`{"srid": 4326, "wkb": base64}`) and vectors (numbers)."""

COPIED = "incremental"
"""`source.snapshot` of a row that was read by SELECT (Debezium's word for one that comes while the stream goes on)."""

Row = dict[str, Value]
"""By column name. A column that is absent was not in the binlog's row image: that is not NULL, it kept what it had."""


class Message(NamedTuple):
    """What a producer sends: `key` is a JSON object of the key columns, or None for a marker."""

    lane: str
    key: bytes | None
    value: bytes


class Received(NamedTuple):
    """One message as the queue hands it out. `offset`: the queue's own place of it; opaque, stored in the progress row."""

    offset: str
    key: bytes | None
    value: bytes


@dataclass(frozen=True, slots=True)
class Transaction:
    """What all change events of one source transaction share.

    `point` is the transaction's start. `commit_us`: microseconds since 1970 (MariaDB: whole seconds).
    """

    point: SourcePoint
    server_id: int
    gtid: str | None
    thread: int | None
    commit_us: int

    @property
    def id(self) -> str:
        return self.gtid or f"{self.point.file}:{self.point.offset}"


class Change(NamedTuple):
    """One row's change as a sink sees it; `key` in key order, `after` by column name (None after a delete).

    `raw` is the whole message; its before-image is not parsed into objects that nobody needs. `copied`: the row was read by
    SELECT.
    """

    op: str
    db: str
    table: str
    schema: str
    key: tuple[Value, ...]
    after: Row | None
    seq: Sequence
    n: int
    token: int
    ends_transaction: bool
    replay: bool
    point: SourcePoint
    commit_us: int
    raw: bytes
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Marker:
    """What a reader tells the sinks of one lane, beside change events.

    kind `epoch`: a reader with `token` begins; its run has every change event of the lane after count `n`.
        `content`: generation, previous ([generation, count of this lane] or null), start (the lane is whole from this
        point on), lanes (all of the generation).
    kind `heartbeat`: everything up to `seq` was sent; `n` is the count so far.
    kind `copies`: as a heartbeat; all rows that were copied up to `content["copies"]` (cdc.model.copies) stand before it.
    kind `barrier`: counted like a change event; every lane of `content["lanes"]` is applied up to it, then
        `content["action"]` (`truncate` on `content["db"]`, `content["table"]`, or null) happens once, in lane `content["home"]`.
    """

    kind: str
    lane: str
    seq: Sequence
    n: int
    token: int
    point: SourcePoint
    commit_us: int
    content: dict[str, Any]


class Draft(NamedTuple):
    """A decoded change of one row, before it has a lane, a count and a place in the order.

    `key` holds the key columns of the row it changes; `before` and `after` what remains after projection and masks.
    """

    op: str
    db: str
    table: str
    schema: str
    key: Row
    before: Row | None
    after: Row | None


def render_change(
    draft: Draft,
    *,
    connector: str,
    flavor: str,
    transaction: Transaction,
    seq: Sequence,
    event_offset: int,
    lane: str,
    n: int,
    token: int,
    total_order: int,
    table_order: int,
    ends_transaction: bool,
    replay: bool,
    now_ms: int,
    query: str | None = None,
) -> Message:
    """The message of one change event. `total_order`, `table_order` count from 1 within the transaction."""
    generation, file, offset, row = seq
    text = event_text(
        transaction,
        connector,
        flavor,
        draft.db,
        draft.table,
        draft.schema,
        (generation, file, offset),
        event_offset,
        token,
        replay,
        query,
    )
    key, value = text.writer(now_ms)(
        draft, row, lane_json(lane), n, total_order, table_order, end_of_message(ends_transaction)
    )
    return Message(lane, key, value)


def end_of_message(ends_transaction: bool) -> bytes:
    """What stands behind a change event's orders."""
    return b',"end":true}}' if ends_transaction else b"}}"


Writer = Callable[[Draft, int, bytes, int, int, int, bytes], tuple[bytes, bytes]]
"""(draft, row, the lane's name as JSON, n, total order, table order, the message's end) → (key, value)."""


class EventText(NamedTuple):
    """The text of change events around what differs between those of one rows event: from the comma behind the images to the
    row's number, from there to its place in `seq`, to the lane, from its count to the operation's letter, from the time of
    rendering to the total order."""

    head: bytes
    behind_row: bytes
    behind_seq: bytes
    behind_count: bytes
    behind_time: bytes

    def writer(self, now_ms: int) -> Writer:
        """Writes the change events one by one. By place and without names: what it costs counts for each row."""
        head, behind_row, behind_seq, behind_count, behind_time = self
        behind_op = b'","ts_ms":%d,"transaction":%b' % (now_ms, behind_time)
        dumps, join = orjson.dumps, b"".join

        def write(
            draft: Draft, row: int, lane: bytes, n: int, total_order: int, table_order: int, end: bytes
        ) -> tuple[bytes, bytes]:
            op, _, _, _, key, before, after = draft
            row_digits = b"%d" % row
            value = (
                b'{"before":',
                b"null" if before is None else dumps(before),
                b',"after":',
                b"null" if after is None else dumps(after),
                head,
                row_digits,
                behind_row,
                row_digits,
                behind_seq,
                lane,
                b',"n":%d' % n,
                behind_count,
                op.encode(),
                behind_op,
                b'%d,"data_collection_order":%d' % (total_order, table_order),
                end,
            )
            # orjson's bytes keep the memory they were written into, 4 KB at least (3.12). Messages wait: so the key is a copy.
            return join((dumps(key), b"")), join(value)

        return write


def event_text(  # noqa: PLR0917 - by name each call would cost more
    transaction: Transaction,
    connector: str,
    flavor: str,
    db: str,
    table: str,
    schema: str,
    event: tuple[int, int, int],
    event_offset: int,
    token: int,
    replay: bool,
    query: str | None,
    snapshot: str = "false",
) -> EventText:
    """`event`: what the sequences of its rows have in common. The text is orjson's of the same values."""
    dumps = orjson.dumps
    point, commit_us = transaction.point, transaction.commit_us
    source_before_row = {
        "version": __version__,
        "connector": flavor,
        "name": connector,
        "ts_ms": commit_us // 1000,
        "ts_us": commit_us,
        "snapshot": snapshot,
        "db": db,
        "table": table,
        "server_id": transaction.server_id,
        "gtid": transaction.gtid,
        "file": point.file,
        "pos": event_offset,
    }
    source_behind_row = {
        "thread": transaction.thread,
        "query": query,
        "source_id": point.source_id,
        "tx_pos": point.offset,
        "seq": event,
    }
    return EventText(
        b',"source":%b,"row":' % dumps(source_before_row)[:-1],
        b",%b," % dumps(source_behind_row)[1:-2],
        b'],"schema":%b,"token":%d,"lane":' % (dumps(schema), token),
        b',"replay":true},"op":"' if replay else b'},"op":"',
        b'{"id":%b,"total_order":' % dumps(transaction.id),
    )


@lru_cache(maxsize=256)
def lane_json(name: str) -> bytes:
    return b"%b" % orjson.dumps(name)


def render_marker(marker: Marker, *, connector: str, flavor: str, now_ms: int) -> Message:
    """The message of one marker; a truncation's home lane carries Debezium's `t`, all others `m`."""
    truncates = marker.content.get("action") == "truncate"
    home = truncates and marker.content["home"] == marker.lane
    value = {
        "before": None,
        "after": None,
        "source": {
            "version": __version__,
            "connector": flavor,
            "name": connector,
            "ts_ms": marker.commit_us // 1000,
            "ts_us": marker.commit_us,
            "snapshot": "false",
            "db": marker.content.get("db", ""),
            "table": marker.content.get("table"),
            "server_id": 0,
            "gtid": None,
            "file": marker.point.file,
            "pos": marker.seq.offset,
            "row": marker.seq.row,
            "thread": None,
            "query": None,
            "source_id": marker.point.source_id,
            "tx_pos": marker.point.offset,
            "seq": tuple(marker.seq),
            "token": marker.token,
            "lane": marker.lane,
            "n": marker.n,
        },
        "op": "t" if home else "m",
        "ts_ms": now_ms,
        "transaction": None,
        "message": {"prefix": f"lockstep.{marker.kind}", "content": ""},
        "marker": {"kind": marker.kind, "content": marker.content},
    }
    return Message(marker.lane, None, orjson.dumps(value))


def parse(key: bytes | None, value: bytes) -> Change | Marker:
    """Reads one message back; raises PoisonMessage for anything that is not one of ours."""
    try:
        envelope: dict[str, Any] = orjson.loads(value)
        source = envelope["source"]
        generation, file, offset, row = source["seq"]
        seq = Sequence(generation, file, offset, row)
        point = SourcePoint(source["source_id"], source["file"], source["tx_pos"], source["gtid"] or "")
        if "marker" in envelope:
            marker = envelope["marker"]
            return Marker(
                marker["kind"],
                source["lane"],
                seq,
                source["n"],
                source["token"],
                point,
                source["ts_us"],
                marker["content"],
            )
        return Change(
            envelope["op"],
            source["db"],
            source["table"],
            source["schema"],
            tuple(orjson.loads(key or b"").values()),
            envelope["after"],
            seq,
            source["n"],
            source["token"],
            "end" in envelope["transaction"],
            "replay" in source,
            point,
            source["ts_us"],
            value,
            source.get("snapshot") == COPIED,
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise PoisonMessage(
            f"a message of {len(value)} bytes in the queue is not a change event of this connector ({type(error).__name__})",
            hint="find out who else writes to this queue; `cdc replay` sends the true ones again",
        ) from error
