"""Facts that the source's server answers by SQL, over one kept connection.

Names differ between products and versions: `SHOW BINARY LOG STATUS` since MySQL 8.2 ("What Is New", 8.4: SHOW MASTER
STATUS is gone), `SHOW BINLOG STATUS` in MariaDB 10.5.2 and later (the old name stays). Variables are asked for with
SHOW GLOBAL VARIABLES, which leaves out what a version does not have instead of failing.
"""

import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from cdc.binlog.connection import connect, source_error, where
from cdc.binlog.port import BinlogFile, Retention
from cdc.connect.mysql import Kind, classify, error_code
from cdc.model.config import SourceConfig
from cdc.model.errors import CdcError, SourceRefused
from cdc.model.position import FilePosition

Result = Sequence[tuple[Any, ...]]
_PATIENCE_SECONDS = 30.0
_UNKNOWN_VARIABLE = 1193  # ER_UNKNOWN_SYSTEM_VARIABLE


class Product(NamedTuple):
    """`flavor`: mysql or mariadb."""

    flavor: str
    version: tuple[int, ...]
    text: str

    @property
    def name(self) -> str:
        return f"{'MariaDB' if self.flavor == 'mariadb' else 'MySQL'} {self.text}"


class Status(NamedTuple):
    """The end of the binlog. MySQL reads `executed` a moment before the position: it may lack the last transactions."""

    position: FilePosition
    executed: str


class Server:
    """Thread-safe: one query at a time."""

    def __init__(self, config: SourceConfig) -> None:
        self._config = config
        self._connection: Connection[Cursor] | None = None
        self._lock = threading.Lock()
        self._product: Product | None = None

    def query(self, sql: str) -> Result:
        """Raises SourceUnavailable or SourceRefused. A kept connection that has died is opened anew, once."""
        try:
            return self.ask(sql)
        except (pymysql.err.MySQLError, OSError) as error:
            raise self.explained(error) from error

    def explained(self, error: Exception) -> CdcError:
        """A driver's error as one of ours."""
        return source_error(error, self._config.url)

    def ask(self, sql: str) -> Result:
        """`query` with the driver's own errors, for who wants to know the code."""
        with self._lock:
            kept = self._connection is not None
            try:
                return self._run(sql)
            except (pymysql.err.MySQLError, OSError) as error:
                if not kept or classify(error) is not Kind.UNAVAILABLE:
                    raise
                self._drop()
                return self._run(sql)

    def _run(self, sql: str) -> Result:
        if self._connection is None:
            self._connection = connect(self._config.url, self._config.tls, _PATIENCE_SECONDS)
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def product(self) -> Product:
        if self._product is None:
            text = str(self.query("SELECT VERSION()")[0][0])
            number = text.partition("-")[0]
            flavor = "mariadb" if "mariadb" in text.lower() else "mysql"
            self._product = Product(flavor, tuple(int(part) for part in number.split(".") if part.isdigit()), number)
        return self._product

    def variables(self, *names: str) -> dict[str, str]:
        """Global variables by name; one that this version does not have is missing. Switches are ON or OFF."""
        listed = ", ".join(f"'{name}'" for name in names)
        rows = self.query(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({listed})")
        return {str(name).lower(): str(value) for name, value in rows}

    def setting(self, name: str) -> str:
        """One global variable whose values are texts; "" where this version does not have it. For who asks often: `variables`
        makes the server look through all that there are, for a millisecond."""
        try:
            ((value,),) = self.ask(f"SELECT @@GLOBAL.{name}")
        except (pymysql.err.MySQLError, OSError) as error:
            if error_code(error) == _UNKNOWN_VARIABLE:
                return ""
            raise self.explained(error) from error
        return str(value)

    def running_threads(self) -> int:
        """Threads_running, "the number of threads that are not sleeping" ("Server Status Variables")."""
        ((_, running),) = self.query("SHOW GLOBAL STATUS LIKE 'Threads_running'")
        return int(running)

    def identity(self) -> str:
        """server_uuid; MariaDB: server_uid (10.11.? and later), else its server_id."""
        found = self.variables("server_uuid", "server_uid", "server_id")
        for name in ("server_uuid", "server_uid"):
            if found.get(name):
                return found[name]
        return f"server-id-{found['server_id']}"

    def status(self) -> Status:
        """Raises SourceRefused where the binlog is off."""
        product = self.product()
        modern = product.flavor == "mysql" and product.version >= (8, 2)
        rows = self.query("SHOW BINARY LOG STATUS" if modern else "SHOW MASTER STATUS")
        if not rows:
            raise SourceRefused(
                f"the source {where(self._config.url)} writes no binlog (log_bin is OFF)",
                hint="start the server with --log-bin and --server-id",
            )
        position = FilePosition(str(rows[0][0]), int(rows[0][1]))
        if product.flavor == "mariadb":
            return Status(position, self.mariadb_gtids_at(position))
        return Status(position, "".join(str(rows[0][4]).split()) if len(rows[0]) > 4 else "")

    def mariadb_gtids_at(self, position: FilePosition) -> str:
        """MariaDB: what was executed before a boundary; "" at a binlog's very beginning."""
        rows = self.query(f"SELECT BINLOG_GTID_POS('{position.file}', {position.offset})")
        return str(rows[0][0] or "")

    def executed(self) -> str:
        """The set of GTIDs that the server has in its binlog, or had."""
        name = "gtid_binlog_pos" if self.product().flavor == "mariadb" else "gtid_executed"
        return "".join(self.variables(name).get(name, "").split())

    def purged(self) -> str:
        """MySQL: executed, and no longer in any binlog file."""
        return "".join(self.variables("gtid_purged").get("gtid_purged", "").split())

    def dumps_by_gtids(self) -> bool:
        """MySQL: COM_BINLOG_DUMP_GTID works, which it does with gtid_mode=ON only."""
        return self.setting("gtid_mode").upper() == "ON"

    def files(self) -> list[BinlogFile]:
        return [BinlogFile(str(row[0]), int(row[1])) for row in self.query("SHOW BINARY LOGS")]

    def expiry_seconds(self) -> float | None:
        """After which the server purges binlogs by itself; None: never."""
        found = self.variables("binlog_expire_logs_seconds", "expire_logs_days", "binlog_expire_logs_auto_purge")
        if found.get("binlog_expire_logs_auto_purge", "ON").upper() in {"OFF", "0"}:
            return None
        seconds = float(found.get("binlog_expire_logs_seconds") or 0)
        return seconds or float(found.get("expire_logs_days") or 0) * 86_400 or None

    def retention(self) -> Retention:
        """MariaDB 11.4 has a limit of size too (its manual, "max_binlog_total_size"); Percona's is called binlog_space_limit."""
        found = self.variables("max_binlog_total_size", "binlog_space_limit")
        limit = int(found.get("max_binlog_total_size") or found.get("binlog_space_limit") or 0)
        return Retention(self.expiry_seconds(), limit or None)

    def clock_offset_seconds(self) -> float:
        """The server's clock less ours."""
        before = time.time()
        server = self.now_seconds()
        return server - (before + time.time()) / 2

    def now_seconds(self) -> float:
        """The server's clock, seconds since 1970."""
        return float(self.query("SELECT UNIX_TIMESTAMP(NOW(6))")[0][0])

    def folds_names(self) -> bool:
        return self.variables("lower_case_table_names").get("lower_case_table_names", "0") != "0"

    def _drop(self) -> None:
        if self._connection is not None:
            # Its socket may be gone already; what counts is that it is not used again.
            with contextlib.suppress(pymysql.err.MySQLError, OSError):
                self._connection.close()
            self._connection = None

    def close(self) -> None:
        with self._lock:
            self._drop()
