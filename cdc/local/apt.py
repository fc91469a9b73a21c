"""Debian and Ubuntu packages, fetched by the machine's own apt into a private state and unpacked without root.

Nothing of the system changes: lists, cache and status are private (apt.conf(5), `Dir::…`), hooks of the system's
configuration are left out, and `dpkg --extract` runs no maintainer script. apt checks signatures and checksums.
"""

import os
import re
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cdc.local import apt_sources, cache
from cdc.local.progress import Progress, Step
from cdc.model.errors import LocalServerError

_ETC = Path("/etc/apt")
_KEYRINGS = Path("/usr/share/keyrings")


class Wanted(NamedTuple):
    """Packages to have, besides the libraries that they need.

    `pattern` finds the package where its name carries a version (`mysql-server-core-8.4`); `unstable` takes
    them from Debian's unstable suite; `also` are further packages by name or pattern.
    """

    pattern: str
    also: tuple[str, ...] = ()
    unstable: bool = False


class Package(NamedTuple):
    name: str
    version: str
    size_bytes: int


class PrivateApt:
    """apt with a state of its own under `root/apt/<name>`; `sources` is the text of its sources.list."""

    def __init__(self, root: Path, sources: str, name: str) -> None:
        self._sources = sources
        self._state = root / "apt" / name
        self._configuration = self._state / "apt.conf"

    def update(self, progress: Progress) -> None:
        progress(Step("reading the package lists"))
        for folder in ("lists/partial", "cache/archives/partial"):
            (self._state / folder).mkdir(parents=True, exist_ok=True)
        (self._state / "sources.list").write_text(self._sources)
        # It may repeat a proxy's password from the machine's configuration.
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(self._settings())
        # `update` answers 0 when a list could not be had and an old one is there; `Error-Mode=any` makes it say so.
        self._run("apt-get", "-qq", "-o", "APT::Update::Error-Mode=any", "update")

    def names(self, pattern: str) -> list[str]:
        """Package names that match the whole pattern; the one with the highest version number last."""
        found = self._run("apt-cache", "pkgnames").split()
        return sorted((name for name in found if re.fullmatch(pattern, name)), key=_by_number)

    def closure(self, names: Sequence[str]) -> list[Package]:
        """The packages and all that they depend on, in the versions that apt would install."""
        plan = self._run("apt-get", "-qq", "--yes", "--print-uris", "install", *names)
        # 'URI' file_version_arch.deb size checksum
        lines = re.findall(r"^'[^']*' ([^_\s]+)_([^_\s]+)_\S+ (\d+)", plan, re.MULTILINE)
        return [Package(name, version.replace("%3a", ":"), int(size)) for name, version, size in lines]

    def download(self, packages: Sequence[Package], folder: Path, progress: Progress, what: str) -> None:
        total = sum(package.size_bytes for package in packages)
        names = [f"{package.name}={package.version}" for package in packages]
        command = ("apt-get", "-qq", "-o", "APT::Status-Fd=1", "download", *names)
        with subprocess.Popen(
            command, env=self._environment(), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running:
            assert running.stdout is not None and running.stderr is not None  # noqa: S101, PT018 — pipes were asked for
            for line in running.stdout:
                if found := re.match(r"dlstatus:\d+:([\d.]+):", line):
                    progress(Step(what, int(float(found[1]) / 100 * total), total))
            error = running.stderr.read()
        if running.returncode:
            raise _refused("apt-get download", error)
        progress(Step(what, total, total))

    def tidy(self) -> None:
        """Leave only the lists, which the next update asks the mirror to be newer than."""
        shutil.rmtree(self._state / "cache")
        self._configuration.unlink()

    def _settings(self) -> str:
        """The machine's ways to reach its mirrors (proxies, certificates), and private places for the rest."""
        dump = subprocess.run(("apt-config", "dump"), capture_output=True, text=True, check=True).stdout
        kept = [
            line
            for line in dump.splitlines()
            if line.startswith("Acquire::") and not line.startswith(("Acquire::IndexTargets", "Acquire::Languages"))
        ]
        own = {
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::Etc::sourcelist": self._state / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State": self._state,
            "Dir::State::Lists": self._state / "lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": self._state / "cache",
            "Dir::Log": self._state / "log",
            "APT::Install-Recommends": "false",
            # As root apt drops to a user who cannot enter a private folder; the checksums are what we rely on.
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::GzipIndexes": "true",
            "Acquire::Retries": "2",
        }
        return "\n".join([*kept, *(f'{key} "{value}";' for key, value in own.items())]) + "\n"

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "APT_CONFIG": str(self._configuration), "LC_ALL": "C"}

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise _refused(f"{command[0]} {command[-1]}", done.stderr)
        return done.stdout


def unpacked(
    root: Path, name: str, wanted: Wanted, progress: Progress, finish: Callable[[Path], None] | None = None
) -> tuple[Path, str]:
    """A folder with the wanted packages and their libraries; and a phrase that says whose they are.

    It lies below `root` and is called `name` and a number that changes with what is wanted: a newer Lockstep that wants
    more does not take an older one's folder for it. `finish` is given the folder once, before it counts as filled.
    """

    def fill(folder: Path) -> None:
        _require_tools()
        _fill(root, folder, wanted, progress)
        if finish:
            finish(folder)

    target = cache.filled(root, f"{name}-{zlib.crc32(repr(wanted).encode()):08x}", fill)
    return target, (target / "origin.txt").read_text().strip()


def _fill(root: Path, folder: Path, wanted: Wanted, progress: Progress) -> None:
    system, archives = _machine()
    chosen = archives
    if wanted.unstable and (unstable := apt_sources.unstable_archive(archives, system)):
        chosen = [unstable]
    if not chosen:
        raise LocalServerError(
            "apt's configuration names no archive of the distribution",
            hint="give the server's URL, install it, or start Docker",
        )
    rings = sorted(str(ring) for ring in _KEYRINGS.glob("*-archive-keyring.*"))
    state = "unstable" if wanted.unstable else "own"
    # One apt state serves several packages; two updates of it at once would get into each other's way.
    with cache.locked(root, f"apt-{state}"):
        apt = PrivateApt(root, apt_sources.render(chosen, system, rings), state)
        apt.update(progress)
        packages = _choose(apt, wanted)
        downloads = folder / "downloads"
        downloads.mkdir()
        apt.download(packages, downloads, progress, f"downloading {packages[-1].name}")
        apt.tidy()
    progress(Step(f"unpacking {packages[-1].name}"))
    for archive in sorted(downloads.iterdir()):
        done = subprocess.run(("dpkg", "--extract", archive, folder), capture_output=True, text=True, check=False)
        if done.returncode:
            raise _refused(f"dpkg --extract {archive.name}", done.stderr)
    shutil.rmtree(downloads)
    shutil.rmtree(folder / "usr/share/doc", ignore_errors=True)
    suite = "unstable" if wanted.unstable and system.distribution == "debian" else system.codename
    main = packages[-1]
    megabytes = sum(package.size_bytes for package in packages) / 1e6
    origin = f"package {main.name} {main.version} of {system.distribution.capitalize()} {suite} ({megabytes:.0f} MB)"
    (folder / "origin.txt").write_text(origin + "\n")


def _choose(apt: PrivateApt, wanted: Wanted) -> list[Package]:
    names = []
    for pattern in (wanted.pattern, *wanted.also):
        found = apt.names(pattern)
        if not found:
            raise LocalServerError(
                f"the distribution has no package {pattern}", hint="give the server's URL, install it, or start Docker"
            )
        names.append(found[-1])
    packages = [package for package in apt.closure(names) if package.name in names or _is_library(package.name)]
    return sorted(packages, key=lambda package: package.name == names[0])


def _is_library(name: str) -> bool:
    """Whether the package has shared objects that a server may load.

    Left out: what only installing needs (dpkg, perl, debconf, PAM's modules), and PostgreSQL's compiler for
    queries (LLVM, 29 MB), which we switch off.
    """
    left_out = r"libperl.*|lib.*-perl|libdb5.*|libgdbm.*|libpam.*|libllvm.*|libz3-.*|libc-.*|lib.*-common|libsem.*"
    return name.startswith("lib") and not re.fullmatch(left_out, name)


def _machine() -> tuple[apt_sources.System, list[apt_sources.Source]]:
    system = apt_sources.parse_os_release(Path("/etc/os-release").read_text())
    sources = []
    for file in [_ETC / "sources.list", *sorted((_ETC / "sources.list.d").glob("*.list"))]:
        if file.is_file():
            sources += apt_sources.parse_one_line(file.read_text())
    for file in sorted((_ETC / "sources.list.d").glob("*.sources")):
        sources += apt_sources.parse_deb822(file.read_text())
    return system, apt_sources.distribution_archives(sources, system)


def _require_tools() -> None:
    missing = [tool for tool in ("apt-get", "apt-cache", "apt-config", "dpkg") if not shutil.which(tool)]
    if missing:
        raise LocalServerError(
            f"this machine has no {' and no '.join(missing)}",
            hint="give the server's URL, install it, or start Docker",
        )


def _by_number(name: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", name))


def _refused(command: str, error: str) -> LocalServerError:
    lines: Iterable[str] = [line for line in error.splitlines() if line.startswith(("E:", "W:", "dpkg"))]
    said = _without_credentials(" ".join(lines) or error.strip() or "no reason given")
    return LocalServerError(
        f"{command} failed: {said[:400]}", hint="look at the network and at the machine's apt sources"
    )


def _without_credentials(text: str) -> str:
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1***@", text)
