"""A TCP relay in front of a real server: it can lose a reply, hold replies back, and speak TLS to the client."""

import contextlib
import socket
import ssl
import threading
import time
from types import TracebackType
from urllib.parse import urlsplit


class Relay:
    """Listens on 127.0.0.1:`port`, forwards to the host of `url`, until `close`.

    `lose_replies`: the next so many replies are read from the server and dropped; with `cut` the connection ends then,
    without it the client hears nothing. `delay_seconds` holds every reply back.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self._tls = tls
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self.lose_replies = 0
        self.lost = 0
        self.cut = True
        self.delay_seconds = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(5)
        with self._lock:
            for one in self._sockets:
                _end(one)
        for thread in self._threads[1:]:
            thread.join(5)
        for one in self._sockets:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._begin(client)

    def _begin(self, client: socket.socket) -> None:
        if self._tls is not None:
            try:
                client = self._tls.wrap_socket(client, server_side=True)
            except OSError:
                client.close()
                return
        server = socket.create_connection(self._target)
        with self._lock:
            self._sockets += [client, server]
        for pump in (self._requests, self._replies):
            thread = threading.Thread(target=pump, args=(client, server), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := client.recv(65536):
                server.sendall(chunk)
        _end(server)

    def _replies(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(65536):
                if self.lose_replies:
                    self.lose_replies -= 1
                    self.lost += 1
                    if self.cut:
                        break
                    continue
                time.sleep(self.delay_seconds)
                client.sendall(chunk)
        _end(client)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
