"""One source into PostgreSQL, MySQL and SQLite at once, run to its end step by step, and both sides looked at by the drivers."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.servers import Database
from tests.support.chaos import CANARY, fresh_target, position, reading_user, writing_user
from tests.support.pipeline import connector, write_connector
from tests.support.shop import Done, called
from tests.support.sides import differences, rows
from tests.support.sinks import statement_at

TARGETS = ("postgresql", "mysql", "sqlite")


@dataclass
class ThreeSinks:
    """`targets`: the owner's URL of each target, by the sink's name; the pipeline has users of its own, whose passwords
    carry the canary. `document` may be changed between runs."""

    source: Database
    targets: dict[str, str]
    document: dict[str, Any]
    folder: Path

    def sql(self, *statements: str, **session: Any) -> None:
        """In one session, with these variables set."""
        with self.source.connect() as connection, connection.cursor() as cursor:
            for name, value in session.items():
                cursor.execute(f"SET SESSION {name} = '{value}'")
            for statement in statements:
                cursor.execute(statement)

    def run(self, *arguments: str) -> Done:
        """`cdc run --drain`, or another command on the file; says no password and breaks with no traceback."""
        file = str(write_connector(self.folder, self.document))
        with signals_kept():
            done = called(*arguments, file) if arguments else called("run", file, "--drain")
        for output in (done.stdout, done.stderr):
            assert CANARY not in output
            assert "Traceback" not in output, output[-4000:]
        return done

    def drain(self) -> None:
        done = self.run()
        assert done.returncode == 0, done.stderr[-6000:]

    def stop(self) -> str:
        """A run that must end in an error: what it said of it, with the hint."""
        done = self.run()
        assert done.returncode == 1, f"status {done.returncode}\n{done.stderr[-4000:]}"
        assert done.stderr.count("error: ") == 1, done.stderr
        return done.stderr.partition("error: ")[2]

    def unlike(self, table: str, key: Sequence[str] = ("id",), quoted: Mapping[str, str] | None = None) -> list[str]:
        """What differs between the source and each target; `quoted`: the table as each side's SQL writes it."""
        names = quoted or dict.fromkeys(("source", *self.targets), table)
        left = rows(self.source.url, names["source"], tuple(key))
        assert left, "nothing would be compared"
        return [
            f"{target}: {difference}"
            for target, url in self.targets.items()
            for difference in differences(left, rows(url, names[target], tuple(key)))
        ]

    def at(self, target: str, statement: str) -> list[tuple[Any, ...]]:
        """Runs one statement at a target."""
        return statement_at(self.targets[target], statement)

    def at_targets(self, statement: str) -> dict[str, list[tuple[Any, ...]]]:
        return {target: self.at(target, statement) for target in self.targets}


@contextmanager
def signals_kept() -> Iterator[None]:
    """A command that runs inside this process takes them for itself."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextmanager
def three_sinks(
    request: pytest.FixtureRequest, source: Database, targets: Sequence[str] = TARGETS, **settings: Any
) -> Iterator[ThreeSinks]:
    """Captures what is written to `source` from now on; `settings` go to every sink."""
    folder: Path = request.getfixturevalue("tmp_path")
    with ExitStack() as stack:
        urls = {name: stack.enter_context(fresh_target(request, name)) for name in targets}
        document = connector(
            f"w-{source.dbname.replace('_', '-')}"[:40],
            source_url=reading_user(source),
            target_url="",
            tables=[f"{source.dbname}.*"],
            queue={"url": "memory://", "lanes": 2},
        )
        del document["sink"]
        document["source"]["start"] = position(source)
        document["sinks"] = {name: {"url": writing_user(url), **settings} for name, url in urls.items()}
        yield ThreeSinks(source, urls, document, folder)
