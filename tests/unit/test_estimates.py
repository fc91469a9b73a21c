"""What `cdc check` reckons, and what it makes of it."""

from collections.abc import Mapping
from typing import Any

import pytest

from cdc.binlog.port import Retention, TableSize
from cdc.model.checkpoint import Checkpoint, SourcePoint
from cdc.model.config import ConnectorConfig
from cdc.model.copies import Copies, TableCopy
from cdc.processes import estimates
from cdc.processes.check_across import first_copy, large_values
from cdc.processes.check_facts import Facts
from cdc.processes.estimates import first_copy_seconds, largest_message_bytes, message_bytes, spoken
from tests.support.doctor import about, only


def test_a_first_copy_takes_what_its_rows_or_its_bytes_take() -> None:
    narrow = TableSize(20 * estimates.FIRST_COPY_ROWS_PER_SECOND, 1000)
    wide = TableSize(10, 30 * estimates.FIRST_COPY_BYTES_PER_SECOND)
    assert first_copy_seconds([]) == 0
    assert first_copy_seconds([narrow]) == 20
    assert first_copy_seconds([wide]) == 30
    assert first_copy_seconds([narrow, wide]) == 50


def test_a_message_is_an_envelope_and_the_average_row() -> None:
    assert message_bytes([]) == message_bytes([TableSize(0, 16_384)]) == 1100
    assert message_bytes([TableSize(30_000, 3_000_000), TableSize(10_000, 5_000_000)]) == 700 + 4 * 200
    # Two rows take a page of 16 KiB.
    assert message_bytes([TableSize(2, 16_384)]) == 1100


def test_a_long_value_goes_twice_in_base64() -> None:
    assert largest_message_bytes(3 * 2**20) == 700 + 8 * 2**20


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (180, "3 min"), (9000, "2.5 hours"), (4 * 86_400, "4 days")],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


class _Source:
    """What these checks ask of a source."""

    def __init__(self, kept_seconds: float | None, packet: int = 2**20) -> None:
        self._kept_seconds = kept_seconds
        self._packet = packet

    def retention(self) -> Retention:
        return Retention(self._kept_seconds)

    def largest_packet(self) -> int:
        return self._packet


class _Queue:
    def __init__(self, copies: Copies | None) -> None:
        self._copies = copies

    def checkpoint(self) -> Checkpoint | None:
        if self._copies is None:
            return None
        return Checkpoint(1, SourcePoint("s", "mysql-bin.000001", 4), 1, "f", copies=self._copies)


class _Parts:
    def __init__(self, config: ConnectorConfig, source: _Source, copies: Copies | None) -> None:
        self.config = config
        self.source = source
        self.queue = _Queue(copies)


def _facts(
    sizes: Mapping[str, TableSize], source: _Source, copies: Copies | None = None, **source_config: Any
) -> Facts:
    config = ConnectorConfig.model_validate(
        {
            "name": "shop",
            "source": {"url": "mysql://cdc:x@127.0.0.1", "server_id": 1, "tables": ["shop.*"]},
            "queue": {"url": "memory://"},
            "sink": {"url": "memory://"},
            "coordination": {"url": "memory://"},
        }
    )
    # Not validated: what the file may say is not this test's matter.
    changed = config.model_copy(update={"source": config.source.model_copy(update=source_config)})
    return Facts(_Parts(changed, source, copies), (), sizes)  # type: ignore[arg-type]


HOUR_LONG = {"shop.orders": TableSize(3600 * estimates.FIRST_COPY_ROWS_PER_SECOND, 0)}


def test_a_first_copy_is_held_against_the_retention() -> None:
    short = _facts(HOUR_LONG, _Source(6000.0), start="snapshot")
    assert "60 min" in only(first_copy(short), "first copy", "warning").text
    for fine in (
        _facts(HOUR_LONG, _Source(8000.0), start="snapshot"),
        _facts(HOUR_LONG, _Source(None), start="snapshot"),
        _facts(HOUR_LONG, _Source(6000.0), start="latest"),
    ):
        assert about(first_copy(fine), "first copy", "ok")
    assert list(first_copy(_facts({}, _Source(1.0), start="snapshot"))) == []


def test_of_a_copy_that_is_under_way_only_what_is_left_counts() -> None:
    half = TableCopy("shop", "orders", rows=5, estimated=10)
    under_way = Copies(3, tables=(half,))
    assert "30 min" in only(first_copy(_facts(HOUR_LONG, _Source(3000.0), under_way)), "first copy", "warning").text
    assert about(first_copy(_facts(HOUR_LONG, _Source(6000.0), under_way, start="snapshot")), "first copy", "ok")


@pytest.mark.parametrize("copies", [Copies(), Copies(5, done=("shop.orders",)), Copies(5, given_up=("shop.orders",))])
def test_nothing_is_said_of_a_copy_that_is_done_or_will_not_be_made(copies: Copies) -> None:
    assert list(first_copy(_facts(HOUR_LONG, _Source(1.0), copies, start="snapshot"))) == []


def test_a_table_that_came_later_is_still_to_be_copied() -> None:
    others = Copies(5, done=("shop.items",))
    assert only(first_copy(_facts(HOUR_LONG, _Source(1.0), others, start="snapshot")), "first copy", "warning")
    assert list(first_copy(_facts(HOUR_LONG, _Source(1.0), others))) == []


def test_values_that_no_message_can_hold() -> None:
    sizes = {"shop.files": TableSize(1, 1, ("body",)), "shop.orders": TableSize(1, 1)}
    large = only(large_values(_facts(sizes, _Source(None, 64 * 2**20))), "max_allowed_packet", "warning")
    assert "shop.files.body" in large.text
    assert about(large_values(_facts(sizes, _Source(None, 16 * 2**20))), "max_allowed_packet", "ok")
    hidden = _facts(sizes, _Source(None, 64 * 2**20), exclude_columns=("shop.files.*",))
    assert list(large_values(hidden)) == []
