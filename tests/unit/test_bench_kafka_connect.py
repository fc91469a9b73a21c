"""A worker of Kafka Connect goes on without a task that failed: the benchmark says why, and does not wait for the time's end."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from benchmarks.children.report import NotRun
from benchmarks.kafka_connect import Worker

TRACE = "org.apache.kafka.connect.errors.ConnectException: stopped\n\tat A.b\nCaused by: java.sql.SQLException: no such table"


@pytest.fixture
def rest() -> Iterator[tuple[str, dict[str, object]]]:
    """Where it answers, and what it says of each connector."""
    said: dict[str, object] = {}

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            connector = self.path.split("/")[2]
            self.send_response(200 if connector in said else 404)
            self.end_headers()
            self.wfile.write(json.dumps(said.get(connector, {})).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", said
        server.shutdown()
        thread.join()


def test_a_failed_task_is_told_with_its_last_cause(tmp_path: Path, rest: tuple[str, dict[str, object]]) -> None:
    at, said = rest
    said["source"] = {"connector": {"state": "RUNNING"}, "tasks": [{"state": "RUNNING"}]}
    said["sink"] = {"connector": {"state": "RUNNING"}, "tasks": [{"state": "FAILED", "trace": TRACE}]}
    with (
        Worker(["sh", "-c", "sleep 60"], {}, tmp_path, at) as worker,
        pytest.raises(NotRun, match=r"its sink failed: Caused by: java\.sql\.SQLException: no such table"),
    ):
        worker.until(lambda: False, 30, "the last row")


def test_a_connector_without_a_first_status_has_not_failed(tmp_path: Path, rest: tuple[str, dict[str, object]]) -> None:
    at, _ = rest
    with Worker(["sh", "-c", "sleep 60"], {}, tmp_path, at) as worker:
        assert worker.until(lambda: True, 30, "anything") > 0


def test_a_worker_that_ended_is_told_with_its_last_words(tmp_path: Path) -> None:
    with (
        Worker(["sh", "-c", "echo ERROR: no memory"], {}, tmp_path, "http://127.0.0.1:1") as worker,
        pytest.raises(NotRun, match="it ended before the last row: ERROR: no memory"),
    ):
        worker.until(lambda: False, 30, "the last row")
