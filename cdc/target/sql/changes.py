# ruff: noqa: S608 - names are quoted by cdc.target.sql.names, values are literals of cdc.target.sql.literals
"""What the SQL targets do alike to repeat a schema change; an adapter brings the hands that do it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from cdc.model.errors import RowRefused, TargetRefused
from cdc.model.schema_change import SchemaChange
from cdc.target.carried import changes_keys, keys_wait, line_of
from cdc.target.sql.dialects import SqlDialect
from cdc.target.sql.evolve import Evolution, evolve, no_date_at_postgresql
from cdc.target.sql.literals import literal
from cdc.target.sql.names import TargetName, quote, quote_table, shown
from cdc.target.sql.plan import Planner
from cdc.target.sql.reflect import Found
from cdc.target.sql.statements import statements


class Hands(Protocol):
    """One adapter's way to the target, within the lane's transaction or beside it."""

    def do(self, sql: str) -> None:
        """One DDL statement, without parameters."""

    def alter(self, name: TargetName, found: Found, change: SchemaChange) -> None:
        """Plans by `planned` and does it."""

    def is_so(self, sql: str) -> bool:
        """Whether a query gives a row."""

    def letters(self, statement: str, change: SchemaChange) -> bool:
        """One of Statements' *_table_letters, in the lane's transaction; whether it gave a row."""


def repeat(planner: Planner, hands: Hands, change: SchemaChange) -> None:
    """LaneWriter.change_schema, for errors within `refusing`; the plans are forgotten, whatever comes of it.

    The dead letters come before the table: where DDL commits by itself, a settlement would find the table changed, and them not.
    """
    sql = statements(planner.server.dialect)
    name = planner.name(change.db, change.table)
    try:
        if change.kind == "create":
            _create(planner, change)
        elif change.kind == "drop":
            hands.letters(sql.drop_table_letters, change)
            hands.do(f"DROP TABLE IF EXISTS {quote_table(planner.server.dialect, name)}")
        elif change.kind == "rename" and change.to is not None:
            hands.letters(sql.move_table_letters, change)
            _rename(planner, hands, name, change)
        elif change.kind == "alter":
            if changes_keys(change) and hands.letters(sql.has_table_letters, change):
                raise keys_wait(change)
            hands.letters(sql.alter_table_letters, change)
            found = planner.found(name)
            if found is not None:
                hands.alter(name, found, change)
                for statement in refills(planner.server.dialect, name, change):
                    hands.do(statement)
    finally:
        planner.forget()


def table_letters(connector: str, sink: str, change: SchemaChange) -> dict[str, Any]:
    """The parameters of Statements' *_table_letters."""
    old: dict[str, Any] = {"connector": connector, "sink": sink, "db_name": change.db, "table_name": change.table}
    if change.kind == "alter":
        return {**old, "line": line_of(change)}
    return old if change.to is None else {**old, "new_db": change.to[0], "new_table": change.to[1]}


def refills(dialect: SqlDialect, name: TargetName, change: SchemaChange) -> Iterator[str]:
    """A rewind has brought rows that the target lacked, as they were before their table got a column that it has by now. What
    they have in it comes from this change; where a later one made it NULL, that comes again too."""
    if not change.again:
        return
    table = quote_table(dialect, name)
    for column, fill in change.fills():
        if dialect.name != "postgresql" or not no_date_at_postgresql(column, fill):
            quoted = quote(dialect, column.name)
            yield f"UPDATE {table} SET {quoted} = {literal(dialect, column, fill)} WHERE {quoted} IS NULL"


def planned(planner: Planner, hands: Hands, name: TargetName, found: Found, change: SchemaChange) -> Evolution:
    """The plan, once its checks have found nothing against it."""
    evolution = evolve(planner.server, name, found, change)
    for check in evolution.checks:
        if hands.is_so(check.sql):
            raise TargetRefused(check.problem, hint=check.hint)
    return evolution


@contextmanager
def refusing(change: SchemaChange) -> Iterator[None]:
    """What a server says of rows in the way is no row's refusal here: no event could be parked for it."""
    try:
        yield
    except RowRefused as error:
        raise TargetRefused(
            f"the schema change of {shown(change.name)} cannot be repeated at the target: {error.message}",
            hint="look at the rows in its way, and at the source's: bring both to the same values, then start again",
        ) from None


def _create(planner: Planner, change: SchemaChange) -> None:
    """A table without a key or of an unknown shape is left to its first row, and so is one that is not ours to make."""
    if change.schema is not None and change.schema.key and planner.makes_tables:
        planner.plan(change.schema)


def _rename(planner: Planner, hands: Hands, name: TargetName, change: SchemaChange) -> None:
    planner.forget()
    new = planner.name(*(change.to or ("", "")))
    if new != name and planner.exists(name):
        if planner.exists(new):
            raise TargetRefused(
                f"the target's table {shown(str(name))} cannot become {shown(str(new))}: both are there",
                hint="drop or rename the one that is not the source's",
            )
        for statement in renaming(planner.server.dialect, name, new):
            hands.do(statement)


def renaming(dialect: SqlDialect, old: TargetName, new: TargetName) -> list[str]:
    if dialect.name == "mysql":
        return [f"RENAME TABLE {quote_table(dialect, old)} TO {quote_table(dialect, new)}"]
    if old.schema == new.schema:
        return [f"ALTER TABLE {quote_table(dialect, old)} RENAME TO {quote(dialect, new.table)}"]
    if dialect.name == "sqlite" or new.schema is None:
        raise TargetRefused(
            f"the target's table {shown(str(old))} cannot move to {shown(str(new))}",
            hint="copy it by hand, and drop the old one",
        )
    between = TargetName(old.schema, new.table)
    moved = [f"ALTER TABLE {quote_table(dialect, between)} SET SCHEMA {quote(dialect, new.schema)}"]
    return ([] if between == old else renaming(dialect, old, between)) + moved
