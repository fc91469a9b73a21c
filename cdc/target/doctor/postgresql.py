"""What a PostgreSQL has that stands in a sink's way. Facts are from its system catalogues (manual, chapter 53).

The sink sets its session's idle_in_transaction_session_timeout and lock_timeout by itself, so a server's own of these say
nothing.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cdc.model.finding import Finding, clock_finding, named
from cdc.target.doctor.obstacles import Present, UniqueKey, obstacles
from cdc.target.doctor.shared import PARKED_LATE, ROWS_AND_PROGRESS
from cdc.target.port import Expected
from cdc.target.postgresql_connection import Connection
from cdc.target.sql.dialects import POSTGRESQL
from cdc.target.sql.names import OWN_TABLES, TargetName, quote_table, shown
from cdc.target.sql.plan import Planner

_OIDS = """
SELECT name, to_regclass(name)::oid FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL
"""
# The columns behind indnkeyatts are only carried along (INCLUDE).
_UNIQUE = """
SELECT i.indrelid, c.relname, array(SELECT a.attname::text FROM generate_series(0, i.indnkeyatts - 1) AS n
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n]),
       i.indexprs IS NULL AND NOT i.indisexclusion
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY(%s::oid[]) AND (i.indisunique OR i.indisexclusion) AND i.indisvalid ORDER BY c.relname
"""
# tgenabled: O fires in ordinary sessions, A always, R in a replica's session, D never.
_TRIGGERS = """
SELECT tgrelid, tgname FROM pg_trigger
WHERE tgrelid = ANY(%s::oid[]) AND NOT tgisinternal AND tgenabled IN ('O', 'A') ORDER BY tgname
"""
_REFERENCES = """
SELECT conrelid, conname, confrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND conrelid = ANY(%s::oid[]) ORDER BY conname
"""
_COLUMNS = """
SELECT a.attrelid, a.attname, a.attgenerated <> '',
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '',
       coalesce((SELECT co.collname FROM pg_collation co WHERE co.oid = a.attcollation AND NOT co.collisdeterministic),
                CASE WHEN t.typname = 'citext' THEN 'citext' END)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = ANY(%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_OWNED = (
    "SELECT relname FROM pg_class WHERE oid = ANY(%s::oid[]) AND NOT pg_has_role(relowner, 'USAGE') ORDER BY relname"
)
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_ENDING = {
    "statement_timeout": "a large batch takes longer, is ended, and never gets through",
    "transaction_timeout": "a large batch takes longer, is ended, and never gets through",
    "idle_session_timeout": "a sink that has nothing to do loses its connection, and opens another each time",
}
_LOSING = {
    "synchronous_commit": f"off: after a crash of the server the last commits may be gone; {ROWS_AND_PROGRESS}",
    "fsync": "off: after a crash of its machine the server may lose commits, or its files' consistency",
    "full_page_writes": "off: after a crash of its machine pages may be half written",
}


def findings(connection: Connection, planner: Planner, tables: Sequence[Expected]) -> Iterator[Finding]:
    """psycopg's errors pass through."""
    settings = _settings(connection)
    yield from _modes(connection)
    yield from _time_outs(settings)
    yield from _durability(settings)
    yield _clock(connection)
    names = {
        quote_table(POSTGRESQL, planner.name(one.schema.db, one.schema.table)): one for one in tables if one.schema.key
    }
    oids: dict[str, int] = dict(connection.execute(_OIDS, ([*names],)).fetchall())
    present = _present(connection, oids)
    for quoted, expected in names.items():
        if quoted in oids:
            yield from obstacles(expected, present[oids[quoted]], fold_case=False)
    yield from _rights(connection, list(oids.values()))


def _settings(connection: Connection) -> Mapping[str, str]:
    """As this role has them in a new session; times in milliseconds."""
    rows = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", ([*_ENDING, *_LOSING],))
    return {str(name): str(setting) for name, setting in rows.fetchall()}


def _modes(connection: Connection) -> Iterator[Finding]:
    row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    if row and row[0]:
        yield Finding(
            "error",
            "read-only",
            "the target is a standby: nothing can be written to it",
            "name its primary in sink.url",
        )


def _time_outs(settings: Mapping[str, str]) -> Iterator[Finding]:
    for name, harm in _ENDING.items():
        milliseconds = int(settings.get(name, "0"))
        if milliseconds:
            yield Finding(
                "warning",
                "time-outs",
                f"{name} is {milliseconds / 1000:g} s for the sink's role: {harm}",
                f"ALTER ROLE … SET {name} = 0, for the sink's role",
            )


def _durability(settings: Mapping[str, str]) -> Iterator[Finding]:
    for name, harm in _LOSING.items():
        if settings.get(name) == "off":
            role_s = "ALTER ROLE … SET synchronous_commit = on, for the sink's role"
            fix = role_s if name == "synchronous_commit" else f"{name} = on"
            yield Finding("warning", "durability", f"{name} is {harm}", fix)


def _clock(connection: Connection) -> Finding:
    before = time.time()
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()
    return clock_finding(float(row[0] if row else before) - (before + time.time()) / 2, PARKED_LATE)


def _present(connection: Connection, oids: Mapping[str, int]) -> Mapping[int, Present]:
    asked = ([*oids.values()],)
    unique: dict[int, list[UniqueKey]] = defaultdict(list)
    for oid, name, columns, whole in connection.execute(_UNIQUE, asked).fetchall():
        unique[oid].append(UniqueKey(shown(name), frozenset(columns), whole))
    triggers: dict[int, list[str]] = defaultdict(list)
    for oid, name in connection.execute(_TRIGGERS, asked).fetchall():
        triggers[oid].append(shown(name))
    references: dict[int, dict[str, str]] = defaultdict(dict)
    for oid, name, parent in connection.execute(_REFERENCES, asked).fetchall():
        references[oid][shown(name)] = shown(parent)
    columns_of: dict[int, list[Any]] = defaultdict(list)
    for oid, *column in connection.execute(_COLUMNS, asked).fetchall():
        columns_of[oid].append(column)
    return {
        oid: Present(
            name=shown(quoted),
            unique=tuple(unique[oid]),
            triggers=tuple(triggers[oid]),
            references=references[oid],
            generated=frozenset(name for name, generated, _, _ in columns_of[oid] if generated),
            mandatory=tuple(name for name, _, mandatory, _ in columns_of[oid] if mandatory),
            merging={name: collation for name, _, _, collation in columns_of[oid] if collation},
        )
        for quoted, oid in oids.items()
    }


def _rights(connection: Connection, oids: Sequence[int]) -> Iterator[Finding]:
    """Those on the applied tables are `inspect`'s; here are those on Lockstep's own, and ownership, which ALTER TABLE needs."""
    for table in OWN_TABLES[:2]:
        quoted = quote_table(POSTGRESQL, TargetName(None, table))
        row = connection.execute(
            "SELECT array(SELECT r FROM unnest(%s::text[]) AS r WHERE NOT has_table_privilege(to_regclass(%s)::oid, r))"
            " WHERE to_regclass(%s) IS NOT NULL",
            ([*_RIGHTS], quoted, quoted),
        ).fetchone()
        if row and row[0]:
            yield Finding(
                "error",
                "rights",
                f"the sink's role lacks {', '.join(row[0])} on table {table}",
                f"GRANT {', '.join(_RIGHTS)} ON {table} TO the sink's role",
            )
    others = [shown(row[0]) for row in connection.execute(_OWNED, ([*oids],)).fetchall()]
    if others:
        yield Finding(
            "warning",
            "rights",
            f"the sink's role does not own {named(others)}: the source's schema changes cannot be repeated there",
            "ALTER TABLE … OWNER TO the sink's role, or source.schema_changes: stop",
        )
