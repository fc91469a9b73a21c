"""How many rows a source's server has read for a copy of a database, whoever else is at work there.

MySQL counts the rows that statements of one shape examined (performance_schema.events_statements_summary_by_digest): those
count that name a table with its database, as writers that have chosen theirs do not. MariaDB counts the rows that a user's
statements read (information_schema.USER_STATISTICS, while `userstat` is on). Neither number has what the catalogue was asked.
Both servers add a statement when it ends, also one whose client was killed.
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
    """By the copies of the reader whose source is `url`, so far."""
    statement, of = {
        "mysql": (
            "SELECT SUM(SUM_ROWS_EXAMINED) FROM performance_schema.events_statements_summary_by_digest"
            " WHERE LOCATE(%s, DIGEST_TEXT)",
            f"`{source.dbname}` . `",
        ),
        "mariadb": (
            "SELECT SUM(ROWS_READ) FROM information_schema.USER_STATISTICS WHERE USER = %s",
            urlsplit(url).username,
        ),
    }[source.server.kind]
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement, (of,))
        found = cursor.fetchone()
    return int((found and found[0]) or 0)
