"""Change events of encoded rows, written into packed messages: the compiled twin of `render_change`, byte for byte."""

from array import array
from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence as Many
from typing import NamedTuple

import orjson

from cdc import __version__
from cdc.model.change import Draft, EventText, Message, Transaction
from cdc.model.checkpoint import SourcePoint
from cdc.model.compiled import (
    EncodedRows,
    Lanes,
    OpenTransaction,
    PackedMessages,
    Pieces,
    Stretch,
    StretchTexts,
    add_stretch,
)
from cdc.processes.spread import Spread


class Run(NamedTuple):
    """What the change events of a stretch share. `begin`: a point in their file; `counts`: of messages, by lane."""

    begin: SourcePoint
    generation: int
    file_number: int
    token: int
    replay: bool
    now_ms: int
    counts: "array[int]"


class Orders(NamedTuple):
    """How many change events the open transaction has so far: in all, and by table."""

    total: int
    tables: Mapping[tuple[str, str], int]


def pieces_of(text: EventText, now_ms: int) -> Pieces:
    """What C puts the rows of one event between; it writes the lane's name without its quotes."""
    behind_op = b'","ts_ms":%d,"transaction":%b' % (now_ms, text.behind_time)
    return Pieces(text.head, text.behind_row, text.behind_seq + b'"', text.behind_count, behind_op)


def ops_of(drafts: Many[Draft]) -> Mapping[str, int]:
    """How many changes of each operation there are."""
    return drafts.ops() if isinstance(drafts, EncodedRows) else Counter(draft.op for draft in drafts)


class Packing:
    """Messages of one run. `begin`: the names of the lanes that are open, in the order of their numbers."""

    def __init__(self, connector: str, flavor: str, begin: list[str], messages: list[Message]) -> None:
        self._head = b',"source":{"version":%b,"connector":%b,"name":%b,"ts_ms":' % (
            orjson.dumps(__version__),
            orjson.dumps(flavor),
            orjson.dumps(connector),
        )
        self._tables: dict[tuple[str, str], bytes] = {}
        self.messages = PackedMessages(Lanes(begin))
        for message in messages:
            self.messages.append(message)

    def _table(self, db: str, table: str) -> bytes:
        found = self._tables.get((db, table))
        if found is None:
            found = self._tables[db, table] = orjson.dumps({"db": db, "table": table})[1:-1]
        return found

    def stretch(
        self, stretch: Stretch, run: Run, before: Transaction | None, spreads: list[Spread], orders: Orders
    ) -> Orders:
        """Adds the change events of all rows; the last one is held where its transaction is open behind. Returns the orders in
        that one, of the tables of this stretch."""
        names = [(rows.db, rows.table) for rows in stretch.tables]
        groups = {name: group for group, name in enumerate(dict.fromkeys(names))}
        counts = array("q", [orders.tables[name] for name in groups])
        dumps = orjson.dumps
        texts = StretchTexts(
            self._head,
            dumps(run.begin.file),
            dumps(run.begin.source_id),
            b',"token":%d,"lane":"' % run.token,
            b',"replay":true},"op":"' if run.replay else b'},"op":"',
            b'","ts_ms":%d,"transaction":{"id":' % run.now_ms,
            run.generation,
            run.file_number,
            [(self._table(rows.db, rows.table), dumps(rows.schema)) for rows in stretch.tables],
        )
        total = add_stretch(
            self.messages,
            stretch,
            texts,
            None if before is None else _open(before),
            run.counts,
            [spread.numbers for spread in spreads],
            array("i", [spread.whole for spread in spreads]),
            array("i", [groups[name] for name in names]),
            counts,
            orders.total,
        )
        return Orders(total, dict(zip(groups, counts, strict=True)))

    def take(self) -> PackedMessages:
        """What is finished; the held message stays."""
        taken = self.messages
        self.messages = taken.rest()
        return taken


def _open(transaction: Transaction) -> OpenTransaction:
    dumps = orjson.dumps
    return OpenTransaction(
        dumps(transaction.gtid),
        dumps(transaction.thread),
        dumps(transaction.id),
        transaction.point.offset,
        transaction.commit_us,
        transaction.server_id,
    )
