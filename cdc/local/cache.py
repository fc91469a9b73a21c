"""The cache folder: what was downloaded once and unpacked, and is complete or not there at all."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cdc.model.errors import LocalServerError

_MANIFEST = ".complete.json"


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """`$CDC_CACHE`, else `lockstep-cdc` in `$XDG_CACHE_HOME`, else in `~/.cache`.

    A relative `XDG_CACHE_HOME` is ignored, as the XDG Base Directory Specification asks.
    """
    if own := environ.get("CDC_CACHE"):
        return Path(own).expanduser().absolute()
    shared = environ.get("XDG_CACHE_HOME", "")
    if Path(shared).is_absolute():
        return Path(shared) / "lockstep-cdc"
    return Path(environ.get("HOME") or Path.home()) / ".cache" / "lockstep-cdc"


def complete(folder: Path) -> bool:
    """Whether the folder was filled to its end and holds as much as it did then."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
    except (OSError, ValueError):
        return False
    return bool(manifest == _measure(folder))


def filled(root: Path, name: str, fill: Callable[[Path], None]) -> Path:
    """The folder `root/name`, filled by `fill` unless it is there and complete.

    `fill` gets a folder under another name, which is moved into place when it returns: what lies at
    `root/name` is never half of something. A lock keeps a second process from filling it at the same time.
    """
    target = root / name
    if complete(target):
        return target
    with locked(root, name):
        if complete(target):
            return target
        # Nobody else holds the lock, so these are what a killed process or a full disk left.
        for stale in (*root.glob(f".{name}.*.part"), target):
            shutil.rmtree(stale, ignore_errors=True)
        part = root / f".{name}.{os.getpid()}.part"
        part.mkdir()
        try:
            fill(part)
            (part / _MANIFEST).write_text(json.dumps(_measure(part)))
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return target


@contextmanager
def locked(root: Path, name: str) -> Iterator[None]:
    """Hold the cache's lock called `name`; waits for the process (or thread) that has it."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle = (root / f".{name}.lock").open("a")
    except OSError as error:
        raise LocalServerError(
            f"the cache folder {root} cannot be written: {error.strerror}",
            hint="name another one in CDC_CACHE",
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _measure(folder: Path) -> dict[str, int]:
    """Number of files and their bytes: cheap to take, and any missing or cut file shows."""
    files = size = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            if name != _MANIFEST:
                files += 1
                size += os.lstat(os.path.join(directory, name)).st_size  # noqa: PTH118 — hot: thousands of files
    return {"files": files, "bytes": size}
