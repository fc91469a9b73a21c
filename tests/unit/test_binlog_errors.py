"""What the drivers' errors become; and what SHOW GRANTS says."""

import ssl

import pymysql
import pytest
from pymysql.constants import ER

from cdc.binlog.connection import source_error
from cdc.connect.grants import parse_grants
from cdc.connect.mysql import Kind, classify, reason
from cdc.model.config import Url
from cdc.model.errors import CdcError, PositionError, SourceRefused, SourceUnavailable

URL = Url("mysql://cdc:canary-secret@db:3307")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (pymysql.err.OperationalError(1045, "Access denied for user 'cdc'@'h' (using password: YES)"), Kind.REFUSED),
        (pymysql.err.OperationalError(2003, "Can't connect"), Kind.UNAVAILABLE),
        (pymysql.err.OperationalError(2013, "Lost connection"), Kind.UNAVAILABLE),
        (pymysql.err.OperationalError(2026, "SSL is required but the server doesn't support it"), Kind.REFUSED),
        (pymysql.err.InterfaceError(0, ""), Kind.UNAVAILABLE),
        (pymysql.err.InternalError("Packet sequence number wrong"), Kind.UNAVAILABLE),
        (pymysql.err.OperationalError(1213, "Deadlock found"), Kind.BUSY),
        (pymysql.err.OperationalError(1205, "Lock wait timeout exceeded"), Kind.BUSY),
        (pymysql.err.IntegrityError(1062, "Duplicate entry"), Kind.ROW),
        (pymysql.err.DataError(1406, "Data too long"), Kind.ROW),
        (pymysql.err.OperationalError(1290, "--read-only option"), Kind.UNAVAILABLE),
        (pymysql.err.OperationalError(1114, "The table is full"), Kind.UNAVAILABLE),
        (pymysql.err.ProgrammingError(1146, "Table doesn't exist"), Kind.REFUSED),
        (pymysql.err.OperationalError(1236, "whatever"), Kind.BINLOG),
        (pymysql.err.OperationalError(9999, "a code of tomorrow"), Kind.REFUSED),
        (ConnectionResetError(104, "reset"), Kind.UNAVAILABLE),
        (FileNotFoundError(2, "ca.pem"), Kind.REFUSED),
        (ValueError("never"), Kind.REFUSED),
    ],
)
def test_errors_are_classified_by_code(error: Exception, kind: Kind) -> None:
    assert classify(error) is kind


def test_every_named_code_has_one_kind_and_every_error_of_the_driver_is_known() -> None:
    """A new class of errors in PyMySQL shows here."""
    classes = {name for name in vars(pymysql.err) if isinstance(getattr(pymysql.err, name), type)}
    assert {name for name in classes if issubclass(getattr(pymysql.err, name), pymysql.err.MySQLError)} == {
        "MySQLError",
        "Warning",
        "Error",
        "InterfaceError",
        "DatabaseError",
        "DataError",
        "OperationalError",
        "IntegrityError",
        "InternalError",
        "ProgrammingError",
        "NotSupportedError",
    }
    codes = [value for name, value in vars(ER).items() if name.isupper() and isinstance(value, int)]
    assert all(isinstance(classify(pymysql.err.OperationalError(code, "x")), Kind) for code in codes)


def test_an_untrusted_certificate_is_refused_not_retried() -> None:
    error = pymysql.err.OperationalError(2003, "Can't connect")
    error.original_exception = ssl.SSLCertVerificationError(1, "self-signed certificate")  # type: ignore[attr-defined]
    assert classify(error) is Kind.REFUSED
    assert "source.tls" in source_error(error, URL).hint


def test_reasons_are_one_line() -> None:
    assert reason(pymysql.err.OperationalError(1045, "Access\n denied")) == "Access denied (error 1045)"
    assert reason(pymysql.err.InterfaceError(0, "")) == "the connection is closed"


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("Could not find first log file name in binary log index file", PositionError, "no binlog for this position"),
        (
            "Cannot replicate because the source purged required binary logs. has purged required binary logs",
            PositionError,
            "no binlog for this position",
        ),
        (
            "A replica with the same server_uuid/server_id as this replica has connected to the source",
            SourceUnavailable,
            "another client with our server_id",
        ),
        (
            "log event entry exceeded max_allowed_packet; Increase max_allowed_packet on source",
            SourceRefused,
            "cannot send",
        ),
        ("binlog truncated in the middle of event", PositionError, "cannot read its binlog here"),
    ],
)
def test_error_1236_is_told_apart_by_its_text(text: str, error: type[CdcError], said: str) -> None:
    raised = source_error(pymysql.err.OperationalError(1236, text), URL)
    assert type(raised) is error
    assert said in raised.message
    assert "canary" not in str(raised)
    assert "db:3307" in raised.message


def test_grants_on_everything_on_a_database_and_on_one_table() -> None:
    grants = parse_grants(
        [
            "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `u`@`%`",
            "GRANT SELECT ON `shop`.* TO `u`@`%`",
            "GRANT SELECT (`a`, `b`), INSERT ON `crm`.`people` TO `u`@`%`",
            "GRANT SELECT ON `my\\_app`.`t``1` TO `u`@`%`",
            "GRANT ALL PRIVILEGES ON `t%`.* TO `u`@`%`",
            "GRANT `role`@`%` TO `u`@`%`",
        ]
    )
    assert grants.everywhere("REPLICATION SLAVE")
    assert not grants.everywhere("SELECT")
    assert grants.on_table("SELECT", "shop", "*")
    assert grants.on_table("SELECT", "shop", "orders")
    assert not grants.on_table("SELECT", "crm", "people")
    assert grants.on_table("INSERT", "crm", "people")
    assert grants.on_table("SELECT", "my_app", "t`1")
    assert not grants.on_table("SELECT", "myxapp", "t`1")
    assert grants.on_table("SELECT", "tenant1", "*")
    assert not grants.on_table("SELECT", "*", "*")
