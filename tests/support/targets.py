"""Targets for tests: a fresh place on each adapter's real server, looked at with the driver alone, and what to write there."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import psycopg

from cdc.model.batch import DeadLetter, TableBatch
from cdc.model.change import Change, Row, Value
from cdc.model.checkpoint import Progress, SourcePoint
from cdc.model.config import SinkConfig
from cdc.model.position import Sequence as Position
from cdc.model.schema import Column, TableSchema
from cdc.target.memory import store
from cdc.target.port import ColumnFinding, LaneWriter, Target
from cdc.target.registry import open_target
from tests.support.sides import mysql_connection

ORDERS = TableSchema(
    "shop",
    "orders",
    (
        Column("id", "int", nullable=False),
        Column("note", "varchar", length=40, charset="utf8mb4", collation="utf8mb4_general_ci"),
        Column("total", "int"),
    ),
    ("id",),
)


def order(number: int, note: str | None = "new", total: int | None = 0) -> Row:
    return {"id": number, "note": note, "total": total}


def inserts(*rows: Row, schema: TableSchema = ORDERS) -> TableBatch:
    return TableBatch(schema, inserts=list(rows))


def updates(*rows: Row, schema: TableSchema = ORDERS) -> TableBatch:
    return TableBatch(schema, updates=list(rows))


def deletes(*keys: Value, schema: TableSchema = ORDERS) -> TableBatch:
    return TableBatch(schema, deletes=[(key,) for key in keys])


def moved(progress: Progress, count: int) -> Progress:
    """The progress of a lane that has applied `count` change events; every part of it says something."""
    return replace(
        progress,
        reader_token=7,
        watermark=Position(1, 3, 2**40 + count, 2),
        count=count,
        offset=f"{count}-0",
        point=SourcePoint("6ccd-uuid", "mysql-bin.000003", 2**33, "6ccd-uuid:1-5", 1_700_000_000),
        arrived=Position(1, 3, 9, 0),
        commit_us=1_700_000_000_123_456,
        fingerprint="00ff00ff",
    )


def letter(key: Value, reason: str = "waits", note: str = "parked") -> DeadLetter:
    raw = orjson.dumps({"after": order(1, note), "op": "c"})
    point = SourcePoint("6ccd-uuid", "mysql-bin.000003", 4)
    change = Change(
        op="c",
        db="shop",
        table="orders",
        schema=ORDERS.fingerprint(),
        key=(key,),
        after=order(1, note),
        seq=Position(1, 3, 90, 0),
        n=1,
        token=7,
        ends_transaction=True,
        replay=False,
        point=point,
        commit_us=1,
        raw=raw,
    )
    return DeadLetter(change, reason)


@dataclass(frozen=True)
class Place:
    """An empty target. `kind` is the scheme in the registry; `url` what a connector file would have."""

    kind: str
    url: str

    @property
    def sql(self) -> bool:
        return self.kind != "memory"

    def open(self, connector: str = "shop", sink: str = "sink", **settings: Any) -> Target:
        return open_target(connector, sink, SinkConfig(**{"url": self.url, **settings}))

    def quoted(self, name: str) -> str:
        if self.kind in {"mysql", "mariadb"}:
            return "`" + name.replace("`", "``") + "`"
        return '"' + name.replace('"', '""') + '"'

    @contextmanager
    def reading(self, sql: str) -> Iterator[None]:
        """A transaction that has read by `sql`, and stays open."""
        connection: Any
        if self.kind == "postgresql":
            connection = psycopg.connect(self.url)
        elif self.kind == "sqlite":
            connection = sqlite3.connect(self.path, isolation_level=None)
        else:
            connection = mysql_connection(self.url)
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute(sql)
        cursor.fetchone()
        try:
            yield
        finally:
            connection.close()

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """One statement, committed, on a connection of its own."""
        if self.kind == "postgresql":
            with psycopg.connect(self.url, autocommit=True, options="-c TimeZone=UTC") as postgresql:
                cursor = postgresql.execute(sql.encode())
                return cursor.fetchall() if cursor.description else []
        if self.kind == "sqlite":
            lite = sqlite3.connect(self.path, isolation_level=None, timeout=10)
            try:
                return lite.execute(sql).fetchall()
            finally:
                lite.close()
        with mysql_connection(self.url) as mysql, mysql.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    @property
    def path(self) -> Path:
        return Path(urlsplit(self.url).path)

    def rows(self, table: str = "orders", columns: Sequence[str] = ("id", "note", "total")) -> list[tuple[Any, ...]]:
        """The committed rows, sorted by the first column."""
        if self.kind == "memory":
            found = [tuple(row.get(column) for column in columns) for row in store(self.url).rows(table).values()]
        else:
            listed = ", ".join(map(self.quoted, columns))
            found = [tuple(row) for row in self.execute(f"SELECT {listed} FROM {self.quoted(table)}")]
        return sorted(found, key=lambda row: row[0])


def problems(target: Target, *schemas: TableSchema) -> dict[str, list[ColumnFinding]]:
    """What cannot be held at all, by table; without the notes."""
    found = {name: [one for one in every if one.severity == "error"] for name, every in target.inspect(schemas).items()}
    return {name: errors for name, errors in found.items() if errors}


def write(writer: LaneWriter, *batches: TableBatch, count: int = 1, **how: Any) -> None:
    """One whole transaction."""
    progress = writer.begin()
    writer.apply(batches, **how)
    writer.commit(moved(progress, count))
