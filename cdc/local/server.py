"""A private server that runs: what it is, where it is, and how to stop, kill, pause and restart it."""

import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cdc.local.plan import NotReady
from cdc.local.process import Running
from cdc.model.errors import LocalServerError

_LOOK_SECONDS = 0.05


class Server:
    """One running server. Its facts do not change, but for `pid`, which a restart renews.

    `version` was asked from the running server; `url` carries the password; `commands` are argument lists to begin
    with (`mysql`, `mysqlbinlog`, `psql`, `redis-cli`, where they are to be had).
    A server that was given by URL is nobody's to stop: `stop` leaves it alone, `kill`, `pause` and `restart` refuse.
    """

    def __init__(
        self,
        *,
        kind: str,
        url: str,
        how: str,
        directory: Path,
        commands: Mapping[str, tuple[str, ...]],
        launch: Callable[[], Running] | None,
        version: Callable[[], str],
        log: Callable[[], str],
        folders: tuple[Path, ...] = (),
        grace_seconds: float = 30,
    ) -> None:
        self.kind = kind
        self.url = url
        self.how = how
        self.directory = directory
        self.commands = dict(commands)
        self.version = ""
        self.folders = folders
        self._launch = launch
        self._ask = version
        self._log = log
        self._grace_seconds = grace_seconds
        self._running: Running | None = None

    def __repr__(self) -> str:
        return f"Server({self.kind} {self.version}, {hidden(self.url)})"

    @property
    def pid(self) -> int:
        """0 for a server that was given by URL."""
        return self._running.pid if self._running else 0

    @property
    def running(self) -> Running | None:
        """The process or container, for the state file of `cdc local`."""
        return self._running

    @property
    def ours(self) -> bool:
        """Whether this package started it, and so may stop it."""
        return self._launch is not None

    def start(self, seconds: float) -> None:
        """Run it, and wait until it answers."""
        if self._launch:
            self._running = self._launch()
        try:
            self.version = self._until_it_answers(seconds)
        except BaseException:
            # Ctrl-C too: nothing may be left running that nobody has a handle of.
            if self._running:
                self._running.discard()
            raise

    def is_alive(self) -> bool:
        """Whether its process runs; a server that was given by URL is asked."""
        if self._running:
            return self._running.alive()
        try:
            return bool(self._ask())
        except NotReady:
            return False

    def stop(self) -> None:
        """A clean end; after the grace time, SIGKILL. Data and port stay for a `restart`."""
        if self._running and self._running.alive():
            self._running.stop(self._grace_seconds)

    def kill(self) -> None:
        """SIGKILL: the server gets no chance to write anything."""
        self._own().kill()

    def pause(self) -> None:
        """SIGSTOP: it keeps its port and its sessions, and answers nothing."""
        self._own().pause()

    def resume(self) -> None:
        self._own().resume()

    def restart(self, seconds: float = 60) -> None:
        """Stop it if it runs, and start it again with the same port and data."""
        self._own()
        self.stop()
        self.start(seconds)

    def remove(self) -> None:
        """Stop it, and remove its data."""
        if not self.ours:
            return
        if self._running:
            self.stop()
            self._running.discard()
        for folder in (*self.folders, self.directory):
            shutil.rmtree(folder, ignore_errors=True)

    def _own(self) -> Running:
        if self._running is None:
            raise LocalServerError(f"{hidden(self.url)} was not started here", hint="stop it where it runs")
        return self._running

    def _until_it_answers(self, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while True:
            try:
                version = self._ask()
                if self.is_alive():
                    return version
                raise NotReady("another server answers on its port")
            except NotReady as error:
                if self._running and not self._running.alive():
                    raise LocalServerError(
                        f"{self.kind} ended at its start: {self._last_words()}", hint=self._where()
                    ) from None
                if time.monotonic() > deadline:
                    message = f"{self.kind} does not answer after {seconds:.0f} s: {error}"
                    raise LocalServerError(message, hint=self._where()) from None
            time.sleep(_LOOK_SECONDS)

    def _last_words(self) -> str:
        lines = self._log().strip().splitlines()
        telling = [line for line in lines if re.search(r"error|fatal|exception|denied", line, re.IGNORECASE)]
        return " / ".join((telling or lines)[-2:])[:400] or "it said nothing"

    def _where(self) -> str:
        return f"see {self.directory / 'server.log'}" if self.ours else "look at the given URL"


def hidden(url: str) -> str:
    """The URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)
