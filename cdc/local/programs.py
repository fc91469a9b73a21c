"""Programs that can be run: on PATH, or out of an unpacked folder through that folder's own loader."""

import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from cdc.model.errors import LocalServerError


class Programs(NamedTuple):
    """`commands`: name → argument list to begin with. `root`: the folder that takes the place of `/`.

    `how`: a phrase for people; `key`: tells apart what may not share a template (family and build).
    """

    how: str
    key: str
    commands: Mapping[str, tuple[str, ...]]
    root: Path = Path("/")


class Tree:
    """Packages unpacked into a folder, with the C library and the loader that they were built for.

    The machine's own C library may be older than the programs need, or newer than their companions bear; so they
    are started by the loader in the folder, and find their libraries only there (ld.so(8)).
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        loaders = sorted(path for path in root.rglob("ld-linux*.so.*") if not path.is_symlink())
        if not loaders:
            raise LocalServerError(
                f"there is no loader in {root}", hint="this processor's packages are not known to us: start Docker"
            )
        self._loader = loaders[0]
        folders = dict.fromkeys(path.parent for path in sorted(root.rglob("lib*.so*")))
        self._libraries = ":".join(str(folder) for folder in folders if "plugin" not in folder.name)

    def command(self, program: str) -> tuple[str, ...]:
        """The argument list that starts `program`, a path below the root such as `usr/sbin/mysqld`."""
        path = self.root / program
        return (str(self._loader), "--inhibit-cache", "--library-path", self._libraries, str(path))

    def make_runnable(self, folder: str) -> None:
        """Put a script in the place of each program of `folder`, for programs that start their neighbours by path.

        The script finds the loader and the libraries relative to itself, so the tree may be moved or linked elsewhere.
        """
        up = "/".join([".."] * (len(Path(folder).parts)))
        loader = self._loader.relative_to(self.root)
        libraries = ":".join(f"$root/{Path(one).relative_to(self.root)}" for one in self._libraries.split(":"))
        for program in sorted((self.root / folder).iterdir()):
            if program.is_symlink() or program.read_bytes()[:4] != b"\x7fELF":
                continue
            real = program.rename(program.with_name(program.name + ".bin"))
            program.write_text(
                "#!/bin/sh\n"
                f'root=$(cd "$(dirname "$0")/{up}" && pwd) || exit 127\n'
                f'exec "$root/{loader}" --inhibit-cache --library-path "{libraries}" '
                f'"$root/{folder}/{real.name}" "$@"\n'
            )
            program.chmod(0o755)

    def has(self, program: str) -> bool:
        return (self.root / program).is_file()


def on_path(name: str, further: Iterable[str] = ("/usr/sbin", "/usr/local/sbin")) -> str | None:
    """Where `name` is; not in our own virtual environment, whose programs came with wheels and are another way."""
    own = Path(sys.prefix).resolve() / "bin"
    for place in (None, *further):
        found = shutil.which(name, path=place)
        if found and Path(found).parent.resolve() != own:
            return found
    return None
