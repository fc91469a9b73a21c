"""The databases that are applied to: made ready for a turn, and looked at while one runs."""

from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import psycopg

from benchmarks.rows import Pair
from benchmarks.servers import connect, login
from cdc.local import Server

DATABASE = "bench_target"


class Target(Protocol):
    flavor: str
    url: str
    server: Server

    def forget(self) -> None:
        """The product knows nothing of what it did here before."""

    def run(self, statement: str) -> None: ...

    def visible(self, table: str, pairs: Sequence[Pair]) -> int:
        """How many of these (id, k) are there: a look by primary key."""

    def count(self, table: str, least_k: int) -> int:
        """Rows with a k of at least that: a scan."""

    def has(self, table: str) -> bool: ...

    def lanes_taken(self) -> int:
        """How many lanes sinks have taken over."""

    def settle(self, table: str) -> None:
        """The server knows how many rows there are, and owes no work for what was done before."""

    def like(self, table: str, other: str) -> str:
        """The statement that makes an empty table like another, with its key."""

    def debezium(self) -> dict[str, str]:
        """Settings of Debezium's JDBC sink for it."""


class PostgreSQL:
    flavor = "postgresql"

    def __init__(self, server: Server) -> None:
        self.server = server
        with psycopg.connect(server.url, autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        self.url = urlunsplit(urlsplit(server.url)._replace(path=f"/{DATABASE}"))
        self.connection = psycopg.connect(self.url, autocommit=True)

    def forget(self) -> None:
        own = self.connection.execute(r"SELECT tablename FROM pg_tables WHERE tablename LIKE '\_cdc%'").fetchall()
        for (name,) in own:
            self.run(f'DROP TABLE "{name}"')

    def run(self, statement: str) -> None:
        self.connection.execute(statement.encode())

    def visible(self, table: str, pairs: Sequence[Pair]) -> int:
        return self._number(f"SELECT count(*) FROM {table} WHERE (id, k) IN ({_list(pairs)})")

    def count(self, table: str, least_k: int) -> int:
        return self._number(f"SELECT count(*) FROM {table} WHERE k >= {least_k}")

    def rows(self, table: str) -> int:
        return self._number(f"SELECT count(*) FROM {table}")

    def has(self, table: str) -> bool:
        return bool(self._number(f"SELECT count(*) FROM pg_tables WHERE tablename = '{table}'"))

    def lanes_taken(self) -> int:
        return self._number("SELECT count(*) FROM _cdc_progress") if self.has("_cdc_progress") else 0

    def lanes_copied(self) -> int:
        """How many lanes have nothing left to copy."""
        if not self.has("_cdc_copies"):
            return 0
        return self._number("SELECT count(*) FROM _cdc_copies WHERE json_array_length(copies::json -> 'tables') = 0")

    def settle(self, table: str) -> None:
        self.run(f"VACUUM ANALYZE {table}")
        self.run("CHECKPOINT")

    def like(self, table: str, other: str) -> str:
        return f"CREATE TABLE {table} (LIKE {other} INCLUDING ALL)"

    def _number(self, statement: str) -> int:
        row = self.connection.execute(statement.encode()).fetchone()
        return int(row[0]) if row else 0

    def debezium(self) -> dict[str, str]:
        at = login(self.url)
        url = f"jdbc:postgresql://{at['host']}:{at['port']}/{DATABASE}?reWriteBatchedInserts=true"
        return {**_debezium(at, url), "dialect.postgres.unnest.insert.enabled": "true"}


class MySQL:
    flavor = "mysql"

    def __init__(self, server: Server) -> None:
        self.server = server
        self.connection = connect(server.url)
        self.run(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        self.run(f"USE {DATABASE}")
        self.url = f"{server.url}/{DATABASE}"

    def forget(self) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(r"SHOW TABLES LIKE '\_cdc%'")
            for (name,) in cursor.fetchall():
                self.run(f"DROP TABLE `{name}`")

    def run(self, statement: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)

    def visible(self, table: str, pairs: Sequence[Pair]) -> int:
        return self._number(f"SELECT count(*) FROM {table} WHERE (id, k) IN ({_list(pairs)})")

    def count(self, table: str, least_k: int) -> int:
        return self._number(f"SELECT count(*) FROM {table} WHERE k >= {least_k}")

    def has(self, table: str) -> bool:
        return bool(
            self._number(
                "SELECT count(*) FROM information_schema.tables"
                f" WHERE table_schema = '{DATABASE}' AND table_name = '{table}'"
            )
        )

    def lanes_taken(self) -> int:
        return self._number("SELECT count(*) FROM _cdc_progress") if self.has("_cdc_progress") else 0

    def settle(self, table: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(f"ANALYZE TABLE {table}")

    def like(self, table: str, other: str) -> str:
        return f"CREATE TABLE {table} LIKE {other}"

    def _number(self, statement: str) -> int:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            row: Any = cursor.fetchone()
        return int(row[0])

    def debezium(self) -> dict[str, str]:
        at = login(self.url)
        options = "rewriteBatchedStatements=true&useSSL=false&allowPublicKeyRetrieval=true"
        return _debezium(at, f"jdbc:mysql://{at['host']}:{at['port']}/{DATABASE}?{options}")


def _list(pairs: Sequence[Pair]) -> str:
    return ", ".join(f"({id_}, {k})" for id_, k in pairs)


def _debezium(at: dict[str, Any], url: str) -> dict[str, str]:
    """https://debezium.io/documentation/reference/stable/connectors/jdbc.html: upserts by the record's key, batches as large as
    ours, its reduction buffer, and the driver's own rewriting of batches."""
    return {
        "connection.url": url,
        "connection.username": str(at["user"]),
        "connection.password": str(at["password"]),
        "insert.mode": "upsert",
        "primary.key.mode": "record_key",
        "schema.evolution": "none",
        "collection.name.format": "${source.table}",
        "batch.size": "5000",
        "use.reduction.buffer": "true",
    }
