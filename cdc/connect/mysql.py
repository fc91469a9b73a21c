"""Connections to MySQL and MariaDB, and what their errors mean: shared by the source and by the MySQL target.

PyMySQL speaks the protocol (caching_sha2_password included: the password goes over TLS, else encrypted with the server's RSA
key, as "Caching SHA-2 Pluggable Authentication" in the MySQL manual describes). TLS is what the connector file says and
nothing else: PyMySQL by itself would try TLS, check nothing, and fall back to plain text.
"""

import ssl
from enum import Enum, auto
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CR, ER
from pymysql.cursors import Cursor

from cdc.model.config import Tls, Url, effective_tls

DEFAULT_PORT = 3306


def open_mysql(
    url: Url,
    tls: Tls | None,
    *,
    read_timeout_seconds: float | None,
    connect_timeout_seconds: float = 10.0,
    autocommit: bool = True,
    database: str | None = None,
    utc: bool = True,
    sql_mode: str | None = None,
    program: str = "lockstep",
) -> "Connection[Cursor]":
    """Connects and logs in; utf8mb4. `utc`: the session's time_zone is '+00:00'.

    `read_timeout_seconds` bounds each wait for bytes, the handshake's too (None: for ever); writes have the same bound.
    Raises pymysql.err.MySQLError (see `classify`) and, for a CA or client certificate file that cannot be read, OSError.
    """
    context = _context(effective_tls(url, tls))
    return pymysql.connect(
        host=url.host or "localhost",
        port=url.port or DEFAULT_PORT,
        user=url.user or None,
        # As bytes: PyMySQL would encode text in latin-1, and the server compares UTF-8.
        password=url.password.encode(),
        database=database,
        charset="utf8mb4",
        connect_timeout=connect_timeout_seconds,
        read_timeout=read_timeout_seconds,
        write_timeout=read_timeout_seconds,
        autocommit=autocommit,
        sql_mode=sql_mode,
        init_command="SET time_zone = '+00:00'" if utc else None,
        program_name=program,
        ssl=context,
        ssl_disabled=context is None,
        local_infile=False,
    )


def _context(tls: Tls) -> ssl.SSLContext | None:
    """The TLS context of a mode, or None for plain text."""
    if tls.mode == "disabled":
        return None
    context = ssl.create_default_context(cafile=tls.ca)
    # The certificates that MySQL makes for itself lack extensions that Python 3.13 began to ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = tls.mode == "verify-full"
    if tls.mode == "required":
        context.verify_mode = ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key)
    return context


class Kind(Enum):
    """What an error of the server or of the connection means for who asked."""

    UNAVAILABLE = auto()  # broken connection, shutting down, full, read-only, out of some resource: try again later
    BUSY = auto()  # deadlock, lock wait: the transaction was rolled back (or must be), try again at once
    REFUSED = auto()  # rights, password, missing table or column, syntax: a person is needed
    ROW = auto()  # the values of a row: constraint, range, encoding, size
    BINLOG = auto()  # ER_MASTER_FATAL_ERROR_READING_BINLOG: the text says what


# "Server Error Message Reference" of MySQL and "MariaDB Error Codes". A code that is not here is REFUSED: to stop and say
# so is better than to repeat for ever what cannot succeed. Numbers without a name are missing in PyMySQL's list.
_KINDS: dict[int, Kind] = {
    **dict.fromkeys(
        (
            ER.DISK_FULL,
            ER.OUTOFMEMORY,
            ER.OUT_OF_SORTMEMORY,
            ER.CON_COUNT_ERROR,
            ER.OUT_OF_RESOURCES,
            ER.HANDSHAKE_ERROR,
            ER.UNKNOWN_COM_ERROR,  # Galera: "WSREP has not yet prepared node for application use"
            ER.SERVER_SHUTDOWN,
            ER.NORMAL_SHUTDOWN,
            ER.SHUTDOWN_COMPLETE,
            ER.RECORD_FILE_FULL,
            ER.CANT_CREATE_THREAD,
            ER.ABORTING_CONNECTION,
            ER.NET_READ_ERROR_FROM_PIPE,
            ER.NET_FCNTL_ERROR,
            ER.NET_PACKETS_OUT_OF_ORDER,
            ER.NET_READ_ERROR,
            ER.NET_READ_INTERRUPTED,
            ER.NET_ERROR_ON_WRITE,
            ER.NET_WRITE_INTERRUPTED,
            ER.ERROR_DURING_COMMIT,
            ER.NEW_ABORTING_CONNECTION,
            ER.TOO_MANY_USER_CONNECTIONS,
            ER.LOCK_TABLE_FULL,
            ER.CANT_UPDATE_WITH_READLOCK,
            ER.USER_LIMIT_REACHED,
            ER.OPTION_PREVENTS_STATEMENT,  # read_only, super_read_only
            ER.QUERY_INTERRUPTED,
            ER.ERROR_ON_WRITE,
            1792,  # CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
            1836,  # READ_ONLY_MODE
            1874,  # INNODB_READ_ONLY
            1927,  # MariaDB CONNECTION_KILLED
            3032,  # SERVER_OFFLINE_MODE
            3100,  # RUN_HOOK_ERROR: group replication does not let the transaction through
            3169,  # SESSION_WAS_KILLED
            4031,  # CLIENT_INTERACTION_TIMEOUT
        ),
        Kind.UNAVAILABLE,
    ),
    **dict.fromkeys(
        (
            ER.CHECKREAD,  # MariaDB 11: innodb_snapshot_isolation
            ER.LOCK_WAIT_TIMEOUT,
            ER.LOCK_DEADLOCK,
            ER.XA_RBROLLBACK,
            ER.TABLE_DEF_CHANGED,
            1613,  # XA_RBTIMEOUT
            1614,  # XA_RBDEADLOCK
            1615,  # NEED_REPREPARE
            1637,  # TOO_MANY_CONCURRENT_TRXS
            1689,  # LOCK_ABORTED
            ER.STATEMENT_TIMEOUT,
            ER.QUERY_TIMEOUT,
            3058,  # USER_LOCK_DEADLOCK
            3101,  # TRANSACTION_ROLLBACK_DURING_COMMIT: group replication found a conflict
            3572,  # LOCK_NOWAIT
        ),
        Kind.BUSY,
    ),
    **dict.fromkeys(
        (
            ER.DUP_KEY,
            ER.BAD_NULL_ERROR,
            ER.DUP_ENTRY,
            ER.TOO_BIG_ROWSIZE,
            ER.INVALID_USE_OF_NULL,
            ER.NET_PACKET_TOO_LARGE,
            ER.TOO_LONG_STRING,
            ER.DUP_UNIQUE,
            ER.NO_REFERENCED_ROW,
            ER.ROW_IS_REFERENCED,
            ER.WARN_NULL_TO_NOTNULL,
            ER.WARN_DATA_OUT_OF_RANGE,
            ER.WARN_DATA_TRUNCATED,
            ER.TRUNCATED_WRONG_VALUE,
            ER.INVALID_CHARACTER_STRING,
            ER.NO_DEFAULT_FOR_FIELD,
            ER.DIVISION_BY_ZERO,
            ER.TRUNCATED_WRONG_VALUE_FOR_FIELD,
            ER.ILLEGAL_VALUE_FOR_TYPE,
            ER.VIEW_CHECK_FAILED,
            ER.DATA_TOO_LONG,
            ER.WRONG_VALUE_FOR_TYPE,
            ER.CANT_CREATE_GEOMETRY_OBJECT,
            ER.DATETIME_FUNCTION_OVERFLOW,
            ER.ROW_IS_REFERENCED_2,
            ER.NO_REFERENCED_ROW_2,
            ER.WRONG_STRING_LENGTH,
            1526,  # NO_PARTITION_FOR_GIVEN_VALUE
            1557,  # FOREIGN_DUPLICATE_KEY
            1586,  # DUP_ENTRY_WITH_KEY_NAME
            1591,  # NO_PARTITION_FOR_GIVEN_VALUE_SILENT
            1644,  # SIGNAL_EXCEPTION: a trigger of the target says no
            1690,  # DATA_OUT_OF_RANGE
            1748,  # ROW_DOES_NOT_MATCH_GIVEN_PARTITION_SET
            1761,  # FOREIGN_DUPLICATE_KEY_WITH_CHILD_INFO
            1762,  # FOREIGN_DUPLICATE_KEY_WITHOUT_CHILD_INFO
            3140,  # INVALID_JSON_TEXT
            3141,  # INVALID_JSON_TEXT_IN_PARAM
            3144,  # INVALID_JSON_CHARSET
            3157,  # JSON_DOCUMENT_TOO_DEEP
            3819,  # CHECK_CONSTRAINT_VIOLATED
            3854,  # CANNOT_CONVERT_STRING
            3988,  # IMPOSSIBLE_STRING_CONVERSION
            ER.CONSTRAINT_FAILED,  # MariaDB's CHECK
            CR.CR_NET_PACKET_TOO_LARGE,
        ),
        Kind.ROW,
    ),
    ER.MASTER_FATAL_ERROR_READING_BINLOG: Kind.BINLOG,
    # The client's own errors are broken connections, but for these.
    **dict.fromkeys(
        (
            CR.CR_VERSION_ERROR,
            CR.CR_CANT_READ_CHARSET,
            CR.CR_SSL_CONNECTION_ERROR,
            CR.CR_SECURE_AUTH,
            CR.CR_AUTH_PLUGIN_CANNOT_LOAD,
            CR.CR_AUTH_PLUGIN_ERR,
        ),
        Kind.REFUSED,
    ),
}


def error_code(error: BaseException) -> int:
    """The server's or the client library's error number; 0 where the error has none."""
    code: Any = error.args[0] if isinstance(error, pymysql.err.MySQLError) and error.args else 0
    return code if isinstance(code, int) else 0


def classify(error: BaseException) -> Kind:
    """What an error raised by PyMySQL (or by the socket or the certificate files below it) means."""
    if isinstance(getattr(error, "original_exception", error), ssl.SSLCertVerificationError):
        return Kind.REFUSED
    if isinstance(error, pymysql.err.MySQLError):
        code = error_code(error)
        client_side = code == 0 or CR.CR_ERROR_FIRST <= code <= CR.CR_ERROR_LAST
        return _KINDS.get(code, Kind.UNAVAILABLE if client_side else Kind.REFUSED)
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | ssl.SSLError):
        return Kind.REFUSED
    return Kind.UNAVAILABLE if isinstance(error, OSError | EOFError) else Kind.REFUSED


def reason(error: BaseException) -> str:
    """The error in one line: the server's own words (of a ROW error they may hold values), and its number."""
    code = error_code(error)
    if isinstance(error, pymysql.err.InterfaceError) and not code:
        return "the connection is closed"
    words = " ".join(str(error.args[1] if code and len(error.args) > 1 else error).split())
    return f"{words} (error {code})" if code else words or type(error).__name__
