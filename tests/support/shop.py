"""A small shop on a real server, and the connector file that captures it, for tests of commands that look at a pipeline."""

import logging
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from cdc.cli.main import run
from tests.fixtures.servers import Database
from tests.support.pipeline import connector, write_connector


class Shop:
    """`file`: the connector file; it captures everything in the database that was committed after this was made."""

    def __init__(self, source: Database, folder: Path, sinks: dict[str, dict[str, Any]], **more: Any) -> None:
        self.source = source
        self.sql(
            "CREATE TABLE orders (id BIGINT PRIMARY KEY, total DECIMAL(10,2), note VARCHAR(100))",
            "CREATE TABLE logins (name VARCHAR(20) PRIMARY KEY, email VARCHAR(50) UNIQUE)",
        )
        self.start = self.position()
        document = connector(
            source.dbname.replace("_", "-"),
            source_url=source.server.url,
            target_url="",
            tables=[f"{source.dbname}.*"],
            **more,
        )
        del document["sink"]
        document["sinks"] = sinks
        document["source"]["start"] = self.start
        self.file = str(write_connector(folder, document))

    def sql(self, *statements: str) -> None:
        with self.source.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def position(self) -> str:
        """The source's end."""
        with self.source.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SHOW BINARY LOG STATUS")
            file, offset, *_ = cursor.fetchone()
        return f"{file}:{offset}"

    def drain(self) -> None:
        done = called("run", self.file, "--drain")
        assert done.returncode == 0, done.stderr


class Done(NamedTuple):
    """What a command that ran to its end left."""

    returncode: int
    stdout: str
    stderr: str


def called(*arguments: str) -> Done:
    """Runs `cdc …` inside this process: the whole way through `main`, without the second that a new process takes."""
    with TemporaryFile("w+", encoding="utf-8") as out, TemporaryFile("w+", encoding="utf-8") as err:
        with redirect_stdout(out), redirect_stderr(err):
            status = run(list(arguments))
        root = logging.getLogger()
        for handler in [known for known in root.handlers if getattr(known, "of_lockstep", False)]:
            root.removeHandler(handler)
        return Done(status, *(stream.seek(0) or stream.read() for stream in (out, err)))
