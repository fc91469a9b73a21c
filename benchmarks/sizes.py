"""How much is measured: as much as about a quarter of an hour allows, or little, to see that it works (`--quick`)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """`slow_rows`: what is read by those that would take minutes over the whole binlog; a rate is a rate. `queue_rows`: through
    a queue, so that a turn lasts a second or more."""

    rounds: int = 3
    # On top, for sinks and the bare loops that they are held to: the ratio wanted is close to 1, and one turn differs by a tenth.
    more_rounds: int = 4
    # A second or more of a turn, for the limit too.
    bulk_rows: int = 4_000_000
    small_transactions: int = 100_000
    wide_rows: int = 24_000
    json_rows: int = 60_000
    blob_rows: int = 40_000
    slow_rows: int = 120_000
    queue_rows: int = 400_000
    huge_rows: int = 1_000_000
    huge_row_bytes: int = 1_000
    # Several seconds of a turn: what a process does once, with its first rows, does not count for much.
    apply_rows: int = 400_000
    end_to_end_rows: int = 300_000
    copy_rows: int = 1_000_000
    latency_rates: tuple[int, ...] = (100, 500, 2_000)
    latency_seconds: float = 15
    latency_warm_seconds: float = 5
    growth_rows: int = 60_000
    transaction_rows: tuple[int, ...] = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
    columns: tuple[int, ...] = (4, 10, 40, 100, 200, 400)
    lanes: tuple[int, ...] = (1, 2, 4, 8, 16)
    tables: tuple[int, ...] = (1, 10, 100, 500, 2_000)
    timeout_seconds: float = 300


QUICK = Sizes(
    rounds=1,
    more_rounds=0,
    bulk_rows=40_000,
    small_transactions=4_000,
    wide_rows=1_000,
    json_rows=4_000,
    blob_rows=2_000,
    slow_rows=16_000,
    queue_rows=16_000,
    huge_rows=0,
    apply_rows=20_000,
    end_to_end_rows=30_000,
    copy_rows=40_000,
    latency_rates=(100, 500),
    latency_seconds=3,
    latency_warm_seconds=1,
    growth_rows=4_000,
    transaction_rows=(1, 100, 10_000),
    columns=(4, 40, 400),
    lanes=(1, 4, 16),
    tables=(1, 20, 200),
    timeout_seconds=120,
)
