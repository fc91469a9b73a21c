"""Health tells the truth, and its page tells it only to who may know."""

import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import NamedTuple

import orjson
import pytest

from cdc.model.errors import UsageError
from cdc.observe.health import Health, Verdict
from cdc.observe.metrics import Metrics
from cdc.observe.status_page import StatusPage
from tests.support.wait import until

TOKEN = "canary-token-51"


class Answer(NamedTuple):
    status: int
    body: str
    headers: dict[str, str]


def get(page: StatusPage, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = HTTPConnection("127.0.0.1", page.port, timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Answer(
            answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
        )
    finally:
        connection.close()


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def page(health: Health) -> Iterator[StatusPage]:
    metrics = Metrics()
    metrics.reader("shop")
    one = StatusPage(metrics, health, port=0)
    one.start()
    yield one
    one.close()


@pytest.fixture
def open_page(health: Health) -> Iterator[StatusPage]:
    """Bound to all addresses, with a token."""
    one = StatusPage(Metrics(), health, port=0, host="0.0.0.0", token=TOKEN)  # noqa: S104
    one.start()
    yield one
    one.close()


# --- the truth


def test_a_process_is_not_ready_before_it_says_so(health: Health) -> None:
    assert health.healthy().ok
    assert health.readiness() == Verdict(False, ("starting",))


def test_a_standby_is_healthy_and_not_ready(health: Health) -> None:
    health.beat("lease", 30)
    health.ready(False, "standby")
    assert health.healthy().ok
    assert health.readiness().lines == ("standby",)
    health.ready(True)
    assert health.readiness().ok


def test_what_is_stuck_is_neither_healthy_nor_ready_and_is_named(health: Health) -> None:
    health.ready(True)
    health.beat("lane 2", 0.05)
    health.beat("lease", 30)
    assert health.readiness().ok
    until(lambda: not health.healthy().ok, 5, "lane 2 is overdue")
    for verdict in (health.healthy(), health.readiness()):
        assert not verdict.ok
        assert len(verdict.lines) == 1
        assert verdict.lines[0].startswith("lane 2 is overdue by 0.")
    health.beat("lane 2", 30)
    assert health.readiness().ok


def test_a_loop_that_ended_is_not_stuck(health: Health) -> None:
    health.beat("lane 2", 0.0)
    until(lambda: not health.healthy().ok, 5, "lane 2 is overdue")
    health.ended("lane 2")
    health.ended("lane 2")
    assert health.healthy().ok


def test_the_page_says_what_health_says(page: StatusPage, health: Health) -> None:
    health.ready(False, "standby")
    assert get(page, "/healthz").status == 200
    answer = get(page, "/readyz")
    assert (answer.status, orjson.loads(answer.body)) == (503, {"ok": False, "reasons": ["standby"]})
    health.ready(True)
    assert get(page, "/readyz?verbose=1").status == 200
    health.beat("source", 0.0)
    until(lambda: get(page, "/healthz").status == 503, 5, "a stuck source shows")
    assert "source is overdue" in get(page, "/healthz").body


def test_metrics_are_in_the_format_of_prometheus(page: StatusPage) -> None:
    answer = get(page, "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'lockstep_reader_lag_seconds{connector="shop"}' in answer.body


# --- who may ask, and how


def test_a_foreign_host_is_refused_on_loopback(page: StatusPage) -> None:
    for host in ("evil.example", f"evil.example:{page.port}", "127.0.0.1.evil.example", "", "localhost@evil.example"):
        assert get(page, "/metrics", Host=host).status == 403
    for host in ("localhost", f"LOCALHOST:{page.port}", "127.0.0.1", f"[::1]:{page.port}"):
        assert get(page, "/metrics", Host=host).status == 200


def test_off_loopback_a_token_is_needed(open_page: StatusPage) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
    ):
        for path in ("/metrics", "/healthz", "/readyz"):
            answer = get(open_page, path, **headers)
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in answer.body
    assert get(open_page, "/metrics", Authorization=f"Bearer {TOKEN}").status == 200
    assert get(open_page, "/metrics", Authorization=f"bearer {TOKEN}", Host="metrics.internal").status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])  # noqa: S104
def test_no_page_off_loopback_without_a_token(health: Health, host: str) -> None:
    for token in (None, ""):
        with pytest.raises(UsageError, match="without a token") as refused:
            StatusPage(Metrics(), health, port=0, host=host, token=token)
        assert "CDC_METRICS_TOKEN" in refused.value.hint


def test_a_place_that_cannot_be_had_is_a_clear_error(page: StatusPage, health: Health) -> None:
    with pytest.raises(UsageError, match=str(page.port)):
        StatusPage(Metrics(), health, port=page.port)
    with pytest.raises(UsageError, match=r"192\.0\.2\.1"):
        StatusPage(Metrics(), health, port=0, host="192.0.2.1", token=TOKEN)
    with pytest.raises(UsageError, match="70000"):
        StatusPage(Metrics(), health, port=70000)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "PROPFIND"])
def test_only_get_is_served(page: StatusPage, method: str) -> None:
    answer = get(page, "/metrics", method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


def test_other_paths_are_not_there(page: StatusPage) -> None:
    for path in ("/", "/metrics/../etc/passwd", "/healthz/"):
        assert get(page, path).status == 404


def test_a_request_is_bounded(page: StatusPage) -> None:
    assert get(page, "/metrics", X_Long="a" * 40_000).status == 431
    assert get(page, "/" + "a" * 40_000).status == 431
    assert get(page, "/metrics").status == 200


def test_connections_are_bounded_and_the_page_comes_back(page: StatusPage) -> None:
    idle = [socket.create_connection(("127.0.0.1", page.port), 5) for _ in range(40)]
    try:
        refused = []
        for one in idle:
            one.settimeout(0.1)
            try:
                refused.append(one.recv(1) == b"")
            except TimeoutError:
                refused.append(False)
            except ConnectionResetError:
                refused.append(True)
        assert refused.count(False) == 16
    finally:
        for one in idle:
            one.close()
    until(lambda: get(page, "/metrics").status == 200, 10, "the page answers again")


def test_a_page_can_be_closed_before_it_was_started_and_its_port_taken_again(health: Health) -> None:
    first = StatusPage(Metrics(), health, port=0)
    first.close()
    second = StatusPage(Metrics(), health, port=first.port)
    second.start()
    begin = time.monotonic()
    second.close()
    assert time.monotonic() - begin < 5
