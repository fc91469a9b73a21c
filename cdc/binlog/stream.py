"""The binlog stream: raw events of one dump, checked and placed in their file, handed on to `Groups`.

Here: length and CRC32 of every event, offsets in 64 bits, files that follow one another, heartbeats, and the position
that every error about an event carries.
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from pymysqlreplication.constants import BINLOG

from cdc.binlog import events
from cdc.binlog.compiled_stretches import Stretches
from cdc.binlog.events import Event
from cdc.binlog.expansion import one_by_one
from cdc.binlog.groups import Groups
from cdc.binlog.packets import PacketReader
from cdc.binlog.port import Item, Stretched
from cdc.binlog.transactions import Transactions
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import (
    BinlogDamaged,
    FatalError,
    NotUnderstood,
    PositionError,
    SourceChanged,
    SourceUnavailable,
    TableRefused,
)

_NOTHING: tuple[Item, ...] = ()
_ABOUT_AN_EVENT = (NotUnderstood, BinlogDamaged, TableRefused, PositionError, struct.error, IndexError, ValueError)
_HEARTBEATS = (BINLOG.HEARTBEAT_LOG_EVENT, events.HEARTBEAT_LOG_EVENT_V2)
# What MariaDB says again, without a place, where a dump begins inside a file.
_SAID_AGAIN = (BINLOG.MARIADB_START_ENCRYPTION_EVENT, BINLOG.MARIADB_GTID_GTID_LIST_EVENT)
_DAMAGED_HINT = "look at the server's disk and at the network between; compare the tables before going on behind it"
# A header's 32 bits cannot say more; between two events of a dump by position there is at most one that was left out.
_MOST_LEFT_OUT = 1 << 31
_CRC_OF_WHOLE = 0x2144DF1C


class RawEvents(Protocol):
    """What the stream needs of cdc.binlog.connection.BinlogConnection."""

    @property
    def closed(self) -> bool: ...
    def event(self, wait_seconds: Callable[[], float]) -> memoryview | None: ...
    def close(self) -> None: ...


class BinlogStream:
    """cdc.binlog.port.Stream over one connection. `point`: where to begin. `offset`: where the dump begins in that file;
    what ends at or before `point` is passed over. `by_gtids`: the server passes over what it was told that we have."""

    def __init__(
        self,
        connection: RawEvents,
        point: SourcePoint,
        transactions: Groups,
        *,
        offset: int | None = None,
        by_gtids: bool = False,
    ) -> None:
        self._connection = connection
        self._transactions = transactions
        self._begin = point
        self._by_gtids = by_gtids
        self._file = point.file
        self._offset = point.offset if offset is None else offset
        self._checksum = events.CHECKSUM_NONE
        self._seen_events = False
        self._packets: PacketReader | None = getattr(connection, "packets", None)
        self._stretches = transactions.stretches() if isinstance(transactions, Transactions) and not by_gtids else None

    def items(self, wait_seconds: Callable[[], float], *, stretches: bool = False) -> Iterator[Item | None]:
        while True:
            if self._packets is not None and self._stretches is not None:
                for item in self._gathered(self._packets, self._stretches):
                    yield from one_by_one(item) if isinstance(item, Stretched) and not stretches else (item,)
            raw: memoryview | None = None
            try:
                if self._packets is None or self._stretches is None or self._packets.at_hand():
                    raw = self._event(wait_seconds)
                elif self._packets.await_packet(wait_seconds):
                    continue  # a small transaction comes in one piece: it is looked at as such first
            except EOFError:
                raise SourceUnavailable(
                    f"the source ended the stream at {self._file}:{self._offset}",
                    hint="it shut down, somebody killed the dump, or another client has our source.server_id",
                ) from None
            except SourceUnavailable:
                if self._connection.closed:
                    return
                raise
            if raw is None:
                yield from self._transactions.owed()
                yield None
            else:
                for item in self._items(raw):  # mostly none
                    yield item

    def _gathered(self, packets: PacketReader, stretches: Stretches) -> Iterator[Item]:
        """What lies in the connection's buffer, up to the first event that must be read by itself."""
        transactions = self._transactions
        if not isinstance(transactions, Transactions) or self._checksum != events.CHECKSUM_CRC32 or self._passes_over():
            return
        while transactions.stretches_fit and (gathered := packets.gathered()) is not None:
            try:
                found = stretches.next(*gathered, self._offset, transactions.query_post_header, transactions.open_maps)
            except (FatalError, struct.error, IndexError, ValueError):
                return  # what the plan of a table says is raised with its position, event by event
            if found is None:
                return
            packets.go_on(found.following, found.number)
            self._offset = found.offset
            self._seen_events = True
            yield from transactions.stretched(found)

    def _passes_over(self) -> bool:
        """Whether what comes next lies before the point where the caller wanted to begin, or in a file that is not known yet."""
        return self._file != self._transactions.file or (
            self._file == self._begin.file and self._offset < self._begin.offset
        )

    def read_one(self, wait_seconds: Callable[[], float]) -> bool:
        """For scans: read one event and drop its items; False at the end of a dump that does not follow."""
        try:
            raw = self._event(wait_seconds)
        except EOFError:
            return False
        if raw is not None:
            for _ in self._items(raw):
                pass
        return True

    def close(self) -> None:
        self._connection.close()

    def _event(self, wait_seconds: Callable[[], float]) -> memoryview | None:
        try:
            return self._connection.event(wait_seconds)
        except PositionError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: PositionError) -> FatalError:
        """Error 1236 after whole events is a damaged file; before them it is about where we asked it to begin."""
        if not self._seen_events:
            return error
        return BinlogDamaged(f"at {self._file}:{self._offset}: {error.message}", hint=_DAMAGED_HINT)

    def _items(self, raw: memoryview) -> Iterable[Item]:
        """What the event amounts to; its errors with their position, those of what is made on the way as well."""
        start = self._offset
        try:
            items = self._checked(raw)
        except _ABOUT_AN_EVENT as error:
            raise self._placed(error, raw, start) from error
        return items if isinstance(items, tuple) else self._made(items, raw, start)

    def _made(self, items: Iterable[Item], raw: memoryview, start: int) -> Iterator[Item]:
        try:
            yield from items
        except _ABOUT_AN_EVENT as error:
            raise self._placed(error, raw, start) from error

    def _placed(self, error: Exception, raw: memoryview, start: int) -> FatalError:
        place = f"at {self._file}:{self._place(raw, start)}"
        if isinstance(error, FatalError):
            return type(error)(f"{place}: {error.message}", hint=error.hint)
        return BinlogDamaged(f"{place}: an event of type {raw[4]} cannot be read ({error})", hint=_DAMAGED_HINT)

    def _place(self, raw: memoryview, start: int) -> int:
        """Where the event starts, as far as that can be told of one that may be damaged."""
        return self._offset - len(raw) if self._offset >= start + len(raw) else start

    def _checked(self, raw: memoryview) -> Iterable[Item]:
        timestamp, kind, server_id, size, log_pos, flags = events.HEADER.unpack_from(raw)
        if size != len(raw):
            raise BinlogDamaged(f"an event says that it has {size} bytes, and has {len(raw)}", hint=_DAMAGED_HINT)
        if kind == BINLOG.FORMAT_DESCRIPTION_EVENT:
            return self._format_description(raw, timestamp, log_pos)
        if kind == BINLOG.ROTATE_EVENT:
            return self._rotate(raw)
        body = self._body(raw, kind)
        if flags & events.ARTIFICIAL_FLAG or kind in _HEARTBEATS or (log_pos == 0 and kind in _SAID_AGAIN):
            return self._not_of_the_file(kind, log_pos, body)
        start = self._advance(log_pos, size)
        if self._offset <= self._begin.offset and self._file == self._begin.file:
            return _NOTHING
        if flags & events.IGNORABLE_FLAG and not self._transactions.handles(kind):
            kind = BINLOG.IGNORABLE_LOG_EVENT
        return self._transactions.items(Event(kind, timestamp, server_id, start, self._offset, body))

    def _body(self, raw: memoryview, kind: int) -> memoryview:
        if not self._checksum:
            return raw[events.HEADER_BYTES :]
        if not _crc_fits(raw):
            raise BinlogDamaged(f"the checksum of an event of type {kind} is wrong", hint=_DAMAGED_HINT)
        return raw[events.HEADER_BYTES : -events.CHECKSUM_BYTES]

    def _not_of_the_file(self, kind: int, log_pos: int, body: memoryview) -> Sequence[Item]:
        """Heartbeats, and what MariaDB repeats when a dump begins inside a file: start of encryption, list of GTIDs."""
        if kind == BINLOG.HEARTBEAT_LOG_EVENT:
            return self._heartbeat(events.Rotate(bytes(body).decode(), log_pos))
        if kind == events.HEARTBEAT_LOG_EVENT_V2:
            return self._heartbeat(events.heartbeat_v2(body))
        return _NOTHING

    def _advance(self, log_pos: int, size: int) -> int:
        """Move to the event's end; its start, both in 64 bits. Events that the server left out make a step."""
        start = self._offset
        unsaid = log_pos == 0 and self._may_leave_out_ends()
        end = start + size if unsaid else events.whole_offset(start + size, log_pos)
        left_out = end - start - size
        if (left_out >= _MOST_LEFT_OUT or (left_out and log_pos == 0)) and not self._by_gtids:
            raise BinlogDamaged(f"an event says that it ends at {log_pos}, before it begins", hint=_DAMAGED_HINT)
        self._offset = end
        self._seen_events = True
        return end - size

    def _may_leave_out_ends(self) -> bool:
        # Of transactions that are passed over nobody knows where they begin.
        return self._transactions.leaves_out_ends and (self._transactions.inside or self._passes_over())

    def _format_description(self, raw: memoryview, timestamp: int, log_pos: int) -> Sequence[Item]:
        description = events.format_description(raw[events.HEADER_BYTES :])
        self._checksum = description.checksum
        if self._checksum not in (events.CHECKSUM_NONE, events.CHECKSUM_CRC32):
            raise NotUnderstood(
                f"checksums of kind {self._checksum}", hint="SET GLOBAL binlog_checksum=CRC32 and FLUSH BINARY LOGS"
            )
        if self._checksum and not _crc_fits(raw):
            raise BinlogDamaged("the checksum of a format description is wrong", hint=_DAMAGED_HINT)
        begin = self._begin
        if self._file == begin.file and begin.file_created not in (0, timestamp):
            raise SourceChanged(
                f"{self._file} is not the file that it was: the source was reset or restored",
                hint="if its data is what you mean, `cdc replay --from earliest` begins a new generation there",
            )
        if log_pos:
            self._advance(log_pos, len(raw))
        self._transactions.enter_file(self._file, timestamp, description.query_post_header)
        return _NOTHING

    def _rotate(self, raw: memoryview) -> Sequence[Item]:
        """The file's last event, or the one that a dump makes up for the name. Whether it has a checksum is not known
        before the first format description; it tells itself."""
        stop = len(raw) - (events.CHECKSUM_BYTES if _crc_fits(raw) else 0)
        if self._checksum and stop == len(raw):
            raise BinlogDamaged("the checksum of a rotation is wrong", hint=_DAMAGED_HINT)
        following = events.rotate(raw[events.HEADER_BYTES : stop])
        if following.file != self._file:
            self._file = following.file
            self._offset = following.offset
        return _NOTHING

    def _heartbeat(self, at: events.Rotate) -> Sequence[Item]:
        if at.file == self._file:
            end = events.whole_offset(self._offset, at.offset & 0xFFFFFFFF)
            if self._by_gtids and end != self._offset:
                # Transactions that we said we have are passed over, and heartbeats say how far.
                self._offset = end
                self._transactions.skip_to(end)
                return _NOTHING
        return self._transactions.idle()


def _crc_fits(raw: memoryview) -> bool:
    """A CRC-32 over bytes and, behind them, their own CRC-32 is one and the same number, and with no other four bytes there."""
    return zlib.crc32(raw) == _CRC_OF_WHOLE
