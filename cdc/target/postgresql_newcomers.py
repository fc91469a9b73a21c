"""Rows that were inserted at the source are mostly new at the target too: then COPY puts them straight into the table, at half of
what a staging table and a merge cost the server.

Where a row is there already (a replay, a restored target), the unique index says so, nothing of the COPY stays, and the rows take
the other way. A table in which that happened is not tried again for some batches, for longer each time.
"""

from dataclasses import dataclass

import psycopg

from cdc.target.postgresql_connection import Connection
from cdc.target.postgresql_steps import Step, copy, refused

_MOST_SKIPPED = 1024
# Unique or exclusion violation.
_TAKEN = frozenset({"23505", "23P01"})
# What takes rows otherwise, but not from COPY (manual, COPY, "Notes"): a view or another thing that is no table; row-level
# security; columns that it must not name.
_NEVER = frozenset({"0A000", "42809", "42501", "428C9", "42P10"})


@dataclass(slots=True)
class _Luck:
    skipping: int = 0
    next_skips: int = 1


class Newcomers:
    """Of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._luck: dict[str, _Luck] = {}

    def forget(self) -> None:
        """Tables may be others by now."""
        self._luck.clear()

    def put_in(self, step: Step) -> bool:
        """Whether all rows of the step were new, and are in the table now; if not, nothing has changed. Raises what `refused`
        makes of other errors."""
        table = step.shape.table.plan.quoted
        luck = self._luck.setdefault(table, _Luck())
        if luck.skipping:
            luck.skipping -= 1
            return False
        self._connection.execute("SAVEPOINT cdc_newcomers")
        try:
            with self._connection.cursor() as cursor:
                copy(cursor, f"{table} ({step.shape.column_list})", step.shape, step.rows)
        except psycopg.Error as error:
            if self._connection.closed or error.sqlstate not in _TAKEN | _NEVER:
                raise refused(error, step) from None
            self._connection.execute("ROLLBACK TO SAVEPOINT cdc_newcomers; RELEASE SAVEPOINT cdc_newcomers")
            luck.skipping = _MOST_SKIPPED if error.sqlstate in _NEVER else luck.next_skips
            luck.next_skips = min(2 * luck.next_skips, _MOST_SKIPPED)
            return False
        self._connection.execute("RELEASE SAVEPOINT cdc_newcomers")
        luck.next_skips = 1
        return True
