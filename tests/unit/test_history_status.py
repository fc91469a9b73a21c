"""Status variables of query events, as MySQL 9.7 and MariaDB 10.11 wrote them."""

import pytest

from cdc.binlog.history import Session
from cdc.binlog.history.status import read

HEAD = "00 00 00 00 00 01 20 00 a0 45 00 00 00 00 06 03 73 74 64"
MYSQL_MODE = 0x45A00020


@pytest.mark.parametrize(
    ("status", "session"),
    [
        (
            f"{HEAD} 04 ff 00 ff 00 ff 00 0c 01 7a 7a 00 11 12 00 00 00 00 00 00 00 12 ff 00 13 00",
            Session(255, MYSQL_MODE, 255, 255),
        ),
        (
            f"{HEAD} 04 ff 00 ff 00 ff 00 0c 01 7a 7a 00 10 00 11 14 00 00 00 00 00 00 00 12 2d 00 13 00",
            Session(255, MYSQL_MODE, 45, 255, explicit_timestamps=False),
        ),
        (
            f"{HEAD} 04 ff 00 ff 00 08 00 05 06 2b 30 32 3a 30 30 08 08 00 0c 01 7a 7a 00 0d 56 85 04 10 01 12 ff 00 13 00",
            Session(255, MYSQL_MODE, 255, 8, "+02:00", 296278, True),
        ),
        (f"{HEAD} 0b 02 61 62 01 63 0c fe 0d 01 00 00", Session(None, MYSQL_MODE, microseconds=1)),
        (f"{HEAD} fb 01 02 0d 01 00 00", Session(None, MYSQL_MODE)),
        ("", Session()),
    ],
)
def test_mysql(status: str, session: Session) -> None:
    assert read(bytes.fromhex(status), "mysql") == session


@pytest.mark.parametrize(
    ("status", "session"),
    [
        (
            "00 00 00 00 01 01 00 00 20 54 00 00 00 00 06 03 73 74 64 04 2d 00 2d 00 08 00 05 06 2b 30 32 3a 30 30 80 17 f0 0d "
            "81 17 00 00 00 00 00 00 00",
            Session(45, 0x54200000, None, 8, "+02:00", 913431, True),
        ),
        ("00 00 00 00 00 04 2d 00 2d 00 08 00", Session(45, None, None, 8, explicit_timestamps=False)),
        (
            "00 00 00 00 01 83 02 21 00 00 08 2d 00 20 08 04 2d 00 2d 00 08 00",
            Session(45, None, 2080, 8, None, None, True),
        ),
    ],
)
def test_mariadb(status: str, session: Session) -> None:
    assert read(bytes.fromhex(status), "mariadb") == session


@pytest.mark.parametrize(
    ("phase", "unfinished"),
    [
        ("82 02", True),
        ("82 04 0c 00 00 00 00 00 00 00", False),
        ("82 08 0c 00 00 00 00 00 00 00", True),
        ("82 00", False),
    ],
)
def test_an_alter_in_two_phases_has_done_nothing_until_it_is_committed(phase: str, unfinished: bool) -> None:
    assert read(bytes.fromhex(phase), "mariadb").unfinished is unfinished


@pytest.mark.parametrize("status", ["00 01", "01 00", "05", "05 06 2b", "0c 01 7a", "0b 02 61", "82 04 01", "83 02 01"])
def test_what_is_cut_short_is_refused(status: str) -> None:
    with pytest.raises((IndexError, ValueError)):
        read(bytes.fromhex(status), "mariadb")
