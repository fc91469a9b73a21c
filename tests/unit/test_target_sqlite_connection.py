"""The SQLite target's URLs, and what it makes of SQLite's errors."""

import sqlite3
from pathlib import Path

import pytest

from cdc.model.config import SinkConfig
from cdc.model.errors import CdcError, RowRefused, TargetBusy, TargetRefused, TargetUnavailable
from cdc.target.sqlite_connection import ERRORS, mapped, mapping, path_of


def test_every_primary_result_code_has_a_class_of_ours() -> None:
    """https://www.sqlite.org/rescode.html: 1 to 26 are errors; 27 and 28 go to the log, 100 and 101 are states of a step."""
    assert set(ERRORS) == set(range(1, 27))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///shop.db", Path("shop.db")),
        ("sqlite:///data/shop%20a.db", Path("data/shop a.db")),
        ("sqlite:////var/lib/shop.db", Path("/var/lib/shop.db")),
    ],
)
def test_three_slashes_are_relative_and_four_absolute(url: str, path: Path) -> None:
    assert path_of(SinkConfig(url=url)) == path


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://host/x.db", "sqlite:///x?a=b"]
)
def test_a_url_that_is_no_file_is_refused(url: str) -> None:
    with pytest.raises(TargetRefused):
        path_of(SinkConfig(url=url))


def _caught(sql: str) -> CdcError:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n INT NOT NULL CHECK (n < 5))")
    connection.execute("INSERT INTO t VALUES (1, 'secret', 1)")
    try:
        with pytest.raises(CdcError) as caught, mapping("table t"):
            connection.execute(sql)
    finally:
        connection.close()
    return caught.value


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("INSERT INTO t VALUES (2, 'secret', 1)", RowRefused),
        ("INSERT INTO t VALUES (2, 'b', NULL)", RowRefused),
        ("INSERT INTO t VALUES (2, 'b', 7)", RowRefused),
        ("INSERT INTO t VALUES ('x', 'b', 1)", RowRefused),
        ("INSERT INTO nothing VALUES (1)", TargetRefused),
    ],
)
def test_sqlites_own_errors_become_ours_and_name_no_value(sql: str, expected: type[CdcError]) -> None:
    error = _caught(sql)
    assert type(error) is expected
    assert "secret" not in str(error)


def test_a_value_that_sqlite_cannot_hold_is_the_rows_fault() -> None:
    connection = sqlite3.connect(":memory:")
    for value in (2**64, "\ud800"):
        with pytest.raises(RowRefused), mapping():
            connection.execute("SELECT ?", (value,))
    connection.close()


def test_an_extended_code_counts_as_its_primary_one() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR | 3 << 8
    assert isinstance(mapped(error), TargetUnavailable)
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY | 1 << 8
    assert isinstance(mapped(error), TargetBusy)
