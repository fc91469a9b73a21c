"""What the MySQL target says of the server's errors, and which collations it takes as keys."""

import pymysql
import pytest

from cdc.connect.mysql import Kind
from cdc.model.errors import CdcError, RowRefused, TargetBusy, TargetRefused, TargetUnavailable
from cdc.target.mysql_errors import ERRORS, is_duplicate, mapped, mapping, without_values
from cdc.target.mysql_tables import keeps_apart, pads


def test_every_kind_of_error_has_a_class_of_ours() -> None:
    assert set(ERRORS) == set(Kind)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1205, TargetBusy),
        (1213, TargetBusy),
        (1021, TargetUnavailable),
        (1040, TargetUnavailable),
        (1053, TargetUnavailable),
        (1114, TargetUnavailable),
        (1290, TargetUnavailable),
        (1792, TargetUnavailable),
        (1836, TargetUnavailable),
        (2002, TargetUnavailable),
        (2003, TargetUnavailable),
        (2006, TargetUnavailable),
        (2013, TargetUnavailable),
        (1044, TargetRefused),
        (1045, TargetRefused),
        (1049, TargetRefused),
        (1142, TargetRefused),
        (1146, TargetRefused),
        (1048, RowRefused),
        (1062, RowRefused),
        (1264, RowRefused),
        (1265, RowRefused),
        (1292, RowRefused),
        (1366, RowRefused),
        (1406, RowRefused),
        (1451, RowRefused),
        (1452, RowRefused),
        (3819, RowRefused),
        (4025, RowRefused),
    ],
)
def test_an_error_number_decides_what_is_done_next(number: int, expected: type[CdcError]) -> None:
    error = mapped(pymysql.err.OperationalError(number, "words"))
    assert type(error) is expected
    assert error.hint


def test_a_socket_that_breaks_is_an_outage() -> None:
    with pytest.raises(TargetUnavailable), mapping():
        raise ConnectionResetError


def test_text_that_is_not_unicode_is_the_rows_fault() -> None:
    with pytest.raises(RowRefused, match="Unicode"), mapping("table t"):
        "\ud800".encode()


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Duplicate entry 'bob@x.org' for key 't.u'", "Duplicate entry for key 't.u'"),
        ("Duplicate entry 'it's' for 'x' for key 't.u'", "Duplicate entry for key 't.u'"),
        (
            "Incorrect integer value: 'secret' for column `d`.`t`.`c` at row 1",
            "Incorrect integer value: for column `d`.`t`.`c` at row 1",
        ),
        ("Data too long for column 'c' at row 1", "Data too long for column 'c' at row 1"),
        ("Truncated incorrect DOUBLE value: 'secret'", "Truncated incorrect DOUBLE value:"),
    ],
)
def test_a_rows_values_are_not_repeated(said: str, kept: str) -> None:
    assert without_values(said) == kept


def test_an_error_stays_on_one_line() -> None:
    assert "\n" not in str(mapped(pymysql.err.DataError(1406, "Data too long\nfor column 'a\nb'"), "table x\ny"))


def test_a_unique_index_is_told_by_its_number() -> None:
    assert is_duplicate(pymysql.err.IntegrityError(1062, "Duplicate entry"))
    assert not is_duplicate(pymysql.err.IntegrityError(1452, "a foreign key"))


@pytest.mark.parametrize(
    ("source", "target", "apart"),
    [
        ("utf8mb4_0900_ai_ci", "utf8mb4_0900_ai_ci", True),
        ("utf8mb3_general_ci", "utf8mb4_general_ci", True),
        ("utf8mb4_bin", "utf8mb4_general_ci", False),
        ("latin1_swedish_ci", "utf8mb4_general_ci", False),
        ("latin1_swedish_ci", "utf8mb4_bin", True),
        ("utf8mb4_0900_ai_ci", "utf8mb4_bin", False),  # 'a' and 'a ' are two at the source
        ("utf8mb4_0900_ai_ci", "utf8mb4_0900_bin", True),
        ("utf8mb4_0900_ai_ci", "utf8mb4_nopad_bin", True),
    ],
)
def test_a_key_needs_a_collation_that_keeps_apart_what_the_source_does(source: str, target: str, apart: bool) -> None:
    assert keeps_apart(source, target) is apart


def test_padding_is_told_by_the_collations_name() -> None:
    assert pads("utf8mb4_general_ci")
    assert not pads("utf8mb4_0900_bin")
    assert not pads("utf8mb4_nopad_bin")
    assert not pads("binary")
