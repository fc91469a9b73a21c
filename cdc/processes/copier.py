"""Copies tables while the reader streams: asks for chunks in threads of its own, and puts what comes into the stream.

What is still to be read is a part of the checkpoint, which moves with the rows that it counts as sent; a crash costs the chunks
that were on their way. Everything here but the reading itself is done by the reader's own thread, between transactions.
"""

import itertools
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from cdc.binlog.port import Altered, Item, Truncated
from cdc.binlog.rows_port import Chunk, RowSource, Wanted
from cdc.coordination.port import Coordination
from cdc.model.change import Draft
from cdc.model.checkpoint import SourcePoint
from cdc.model.config import SourceConfig
from cdc.model.copies import Copies, KeyRange, TableCopy
from cdc.model.errors import CdcError, CoordinationUnavailable, RetryableError, UsageError
from cdc.model.routing import TableFilter
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import SchemaChange
from cdc.observe.logs import fields, get_logger
from cdc.processes.backoff import Backoff
from cdc.processes.copy_requests import COPY_WAITS, CopyAnswer, CopyRequest, split_name
from cdc.processes.copy_throttle import Throttle
from cdc.processes.copy_windows import Window, Windows, key_text, key_texts
from cdc.processes.outbound import Outbound

log = get_logger(__name__)

_LOOK_SECONDS = 0.5
_AHEAD = 2  # chunks of one range that are read ahead of the one that goes next
_SPLIT_ROWS = 200_000
_MOST_LISTS = 4


class Copier:
    """Of one session of the reader. `turn` between transactions, `saw` for every item, `published` when what `turn` gave is
    stored."""

    def __init__(self, config: SourceConfig, rows: RowSource, coordination: Coordination, copies: Copies) -> None:
        self._config = config
        self._settings = config.snapshot
        self._rows = rows
        self._coordination = coordination
        self._copies = copies
        self._windows = Windows()
        self._captured = TableFilter(config.tables)
        self._threads: ThreadPoolExecutor | None = None
        self._throttle = Throttle(config.snapshot, rows, self._executor)
        self._told: str | None = None
        self._next_tell = 0.0
        self._next_look = 0.0
        self._backoff = Backoff()
        self._not_before = 0.0
        self._lists: dict[str, CopyRequest] = {}
        self._answers: dict[str, CopyAnswer] = {}
        self._keys: dict[tuple[str, str], tuple[Column, ...]] = {}
        self._turns = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way and nothing left to do, but to look for requests."""
        return not len(self._windows) and not self._lists and (not self._copies.working or self._copies.paused)

    @property
    def waits(self) -> bool:
        """Whether a boundary is wanted: there is something to put in, or to ask for."""
        if self.idle:
            return False
        return not len(self._windows) or any(window.future.done() for window in self._windows)

    @property
    def answers(self) -> bool:
        """Whether `published` has something to tell."""
        return bool(self._answers)

    def saw(self, item: Item) -> None:
        self._windows.saw(item)
        if isinstance(item, Altered):
            self._altered(item.change)
        elif isinstance(item, Truncated):
            self._copies = self._copies.emptied(item.db, item.table)

    def _altered(self, change: SchemaChange) -> None:
        """A copy follows its table. One whose key is another now begins anew: what was read says nothing of what is left."""
        db, table = change.db, change.table
        copy = self._copies.table(db, table)
        if change.kind == "drop":
            self._close_tables([change.name])
            self._copies = self._copies.dropped(db, table)
        elif change.kind == "rename" and change.to is not None:
            self._close_tables([change.name])
            self._copies = self._copies.renamed(db, table, change.to)
        elif copy is not None and change.kind == "alter":
            known = self._keys.get((db, table))
            if known is not None and (change.schema is None or _key_of(change.schema) != known):
                self._close_tables([change.name])
                self._copies = self._copies.begun([replace(copy, ranges=(KeyRange(),), rows=0)])
        self._keys.pop((db, table), None)

    def ready(self, point: SourcePoint) -> bool:
        """Whether `turn` has something to put into the stream at this boundary."""
        return any(window.ready(point) for window in self._windows.next_ones())

    def turn(self, out: Outbound) -> list[TableSchema]:
        """Of what has come one chunk goes into `out`, and lists of keys; more is asked for. Returns the schemas of what went
        in."""
        if out.inside:
            return []
        self._look()
        schemas = self._send(out)
        if self._copies is not out.copies:
            out.copies_are(self._copies)
        self._ask(out.point)
        return schemas

    def published(self) -> None:
        """All that went into the stream is stored."""
        answers, self._answers = self._answers, {}
        for request, answer in answers.items():
            self._coordination.answer(request, answer.to_json())

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    # --- what goes into the stream

    def _send(self, out: Outbound) -> list[TableSchema]:
        schemas: dict[str, TableSchema] = {}
        # One at a time: it is published in one step. Another range is the first to be looked at in each turn.
        ranges = [(copy, part) for copy in self._copies.tables for part in copy.ranges]
        self._turns += 1
        first = self._turns % len(ranges) if ranges else 0
        for copy, part in (*ranges[first:], *ranges[:first]):
            if self._send_range(copy, part, out, schemas):
                break
        for window in list(self._windows.lists):
            if self._usable(window) and window.ready(out.point):
                self._send_list(window, out, schemas)
        return list(schemas.values())

    def _send_range(self, copy: TableCopy, part: KeyRange, out: Outbound, schemas: dict[str, TableSchema]) -> bool:
        """Whether its next chunk was there."""
        windows = self._windows.of((copy.db, copy.table), part)
        if not windows or not self._usable(windows[0]) or not windows[0].ready(out.point):
            return False
        window = windows[0]
        chunk = window.future.result()
        out.copied(window.untouched())
        schemas[chunk.schema.fingerprint()] = chunk.schema
        self._keys[copy.db, copy.table] = _key_of(chunk.schema)
        rest = None if chunk.last is None else KeyRange(chunk.last, part.until)
        self._copies = self._copies.sent(copy.db, copy.table, part, rest, len(chunk.rows))
        self._windows.sent(window)
        if rest is None:
            self._say_progress(copy)
        return True

    def _say_progress(self, copy: TableCopy) -> None:
        now = self._copies.table(copy.db, copy.table)
        if now is None:
            log.info("copied the table", extra=fields(action="copy.done", table=copy.name))
        else:
            log.info(
                "copied a part of the table",
                extra=fields(action="copy.part_done", table=copy.name, rows=now.rows, of=now.estimated),
            )

    def _send_list(self, window: Window, out: Outbound, schemas: dict[str, TableSchema]) -> None:
        """The rows that are there, and deletes of those that are not."""
        chunk = window.future.result()
        names = chunk.schema.key
        there = set(key_texts(chunk.rows))
        wanted = (dict(zip(names, key, strict=True)) for key in window.wanted.keys or ())
        fingerprint = chunk.schema.fingerprint()
        absent = [
            draft
            for key in wanted
            if (text := key_text(draft := Draft("d", *window.table, fingerprint, key, None, None))) not in there
            and text not in window.touched
        ]
        rows = window.untouched()
        # Deletes first: a key that is written in another way now may mean the same row at the target.
        out.copied(absent)
        out.copied(rows)
        schemas[fingerprint] = chunk.schema
        place = out.reached
        self._answers[window.request] = CopyAnswer("", *place[:3], len(rows), len(absent))
        self._lists.pop(window.request)
        self._windows.sent(window)

    def _usable(self, window: Window) -> bool:
        """False where it has to be read again, which is seen to here. Raises what no other attempt can mend."""
        if not window.future.done():
            return not window.void
        error = window.future.exception()
        if error is None and not window.void:
            return True
        self._windows.close(window)
        if error is None:
            log.info(
                "the table changed while a chunk was read; it is read again",
                extra=fields(action="copy.void", table=".".join(window.table)),
            )
        elif isinstance(error, RetryableError):
            pause = self._backoff.next()
            self._not_before = time.monotonic() + pause
            log.warning(
                "a chunk could not be read; it is tried again",
                extra=fields(
                    action="copy.retry", table=".".join(window.table), error=str(error), seconds=round(pause, 2)
                ),
            )
        elif isinstance(error, CdcError):
            self._failed(window, error)
        else:
            raise error
        return False

    def _failed(self, window: Window, error: CdcError) -> None:
        """Who asked for it is told; where the connector file did, the reader stops."""
        copy = self._copies.table(*window.table)
        request = window.request or (copy.request if copy else "")
        if not request:
            raise error
        log.warning("the table cannot be copied", extra=fields(action="copy.failed", error=str(error)))
        self._answers[request] = CopyAnswer(f"{error.message} → {error.hint}")
        self._lists.pop(request, None)
        if copy is not None and not window.request:
            self._copies = self._copies.without([copy.name])

    # --- what is asked for

    def _ask(self, settled: SourcePoint) -> None:
        if time.monotonic() < self._not_before:
            return
        for request, wanted in self._lists.items():
            if len(self._windows.lists) >= _MOST_LISTS:
                break
            if all(window.request != request for window in self._windows.lists):
                db, table = split_name(wanted.tables[0])
                self._open(Wanted(db, table, keys=wanted.keys), settled, request=request)
        if self._copies.paused or not self._copies.working:
            return
        allowed = self._throttle.allows()
        self._tell_why()
        if not allowed:
            return
        room = self._settings.parallel + _AHEAD - (len(self._windows) - len(self._windows.lists))
        for copy in self._copies.tables:
            for part in copy.ranges:
                room -= self._ask_range(copy, part, settled, room)
                if room <= 0:
                    return

    def _tell_why(self) -> None:
        """What the copy waits for, for `cdc status`; now and then, as requests are looked for."""
        if self._throttle.why == self._told or time.monotonic() < self._next_tell:
            return
        self._next_tell = time.monotonic() + _LOOK_SECONDS
        try:
            self._coordination.mark({COPY_WAITS: self._throttle.why})
        except CoordinationUnavailable as error:
            log.debug("what the copy waits for is not told", extra=fields(action="copy.mark_failed", error=str(error)))
            return
        self._told = self._throttle.why

    def _ask_range(self, copy: TableCopy, part: KeyRange, settled: SourcePoint, room: int) -> int:
        """How many chunks it asked for: one, as soon as it is known where it begins."""
        windows = self._windows.of((copy.db, copy.table), part)
        if room <= 0 or len(windows) > _AHEAD:
            return 0
        begin: KeyRange | None = part
        if windows:
            chunk = windows[-1].chunk
            if chunk is None or windows[-1].void:
                return 0
            begin = None if chunk.last is None else KeyRange(chunk.last, part.until)
        if begin is None:
            return 0
        wanted = Wanted(
            copy.db,
            copy.table,
            begin.after,
            begin.until,
            where=copy.where,
            max_rows=self._settings.chunk_rows,
            max_bytes=self._settings.chunk_bytes,
        )
        self._open(wanted, settled, begin=begin)
        return 1

    def _open(self, wanted: Wanted, settled: SourcePoint, *, begin: KeyRange | None = None, request: str = "") -> None:
        future: Future[Chunk] = self._executor().submit(self._rows.chunk, wanted, settled)
        self._windows.open(Window(wanted, future, begin, request))

    def _executor(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._settings.parallel, thread_name_prefix="copy")
        return self._threads

    # --- requests

    def _look(self) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_SECONDS
        try:
            asked = self._coordination.asked()
        except CoordinationUnavailable as error:
            log.debug("requests cannot be looked for", extra=fields(action="copy.look_failed", error=str(error)))
            return
        for request, text in asked.items():
            if request in self._lists or request in self._answers:
                continue
            try:
                self._take(request, CopyRequest.from_json(text))
            except UsageError as error:
                self._answers[request] = CopyAnswer(f"{error.message} → {error.hint}")

    def _take(self, request: str, asked: CopyRequest) -> None:
        if request in self._copies.requests:
            self._answers[request] = CopyAnswer()
            return
        if asked.kind == "keys":
            self._lists[request] = replace(asked, tables=self._known(asked.tables))
            return
        if asked.kind == "copy":
            self._copies = self._begun(self._known(asked.tables), asked.where, request)
        elif asked.kind == "cancel":
            self._close_tables(asked.tables)
            self._copies = self._copies.without(asked.tables, request)
        else:
            self._copies = self._copies.pausing(asked.kind == "pause", request)
        self._answers[request] = CopyAnswer()
        log.info("took a request", extra=fields(action="copy.request", kind=asked.kind, tables=list(asked.tables)))

    def _begun(self, names: Sequence[str], where: str, request: str) -> Copies:
        self._close_tables(names)
        copies = [self._planned(*split_name(name), where, request) for name in names]
        return self._copies.begun(copies, request)

    def _planned(self, db: str, table: str, where: str, request: str) -> TableCopy:
        return planned(self._rows, self._config, db, table, where, request)

    def _known(self, names: Sequence[str]) -> tuple[str, ...]:
        for name in names:
            if not self._captured(*split_name(name)):
                raise UsageError(f"table {name} is not captured", hint="add it to source.tables")
        if not names:
            raise UsageError("no table is named", hint="--table db.table")
        return tuple(names)

    def _close_tables(self, names: Iterable[str]) -> None:
        for name in names:
            copy = self._copies.table(*split_name(name))
            for part in copy.ranges if copy else ():
                windows = self._windows.of(split_name(name), part)
                if windows:
                    self._windows.close(windows[0])


def _key_of(schema: TableSchema) -> tuple[Column, ...]:
    return tuple(schema.column(name) for name in schema.key)


def planned(
    rows: RowSource, config: SourceConfig, db: str, table: str, where: str = "", request: str = ""
) -> TableCopy:
    """The whole of a table, large ones in as many ranges as are read at the same time."""
    estimated = rows.estimated_rows(db, table)
    condition = where or config.snapshot.where.get(f"{db}.{table}", "")
    ends = rows.bounds(db, table, config.snapshot.parallel, condition) if estimated >= _SPLIT_ROWS else ()
    cuts = [None, *ends, None]
    ranges = tuple(KeyRange(after, until) for after, until in itertools.pairwise(cuts))
    return TableCopy(db, table, condition, ranges, 0, estimated, request)
