"""Event types: the ones that are passed over, and the ones that stop the stream, with the way out of each.

Every type that is in neither list, nor handled, stops the stream too. Numbers: enum Log_event_type of MySQL
(https://dev.mysql.com/doc/dev/mysql-server/latest/binlog__event_8h.html) and of MariaDB (sql/log_event.h).
"""

from pymysqlreplication.constants import BINLOG

from cdc.binlog import events
from cdc.model.errors import BinlogDamaged, FatalError, NotUnderstood

HARMLESS = frozenset(
    {
        BINLOG.STOP_EVENT,
        BINLOG.INTVAR_EVENT,  # these three belong to the statement that follows, and it is judged itself
        BINLOG.RAND_EVENT,
        BINLOG.USER_VAR_EVENT,
        BINLOG.IGNORABLE_LOG_EVENT,
        BINLOG.PREVIOUS_GTIDS_LOG_EVENT,
        events.TRANSACTION_CONTEXT_EVENT,
        events.VIEW_CHANGE_EVENT,
        BINLOG.MARIADB_BINLOG_CHECKPOINT_EVENT,
        BINLOG.MARIADB_GTID_GTID_LIST_EVENT,
    }
)

_SKIP = "copy what the transaction changed by hand, then `cdc replay --from` the position after it"
_STATEMENT = f"set binlog_format=ROW in every session that writes to captured tables; {_SKIP}"

_KNOWN: dict[int, tuple[str, str]] = {
    BINLOG.BEGIN_LOAD_QUERY_EVENT: ("a LOAD DATA that is logged as a statement", _STATEMENT),
    BINLOG.APPEND_BLOCK_EVENT: ("a LOAD DATA that is logged as a statement", _STATEMENT),
    BINLOG.EXECUTE_LOAD_QUERY_EVENT: ("a LOAD DATA that is logged as a statement", _STATEMENT),
    BINLOG.MARIADB_START_ENCRYPTION_EVENT: (
        "an encrypted binlog",
        "SET GLOBAL encrypt_binlog=OFF at the source, FLUSH BINARY LOGS, and begin at the new file",
    ),
}


def refusal(kind: int) -> FatalError:
    """The error for an event type that stops the stream; the stream adds the position."""
    if kind == BINLOG.INCIDENT_EVENT:
        return BinlogDamaged(
            "the server wrote an incident event: changes are missing in its binlog from here on",
            hint="copy the tables anew, then `cdc replay --from` the position after the incident",
        )
    what, hint = _KNOWN.get(
        kind, ("an event of a type that is not understood", "report the server's version and this number to Lockstep")
    )
    return NotUnderstood(f"{what} (event type {kind})", hint=hint)
