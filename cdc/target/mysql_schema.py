"""Schema changes at MySQL and MariaDB, where DDL commits by itself.

The lane's connection keeps its transaction, and with it the progress row's lock; the DDL goes through a second connection.
In this order, so that a worker that was stopped anywhere and wakes after it was overtaken changes nothing:

1. the second connection is opened and takes a named lock that belongs to the lane;
2. the lane's connection is asked whether it still lives: it has the row's lock, or it is gone;
3. the DDL.

Whoever takes the lane over has the token first, and then ends the connection that holds the named lock (`end_ddl`), and waits
until it is gone. So either 2 fails, or the lock was there to be found before 3.

An alteration is one statement, which InnoDB does whole or not at all, and a tail that may be done twice. Before it, the columns
as they are and the change are recorded in `_cdc_intents`: a table that has changed since then has had its statement, which names
that change places would not tell. The record goes in the lane's transaction.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson

from cdc.model.errors import TargetBusy
from cdc.model.schema_change import SchemaChange
from cdc.observe.failpoints import failpoint
from cdc.target.mysql_session import Session
from cdc.target.sql.changes import planned, table_letters
from cdc.target.sql.evolve import filling
from cdc.target.sql.names import TargetName
from cdc.target.sql.plan import Planner
from cdc.target.sql.reflect import Found
from cdc.target.sql.reshape import reshape

_MAKE = """
CREATE TABLE IF NOT EXISTS _cdc_intents (
  connector VARCHAR(48) NOT NULL, sink VARCHAR(48) NOT NULL, db_name VARCHAR(64) NOT NULL, table_name VARCHAR(64) NOT NULL,
  watermark VARCHAR(100) NOT NULL, schema_change LONGTEXT NOT NULL, columns_before LONGTEXT NOT NULL,
  recorded_at DATETIME NOT NULL, PRIMARY KEY (connector, sink, db_name, table_name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
"""
_THERE = (
    "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '_cdc_intents'"
)
_MINE = "connector = %(connector)s AND sink = %(sink)s AND db_name = %(db_name)s AND table_name = %(table_name)s"
_READ = f"SELECT watermark, schema_change, columns_before FROM _cdc_intents WHERE {_MINE}"  # noqa: S608 — a constant
_RECORD = """
REPLACE INTO _cdc_intents VALUES (%(connector)s, %(sink)s, %(db_name)s, %(table_name)s, %(watermark)s, %(schema_change)s,
  %(columns_before)s, UTC_TIMESTAMP())
"""
_DONE = f"DELETE FROM _cdc_intents WHERE {_MINE}"  # noqa: S608 — a constant
_COLUMNS = """
SELECT c.COLUMN_NAME, c.COLUMN_TYPE, c.IS_NULLABLE, c.COLLATION_NAME, k.ORDINAL_POSITION
FROM information_schema.COLUMNS AS c LEFT JOIN information_schema.KEY_COLUMN_USAGE AS k
  ON k.TABLE_SCHEMA = c.TABLE_SCHEMA AND k.TABLE_NAME = c.TABLE_NAME AND k.COLUMN_NAME = c.COLUMN_NAME
  AND k.CONSTRAINT_NAME = 'PRIMARY'
WHERE c.TABLE_SCHEMA = COALESCE(%(schema)s, DATABASE()) AND c.TABLE_NAME = %(table)s ORDER BY c.ORDINAL_POSITION
"""


class Lane(NamedTuple):
    """Whose transaction it is. `watermark`: the progress row's, which tells this change from a later one of the same text."""

    connector: str
    sink: str
    lane: str
    watermark: str

    @property
    def names(self) -> dict[str, str]:
        return {"connector": self.connector, "sink": self.sink}


def lock_name(session: Session, names: Mapping[str, str], lane: str) -> str:
    """The named lock of a lane's second connection; such locks are the whole server's."""
    ((database,),) = session.rows("SELECT DATABASE()")
    text = "\0".join((str(database), names["connector"], names["sink"], lane))
    return f"lockstep-ddl-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def end_ddl(session: Session, name: str) -> None:
    """Ends the second connection of the lane's former holder, and waits until it is gone: a statement that is killed may still
    do its last step. Raises TargetBusy where that takes longer than half a lease."""
    if not session.end_session(name):
        return
    _lock(session, name)
    session.rows("SELECT RELEASE_LOCK(%(name)s)", {"name": name})


def _lock(session: Session, name: str) -> None:
    ((got,),) = session.rows(
        "SELECT GET_LOCK(%(name)s, %(seconds)s)", {"name": name, "seconds": session.lock_wait_seconds}
    )
    if got != 1:
        raise TargetBusy(
            "a schema change of the lane's former holder is still at work at the target", hint="it is tried again"
        )


class SchemaHands:
    """See cdc.target.sql.changes.Hands. PyMySQL's errors pass through."""

    def __init__(self, lane: Lane, session: Session, ddl: Session, planner: Planner) -> None:
        self._lane = lane
        self._session = session
        self._ddl = ddl
        self._planner = planner

    def do(self, sql: str) -> None:
        failpoint("sink.altering")
        self._ddl.run(sql)

    def is_so(self, sql: str) -> bool:
        return bool(self._ddl.rows(sql))

    def letters(self, statement: str, change: SchemaChange) -> bool:
        return bool(self._session.rows(statement, table_letters(**self._lane.names, change=change)))

    def alter(self, name: TargetName, found: Found, change: SchemaChange) -> None:
        mine = {**self._lane.names, "db_name": change.db, "table_name": change.table}
        intent = {"watermark": self._lane.watermark, "schema_change": orjson.dumps(change.to_json()).decode()}
        now = self._columns(name)
        before = self._recorded({**mine, **intent})
        if before is not None and before != now and _is_done(name, before, now, change):
            tail = filling(self._planner.server, name, [column[0] for column in before], change)
        else:
            evolution = planned(self._planner, self, name, found, change)
            tail = evolution.tail
            if evolution:
                record = {**mine, **intent, "columns_before": orjson.dumps(now).decode()}
                self._ddl.run(_MAKE)
                self._ddl.run(_RECORD, record)
            for statement in evolution.alter:
                self.do(statement)
        for statement in tail:
            self.do(statement)
        if self._has_intents():
            self._session.run(_DONE, mine)

    def _recorded(self, wanted: Mapping[str, str]) -> list[list[Any]] | None:
        """The columns before this very change was begun; None where it was not."""
        if not self._has_intents():
            return None
        for watermark, change, columns in self._ddl.rows(_READ, wanted):
            if (watermark, change) == (wanted["watermark"], wanted["schema_change"]):
                made: list[list[Any]] = orjson.loads(columns)
                return made
        return None

    def _columns(self, name: TargetName) -> list[list[Any]]:
        rows = self._ddl.rows(_COLUMNS, {"schema": name.schema, "table": name.table})
        return [[None if value is None else str(value) for value in row] for row in rows]

    def _has_intents(self) -> bool:
        return bool(self._ddl.rows(_THERE)[0][0])


def _is_done(name: TargetName, before: list[list[Any]], now: list[list[Any]], change: SchemaChange) -> bool:
    """Whether the table has the columns that the change gives it, and not others, made by somebody meanwhile."""
    wanted = reshape(str(name), [column[0] for column in before], change.steps, str.casefold)
    return {place.name.casefold() for place in wanted.places} == {column[0].casefold() for column in now}


@contextmanager
def second_connection(session: Session, open_ddl: Callable[[], Session], name: str) -> Iterator[Session]:
    """Steps 1 and 2 of the module's three. PyMySQL's errors pass through."""
    ddl = open_ddl()
    try:
        end_ddl(ddl, name)
        _lock(ddl, name)
        session.rows("SELECT 1")
        yield ddl
    finally:
        ddl.close()
