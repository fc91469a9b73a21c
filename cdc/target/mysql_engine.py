"""SQLAlchemy on connections to MySQL and MariaDB, for looking at tables and making them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool, StaticPool

from cdc.model.errors import TargetRefused
from cdc.target.mysql_errors import DRIVER_ERRORS, mapped
from cdc.target.port import without_rows
from cdc.target.sql.reflect import teach


class Reflecting:
    """Called, it gives a connection of its own: DDL commits what is open on its connection. `keeps`: one and the same each time,
    until `close`; for who looks at many tables in a row."""

    def __init__(self, open_connection: Callable[[], Any], *, keeps: bool = False) -> None:
        pool = StaticPool if keeps else NullPool
        self._engine = teach(sa.create_engine("mysql+pymysql://", creator=open_connection, poolclass=pool))

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def __call__(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise without_rows(mapped(error.orig or error)) from None
        except sa.exc.SQLAlchemyError as error:
            raise TargetRefused(
                f"the target's tables could not be read or made ({type(error).__name__})",
                hint="look at the target's table; `cdc check` names the columns it cannot hold",
            ) from None
        except DRIVER_ERRORS as error:
            raise without_rows(mapped(error)) from None
