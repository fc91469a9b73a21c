"""MySQL's packets, read from a socket in large pieces.

PyMySQL reads a packet with two small reads and copies it twice; a binlog stream has one packet for each event. Here one buffer is
filled with whatever the kernel has, and packets are views into it.
Format: MySQL Internals, "MySQL Packets" (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html).
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from cdc.model.errors import SourceUnavailable

_HEADER = 4
_WHOLE = 0xFFFFFF  # a payload of this length goes on in the next packet
_BUFFER_BYTES = 1 << 21


class Gathered(NamedTuple):
    """Packets that were read and not handed out: bytes `start` to `end` of `view`; `number`: of the first of them."""

    view: memoryview
    start: int
    end: int
    number: int


def new_buffer() -> bytearray:
    """For a reader after the other: to clear a new one takes longer than a short answer."""
    return bytearray(_BUFFER_BYTES)


class PacketReader:
    """Reads payloads; verifies the packets' running number. Not thread-safe, but `close` may be called from another thread.

    `where` names the server in errors, `what` that which broke, `hint` what to do about it. No bytes at all for
    `silence_seconds` is a broken connection: the server was asked for heartbeats.

    `buffer`: one of `new_buffer`, whose last reader is of no more use; None: a new one.
    """

    def __init__(
        self,
        sock: socket.socket,
        where: str,
        silence_seconds: float,
        expected_number: int = 1,
        *,
        what: str = "the binlog stream",
        hint: str = "it is opened again at the last boundary; look at the server's log if it goes on",
        buffer: bytearray | None = None,
    ) -> None:
        self._sock = sock
        self._where = where
        self._what = what
        self._hint = hint
        self._silence_seconds = silence_seconds
        self._number = expected_number
        self._buffer = new_buffer() if buffer is None else buffer
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0
        self._waited_seconds = 0.0  # in vain, since the last byte; time in which nobody asked does not count
        self._large: bytearray | None = None  # a payload that does not fit the buffer, and how much of it is there
        self._large_end = 0
        self._goes_on = False
        self._reading = threading.Lock()
        self.closed = False

    def packet(self, wait_seconds: Callable[[], float]) -> memoryview | None:
        """The next payload, or None when it was not complete after `wait_seconds()`, which is asked before a wait only.
        Valid until the next call.

        Raises SourceUnavailable: end of stream, a broken connection, silence, packets out of order.
        """
        start = self._start
        if self._large is None and self._end - start >= _HEADER:
            view = self._view
            length = view[start] | view[start + 1] << 8 | view[start + 2] << 16
            stop = start + _HEADER + length
            if stop <= self._end and length != _WHOLE:
                if view[start + 3] != self._number:
                    raise self._broken("its packets are out of order")
                self._number = (self._number + 1) & 0xFF
                self._start = stop
                return view[start + _HEADER : stop]
        return self._slow(wait_seconds)

    def at_hand(self) -> bool:
        """Whether the next call of `packet` has something to go on with: a whole packet, or one too large to be gathered."""
        available = self._end - self._start
        if self._large is not None or available < _HEADER:
            return self._large is not None
        length = int.from_bytes(self._view[self._start : self._start + 3], "little")
        return available >= _HEADER + length or _HEADER + length > _BUFFER_BYTES

    def await_packet(self, wait_seconds: Callable[[], float]) -> bool:
        """Waits as `packet` does, and takes nothing: whether something is at hand then. Raises as `packet` does."""
        deadline = time.monotonic() + wait_seconds()
        while not self.at_hand():
            if not self._fill_buffer(deadline) and time.monotonic() >= deadline:
                return False
        return True

    def gathered(self) -> Gathered | None:
        """What can be looked at without reading, until the next call of `packet`."""
        if self._large is not None or self._start == self._end:
            return None
        return Gathered(self._view, self._start, self._end, self._number)

    def go_on(self, start: int, number: int) -> None:
        """All before `start` of what is gathered was taken; the packet there has `number`."""
        self._start, self._number = start, number

    def _slow(self, wait_seconds: Callable[[], float]) -> memoryview | None:
        deadline = time.monotonic() + wait_seconds()
        while True:
            if self._large is None:
                self._open_large()
            if self._large is not None:
                if self._fill_large(deadline):
                    payload, self._large = self._large, None
                    return memoryview(payload)
            elif self._fill_buffer(deadline):
                if self._has_packet():
                    return self.packet(wait_seconds)
                continue
            if time.monotonic() >= deadline:
                return None

    def _has_packet(self) -> bool:
        available = self._end - self._start
        if available < _HEADER:
            return False
        length = int.from_bytes(self._view[self._start : self._start + 3], "little")
        return length != _WHOLE and available >= _HEADER + length

    def _open_large(self) -> None:
        """Begin a payload of its own where the packet at hand does not fit the buffer, or goes on in the next one."""
        start = self._start
        if self._end - start < _HEADER:
            return
        length = int.from_bytes(self._view[start : start + 3], "little")
        if _HEADER + length > _BUFFER_BYTES:
            self._large = bytearray()
            self._large_end = 0
            self._extend_large()

    def _extend_large(self) -> None:
        """Take one more packet's header from the buffer, and what of its payload is there."""
        start = self._start
        length = int.from_bytes(self._view[start : start + 3], "little")
        if self._view[start + 3] != self._number:
            raise self._broken("its packets are out of order")
        self._number = (self._number + 1) & 0xFF
        self._goes_on = length == _WHOLE
        assert self._large is not None  # noqa: S101 — callers
        self._large.extend(bytes(length))
        start += _HEADER
        have = min(length, self._end - start)
        self._large[self._large_end : self._large_end + have] = self._view[start : start + have]
        self._large_end += have
        self._start = start + have

    def _fill_large(self, deadline: float) -> bool:
        """Whether the large payload is complete; False when the deadline passed first."""
        large = self._large
        assert large is not None  # noqa: S101 — callers
        while True:
            while self._large_end < len(large):
                with memoryview(large) as view:
                    count = self._receive(view[self._large_end :], deadline)
                if not count:
                    return False
                self._large_end += count
            if not self._goes_on:
                return True
            while self._end - self._start < _HEADER:
                if not self._fill_buffer(deadline):
                    return False
            self._extend_large()

    def _fill_buffer(self, deadline: float) -> bool:
        """Append what the socket has; False when the deadline passed first."""
        if self._start:
            # What is left of a packet moves to the front; slices of one memoryview may overlap.
            rest = self._end - self._start
            self._view[:rest] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, rest
        count = self._receive(self._view[self._end :], deadline)
        self._end += count
        return count > 0

    def _receive(self, into: memoryview, deadline: float) -> int:
        asked = time.monotonic()
        # 0: what is there is taken, nothing is waited for.
        timeout = max(min(deadline - asked, self._silence_seconds - self._waited_seconds), 0.0)
        try:
            with self._reading:
                if self.closed:
                    raise self._broken("it was closed")
                self._sock.settimeout(timeout)
                count = self._sock.recv_into(into)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            self._waited_seconds += time.monotonic() - asked
            if self._waited_seconds >= self._silence_seconds:
                raise self._broken(f"no byte for {self._silence_seconds:g} s, not even a heartbeat") from None
            return 0
        except OSError as error:
            raise self._broken(str(error) or type(error).__name__) from error
        if count == 0:
            raise self._broken("it was closed")
        self._waited_seconds = 0.0
        return count

    def _broken(self, why: str) -> SourceUnavailable:
        return SourceUnavailable(f"{self._what} of {self._where} broke: {why}", hint=self._hint)

    def close(self) -> None:
        """End a blocked read, then close the socket: never under a thread that reads, since its number may be given anew."""
        self.closed = True
        # A connection that the server has ended cannot be shut down once more. The plain socket's method, for TLS too: an
        # SSLSocket's own would take its state away from under the reading thread.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        with self._reading:
            self._sock.close()
