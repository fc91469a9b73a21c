"""Every error that psycopg can raise has a place in the one table."""

import psycopg
import pytest
from psycopg import errors

from cdc.model.config import SinkConfig
from cdc.model.errors import CdcError, RowRefused, TargetBusy, TargetRefused, TargetUnavailable
from cdc.target.postgresql_connection import connect_arguments
from cdc.target.postgresql_errors import BY_CLASS, BY_STATE, connect_error, kind_of, mapped, mapping

KNOWN = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, psycopg.Error) and getattr(error, "sqlstate", None)
]


def test_every_condition_that_psycopg_knows_is_mapped_by_its_class() -> None:
    assert len(KNOWN) > 200
    assert {error.sqlstate for error in KNOWN if str(error.sqlstate)[:2] not in BY_STATE} == set()


def test_every_error_class_of_psycopg_without_a_state_is_mapped() -> None:
    plain = [
        error
        for error in vars(psycopg).values()
        if isinstance(error, type) and issubclass(error, psycopg.Error) and not getattr(error, "sqlstate", None)
    ]
    assert len(plain) >= 9
    assert [error for error in plain if error not in dict(BY_CLASS)] == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.DeadlockDetected, TargetBusy),
        (errors.SerializationFailure, TargetBusy),
        (errors.LockNotAvailable, TargetBusy),
        (errors.QueryCanceled, TargetBusy),
        (errors.DiskFull, TargetUnavailable),
        (errors.TooManyConnections, TargetUnavailable),
        (errors.AdminShutdown, TargetUnavailable),
        (errors.CannotConnectNow, TargetUnavailable),
        (errors.ReadOnlySqlTransaction, TargetUnavailable),
        (errors.IdleInTransactionSessionTimeout, TargetUnavailable),
        (errors.ConnectionFailure, TargetUnavailable),
        (errors.UniqueViolation, RowRefused),
        (errors.ForeignKeyViolation, RowRefused),
        (errors.NotNullViolation, RowRefused),
        (errors.CheckViolation, RowRefused),
        (errors.NumericValueOutOfRange, RowRefused),
        (errors.CharacterNotInRepertoire, RowRefused),
        (errors.ProgramLimitExceeded, RowRefused),
        (errors.RaiseException, RowRefused),
        (errors.InsufficientPrivilege, TargetRefused),
        (errors.InvalidPassword, TargetRefused),
        (errors.UndefinedTable, TargetRefused),
        (errors.UndefinedColumn, TargetRefused),
        (errors.SyntaxError, TargetRefused),
        (psycopg.OperationalError, TargetUnavailable),
        (psycopg.DataError, RowRefused),
        (psycopg.InterfaceError, TargetUnavailable),
    ],
)
def test_an_error_is_retried_or_stops_as_its_condition_says(
    error: type[psycopg.Error], expected: type[CdcError]
) -> None:
    assert kind_of(error()) is expected
    with pytest.raises(expected) as caught, mapping():
        raise error("x")
    assert type(caught.value) is expected


def test_a_refusal_of_values_quotes_none() -> None:
    error = mapped(errors.InvalidTextRepresentation('invalid input syntax for type integer: "SECRET"'), ", table t")
    assert "SECRET" not in str(error)
    assert "invalid text representation (22P02), table t" in str(error)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('FATAL:  password authentication failed for user "app"', TargetRefused),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", no encryption', TargetRefused),
        ('FATAL:  database "nothing" does not exist', TargetRefused),
        ("SSL error: certificate verify failed", TargetRefused),
        ("server does not support SSL, but SSL was required", TargetRefused),
        ("connection refused\nIs the server running?", TargetUnavailable),
        ("FATAL:  the database system is starting up", TargetUnavailable),
        ("FATAL:  sorry, too many clients already", TargetUnavailable),
        ("timeout expired", TargetUnavailable),
    ],
)
def test_a_connection_that_does_not_come_about_is_refused_or_tried_again(text: str, expected: type[CdcError]) -> None:
    error = connect_error(psycopg.OperationalError(f"{text} (hunter2)"), "db:5432", "hunter2")
    assert type(error) is expected
    assert "hunter2" not in str(error)
    assert "\n" not in str(error)


def test_tls_is_verify_full_off_loopback_and_off_on_it() -> None:
    far = SinkConfig(url="postgresql://u:p%40w@db.example.com:5433/shop")  # type: ignore[arg-type]
    arguments = connect_arguments(far, "cdc/" + "n" * 100, 10.0)
    assert (arguments["sslmode"], arguments["password"], arguments["port"]) == ("verify-full", "p@w", 5433)
    assert arguments["sslrootcert"]
    assert len(arguments["application_name"]) == 63
    near = SinkConfig(url="postgresql://u@127.0.0.1/shop")  # type: ignore[arg-type]
    assert connect_arguments(near, "x", 10.0)["sslmode"] == "disable"


def test_options_in_the_url_are_refused_rather_than_ignored() -> None:
    config = SinkConfig(url="postgresql://u@127.0.0.1/shop?sslmode=disable")  # type: ignore[arg-type]
    with pytest.raises(TargetRefused, match=r"sink\.url"):
        connect_arguments(config, "x", 10.0)
