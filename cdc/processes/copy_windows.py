"""Chunks that were read beside the stream, made to fit into it: pure bookkeeping.

Why a row that was copied never overwrites a newer change (Andreakis and Papapanagiotou, "DBLog: A Watermark Based
Change-Data-Capture Framework", arXiv:2010.12597, without its writes to the source):

- A window opens at a boundary of the stream. All that came before it is in the chunk, which is read after that (RowSource.chunk
  waits for it), and all that is in the chunk comes before the chunk's `high`.
- From its opening on, the keys of all changes that the stream brings are noted. The chunk goes into the stream at the first
  boundary at or behind `high`, without the rows of these keys: their state at that boundary came with the change itself.
- Of all other rows no change came between the reading and that boundary: what was read is their state there.

A change of the table's shape, or a TRUNCATE, within a window makes its chunk void, and it is read again.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain

import orjson

from cdc.binlog.port import Altered, Item, Rows, Stretched, Truncated
from cdc.binlog.rows_port import Chunk, Wanted
from cdc.model.change import Draft
from cdc.model.checkpoint import SourcePoint
from cdc.model.compiled import EncodedRows
from cdc.model.copies import KeyRange
from cdc.model.position import file_number

Table = tuple[str, str]
MOST_TOUCHED = 500_000


def key_text(draft: Draft) -> bytes:
    return orjson.dumps(draft.key)


def key_texts(rows: Sequence[Draft]) -> Iterable[bytes]:
    return rows.keys() if isinstance(rows, EncodedRows) else map(key_text, rows)


@dataclass(eq=False, slots=True)
class Window:
    """One chunk on its way. `begin`: the range at whose beginning it lies, None for a list of keys (of `request`)."""

    wanted: Wanted
    future: "Future[Chunk]"
    begin: KeyRange | None = None
    request: str = ""
    touched: set[bytes] = field(default_factory=set)
    void: bool = False
    _keys: frozenset[bytes] | None = None

    @property
    def table(self) -> Table:
        return self.wanted.db, self.wanted.table

    @property
    def chunk(self) -> Chunk | None:
        """Once it was read; None also where that failed (`future` tells)."""
        done = self.future.done() and not self.future.cancelled() and self.future.exception() is None
        return self.future.result() if done else None

    def ready(self, point: SourcePoint) -> bool:
        """Whether the stream, at the boundary `point`, has come to where the chunk may go into it."""
        chunk = self.chunk
        return chunk is not None and _at(point) >= _at(chunk.high)

    def note(self, keys: Sequence[bytes]) -> None:
        """These rows were changed. Of a chunk that is there only its own count; one that is long in coming is given up before
        the memory is."""
        if self.void:
            return
        if self._keys is None and (chunk := self.chunk) is not None:
            self._keys = frozenset(self._of(chunk))
            self.touched &= self._keys
        self.touched.update(keys if self._keys is None else self._keys.intersection(keys))
        if len(self.touched) > MOST_TOUCHED and self._keys is None:
            self.void = True
            self.touched.clear()

    def _of(self, chunk: Chunk) -> Iterable[bytes]:
        """Of a list also the rows that are not there."""
        names = chunk.schema.key
        listed = (orjson.dumps(dict(zip(names, key, strict=True))) for key in self.wanted.keys or ())
        return chain(key_texts(chunk.rows), listed)

    def untouched(self) -> Sequence[Draft]:
        rows = self.future.result().rows
        if not self.touched:
            return rows
        if isinstance(rows, EncodedRows):
            return rows.without(self.touched)
        return [draft for draft in rows if key_text(draft) not in self.touched]


def _at(point: SourcePoint) -> tuple[int, int]:
    return file_number(point.file), point.offset


class Windows:
    """All that are open. A line is a range of keys, by its table and its end: its windows follow one another."""

    def __init__(self) -> None:
        self._lines: dict[tuple[Table, object], deque[Window]] = {}
        self._tables: dict[Table, int] = {}
        self.lists: list[Window] = []

    def __len__(self) -> int:
        return sum(self._tables.values())

    def __iter__(self) -> Iterator[Window]:
        for line in self._lines.values():
            yield from line
        yield from self.lists

    def next_ones(self) -> Iterator[Window]:
        """Those that may go into the stream before any other: the first of each line, and lists."""
        for line in self._lines.values():
            yield line[0]
        yield from self.lists

    def saw(self, item: Item) -> None:
        """What the stream brings, in its order."""
        if not self._tables:
            return
        match item:
            case Rows():
                self._touch(item.drafts)
            case Stretched():
                for rows in item.stretch.tables:
                    self._touch(rows)
            case Truncated():
                self._avoid(lambda table: table == (item.db, item.table))
            case Altered():
                # Few, and another table may have got this one's name.
                self._avoid(lambda _: True)
            case _:
                pass

    def _touch(self, drafts: Sequence[Draft]) -> None:
        if not len(drafts):
            return
        if isinstance(drafts, EncodedRows):
            self._note((drafts.db, drafts.table), drafts)
            return
        by_table: dict[Table, list[Draft]] = {}
        for draft in drafts:
            by_table.setdefault((draft.db, draft.table), []).append(draft)
        for table, of_table in by_table.items():
            self._note(table, of_table)

    def _note(self, table: Table, drafts: Sequence[Draft]) -> None:
        if table not in self._tables:
            return
        keys = list(key_texts(drafts))
        for window in self:
            if window.table == table:
                window.note(keys)

    def _avoid(self, which: Callable[[Table], bool]) -> None:
        for window in self:
            window.void = window.void or which(window.table)

    def open(self, window: Window) -> None:
        if window.begin is None:
            self.lists.append(window)
        else:
            self._lines.setdefault((window.table, window.begin.until), deque()).append(window)
        self._tables[window.table] = self._tables.get(window.table, 0) + 1

    def of(self, table: Table, part: KeyRange) -> Sequence[Window]:
        return self._lines.get((table, part.until), ())

    def _line(self, table: Table, part: KeyRange) -> deque[Window]:
        return self._lines[table, part.until]

    def close(self, window: Window) -> None:
        """It is of no more use, and neither is what was read behind it, unless it went into the stream."""
        if window.begin is None:
            self.lists.remove(window)
            self._gone(window)
            return
        line = self._line(window.table, window.begin)
        last = None
        while last is not window:
            last = line.pop()
            self._gone(last)

    def sent(self, window: Window) -> None:
        """The first of its line, or a list, has gone into the stream."""
        if window.begin is None:
            self.lists.remove(window)
        else:
            self._line(window.table, window.begin).popleft()
        self._gone(window)

    def _gone(self, window: Window) -> None:
        left = self._tables[window.table] - 1
        if window.begin is not None and not self._line(window.table, window.begin):
            del self._lines[window.table, window.begin.until]
        if left:
            self._tables[window.table] = left
        else:
            del self._tables[window.table]
