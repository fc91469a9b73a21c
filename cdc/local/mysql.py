"""MySQL 8.0 or newer: the real one, never MariaDB under its name.

Options: MySQL Reference Manual, "Server Command Options" and "Initializing the Data Directory".
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pymysql

from cdc.local import apt, cache
from cdc.local.plan import Container, Kind, NotReady, Plan, Setting, new_password
from cdc.local.ports import LOOPBACK
from cdc.local.process import Wish
from cdc.local.programs import Programs, Tree, on_path
from cdc.local.progress import Progress, Step
from cdc.model.errors import LocalServerError

_WANTED = apt.Wanted(r"mysql-server-core(-[89][.]\d+)?", (r"mysql-client-core(-[89][.]\d+)?",), unstable=True)
_CLIENTS = ("mysql", "mysqlbinlog", "mysqldump", "mysqladmin")

# What a pipeline needs of its source, and then what keeps a private server small. What is committed reaches the
# operating system at each commit, so a killed server loses nothing; only a power cut could.
BINLOG_OPTIONS = (
    "--server-id=1",
    "--log-bin=mysql-bin",
    "--binlog-format=ROW",
    "--binlog-row-image=FULL",
    "--binlog-row-metadata=FULL",
    "--sync-binlog=0",
)
SMALL_OPTIONS = (
    "--skip-name-resolve",
    "--local-infile=0",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=128M",
    "--max-connections=150",
    # With these two no larger, the performance schema sizes itself for a small server.
    "--table-definition-cache=400",
    "--table-open-cache=400",
)
_OWN_OPTIONS = ("--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--mysqlx=0", "--secure-file-priv=NULL")


def _from_path(root: Path, progress: Progress) -> Programs:
    server = on_path("mysqld")
    if server is None:
        raise LocalServerError("no mysqld on PATH", hint="install MySQL 8.0 or newer")
    said = subprocess.run((server, "--no-defaults", "--version"), capture_output=True, text=True, check=False).stdout
    version = server_version(said)
    if version is None or "MariaDB" in said or version < (8, 0):
        raise LocalServerError(f"{server} is not MySQL 8.0 or newer", hint="install MySQL 8.0 or newer")
    commands = {"mysqld": (server,)} | {name: (found,) for name in _CLIENTS if (found := on_path(name))}
    return Programs(f"{server} on PATH", f"mysql-path-{'.'.join(map(str, version))}", commands)


def _from_packages(root: Path, progress: Progress) -> Programs:
    folder, origin = apt.unpacked(root, "mysql", _WANTED, progress)
    tree = Tree(folder)
    commands = {name: tree.command(f"usr/bin/{name}") for name in _CLIENTS if tree.has(f"usr/bin/{name}")}
    commands["mysqld"] = tree.command("usr/sbin/mysqld")
    return Programs(f"{origin}, unpacked in the cache", "mysql-" + _key(origin), commands, folder)


def _plan(programs: Programs, setting: Setting) -> Plan:
    common = [*programs.commands["mysqld"], "--no-defaults", *_places(programs), *as_root()]
    template = cache.filled(
        setting.cache, f"template-{programs.key}", lambda folder: _initialise(common, folder, setting.progress)
    )
    data = setting.directory / "data"
    shutil.copytree(template / "data", data)
    data.chmod(0o700)
    password = new_password()
    argv = [
        *common,
        f"--datadir={data}",
        f"--tmpdir={temporary_folder(setting.directory)}",
        *listen_options(setting),
        *BINLOG_OPTIONS,
        *SMALL_OPTIONS,
        *_OWN_OPTIONS,
        f"--init-file={write_accounts(setting.directory, password)}",
        *setting.options,
    ]
    url = f"mysql://root:{password}@{LOOPBACK}:{setting.port}"
    return Plan(url, Wish(argv, setting.directory / "server.log"), programs.commands)


def _initialise(common: Sequence[str], folder: Path, progress: Progress) -> None:
    progress(Step("initialising MySQL's data folder (once)"))
    places = [f"--datadir={folder / 'data'}", f"--tmpdir={temporary_folder(folder)}"]
    argv = [*common, "--initialize-insecure", *places, "--innodb-redo-log-capacity=16M"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalServerError(
            f"mysqld --initialize failed: {last_error(done.stderr)}", hint="look at the disk space of the cache folder"
        )
    # The server's identity: each copy makes its own at its first start.
    (folder / "data/auto.cnf").unlink(missing_ok=True)


def _places(programs: Programs) -> list[str]:
    if programs.root == Path("/"):
        return []
    share = programs.root / "usr/share/mysql"
    return [
        f"--basedir={programs.root / 'usr'}",
        f"--lc-messages-dir={share}",
        f"--character-sets-dir={share / 'charsets'}",
        f"--plugin-dir={programs.root / 'usr/lib/mysql/plugin'}",
    ]


def as_root() -> list[str]:
    """Both families refuse to run as root unless it is said; this server is private, and its folder root's own."""
    return ["--user=root"] if os.geteuid() == 0 else []


def listen_options(setting: Setting) -> list[str]:
    # A relative socket lies in the data folder: an absolute path may be longer than the 107 bytes of sun_path.
    return [f"--bind-address={LOOPBACK}", f"--port={setting.port}", "--socket=mysql.sock", "--pid-file=mysql.pid"]


def temporary_folder(directory: Path) -> Path:
    """A server's own: at its start it deletes all `#sql…` in there, other servers' temporary tables included."""
    folder = directory / "tmp"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def write_accounts(directory: Path, password: str) -> Path:
    """The statements that every start begins with: root's password, over TCP too, and none of it in the binlog."""
    file = directory / "accounts.sql"
    file.touch(mode=0o600)
    file.write_text(
        "SET sql_log_bin = 0;\n"
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n"
        f"CREATE USER IF NOT EXISTS 'root'@'{LOOPBACK}';\n"
        # A fresh MariaDB has that account already, without a password.
        f"ALTER USER 'root'@'{LOOPBACK}' IDENTIFIED BY '{password}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO 'root'@'{LOOPBACK}' WITH GRANT OPTION;\n"
        "DROP USER IF EXISTS 'root'@'::1';\n"
    )
    return file


def _container(setting: Setting) -> Container:
    password = new_password()
    arguments = (*BINLOG_OPTIONS, *SMALL_OPTIONS, *_OWN_OPTIONS, *setting.options)
    url = f"mysql://root:{password}@{LOOPBACK}:{setting.port}"
    inside = {name: (name,) for name in _CLIENTS}
    return Container("mysql:9", url, 3306, {"MYSQL_ROOT_PASSWORD": password}, arguments, inside)


def version_of(url: str, commands: Mapping[str, Sequence[str]]) -> str:
    """What the server at `url` says to SELECT VERSION()."""
    parts = urlsplit(url)
    host = parts.hostname or LOOPBACK
    try:
        with (
            pymysql.connect(
                host=host,
                port=parts.port or 3306,
                user=unquote(parts.username or "root"),
                password=unquote(parts.password or ""),
                connect_timeout=5,
                # Asked again and again while a server starts: PyMySQL would read all certificates of the machine each time.
                ssl_disabled=host == LOOPBACK,
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT VERSION()")
            row = cursor.fetchone()
    except (pymysql.err.MySQLError, OSError) as error:
        raise NotReady(str(error)) from error
    return str(row[0]) if row else ""


def _real_mysql(url: str, commands: Mapping[str, Sequence[str]]) -> str:
    version = version_of(url, commands)
    if "MariaDB" in version:
        raise LocalServerError(f"the server is MariaDB ({version}), not MySQL", hint="give it as MariaDB's URL")
    return version


def server_version(text: str) -> tuple[int, ...] | None:
    """The version in what `mysqld --version` or `mariadbd --version` prints."""
    found = re.search(r"Ver (\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else None


def last_error(text: str) -> str:
    lines = [line for line in text.splitlines() if "ERROR" in line] or text.splitlines()
    return lines[-1][:300] if lines else "no reason given"


def _key(origin: str) -> str:
    """A name for files, from "package mysql-server-core 9.7.4-2 of …"."""
    return re.sub(r"[^0-9A-Za-z.]+", "-", origin.split()[2])


KIND = Kind("mysql", "MySQL", {"path": _from_path, "packages": _from_packages}, _plan, _container, _real_mysql)
