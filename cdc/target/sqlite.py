"""The Target of SQLite: one file, which any number of processes of one machine may write by turns."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdc.model.batch import TableBatch
from cdc.model.checkpoint import Progress
from cdc.model.config import SinkConfig
from cdc.model.errors import TargetRefused, TargetUnavailable
from cdc.model.finding import Finding
from cdc.model.schema import TableSchema
from cdc.target.port import ColumnFinding, Expected, LaneWriter, StoredLetter
from cdc.target.rows_port import TableRows
from cdc.target.sql.dialects import SQLITE
from cdc.target.sql.statements import statements
from cdc.target.sql.tables import progress_of, stored_letter
from cdc.target.sqlite_connection import connect, mapping, path_of

if TYPE_CHECKING:
    from cdc.target.sql.plan import Planner
    from cdc.target.sqlite_writer import SqliteWriter

SQL = statements(SQLITE)

# For questions beside the lanes' own transactions.
_PATIENCE_SECONDS = 10.0


class SqliteTarget:
    """See cdc.target.port.Target. The file is made by the first writer; questions before that make nothing."""

    def __init__(self, connector: str, sink: str, config: SinkConfig) -> None:
        self._path = path_of(config)
        self._config = config
        self._names = {"connector": connector, "sink": sink}

    def writer(self, lease_seconds: float) -> LaneWriter:
        return self._writer(lease_seconds / 2)

    def progress(self) -> Mapping[str, Progress]:
        found = (progress_of(row)[0] for row in self._rows(SQL.all_progress))
        return {progress.lane: progress for progress in found}

    def copies(self) -> Mapping[str, str]:
        # A file that an older version made has not got this table before a sink comes.
        return dict(self._rows(SQL.all_copies, of="_cdc_copies"))

    def inspect(self, schemas: Sequence[TableSchema]) -> Mapping[str, Sequence[ColumnFinding]]:
        _check_place(self._path)
        with self._reading() as connection:
            planner = self._planner(connection)
            findings = {schema.name: tuple(planner.findings(schema)) for schema in schemas}
        return {name: found for name, found in findings.items() if found}

    def findings(self, tables: Sequence[Expected]) -> Sequence[Finding]:
        from cdc.target.doctor import sqlite as doctor  # noqa: PLC0415 - for `cdc check` alone

        with self._reading() as connection, mapping(self._path.name):
            return tuple(doctor.findings(connection, self._planner(connection), tables))

    def dead_letters(self, limit: int) -> Sequence[StoredLetter]:
        return tuple(map(stored_letter, self._rows(SQL.list_letters, limit=limit)))

    def dead_letter_count(self) -> int:
        rows = self._rows(SQL.count_letters)
        return int(rows[0][0]) if rows else 0

    def settle(self, letters: Sequence[StoredLetter], batches: Sequence[TableBatch]) -> None:
        if not letters:
            return
        writer = self._writer(_PATIENCE_SECONDS)
        try:
            writer.settle(letters, batches)
        finally:
            writer.close()

    def rows(self, schema: TableSchema) -> TableRows | None:
        from cdc.target.sql.rows import Layout, SqlRows  # noqa: PLC0415 - SQLAlchemy is for who looks at tables
        from cdc.target.sqlite_rows import SqliteAsker  # noqa: PLC0415

        with mapping(self._path.name):
            if not self._path.exists():
                return None
            connection = connect(self._path, _PATIENCE_SECONDS, create=False)
        try:
            plan = self._planner(connection).look(schema)
        except BaseException:
            connection.close()
            raise
        if plan is None:
            connection.close()
            return None
        return SqlRows(Layout(SQLITE, plan, signed_zero=False), SqliteAsker(connection, plan))

    def describe(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def close(self) -> None:
        """Nothing is kept open between calls."""

    def _writer(self, wait_seconds: float) -> "SqliteWriter":
        from cdc.target.sqlite_writer import SqliteWriter  # noqa: PLC0415 - a reader only asks for progress

        def open_connection() -> sqlite3.Connection:
            return connect(self._path, wait_seconds, create=True)

        return SqliteWriter(self._names["connector"], self._names["sink"], open_connection, self._planner)

    def _planner(self, connection: sqlite3.Connection) -> "Planner":
        from cdc.target.sql.plan import Planner  # noqa: PLC0415 - SQLAlchemy is for who looks at tables
        from cdc.target.sqlite_engine import Reflecting  # noqa: PLC0415

        return Planner(self._config, SQLITE, Reflecting(connection))

    def _rows(self, sql: str, of: str = "_cdc_progress", **parameters: Any) -> Sequence[tuple[Any, ...]]:
        """The rows, or none where our own tables are not there yet."""
        with self._reading() as connection, mapping(self._path.name):
            there = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (of,))
            if there.fetchone()[0] == 0:
                return ()
            return connection.execute(sql, {**self._names, **parameters}).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The file, or an empty database in memory where there is none yet."""
        with mapping(self._path.name):
            if self._path.exists():
                opened = connect(self._path, _PATIENCE_SECONDS, create=False)
            else:
                opened = sqlite3.connect(":memory:", isolation_level=None)
        with closing(opened) as connection:
            yield connection


def _check_place(path: Path) -> None:
    if not path.parent.is_dir():
        raise TargetRefused(f"the folder of {path.name} is not there", hint=f"make it: mkdir -p {path.parent}")
    # The write-ahead log and its index are files beside it.
    place = path if path.exists() else path.parent
    if not (os.access(place, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise TargetUnavailable(
            f"{place} is not writable for this user",
            hint="change its owner or its mode; the folder must be writable too",
        )
