"""Free ports of the loopback address, and whether somebody listens."""

import socket
import threading

LOOPBACK = "127.0.0.1"
_given: set[int] = set()
_lock = threading.Lock()


def free_port() -> int:
    """A port that nobody listens on, and that this process was not given before.

    Between this answer and the server's own bind another program may take it; starting a server tries again then.
    """
    with _lock:
        while True:
            with socket.socket() as probe:
                probe.bind((LOOPBACK, 0))
                port = int(probe.getsockname()[1])
            if port not in _given:
                _given.add(port)
                return port


def listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
