"""A TCP proxy that makes faults: in front of any server, for any protocol.

    with FaultProxy(server.url) as proxy:
        client = connect(proxy.url)
        proxy.stall()            # both directions stand still, connections stay open: a half-open link
        proxy.resume()
        proxy.cut()              # every connection ends now; new ones are accepted
        proxy.refuse()           # … and new ones end at once, until `accept`
        proxy.swallow_replies()  # what the server says is read and dropped; what the client says still arrives
        proxy.delay_seconds = .2 # each reply is held back so long
        proxy.flip_bit(400)      # one bit of the 400th byte that the server sends from now on
        proxy.limit_replies(400) # the connection ends after so many more bytes from the server

Faults hold for the connections that are open and those to come. `replies_bytes` counts what the server has sent.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

_LOOK_SECONDS = 0.05


class FaultProxy:
    """Listens on a free port of 127.0.0.1 until `close`; `url` is the server's with this address instead."""

    def __init__(self, url: str, default_port: int = 3306) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or default_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        before, at, _ = parts.netloc.rpartition("@")
        self.url = urlunsplit(parts._replace(netloc=f"{before}{at}127.0.0.1:{self.port}"))
        self.delay_seconds = 0.0
        self.replies_bytes = 0
        self.connections = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._moving = threading.Event()
        self._moving.set()
        self._swallowing = False
        self._refusing = False
        self._flip_at: int | None = None
        self._limit: int | None = None
        self._closed = False
        self._start(self._accept)

    def __enter__(self) -> "FaultProxy":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stall(self) -> None:
        self._moving.clear()

    def resume(self) -> None:
        self._swallowing = False
        self._moving.set()

    def cut(self) -> None:
        with self._lock:
            sockets = list(self._open)
        for one in sockets:
            _end(one)

    def refuse(self) -> None:
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        self._refusing = False

    def swallow_replies(self) -> None:
        self._swallowing = True

    def flip_bit(self, offset: int) -> None:
        """`offset` counts the server's bytes from now on."""
        with self._lock:
            self._flip_at = self.replies_bytes + offset

    def limit_replies(self, count: int) -> None:
        with self._lock:
            self._limit = self.replies_bytes + count

    def close(self) -> None:
        self._closed = True
        self._moving.set()
        _end(self._listener)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing:
                client.close()
                continue
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self.connections += 1
            with self._lock:
                self._open |= {client, server}
            ends = threading.Barrier(2)
            self._start(self._pass_on, client, server, False, ends)
            self._start(self._pass_on, server, client, True, ends)

    def _pass_on(self, source: socket.socket, sink: socket.socket, replies: bool, ends: threading.Barrier) -> None:
        # A connection that one side has ended refuses the other side's bytes: the fault that is wanted, or its echo.
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                while not self._moving.wait(_LOOK_SECONDS):
                    continue
                if self._closed:
                    break
                if replies:
                    chunk, goes_on = self._spoiled(chunk)
                    time.sleep(self.delay_seconds)
                    if not self._swallowing:
                        sink.sendall(chunk)
                    if not goes_on:
                        break
                else:
                    sink.sendall(chunk)
        _end(sink)
        _end(source)
        # The other direction may still be at work on these sockets.
        ends.wait()
        with self._lock:
            self._open.discard(source)
        source.close()

    def _spoiled(self, chunk: bytes) -> tuple[bytes, bool]:
        """(what to pass on, whether the connection goes on)."""
        with self._lock:
            begin = self.replies_bytes
            self.replies_bytes += len(chunk)
            if self._flip_at is not None and begin <= self._flip_at < begin + len(chunk):
                at = self._flip_at - begin
                chunk = chunk[:at] + bytes([chunk[at] ^ 0x10]) + chunk[at + 1 :]
                self._flip_at = None
            if self._limit is not None and self.replies_bytes >= self._limit:
                chunk = chunk[: max(self._limit - begin, 0)]
                self._limit = None
                return chunk, False
        return chunk, True


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
