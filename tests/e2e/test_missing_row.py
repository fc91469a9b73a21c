"""A sink that stopped at an update of a row which its target lacks: the ways out that its error names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures.servers import Database
from tests.support.shop import Shop, called
from tests.support.sinks import statement_at


class Stopped:
    """A shop whose target lost row 2, which then was updated: its sink stands there, with another change behind it."""

    def __init__(self, shop: Shop, target: str) -> None:
        self.shop = shop
        self.target = target
        shop.sql("INSERT INTO orders VALUES (1, 1, 'one'), (2, 2, 'two'), (3, 3, 'three')")
        shop.drain()
        statement_at(target, "DELETE FROM orders WHERE id = 2")
        shop.sql("UPDATE orders SET note = 'new' WHERE id = 2", "UPDATE orders SET note = 'new' WHERE id = 1")
        assert called("run", shop.file, "--drain").returncode == 1
        assert self.rows() == [(1, "one"), (3, "three")]

    def rows(self) -> Sequence[tuple[Any, ...]]:
        return statement_at(self.target, "SELECT id, note FROM orders ORDER BY id")

    def configure(self, **sink: str) -> None:
        file = Path(self.shop.file)
        document = yaml.safe_load(file.read_text())
        document["sinks"]["lite"] |= sink
        file.write_text(yaml.safe_dump(document))


@pytest.fixture
def stopped(mysql_db: Database, redis_url: str, tmp_path: Path) -> Stopped:
    target = f"sqlite:///{tmp_path / 'target.db'}"
    shop = Shop(mysql_db, tmp_path, {"lite": {"url": target}}, queue={"url": redis_url, "lanes": 1})
    return Stopped(shop, target)


WHOLE = [(1, "new"), (2, "new"), (3, "three")]


def test_rows_that_are_inserted_where_they_are_missing_let_it_go_on(stopped: Stopped) -> None:
    stopped.configure(missing_rows="insert")
    stopped.shop.drain()
    assert stopped.rows() == WHOLE


def test_as_a_dead_letter_it_waits_for_a_retry_and_the_others_go_on(stopped: Stopped) -> None:
    stopped.configure(on_error="dead_letter")
    stopped.shop.drain()
    assert stopped.rows() == [(1, "new"), (3, "three")]
    assert called("dlq", "retry", stopped.shop.file, "--all").returncode == 0
    assert stopped.rows() == WHOLE
