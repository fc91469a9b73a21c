"""Bytes of binlog between two places."""

import pytest

from cdc.binlog.files_between import bytes_between
from cdc.binlog.port import BinlogFile
from cdc.model.position import FilePosition

FILES = [
    BinlogFile("b.999998", 500),
    BinlogFile("b.999999", 1000),
    BinlogFile("b.1000000", 2000),
    BinlogFile("b.1000001", 9),
]


@pytest.mark.parametrize(
    ("begin", "end", "size"),
    [
        ("b.999999:100", "b.999999:400", 300),
        ("b.999999:100", "b.1000000:4", 904),
        ("b.999998:4", "b.1000001:9", 3505),
        ("b.1000000:4", "b.999999:400", 0),
        ("b.999999:400", "b.999999:100", 0),
    ],
)
def test_whole_files_between_count_and_parts_of_the_first_and_the_last(begin: str, end: str, size: int) -> None:
    assert bytes_between(FILES, FilePosition.parse(begin), FilePosition.parse(end)) == size
