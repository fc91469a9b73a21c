"""Lockstep's own tables at a target: rows and values, there and back."""

import pytest

from cdc.model.checkpoint import Progress
from cdc.target.sql.dialects import MYSQL, POSTGRESQL, SQLITE
from cdc.target.sql.statements import PROGRESS, statements
from cdc.target.sql.tables import lane_row, letter_row, parked_key, progress_of, stored_letter
from tests.support.targets import letter, moved


@pytest.mark.parametrize("progress", [Progress("t/1", 3), moved(Progress("t/1", 3), 8)])
def test_a_progress_row_is_the_same_progress_again(progress: Progress) -> None:
    row = lane_row("shop", "sink", progress, "session 5")
    columns = [c.name for c in PROGRESS if c.name not in {"connector", "sink", "session", "updated_at"}]
    assert progress_of([*(row[name] for name in columns), row["session"]]) == (progress, "session 5")


def test_statements_have_a_parameter_for_all_that_a_row_gives() -> None:
    row = lane_row("shop", "sink", Progress("0"), "")
    for dialect, mark in ((POSTGRESQL, "%({})s"), (MYSQL, "%({})s"), (SQLITE, ":{}")):
        sql = statements(dialect)
        for name in row:
            assert mark.format(name) in sql.insert_progress
        assert "FOR UPDATE" in sql.lock_progress or dialect is SQLITE
        assert mark.format("limit") in sql.list_letters


def test_a_letters_key_comes_back_in_its_types() -> None:
    row = letter_row("shop", "sink", "0", letter("ü"))
    assert parked_key((row["db_name"], row["table_name"], row["key_json"])) == ("shop", "orders", ("ü",))
    stored = stored_letter((4, "0", "shop", "orders", row["key_json"], row["seq"], "why", "then", memoryview(b"x")))
    assert (stored.id, stored.key_json, stored.value) == (4, '{"1":"ü"}'.encode(), b"x")
