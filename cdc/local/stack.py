"""Several servers, started at the same time and stopped together, whatever happens in between."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from cdc.local.progress import Progress, silent
from cdc.local.server import Server
from cdc.local.start import WAYS, start_server
from cdc.model.errors import LocalServerError


class Stack:
    """Servers by the kind that was asked for; the source may be MariaDB where MySQL could not be had (see `how`).

    A context manager: at the end of the block every server is stopped and its data removed.
    """

    def __init__(self, servers: Mapping[str, Server]) -> None:
        self._servers = dict(servers)

    def __getitem__(self, kind: str) -> Server:
        return self._servers[kind]

    def __iter__(self) -> Iterator[Server]:
        return iter(self._servers.values())

    def __len__(self) -> int:
        return len(self._servers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def stop(self) -> None:
        """Stop all; their data stays."""
        _each(self._servers.values(), Server.stop)

    def remove(self) -> None:
        """Stop all, and remove their data."""
        _each(self._servers.values(), Server.remove)


def start_stack(
    kinds: Sequence[str],
    directory: Path,
    *,
    options: Mapping[str, Sequence[str]] | None = None,
    urls: Mapping[str, str] | None = None,
    progress: Progress = silent,
    ways: Sequence[str] = WAYS,
    detached: bool = False,
) -> Stack:
    """Start one server of each of `kinds` at the same time, each in its own folder of `directory`.

    `options` and `urls` are by kind. Where MySQL cannot be had, MariaDB is started in its place.
    When one cannot be started, or on Ctrl-C, those that were are stopped and removed before the error goes on.
    """

    def start(kind: str) -> Server:
        return start_server(
            kind,
            directory / kind,
            options=(options or {}).get(kind, ()),
            url=(urls or {}).get(kind),
            progress=progress,
            ways=ways,
            detached=detached,
            substitute=True,
        )

    wanted = list(dict.fromkeys(kinds))
    with ThreadPoolExecutor(max_workers=max(1, len(wanted)), thread_name_prefix="start") as pool:
        starting: dict[str, Future[Server]] = {kind: pool.submit(start, kind) for kind in wanted}
        try:
            return Stack({kind: future.result() for kind, future in starting.items()})
        except BaseException:
            for future in starting.values():
                future.cancel()
            # Those that are under way come to an end first: Ctrl-C reaches their downloads by itself.
            Stack({kind: future.result() for kind, future in starting.items() if _came_up(future)}).remove()
            raise


def _came_up(future: "Future[Server]") -> bool:
    return not future.cancelled() and future.exception() is None


def _each(servers: Iterable[Server], action: Callable[[Server], None]) -> None:
    """Do it to every server, also after one of them failed; the first failure is told at the end."""
    failures: list[LocalServerError] = []
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="stop") as pool:
        for done in [pool.submit(action, server) for server in servers]:
            try:
                done.result()
            except LocalServerError as error:
                failures.append(error)
    if failures:
        raise failures[0]
