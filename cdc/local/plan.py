"""What a kind of server knows: where its programs may come from, how it is started, and how it is asked for its version."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cdc.local.process import Wish
from cdc.local.programs import Programs
from cdc.local.progress import Progress


class NotReady(Exception):
    """The server does not answer yet, or not as it should; the text says how. Never leaves this package."""


class Setting(NamedTuple):
    """What one start is given. `cache`: the cache folder; `options`: further arguments for the server."""

    directory: Path
    port: int
    options: tuple[str, ...]
    cache: Path
    progress: Progress


class Plan(NamedTuple):
    """A prepared server: its data folder is there, only `wish` has to be run.

    `folders` lie outside the setting's directory and belong to this server alone.
    """

    url: str
    wish: Wish
    commands: Mapping[str, tuple[str, ...]]
    folders: tuple[Path, ...] = ()
    grace_seconds: float = 30


class Container(NamedTuple):
    """An official image: `environment` is handed over by name, so that no password is on a command line."""

    image: str
    url: str
    inner_port: int
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    commands: Mapping[str, tuple[str, ...]] = {}


class Kind(NamedTuple):
    """`programs`: by way (`path`, `packages`, `unstable`, `wheel`), in order of preference.

    `version` asks a running server by URL and raises NotReady; it may be given its commands.
    """

    name: str
    title: str
    programs: Mapping[str, Callable[[Path, Progress], Programs]]
    plan: Callable[[Programs, Setting], Plan]
    container: Callable[[Setting], Container]
    version: Callable[[str, Mapping[str, Sequence[str]]], str]


def new_password() -> str:
    """Letters and digits only: it needs no quoting in SQL, in a URL or in a configuration file."""
    return secrets.token_hex(12)
