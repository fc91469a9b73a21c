"""What `cdc check` reckons before anything has run: how long a first copy takes, how large messages are. Pure; estimates, all
of them."""

from collections.abc import Iterable
from typing import Final

from cdc.binlog.port import TableSize

FIRST_COPY_ROWS_PER_SECOND: Final = 20_000
"""A fifth of what docs/benchmarks.md has for sysbench's rows from MySQL to PostgreSQL: a production server has other work too."""
FIRST_COPY_BYTES_PER_SECOND: Final = 20_000_000
"""Of wide rows it is their bytes that take the time."""
ENVELOPE_BYTES: Final = 700
"""What a message has beside its row: Debezium's envelope with our `source`, as tests/unit/golden_events has it, rounded up."""
IMAGES: Final = 4
"""An update has two images, and a row as JSON, with the names of its columns, about twice the bytes that it has in the table."""
_UNKNOWN_ROW_BYTES: Final = 100
_TELLING_ROWS: Final = 1000
"""A table takes whole pages of 16 KiB, however few rows it has: with fewer than these their average says nothing."""
_BASE64: Final = 4 / 3


def first_copy_seconds(sizes: Iterable[TableSize]) -> float:
    """All tables one after the other: several at once share the same server, queue and target."""
    return sum(
        max(size.rows / FIRST_COPY_ROWS_PER_SECOND, size.row_bytes / FIRST_COPY_BYTES_PER_SECOND) for size in sizes
    )


def message_bytes(sizes: Iterable[TableSize]) -> int:
    """Of a change event, on average over all rows of all tables that have enough to tell."""
    known = [size for size in sizes if size.rows >= _TELLING_ROWS]
    rows = sum(size.rows for size in known)
    row_bytes = sum(size.row_bytes for size in known) / rows if rows else _UNKNOWN_ROW_BYTES
    return ENVELOPE_BYTES + round(IMAGES * row_bytes)


def largest_message_bytes(value_bytes: int) -> int:
    """Of a change event with one value that long before and after."""
    return ENVELOPE_BYTES + round(2 * _BASE64 * value_bytes)


def spoken(seconds: float) -> str:
    """`40 s`, `3 min`, `2.5 hours`, `4 days`."""
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "hours")):
        if seconds < limit:
            return f"{seconds / size:.{1 if unit == 'hours' else 0}f} {unit}"
    return f"{seconds / 86_400:.0f} days"
