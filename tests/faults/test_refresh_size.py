"""A refresh of many rows while the same rows go on changing: none goes back in time at the target.

CDC_REFRESH_ROWS sets how many (100,000 for the full run).
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.servers import Database
from tests.support.chaos import queue_sections
from tests.support.refreshed import refreshed_under_change

ROWS = int(os.environ.get("CDC_REFRESH_ROWS", "5000"))
SECONDS = 300 + ROWS / 100

pytestmark = [pytest.mark.faults, pytest.mark.timeout(4 * SECONDS)]


def test_a_refresh_of_many_rows_that_go_on_changing_takes_none_back(
    mysql_db: Database, pg_db: str, request: pytest.FixtureRequest, measured: Callable[[str], None], tmp_path: Path
) -> None:
    # Some at once, so that all rows change while they are refreshed, and not so many that the sink never comes up to them.
    changed, looks = refreshed_under_change(
        mysql_db,
        pg_db,
        queue_sections(request, "redis"),
        tmp_path,
        ROWS,
        neighbours=min(20, max(1, ROWS // 500)),
        seconds=SECONDS,
    )
    measured(f"{ROWS} rows, {changed} changes of them meanwhile, looked at {looks} times")
