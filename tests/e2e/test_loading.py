"""What is asked in several threads is imported before there are any (cdc/wiring/loading.py says why)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.servers import Database
from tests.support.shop import Shop

WATCH = """
import json, sys, threading

found = []

class Watch:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is not threading.main_thread():
            found.append((threading.current_thread().name, name))

sys.meta_path.insert(0, Watch())
from cdc.cli.main import run
status = run(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump(found, file)
sys.exit(status)
"""
# Statements are parsed by one thread alone, the reader's, and only where there are any.
ONE_THREAD = ("sqlglot", "mypy_extensions", "cdc.binlog")


def imported(folder: Path, *arguments: str) -> set[tuple[str, str]]:
    """(thread, module) of what was imported by other threads than the first."""
    found = folder / "imported.json"
    command = [sys.executable, "-c", WATCH, str(found), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {(thread, module) for thread, module in json.loads(found.read_text())}


@pytest.fixture
def sinks(mariadb_db: Database, pg_db: str, tmp_path: Path) -> dict[str, dict[str, Any]]:
    return {
        "lite": {"url": f"sqlite:///{tmp_path}/t.db"},
        "pg": {"url": pg_db},
        "my": {"url": mariadb_db.url},
    }


@pytest.mark.parametrize("queue", ["redis", "kafka"])
def test_a_check_imports_nothing_in_its_threads(
    queue: str,
    mysql_db: Database,
    sinks: dict[str, Any],
    redis_url: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    url = redis_url if queue == "redis" else request.getfixturevalue("kafka").url
    shop = Shop(mysql_db, tmp_path, sinks, queue={"url": url}, coordination={"url": redis_url})
    assert imported(tmp_path, "check", shop.file) == set()


def test_a_reader_and_sinks_in_one_process_import_nothing_in_two_threads(
    mysql_db: Database, sinks: dict[str, Any], tmp_path: Path
) -> None:
    shop = Shop(mysql_db, tmp_path, sinks, queue={"url": "memory://"}, coordination={"url": "memory://"})
    shop.sql("INSERT INTO orders VALUES (1, 2, 'x')")
    later = imported(tmp_path, "run", shop.file, "--drain")
    assert {module for _, module in later if not module.startswith(ONE_THREAD)} == set()
    assert len({thread for thread, _ in later}) <= 1
