"""PostgreSQL 13 or newer.

It refuses to run as root (PostgreSQL documentation, "The PostgreSQL User Account"), so root's servers run as an
unprivileged account that exists already, with a data folder which that account can reach.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cdc.local import apt
from cdc.local.plan import Container, Kind, NotReady, Plan, Setting, new_password
from cdc.local.ports import LOOPBACK
from cdc.local.process import Account, Wish
from cdc.local.programs import Programs, Tree
from cdc.local.progress import Progress
from cdc.model.errors import LocalServerError

_WANTED = apt.Wanted(r"postgresql-\d+", (r"postgresql-client-\d+",))
_OLDEST = 13
_CLIENTS = ("psql", "pg_dump")
# A commit reaches the operating system, so a killed server loses nothing; only a power cut could.
_OPTIONS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB", "jit": "off"}


def _from_path(root: Path, progress: Progress) -> Programs:
    # Debian and Ubuntu keep the servers beside PATH, one folder for each version.
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: -_major(folder.parent.name))
    found = shutil.which("postgres")
    for folder in [*versions, *([Path(found).resolve().parent] if found else [])]:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            version = _binary_version(folder / "postgres")
            if version >= _OLDEST:
                return _programs(folder, f"the programs in {folder}", Path("/"))
    raise LocalServerError(
        f"no postgres and initdb of version {_OLDEST} or newer", hint="install the package postgresql"
    )


def _from_packages(root: Path, progress: Progress) -> Programs:
    folder, origin = apt.unpacked(root, "postgresql", _WANTED, progress, _finish)
    return _programs(_binaries(folder), f"{origin}, unpacked in the cache", folder)


def _finish(folder: Path) -> None:
    # initdb starts postgres by its path, and knows nothing of loaders.
    Tree(folder).make_runnable(str(_binaries(folder).relative_to(folder)))


def _binaries(folder: Path) -> Path:
    return next(folder.glob("usr/lib/postgresql/*/bin"))


def _programs(folder: Path, how: str, root: Path) -> Programs:
    names = ("initdb", "postgres", *_CLIENTS)
    commands = {name: (str(folder / name),) for name in names if (folder / name).is_file()}
    return Programs(how, "postgresql", commands, root)


def _plan(programs: Programs, setting: Setting) -> Plan:
    account = _account()
    if account is None:
        binaries = Path(programs.commands["postgres"][0]).parent
        return _planned(programs, setting, binaries, setting.directory / "data", None, ())
    home = _reachable_folder(account)
    try:
        (setting.directory / "data").symlink_to(home / "data")
        return _planned(programs, setting, _reachable_binaries(programs, home), home / "data", account, (home,))
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise


def _planned(
    programs: Programs,
    setting: Setting,
    binaries: Path,
    data: Path,
    account: Account | None,
    folders: tuple[Path, ...],
) -> Plan:
    password = new_password()
    _initialise(binaries, data, password, account)
    settings = {
        "port": str(setting.port),
        "listen_addresses": LOOPBACK,
        # TCP only: a socket's path may not be longer than 107 bytes, and /tmp is everybody's.
        "unix_socket_directories": "",
        **_OPTIONS,
    }
    pairs = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    argv = [str(binaries / "postgres"), "-D", str(data), *pairs, *setting.options]
    url = f"postgresql://postgres:{password}@{LOOPBACK}:{setting.port}/postgres"
    # Nobody would find a folder in /tmp again whose owner was killed.
    at_end = ("rm", "-rf", *map(str, folders)) if folders else ()
    # SIGINT is its "fast shutdown": sessions are ended, SIGTERM would wait for them.
    wish = Wish(argv, setting.directory / "server.log", account, signal.SIGINT, at_end)
    return Plan(url, wish, {name: programs.commands[name] for name in _CLIENTS if name in programs.commands}, folders)


def _reachable_binaries(programs: Programs, home: Path) -> Path:
    """The folder of the programs; a copy in `home` where the account cannot enter the cache (root's is private)."""
    binaries = Path(programs.commands["postgres"][0]).parent
    if programs.root == Path("/") or _reachable(programs.root):
        return binaries
    _link_tree(programs.root, home / "programs")
    return home / "programs" / binaries.relative_to(programs.root)


def _initialise(binaries: Path, data: Path, password: str, account: Account | None) -> None:
    data.mkdir(mode=0o700)
    with tempfile.NamedTemporaryFile("w", dir=data.parent, prefix="password-") as file:
        file.write(password)
        file.flush()
        if account:
            os.chown(data, *account)
            os.chown(file.name, *account)
        argv = (
            *(str(binaries / "initdb"), "-D", str(data), "--username=postgres", f"--pwfile={file.name}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        )
        who = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/", **who)  # type: ignore[call-overload]
    if done.returncode:
        raise LocalServerError(f"initdb failed: {done.stderr.strip()[-300:]}", hint=f"look at {data.parent}")


def _account() -> Account | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise LocalServerError("root cannot run PostgreSQL, and there is no account nobody", hint="run as another user")


def _reachable(folder: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


def _reachable_folder(account: Account) -> Path:
    for place in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 — mkdtemp makes a private folder
        if Path(place).is_dir() and _reachable(Path(place)):
            home = Path(tempfile.mkdtemp(prefix="lockstep-postgresql-", dir=place))
            os.chown(home, *account)
            return home
    raise LocalServerError(
        "no folder for temporary files that others can enter", hint="set TMPDIR, or run as another user"
    )


def _link_tree(source: Path, target: Path) -> None:
    """The same files at another path, without copying them where the file system is the same."""

    def link(one: str, other: str) -> None:
        try:
            os.link(one, other)
        except OSError:
            shutil.copy2(one, other)

    shutil.copytree(source, target, copy_function=link, symlinks=True)


def _container(setting: Setting) -> Container:
    password = new_password()
    pairs = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
    url = f"postgresql://postgres:{password}@{LOOPBACK}:{setting.port}/postgres"
    inside = {name: (name,) for name in _CLIENTS}
    environment = {"POSTGRES_PASSWORD": password}
    return Container("postgres:15", url, 5432, environment, ("postgres", *pairs, *setting.options), inside)


def _version(url: str, commands: Mapping[str, Sequence[str]]) -> str:
    """Asked by psycopg where it is installed, else by psql."""
    try:
        import psycopg  # noqa: PLC0415 — an extra
    except ImportError:
        return _version_by_psql(url, commands)
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            row = connection.execute("SHOW server_version").fetchone()
    except psycopg.Error as error:
        raise NotReady(str(error)) from error
    return str(row[0]).split()[0] if row else ""


def _version_by_psql(url: str, commands: Mapping[str, Sequence[str]]) -> str:
    if "psql" not in commands:
        raise LocalServerError(
            "neither psycopg nor psql is there to ask the server", hint="install lockstep-cdc[postgresql]"
        )
    parts = urlsplit(url)
    plain = f"postgresql://{parts.username or 'postgres'}@{parts.hostname}:{parts.port or 5432}{parts.path}"
    done = subprocess.run(
        [*commands["psql"], plain, "-AtX", "-c", "SHOW server_version"],
        env={**os.environ, "PGPASSWORD": unquote(parts.password or ""), "PGCONNECT_TIMEOUT": "5"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotReady(done.stderr.strip())
    return done.stdout.split()[0]


def _binary_version(server: Path) -> int:
    return _major(subprocess.run((server, "--version"), capture_output=True, text=True, check=False).stdout)


def _major(text: str) -> int:
    found = re.search(r"\d+", text)
    return int(found[0]) if found else 0


KIND = Kind("postgresql", "PostgreSQL", {"path": _from_path, "packages": _from_packages}, _plan, _container, _version)
