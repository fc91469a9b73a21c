"""The one socket to the source that dumps its binlog: session settings, registration, the dump command, raw events.

Packets are ours, not python-mysql-replication's (see docs/decisions/0003-binlog-connection.md). Formats: COM_BINLOG_DUMP,
COM_BINLOG_DUMP_GTID, COM_REGISTER_SLAVE at https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication.html;
MariaDB: https://mariadb.com/kb/en/replication-protocol/.
"""

import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pymysql
from pymysql.connections import Connection
from pymysql.constants import COMMAND
from pymysql.cursors import Cursor

from cdc.binlog.packets import PacketReader
from cdc.connect.mysql import DEFAULT_PORT, Kind, classify, error_code, open_mysql, reason
from cdc.model.config import SourceConfig, Tls, Url
from cdc.model.errors import CdcError, PositionError, SourceRefused, SourceUnavailable
from cdc.model.position import FilePosition

_NON_BLOCK = 0x01  # BINLOG_DUMP_NON_BLOCK: end at the end, do not wait for more
# BINLOG_SEND_ANNOTATE_ROWS_EVENT (MariaDB): the statements' texts too. Always: what is left out would be missing in the
# offsets of events behind it that do not say where they end (see cdc.binlog.groups), and so in the sequences of rows.
_ANNOTATE = 0x02
_THROUGH_GTID = 0x04  # BINLOG_THROUGH_GTID
_NAMESPACE = uuid.UUID("7c0d3c59-6f0e-5b60-9d0a-3a4f1f1c5b1e")
MOST_OFFSET = 0xFFFFFFFF  # COM_BINLOG_DUMP has 4 bytes for the offset


@dataclass(frozen=True, slots=True)
class DumpRequest:
    """What to dump, and as whom.

    `gtid_set` (encoded, MySQL): dump what is not in it; `position` does not count then. `follow`: wait for more at the
    end; else the stream ends there. A scan has no `server_id`: the server ends nobody's dump for its sake, and no
    other replica's for having the same one.
    """

    position: FilePosition
    flavor: str
    server_id: int = 0
    gtid_set: bytes | None = None
    follow: bool = False


def where(url: Url) -> str:
    return f"{url.host}:{url.port or DEFAULT_PORT}"


def source_error(error: Exception, url: Url) -> CdcError:
    """A driver's error as one of ours: by its kind, and the texts of error 1236 by what they mean."""
    place = where(url)
    kind = classify(error)
    if kind is Kind.BINLOG or error_code(error) == _SLAVE_SAME_ID:
        return _binlog_error(reason(error), place)
    if kind in (Kind.UNAVAILABLE, Kind.BUSY):
        return SourceUnavailable(f"the source {place} does not answer: {reason(error)}", hint=_HINTS_UNAVAILABLE)
    return SourceRefused(
        f"the source {place} refuses us: {reason(error)}", hint=_HINTS_REFUSED.get(error_code(error), _HINT_REFUSED)
    )


_HINTS_UNAVAILABLE = "see that the server runs and that source.url names its host and port"
_HINT_REFUSED = "`cdc check` says what the source needs"
_HINTS_REFUSED = {
    1045: "check user and password in source.url",
    1044: "check user and password in source.url",
    1130: "create the user for the host that we come from",
    1129: "the server has blocked this host for failed connections: FLUSH HOSTS there",
    1142: "GRANT SELECT on the captured tables to the user",
    1227: "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* to the user",
    1381: "switch log_bin on",
    2003: "check source.tls: the server's certificate is not one that we trust (tls.ca names another CA)",
    2026: "the server has no TLS: switch it on there, or set source.tls.mode to disabled",
    2059: "create the user with caching_sha2_password or mysql_native_password",
}

# Texts of ER_MASTER_FATAL_ERROR_READING_BINLOG (1236): the code is one for all. Binlog_sender in MySQL's rpl_binlog_sender.cc,
# mysql_binlog_send in MariaDB's sql_repl.cc.
_PURGED = (
    "could not find first log file name",
    "has purged required binary logs",
    "purged binary logs containing gtids",
    "is not in the master's binlog",
    "could not find gtid state requested",
)
_SLAVE_SAME_ID = 4052  # MariaDB's code for what MySQL says with 1236
_OTHER_READER = ("same server_uuid/server_id",)
_TRANSIENT = ("log event entry exceeded max_allowed_packet", "net_read", "memory allocation failed")


def _binlog_error(text: str, place: str) -> CdcError:
    folded = text.lower()
    if any(part in folded for part in _OTHER_READER):
        return SourceUnavailable(
            f"another client with our server_id began to read from {place}, and the server ended our stream",
            hint="give every connector and every replica a server_id of its own (source.server_id)",
        )
    if any(part in folded for part in _PURGED):
        return PositionError(
            f"the source {place} has no binlog for this position any more: {text}",
            hint="copy the tables anew, or bring archived binlogs back; then `cdc replay --from` a position it has",
        )
    if any(part in folded for part in _TRANSIENT):
        return SourceRefused(
            f"the source {place} cannot send its binlog: {text}", hint="raise max_allowed_packet at the source"
        )
    return PositionError(
        f"the source {place} cannot read its binlog here: {text}",
        hint="begin at a transaction's boundary that the server has: `cdc check` names its files",
    )


class BinlogConnection:
    """One dump. `event` gives raw events; `close` may be called from another thread."""

    def __init__(self, config: SourceConfig, request: DumpRequest) -> None:
        self._url = config.url
        self._ended = False
        silence = config.read_timeout_seconds or max(10.0, 3 * config.heartbeat_seconds)
        self._connection = connect(config.url, config.tls, silence)
        try:
            self._prepare(config.heartbeat_seconds, request)
            self._send_dump(request)
        except (pymysql.err.MySQLError, OSError) as error:
            self._connection.close()
            raise source_error(error, self._url) from error
        # PyMySQL is done with the socket: its own buffered file has nothing left, since the server speaks when spoken to.
        self._packets = PacketReader(self._connection._sock, where(config.url), silence)  # type: ignore[attr-defined]

    def _prepare(self, heartbeat_seconds: float, request: DumpRequest) -> None:
        """The session variables that a replica sets; old and new names, since 8.4 renamed them and MariaDB did not."""
        settings = [
            ("master_binlog_checksum", "@@global.binlog_checksum"),
            ("source_binlog_checksum", "@@global.binlog_checksum"),
            ("master_heartbeat_period", str(int(heartbeat_seconds * 1e9))),
            ("source_heartbeat_period", str(int(heartbeat_seconds * 1e9))),
        ]
        if request.flavor == "mariadb":
            # 4: MARIA_SLAVE_CAPABILITY_GTID; less, and the server hides its GTID events.
            settings.append(("mariadb_slave_capability", "4"))
        elif request.server_id:
            # The same for one server_id, so that the server ends what an earlier run of ours left half open.
            identity = uuid.uuid5(_NAMESPACE, str(request.server_id))
            settings += [("slave_uuid", f"'{identity}'"), ("replica_uuid", f"'{identity}'")]
        with self._connection.cursor() as cursor:
            cursor.execute("SET " + ", ".join(f"@{name} = {value}" for name, value in settings))
        if request.server_id:
            self._register(request.server_id)

    def _register(self, server_id: int) -> None:
        """COM_REGISTER_SLAVE: our line in SHOW REPLICAS. Host name, user and password stay empty."""
        self._command(COMMAND.COM_REGISTER_SLAVE, struct.pack("<I3xHII", server_id, 0, 0, 0))
        self._connection._read_ok_packet()  # type: ignore[attr-defined]

    def _send_dump(self, request: DumpRequest) -> None:
        flags = (0 if request.follow else _NON_BLOCK) | (_ANNOTATE if request.flavor == "mariadb" else 0)
        file = request.position.file.encode()
        if request.gtid_set is None:
            assert request.position.offset <= MOST_OFFSET  # noqa: S101 — the stream asks for 4 and passes over what it has
            head = struct.pack("<IHI", request.position.offset, flags, request.server_id)
            self._command(COMMAND.COM_BINLOG_DUMP, head + file)
            return
        head = struct.pack("<HII", flags | _THROUGH_GTID, request.server_id, 0)
        tail = struct.pack("<QI", 4, len(request.gtid_set))
        self._command(COMMAND.COM_BINLOG_DUMP_GTID, head + tail + request.gtid_set)

    def _command(self, command: int, arguments: bytes) -> None:
        self._connection._execute_command(command, arguments)  # type: ignore[attr-defined]

    @property
    def packets(self) -> PacketReader:
        """What `event` reads from; a packet is a byte of 0 and an event."""
        return self._packets

    @property
    def closed(self) -> bool:
        return self._packets.closed

    def event(self, wait_seconds: Callable[[], float]) -> memoryview | None:
        """The next event with header and checksum, valid until the next call; None when nothing came for `wait_seconds()`.

        Raises EOFError at the end of a dump that does not follow; SourceUnavailable; PositionError (error 1236); SourceRefused.
        """
        packet = self._packets.packet(wait_seconds)
        if packet is None:
            return None
        if not packet:
            raise SourceUnavailable(f"the source {where(self._url)} sent an empty packet", hint=_HINTS_UNAVAILABLE)
        if packet[0] == 0:
            return packet[1:]
        if packet[0] == 0xFF:
            try:
                pymysql.err.raise_mysql_exception(bytes(packet))
            except pymysql.err.MySQLError as error:
                raise source_error(error, self._url) from error
        raise EOFError

    def close(self) -> None:
        self._packets.close()
        # PyMySQL's buffered file holds on to the socket as well. No COM_QUIT: the server does not listen while it dumps.
        self._connection._force_close()  # type: ignore[attr-defined]


def connect(url: Url, tls: Tls | None, read_timeout_seconds: float) -> "Connection[Cursor]":
    """A connection to the source; raises SourceUnavailable or SourceRefused, in one line, without the password."""
    try:
        return open_mysql(url, tls, read_timeout_seconds=read_timeout_seconds)
    except (pymysql.err.MySQLError, OSError) as error:
        raise source_error(error, url) from error
