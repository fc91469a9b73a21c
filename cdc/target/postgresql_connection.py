"""One connection to PostgreSQL: TLS, time limits taken from the lease, session settings, and who we are to others."""

import logging
import math
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import TupleRow

from cdc.model.config import SinkConfig, effective_tls
from cdc.model.errors import TargetRefused
from cdc.target.postgresql_errors import connect_error

Connection = psycopg.Connection[TupleRow]

# Looking at a table for the first time, or making it, happens beside an open transaction that idles meanwhile.
_LEAST_IDLE_SECONDS = 2.0
_SSL_MODES = {"disabled": "disable", "required": "require", "verify-ca": "verify-ca", "verify-full": "verify-full"}
_SETTINGS = """
SELECT set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO, YMD', false),
       set_config('IntervalStyle', 'postgres', false), set_config('standard_conforming_strings', 'on', false),
       set_config('idle_in_transaction_session_timeout', %(idle)s, false), set_config('lock_timeout', %(lock)s, false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('default_transaction_read_only', 'off', false)
"""
_SESSION = """
SELECT pid || '/' || extract(epoch FROM backend_start)::text FROM pg_stat_activity WHERE pid = pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Session:
    """`id` is `pid/start`: with the start of the backend it is never that of another, later session."""

    connection: Connection
    id: str


def server_of(config: SinkConfig) -> str:
    """host:port, for messages."""
    return f"{config.url.host or 'the local socket'}:{config.url.port or 5432}"


def connect_arguments(config: SinkConfig, application_name: str, lease_seconds: float) -> dict[str, Any]:
    """libpq's parameters (manual, 34.1.2). A peer that is gone without a word is noticed within two leases."""
    url = config.url
    if urlsplit(url.get_secret_value()).query:
        raise TargetRefused(
            "sink.url has options after '?', which are not read", hint="leave them out; TLS is set by sink.tls"
        )
    tls = effective_tls(url, config.tls)
    whole = max(1, math.ceil(lease_seconds))
    arguments: dict[str, Any] = {
        "host": url.host or None,
        "port": url.port or 5432,
        "user": url.user or None,
        "password": url.password or None,
        "dbname": url.path.lstrip("/") or None,
        "application_name": application_name.encode()[:63].decode(errors="ignore"),
        "client_encoding": "utf8",
        "connect_timeout": max(2, whole),
        "keepalives_idle": max(1, whole // 2),
        "keepalives_interval": max(1, whole // 2),
        "keepalives_count": 2,
        "tcp_user_timeout": whole * 2000,
        "gssencmode": "disable",
        "sslmode": _SSL_MODES[tls.mode],
        "sslcert": tls.cert,
        "sslkey": tls.key,
    }
    if tls.mode.startswith("verify"):
        arguments["sslrootcert"] = tls.ca or _system_ca()
    return {name: value for name, value in arguments.items() if value is not None}


def _system_ca() -> str:
    """The system's CA file: a wheel's own libpq may look for it in another place than this machine has it."""
    file = ssl.get_default_verify_paths().cafile
    return file if file and Path(file).exists() else "system"


def connect(config: SinkConfig, application_name: str, lease_seconds: float) -> Session:
    """A session with autocommit on: transactions are begun and ended by statements, so that they can be pipelined, or are one
    statement (cdc.target.postgresql_at_once), for which the session's default isolation is set.

    The server ends it when it idles in a transaction for a lease (two seconds at least); it waits for locks half a lease.
    There is no statement_timeout: a long merge is no fault, and a new holder of the lane ends it by itself.
    Raises TargetUnavailable or TargetRefused.
    """
    # What psycopg warns of on a lost connection, it raises as well; the second telling would be noise.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    arguments = connect_arguments(config, application_name, lease_seconds)
    try:
        connection = psycopg.connect(autocommit=True, **arguments)
    except psycopg.Error as error:
        raise connect_error(error, server_of(config), config.url.password) from None
    try:
        idle = f"{max(lease_seconds, _LEAST_IDLE_SECONDS) * 1000:.0f}"
        lock = f"{max(1.0, lease_seconds * 500):.0f}"
        with connection.pipeline():
            connection.execute(_SETTINGS, {"idle": idle, "lock": lock})
            row = connection.execute(_SESSION).fetchone()
    except psycopg.Error as error:
        connection.close()
        raise connect_error(error, server_of(config), config.url.password) from None
    return Session(connection, row[0] if row else "")
