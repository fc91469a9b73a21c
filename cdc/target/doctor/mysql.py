"""What a MySQL or MariaDB has that stands in a sink's way. Facts are from information_schema and from the global variables.

The sink sets its session's wait_timeout, lock_wait_timeout, innodb_lock_wait_timeout and sql_mode by itself, so the server's
own of these say nothing.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pymysql
from pymysql.constants import ER

from cdc.connect.grants import Grants, parse_grants
from cdc.connect.mysql import error_code
from cdc.model.finding import Finding, clock_finding, named
from cdc.target.doctor.obstacles import Present, UniqueKey, obstacles
from cdc.target.doctor.shared import PARKED_LATE, ROWS_AND_PROGRESS
from cdc.target.mysql_session import Session
from cdc.target.port import Expected
from cdc.target.sql.dialects import MYSQL
from cdc.target.sql.names import OWN_TABLES, TargetName, quote, quote_table, shown
from cdc.target.sql.plan import Planner

_HERE = "TABLE_SCHEMA = COALESCE(%(schema)s, DATABASE()) AND TABLE_NAME = %(table)s"
_UNIQUE = f"""
SELECT INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS WHERE {_HERE} AND NON_UNIQUE = 0
ORDER BY INDEX_NAME, SEQ_IN_INDEX
"""  # noqa: S608 — constants
# An ENUM without a default has its first member as one, in every SQL mode.
_COLUMNS = f"""
SELECT COLUMN_NAME, COALESCE(GENERATION_EXPRESSION, '') <> '',
       IS_NULLABLE = 'NO' AND COLUMN_DEFAULT IS NULL AND COALESCE(GENERATION_EXPRESSION, '') = ''
       AND EXTRA NOT LIKE '%%auto_increment%%' AND DATA_TYPE <> 'enum'
FROM information_schema.COLUMNS WHERE {_HERE} ORDER BY ORDINAL_POSITION
"""  # noqa: S608 — constants
_TRIGGERS = """
SELECT TRIGGER_NAME FROM information_schema.TRIGGERS
WHERE EVENT_OBJECT_SCHEMA = COALESCE(%(schema)s, DATABASE()) AND EVENT_OBJECT_TABLE = %(table)s ORDER BY TRIGGER_NAME
"""
_REFERENCES = """
SELECT CONSTRAINT_NAME, REFERENCED_TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = COALESCE(%(schema)s, DATABASE()) AND TABLE_NAME = %(table)s ORDER BY CONSTRAINT_NAME
"""
_OWN = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN %(names)s"
_VARIABLES = (
    *("read_only", "transaction_read_only", "tx_read_only", "offline_mode", "max_statement_time", "max_allowed_packet"),
    "innodb_flush_log_at_trx_commit",
)
_MAKING = ("CREATE", "ALTER", "DROP", "INDEX")
# A value that long, and its row, escaped byte by byte at the worst.
_LONGEST_BYTES = {"mediumblob": 2**24, "mediumtext": 2**24, "longblob": 2**26, "longtext": 2**26}
_ESCAPED = 2


def findings(
    session: Session, planner: Planner, tables: Sequence[Expected], *, makes_tables: bool
) -> Iterator[Finding]:
    """PyMySQL's errors pass through."""
    rows = session.rows("SHOW GLOBAL VARIABLES WHERE Variable_name IN %(names)s", {"names": _VARIABLES})
    variables = {str(name).lower(): str(value) for name, value in rows}
    yield from _modes(variables)
    yield from _time_outs(variables)
    yield from _packets(variables, tables)
    yield from _durability(variables)
    yield _clock(session)
    for expected in tables:
        present = _present(session, planner.name(expected.schema.db, expected.schema.table))
        if present is not None and expected.schema.key:
            yield from obstacles(expected, present, fold_case=True)
    yield from _rights(session, makes_tables=makes_tables)


def _on(variables: Mapping[str, str], *names: str) -> bool:
    """Also for a variable that has further words than ON and OFF, as MariaDB 12's read_only."""
    return any(variables.get(name, "OFF").upper() not in {"OFF", "0"} for name in names)


def _modes(variables: Mapping[str, str]) -> Iterator[Finding]:
    """Where nobody may write, `inspect` says so."""
    if _on(variables, "read_only"):
        yield Finding(
            "warning",
            "read-only",
            "read_only is on: only users with CONNECTION_ADMIN (MariaDB: READ ONLY ADMIN) may write",
            "point sink.url at the server that takes writes, or SET GLOBAL read_only=OFF",
        )
    if _on(variables, "transaction_read_only", "tx_read_only"):
        yield Finding(
            "error",
            "read-only",
            "transaction_read_only is on: every transaction begins as one that only reads",
            "SET GLOBAL transaction_read_only=OFF (MariaDB before 11.1: tx_read_only)",
        )
    if _on(variables, "offline_mode"):
        yield Finding(
            "warning", "read-only", "offline_mode is on: only administrators are let in", "SET GLOBAL offline_mode=OFF"
        )


def _time_outs(variables: Mapping[str, str]) -> Iterator[Finding]:
    """MySQL's max_execution_time is for SELECT alone."""
    seconds = float(variables.get("max_statement_time", "0"))
    if seconds:
        yield Finding(
            "warning",
            "time-outs",
            f"max_statement_time is {seconds:g} s: a large batch takes longer, is ended, and never gets through",
            "SET GLOBAL max_statement_time=0, or limit other users alone: GRANT … WITH MAX_STATEMENT_TIME",
        )


def _packets(variables: Mapping[str, str], tables: Sequence[Expected]) -> Iterator[Finding]:
    limit = int(variables.get("max_allowed_packet", "0"))
    longest = {
        one.schema.name: max((_LONGEST_BYTES.get(column.type, 0) for column in one.schema.columns), default=0)
        for one in tables
    }
    large = sorted(name for name, size in longest.items() if size and limit < _ESCAPED * size)
    if large:
        needed = _ESCAPED * max(longest[name] for name in large)
        yield Finding(
            "warning",
            "max_allowed_packet",
            f"{limit / 2**20:g} MiB: a row is one statement, and one that is longer is refused; columns for long values have"
            f" {named(large)}",
            f"SET GLOBAL max_allowed_packet={needed}, if values that long come",
        )


def _durability(variables: Mapping[str, str]) -> Iterator[Finding]:
    value = variables.get("innodb_flush_log_at_trx_commit", "1")
    if value not in {"1", "3"}:
        yield Finding(
            "warning",
            "durability",
            f"innodb_flush_log_at_trx_commit is {value}: after a crash of the machine the last commits may be gone;"
            f" {ROWS_AND_PROGRESS}",
            "SET GLOBAL innodb_flush_log_at_trx_commit=1",
        )


def _clock(session: Session) -> Finding:
    before = time.time()
    ((server,),) = session.rows("SELECT UNIX_TIMESTAMP(NOW(6))")
    return clock_finding(float(server) - (before + time.time()) / 2, PARKED_LATE)


def _present(session: Session, name: TargetName) -> Present | None:
    place = {"schema": name.schema, "table": name.table}
    columns = session.rows(_COLUMNS, place)
    if not columns:
        return None
    parts: dict[str, list[tuple[Any, Any]]] = defaultdict(list)
    for index, column, prefix in session.rows(_UNIQUE, place):
        parts[str(index)].append((column, prefix))
    return Present(
        name=shown(str(name)),
        unique=tuple(
            UniqueKey(
                shown(index),
                frozenset(str(column).casefold() for column, _ in found if column is not None),
                all(column is not None and prefix is None for column, prefix in found),
            )
            for index, found in parts.items()
        ),
        triggers=tuple(shown(str(trigger)) for (trigger,) in session.rows(_TRIGGERS, place)),
        references={shown(str(key)): shown(str(parent)) for key, parent in session.rows(_REFERENCES, place)},
        generated=frozenset(str(column).casefold() for column, generated, _ in columns if generated),
        mandatory=tuple(str(column).casefold() for column, _, mandatory in columns if mandatory),
    )


def _rights(session: Session, *, makes_tables: bool) -> Iterator[Finding]:
    """Those on the applied tables are `inspect`'s; here are those on Lockstep's own, and those for making and changing tables."""
    ((database,),) = session.rows("SELECT DATABASE()")
    grants = _grants(session)
    own_tables = {str(name) for (name,) in session.rows(_OWN, {"names": OWN_TABLES})}
    needed = _MAKING if makes_tables else ("ALTER", "INDEX")
    lacking = [right for right in needed if not grants.on_table(right, str(database), "*")]
    if "CREATE" in lacking or (not grants.on_table("CREATE", str(database), "*") and not own_tables):
        yield Finding(
            "error",
            "rights",
            "the sink's user may not make tables in its database",
            f"GRANT {', '.join(_MAKING)} ON {quote(MYSQL, str(database))}.* TO the sink's user",
        )
    elif lacking:
        yield Finding(
            "warning",
            "rights",
            f"the sink's user lacks {', '.join(lacking)}: the source's schema changes cannot be repeated",
            f"GRANT {', '.join(lacking)} ON {quote(MYSQL, str(database))}.* TO the sink's user",
        )
    for table in sorted(own_tables):
        yield from _own_table(session, table)


def _own_table(session: Session, table: str) -> Iterator[Finding]:
    """EXPLAIN needs the rights of what it explains, and changes nothing (MySQL manual, "EXPLAIN Statement")."""
    quoted = quote_table(MYSQL, TargetName(None, table))
    statements = {
        "SELECT": f"SELECT connector FROM {quoted} WHERE FALSE",  # noqa: S608 — a constant
        "INSERT": f"INSERT INTO {quoted} (connector) VALUES ('')",  # noqa: S608
        "UPDATE": f"UPDATE {quoted} SET connector = connector WHERE FALSE",  # noqa: S608
        "DELETE": f"DELETE FROM {quoted} WHERE FALSE",  # noqa: S608
    }
    for right, statement in statements.items():
        try:
            session.rows(f"EXPLAIN {statement}")
        except pymysql.err.MySQLError as error:
            if error_code(error) not in {ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR}:
                raise
            yield Finding(
                "error",
                "rights",
                f"the sink's user lacks {right} on table {table}",
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO the sink's user",
            )
            return


def _grants(session: Session) -> Grants:
    texts = [str(row[0]) for row in session.rows("SHOW GRANTS")]
    if not session.is_mariadb:
        ((roles,),) = session.rows("SELECT CURRENT_ROLE()")
        if roles != "NONE":
            texts = [str(row[0]) for row in session.rows(f"SHOW GRANTS FOR CURRENT_USER() USING {roles}")]
    return parse_grants(texts)
