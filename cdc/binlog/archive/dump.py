"""Archived files as one dump: file by file, and then whatever follows them."""

from collections import deque
from collections.abc import Callable

from cdc.binlog.archive.continuity import Continuity
from cdc.binlog.archive.event_file import EventFile, opening
from cdc.binlog.stream import RawEvents
from cdc.model.errors import BinlogDamaged, PositionError, SourceUnavailable

Following = Callable[[EventFile], EventFile | RawEvents | None]


class ArchivedEvents:
    """cdc.binlog.stream.RawEvents from `offset` of `file` on. `following` is asked at each file's end: the next file, a dump
    of the server from the next file's beginning, or None where nothing follows (then EOFError). `executed`: see Continuity.
    """

    def __init__(self, file: EventFile, offset: int, following: Following, *, executed: str | None = None) -> None:
        self._file = file
        self._following = following
        self._continuity = Continuity(file.head.flavor, executed)
        self._dump: RawEvents | None = None
        self._made: deque[memoryview] = deque(opening(file, offset))
        self._closed = False
        self.ended = False

    @property
    def closed(self) -> bool:
        return self._closed if self._dump is None else self._dump.closed

    def event(self, wait_seconds: Callable[[], float]) -> memoryview | None:
        """As BinlogConnection.event. Raises BinlogDamaged (also where the next file is missing), NotUnderstood and
        SourceChanged as well."""
        while self._dump is None:
            if self._closed:
                raise SourceUnavailable("the archive was closed", hint="read it anew")
            raw = self._made.popleft() if self._made else self._file.read()
            if raw is not None:
                self._continuity.see(raw)
                return raw
            self._move_on()
        raw = self._dump.event(wait_seconds)
        if raw is not None and not self._continuity.settled:
            self._continuity.see(raw)
        return raw

    def close(self) -> None:
        self._closed = True
        if self._dump is not None:
            self._dump.close()
        self._file.close()

    def _move_on(self) -> None:
        left = self._file
        try:
            following = self._following(left)
        except PositionError as error:
            # What is not there cannot be passed over: for who reads on it is a gap, with its own way out.
            raise BinlogDamaged(error.message, hint=error.hint) from error
        if following is None:
            self.ended = True
            raise EOFError
        if left.torn:
            following.close()
            raise BinlogDamaged(
                f"{left.path} breaks off inside an event at {left.offset}, and another file follows",
                hint="copy it again, whole; or begin at the file after it",
            )
        self._continuity.leave(left)
        left.close()
        if isinstance(following, EventFile):
            self._file = following
            self._made.extend(opening(following, 4))
        else:
            self._dump = following
            if self._closed:
                following.close()
