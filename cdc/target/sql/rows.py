# ruff: noqa: S608 — identifiers come quoted from the plan, values as numbers or as the adapter's own parameters.
"""The rows of a source's table as an SQL target has them: what is asked for, and what is made of the answers."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from cdc.model.batch import Key
from cdc.model.change import Row
from cdc.model.row_digest import RangeDigest
from cdc.target.sql.dialects import SqlDialect
from cdc.target.sql.digests import select_digest
from cdc.target.sql.plan import TablePlan
from cdc.target.sql.readings import Reading, is_ordered, reading

Answers = Iterable[Sequence[Any]]

# What a row of the source has in a column that the table did not have when the row was read.
_ABSENT: Any = object()


class Asker(Protocol):
    """What an adapter adds: statements on one connection, the table being `t` in them. Errors leave as the port's."""

    def rows(self, sql: str, parameters: Sequence[Any]) -> Answers:
        """All rows of a statement that `beside` has a part in, with its parameters."""

    def of_keys(self, select: str, keys: Sequence[Key]) -> Answers:
        """`select` of the rows of these keys, which are not empty, in bulk."""

    def beside(self, operator: str, key: Key) -> tuple[str, Sequence[Any]]:
        """The condition, with its parameters, that a row's key is `operator` (`>`, `<=`) `key`, by the order of its columns."""

    def close(self) -> None: ...


class Layout:
    """What of a planned table is read, and how: pure. `signed_zero`: as of cdc.target.sql.readings.reading."""

    def __init__(self, dialect: SqlDialect, plan: TablePlan, *, signed_zero: bool = True) -> None:
        self.plan = plan
        # A key's column names the row, whoever makes its values.
        self._read = [i for i in range(len(plan.columns)) if i not in plan.computed or i in plan.key_indexes]
        every = {
            i: reading(dialect, plan.schema.columns[i], plan.types[i], signed_zero=signed_zero) for i in self._read
        }
        self._names = [plan.source_columns[i] for i in self._read]
        self._given = [(at, every[i].given) for at, i in enumerate(self._read) if every[i].given is not None]
        self._wanted = {plan.source_columns[i]: every[i].wanted for i in self._read if every[i].wanted is not None}
        self._alike = {plan.source_columns[i]: every[i].alike for i in self._read if every[i].alike is not None}
        self._key_readings = [every[i] for i in plan.key_indexes]
        self._plain_keys = all(one.key is None for one in self._key_readings)
        self.ordered = all(is_ordered(plan.schema.columns[i], plan.types[i]) for i in plan.key_indexes)
        self.select = ", ".join(self._asked(every[i], i) for i in self._read)
        self.select_digest = select_digest(dialect, plan) if self.ordered else None
        self.select_key = ", ".join(self._asked(every[i], i) for i in plan.key_indexes)

    @cached_property
    def order(self) -> str:
        return ", ".join(f"t.{column}" for column in self.plan.quoted_key)

    def row(self, answer: Sequence[Any]) -> Row:
        values = list(answer)
        for at, given in self._given:
            if values[at] is not None:
                values[at] = given(values[at])  # type: ignore[misc] # filtered above
        return dict(zip(self._names, values, strict=True))

    def by_key(self, answers: Answers) -> dict[Key, Row]:
        names = self.plan.key
        rows = map(self.row, answers)
        return {self.key(tuple([row[name] for name in names])): row for row in rows}

    def key_of(self, answer: Sequence[Any]) -> Key:
        """Of a row of `select_key`."""
        pairs = zip(answer, self._key_readings, strict=True)
        values = [value if value is None or one.given is None else one.given(value) for value, one in pairs]
        return self.key(tuple(values))

    def key(self, key: Key) -> Key:
        if self._plain_keys:
            return key
        pairs = zip(key, self._key_readings, strict=True)
        return tuple([value if value is None or one.key is None else one.key(value) for value, one in pairs])

    def differing(self, row: Row, found: Row) -> tuple[str, ...]:
        # As numbers, -0.0 and 0.0 are equal, so that a column of which another value is wanted is always looked at.
        names = self._wanted if row == found else self._names
        return tuple(
            name
            for name in names
            if (row.get(name, _ABSENT) != found[name] or name in self._wanted)
            and not self._same(name, row.get(name, _ABSENT), found[name])
        )

    def _same(self, name: str, value: Any, found: Any) -> bool:
        if value is None or found is None or value is _ABSENT:
            return value is found
        wanted = self._wanted.get(name)
        expected = value if wanted is None else wanted(value)
        if expected == found:
            return True
        alike = self._alike.get(name)
        return alike is not None and alike(value, found)

    def _asked(self, one: Reading, index: int) -> str:
        return one.ask.format(c=f"t.{self.plan.quoted_columns[index]}")


class SqlRows:
    """See cdc.target.rows_port.TableRows."""

    def __init__(self, layout: Layout, asker: Asker) -> None:
        self._layout = layout
        self._asker = asker

    @property
    def ordered(self) -> bool:
        return self._layout.ordered

    def key(self, key: Key) -> Key:
        return self._layout.key(key)

    def at(self, keys: Sequence[Key]) -> Mapping[Key, Row]:
        return self._layout.by_key(self._asker.of_keys(self._layout.select, keys)) if keys else {}

    def between(self, after: Key | None, until: Key | None, limit: int) -> Mapping[Key, Row]:
        return self._layout.by_key(self._page(self._layout.select, limit, ((">", after), ("<=", until))))

    def digest(self, after: Key | None, until: Key | None) -> RangeDigest | None:
        select = self._layout.select_digest
        if select is None:
            return None
        where, parameters = self._where(((">", after), ("<=", until)))
        answers = self._asker.rows(f"SELECT {select} FROM {self._layout.plan.quoted} AS t{where}", parameters)
        ((rows, total),) = answers
        return RangeDigest(int(rows), int(total))

    def keys_after(self, after: Key | None, limit: int) -> Sequence[Key]:
        return [self._layout.key_of(one) for one in self._page(self._layout.select_key, limit, ((">", after),))]

    def differing(self, row: Row, found: Row) -> tuple[str, ...]:
        return self._layout.differing(row, found)

    def close(self) -> None:
        self._asker.close()

    def _page(self, select: str, limit: int, bounds: Sequence[tuple[str, Key | None]]) -> Answers:
        where, parameters = self._where(bounds)
        sql = f"SELECT {select} FROM {self._layout.plan.quoted} AS t{where} ORDER BY {self._layout.order} LIMIT {limit}"
        return self._asker.rows(sql, parameters)

    def _where(self, bounds: Sequence[tuple[str, Key | None]]) -> tuple[str, Sequence[Any]]:
        conditions: list[str] = []
        parameters: list[Any] = []
        for operator, key in bounds:
            if key is not None:
                condition, given = self._asker.beside(operator, key)
                conditions.append(condition)
                parameters += given
        return f" WHERE {' AND '.join(conditions)}" if conditions else "", parameters


def row_values(columns: Sequence[str], operator: str, values: Sequence[str]) -> str:
    """`(t.a, t.b) > (1, 2)`, for dialects that search an index by it."""
    listed = ", ".join(f"t.{column}" for column in columns)
    return f"({listed}) {operator} ({', '.join(values)})"


def spelled_out(columns: Sequence[str], operator: str, values: Sequence[str]) -> str:
    """The same without row values, which MySQL compares without an index: `(t.a > 1 OR (t.a = 1 AND t.b > 2))`."""
    strict = operator.removesuffix("=")
    alternatives = []
    for last in range(len(columns)):
        same = [f"t.{column} = {value}" for column, value in zip(columns[:last], values[:last], strict=True)]
        sign = operator if last == len(columns) - 1 else strict
        alternatives.append(" AND ".join([*same, f"t.{columns[last]} {sign} {values[last]}"]))
    return "(" + " OR ".join(f"({one})" for one in alternatives) + ")"
