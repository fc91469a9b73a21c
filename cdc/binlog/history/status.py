"""What a query event tells of the session that its statement ran in.

Status variables: https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Query__event.html and, for
MariaDB's own (128 and up), https://mariadb.com/docs/server/reference/clientserver-protocol/replication-protocol/query_event.
"""

import struct
from collections.abc import Iterator

from cdc.binlog.history.context import Session

_LENGTHS = {
    0: 4,  # flags
    1: 8,  # sql_mode
    3: 4,  # auto_increment
    4: 6,  # collations of client, connection, server
    7: 2,  # lc_time_names
    8: 2,  # collation_database
    9: 8,  # table_map_for_update
    10: 4,  # master_data_written
    13: 3,  # microseconds
    16: 1,  # explicit_defaults_for_timestamp
    17: 8,  # XID of a DDL statement
    18: 2,  # default_collation_for_utf8mb4
    19: 1,  # sql_require_primary_key
    20: 1,  # default_table_encryption
    128: 3,  # microseconds
    129: 8,  # XID
}
_EXPLICIT_TIMESTAMPS = 1 << 24  # of MariaDB's flags, OPTION_EXPLICIT_DEF_TIMESTAMP
_STARTS_ALTER, _COMMITS_ALTER, _UNDOES_ALTER = 2, 4, 8  # of MariaDB's Q_GTID_FLAGS3
_UTF8MB4_GENERAL_CI = 45
_TOO_MANY_DATABASES = 254


def read(status: bytes | memoryview, flavor: str) -> Session:
    """Raises struct.error or IndexError for what is cut short. What stands behind a variable that is not known is not said."""
    found = dict(_variables(bytes(status)))
    charset, server = None, None
    if 4 in found:
        charset, _, server = struct.unpack("<HHH", found[4])
    flags = int.from_bytes(found.get(0, b""), "little")
    explicit = bool(found[16][0]) if 16 in found else None
    if flavor == "mariadb" and 0 in found:
        explicit = bool(flags & _EXPLICIT_TIMESTAMPS)
    microseconds = found.get(128) or found.get(13)
    phase = found.get(130, b"\0")[0]
    return Session(
        charset,
        _number(found.get(1)),
        _utf8mb4(found),
        server,
        found[5].decode("ascii", "replace") if 5 in found else None,
        _number(microseconds),
        explicit,
        bool(phase & (_STARTS_ALTER | _UNDOES_ALTER)),
    )


def _number(raw: bytes | None) -> int | None:
    return None if raw is None else int.from_bytes(raw, "little")


def _utf8mb4(found: dict[int, bytes]) -> int | None:
    """MySQL says it by itself, MariaDB (11.2 and later) as pairs of a charset's and a collation's id."""
    if 18 in found:
        return _number(found[18])
    pairs = list(struct.iter_unpack("<HH", found.get(131, b"")))
    return next((collation for charset, collation in pairs if charset == _UTF8MB4_GENERAL_CI), None)


def _variables(status: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(status):
        code = status[at]
        start, end = _span(code, status, at + 1)
        if end > len(status):
            raise IndexError(f"status variable {code} is cut short")
        if end < start:
            return
        yield code, status[start:end]
        at = end + (1 if code == 2 else 0)


def _span(code: int, status: bytes, at: int) -> tuple[int, int]:
    """Of the value; an end before the start: a code that is not known."""
    if code in _LENGTHS:
        return at, at + _LENGTHS[code]
    if code in {2, 5, 6}:  # catalog (with a zero behind it), time zone, catalog
        return at + 1, at + 1 + status[at]
    if code == 11:  # invoker: user and host
        host = at + 1 + status[at]
        return at, host + 1 + status[host]
    if code == 12:  # updated databases
        return at, _end_of_names(status, at)
    if code == 130:  # MariaDB's GTID flags; a COMMIT or ROLLBACK of an ALTER names its start
        more = status[at] & (_COMMITS_ALTER | _UNDOES_ALTER)
        return at, at + 1 + (8 if more else 0)
    return (at + 1, at + 1 + 4 * status[at]) if code == 131 else (at, at - 1)


def _end_of_names(status: bytes, at: int) -> int:
    """A count, then so many names, each with a zero at its end."""
    end = at + 1
    for _ in range(0 if status[at] == _TOO_MANY_DATABASES else status[at]):
        end = status.index(b"\0", end) + 1
    return end
