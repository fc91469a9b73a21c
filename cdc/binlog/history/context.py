"""What a statement comes with, and what it amounts to."""

from typing import NamedTuple

from cdc.model.schema_change import SchemaChange
from cdc.model.table_version import TableVersion

TableName = tuple[str, str]

# Bits of sql_mode, the same in MySQL (sql/system_variables.h) and MariaDB (sql/sql_class.h).
REAL_AS_FLOAT = 1
ANSI_QUOTES = 4
ORACLE = 512
MAXDB = 4096
NO_BACKSLASH_ESCAPES = 1 << 20
STRICT = 3 << 21


class Place(NamedTuple):
    """Number of the binlog file and offset in it, at the source `source_id`."""

    source_id: str
    file: int
    offset: int


class Session(NamedTuple):
    """What a query event tells of the session that its statement ran in (`history.status.read`); None: it does not say.

    `charset`: collation id of the statement's text. `utf8mb4_collation`: the default collation of utf8mb4, where it is not the
    product's own; `server_collation`: what a database to be made takes (both ids). `microseconds`: of the statement's time.
    `explicit_timestamps`: explicit_defaults_for_timestamp. `unfinished`: the first phase of MariaDB's ALTER in two phases, or
    its undoing: nothing has changed.
    """

    charset: int | None = None
    sql_mode: int | None = None
    utf8mb4_collation: int | None = None
    server_collation: int | None = None
    time_zone: str | None = None
    microseconds: int | None = None
    explicit_timestamps: bool | None = None
    unfinished: bool = False


class Context(NamedTuple):
    """Of one statement. `place`: where it ends; a version holds from there on. `db`: the session's default database.
    `timestamp`: when it was executed, in seconds since 1970. `flavor`: mysql or mariadb."""

    place: Place
    db: str
    timestamp: int
    flavor: str
    session: Session = Session()

    @property
    def sql_mode(self) -> int:
        return self.session.sql_mode or 0

    def has(self, mode: int) -> bool:
        return bool(self.sql_mode & mode)


class Outcome(NamedTuple):
    """`changes`: of captured tables, nothing excluded, in order. `versions`: to be stored before the checkpoint moves on; of
    captured tables, of those that may become one, and (table "") of databases, whose default collation they hold."""

    changes: list[SchemaChange]
    versions: list[TableVersion]
