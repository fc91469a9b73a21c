"""Identifiers: quoted by SQLAlchemy's preparer, after the checks that it does not make."""

import re
from typing import NamedTuple

from cdc.model.errors import TargetRefused
from cdc.target.sql.dialects import SqlDialect

OWN_TABLES = ("_cdc_progress", "_cdc_dead_letters", "_cdc_intents")
_DOT = re.compile(r"(?<=[}\w])\.(?=[{\w])")


class TargetName(NamedTuple):
    """A table at the target; `schema` is None for the connection's own (PostgreSQL: search_path, MySQL: database)."""

    schema: str | None
    table: str

    def __str__(self) -> str:
        return self.table if self.schema is None else f"{self.schema}.{self.table}"


def target_name(template: str, db: str, table: str) -> TargetName:
    """The name that `sink.table` makes of a source table.

    A dot that stands in the template itself parts schema and table (`{db}.{table}`); dots in the source's names are kept
    as what they are. Raises TargetRefused for the names that Lockstep keeps for itself.
    """
    parts = _DOT.split(template, maxsplit=1)
    filled = [part.format(db=db, table=table) for part in parts]
    name = TargetName(filled[0], filled[1]) if len(filled) == 2 else TargetName(None, filled[0])
    if name.table.lower() in OWN_TABLES:
        raise TargetRefused(
            f"table {shown(f'{db}.{table}')} would be written to {name.table}, which Lockstep keeps for itself",
            hint="leave it out of sink.tables, or give sink.table a prefix",
        )
    return name


def shown(name: str) -> str:
    """A name for people, on one line whatever is in it."""
    return name if name.isprintable() else name.encode("unicode_escape").decode("ascii")


def quote(dialect: SqlDialect, name: str) -> str:
    """`name` as a quoted identifier, always quoted; raises TargetRefused for what the dialect cannot keep exactly.

    Percent signs are not doubled: a statement that is executed with parameters doubles them (`doubled`).
    """
    check(dialect, name)
    return dialect.plain.identifier_preparer.quote_identifier(name)


def quote_table(dialect: SqlDialect, name: TargetName) -> str:
    table = quote(dialect, name.table)
    return table if name.schema is None else f"{quote(dialect, name.schema)}.{table}"


def doubled(sql: str) -> str:
    """A statement without placeholders, made safe for a driver that looks for `%s`."""
    return sql.replace("%", "%%")


def check(dialect: SqlDialect, name: str) -> None:
    """Raises TargetRefused unless the dialect keeps this identifier exactly as it is."""
    problem = _problem(dialect, name)
    if problem:
        raise TargetRefused(
            f"{dialect.product} cannot have the name '{shown(name)}': {problem}",
            hint="rename it at the source, leave it out (sink.tables, source.exclude_columns), or map it by sink.table",
        )


def _problem(dialect: SqlDialect, name: str) -> str | None:
    if not name:
        return "it is empty"
    if "\0" in name:
        return "it contains U+0000"
    try:
        in_bytes = len(name.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    length = in_bytes if dialect.name_unit == "bytes" else len(name)
    if dialect.max_name and length > dialect.max_name:
        return f"it has {length} {dialect.name_unit}, {dialect.max_name} are allowed"
    return _mysql_problem(name) if dialect.name == "mysql" else None


def _mysql_problem(name: str) -> str | None:
    if name.endswith(" ") or any(ord(character) > 0xFFFF for character in name):
        # MySQL manual, 11.2 "Schema Object Names": no trailing space, nothing beyond the basic multilingual plane.
        return "it ends in a space, or has a character beyond U+FFFF"
    if any(character in name for character in "`\n\r"):
        # MySQL would have it, but SQLAlchemy's reader of SHOW CREATE TABLE would read another name back.
        return "it has a backtick or a line break"
    return None
