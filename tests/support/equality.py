"""Compares large tables of two sides row by row, in key order, as a stream: nothing of the pipeline, and little memory."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import zip_longest
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymysql.cursors

from tests.support.sides import mysql_connection

_PAGE_ROWS = 2000


def ordered(url: str, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """The rows of `table`, in the order of the first of `columns`, which is unique and ordered alike at both sides."""
    return _streamed(url, f"SELECT {columns} FROM {table} ORDER BY 1")


def scanned(url: str, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """The same in whatever order costs the server least."""
    return _streamed(url, f"SELECT {columns} FROM {table}")


def _streamed(url: str, statement: str) -> Iterator[tuple[Any, ...]]:
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as sqlite:
            yield from sqlite.execute(statement)
    elif scheme == "postgresql":
        with psycopg.connect(url) as postgresql, postgresql.cursor("streamed") as pages:
            pages.itersize = _PAGE_ROWS
            yield from pages.execute(statement.encode())
    else:
        with closing(mysql_connection(url, cursorclass=pymysql.cursors.SSCursor)) as mysql, mysql.cursor() as cursor:
            cursor.execute(statement)
            while page := cursor.fetchmany(_PAGE_ROWS):
                yield from page


def unlike(source: str, target: str, table: str, columns: str) -> list[str]:
    """The first differences, said for a person; [] where every row of either side is equal to the other's."""
    found: list[str] = []
    rows = 0
    for left, right in zip_longest(ordered(source, table, columns), ordered(target, table, columns)):
        if left != right:
            found.append(f"{table}, row {rows + 1} in key order: {left} at the source, {right} at the target")
            if len(found) == 3:
                break
        rows += 1
    return found if found or rows else [f"{table}: no row on either side, so nothing was compared"]
