"""`cdc tail` from a real queue and a real binlog."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.servers import Database
from tests.support.events import assert_valid_event
from tests.support.pipeline import Process
from tests.support.shop import Shop, called
from tests.support.wait import until


@pytest.fixture
def shop(mysql_db: Database, redis_url: str, tmp_path: Path) -> Shop:
    return Shop(
        mysql_db, tmp_path, {"lite": {"url": f"sqlite:///{tmp_path}/t.db"}}, queue={"url": redis_url, "lanes": 3}
    )


def events(text: str) -> list[tuple[str, object]]:
    found = []
    for line in text.splitlines():
        assert_valid_event(line.encode())
        event = json.loads(line)
        row = event["after"] or event["before"] or {}
        found.append((event["op"], row.get("id")))
    return found


def test_the_binlog_comes_in_commit_order_as_the_wire_format(shop: Shop) -> None:
    shop.sql(
        "INSERT INTO orders VALUES (1, 1.5, 'x')",
        "UPDATE orders SET total = 2 WHERE id = 1",
        "UPDATE orders SET id = 3 WHERE id = 1",
        "DELETE FROM orders",
        "TRUNCATE orders",
    )
    end = shop.position()
    shop.sql("INSERT INTO orders VALUES (9, 1.5, 'too late')")
    done = called("tail", shop.file, "--from", shop.start, "--to", end)
    assert done.returncode == 0, done.stderr
    expected = [("c", 1), ("u", 1), ("d", 1), ("c", 3), ("d", 3), ("t", None)]
    assert events(done.stdout) == expected
    limited = called("tail", shop.file, "--from", shop.start, "--limit", "2")
    assert events(limited.stdout) == expected[:2]


def test_the_queue_is_read_from_the_beginning_up_to_a_position(shop: Shop) -> None:
    shop.sql(*(f"INSERT INTO orders VALUES ({i}, 1.5, 'x')" for i in range(30)))
    end = shop.position()
    with Process(shop_folder(shop), "reader", shop.file):
        done = until(
            lambda: (d := called("tail", shop.file, "--from", "beginning", "--to", end)).stdout and d, 60, "events"
        )
    assert done.returncode == 0, done.stderr
    assert sorted(events(done.stdout), key=str) == sorted([("c", i) for i in range(30)], key=str)
    with_markers = called("tail", shop.file, "--from", "beginning", "--to", end, "--markers")
    assert {op for op, _ in events(with_markers.stdout)} == {"c", "m"}
    one = called(
        "tail", shop.file, "--from", "beginning", "--to", end, "--table", "*.orders", "--key", "7", "--key", "[9]"
    )
    assert sorted(events(one.stdout), key=str) == [("c", 7), ("c", 9)]
    none = called("tail", shop.file, "--from", "beginning", "--to", end, "--table", "*.logins", "--key", "7")
    assert (none.returncode, none.stdout) == (0, "")
    assert "no change of what was chosen" in none.stderr


def test_from_now_on_what_was_sent_before_is_not_shown(shop: Shop, tmp_path: Path) -> None:
    shop.sql("INSERT INTO orders VALUES (1, 1.5, 'before')")
    with Process(tmp_path, "reader", shop.file) as reader:
        until(lambda: called("tail", shop.file, "--from", "beginning", "--limit", "1").stdout, 60, "the first event")
        with Tail(shop.file, tmp_path) as tail:
            until(
                lambda: shop.sql("INSERT INTO orders SELECT MAX(id) + 1, 2, 'after' FROM orders") or tail.text(),
                60,
                "events",
            )
            assert tail.end(signal.SIGINT) == 130
            assert "Traceback" not in tail.errors()
        assert reader.running
    notes = {json.loads(line)["after"]["note"] for line in tail.text().splitlines()}
    assert notes == {"after"}


def test_who_closes_the_pipe_ends_it_quietly(shop: Shop) -> None:
    shop.sql(*(f"INSERT INTO orders VALUES ({i}, 1.5, 'x')" for i in range(5)))
    command = f"set -o pipefail; {sys.executable} -m cdc tail {shop.file} --from {shop.start} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert "Broken" not in done.stderr


def test_looking_at_the_binlog_does_not_throw_out_the_reader(shop: Shop, tmp_path: Path) -> None:
    shop.sql("INSERT INTO orders VALUES (1, 1.5, 'x')")
    with Process(tmp_path, "reader", shop.file) as reader:
        until(lambda: "reader.started" in reader.text(), 60, "the reader reads")
        called("tail", shop.file, "--from", shop.start, "--to", "latest")
        shop.sql("INSERT INTO orders VALUES (2, 1.5, 'x')")
        until(
            lambda: len(called("tail", shop.file, "--from", "beginning", "--limit", "2").stdout.splitlines()) == 2,
            60,
            "both",
        )
        assert "reader.retry" not in reader.text()


@pytest.mark.parametrize(("position", "words"), [("nonsense", "nonsense"), ("mysql-bin.999999:4", "mysql-bin.999999")])
def test_a_position_that_is_none_is_one_clear_error(shop: Shop, position: str, words: str) -> None:
    done = called("tail", shop.file, "--from", position)
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def shop_folder(shop: Shop) -> Path:
    return Path(shop.file).parent


class Tail:
    """A `cdc tail` that goes on, its output in a file."""

    def __init__(self, file: str, folder: Path) -> None:
        self._out, self._err = folder / "tail.out", folder / "tail.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen([sys.executable, "-m", "cdc", "tail", file], stdout=out, stderr=err)

    def __enter__(self) -> "Tail":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def text(self) -> str:
        return self._out.read_text()

    def errors(self) -> str:
        return self._err.read_text()

    def end(self, number: signal.Signals) -> int:
        self._process.send_signal(number)
        return self._process.wait(20)
