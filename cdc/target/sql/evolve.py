# ruff: noqa: S608 - names are quoted by cdc.target.sql.names, values are literals of cdc.target.sql.literals
"""A schema change → the statements that bring the target's table to the same shape: a pure function of what is there now.

Never from the statement's own text. What cannot be repeated exactly is refused before anything is done.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cdc.model.change import Value
from cdc.model.errors import TargetRefused
from cdc.model.schema import Column
from cdc.model.schema_change import SchemaChange
from cdc.target.sql import holds
from cdc.target.sql.column_changes import Change, Server, decide
from cdc.target.sql.conversions import rewriting
from cdc.target.sql.literals import literal
from cdc.target.sql.names import TargetName, quote, quote_table, shown
from cdc.target.sql.reflect import Found
from cdc.target.sql.reshape import Place, Reshaped, reshape
from cdc.target.sql.typemap import BLOB_BYTES, GEOMETRIES, TEXT_BYTES, Type

# MySQL's DEFAULT takes no literal for these (manual, "Data Type Default Values"), but an expression since 8.0.13.
_NO_LITERAL = {*TEXT_BYTES, *BLOB_BYTES, *GEOMETRIES, "json", "vector"}


@dataclass(frozen=True, slots=True)
class Check:
    """`sql` gives a row where `problem` is so; then nothing must be done."""

    sql: str
    problem: str
    hint: str


@dataclass(frozen=True, slots=True)
class Rebuild:
    """What SQLite has no ALTER for: the columns to leave out, new declared types, the key; all by final names."""

    omitted: frozenset[str]
    types: dict[str, str]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evolution:
    """To be done in this order. `alter`: at MySQL at most one statement, which is done whole or not at all; `tail`: what follows
    it, which may be done again. `rebuild`: only at SQLite, between the two. All empty: nothing is to be done."""

    checks: tuple[Check, ...] = ()
    alter: tuple[str, ...] = ()
    rebuild: Rebuild | None = None
    tail: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.alter or self.rebuild or self.tail)


def evolve(server: Server, name: TargetName, found: Found, change: SchemaChange) -> Evolution:
    """The plan for an `alter`. Raises TargetRefused with what to do by hand."""
    dialect = server.dialect
    reshaped = reshape(str(name), found.types, change.steps, str.casefold if dialect.fold_case else str)
    plan = _Plan(server, name, found, reshaped)
    if dialect.name == "mysql":
        return plan.mysql()
    return plan.postgresql() if dialect.name == "postgresql" else plan.sqlite()


def no_date_at_postgresql(column: Column, fill: Value) -> bool:
    """Zero in the year, the month or the day: what NOT NULL date columns without a default are made of."""
    if column.type not in {"date", "datetime", "timestamp"} or not isinstance(fill, str):
        return False
    return "00" in fill[5:10].split("-") or fill.startswith("0000")


def filling(server: Server, name: TargetName, names: Sequence[str], change: SchemaChange) -> tuple[str, ...]:
    """MySQL: the tail of a plan whose ALTER is done already, of a table that had the columns `names` before it."""
    found = Found(dict.fromkeys(names, holds.UNKNOWN))
    reshaped = reshape(str(name), names, change.steps, str.casefold)
    changes = [
        Change(place, None, rewriting(server.dialect, place.before, place.column))
        for place in reshaped.places
        if place.origin and place.before and place.column
    ]
    plan = _Plan(server, name, found, reshaped)
    return (*plan.mysql_tail(), *plan.rewrites(changes))


class _Plan:
    def __init__(self, server: Server, name: TargetName, found: Found, reshaped: Reshaped) -> None:
        self._server = server
        self._dialect = server.dialect
        self._name = name
        self._table = quote_table(server.dialect, name)
        self._found = found
        self._reshaped = reshaped
        self._key = self._new_key()

    # What is asked of each dialect.

    def mysql(self) -> Evolution:
        changes = self._changes()
        parts = [*self._mysql_drops(), *self._mysql_changes(changes), *self._mysql_adds()]
        if self._key is not None:
            parts += ["DROP PRIMARY KEY"] * bool(self._found.primary) + [f"ADD PRIMARY KEY ({self._listed(self._key)})"]
        alter = (f"ALTER TABLE {self._table} {', '.join(parts)}",) if parts else ()
        return Evolution(self._checks(changes), alter, None, (*self.mysql_tail(), *self.rewrites(changes)))

    def mysql_tail(self) -> Iterator[str]:
        """Values for the rows that are there, and no default that would stay behind."""
        for place, column in self._made():
            quoted = self._quoted(place.name)
            if place.fill is None:
                continue
            if self._mysql_default(place, column) is None:
                value = literal(self._dialect, column, place.fill)
                yield f"UPDATE {self._table} SET {quoted} = {value} WHERE {quoted} IS NULL"
            elif column.type in _NO_LITERAL:
                # Of these, MySQL does not even take SET DEFAULT NULL.
                yield f"ALTER TABLE {self._table} MODIFY COLUMN {quoted} {self._text(self._server.type_of(column))} NULL"
            else:
                gone = "DROP DEFAULT" if self._is_key(place.name) else "SET DEFAULT NULL"
                yield f"ALTER TABLE {self._table} ALTER COLUMN {quoted} {gone}"

    def postgresql(self) -> Evolution:
        changes = self._changes()
        alter = f"ALTER TABLE {self._table}"
        statements: list[str] = []
        if self._key is not None and self._found.primary_name:
            statements.append(f"{alter} DROP CONSTRAINT {self._quoted(self._found.primary_name)}")
        statements += [f"{alter} DROP COLUMN {self._quoted(column)}" for column in self._reshaped.dropped]
        statements += self._renames()
        for one in changes:
            if one.to is not None:
                quoted, to = self._quoted(one.place.name), self._text(one.to)
                using = f" USING {one.rewrite.format(c=quoted)}" if one.rewrite else ""
                statements.append(f"{alter} ALTER COLUMN {quoted} TYPE {to}{using}")
        statements += self.rewrites([one for one in changes if one.to is None])
        for place, column in self._made():
            quoted, type_ = self._quoted(place.name), self._text(self._server.type_of(column))
            if place.fill is None or no_date_at_postgresql(column, place.fill):
                statements.append(f"{alter} ADD COLUMN {quoted} {type_}")
                continue
            statements.append(
                f"{alter} ADD COLUMN {quoted} {type_} DEFAULT {literal(self._dialect, column, place.fill)}"
            )
            statements.append(f"{alter} ALTER COLUMN {quoted} DROP DEFAULT")
        if self._key is not None:
            statements += [f"{alter} ALTER COLUMN {self._quoted(c)} DROP NOT NULL" for c in self._no_longer_key()]
            statements.append(f"{alter} ADD PRIMARY KEY ({self._listed(self._key)})")
        return Evolution(self._checks(changes), tuple(statements))

    def sqlite(self) -> Evolution:
        changes = self._changes()
        alter = f"ALTER TABLE {self._table}"
        rebuild = self._rebuild(changes)
        in_key = {column for column in self._reshaped.dropped if column in self._found.primary}
        statements = [
            f"{alter} DROP COLUMN {self._quoted(column)}" for column in self._reshaped.dropped if column not in in_key
        ]
        statements += self._renames()
        tail = self.rewrites(changes)
        for place, column in self._made():
            quoted = self._quoted(place.name)
            statements.append(f"{alter} ADD COLUMN {quoted} {self._text(self._server.type_of(column))}")
            if place.fill is not None:
                # Before the rebuild, which may make it part of the key.
                statements.append(f"UPDATE {self._table} SET {quoted} = {literal(self._dialect, column, place.fill)}")
        return Evolution(self._checks(changes), tuple(statements), rebuild, tuple(tail))

    # Names and key.

    def _renames(self) -> list[str]:
        """Through names of our own where they change places."""
        pairs = [(p.origin, p.name) for p in self._reshaped.places if p.origin is not None and p.origin != p.name]
        taken = {self._fold(name) for name in self._found.types if name not in self._reshaped.dropped}
        alter = f"ALTER TABLE {self._table} RENAME COLUMN"
        if not any(self._fold(new) in taken for _, new in pairs):
            return [f"{alter} {self._quoted(old)} TO {self._quoted(new)}" for old, new in pairs]
        between = [self._quoted(f"_cdc_renamed_{number}") for number in range(len(pairs))]
        out = [f"{alter} {self._quoted(old)} TO {name}" for (old, _), name in zip(pairs, between, strict=True)]
        return out + [f"{alter} {name} TO {self._quoted(new)}" for (_, new), name in zip(pairs, between, strict=True)]

    def _new_key(self) -> tuple[str, ...] | None:
        """The primary key that is to be made, None where the one that is there will do."""
        primary = [self._reshaped.final(column) for column in self._found.primary]
        wanted = self._reshaped.key
        if wanted is None:
            left = tuple(column for column in primary if column is not None)
            if len(left) == len(primary):
                return None
            # As MySQL does: what is left of a key whose columns are dropped is the key.
            return left or self._refuse_key("all of its key's columns go")
        if not wanted or set(wanted) == set(primary):
            # A table whose key is gone is left as it is: rows without a key are refused anyway.
            return None
        unique = [frozenset(map(self._reshaped.final, columns)) for columns in self._found.unique]
        others = [columns for columns in unique if columns and columns != frozenset(primary)]
        if self._dialect.name != "mysql" and frozenset(wanted) in others:
            return None
        if others and primary:
            self._refuse_key(
                f"its primary key or another unique one may be the source's; make ({', '.join(wanted)}) a key"
            )
        return wanted

    def _refuse_key(self, why: str) -> "tuple[str, ...]":
        raise TargetRefused(
            f"the key of the target's table {shown(str(self._name))} cannot follow the source's: {why}",
            hint="give the table a primary key on exactly the source's key by hand; then it is taken as it is",
        )

    def _no_longer_key(self) -> list[str]:
        final = [self._reshaped.final(column) for column in self._found.primary]
        return [column for column in final if column is not None and column not in (self._key or ())]

    def _is_key(self, name: str) -> bool:
        if self._key is not None:
            return name in self._key
        return name in [self._reshaped.final(column) for column in self._found.primary]

    # Types and values.

    def _changes(self) -> list[Change]:
        types, computed = self._found.types, self._found.computed
        # What the target generates by itself is its own.
        return [
            decide(self._server, self._name, place, place.column, types[place.origin])
            for place in self._reshaped.places
            if place.origin is not None and place.column is not None and place.origin not in computed
        ]

    def _checks(self, changes: Sequence[Change]) -> tuple[Check, ...]:
        hint = "look at these rows, and at the source's: bring both to the same values, then start again"
        found: list[Check] = []
        for one in changes:
            if one.unless:
                unless = one.unless.format(c=self._quoted(one.place.origin or ""))
                problem = f"values of column {shown(one.place.name)} of the target's table {shown(str(self._name))} are beyond"
                found.append(
                    Check(f"SELECT 1 FROM {self._table} WHERE {unless} LIMIT 1", f"{problem} its new type", hint)
                )
        for place, _ in self._made():
            if place.fill is None and self._is_key(place.name):
                # Its numbers (AUTO_INCREMENT) were given by the source in an order that nobody has seen.
                problem = (
                    f"the rows of {shown(str(self._name))} have no value for the new key column {shown(place.name)}"
                )
                found.append(
                    Check(f"SELECT 1 FROM {self._table} LIMIT 1", problem, "copy the table anew (cdc snapshot)")
                )
        if self._dialect.name == "postgresql":
            found += self._dateless()
        return tuple(found)

    def _dateless(self) -> Iterator[Check]:
        """A fill that is no date here matters only where there are rows that would take it."""
        for place, column in self._made():
            if no_date_at_postgresql(column, place.fill):
                problem = f"the rows of {shown(str(self._name))} would have {place.fill} in column {shown(place.name)}"
                hint = "PostgreSQL has no such date: add the column by hand, with a date or NULL for these rows"
                yield Check(f"SELECT 1 FROM {self._table} LIMIT 1", problem, hint)

    def rewrites(self, changes: Sequence[Change]) -> list[str]:
        texts = []
        for one in changes:
            if one.rewrite is not None:
                quoted = self._quoted(one.place.name)
                texts.append(
                    f"UPDATE {self._table} SET {quoted} = {one.rewrite.format(c=quoted)} WHERE {quoted} IS NOT NULL"
                )
        return texts

    def _rebuild(self, changes: Sequence[Change]) -> Rebuild | None:
        types = {one.place.name: self._text(one.to) for one in changes if one.to is not None}
        if self._key is None and not types:
            return None
        primary = [self._reshaped.final(column) for column in self._found.primary]
        key = self._key if self._key is not None else tuple(column for column in primary if column is not None)
        omitted = frozenset(column for column in self._reshaped.dropped if column in self._found.primary)
        return Rebuild(omitted, types, key)

    # MySQL's one statement.

    def _mysql_drops(self) -> list[str]:
        return [f"DROP COLUMN {self._quoted(column)}" for column in self._reshaped.dropped]

    def _mysql_changes(self, changes: Sequence[Change]) -> Iterator[str]:
        types = {one.place.name: one.to for one in changes if one.to is not None}
        relaxed = set(self._no_longer_key()) if self._key is not None else set()
        for place in self._reshaped.places:
            if place.origin is None:
                continue
            if place.name in types or place.name in relaxed:
                type_ = types.get(place.name, self._found.types[place.origin])
                null = "NOT NULL" if self._is_key(place.name) else "NULL"
                names = f"{self._quoted(place.origin)} {self._quoted(place.name)}"
                yield f"CHANGE COLUMN {names} {self._text(type_)} {null}"
            elif place.name != place.origin:
                yield f"RENAME COLUMN {self._quoted(place.origin)} TO {self._quoted(place.name)}"

    def _mysql_adds(self) -> Iterator[str]:
        for place, column in self._made():
            text = f"ADD COLUMN {self._quoted(place.name)} {self._text(self._server.type_of(column))}"
            text += " NOT NULL" if self._is_key(place.name) else " NULL"
            if (default := self._mysql_default(place, column)) is not None:
                text += f" DEFAULT {default}"
            if place.after is not None:
                text += " FIRST" if place.after == "" else f" AFTER {self._quoted(place.after)}"
            yield text

    def _mysql_default(self, place: Place, column: Column) -> str | None:
        """By which the rows that are there get their value; None where there is none, or an UPDATE must give it to them."""
        if place.fill is None:
            return None
        value = literal(self._dialect, column, place.fill)
        if column.type not in _NO_LITERAL:
            return value
        return f"({value})" if self._server.expression_defaults else None

    def _made(self) -> Iterator[tuple[Place, Column]]:
        for place in self._reshaped.places:
            if place.made is not None:
                yield place, place.made

    def _quoted(self, name: str) -> str:
        return quote(self._dialect, name)

    def _listed(self, names: Sequence[str]) -> str:
        return ", ".join(map(self._quoted, names))

    def _text(self, type_: Type) -> str:
        return holds.text(self._dialect, type_)

    def _fold(self, name: str) -> str:
        return name.casefold() if self._dialect.fold_case else name
