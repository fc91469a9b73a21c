"""Reads tables of source and target with the drivers alone, in one plain form, so that they can be compared.

Nothing of the pipeline is used: a fault in its types must not hide itself here.
"""

import base64
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import psycopg
import pymysql

from tests.fixtures.servers import without_tls

Rows = dict[tuple[Any, ...], dict[str, Any]]


def mysql_connection(url: str, **arguments: Any) -> Any:
    parts = urlsplit(url)
    return pymysql.connect(
        **{
            **without_tls(parts.hostname),
            "host": parts.hostname,
            "port": parts.port,
            "user": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "database": parts.path.lstrip("/") or None,
            "charset": "utf8mb4",
            "autocommit": True,
            "init_command": "SET time_zone = '+00:00'",
            **arguments,
        }
    )


def rows(url: str, table: str, key: tuple[str, ...]) -> Rows:
    """All rows of `table` (as its side's SQL writes it), by key."""
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as sqlite:
            return _fetch(sqlite, table, key)
    if scheme == "postgresql":
        with psycopg.connect(url) as postgresql:
            postgresql.execute("SET TIME ZONE 'UTC'")
            return _fetch(postgresql, table, key)
    with closing(mysql_connection(url)) as mysql:
        return _fetch(mysql, table, key)


def _fetch(connection: Any, table: str, key: tuple[str, ...]) -> Rows:
    cursor = connection.cursor()
    cursor.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in cursor.description]
    found = [dict(zip(names, map(plain, row), strict=True)) for row in cursor.fetchall()]
    cursor.close()
    # SQLite keeps unsigned 64-bit keys as text: keys are compared as text.
    return {tuple(str(row[name]) for name in key): row for row in found}


def plain(value: Any) -> Any:
    """Numbers and texts stay; times become ISO text in UTC, intervals seconds, bytes base64, JSON texts their value."""
    match value:
        case datetime():
            moved = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            value = moved.isoformat(timespec="microseconds")
        case bool():
            value = int(value)
        case date():
            value = value.isoformat()
        case timedelta():
            value = value.total_seconds()
        case bytes() | bytearray() | memoryview():
            value = base64.b64encode(bytes(value)).decode()
        case str() if value[:1] in {"{", "["}:
            value = orjson.loads(value)
    return value


def differences(source: Rows, target: Rows, most: int = 5) -> list[str]:
    """What differs, said for a person; empty where both sides are equal. SQLite has no types for some values: texts that
    are numbers or times compare by value."""
    found = []
    for key in sorted(source.keys() | target.keys(), key=repr):
        left, right = source.get(key), target.get(key)
        if left is None or right is None:
            found.append(f"{key}: only at the {'source' if right is None else 'target'}")
        elif different := {
            name: (left[name], right.get(name)) for name in left if not same(left[name], right.get(name))
        }:
            found.append(f"{key}: {different}")
        if len(found) >= most:
            break
    return found


def same(left: Any, right: Any) -> bool:
    if left == right:
        return True
    if left is None or right is None:
        return False
    if isinstance(right, str) and isinstance(left, float | int | Decimal):
        return _number(right) == left or _seconds(right) == left
    if isinstance(right, str) and isinstance(left, str):
        return _moment(left) == _moment(right) is not None
    if isinstance(left, Mapping) or isinstance(right, Mapping):
        return False
    return isinstance(left, float) and isinstance(right, float) and abs(left - right) <= 1e-6 * abs(left)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _seconds(text: str) -> float | None:
    """`-12:30:00.5`, a TIME as text, in seconds."""
    match = re.fullmatch(r"(-?)(\d+):(\d\d):(\d\d(?:\.\d+)?)", text)
    if match is None:
        return None
    seconds = timedelta(hours=int(match[2]), minutes=int(match[3]), seconds=float(match[4])).total_seconds()
    return -seconds if match[1] else seconds


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "T"))
    except ValueError:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
