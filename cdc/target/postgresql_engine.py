"""SQLAlchemy on connections to PostgreSQL, for looking at tables and making them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa

from cdc.target.port import without_rows
from cdc.target.postgresql_connection import Connection
from cdc.target.postgresql_errors import mapped


class Reflecting:
    """Called, it gives a connection of its own: what it makes is committed apart from the lane's transaction. `keeps`: one and
    the same each time, until `close`; for who looks at many tables in a row."""

    def __init__(self, open_connection: Callable[[], Connection], *, keeps: bool = False) -> None:
        pool = sa.StaticPool if keeps else sa.NullPool
        self._engine = sa.create_engine(
            "postgresql+psycopg://", creator=open_connection, poolclass=pool, use_native_hstore=False
        )

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def __call__(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            if isinstance(error.orig, psycopg.Error):
                raise without_rows(mapped(error.orig)) from None
            raise
