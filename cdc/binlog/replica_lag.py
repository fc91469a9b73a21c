"""How far the source's replicas are behind, as they say themselves.

"SHOW REPLICA STATUS Statement" (MySQL, from 8.0.22 on), "SHOW SLAVE STATUS Statement" (before), "SHOW ALL SLAVES STATUS"
(MariaDB): Seconds_Behind_Source, Seconds_Behind_Master. NULL: a thread of the replication does not run, or is not connected.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from cdc.binlog.connection import where
from cdc.binlog.rows_port import ReplicaLag
from cdc.connect.mysql import error_code, open_mysql, reason
from cdc.model.config import SourceConfig, Tls, Url

_PATIENCE_SECONDS = 5.0
_SYNTAX = 1064  # ER_PARSE_ERROR: the other product, or an older one
_STATEMENTS = ("SHOW REPLICA STATUS", "SHOW ALL SLAVES STATUS", "SHOW SLAVE STATUS")
_SECONDS = ("Seconds_Behind_Source", "Seconds_Behind_Master")
_CHANNELS = ("Channel_Name", "Connection_name")


class Replicas:
    """One kept connection to each. Not thread-safe."""

    def __init__(self, config: SourceConfig) -> None:
        self._replicas = [_Replica(url, config.tls) for url in config.snapshot.replicas]

    def lags(self) -> Sequence[ReplicaLag]:
        """In the connector file's order. Raises nothing: what does not answer is a lag that nobody knows."""
        return [replica.lag() for replica in self._replicas]

    def close(self) -> None:
        for replica in self._replicas:
            replica.close()


class _Replica:
    def __init__(self, url: Url, tls: Tls | None) -> None:
        self._url = url
        self._tls = tls
        self._connection: Connection[Any] | None = None
        self._statement = ""

    def lag(self) -> ReplicaLag:
        place = where(self._url)
        try:
            return lag_of(place, self._ask())
        except (pymysql.err.MySQLError, OSError) as error:
            self.close()
            return ReplicaLag(place, None, f"does not tell how far it is: {reason(error)}")

    def _ask(self) -> Sequence[dict[str, Any]]:
        if self._connection is None:
            self._connection = open_mysql(
                self._url,
                self._tls,
                connect_timeout_seconds=_PATIENCE_SECONDS,
                read_timeout_seconds=_PATIENCE_SECONDS,
            )
        with self._connection.cursor(DictCursor) as cursor:
            if not self._statement:
                self._statement = _understood(cursor)
            cursor.execute(self._statement)
            return list(cursor.fetchall())

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(pymysql.err.MySQLError, OSError):
                connection.close()


def _understood(cursor: Any) -> str:
    """The first statement that this server knows: MariaDB takes SHOW REPLICA STATUS too, for one channel alone."""
    cursor.execute("SELECT VERSION() AS version")
    mariadb = "mariadb" in str(cursor.fetchone()["version"]).lower()
    for statement in _STATEMENTS[1:] if mariadb else _STATEMENTS:
        try:
            cursor.execute(statement)
        except pymysql.err.MySQLError as error:
            if error_code(error) == _SYNTAX:
                continue
            raise
        cursor.fetchall()
        return statement
    return _STATEMENTS[-1]


def lag_of(replica: str, channels: Sequence[dict[str, Any]]) -> ReplicaLag:
    """The worst of all channels of a server."""
    if not channels:
        return ReplicaLag(replica, None, "is no replica")
    worst = 0.0
    for channel in channels:
        seconds = next((channel[name] for name in _SECONDS if name in channel), None)
        if seconds is None:
            name = next((channel[one] for one in _CHANNELS if channel.get(one)), "")
            return ReplicaLag(replica, None, f"does not replicate{f' (channel {name})' if name else ''}")
        worst = max(worst, float(seconds))
    return ReplicaLag(replica, worst)
