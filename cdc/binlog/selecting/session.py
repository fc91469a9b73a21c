"""Sessions that read rows: connections with settings of their own, some of which are kept, and answers that come as bytes.

PyMySQL logs in and sends; what the server answers is read by cdc.binlog.packets, in large pieces, and row by row: an answer is
never in memory as a whole.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import COMMAND
from pymysql.cursors import Cursor

from cdc.binlog.connection import connect, where
from cdc.binlog.packets import PacketReader, new_buffer
from cdc.binlog.selecting.text_plan import TextRows
from cdc.model.config import SourceConfig
from cdc.model.errors import SourceUnavailable

_MOST_KEPT = 8
# Of a condition that few rows fulfil the first one comes late: the server has to be silent for long before it counts as gone.
_SILENCE_SECONDS = 600.0
_SILENCE_OF_KEPT_SECONDS = 10.0
# So a host that is gone is noticed before that: the kernel asks it, after 15 s of silence, four times, every 5 s.
_KEEPALIVE = {socket.TCP_KEEPIDLE: 15, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 4}
_PATIENCE_FOR_LOCKS_SECONDS = 30
_SETTINGS = {
    # Text as it is stored, in the column's own charset: cdc.binlog.selecting.columns.
    "character_set_results": "NULL",
    # Neither strict nor padding (PAD_CHAR_TO_FULL_LENGTH); invalid dates are values, in keys too.
    "sql_mode": "'ALLOW_INVALID_DATES'",
    # We may be slow to take rows; the default gives up after a minute.
    "net_write_timeout": "3600",
    "lock_wait_timeout": str(_PATIENCE_FOR_LOCKS_SECONDS),
    "sql_select_limit": "DEFAULT",
    "autocommit": "1",
    # A table whose key has but a prefix of a column is sorted by the server, which compares this much and no more: 3072 bytes are
    # the longest prefix, and what a collation makes of them is several times longer.
    "max_sort_length": "32768",
    "sort_buffer_size": "4194304",
}
_OF_ONE_PRODUCT = {
    # Both bound SELECTs; MySQL's statistics would else be up to a day old.
    "mysql": {"max_execution_time": "0", "information_schema_stats_expiry": "0"},
    "mariadb": {"max_statement_time": "0"},
}

Answer = list[tuple[bytes | None, ...]]


class Session:
    """One connection. Raises the driver's errors, and SourceUnavailable."""

    def __init__(self, connection: "Connection[Cursor]", config: SourceConfig) -> None:
        self._connection = connection
        self._where = where(config.url)
        self._silence_seconds = _SILENCE_SECONDS
        self._buffer = new_buffer()
        self.usable = True

    def prepare(self, flavor: str) -> None:
        for option, value in _KEEPALIVE.items():
            self._connection._sock.setsockopt(socket.IPPROTO_TCP, option, value)  # type: ignore[attr-defined]
        settings = {**_SETTINGS, **_OF_ONE_PRODUCT[flavor]}
        self.run("SET " + ", ".join(f"SESSION {name} = {value}" for name, value in settings.items()))
        # Only so is a consistent snapshot one at MariaDB and MySQL ("START TRANSACTION").
        self.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def run(self, sql: str) -> None:
        """A statement without an answer that matters."""
        self.ask(sql)

    def ask(self, sql: str) -> Answer:
        """A short answer, as a whole."""
        return [tuple(values_of(row)) for rows in self.rows(sql) for row in rows]

    def texts(self, sql: str) -> list[tuple[str | None, ...]]:
        """A short answer of names and numbers."""
        return [tuple([None if one is None else one.decode() for one in row]) for row in self.ask(sql)]

    def rows(self, sql: str) -> Iterator[Sequence[bytes]]:
        """The rows of the answer as they come, some at once. Who does not read to the end leaves the session unusable."""
        reader = self._asked(sql)
        while reader is not None:
            if rows := _at_hand(reader):
                yield rows
            elif (packet := self._row(reader)) is not None:
                yield (bytes(packet),)
            else:
                break
        self.usable = True

    def gather(self, sql: str, rows: TextRows) -> None:
        """The rows of the answer, until there is no use in more; the session is left unusable then."""
        reader = self._asked(sql)
        while reader is not None:
            gathered = reader.gathered()
            if gathered is not None:
                start, number = rows.take(*gathered)
                reader.go_on(start, number)
                if rows.full:
                    return
            packet = self._row(reader)
            if packet is None:
                break
            rows.add(packet)
            if rows.full:
                return
        self.usable = True

    def _asked(self, sql: str) -> PacketReader | None:
        """What reads the rows of the answer; None: it has none."""
        self.usable = False
        self._connection._execute_command(COMMAND.COM_QUERY, sql)  # type: ignore[attr-defined]
        reader = PacketReader(
            self._connection._sock,  # type: ignore[attr-defined]
            self._where,
            self._silence_seconds,
            what="the answer",
            hint="it is asked for again; look at the server's log if it goes on",
            buffer=self._buffer,
        )
        return reader if self._columns(reader) else None

    def _row(self, reader: PacketReader) -> memoryview | None:
        """The next packet; None at the end."""
        packet = self._packet(reader)
        return None if packet[0] == _END and len(packet) < _MOST_END_BYTES else packet

    def _columns(self, reader: PacketReader) -> int:
        """How many columns the answer has, 0: it is none; their descriptions are passed over."""
        head = self._packet(reader)
        if head[0] == _OK:
            return 0
        columns = _length(bytes(head), 0)[0]
        for _ in range(columns + 1):  # and the end of them
            self._packet(reader)
        return columns

    def _packet(self, reader: PacketReader) -> memoryview:
        packet = reader.packet(self._patience)
        if not packet:
            raise SourceUnavailable(
                f"the source {self._where} has not sent a row in {self._silence_seconds:g} s",
                hint="it is asked again; look at the server's log if it goes on",
            )
        if packet[0] == _ERROR:
            # The answer is over, and the session is as good as it was.
            self.usable = True
            pymysql.err.raise_mysql_exception(bytes(packet))
        return packet

    def _patience(self) -> float:
        return self._silence_seconds

    def alive(self) -> bool:
        self._silence_seconds = _SILENCE_OF_KEPT_SECONDS
        try:
            self.run("DO 0")
        except (pymysql.err.MySQLError, OSError, SourceUnavailable):
            return False
        self._silence_seconds = _SILENCE_SECONDS
        return True

    def close(self) -> None:
        """Whatever the server is sending: it finds the connection closed, and ends the query."""
        # PyMySQL's own close would wait for the rest of an answer that is not its own.
        with contextlib.suppress(OSError):
            self._connection._force_close()  # type: ignore[attr-defined]


_OK, _END, _ERROR, _NULL = 0x00, 0xFE, 0xFF, 0xFB
_MOST_END_BYTES = 9
_WIDTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}


def _length(data: bytes, start: int) -> tuple[int, int]:
    """A length-encoded integer: (value, where it ends)."""
    first = data[start]
    if first < _NULL:
        return first, start + 1
    end = start + 1 + _WIDTHS[first]
    return int.from_bytes(data[start + 1 : end], "little"), end


def _at_hand(reader: PacketReader) -> list[bytes]:
    """The rows that were read already, up to the first packet that is none, or not all there."""
    gathered = reader.gathered()
    if gathered is None:
        return []
    # One copy of all is cheaper than a look through the view for each row.
    data = bytes(gathered.view[gathered.start : gathered.end])
    place, number, size = 0, gathered.number, len(data)
    found: list[bytes] = []
    while size - place > _HEADER_BYTES:
        length = data[place] | data[place + 1] << 8 | data[place + 2] << 16
        start = place + _HEADER_BYTES
        stop = start + length
        if stop > size or length in _NO_ROW or data[place + 3] != number:
            break
        if data[start] >= _END and (data[start] == _ERROR or length < _MOST_END_BYTES):
            break
        found.append(data[start:stop])
        place, number = stop, (number + 1) & 0xFF
    reader.go_on(gathered.start + place, number)
    return found


_HEADER_BYTES = 4
_NO_ROW = (0, 0xFFFFFF)  # lengths of what is empty, and of what goes on in the next packet


def values_of(data: bytes) -> Iterator[bytes | None]:
    """The values of one row in the text protocol."""
    place = 0
    while place < len(data):
        if data[place] == _NULL:
            place += 1
            yield None
            continue
        length, start = _length(data, place)
        place = start + length
        yield data[start:place]


class Sessions:
    """Thread-safe. A session that was left in the middle of an answer is closed; of the others some are kept."""

    def __init__(self, config: SourceConfig) -> None:
        self._config = config
        self._kept: list[Session] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def one(self, flavor: str) -> Iterator[Session]:
        """Raises SourceUnavailable and SourceRefused where none can be opened."""
        session = self._kept_one() or self._open(flavor)
        try:
            yield session
        except BaseException:
            # Whatever transaction is open in it goes with it.
            session.close()
            raise
        self._give_back(session)

    def _kept_one(self) -> Session | None:
        while True:
            with self._lock:
                if not self._kept:
                    return None
                session = self._kept.pop()
            if session.alive():
                return session
            session.close()

    def _open(self, flavor: str) -> Session:
        session = Session(connect(self._config.url, self._config.tls, _SILENCE_SECONDS), self._config)
        try:
            session.prepare(flavor)
        except BaseException:
            session.close()
            raise
        return session

    def _give_back(self, session: Session) -> None:
        with self._lock:
            if session.usable and not self._closed and len(self._kept) < _MOST_KEPT:
                self._kept.append(session)
                return
        session.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            kept, self._kept = self._kept, []
        for session in kept:
            session.close()


def number(value: Any) -> int:
    """Of an answer's text; NULL is 0."""
    return 0 if value is None else int(value)
