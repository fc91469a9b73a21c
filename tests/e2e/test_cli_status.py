"""`cdc status` on a real pipeline, whole and with parts that are down."""

import json
from pathlib import Path
from typing import Any

from cdc.local import Server
from tests.fixtures.servers import Database
from tests.support.pipeline import Process
from tests.support.shop import Shop, called
from tests.support.wait import until


def status(file: str) -> dict[str, Any]:
    done = called("status", file, "--json")
    assert done.returncode == 0, done.stderr
    (connector,) = json.loads(done.stdout)["connectors"]
    found: dict[str, Any] = connector
    return found


def test_status_tells_checkpoint_lag_owners_tokens_watermarks_and_counts(
    mysql_db: Database, redis_url: str, pg_db: str, tmp_path: Path
) -> None:
    shop = Shop(mysql_db, tmp_path, {"pg": {"url": pg_db}}, queue={"url": redis_url, "lanes": 2})
    before = status(shop.file)
    assert before["checkpoint"] is None
    assert before["problems"] == []

    shop.sql(*(f"INSERT INTO orders VALUES ({i}, 1.5, 'x')" for i in range(20)))
    with Process(tmp_path, "run", shop.file):
        until(lambda: sum(lane["count"] for lane in status(shop.file)["sinks"][0]["lanes"]) == 20, 60, "20 applied")
        running = until(
            lambda: (found := status(shop.file))["lag_bytes"] == 0 and found, 30, "the checkpoint at the end"
        )
    assert running["reader"]["owner"]
    assert running["checkpoint"]["token"] == running["reader"]["token"] >= 1
    (sink,) = running["sinks"]
    assert (sink["behind"], sink["dead_letters"]) == (0, 0)
    for lane in sink["lanes"]:
        assert lane["owner"]
        assert lane["token"] >= 1
        assert len(lane["watermark"]) == 4
        assert lane["lag_seconds"] == 0

    shown = called("status", shop.file)
    assert "checkpoint" in shown.stdout
    assert "nobody reads" in shown.stdout
    assert "root:***@" in shown.stdout


def test_a_sink_that_does_not_run_is_behind_and_its_lag_grows_from_the_first_event_that_waits(
    mysql_db: Database, redis_url: str, tmp_path: Path
) -> None:
    sinks = {"lite": {"url": f"sqlite:///{tmp_path}/t.db"}}
    shop = Shop(mysql_db, tmp_path, sinks, queue={"url": redis_url, "lanes": 1})
    shop.sql("INSERT INTO orders VALUES (1, 1.5, 'x'), (2, 1.5, 'x')")
    with Process(tmp_path, "reader", shop.file):
        until(lambda: (status(shop.file)["sinks"][0]["behind"] or 0) == 2, 60, "two events wait")
    found = status(shop.file)
    assert 0 < found["lag_seconds"] < 120


def test_status_works_when_parts_are_down_and_names_them(
    mysql_db: Database, redis_url: str, pg_db: str, tmp_path: Path, mysql: Server
) -> None:
    nowhere = "postgresql://app:canary-9d2@127.0.0.1:1/app"
    shop = Shop(mysql_db, tmp_path, {"pg": {"url": pg_db}, "off": {"url": nowhere}}, queue={"url": redis_url})
    found = status(shop.file)
    assert [problem["part"] for problem in found["problems"]] == ["sink off"]
    assert {sink["name"]: sink["dead_letters"] for sink in found["sinks"]} == {"pg": 0, "off": None}

    text = Path(shop.file).read_text().replace(redis_url, "redis://:canary-9d2@127.0.0.1:1/0")
    Path(shop.file).write_text(text.replace(mysql.url, "mysql://cdc:canary-9d2@127.0.0.1:1"))
    done = called("status", shop.file)
    assert done.returncode == 0
    for part in ("queue:", "coordination:", "sink off:"):
        assert part in done.stdout
    assert "canary" not in done.stdout + done.stderr


def test_status_without_a_file_takes_those_in_the_folder(tmp_path: Path) -> None:
    done = called("status", str(tmp_path / "none.yaml"))
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
