"""MariaDB 10.5 or newer.

The data folder is made as mariadb-install-db makes it, by feeding the server's own SQL files to its `--bootstrap`
mode (MariaDB Knowledge Base, "mariadb-install-db"); the script itself wants a layout that an unpacked folder lacks.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cdc.local import apt, cache, mysql
from cdc.local.plan import Container, Kind, Plan, Setting, new_password
from cdc.local.ports import LOOPBACK
from cdc.local.process import Wish
from cdc.local.programs import Programs, Tree, on_path
from cdc.local.progress import Progress, Step
from cdc.model.errors import LocalServerError

_WANTED = apt.Wanted(r"mariadb-server-core(-\d+[.]\d+)?", (r"mariadb-client-core(-\d+[.]\d+)?", r"mariadb-client"))
_CLIENTS = {"mysql": "mariadb", "mysqlbinlog": "mariadb-binlog", "mysqldump": "mariadb-dump"}
# In the order of mariadb-install-db; the names carry `mysql_` up to 10.x and `mariadb_` from 11 on.
_SYSTEM_SQL = ("system_tables", "performance_tables", "system_tables_data", "sys_schema")


def _from_path(root: Path, progress: Progress) -> Programs:
    server = on_path("mariadbd") or on_path("mysqld")
    if server is None:
        raise LocalServerError("no mariadbd on PATH", hint="install MariaDB 10.5 or newer")
    said = subprocess.run((server, "--no-defaults", "--version"), capture_output=True, text=True, check=False).stdout
    version = mysql.server_version(said)
    if version is None or "MariaDB" not in said or version < (10, 5):
        raise LocalServerError(f"{server} is not MariaDB 10.5 or newer", hint="install MariaDB 10.5 or newer")
    commands = {"mariadbd": (server,)}
    commands |= {name: (found,) for name, program in _CLIENTS.items() if (found := on_path(program))}
    return Programs(f"{server} on PATH", f"mariadb-path-{'.'.join(map(str, version))}", commands)


def _from_packages(root: Path, progress: Progress) -> Programs:
    return _unpacked(root, "mariadb", _WANTED, progress)


def _from_unstable(root: Path, progress: Progress) -> Programs:
    """The newest that Debian has, whatever the machine's own release is."""
    return _unpacked(root, "unstable-mariadb", _WANTED._replace(unstable=True), progress)


def _unpacked(root: Path, name: str, wanted: apt.Wanted, progress: Progress) -> Programs:
    folder, origin = apt.unpacked(root, name, wanted, progress)
    tree = Tree(folder)
    commands = {
        name: tree.command(f"usr/bin/{program}") for name, program in _CLIENTS.items() if tree.has(f"usr/bin/{program}")
    }
    commands["mariadbd"] = tree.command("usr/sbin/mariadbd")
    key = re.sub(r"[^0-9A-Za-z.]+", "-", origin.split()[2])
    return Programs(f"{origin}, unpacked in the cache", f"mariadb-{key}", commands, folder)


def _plan(programs: Programs, setting: Setting) -> Plan:
    share = _share(programs)
    common = [*programs.commands["mariadbd"], "--no-defaults", *mysql.as_root(), f"--lc-messages-dir={share}"]
    if programs.root != Path("/"):
        plugins = next(iter(programs.root.glob("usr/lib/*/plugin")), programs.root / "usr/lib")
        common += [f"--basedir={programs.root / 'usr'}", f"--character-sets-dir={share / 'charsets'}"]
        common += [f"--plugin-dir={plugins}"]
    template = cache.filled(
        setting.cache, f"template-{programs.key}", lambda folder: _initialise(common, share, folder, setting.progress)
    )
    data = setting.directory / "data"
    shutil.copytree(template / "data", data)
    data.chmod(0o700)
    password = new_password()
    argv = [
        *common,
        f"--datadir={data}",
        f"--tmpdir={mysql.temporary_folder(setting.directory)}",
        *mysql.listen_options(setting),
        *mysql.BINLOG_OPTIONS,
        *mysql.SMALL_OPTIONS,
        f"--init-file={mysql.write_accounts(setting.directory, password)}",
        *setting.options,
    ]
    url = f"mariadb://root:{password}@{LOOPBACK}:{setting.port}"
    return Plan(url, Wish(argv, setting.directory / "server.log"), programs.commands)


def _initialise(common: Sequence[str], share: Path, folder: Path, progress: Progress) -> None:
    progress(Step("initialising MariaDB's data folder (once)"))
    data = folder / "data"
    (data / "mysql").mkdir(parents=True)
    # The files give root@localhost no password then; every start sets one before the server listens.
    script = ["use mysql;", "set @auth_root_socket = NULL;"]
    for name in _SYSTEM_SQL:
        files = [share / f"{family}_{name}.sql" for family in ("mariadb", "mysql")]
        script += [file.read_text(errors="replace") for file in files if file.is_file()][:1]
    places = [f"--datadir={data}", f"--tmpdir={mysql.temporary_folder(folder)}"]
    argv = [*common, *places, "--bootstrap", "--skip-log-bin", "--innodb-log-file-size=16M"]
    # mariadb-install-db leaves these lines out too: they are for accounts of this host's name.
    text = "\n".join(line for line in "\n".join(script).splitlines() if "@current_hostname" not in line)
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalServerError(
            f"mariadbd --bootstrap failed: {mysql.last_error(done.stderr)}",
            hint="look at the disk space of the cache folder",
        )


def _share(programs: Programs) -> Path:
    """Where the server's SQL files and messages are."""
    base = programs.root / "usr"
    if programs.root == Path("/"):
        base = Path(programs.commands["mariadbd"][0]).resolve().parent.parent
    for folder in (base / "share/mysql", base / "share/mariadb", base / "share"):
        if any(folder.glob("m*_system_tables.sql")):
            return folder
    raise LocalServerError(f"MariaDB's system tables are not below {base / 'share'}", hint="install mariadb-server")


def _container(setting: Setting) -> Container:
    password = new_password()
    arguments = (*mysql.BINLOG_OPTIONS, *mysql.SMALL_OPTIONS, *setting.options)
    url = f"mariadb://root:{password}@{LOOPBACK}:{setting.port}"
    inside = {name: (program,) for name, program in _CLIENTS.items()}
    return Container("mariadb:10.11", url, 3306, {"MARIADB_ROOT_PASSWORD": password}, arguments, inside)


def _real_mariadb(url: str, commands: Mapping[str, Sequence[str]]) -> str:
    version = mysql.version_of(url, commands)
    if "MariaDB" not in version:
        raise LocalServerError(f"the server is MySQL ({version}), not MariaDB", hint="give it as MySQL's URL")
    return version


_PROGRAMS = {"path": _from_path, "packages": _from_packages, "unstable": _from_unstable}
KIND = Kind("mariadb", "MariaDB", _PROGRAMS, _plan, _container, _real_mariadb)
