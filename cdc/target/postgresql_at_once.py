# ruff: noqa: S608 - names in statements are quoted by cdc.target.sql.names, values are parameters
"""A small transaction as one statement: one round trip, and a fifth of the CPU of six statements, here and at the server.

    WITH held AS (UPDATE _cdc_progress SET … WHERE … AND token = … AND NOT EXISTS (… dead letters …) RETURNING …),
         rows AS (INSERT INTO t … SELECT … FROM held, json_to_recordset(…) …)
    SELECT … FROM held

Why a fenced holder writes nothing: the progress row moves by its token only, and rows come from a join with what moved. The
UPDATE waits for whoever has the row locked, and then looks at the token anew (manual, 13.2.1 "Read Committed Isolation Level";
the session's default is set to that level). What a statement does is committed whole, or not at all.

Only one step's rows: parts of one statement see the table as it was before it, and run in no order that one could rely on.
"""

import re
from typing import Final

import psycopg

from cdc.model.checkpoint import Progress
from cdc.model.errors import TargetUnavailable
from cdc.target.postgresql_bulk import Shape
from cdc.target.postgresql_connection import Connection
from cdc.target.postgresql_errors import kind_of, mapped
from cdc.target.postgresql_steps import Step
from cdc.target.sql.dialects import POSTGRESQL
from cdc.target.sql.statements import statements
from cdc.target.sql.tables import lane_row

_HELD: Final = "_cdc_held"
_ROWS: Final = "_cdc_rows"
_MOST_SKIPPED: Final = 256


def _numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """The statement in PostgreSQL's own form, and its parameters' names in the order of their numbers. psycopg looks through the
    text of any other at each use, where it is a long one."""
    names = tuple(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
    return re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", sql), names


_MOVE, _NAMES = _numbered(
    f"{statements(POSTGRESQL).move_progress} AND NOT EXISTS"
    " (SELECT FROM _cdc_dead_letters WHERE connector = %(connector)s AND sink = %(sink)s) RETURNING 1"
)


def statement(step: Step | None) -> str:
    """Gives one row where it was done. Its parameters: those of `_NAMES`, then the rows and, where one may be missing, their
    number. A row that is missing makes it fail."""
    held = f"WITH {_HELD} AS ({_MOVE})"
    if step is None:
        return f"{held} SELECT 1 FROM {_HELD}"
    rows = step.shape.records_behind(step.kind, _HELD, f"${len(_NAMES) + 1}")
    # Division by zero: nothing else fails on a condition in plain SQL.
    told = f"1 / ((SELECT count(*) FROM {_ROWS}) = ${len(_NAMES) + 2}::bigint)::int" if step.missing else "1"
    return f"{held}, {_ROWS} AS ({rows} RETURNING 1) SELECT {told} FROM {_HELD}"


class AtOnce:
    """Of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._cursor = psycopg.RawCursor(connection)
        self._texts: dict[tuple[Shape | None, str, bool], str] = {}
        self._skipping = 0
        self._next_skips = 1

    def forget(self) -> None:
        """Shapes are made anew: the texts of old ones are of no more use."""
        self._texts.clear()

    def skip(self) -> bool:
        """Whether not to try now. What failed will often fail again: then it is tried after some batches, after more of them each
        time."""
        if self._skipping:
            self._skipping -= 1
            return True
        return False

    def run(self, step: Step | None, connector: str, sink: str, progress: Progress) -> bool:
        """Whether it was done; if not, nothing has changed. Raises TargetUnavailable."""
        values = lane_row(connector, sink, progress, session="")
        # All as text: a number's size would be part of its type, and each type makes another prepared statement.
        parameters = [None if (value := values[name]) is None else str(value) for name in _NAMES]
        if step is not None:
            parameters.append(step.parameter)
            if step.missing:
                parameters.append(str(len(step.rows)))
        try:
            done = self._cursor.execute(self._text(step), parameters).rowcount == 1
        except psycopg.Error as error:
            if kind_of(error) is TargetUnavailable:
                raise mapped(error) from None
            done = False
        if done:
            self._next_skips = 1
        else:
            self._skipping = self._next_skips
            self._next_skips = min(2 * self._next_skips, _MOST_SKIPPED)
        return done

    def _text(self, step: Step | None) -> str:
        key = (None, "", False) if step is None else (step.shape, step.kind, step.missing)
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = statement(step)
        return text
