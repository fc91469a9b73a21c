# ruff: noqa: S608 - the statements built here have no values
"""Lockstep's own tables at a target, and the statements on them, as text.

Written out, and not made by SQLAlchemy: readers and `cdc status` ask for progress alone, and need not load it.

Statements have named parameters of the dialect's driver (`%(name)s`, SQLite `:name`), to be executed with a dict; PostgreSQL,
whose parameters go to the server apart from the text, is told their types.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from cdc.target.sql.dialects import DialectName, SqlDialect


class OwnColumn(NamedTuple):
    """`type`: a key of `_TYPES`, or a type that all dialects write alike."""

    name: str
    type: str
    null: str = " NOT NULL"


PROGRESS = (
    OwnColumn("connector", "VARCHAR(48)"),
    OwnColumn("sink", "VARCHAR(48)"),
    OwnColumn("lane", "VARCHAR(300)"),
    OwnColumn("token", "BIGINT"),
    OwnColumn("reader_token", "BIGINT"),
    OwnColumn("generation", "BIGINT"),
    OwnColumn("file_number", "BIGINT"),
    OwnColumn("file_offset", "BIGINT"),
    OwnColumn("event_row", "BIGINT"),
    OwnColumn("events", "BIGINT"),
    OwnColumn("queue_offset", "VARCHAR(300)"),
    OwnColumn("source_id", "VARCHAR(100)", ""),
    OwnColumn("source_file", "VARCHAR(300)", ""),
    OwnColumn("source_pos", "BIGINT", ""),
    OwnColumn("source_gtid", "text", ""),
    OwnColumn("source_created", "BIGINT", ""),
    OwnColumn("arrived_generation", "BIGINT", ""),
    OwnColumn("arrived_file", "BIGINT", ""),
    OwnColumn("arrived_offset", "BIGINT", ""),
    OwnColumn("arrived_row", "BIGINT", ""),
    OwnColumn("commit_us", "BIGINT"),
    OwnColumn("fingerprint", "VARCHAR(64)"),
    OwnColumn("session", "VARCHAR(100)"),
    OwnColumn("updated_at", "moment"),
)
LETTERS = (
    OwnColumn("id", "counter", ""),
    OwnColumn("connector", "VARCHAR(48)"),
    OwnColumn("sink", "VARCHAR(48)"),
    OwnColumn("lane", "VARCHAR(300)"),
    OwnColumn("db_name", "VARCHAR(64)"),
    OwnColumn("table_name", "VARCHAR(64)"),
    OwnColumn("key_json", "text"),
    OwnColumn("key_hash", "VARCHAR(64)"),
    OwnColumn("seq", "VARCHAR(100)"),
    OwnColumn("op", "VARCHAR(1)"),
    OwnColumn("event", "bytes"),
    OwnColumn("reason", "text"),
    OwnColumn("parked_at", "moment"),
)
COPIES = (
    OwnColumn("connector", "VARCHAR(48)"),
    OwnColumn("sink", "VARCHAR(48)"),
    OwnColumn("lane", "VARCHAR(300)"),
    OwnColumn("copies", "text"),
)
MOVED = (
    *("reader_token", "generation", "file_number", "file_offset", "event_row", "events", "queue_offset"),
    *("source_id", "source_file", "source_pos", "source_gtid", "source_created"),
    *("arrived_generation", "arrived_file", "arrived_offset", "arrived_row", "commit_us", "fingerprint"),
)
"""What of a progress row moves with the watermark."""
STORED = ("id", "lane", "db_name", "table_name", "key_json", "seq", "reason", "parked_at", "event")
"""The columns of Statements.list_letters."""

_TYPES: Mapping[DialectName, Mapping[str, str]] = {
    "postgresql": {
        "text": "TEXT",
        "bytes": "BYTEA",
        "moment": "TIMESTAMP WITH TIME ZONE",
        "counter": "BIGSERIAL PRIMARY KEY",
    },
    "mysql": {
        "text": "LONGTEXT",
        "bytes": "LONGBLOB",
        "moment": "DATETIME",
        "counter": "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
    },
    "sqlite": {
        "text": "TEXT",
        "bytes": "BLOB",
        "moment": "DATETIME",
        # It counts up by itself only in an INTEGER PRIMARY KEY, and re-uses the highest id without AUTOINCREMENT.
        "counter": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
    },
}
_OPTIONS: Mapping[DialectName, str] = {
    "postgresql": "",
    "mysql": " ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
    "sqlite": "",
}
# SQLite's || makes text of bytes.
_LONGER: Mapping[DialectName, str] = {
    "postgresql": "event || {line}",
    "mysql": "concat(event, {line})",
    "sqlite": "CAST(event || {line} AS BLOB)",
}
# Types of parameters that are no column, or another one's.
_FURTHER = {
    **{"limit": "INTEGER", "event_bytes": "INTEGER", "id": "BIGINT", "line": "bytes"},
    **{"new_db": "VARCHAR(64)", "new_table": "VARCHAR(64)"},
}
_PARAMETERS = {**{column.name: column.type for column in (*PROGRESS, *LETTERS, *COPIES)}, **_FURTHER}


@dataclass(frozen=True, slots=True)
class Statements:
    """What an adapter executes on Lockstep's own tables.

    all_copies gives (lane, copies); drop_copies and insert_copies take `lane`, the latter `copies` (JSON text).

    read_progress, lock_progress (FOR UPDATE; the same on SQLite), insert_progress, move_progress (only while `token` is
    the stored one: its row count tells), take_token (new `token` and `session`, only while `token` is above the stored
    one) take the parameters of `lane_row`; all_progress and the letters' statements: connector, sink.
    Rows of read_progress and lock_progress go to `progress_of`, with `session` last; all_progress the same.
    list_letters has `limit` and gives rows for `stored_letter`; parked gives (db, table, key JSON) for `parked_key`;
    drop_letter has the parameters of `letter_at`; drop_table_letters and has_table_letters (a row where there are any) `db_name`
    and `table_name`, move_table_letters also `new_db` and `new_table`, alter_table_letters also `line`: bytes that are added to
    the events.
    """

    create: tuple[str, ...]
    read_progress: str
    lock_progress: str
    all_progress: str
    insert_progress: str
    move_progress: str
    take_token: str
    insert_letter: str
    parked: str
    list_letters: str
    count_letters: str
    drop_letter: str
    drop_table_letters: str
    has_table_letters: str
    move_table_letters: str
    alter_table_letters: str
    all_copies: str
    drop_copies: str
    insert_copies: str


@cache
def statements(dialect: SqlDialect) -> Statements:
    name = dialect.name
    mine = _equal(name, "connector", "sink")
    lane = _equal(name, "connector", "sink", "lane")
    of_table = _equal(name, "connector", "sink", "db_name", "table_name")
    shown = [c.name for c in PROGRESS if c.name not in {"connector", "sink", "session", "updated_at"}]
    row = f"SELECT {', '.join(shown)}, session FROM _cdc_progress WHERE "
    now = "updated_at = CURRENT_TIMESTAMP"
    moved = f"{_set(name, MOVED)}, {now}"
    taken = f"{_set(name, ('token', 'session'))}, {now}"
    token = _parameter(name, "token")
    renamed = f"db_name = {_parameter(name, 'new_db')}, table_name = {_parameter(name, 'new_table')}"
    longer = _LONGER[name].format(line=_parameter(name, "line"))
    letter = f"id = {_parameter(name, 'id')} AND length(event) = {_parameter(name, 'event_bytes')}"
    return Statements(
        # Progress last: who finds it there, finds the other too. The constraint is an index by sink, lane and key: as a
        # constraint it comes with CREATE TABLE, for which IF NOT EXISTS is known everywhere.
        create=(
            _create(name, "_cdc_copies", COPIES, "PRIMARY KEY (connector, sink, lane)"),
            _create(
                name,
                "_cdc_dead_letters",
                LETTERS,
                "CONSTRAINT _cdc_dead_letters_by_key UNIQUE (connector, sink, lane, key_hash, id)",
            ),
            _create(name, "_cdc_progress", PROGRESS, "PRIMARY KEY (connector, sink, lane)"),
        ),
        read_progress=f"{row}{lane}",
        lock_progress=f"{row}{lane}{'' if name == 'sqlite' else ' FOR UPDATE'}",
        all_progress=f"{row}{mine}",
        insert_progress=_insert(name, "_cdc_progress", PROGRESS, "updated_at"),
        move_progress=f"UPDATE _cdc_progress SET {moved} WHERE {lane} AND token = {token}",
        take_token=f"UPDATE _cdc_progress SET {taken} WHERE {lane} AND token < {token}",
        insert_letter=_insert(name, "_cdc_dead_letters", LETTERS[1:], "parked_at"),
        parked=f"SELECT DISTINCT db_name, table_name, key_json FROM _cdc_dead_letters WHERE {mine}",
        list_letters=(
            f"SELECT {', '.join(STORED)} FROM _cdc_dead_letters WHERE {mine} ORDER BY id LIMIT {_parameter(name, 'limit')}"
        ),
        count_letters=f"SELECT count(*) FROM _cdc_dead_letters WHERE {mine}",
        drop_letter=f"DELETE FROM _cdc_dead_letters WHERE {of_table} AND {letter}",
        drop_table_letters=f"DELETE FROM _cdc_dead_letters WHERE {of_table}",
        has_table_letters=f"SELECT id FROM _cdc_dead_letters WHERE {of_table} LIMIT 1",
        move_table_letters=f"UPDATE _cdc_dead_letters SET {renamed} WHERE {of_table}",
        alter_table_letters=f"UPDATE _cdc_dead_letters SET event = {longer} WHERE {of_table}",
        all_copies=f"SELECT lane, copies FROM _cdc_copies WHERE {mine}",
        drop_copies=f"DELETE FROM _cdc_copies WHERE {lane}",
        insert_copies=_insert(name, "_cdc_copies", COPIES, ""),
    )


def _parameter(dialect: DialectName, name: str) -> str:
    if dialect == "sqlite":
        return f":{name}"
    kind = _PARAMETERS[name] if dialect == "postgresql" else ""
    # psycopg tells the type of bytes itself. A length in a cast would cut what is longer, in silence.
    cast = kind.partition("(")[0] if kind != "bytes" else ""
    return f"%({name})s" + (f"::{_TYPES[dialect].get(cast, cast)}" if cast else "")


def _equal(dialect: DialectName, *names: str) -> str:
    return " AND ".join(f"{name} = {_parameter(dialect, name)}" for name in names)


def _set(dialect: DialectName, names: Sequence[str]) -> str:
    return ", ".join(f"{name} = {_parameter(dialect, name)}" for name in names)


def _insert(dialect: DialectName, table: str, columns: Sequence[OwnColumn], moment: str) -> str:
    names = [column.name for column in columns]
    values = ["CURRENT_TIMESTAMP" if name == moment else _parameter(dialect, name) for name in names]
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(values)})"


def _create(dialect: DialectName, table: str, columns: Sequence[OwnColumn], constraint: str) -> str:
    types = _TYPES[dialect]
    lines = [f"{column.name} {types.get(column.type, column.type)}{column.null}" for column in columns]
    return f"CREATE TABLE IF NOT EXISTS {table} ({', '.join([*lines, constraint])}){_OPTIONS[dialect]}"
