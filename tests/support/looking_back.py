"""A source whose binlog is looked back at, with the connector file for it, and what `cdc tail` and `cdc replay` say of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pymysql.constants import CLIENT

from tests.e2e.conftest import position
from tests.fixtures.servers import Database
from tests.support.pipeline import connector, write_connector
from tests.support.shop import Done, called


class LookedAt:
    """Captures everything in the database; `start` is where it was made. `source`: keys of the connector file's source."""

    def __init__(self, database: Database, folder: Path, **source: Any) -> None:
        self.database = database
        self.start = position(database)
        self.folder = folder
        self._document = connector(
            database.dbname.replace("_", "-"),
            source_url=database.server.url,
            target_url=f"sqlite:///{folder}/t.db",
            tables=[f"{database.dbname}.*"],
            queue={"url": "memory://"},
            source=source,
        )
        self.file = str(write_connector(folder, self._document))

    def sql(self, *statements: str, session: str = "") -> None:
        """Each a transaction of its own, but for what stands between BEGIN and COMMIT. `session`: a SET in front."""
        with self.database.connect() as connection, connection.cursor() as cursor:
            for statement in ([session] if session else []) + list(statements):
                cursor.execute(statement)

    def rows(self, select: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(select)
            return sorted(cursor.fetchall(), key=repr)

    def name(self, table: str) -> str:
        return f"{self.database.dbname}.{table}"

    def now(self) -> str:
        """The binlog's end."""
        return position(self.database)

    def mark(self) -> str:
        """From here on is looked at."""
        self.start = self.now()
        return self.start

    def tail(self, *arguments: str, to: str = "latest", start: str | None = None) -> Done:
        return called("tail", self.file, "--from", start or self.start, "--to", to, *arguments)

    def events(self, *arguments: str, to: str = "latest") -> list[dict[str, Any]]:
        done = self.tail(*arguments, to=to)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def reverse_sql(self, *arguments: str, status: int = 0, to: str = "latest") -> str:
        done = self.tail("--reverse-sql", *arguments, to=to)
        assert done.returncode == status, done.stderr + done.stdout[-2000:]
        return done.stdout

    def run(self, script: str) -> None:
        run_script(self.database, script)

    def dry_run(self, *arguments: str, start: str | None = None) -> dict[str, Any]:
        done = called("replay", self.file, "--from", start or self.start, "--dry-run", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def run_script(database: Database, script: str) -> None:
    """As a client runs it that ends at the first error. Lines of comment are left out: behind the last statement the server takes
    one for an empty statement."""
    text = "\n".join(line for line in script.split("\n") if not line.startswith("-- "))
    with database.connect(client_flag=CLIENT.MULTI_STATEMENTS) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        while cursor.nextset():
            pass


def commands(script: str) -> Sequence[str]:
    """The statements that change rows."""
    return [line for line in script.split("\n") if line.startswith(("INSERT ", "UPDATE ", "DELETE "))]
