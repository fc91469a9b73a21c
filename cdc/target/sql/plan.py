"""The plan of one table under one schema version: where its rows go, as which columns, through which conversions.

Made once for each schema fingerprint: reflects the target's table, makes it where it is missing and the sink says so, and
verifies that it can hold what will come.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from cdc.model.config import SinkConfig
from cdc.model.errors import TargetRefused
from cdc.model.schema import Column, TableSchema
from cdc.target.port import ColumnFinding
from cdc.target.sql import holds
from cdc.target.sql.column_changes import Server
from cdc.target.sql.dialects import SqlDialect
from cdc.target.sql.losses import losses
from cdc.target.sql.names import TargetName, check, quote, quote_table, shown, target_name
from cdc.target.sql.reflect import Found, reflect
from cdc.target.sql.typemap import Type, column_type
from cdc.target.sql.values import Converter, converter

Connect = Callable[[], AbstractContextManager[sa.Connection]]


@dataclass(frozen=True, slots=True)
class TablePlan:
    """`columns`: the target's names of the source's columns, in source order (`source_columns`: the keys of a wire row;
    they differ in case at most). `quoted` and `quoted_columns` are for statements without parameters (see
    `names.doubled`). `key` lists names in `source_columns` in key order, `key_indexes` their places.
    `converters`: index of a column and its conversion, only where there is one. `types`: reflected, by column.
    `computed`: places of source columns that the target generates by itself.
    """

    schema: TableSchema
    name: TargetName
    quoted: str
    source_columns: tuple[str, ...]
    columns: tuple[str, ...]
    quoted_columns: tuple[str, ...]
    key: tuple[str, ...]
    key_indexes: tuple[int, ...]
    quoted_key: tuple[str, ...]
    converters: tuple[tuple[int, Converter], ...]
    key_converters: tuple[tuple[int, Converter], ...]
    types: tuple[Type, ...]
    computed: frozenset[int] = frozenset()

    def index(self, column: str) -> int:
        return self.source_columns.index(column)


class Plans:
    """Plans by fingerprint, for all lanes of a process: making one takes the server and us long. Thread-safe; one is made at a
    time, so that lanes which want the same one at the same moment make it once.

    A table of ours changes while all lanes wait for that, and each of them forgets all of these before it goes on.
    """

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._plans: dict[str, TablePlan] = {}

    def find(self, fingerprint: str, make: Callable[[], TablePlan]) -> TablePlan:
        """What `make` raises is not kept."""
        with self._making:
            plan = self._plans.get(fingerprint)
            if plan is None:
                plan = self._plans[fingerprint] = make()
            return plan

    def forget(self) -> None:
        with self._making:
            self._plans.clear()


class Planner:
    """Plans of one writer; not thread-safe. `connect` gives a SQLAlchemy connection for reflection and DDL; leaving it
    must make the DDL durable (or part of the open transaction, where the target's DDL is transactional). `shared`: plans of all
    planners of the process whose `connect` sees the same."""

    def __init__(
        self,
        config: SinkConfig,
        dialect: SqlDialect,
        connect: Connect,
        collations: frozenset[str] = frozenset(),
        native: frozenset[str] = frozenset(),
        expression_defaults: bool = False,
        shared: Plans | None = None,
    ) -> None:
        self._config = config
        self._dialect = dialect
        self._connect = connect
        self._collations = collations
        self._native = native
        self._expression_defaults = expression_defaults
        self._shared = shared or Plans()
        self._plans: dict[str, TablePlan] = {}
        self._sources: dict[TargetName, str] = {}

    def plan(self, schema: TableSchema) -> TablePlan:
        """Raises TargetRefused: a missing table, column or key, a column that is too narrow, a name that cannot be kept."""
        fingerprint = schema.fingerprint()
        plan = self._plans.get(fingerprint)
        if plan is None:
            name = self.name(schema.db, schema.table)
            plan = self._shared.find(fingerprint, lambda: self._make(schema, name))
            self._plans[fingerprint] = plan
        return plan

    def look(self, schema: TableSchema) -> TablePlan | None:
        """As `plan`, of the table as it is at this moment: None where there is none. Makes nothing, and keeps nothing."""
        name = self.name(schema.db, schema.table)
        _require_key(schema)
        found = self.found(name)
        return None if found is None else self._checked(schema, name, found)

    def forget(self) -> None:
        """The target may have changed, and the names of the source's tables: look again at the next use."""
        self._plans.clear()
        self._sources.clear()
        self._shared.forget()

    def found(self, name: TargetName) -> Found | None:
        """What the table has now."""
        with self._connect() as connection:
            return reflect(connection, name)

    def prepare(self) -> None:
        """Looks at one of our own tables: a process' first look at any takes a hundred times as long as the next ones, and is
        better done before the first rows wait for it."""
        self.found(TargetName(None, "_cdc_progress"))

    def type(self, column: Column) -> Type:
        """The type with which a column is made here; raises TargetRefused."""
        return column_type(self._dialect, column, self._collations, self._native)

    @property
    def server(self) -> Server:
        return Server(self._dialect, self.type, self._collations, self._expression_defaults)

    @property
    def makes_tables(self) -> bool:
        return self._config.create_tables

    def name(self, db: str, table: str) -> TargetName:
        """The target's table of a source table, whether it is there or not."""
        name = target_name(self._config.table, db, table)
        source = self._sources.setdefault(name, f"{db}.{table}")
        if source != f"{db}.{table}":
            raise TargetRefused(
                f"{shown(source)} and {shown(f'{db}.{table}')} would both be written to table {shown(str(name))}",
                hint='put {db} into sink.table, like "{db}_{table}"',
            )
        return name

    def exists(self, name: TargetName) -> bool:
        with self._connect() as connection:
            return sa.inspect(connection).has_table(name.table, schema=name.schema)

    def findings(self, schema: TableSchema) -> Sequence[ColumnFinding]:
        """What the target's table, as it is or as it will be made, cannot hold, and what it will lose. Makes nothing."""
        name = self.name(schema.db, schema.table)
        found = self.found(name)
        if found is None:
            if not self._config.create_tables:
                raise _missing(schema, name)
            self._definition(schema, name)
            return tuple(losses(self._dialect, [(column, self.type(column)) for column in schema.columns]))
        errors = tuple(self._column_findings(schema, found, name))
        names = self._folded(found)
        there = [(column, names.get(self._fold(column.name))) for column in schema.columns]
        held = [(column, found.types[at]) for column, at in there if at is not None]
        return errors + tuple(losses(self._dialect, held))

    def _make(self, schema: TableSchema, name: TargetName) -> TablePlan:
        _require_key(schema)
        quote_table(self._dialect, name)
        with self._connect() as connection:
            found = reflect(connection, name)
            if found is None:
                self._create(connection, schema, name)
                found = reflect(connection, name)
        if found is None:
            raise _missing(schema, name)
        return self._checked(schema, name, found)

    def _checked(self, schema: TableSchema, name: TargetName, found: Found) -> TablePlan:
        for finding in self._column_findings(schema, found, name):
            raise TargetRefused(
                f"column {shown(finding.column)} of the target's table {shown(str(name))}: {finding.problem}",
                hint=finding.hint,
            )
        return self._compiled(schema, name, found)

    def _create(self, connection: sa.Connection, schema: TableSchema, name: TargetName) -> None:
        if not self._config.create_tables:
            raise _missing(schema, name)
        table = self._definition(schema, name)
        try:
            connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
            connection.commit()
        except sa.exc.DBAPIError:
            # Another worker may have made it at the same moment, which IF NOT EXISTS does not see.
            connection.rollback()
            if not sa.inspect(connection).has_table(name.table, schema=name.schema):
                raise

    def _definition(self, schema: TableSchema, name: TargetName) -> sa.Table[Any]:
        """Only the key is NOT NULL: a column that becomes nullable at the source must not stop the sink."""
        columns: list[sa.Column[Any]] = []
        quote_table(self._dialect, name)
        for column in schema.columns:
            check(self._dialect, column.name)
            columns.append(
                sa.Column(column.name, self.type(column), nullable=column.name not in schema.key, autoincrement=False)
            )
        key = sa.PrimaryKeyConstraint(*schema.key)
        options: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
        return sa.Table(
            name.table, sa.MetaData(), *columns, key, schema=name.schema, quote=True, quote_schema=True, **options
        )

    def _column_findings(self, schema: TableSchema, found: Found, name: TargetName) -> Iterator[ColumnFinding]:
        names = self._folded(found)
        for column in schema.columns:
            there = names.get(self._fold(column.name))
            if there is None:
                hint = f"add it to {shown(str(name))}: {holds.text(self._dialect, self.type(column))}"
                yield ColumnFinding(column.name, "it is missing", hint)
                continue
            problem = holds.problem(self._dialect, column, found.types[there])
            if problem:
                yield ColumnFinding(column.name, problem, holds.fix(self._dialect, self.type(column)))
        key = frozenset(names.get(self._fold(column), column) for column in schema.key)
        if schema.key and key not in found.unique:
            listed = ", ".join(schema.key)
            yield ColumnFinding(
                listed, "no primary key or unique index on exactly the source's key", f"add a primary key on ({listed})"
            )

    def _compiled(self, schema: TableSchema, name: TargetName, found: Found) -> TablePlan:
        names = self._folded(found)
        source_columns = tuple(column.name for column in schema.columns)
        columns = tuple(names[self._fold(column)] for column in source_columns)
        key_indexes = tuple(source_columns.index(column) for column in schema.key)
        quoted = tuple(quote(self._dialect, column) for column in columns)
        converters = tuple(
            (index, change)
            for index, column in enumerate(schema.columns)
            if (change := converter(self._dialect, column)) is not None
        )
        by_index = dict(converters)
        return TablePlan(
            schema=schema,
            name=name,
            quoted=quote_table(self._dialect, name),
            source_columns=source_columns,
            columns=columns,
            quoted_columns=quoted,
            key=schema.key,
            key_indexes=key_indexes,
            quoted_key=tuple(quoted[index] for index in key_indexes),
            converters=converters,
            key_converters=tuple((at, by_index[index]) for at, index in enumerate(key_indexes) if index in by_index),
            types=tuple(found.types[column] for column in columns),
            computed=frozenset(index for index, column in enumerate(columns) if column in found.computed),
        )

    def _fold(self, name: str) -> str:
        return name.casefold() if self._dialect.fold_case else name

    def _folded(self, found: Found) -> dict[str, str]:
        return {self._fold(name): name for name in found.types}


def _require_key(schema: TableSchema) -> None:
    if not schema.key:
        raise TargetRefused(
            f"table {shown(schema.name)} has no primary key, so its rows cannot be told apart",
            hint="give it a primary key at the source, or leave it out of sink.tables",
        )


def _missing(schema: TableSchema, name: TargetName) -> TargetRefused:
    return TargetRefused(
        f"the target has no table {shown(str(name))} for {shown(schema.name)}",
        hint="make it, or set sink.create_tables: true",
    )
