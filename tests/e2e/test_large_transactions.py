"""A transaction may be larger than what the queue may hold back."""

from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.servers import Database
from tests.support.pipeline import cdc, connector, write_connector
from tests.support.sides import differences, rows
from tests.support.sinks import end_of_binlog

ROWS = 6000


@pytest.mark.parametrize("order", ["key", "transaction"])
@pytest.mark.parametrize("queue", ["redis", "memory"])
def test_a_transaction_larger_than_the_backlog_passes(
    queue: str, order: str, mysql_db: Database, redis_url: str, tmp_path: Path
) -> None:
    target = f"sqlite:///{tmp_path / 'target.db'}"
    settings: dict[str, Any] = {
        "queue": {"url": redis_url if queue == "redis" else "memory://", "max_backlog": 1000},
        "order": order,
    }
    document = connector(
        mysql_db.dbname.replace("_", "-"),
        source_url=mysql_db.server.url,
        target_url=target,
        tables=[f"{mysql_db.dbname}.*"],
        **settings,
    )
    document["source"]["start"] = end_of_binlog(mysql_db)
    document["sink"]["batch_rows"] = 500
    file = write_connector(tmp_path, document)
    with mysql_db.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)")
        # A small one before and after, so that the large one is neither the first nor the last that waits.
        for begin, end in ((0, 3), (3, ROWS), (ROWS, ROWS + 3)):
            cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(number, number % 7) for number in range(begin, end)])
            connection.commit()

    done = cdc("run", str(file), "--drain", timeout=100)

    assert done.returncode == 0, done.stderr
    assert len(rows(target, "t", ("id",))) == ROWS + 3
    assert differences(rows(mysql_db.url, "t", ("id",)), rows(target, "t", ("id",))) == []
