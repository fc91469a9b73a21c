"""How many rows a source's server has read for one of its users: what a copy costs there, whoever else is at work.

MySQL counts the rows that each statement examined (performance_schema.events_statements_summary_by_user_by_event_name), MariaDB
those that a user's statements read (information_schema.USER_STATISTICS, while `userstat` is on). Both add up a statement when it
ends, also one whose client was killed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.fixtures.servers import Database


@contextmanager
def counted(source: Database) -> Iterator[None]:
    """Within it the server counts."""
    if source.server.kind != "mariadb":
        yield
        return
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL userstat = 1")
        try:
            yield
        finally:
            cursor.execute("SET GLOBAL userstat = 0")


def rows_examined(source: Database, url: str) -> int:
    """For the user of `url`, so far."""
    user = urlsplit(url).username
    statement = {
        "mysql": "SELECT SUM(SUM_ROWS_EXAMINED) FROM performance_schema.events_statements_summary_by_user_by_event_name"
        " WHERE EVENT_NAME = 'statement/sql/select' AND USER = %s",
        "mariadb": "SELECT ROWS_READ FROM information_schema.USER_STATISTICS WHERE USER = %s",
    }[source.server.kind]
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement, (user,))
        found = cursor.fetchone()
    assert found is not None, f"the source knows of no statement of {user}"
    assert found[0] is not None, f"the source knows of no statement of {user}"
    return int(found[0])
