"""What becomes of each column that stays: its new type, and what its values need; pure functions of the source's types and of
the one that it has now."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cdc.model.errors import TargetRefused
from cdc.model.schema import Column
from cdc.target.sql import holds
from cdc.target.sql.conversions import Exact, Inexact, beyond, judge, rewriting
from cdc.target.sql.dialects import SqlDialect
from cdc.target.sql.members import as_shown
from cdc.target.sql.names import TargetName, shown
from cdc.target.sql.reshape import Place
from cdc.target.sql.typemap import Type, mysql_collation

_DISPLAY_WIDTH = re.compile(r"\b((?:TINY|SMALL|MEDIUM|BIG)?INT(?:EGER)?|YEAR)\(\d+\)")
_COLLATED = re.compile(r" (?:CHARACTER SET|COLLATE) \S+")


@dataclass(frozen=True, slots=True)
class Server:
    """What of the target a plan rests on. `type_of` gives the type with which a column is made there (see
    typemap.column_type); `collations` as there. `expression_defaults`: DEFAULT takes an expression (MySQL)."""

    dialect: SqlDialect
    type_of: Callable[[Column], Type]
    collations: frozenset[str] = field(default_factory=frozenset)
    expression_defaults: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One column's way: `to` is its new type, None where it stays; `rewrite` makes its values anew; where a row fulfils
    `unless`, nothing must be done. Both are SQL on the quoted column, as `{c}`."""

    place: Place
    to: Type | None = None
    rewrite: str | None = None
    unless: str = ""


def decide(server: Server, name: TargetName, place: Place, column: Column, now: Type) -> Change:
    """`place` is of a column that is there, as `now`, and shall hold `column`. Raises TargetRefused with what to do by hand."""
    return _Decision(server, name, place, column, now).made()


class _Decision:
    def __init__(self, server: Server, name: TargetName, place: Place, column: Column, now: Type) -> None:
        self._server = server
        self._dialect = server.dialect
        self._name = name
        self._place = place
        self._column = column
        self._now = now
        self._to = server.type_of(column)
        self._holds = holds.problem(server.dialect, column, now) is None

    def made(self) -> Change:
        place = self._place
        if not place.modified:
            return self._stays() if self._holds else self._refuse("it is there already, and cannot hold the values")
        if place.before is None:
            return self._from_unknown()
        was = self._server.type_of(place.before)
        if self._same(self._now, self._to) and not self._same(was, self._to):
            # Done before, or by hand.
            return self._stays()
        verdict = judge(self._dialect, place.before, self._column)
        return self._refuse(verdict.reason) if isinstance(verdict, Inexact) else self._from(place.before, was, verdict)

    def _from_unknown(self) -> Change:
        """The source's old type is not known; the target's tells as much as it can."""
        if self._same(self._now, self._to):
            return self._stays()
        if holds.widens(self._dialect, self._now, self._to):
            return Change(self._place, self._to)
        if self._holds and holds.fraction(self._now) <= (self._column.scale or 0):
            return Change(self._place, unless=beyond(self._dialect, self._column))
        return self._refuse("what it was before is not known")

    def _from(self, before: Column, was: Type, verdict: Exact) -> Change:
        rewrite = rewriting(self._dialect, before, self._column)
        if self._same(self._now, was) and (not self._same(was, self._to) or self._recollated(before)):
            # MySQL rewrites the values with the type.
            return Change(self._place, self._to, None if self._dialect.name == "mysql" else rewrite, verdict.unless)
        if self._holds:
            return Change(self._place, None, rewrite, verdict.unless)
        if holds.widens(self._dialect, self._now, self._to):
            return Change(self._place, self._to, rewrite, verdict.unless)
        return self._refuse(f"its type {holds.text(self._dialect, self._now)} is not the one that it was made with")

    def _stays(self) -> Change:
        return Change(self._place)

    def _refuse(self, why: str) -> Change:
        raise TargetRefused(
            f"column {shown(self._column.name)} of the target's table {shown(str(self._name))} cannot become"
            f" {holds.source_text(self._column)}: {why}",
            hint=f"convert it by hand, with the source's values, to {holds.text(self._dialect, self._to)};"
            " where that is its type already, let this change pass with schema_changes: ignore",
        )

    def _same(self, one: Type, other: Type) -> bool:
        """Collations, and the width that integers are shown with, change no values."""
        texts = (holds.text(self._dialect, type_) for type_ in (one, other))
        first, second = (_COLLATED.sub("", _DISPLAY_WIDTH.sub(r"\1", text)) for text in texts)
        return as_shown(first) == as_shown(second)

    def _recollated(self, before: Column) -> bool:
        if self._dialect.name != "mysql" or before.collation == self._column.collation:
            return False
        there = self._server.collations
        return mysql_collation(before, there) != mysql_collation(self._column, there)
