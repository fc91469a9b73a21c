"""Schema changes at PostgreSQL: DDL in the lane's own transaction, so that a fenced or a killed worker leaves nothing behind."""

from collections.abc import Mapping

from cdc.model.schema_change import SchemaChange
from cdc.observe.failpoints import failpoint
from cdc.target.postgresql_connection import Connection
from cdc.target.sql.changes import planned, table_letters
from cdc.target.sql.names import TargetName
from cdc.target.sql.plan import Planner
from cdc.target.sql.reflect import Found

# ALTER TABLE waits for the table's readers, and all that comes behind it waits for it: better to let them by and to try again.
_MOST_WAIT_SECONDS = 2.0


class SchemaHands:
    """See cdc.target.sql.changes.Hands. psycopg's errors pass through."""

    def __init__(
        self, connection: Connection, planner: Planner, names: Mapping[str, str], lease_seconds: float
    ) -> None:
        self._connection = connection
        self._planner = planner
        self._names = dict(names)
        wait_seconds = min(max(1.0, lease_seconds / 2), _MOST_WAIT_SECONDS)
        connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{wait_seconds * 1000:.0f}",))

    def do(self, sql: str) -> None:
        failpoint("sink.altering")
        self._connection.execute(sql.encode())

    def alter(self, name: TargetName, found: Found, change: SchemaChange) -> None:
        evolution = planned(self._planner, self, name, found, change)
        for statement in (*evolution.alter, *evolution.tail):
            self.do(statement)

    def is_so(self, sql: str) -> bool:
        return self._connection.execute(sql.encode()).fetchone() is not None

    def letters(self, statement: str, change: SchemaChange) -> bool:
        cursor = self._connection.execute(statement, table_letters(**self._names, change=change))
        return cursor.description is not None and cursor.fetchone() is not None
