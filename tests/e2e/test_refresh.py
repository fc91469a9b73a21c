"""Rows that a range of the binlog touched, or that differ, come to their present state while they go on changing."""

from pathlib import Path

import orjson
import pytest

from tests.e2e.conftest import position, queue_sections
from tests.fixtures.servers import Database
from tests.support.pipeline import cdc, connector, write_connector
from tests.support.refreshed import Versions, in_step, refreshed_under_change, spoil
from tests.support.sides import differences, rows

ROWS = 400


@pytest.mark.parametrize(
    ("source", "queue", "target_url"),
    [("mysql", "redis", "postgresql"), ("mariadb", "kafka", "postgresql")],
    indirect=["source", "target_url"],
)
def test_a_refresh_brings_touched_rows_to_the_present_and_none_goes_back(
    source: Database, queue: str, target_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    refreshed_under_change(source, target_url, queue_sections(queue, request), tmp_path, ROWS)


@pytest.mark.parametrize(
    ("source", "queue", "target_url"), [("mysql", "redis", "postgresql")], indirect=["source", "target_url"]
)
def test_what_verify_finds_is_repaired_under_load_and_found_no_more(
    source: Database, queue: str, target_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with in_step(source, target_url, queue_sections(queue, request), tmp_path, ROWS) as (fleet, _):
        spoil(target_url, ROWS)
        # The rows that differ stand still: what changes is mended by its change.
        with Versions(source, ROWS, step=2 * 5):
            found = cdc("verify", str(fleet.file), "--repair", "--json")
            assert found.returncode == 1, found.stderr
            document = orjson.loads(found.stdout)
            (table,) = document["tables"]
            assert table["extra"] == 1
            assert (table["missing"], table["different"]) == (39, 39)
            assert document["repaired"] == 39 + 39 + 1
            again = cdc("verify", str(fleet.file), "--json")
        assert again.returncode == 0, again.stdout
        fleet.drain(60)
    assert differences(rows(source.url, "v", ("id",)), rows(target_url, "v", ("id",))) == []


def test_a_range_that_ends_before_it_begins_is_refused(
    mysql_db: Database, pg_db: str, redis_url: str, tmp_path: Path
) -> None:
    place = position(mysql_db)
    document = connector(
        "refresh-none", source_url=mysql_db.server.url, target_url=pg_db, tables=[f"{mysql_db.dbname}.*"],
        queue={"url": redis_url},
    )  # fmt: skip
    file = write_connector(tmp_path, document)
    done = cdc("replay", str(file), "--from", place, "--table", "x.y")
    assert done.returncode == 2
    assert "--to" in done.stderr
    assert "Traceback" not in done.stderr
