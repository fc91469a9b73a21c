# ruff: noqa: S608 — the only statements built here have quoted identifiers and no values.
"""The Target of MySQL and MariaDB: writers for lanes, and what people and processes ask beside them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import ER

from cdc.connect.mysql import error_code, open_mysql
from cdc.model.batch import TableBatch
from cdc.model.checkpoint import Progress
from cdc.model.config import SinkConfig
from cdc.model.errors import TargetUnavailable
from cdc.model.finding import Finding
from cdc.model.schema import TableSchema
from cdc.target.mysql_errors import mapping
from cdc.target.mysql_session import SQL_MODE, Session, database_of
from cdc.target.port import ColumnFinding, Expected, LaneWriter, StoredLetter
from cdc.target.rows_port import TableRows
from cdc.target.sql.dialects import MYSQL
from cdc.target.sql.names import quote, quote_table
from cdc.target.sql.statements import statements
from cdc.target.sql.tables import progress_of, stored_letter

if TYPE_CHECKING:
    from cdc.target.mysql_engine import Reflecting
    from cdc.target.mysql_writer import MySqlWriter
    from cdc.target.sql.plan import Planner, Plans

SQL = statements(MYSQL)

# An ALTER may copy a large table; the server is heard of by TCP's keepalive meanwhile.
_DDL_SECONDS = 24 * 3600.0
# For single questions and for `settle`, which no lane's lease bounds: how long they may stand in the way of a sink.
_SHORT_SECONDS = 10.0


class MySqlTarget:
    """See cdc.target.port.Target. Each question has a connection of its own; each writer keeps one."""

    def __init__(self, connector: str, sink: str, config: SinkConfig) -> None:
        database_of(config)
        self._config = config
        self._names = {"connector": connector, "sink": sink}

    def writer(self, lease_seconds: float) -> LaneWriter:
        return self._writer(lease_seconds)

    def progress(self) -> Mapping[str, Progress]:
        with self._session() as session:
            rows = _unless_missing(session, SQL.all_progress, self._names)
        found = (progress_of(row)[0] for row in rows)
        return {progress.lane: progress for progress in found}

    def copies(self) -> Mapping[str, str]:
        with self._session() as session:
            return dict(_unless_missing(session, SQL.all_copies, self._names))

    def inspect(self, schemas: Sequence[TableSchema]) -> Mapping[str, Sequence[ColumnFinding]]:
        from cdc.target.mysql_engine import Reflecting  # noqa: PLC0415 - SQLAlchemy is for who looks at tables
        from cdc.target.mysql_tables import Tables  # noqa: PLC0415

        with self._session() as session, closing(Reflecting(self._open_for_ddl, keeps=True)) as reflecting:
            _writable(session)
            planner = self._planner(session, reflecting)
            tables = Tables(planner, session)
            found = {}
            for schema in schemas:
                with mapping(f"table {schema.name}"):
                    found[schema.name] = tables.findings(schema)
                    _check_rights(session, planner, schema)
        return {name: findings for name, findings in found.items() if findings}

    def findings(self, tables: Sequence[Expected]) -> Sequence[Finding]:
        from cdc.target.doctor import mysql as doctor  # noqa: PLC0415 - for `cdc check` alone

        with self._session() as session:
            found = doctor.findings(session, self._planner(session), tables, makes_tables=self._config.create_tables)
            return tuple(found)

    def dead_letters(self, limit: int) -> Sequence[StoredLetter]:
        with self._session() as session:
            return tuple(
                map(stored_letter, _unless_missing(session, SQL.list_letters, {**self._names, "limit": limit}))
            )

    def dead_letter_count(self) -> int:
        with self._session() as session:
            rows = _unless_missing(session, SQL.count_letters, self._names)
        return int(rows[0][0]) if rows else 0

    def settle(self, letters: Sequence[StoredLetter], batches: Sequence[TableBatch]) -> None:
        if not letters:
            return
        # Nobody could end this connection, were its process stopped: the server does, when it hears nothing for so long.
        writer = self._writer(_SHORT_SECONDS, idle_seconds=_SHORT_SECONDS)
        try:
            writer.settle(letters, batches)
        finally:
            writer.close()

    def rows(self, schema: TableSchema) -> TableRows | None:
        from cdc.target.mysql_rows import MySqlAsker  # noqa: PLC0415 - SQLAlchemy is for who looks at tables
        from cdc.target.sql.rows import Layout, SqlRows  # noqa: PLC0415

        session = Session(self._config, _SHORT_SECONDS)
        try:
            with mapping(f"table {schema.name}"):
                plan = self._planner(session).look(schema)
            if plan is not None:
                # MariaDB has one zero (docs/types.md).
                layout = Layout(MYSQL, plan, signed_zero=not session.is_mariadb)
                return SqlRows(layout, MySqlAsker(session, plan))
        except BaseException:
            session.close()
            raise
        session.close()
        return None

    def describe(self) -> str:
        with self._session() as session:
            return session.product

    def close(self) -> None:
        """Nothing is kept open between calls."""

    def _writer(self, lease_seconds: float, *, idle_seconds: float | None = None) -> "MySqlWriter":
        from cdc.target.mysql_writer import MySqlWriter  # noqa: PLC0415 - a reader only asks for progress

        def open_session() -> Session:
            if idle_seconds is None:
                return Session(self._config, lease_seconds)
            return Session(self._config, lease_seconds, idle_seconds=idle_seconds)

        def open_ddl() -> Session:
            return Session(self._config, lease_seconds, answer_seconds=_DDL_SECONDS)

        # Who opens a new one may do so because something was wrong with what is there.
        self._plans.forget()
        return MySqlWriter(self._names["connector"], self._names["sink"], open_session, open_ddl, self._planner)

    def _planner(self, session: Session, reflecting: "Reflecting | None" = None) -> "Planner":
        from cdc.target.sql.plan import Planner  # noqa: PLC0415 - SQLAlchemy is for who looks at tables

        names = session.rows("SELECT COLLATION_NAME FROM information_schema.COLLATIONS")
        collations = frozenset(str(name) for (name,) in names)
        return Planner(
            self._config,
            MYSQL,
            reflecting or self._reflecting,
            collations,
            session.native_types,
            session.has_expression_defaults,
            shared=self._plans,
        )

    @cached_property
    def _plans(self) -> "Plans":
        from cdc.target.sql.plan import Plans  # noqa: PLC0415

        return Plans()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        session = Session(self._config, _SHORT_SECONDS)
        try:
            with mapping():
                yield session
        finally:
            session.close()

    @cached_property
    def _reflecting(self) -> "Reflecting":
        from cdc.target.mysql_engine import Reflecting  # noqa: PLC0415 - SQLAlchemy is for who looks at tables

        return Reflecting(self._open_for_ddl)

    def _open_for_ddl(self) -> "pymysql.connections.Connection[pymysql.cursors.Cursor]":
        return open_mysql(
            self._config.url,
            self._config.tls,
            read_timeout_seconds=60.0,
            database=database_of(self._config),
            sql_mode=SQL_MODE,
        )


def _unless_missing(session: Session, sql: str, parameters: Mapping[str, object]) -> tuple[tuple[Any, ...], ...]:
    """The rows, or none where our own tables are not there yet."""
    try:
        return session.rows(sql, parameters)
    except pymysql.err.MySQLError as error:
        if error_code(error) != ER.NO_SUCH_TABLE:
            raise
        return ()


def _writable(session: Session) -> None:
    variable = "@@global.read_only" if session.is_mariadb else "@@global.super_read_only"
    ((read_only,),) = session.rows(f"SELECT {variable}")
    if read_only:
        raise TargetUnavailable(
            "the target is read-only",
            hint="point sink.url at the server that takes writes, or switch read_only off",
        )


def _check_rights(session: Session, planner: "Planner", schema: TableSchema) -> None:
    """EXPLAIN needs the rights of what it explains, and changes nothing (MySQL manual, "EXPLAIN Statement")."""
    quoted = quote_table(MYSQL, planner.name(schema.db, schema.table))
    try:
        column = session.rows(f"SHOW COLUMNS FROM {quoted}")[0][0]
    except pymysql.err.MySQLError as error:
        if error_code(error) == ER.NO_SUCH_TABLE:
            return
        raise
    name = quote(MYSQL, str(column))
    for statement in (
        f"INSERT INTO {quoted} ({name}) VALUES (NULL)",
        f"UPDATE {quoted} SET {name} = {name} WHERE FALSE",
        f"DELETE FROM {quoted} WHERE FALSE",
    ):
        session.rows(f"EXPLAIN {statement}")
