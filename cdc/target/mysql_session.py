"""One connection of the MySQL target: its settings, what the server can do, and statements as plain calls.

Driver errors pass through here as they are; cdc.target.mysql_errors.mapping stands around the port's methods.
"""

import math
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pymysql
from pymysql.constants import ER
from pymysql.cursors import Cursor

from cdc.connect.mysql import error_code, open_mysql
from cdc.model.config import SinkConfig
from cdc.model.errors import TargetBusy, TargetRefused
from cdc.target.mysql_errors import DRIVER_ERRORS, mapping
from cdc.target.mysql_prepared import Prepared, rows_at_once

# Strict, so that a value that does not fit is an error and never cut to fit. Without NO_ZERO_DATE and NO_ZERO_IN_DATE and with
# ALLOW_INVALID_DATES, because a source that has '0000-00-00' or '2024-02-31' must find it again at the target. A zero in an
# AUTO_INCREMENT column is a zero. The server's own mode is not taken over: NO_BACKSLASH_ESCAPES or ANSI_QUOTES would
# change what our literals mean (MySQL manual, 7.1.11 "Server SQL Modes").
SQL_MODE = "STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"

# Statements of a few megabytes are as fast as larger ones, and leave the server's max_allowed_packet (64 MB) alone.
_MAX_STATEMENT_BYTES = 4 * 1024 * 1024
_DEFAULT_IDLE_SECONDS = 28_800
# MySQL 9.0 release notes; MariaDB documentation, "UUID Data Type", "INET4", "INET6", "VECTOR".
_MYSQL_TYPES = {"vector": (9, 0, 0)}
_MARIADB_TYPES = {"inet6": (10, 5, 0), "uuid": (10, 7, 0), "inet4": (10, 10, 0), "vector": (11, 7, 0)}


def database_of(config: SinkConfig) -> str:
    if urlsplit(config.url.get_secret_value()).query:
        raise TargetRefused(
            "sink.url has options after '?', which are not read", hint="leave them out; TLS is set by sink.tls"
        )
    database = config.url.path.strip("/")
    if not database:
        raise TargetRefused(
            "sink.url names no database, and the progress table needs one",
            hint="write it as mysql://user:password@host:3306/database",
        )
    return database


class Session:
    """A connection with autocommit; transactions are begun and ended by statements.

    `name` is held as a named lock (GET_LOCK) for as long as the connection lives: who finds it in a progress row learns by
    IS_USED_LOCK which connection that is, if it still is. An id alone may by then belong to somebody else.
    """

    def __init__(
        self,
        config: SinkConfig,
        lease_seconds: float,
        *,
        idle_seconds: float = _DEFAULT_IDLE_SECONDS,
        answer_seconds: float | None = None,
    ) -> None:
        """`idle_seconds`: the server ends the connection after so long without a statement. `answer_seconds`: the longest
        statement; None: as long as the lease makes of it."""
        self.lock_wait_seconds = max(1, math.ceil(lease_seconds / 2))
        with mapping(f"connecting to {config.url.redacted}"):
            self._connection = open_mysql(
                config.url,
                config.tls,
                # A half-open connection is noticed; no statement of ours is long (see the writer's truncate).
                read_timeout_seconds=answer_seconds or max(60.0, 6 * lease_seconds),
                connect_timeout_seconds=max(2.0, lease_seconds),
                database=database_of(config),
                sql_mode=SQL_MODE,
            )
        self._prepared = Prepared(self._connection)
        try:
            with mapping():
                self._set_up(max(1, math.ceil(idle_seconds)))
        except BaseException:
            self.close()
            raise

    def _set_up(self, idle_seconds: int) -> None:
        self.name = f"lockstep-{secrets.token_hex(16)}"
        self.run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        self.run(
            f"SET SESSION innodb_lock_wait_timeout = {self.lock_wait_seconds}, "
            f"lock_wait_timeout = {self.lock_wait_seconds}, wait_timeout = {idle_seconds}, foreign_key_checks = 1"
        )
        ((version, comment, packet_bytes, _held),) = self.rows(
            "SELECT VERSION(), @@version_comment, @@max_allowed_packet, GET_LOCK(%(name)s, 0)", {"name": self.name}
        )
        self.version = str(version)
        self.is_mariadb = "mariadb" in f"{version} {comment}".lower()
        self.max_row_bytes = int(packet_bytes) - 4096
        self.max_statement_bytes = min(_MAX_STATEMENT_BYTES, self.max_row_bytes)

    @property
    def product(self) -> str:
        """`MariaDB 10.11.19`."""
        number = re.match(r"[\d.]+", self.version)
        return f"{'MariaDB' if self.is_mariadb else 'MySQL'} {number[0] if number else self.version}"

    @property
    def has_row_alias(self) -> bool:
        """`INSERT … AS new` (MySQL 8.0.19), where VALUES() is deprecated; MariaDB has only VALUES()."""
        return not self.is_mariadb and self._numbers >= (8, 0, 19)

    def prepared_rows(self, columns: int) -> int:
        """How many rows of so many columns a prepared statement is to take; 0: none are prepared. Of MySQL it is known that
        they are cheaper."""
        return 0 if self._prepared.given_up or not self.has_row_alias else rows_at_once(columns)

    @property
    def native_types(self) -> frozenset[str]:
        """Which of uuid, inet4, inet6 and vector the server has as types of its own."""
        since = _MARIADB_TYPES if self.is_mariadb else _MYSQL_TYPES
        return frozenset(name for name, version in since.items() if self._numbers >= version)

    @property
    def has_expression_defaults(self) -> bool:
        """`DEFAULT (…)`, which TEXT, BLOB, JSON and geometries need (MySQL 8.0.13, MariaDB 10.2.1)."""
        return self._numbers >= ((10, 2, 1) if self.is_mariadb else (8, 0, 13))

    @property
    def _numbers(self) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", self.version)[:3])

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Executes, and answers the number of rows affected (changed, not found). Without parameters `%` is just that."""
        if parameters is None:
            return int(self._connection.query(sql))
        with self._connection.cursor() as cursor:
            return int(cursor.execute(sql, dict(parameters)))

    def run_upsert(self, sql: bytes) -> int | None:
        """Executes an INSERT … ON DUPLICATE KEY UPDATE, and answers how many rows were there and became others; None where the
        server does not say. (The affected rows do not tell: an insert counts 1, an update 2, one that changes nothing 0.)"""
        self._connection.query(sql)
        return self._duplicates()

    def run_prepared_upsert(self, sql: bytes, parameters: bytes) -> tuple[bool, int | None]:
        """As `run_upsert`, of a prepared statement; False: nothing was done (see cdc.target.mysql_prepared)."""
        if not self._prepared.run(sql, parameters):
            return False, None
        return True, self._duplicates()

    def _duplicates(self) -> int | None:
        result: Any = getattr(self._connection, "_result", None)
        # "Records: 3  Duplicates: 2  Warnings: 0", in the server's language (MySQL C API, mysql_info()).
        numbers = re.findall(rb"\d+", (result and result.message) or b"")
        return int(numbers[-2]) if len(numbers) >= 3 else None

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> tuple[tuple[Any, ...], ...]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, None if parameters is None else dict(parameters))
            return tuple(cursor.fetchall())

    def run_many(self, sql: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        """An INSERT for many rows, which PyMySQL sends as few statements."""
        with self._connection.cursor(Cursor) as cursor:
            cursor.executemany(sql, [dict(one) for one in parameters])

    def end_session(self, name: str) -> bool:
        """Ends the connection that holds `name`; False where there is none, or it is our own.

        The server rolls its transaction back. A user may end their own connections without any further right.
        """
        if not name or name == self.name:
            return False
        ((connection_id,),) = self.rows("SELECT IS_USED_LOCK(%(name)s)", {"name": name})
        if connection_id is None:
            return False
        try:
            self.run(f"KILL CONNECTION {int(connection_id)}")
        except pymysql.err.MySQLError as error:
            if error_code(error) == ER.KILL_DENIED_ERROR:
                raise TargetBusy(
                    f"the lane's former holder is stopped inside its transaction (connection {connection_id} of another user)",
                    hint="end that connection as its user or as an administrator: KILL CONNECTION "
                    f"{connection_id}; all of a connector's sinks use one user",
                ) from None
            if error_code(error) != ER.NO_SUCH_THREAD:
                raise
        return True

    def close(self) -> None:
        try:
            self._connection.close()
        except DRIVER_ERRORS:
            return  # it was broken, or closed before: what was asked for is so
