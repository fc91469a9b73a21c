"""The HTTP server of a process: `/metrics`, `/healthz`, `/readyz`, for GET only, in a thread.

Bound to loopback by default, where a foreign Host header is refused (DNS rebinding: a web page in a browser of this
machine could read it otherwise); bound elsewhere, a bearer token is asked for.
"""

import hmac
import ipaddress
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from socket import AF_INET, AF_INET6, socket
from typing import Any, Final

import orjson
from prometheus_client import CONTENT_TYPE_LATEST

from cdc.model.errors import UsageError
from cdc.observe.health import Health, Verdict
from cdc.observe.logs import redact
from cdc.observe.metrics import Metrics

_MAX_REQUEST_BYTES: Final = 16 * 1024
_MAX_CONNECTIONS: Final = 16
_REQUEST_SECONDS: Final = 5.0
_TOO_LARGE: Final = b"the request is too large\n"


class StatusPage:
    """Serves from `start` to `close`; `port` 0 takes a free one, which `port` then tells."""

    def __init__(
        self, metrics: Metrics, health: Health, *, port: int, host: str = "127.0.0.1", token: str | None = None
    ) -> None:
        """Raises UsageError: a place that is not this machine's or taken, or no token off loopback."""
        local = _is_loopback(host)
        if not local and not token:
            raise UsageError(
                f"the status page cannot be opened on {host} without a token",
                hint="set CDC_METRICS_TOKEN, or bind it to 127.0.0.1",
            )
        try:
            self._server = _Server((host, port), metrics, health, token, check_host=local)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"the status page cannot be opened on {host}:{port}: {error}", hint="choose another --metrics-port"
            ) from error
        self.host = host
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="status-page", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A test or a restart finds its port free; two processes still cannot share one.
    allow_reuse_address = True
    # The one too many is told at once, instead of waiting in the kernel's queue.
    request_queue_size = 64

    def __init__(
        self, place: tuple[str, int], metrics: Metrics, health: Health, token: str | None, *, check_host: bool
    ) -> None:
        self.address_family = AF_INET6 if ":" in place[0] else AF_INET
        self.metrics = metrics
        self.health = health
        self.token = token
        self.check_host = check_host
        self._free = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        super().__init__(place, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Never more than a few threads, however many connect; one too many is closed at once."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """A client that went away in the middle is no event of ours."""


class _Bounded:
    """Reads a request's lines up to a number of bytes; the rest is never read."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream
        self._left = _MAX_REQUEST_BYTES
        self.exceeded = False

    def readline(self, limit: int = -1) -> bytes:
        line = self._stream.readline(self._left if limit < 0 else min(limit, self._left))
        self._left -= len(line)
        self.exceeded = self._left <= 0
        return line

    def close(self) -> None:
        self._stream.close()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _REQUEST_SECONDS
    server_version = "lockstep"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self._bounded = _Bounded(self.rfile)
        self.rfile = self._bounded  # type: ignore[assignment]

    def do_GET(self) -> None:
        if refusal := self._refusal():
            self._answer(*refusal)
            return
        match self.path.partition("?")[0]:
            case "/metrics":
                self._answer(200, self.server.metrics.text(), CONTENT_TYPE_LATEST)
            case "/healthz":
                self._verdict(self.server.health.healthy())
            case "/readyz":
                self._verdict(self.server.health.readiness())
            case _:
                self._answer(404, b"there are /metrics, /healthz and /readyz\n")

    def parse_request(self) -> bool:
        """Any method but GET ends here, those that the base class does not know too; and a line without an end."""
        if self._bounded.exceeded:
            self.command, self.requestline, self.request_version = "GET", "", "HTTP/1.0"
            self._answer(431, _TOO_LARGE)
            return False
        if not super().parse_request():
            return False
        if self.command != "GET":
            self._answer(405, b"only GET\n")
            return False
        return True

    def _refusal(self) -> tuple[int, bytes] | None:
        if self._bounded.exceeded:
            return 431, _TOO_LARGE
        if self.server.check_host and _host_name(self.headers.get("Host", "")) not in _LOCAL_NAMES:
            return 403, b"unknown Host\n"
        if self.server.token and not self._has_token(self.server.token):
            return 401, b"a bearer token is needed\n"
        return None

    def _has_token(self, token: str) -> bool:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())

    def _verdict(self, verdict: Verdict) -> None:
        body = orjson.dumps({"ok": verdict.ok, "reasons": [redact(line) for line in verdict.lines]}) + b"\n"
        self._answer(200 if verdict.ok else 503, body, "application/json")

    def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        if status == 405:
            self.send_header("Allow", "GET")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are not worth a line."""


_LOCAL_NAMES: Final = {"localhost", "127.0.0.1", "[::1]"}


def _host_name(header: str) -> str:
    """The name in a Host header, without its port."""
    name, colon, port = header.strip().lower().rpartition(":")
    return name if colon and port.isdigit() else header.strip().lower()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
