"""Copies of a server's binlog files, as a backup makes them, and the purge that makes them needed."""

import shutil
from pathlib import Path

from tests.fixtures.servers import Database
from tests.support.wait import until


def file_names(shop: Database) -> list[str]:
    """The server's binlog files, oldest first."""
    with shop.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW BINARY LOGS")
        return [str(row[0]) for row in cursor.fetchall()]


def copy_binlogs(shop: Database, folder: Path, *names: str) -> list[Path]:
    """Copies these files, or all; the copies, oldest first."""
    with shop.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@log_bin_basename")
        directory = Path(cursor.fetchone()[0]).parent
    folder.mkdir(exist_ok=True)
    return [Path(shutil.copy(directory / name, folder)) for name in names or file_names(shop)]


def purge_to(shop: Database, name: str) -> None:
    """Until `name` is the first file: MariaDB leaves a file alone, without a word, while a dump has it open."""

    def purged() -> bool:
        with shop.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"PURGE BINARY LOGS TO '{name}'")
        return file_names(shop)[0] == name

    until(purged, 20, f"{name} the first file")
