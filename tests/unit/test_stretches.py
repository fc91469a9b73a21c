"""Stretches, read in one step in the connection's buffer, give what their events give one by one: items, messages, errors."""

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysqlreplication.constants import BINLOG

from cdc.binlog.expansion import one_by_one
from cdc.binlog.packets import PacketReader
from cdc.binlog.port import Begin, End, Item, Passed, Rows, Stretched
from cdc.model.change import Message
from cdc.model.checkpoint import Checkpoint, LaneCount, SourcePoint
from cdc.model.copies import Copies
from cdc.model.errors import CdcError
from cdc.model.position import Sequence
from cdc.processes.outbound import Outbound
from cdc.processes.spread import Routing
from cdc.processes.stretches import taken
from tests.support.binlog_events import File, Replayed, format_description, gtid_body, query_body, rotate, xid_body
from tests.support.golden_events import FOLDER, Recorded, told

pytest.importorskip("cdc.binlog.stretches", reason="the compiled parts are not built")
pytest.importorskip("cdc.binlog.decoder.compiled", reason="the compiled parts are not built")

GOLDEN = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(FOLDER).glob("*.json"))}
EXAMPLES = int(os.environ.get("CDC_EXAMPLES", "300"))
SMALL = [name for name in GOLDEN if name.endswith(("_plain", "_rotation", "_rows_query", "_annotate_rows"))]


class Socket:
    """Gives `data` in pieces of `piece` bytes, then nothing."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._data = memoryview(data)
        self._piece = piece

    def feed(self, data: bytes) -> None:
        self._data = memoryview(bytes(self._data) + data)

    def settimeout(self, seconds: float) -> None:
        pass

    def recv_into(self, into: memoryview) -> int:
        count = min(len(into), len(self._data), self._piece)
        if not count:
            raise TimeoutError
        into[:count] = self._data[:count]
        self._data = self._data[count:]
        return count


def _packets(raw: Iterable[bytes], first_number: int) -> bytes:
    return b"".join(
        len(event + b"\0").to_bytes(3, "little") + bytes([(first_number + number) & 255]) + b"\0" + event
        for number, event in enumerate(raw)
    )


class Buffered:
    """Stands where the connection stands; the events come in packets."""

    closed = False

    def __init__(self, raw: Iterable[bytes], piece: int, first_number: int = 1) -> None:
        self._socket = Socket(_packets(raw, first_number), piece)
        self.packets = PacketReader(self._socket, "here", 60, first_number)  # type: ignore[arg-type]

    def feed(self, raw: Iterable[bytes], first_number: int) -> None:
        """More comes."""
        self._socket.feed(_packets(raw, first_number))

    def event(self, wait_seconds: Callable[[], float]) -> memoryview | None:
        packet = self.packets.packet(wait_seconds)
        return None if packet is None else packet[1:]

    def close(self) -> None:
        pass


def repeated(golden: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(one) for one in golden["events"]]


def outcome(recorded: Recorded) -> Any:
    """Items, and the error that ended them."""
    items: list[Item] = []
    try:
        for item in recorded.stream().items(lambda: 0.0, stretches=True):
            if item is None:
                break
            items.extend(one_by_one(item) if isinstance(item, Stretched) else (item,))
    except CdcError as error:
        return told(items), type(error), str(error), error.hint
    return told(items)


def by_events(golden: dict[str, Any], raw: list[bytes], include_query: bool) -> Any:
    return outcome(Recorded(golden, raw, "compiled", include_query=include_query))


def gathered(golden: dict[str, Any], raw: list[bytes], include_query: bool, piece: int = 1 << 20) -> Any:
    connection = lambda events: Buffered(events, piece)  # noqa: E731 - a name says what it is for
    return outcome(Recorded(golden, raw, "compiled", include_query=include_query, connection=connection))


@pytest.mark.parametrize("include_query", [False, True])
@pytest.mark.parametrize("name", GOLDEN)
def test_all_golden_events_give_the_same(name: str, include_query: bool) -> None:
    golden = GOLDEN[name]
    raw = repeated(golden)
    assert gathered(golden, raw, include_query) == by_events(golden, raw, include_query)


@given(st.sampled_from(SMALL), st.integers(1, 3000), st.integers(0, 255))
def test_however_the_bytes_come(name: str, piece: int, first_number: int) -> None:
    golden = GOLDEN[name]
    raw = repeated(golden)
    connection = lambda events: Buffered(events, piece, first_number)  # noqa: E731
    found = outcome(Recorded(golden, raw, "compiled", include_query=False, connection=connection))
    assert found == by_events(golden, raw, False)


@given(st.sampled_from(SMALL), st.data())
@settings(max_examples=EXAMPLES)
def test_damaged_events_end_in_the_same_error(name: str, data: st.DataObject) -> None:
    golden = GOLDEN[name]
    raw = repeated(golden)
    number = data.draw(st.integers(0, len(raw) - 1))
    place = data.draw(st.integers(0, len(raw[number]) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = bytearray(raw[number])
    changed[place] ^= 1 << bit
    raw[number] = bytes(changed)
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw) - 1))]
    assert gathered(golden, raw, False) == by_events(golden, raw, False)


@pytest.mark.parametrize("name", SMALL)
def test_transactions_are_read_in_stretches(name: str) -> None:
    """Else the tests above would hold one way equal to itself."""
    connection = lambda events: Buffered(events, 1 << 20)  # noqa: E731
    recorded = Recorded(GOLDEN[name], decoder="compiled", include_query=False, connection=connection)
    items = recorded.stream().items(lambda: 0.0, stretches=True)
    found = [item for item in iter(lambda: next(items), None) if isinstance(item, Stretched)]
    assert any(item.stretch.event_count for item in found)


# Binlogs of any shape, made of the golden events' table maps and rows.

Step = tuple[str, int]
GENERATION = 1


def _pool(flavor: str) -> list[tuple[bytes, int, bytes]]:
    """(table map, kind of the rows event, rows), bodies."""
    raw = repeated(GOLDEN[f"{flavor}_plain"])
    pairs = [(one, two) for one, two in pairwise(raw) if one[4] == BINLOG.TABLE_MAP_EVENT]
    return [(table_map[19:-4], rows[4], rows[19:-4]) for table_map, rows in pairs]


POOL = {flavor: _pool(flavor) for flavor in ("mysql", "mariadb")}
steps = st.one_of(
    st.tuples(st.just("rows"), st.integers(0, 2)),
    st.tuples(st.just("more"), st.integers(0, 2)),  # without a table map of its own
    st.tuples(st.sampled_from(["rows query", "other table"]), st.just(0)),
)
transactions = st.lists(
    st.tuples(st.lists(steps, max_size=6), st.sampled_from(["xid", "xid", "xid", "commit"]), st.integers(0, 3)),
    max_size=12,
)


def binlog(flavor: str, made: list[tuple[list[Step], str, int]], *, says_ends: bool = True) -> list[bytes]:
    """Events of a file. A transaction's number is one more than the last one's, and a step of up to 3. `says_ends`: whether
    those inside say where they end, as MariaDB's from 11.4 on do not."""
    log = File()

    def inside(kind: int, body: bytes) -> None:
        log.add(kind, body, says_end=says_ends)

    number = 0
    for parts, end, skip in made:
        number += 1 + skip
        if flavor == "mysql":
            log.add(BINLOG.GTID_LOG_EVENT, gtid_body(number))
            log.add(BINLOG.QUERY_EVENT, query_body("BEGIN"))
        else:
            log.add(BINLOG.MARIADB_GTID_EVENT, number.to_bytes(8, "little") + bytes(11))
        seen = set()
        for kind, which in parts:
            table_map, rows_kind, rows = POOL[flavor][which % len(POOL[flavor])]
            if kind == "rows query":
                query = BINLOG.ROWS_QUERY_LOG_EVENT if flavor == "mysql" else BINLOG.MARIADB_ANNOTATE_ROWS_EVENT
                inside(query, (b"\6" if flavor == "mysql" else b"") + b"DELETE")
            elif kind == "other table":
                other = (99).to_bytes(6, "little")
                inside(BINLOG.TABLE_MAP_EVENT, other + table_map[6:].replace(b"shop", b"mall"))
                inside(rows_kind, other + rows[6:])
            else:
                if kind == "rows" or which not in seen:
                    inside(BINLOG.TABLE_MAP_EVENT, table_map)
                inside(rows_kind, rows)
                seen.add(which)
        if end == "xid":
            log.add(BINLOG.XID_EVENT, xid_body())
        else:
            log.add(BINLOG.QUERY_EVENT, query_body("COMMIT"))
    return [rotate("mysql-bin.000002"), format_description(log_pos=0), *log.raw]


class Sent(NamedTuple):
    """What a reader sends, taken after each item, and the last checkpoint; and whether each stretch was taken at once."""

    messages: list[Message]
    checkpoint: Checkpoint
    at_once: list[bool]


def sent(items: Iterable[Item], checkpoint: Checkpoint, routing: Routing) -> Sent:
    out = Outbound(checkpoint, routing, now=lambda: 1.5)
    out.begin_run()
    found: list[Message] = []
    at_once: list[bool] = []

    def offered() -> Iterator[Item]:
        for item in items:
            at_once.extend([False] * isinstance(item, Stretched))
            yield item

    for item in taken(offered(), out):
        if isinstance(item, Stretched):
            at_once[-1] = True
        match item:
            case Begin():
                out.begin(item.transaction)
            case Rows():
                out.rows(item.offset, item.drafts, item.first_row, item.query)
            case End():
                out.end(item.point)
            case Passed():
                out.passed(item.point)
        found.extend(out.take()[0])
    last, end = out.take()
    return Sent([*found, *last], end, at_once)


def read(flavor: str, raw: list[bytes], decoder: str, connection: Any) -> Iterator[Item]:
    golden = {**GOLDEN[f"{flavor}_plain"], "file": "mysql-bin.000002", "offset": 4}
    stream = Recorded(golden, raw, decoder, include_query=False, connection=connection).stream()
    found = stream.items(lambda: 0.0, stretches=True)
    return iter(lambda: next(found), None)


def _checkpoint(
    after: int = 0, until: int = 0, lanes: Mapping[str, LaneCount] | None = None, given_up: tuple[str, ...] = ()
) -> Checkpoint:
    return Checkpoint(
        GENERATION,
        SourcePoint("golden", "mysql-bin.000002", 4),
        7,
        "f",
        after=Sequence(GENERATION, 2, after, 1) if after else Sequence(0, 0, 0, 0),
        replay_until=Sequence(GENERATION, 2, until, 0) if until else Sequence(0, 0, 0, 0),
        lanes=lanes or {},
        copies=Copies(given_up=given_up),
    )


checkpoints = st.builds(
    _checkpoint,
    st.sampled_from([0, 0, 0, 600, 900]),
    st.sampled_from([0, 0, 0, 700, 1 << 40]),
    st.sampled_from([{}, {"0": LaneCount(5), "1": LaneCount(7), "2": LaneCount(1)}]),
    st.sampled_from([(), (), ("shop.t",), ("shop.else",)]),
)
routings = st.sampled_from(
    [
        Routing("shop", "mysql", 1),
        Routing("shop", "mysql", 3),
        Routing("sh\u00f6p", "mariadb", 2, topic="{name}.{db}.{table}"),
        Routing("shop", "mysql", 2, by_table=("shop.*",)),
    ]
)


@given(st.sampled_from(["mysql", "mariadb"]), transactions, st.integers(60, 4000), checkpoints, routings)
@settings(max_examples=EXAMPLES)
def test_the_messages_of_any_binlog_are_the_same(
    flavor: str, made: Any, piece: int, checkpoint: Checkpoint, routing: Routing
) -> None:
    raw = binlog(flavor, made)
    plain = sent(read(flavor, raw, "python", Replayed), checkpoint, routing)
    fast = sent(read(flavor, raw, "compiled", lambda events: Buffered(events, piece)), checkpoint, routing)
    assert fast.messages == plain.messages
    assert fast.checkpoint == plain.checkpoint


@given(transactions, st.integers(60, 4000), checkpoints, routings)
@settings(max_examples=EXAMPLES)
def test_events_that_do_not_say_where_they_end_have_the_same_places(
    made: Any, piece: int, checkpoint: Checkpoint, routing: Routing
) -> None:
    said = sent(read("mariadb", binlog("mariadb", made), "python", Replayed), checkpoint, routing)
    raw = binlog("mariadb", made, says_ends=False)
    assert sent(read("mariadb", raw, "python", Replayed), checkpoint, routing)[:2] == said[:2]
    fast = sent(read("mariadb", raw, "compiled", lambda events: Buffered(events, piece)), checkpoint, routing)
    assert fast[:2] == said[:2]


@pytest.mark.parametrize(("flavor", "says_ends"), [("mysql", True), ("mariadb", True), ("mariadb", False)])
def test_a_long_run_is_taken_in_few_stretches(flavor: str, says_ends: bool) -> None:
    raw = binlog(flavor, [([("rows", 0), ("more", 0)], "xid", 0)] * 500, says_ends=says_ends)
    found = sent(
        read(flavor, raw, "compiled", lambda events: Buffered(events, 1 << 20)),
        _checkpoint(),
        Routing("s", "mysql", 3),
    )
    assert found.at_once
    assert all(found.at_once)
    assert len(found.at_once) < 10


def test_a_transaction_that_comes_in_one_piece_to_who_waits_is_one_stretch() -> None:
    """As small ones come from a server that is not busy; the first has shown the table."""
    golden = GOLDEN["mysql_plain"]
    raw = repeated(golden)
    begins = [at for at, event in enumerate(raw) if event[4] == BINLOG.GTID_LOG_EVENT]
    first, last = raw[: begins[-1]], raw[begins[-1] :]
    connections: list[Buffered] = []

    def connection(_: object) -> Buffered:
        connections.append(Buffered(first, 1 << 20))
        return connections[-1]

    items = Recorded(golden, raw, "compiled", connection=connection).stream().items(lambda: 0.0, stretches=True)
    before = list(itertools.takewhile(lambda item: item is not None, items))
    assert any(isinstance(item, Rows | Stretched) for item in before)
    connections[0].feed(last, len(first) + 1)
    behind = list(itertools.takewhile(lambda item: item is not None, items))
    assert [type(item) for item in behind if isinstance(item, Begin | Rows | End | Stretched)] == [Stretched]


@pytest.mark.parametrize(
    ("tables", "at_once"),
    [(("whole",), False), (("lacks",), True), (("lacks", "whole"), None), (("whole", "lacks"), None)],
)
def test_tables_that_lack_rows_and_others_are_not_marked_alike(tables: tuple[str, ...], at_once: bool | None) -> None:
    """Marks of one stretch are all the same: what would need two is taken one by one."""
    out = Outbound(_checkpoint(given_up=("shop.lacks",)), Routing("shop", "mysql", 1))
    stretch: Any = SimpleNamespace(
        first_offset=100, tables=[SimpleNamespace(db="shop", table=table) for table in tables]
    )
    assert out._replay_of_stretch(stretch, 2, Sequence(GENERATION, 2, 300, 0)) is at_once
