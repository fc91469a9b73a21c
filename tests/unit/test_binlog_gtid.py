"""Sets of GTIDs: text, growth, containment, encoding."""

import random

import pytest
from pymysqlreplication.gtid import GtidSet

from cdc.binlog.events import previous_gtids
from cdc.binlog.gtid import MariadbGtids, MysqlGtids, gtids, looks_like_gtids
from cdc.model.errors import PositionError

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
B = "4e11fa47-71ca-11e1-9e33-c80aa9429562"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        (f"{A}:1", f"{A}:1"),
        (f"{A.upper()}:1-5", f"{A}:1-5"),
        (f"{A}:1-5:7", f"{A}:1-5:7"),
        (f"{A}:7:1-5:6", f"{A}:1-7"),
        (f"{B}:1-2,\n{A}:3-4", f"{A}:3-4,{B}:1-2"),
        (f"{A}:1-3:billing:1-2:9", f"{A}:1-3:billing:1-2:9"),
        (f"{A}:billing:4", f"{A}:billing:4"),
    ],
)
def test_text_is_canonical(text: str, canonical: str) -> None:
    assert MysqlGtids(text).text() == canonical


@pytest.mark.parametrize("text", [A, f"{A}:", f"{A}:0-4", f"{A}:5-1", f"{A}:x-y", "1-2", f"{A}:1;{B}:1", f"{A[:-1]}:1"])
def test_malformed_sets_are_refused(text: str) -> None:
    with pytest.raises(PositionError, match="is not a GTID set"):
        MysqlGtids(text)


def test_growing_one_by_one_equals_parsing_the_whole() -> None:
    grown = MysqlGtids(f"{A}:1-3,{B}:5")
    for number in range(4, 30):
        grown.add(f"{A}:{number}")
        assert grown.text() == f"{A}:1-{number},{B}:5"
    grown.add(f"{B}:6")
    grown.add(f"{B}:8")
    assert grown.text() == f"{A}:1-29,{B}:5-6:8"
    grown.add(f"{B}:7")
    assert grown.text() == f"{A}:1-29,{B}:5-8"
    grown.add("")
    assert grown.text() == f"{A}:1-29,{B}:5-8"


def test_growth_joins_the_interval_that_follows() -> None:
    grown = MysqlGtids(f"{A}:1-3:6-9")
    for number in (4, 5):
        grown.add(f"{A}:{number}")
    assert grown.text() == f"{A}:1-9"
    grown.add(f"{A}:10")
    assert grown.text() == f"{A}:1-10"


def test_random_additions_equal_a_set_of_numbers() -> None:
    numbers = list(range(1, 200))
    random.Random(7).shuffle(numbers)
    grown = MysqlGtids()
    seen: set[int] = set()
    for number in numbers:
        grown.add(f"{A}:{number}")
        seen.add(number)
        starts = [n for n in sorted(seen) if n - 1 not in seen]
        ends = [n for n in sorted(seen) if n + 1 not in seen]
        intervals = [str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]
        assert grown.text() == f"{A}:" + ":".join(intervals)


def test_containment_and_difference() -> None:
    whole = MysqlGtids(f"{A}:1-10,{B}:1-3")
    assert whole.contains(MysqlGtids(f"{A}:2-10"))
    assert whole.contains(MysqlGtids(""))
    assert not whole.contains(MysqlGtids(f"{A}:10-11"))
    assert not whole.contains(MysqlGtids(f"{A}:1:t:1"))
    assert whole.minus(MysqlGtids(f"{A}:3-4:9,{B}:1-3")).text() == f"{A}:1-2:5-8:10"
    assert whole.minus(whole).text() == ""


def test_the_encoding_is_the_one_of_the_library_that_servers_accept() -> None:
    text = f"{A}:1-5:7-8,{B}:42"
    assert MysqlGtids(text).encode() == GtidSet(text).encoded()


def test_the_encoding_of_tags_is_the_servers_own() -> None:
    """The body of MySQL 9.7's PREVIOUS_GTIDS event, where that set was all that there was."""
    text = "58c915fc-e713-11f1-be7e-02fc00000001:1-2:my_tag:1-4,\naaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:other:70000"
    body = bytes.fromhex(
        "010300000000000158c915fce71311f1be7e02fc000000010001000000000000000100000000000000030000000000000058c915fce71311f1"
        "be7e02fc000000010c6d795f746167010000000000000001000000000000000500000000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0a6f"
        "74686572010000000000000070110100000000007111010000000000"
    )
    assert MysqlGtids(text).encode() == body
    assert MysqlGtids(previous_gtids(memoryview(body))).text() == MysqlGtids(text).text()


def test_mariadb_keeps_the_last_of_each_domain() -> None:
    position = MariadbGtids("1-5-9,0-1-100")
    assert position.text() == "0-1-100,1-5-9"
    position.add("0-2-101")
    assert position.text() == "0-2-101,1-5-9"
    assert position.contains(MariadbGtids("0-1-100"))
    assert not position.contains(MariadbGtids("0-1-102"))
    assert not position.contains(MariadbGtids("2-1-1"))
    with pytest.raises(PositionError):
        gtids("mariadb", f"{A}:1-5")


@pytest.mark.parametrize(
    ("text", "is_set"),
    [
        (f"{A}:1-5", True),
        ("0-1-100", True),
        (" 0-1-100, 1-1-5", True),
        ("mysql-bin.000003:4", False),
        ("latest", False),
    ],
)
def test_a_start_text_is_recognised(text: str, is_set: bool) -> None:
    assert looks_like_gtids(text) is is_set
