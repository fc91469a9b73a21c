"""PostgreSQL as a target (13 and newer): COPY into a staging table, then one statement that merges.

Connections are opened as they are needed, and need session pooling where a pooler is in between: session settings, temporary
tables and the fence by session depend on it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from psycopg import errors as sqlstate

from cdc.model.batch import TableBatch
from cdc.model.checkpoint import Progress
from cdc.model.config import SinkConfig
from cdc.model.errors import TargetRefused
from cdc.model.finding import Finding
from cdc.model.schema import TableSchema
from cdc.target.port import ColumnFinding, Expected, StoredLetter
from cdc.target.postgresql_connection import Connection, Session, connect
from cdc.target.postgresql_errors import mapping
from cdc.target.rows_port import TableRows
from cdc.target.sql.dialects import POSTGRESQL
from cdc.target.sql.names import TargetName, quote_table, shown
from cdc.target.sql.statements import statements
from cdc.target.sql.tables import progress_of, stored_letter

if TYPE_CHECKING:
    from cdc.target.postgresql_engine import Reflecting
    from cdc.target.postgresql_writer import PostgresqlWriter
    from cdc.target.sql.plan import Planner, Plans

SQL = statements(POSTGRESQL)

# For calls outside a lane's lease: status, check, dead letters.
_PATIENCE_SECONDS = 20.0
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_T = TypeVar("_T")


class PostgresqlTarget:
    """See cdc.target.port.Target."""

    def __init__(self, connector: str, sink: str, config: SinkConfig) -> None:
        self._names = {"connector": connector, "sink": sink}
        self._config = config
        self._application_name = f"cdc/{connector}/{sink}"

    def writer(self, lease_seconds: float) -> "PostgresqlWriter":
        from cdc.target.postgresql_writer import PostgresqlWriter  # noqa: PLC0415 - a reader only asks for progress

        def open_session() -> Session:
            return connect(self._config, self._application_name, lease_seconds)

        # Who opens a new one may do so because something was wrong with what is there.
        self._plans.forget()
        return PostgresqlWriter(
            self._names["connector"], self._names["sink"], lease_seconds, open_session, self._planner()
        )

    def progress(self) -> Mapping[str, Progress]:
        def read(connection: Connection) -> dict[str, Progress]:
            rows = connection.execute(SQL.all_progress, self._names).fetchall()
            return {row[0]: progress_of(row)[0] for row in rows}

        return self._read(read, empty={})

    def copies(self) -> Mapping[str, str]:
        def read(connection: Connection) -> dict[str, str]:
            return dict(connection.execute(SQL.all_copies, self._names).fetchall())

        return self._read(read, empty={})

    def dead_letters(self, limit: int) -> Sequence[StoredLetter]:
        def read(connection: Connection) -> Sequence[StoredLetter]:
            rows = connection.execute(SQL.list_letters, {**self._names, "limit": limit}).fetchall()
            return tuple(map(stored_letter, rows))

        return self._read(read, empty=())

    def dead_letter_count(self) -> int:
        def read(connection: Connection) -> int:
            row = connection.execute(SQL.count_letters, self._names).fetchone()
            return int(row[0]) if row else 0

        return self._read(read, empty=0)

    def settle(self, letters: Sequence[StoredLetter], batches: Sequence[TableBatch]) -> None:
        if not letters:
            return
        writer = self.writer(_PATIENCE_SECONDS)
        try:
            writer.settle(letters, batches)
        finally:
            writer.close()

    def inspect(self, schemas: Sequence[TableSchema]) -> Mapping[str, Sequence[ColumnFinding]]:
        from cdc.target.postgresql_engine import Reflecting  # noqa: PLC0415 - SQLAlchemy is for who looks at tables

        with (
            self._session() as connection,
            mapping(),
            closing(Reflecting(self._plain_connection, keeps=True)) as reflecting,
        ):
            planner = self._planner(reflecting)
            _check_creation(connection, own_tables_only=not self._config.create_tables)
            for schema in schemas:
                _check_rights(connection, planner.name(schema.db, schema.table))
            findings = {schema.name: tuple(planner.findings(schema)) for schema in schemas}
        return {name: found for name, found in findings.items() if found}

    def rows(self, schema: TableSchema) -> TableRows | None:
        from cdc.target.postgresql_catalog import catalogued  # noqa: PLC0415 - SQLAlchemy is for who looks at tables
        from cdc.target.postgresql_rows import PostgresqlAsker  # noqa: PLC0415
        from cdc.target.sql.rows import Layout, SqlRows  # noqa: PLC0415

        plan = self._planner().look(schema)
        if plan is None:
            return None
        connection = connect(self._config, self._application_name, _PATIENCE_SECONDS).connection
        try:
            with mapping():
                table = catalogued(connection, plan)
        except BaseException:
            connection.close()
            raise
        return SqlRows(Layout(POSTGRESQL, plan), PostgresqlAsker(connection, table))

    def findings(self, tables: Sequence[Expected]) -> Sequence[Finding]:
        from cdc.target.doctor import postgresql as doctor  # noqa: PLC0415 - for `cdc check` alone

        with self._session() as connection, mapping():
            return tuple(doctor.findings(connection, self._planner(), tables))

    def describe(self) -> str:
        with self._session() as connection:
            return f"PostgreSQL {connection.info.parameter_status('server_version') or ''}".split(" (")[0].strip()

    def close(self) -> None:
        """Nothing is kept open between calls."""

    def _planner(self, reflecting: "Reflecting | None" = None) -> "Planner":
        from cdc.target.sql.plan import Planner  # noqa: PLC0415 - SQLAlchemy is for who looks at tables

        return Planner(self._config, POSTGRESQL, reflecting or self._reflecting, shared=self._plans)

    @cached_property
    def _plans(self) -> "Plans":
        from cdc.target.sql.plan import Plans  # noqa: PLC0415

        return Plans()

    @cached_property
    def _reflecting(self) -> "Reflecting":
        """One for all lanes: its statements are compiled once."""
        from cdc.target.postgresql_engine import Reflecting  # noqa: PLC0415

        return Reflecting(self._plain_connection)

    def _read(self, read: Callable[[Connection], _T], *, empty: _T) -> _T:
        with self._session() as connection, mapping():
            try:
                return read(connection)
            except sqlstate.UndefinedTable:
                return empty

    @contextmanager
    def _session(self) -> Iterator[Connection]:
        session = connect(self._config, self._application_name, _PATIENCE_SECONDS)
        try:
            yield session.connection
        finally:
            session.connection.close()

    def _plain_connection(self) -> Connection:
        connection = connect(self._config, self._application_name, _PATIENCE_SECONDS).connection
        connection.autocommit = False
        return connection


def _check_creation(connection: Connection, *, own_tables_only: bool) -> None:
    """Raises TargetRefused unless tables can be made where they are missing, and temporary ones."""
    row = connection.execute(
        "SELECT to_regclass('_cdc_progress') IS NOT NULL AND to_regclass('_cdc_dead_letters') IS NOT NULL"
        " AND to_regclass('_cdc_copies') IS NOT NULL,"
        " coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),"
        " has_database_privilege(current_database(), 'TEMPORARY')"
    ).fetchone()
    own_tables, may_create, may_stage = row or (False, False, False)
    if not may_stage:
        raise TargetRefused(
            "the sink's role may not make temporary tables", hint="GRANT TEMPORARY ON DATABASE … TO the sink's role"
        )
    if not may_create and not (own_tables and own_tables_only):
        raise TargetRefused(
            "the sink's role may not make tables in its schema", hint="GRANT CREATE ON SCHEMA … TO the sink's role"
        )


def _check_rights(connection: Connection, name: TargetName) -> None:
    """Raises TargetRefused where a table that is there may not be read or written."""
    table = quote_table(POSTGRESQL, name)
    row = connection.execute("SELECT to_regclass(%s)::oid", (table,)).fetchone()
    if row is None or row[0] is None:
        return
    lacking = [
        right
        for right in _RIGHTS
        if connection.execute("SELECT has_table_privilege(%s::oid, %s)", (row[0], right)).fetchone() != (True,)
    ]
    if lacking:
        raise TargetRefused(
            f"the sink's role lacks {', '.join(lacking)} on table {shown(str(name))}",
            hint=f"GRANT {', '.join(_RIGHTS)} ON {shown(table)} TO the sink's role",
        )
