"""sysbench against MySQL: the one on PATH, or Debian's and Ubuntu's package, unpacked into the cache without root.

Only tests use it. The workload is sysbench's own `oltp_read_write`: 14 reads, two updates, a delete and an insert of the same
key in each transaction (https://github.com/akopytov/sysbench, src/lua/oltp_common.lua).
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from cdc.local import apt
from cdc.local.cache import cache_folder
from cdc.local.programs import Tree, on_path
from cdc.model.errors import LocalServerError

_WANTED = apt.Wanted("sysbench")
_SCRIPT = "oltp_read_write"
COLUMNS = "id, k, c, pad"


@dataclass(frozen=True, slots=True)
class Program:
    """How to start sysbench: the beginning of its argument list, its script, what its environment needs."""

    argv: tuple[str, ...]
    script: str
    environment: Mapping[str, str]


def program() -> Program:
    """Skips the test where sysbench cannot be had; fails it where CI=true."""
    if found := on_path("sysbench"):
        return Program((found,), _SCRIPT, {})
    try:
        folder, _ = apt.unpacked(cache_folder(), "sysbench", _WANTED, lambda _: None)
    except LocalServerError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(f"sysbench: {error}")
    scripts = folder / "usr/share/sysbench"
    environment = {"LUA_PATH": f"{scripts}/?.lua;;"}
    # The client library looks for its ways to log in below /usr, where we have put nothing.
    if plugins := next(iter(sorted(folder.glob("usr/lib/*/*/plugin"))), None):
        environment["MARIADB_PLUGIN_DIR"] = str(plugins)
    return Program(Tree(folder).command("usr/bin/sysbench"), str(scripts / f"{_SCRIPT}.lua"), environment)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The issue's sizes, unless the environment says others (`CDC_LOAD_TABLES`, `_ROWS`, `_THREADS`, `_TRANSACTIONS`)."""

    tables: int = 4
    rows: int = 100_000
    threads: int = 4
    transactions: int = 50_000

    @classmethod
    def of_environment(cls) -> "Sizes":
        names = ("tables", "rows", "threads", "transactions")
        return cls(**{name: int(value) for name in names if (value := os.environ.get(f"CDC_LOAD_{name.upper()}"))})

    @property
    def table_names(self) -> list[str]:
        return [f"sbtest{number}" for number in range(1, self.tables + 1)]


class Sysbench:
    """`oltp_read_write` in the database that `url` names. `folder` takes what it prints."""

    def __init__(self, url: str, sizes: Sizes, folder: Path, seed: int) -> None:
        self._program = program()
        self._sizes = sizes
        self._folder = folder
        self._seed = seed
        parts = urlsplit(url)
        self._options = [
            "--db-driver=mysql",
            f"--mysql-host={parts.hostname}",
            f"--mysql-port={parts.port}",
            f"--mysql-user={unquote(parts.username or '')}",
            f"--mysql-password={unquote(parts.password or '')}",
            f"--mysql-db={parts.path.lstrip('/')}",
            f"--tables={sizes.tables}",
            f"--table-size={sizes.rows}",
            f"--rand-seed={seed}",
        ]

    def prepare(self, seconds: float = 600) -> None:
        """Creates and fills the tables."""
        with self._start("prepare", "--threads=1") as running:
            self.end(running, "prepare", seconds)

    def start(self, transactions: int | None = None) -> "Running":
        """Begins the transactions of the sizes (or so many) and returns at once."""
        count = self._sizes.transactions if transactions is None else transactions
        return Running(
            self._start("run", f"--threads={self._sizes.threads}", f"--events={count}", "--time=0"), self, count
        )

    def _log(self, command: str) -> Path:
        return self._folder / f"sysbench-{command}.log"

    def _start(self, command: str, *options: str) -> "subprocess.Popen[bytes]":
        with self._log(command).open("ab") as log:
            return subprocess.Popen(
                [*self._program.argv, self._program.script, *self._options, *options, command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._program.environment},
            )

    def end(self, running: "subprocess.Popen[bytes]", command: str, seconds: float) -> str:
        """Waits for the end of one that this object started; what it said. Fails where its status is not 0."""
        try:
            status = running.wait(seconds)
        finally:
            if running.poll() is None:
                running.kill()
                running.wait()
        said = self._log(command).read_text(errors="replace")
        assert status == 0, f"sysbench {command} (seed {self._seed}): {said[-2000:]}"
        return said


class Running:
    """A `sysbench run` under way. A context manager that leaves none behind."""

    def __init__(self, process: "subprocess.Popen[bytes]", owner: Sysbench, transactions: int) -> None:
        self._process = process
        self._owner = owner
        self._transactions = transactions

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self._process.kill()
        self._process.wait()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def finish(self, seconds: float = 3000) -> float:
        """Waits for the end; transactions per second. Fails where sysbench did, or did fewer than it was asked for."""
        said = self._owner.end(self._process, "run", seconds)
        done = re.findall(r"transactions:\s+(\d+)\s+\(([\d.]+) per sec", said)
        assert done, said[-2000:]
        assert int(done[-1][0]) >= self._transactions, said[-2000:]
        return float(done[-1][1])
