"""Where a reader begins when the queue is gone, and some lanes have applied nothing so far."""

from collections.abc import Sequence as Many
from typing import Any, cast

import pytest

from cdc.binlog.port import Source
from cdc.binlog.rows_port import RowSource
from cdc.model.checkpoint import LaneCount, Progress, SourcePoint
from cdc.model.config import ConnectorConfig
from cdc.model.copies import NO_COPIES, Copies, KeyRange, TableCopy
from cdc.model.errors import Gap
from cdc.model.position import ORIGIN, Sequence
from cdc.model.schema import TableSchema
from cdc.processes.resume import resume, routing_fingerprint
from tests.support.queues import connector

APPLIED_TO = SourcePoint("s1", "mysql-bin.000002", 500)
ORDERS = TableSchema("shop", "orders", (), ())
ITEMS = TableSchema("shop", "items", (), ())


class _Source:
    """A source that has all of its binlog; its tables are as they are named."""

    def verify(self, point: SourcePoint) -> SourcePoint:
        return point

    def resolve(self, start: str) -> SourcePoint:
        file, _, offset = start.rpartition(":")
        return SourcePoint("s1", file, int(offset))

    def end(self) -> SourcePoint:
        return SourcePoint("s1", "mysql-bin.000002", 900)

    def tables(self) -> Many[TableSchema]:
        return ORDERS, ITEMS

    def tables_with_further_unique_keys(self) -> Many[str]:
        return ()

    def estimated_rows(self, db: str, table: str) -> int:
        return 10


def _config(start: str) -> ConnectorConfig:
    config = connector("redis://127.0.0.1", name="resumed")
    return config.model_copy(update={"source": config.source.model_copy(update={"start": start})})


def _progress(config: ConnectorConfig, watermarks: dict[str, Sequence]) -> dict[str, dict[str, Progress]]:
    routing = routing_fingerprint(config, ())
    return {
        "one": {
            lane: Progress(lane, 1, 1, mark, 5 if mark > ORIGIN else 0, point=APPLIED_TO, fingerprint=routing)
            if mark > ORIGIN
            else Progress(lane, 1)
            for lane, mark in watermarks.items()
        }
    }


def _resumed(start: str, watermarks: dict[str, Sequence], noted: Copies | None) -> Any:
    config, source = _config(start), _Source()
    return resume(
        None,
        _progress(config, watermarks),
        cast(Source, source),
        cast(RowSource, source),
        config,
        lambda: noted,
    )


PART = {"0": Sequence(1, 2, 600, 3), "1": ORIGIN}


@pytest.mark.parametrize("noted", [None, NO_COPIES.begun([TableCopy("shop", "orders")]).anew()])
def test_a_connector_that_begins_with_copies_copies_all_anew(noted: Copies | None) -> None:
    found = _resumed("snapshot", PART, noted)
    assert found.generation == 2
    assert found.point == APPLIED_TO
    assert found.lanes == {"0": LaneCount(), "1": LaneCount()}
    assert {copy.name: copy.ranges for copy in found.copies.tables} == {
        "shop.orders": (KeyRange(),),
        "shop.items": (KeyRange(),),
    }
    assert found.copies.step > (noted.step if noted else 0)


def test_any_other_has_nothing_to_go_by() -> None:
    with pytest.raises(Gap, match="some lanes have not applied anything"):
        _resumed("latest", PART, None)


def test_where_all_lanes_have_applied_something_nothing_is_copied_again() -> None:
    found = _resumed("snapshot", {"0": Sequence(1, 2, 600, 3), "1": Sequence(1, 2, 590, 0)}, None)
    assert found.generation == 1
    assert found.lanes["0"] == LaneCount(5, Sequence(1, 2, 600, 3))
    assert found.copies == NO_COPIES
