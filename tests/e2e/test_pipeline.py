"""A row committed at the source stands, once and in order, at the other side: real servers, real processes."""

import secrets
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import position, queue_sections
from tests.fixtures.servers import Database
from tests.support.pipeline import Process, cdc, connector, write_connector
from tests.support.shop import Shop
from tests.support.sides import differences, mysql_connection, rows
from tests.support.wait import until
from tests.support.workload import TABLES, Work

COMBINATIONS = [
    ("mysql", "redis", "postgresql", "key"),
    ("mysql", "kafka", "mysql", "key"),
    ("mysql", "memory", "sqlite", "transaction"),
    ("mariadb", "redis", "mariadb", "transaction"),
    ("mariadb", "kafka", "sqlite", "key"),
    ("mariadb", "kafka", "postgresql", "transaction"),
]


def unlike(source: Database, target: str) -> list[str]:
    found = []
    for table, key in TABLES.items():
        found += differences(rows(source.url, table, key), rows(target, table, key))
    return found


@pytest.mark.parametrize(
    ("source", "queue", "target_url", "order"),
    COMBINATIONS,
    indirect=["source", "target_url"],
    ids=["-".join(one) for one in COMBINATIONS],
)
def test_both_sides_are_equal_after_random_work(
    source: Database, queue: str, target_url: str, order: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    start = position(source)
    # Closed whatever happens: an open transaction's metadata lock would block the fixture's DROP DATABASE.
    connection = mysql_connection(source.url, autocommit=False)
    request.addfinalizer(connection.close)
    work = Work(connection, seed=secrets.randbelow(10**6))
    work.create()
    work.transactions(60)
    document = connector(
        f"t-{source.dbname.replace('_', '-')}",
        source_url=source.server.url,
        target_url=target_url,
        tables=[f"{source.dbname}.*"],
        order=order,
        **queue_sections(queue, request),
    )
    document["source"]["start"] = start
    file = write_connector(tmp_path, document)

    done = cdc("run", str(file), "--drain")
    assert done.returncode == 0, done.stderr
    assert unlike(source, target_url) == []

    if queue == "memory":  # it forgot everything with its process
        return
    with Process(tmp_path, "run", str(file)) as process:
        work.transactions(200)
        until(lambda: not unlike(source, target_url), 60, "both sides equal")
        assert process.end() == 0, process.text()
    assert unlike(source, target_url) == []


def test_a_drain_waits_for_no_sign_of_life_of_the_source(mysql_db: Database, redis_url: str, tmp_path: Path) -> None:
    shop = Shop(
        mysql_db,
        tmp_path,
        {"lite": {"url": f"sqlite:///{tmp_path / 'target.db'}"}},
        queue={"url": redis_url, "lanes": 4},
    )
    file = Path(shop.file)
    document = yaml.safe_load(file.read_text())
    document["source"]["heartbeat_seconds"] = 60
    file.write_text(yaml.safe_dump(document))
    # Three lanes have nothing of it, and hear from the reader that there is no more.
    shop.sql("INSERT INTO orders VALUES (1, 1, 'one')")
    done = cdc("run", shop.file, "--drain", timeout=40)
    assert done.returncode == 0, done.stderr
