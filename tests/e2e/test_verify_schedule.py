"""`verify: every:` on a real pipeline: `cdc run` compares by itself, tells differences, and remembers after a restart."""

import json
import secrets
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from cdc.local.ports import listening
from tests.e2e.conftest import position, queue_sections
from tests.fixtures.servers import Database
from tests.support.pipeline import Process, connector, write_connector
from tests.support.shop import called
from tests.support.sinks import statement_at
from tests.support.wait import until


def verify_status(file: str) -> dict[str, Any]:
    done = called("status", file, "--json")
    found: dict[str, Any] = json.loads(done.stdout)["connectors"][0]["verify"]
    return found


def free_run_of_ports(count: int) -> int:
    """`cdc run` gives each of its processes the next port. Below those that the system hands out to connections, which would take
    one of them in the meantime."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        first = secrets.randbelow(lowest - 10_000) + 10_000 - count
        if not any(listening(first + place) for place in range(count)):
            return first


@pytest.mark.parametrize(("source", "queue"), [("mysql", "redis"), ("mariadb", "memory")], indirect=["source"])
def test_it_compares_by_itself_tells_what_differs_and_repairs_nothing(
    source: Database, queue: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    target = f"sqlite:///{tmp_path / 'target.db'}"
    document = connector(
        f"v-{source.dbname.replace('_', '-')}",
        source_url=source.server.url,
        target_url=target,
        tables=[f"{source.dbname}.*"],
        verify={"every": "1s"},
        **queue_sections(queue, request),
    )
    document["source"] |= {"start": position(source), "heartbeat_seconds": 0.2}
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE orders (id INT PRIMARY KEY, total INT)")
        cursor.execute("INSERT INTO orders VALUES (1, 10), (2, 20), (3, 30)")
    file = str(write_connector(tmp_path, document))
    port = free_run_of_ports(3)
    options = [] if queue == "memory" else ["--metrics-port", str(port)]
    with Process(tmp_path, "run", file, *options) as process:
        until(lambda: "action=verify.done result=equal rows=3" in process.text(), 180, process.text)
        statement_at(target, "UPDATE orders SET total = 21 WHERE id = 2")
        until(lambda: "action=verify.different" in process.text(), 180, process.text)
        until(lambda: "action=verify.done result=different" in process.text(), 180, process.text)
        assert statement_at(target, "SELECT total FROM orders WHERE id = 2")[0][0] == 21
        if queue == "memory":
            return
        # The reader's port, the sink's, and then the one of who compares.
        with urllib.request.urlopen(f"http://127.0.0.1:{port + 2}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        name = document["name"]
        assert f'lockstep_verify_last_result{{connector="{name}",result="different"}} 1.0' in text
        assert f'lockstep_verify_last_differences{{connector="{name}",kind="different",sink="sink"}} 1.0' in text
        found = verify_status(file)
        assert found["owner"]
        assert found["last"]["result"] == "different"
    assert verify_status(file)["owner"] is None
    # The end is remembered: with a day in between, the next process does not begin again, but tells.
    document["verify"] = {"every": "1d"}
    file = str(write_connector(tmp_path, document))
    with Process(tmp_path, "verify", file, "--scheduled") as process:
        until(lambda: verify_status(file)["owner"], 180, process.text)
        assert "different: 1 rows of 3" in called("status", file).stdout
        assert "verify.done" not in process.text()
    assert process.process.returncode == 0
