"""Connections to one SQLite file, their settings, and SQLite's errors → ours.

Durability: `synchronous = FULL` in WAL mode, one fsync for each commit. NORMAL would survive a killed process just as well,
but a power cut could take back the last commits after the queue was told of them, and with them rows that are sent by
nobody again (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote as percent_encoded
from urllib.parse import urlsplit

from cdc.model.config import SinkConfig
from cdc.model.errors import CdcError, RowRefused, TargetBusy, TargetRefused, TargetUnavailable
from cdc.target.sql.names import shown

# Primary result codes, https://www.sqlite.org/rescode.html; the extended ones have them in the low byte.
ERRORS: Mapping[int, type[CdcError]] = {
    sqlite3.SQLITE_BUSY: TargetBusy,
    sqlite3.SQLITE_LOCKED: TargetBusy,
    sqlite3.SQLITE_PROTOCOL: TargetBusy,  # WAL: the race for its lock was lost too often
    sqlite3.SQLITE_INTERRUPT: TargetBusy,
    sqlite3.SQLITE_SCHEMA: TargetBusy,
    sqlite3.SQLITE_FULL: TargetUnavailable,
    sqlite3.SQLITE_IOERR: TargetUnavailable,
    sqlite3.SQLITE_READONLY: TargetUnavailable,
    sqlite3.SQLITE_NOMEM: TargetUnavailable,
    sqlite3.SQLITE_NOLFS: TargetUnavailable,
    sqlite3.SQLITE_CONSTRAINT: RowRefused,
    sqlite3.SQLITE_MISMATCH: RowRefused,
    sqlite3.SQLITE_TOOBIG: RowRefused,
    sqlite3.SQLITE_RANGE: TargetRefused,
    sqlite3.SQLITE_CANTOPEN: TargetRefused,
    sqlite3.SQLITE_PERM: TargetRefused,
    sqlite3.SQLITE_AUTH: TargetRefused,
    sqlite3.SQLITE_NOTADB: TargetRefused,
    sqlite3.SQLITE_CORRUPT: TargetRefused,
    sqlite3.SQLITE_ERROR: TargetRefused,
    sqlite3.SQLITE_INTERNAL: TargetRefused,
    sqlite3.SQLITE_ABORT: TargetRefused,
    sqlite3.SQLITE_MISUSE: TargetRefused,
    sqlite3.SQLITE_NOTFOUND: TargetRefused,
    sqlite3.SQLITE_EMPTY: TargetRefused,
    sqlite3.SQLITE_FORMAT: TargetRefused,
}
_UNIQUE = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
}
HINTS: Mapping[type[CdcError], str] = {
    TargetUnavailable: "make room on the disk, or the file and its folder writable; it is tried again with back-off",
    TargetBusy: "another process holds the file's write lock; the transaction was rolled back and is tried again",
    RowRefused: "make the target accept it, or set sink.on_error: dead_letter",
    TargetRefused: "look at the file and its folder; `cdc check` looks at all of it",
}
# What the driver raises for a value: its own errors, an integer beyond 64 bits, text that is not Unicode.
DRIVER_ERRORS = (sqlite3.Error, OverflowError, UnicodeEncodeError)


def path_of(config: SinkConfig) -> Path:
    """`sqlite:///relative.db`, `sqlite:////absolute.db`, as SQLAlchemy reads them."""
    text = config.url.path.removeprefix("/")
    if config.url.host or not text or text == ":memory:" or "\0" in text:
        raise TargetRefused("sink.url names no file", hint="write it as sqlite:///file.db or sqlite:////folder/file.db")
    if urlsplit(config.url.get_secret_value()).query:
        raise TargetRefused("sink.url has options after '?', which are not read", hint="leave them out")
    return Path(text)


def connect(path: Path, wait_seconds: float, *, create: bool) -> sqlite3.Connection:
    """A connection whose transactions are begun and ended by statements. `wait_seconds`: for another writer (busy_timeout).

    Foreign keys stay unchecked, SQLite's default for each connection: the source has checked them, and lanes that run side by
    side may bring a child before its parent.
    """
    uri = f"file:{percent_encoded(str(path.absolute()))}?mode={'rwc' if create else 'rw'}"
    connection = sqlite3.connect(uri, uri=True, timeout=wait_seconds, isolation_level=None, check_same_thread=False)
    try:
        if create:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = OFF")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def mapped(error: BaseException, place: str = "") -> CdcError:
    """Our error for one of DRIVER_ERRORS. SQLite's messages name tables and columns, and no values."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, sqlite3.Error):
        kind = TargetRefused if code is None else ERRORS.get(code & 0xFF, TargetRefused)
        words = shown(" ".join(str(error).split()))
    else:
        kind = RowRefused
        words = "an integer beyond 64 bits" if isinstance(error, OverflowError) else "text that is not Unicode"
    name = getattr(error, "sqlite_errorname", None)
    where = f" ({place})" if place else ""
    return kind(f"SQLite: {words}{f' ({name})' if name else ''}{where}", hint=HINTS[kind])


@contextmanager
def mapping(place: str = "") -> Iterator[None]:
    """Everything that the driver raises within leaves as ours."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise mapped(error, place) from None


def is_taken(error: BaseException) -> bool:
    """Whether a statement failed on a unique index."""
    return getattr(error, "sqlite_errorcode", None) in _UNIQUE
