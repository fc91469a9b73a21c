"""Many rows quickly: a server makes them itself, from numbers."""

from collections.abc import Iterator

PORTION = 100_000


def numbered(rows: int, portion: int = PORTION) -> Iterator[str]:
    """Tables for FROM, at MySQL and MariaDB, with the numbers `n` from 0 to below `rows`: portion by portion, so that no
    transaction grows large."""
    digits = (
        "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5"
        " UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
    )
    powers = range(len(str(portion - 1)))
    sum_of = " + ".join(f"{10**power} * d{power}.d" for power in powers)
    joined = ", ".join(f"{digits} d{power}" for power in powers)
    for first in range(0, rows, portion):
        least = min(portion, rows - first)
        yield f"(SELECT {first} + m AS n FROM (SELECT {sum_of} AS m FROM {joined}) made WHERE m < {least}) numbers"
