"""SQLAlchemy on a connection to SQLite that is in use, for looking at tables and making them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from cdc.model.errors import TargetRefused
from cdc.target.port import without_rows
from cdc.target.sqlite_connection import HINTS, mapped


class _Borrowed:
    """A connection in the shape that SQLAlchemy wants, whose transaction stays its owner's: reflection and DDL happen inside
    the open transaction, since another connection would wait for it for ever."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def cursor(self) -> sqlite3.Cursor:
        return self._connection.cursor()

    def create_function(self, *arguments: Any, **options: Any) -> None:
        self._connection.create_function(*arguments, **options)

    def commit(self) -> None:
        """The owner's to do."""

    def rollback(self) -> None:
        """The owner's to do."""

    def close(self) -> None:
        """The owner's to do."""


class Reflecting:
    """Called, it gives SQLAlchemy's view of `connection`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._engine = sa.create_engine("sqlite://", creator=lambda: _Borrowed(connection), poolclass=sa.NullPool)

    @contextmanager
    def __call__(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise without_rows(mapped(error.orig or error)) from None
        except sa.exc.SQLAlchemyError as error:
            raise TargetRefused(
                f"the target's tables could not be read or made ({type(error).__name__})", hint=HINTS[TargetRefused]
            ) from None
