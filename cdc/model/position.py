"""Places in a binlog, and the total order of a connector's change events."""

import re
from functools import lru_cache
from typing import NamedTuple

from cdc.model.errors import PositionError

_FILE = re.compile(r"^(?P<base>.+)\.(?P<number>\d{6,})$")


class FilePosition(NamedTuple):
    """A place in the binlog by file name and byte offset; written `mysql-bin.000003:4`."""

    file: str
    offset: int

    def __str__(self) -> str:
        return f"{self.file}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "FilePosition":
        """Reads `file:offset`; raises PositionError."""
        file, colon, offset = text.rpartition(":")
        if not colon or not offset.isdigit() or not _FILE.match(file):
            raise PositionError(
                f"'{text}' is not a binlog position", hint="write it as file:offset, like mysql-bin.000003:4"
            )
        return cls(file, int(offset))


@lru_cache(maxsize=64)
def file_number(file: str) -> int:
    """The number in a binlog's file name: 3 for `mysql-bin.000003`.

    Six digits are the least, not the most: 1000000 follows 999999 (MySQL manual, "The Binary Log").
    """
    match = _FILE.match(file)
    if match is None:
        raise PositionError(
            f"'{file}' is not the name of a binlog file",
            hint="binlog files end in a number, like mysql-bin.000003",
        )
    return int(match["number"])


class Sequence(NamedTuple):
    """The total order of one connector's change events; reading a binlog twice gives the same ones.

    `offset` is that of the rows event (for a row inside a compressed transaction: of the payload event),
    counted in 64 bits. `row` is the index of the change event within it. Compared as integers.
    """

    generation: int
    file: int
    offset: int
    row: int


ORIGIN = Sequence(0, 0, 0, 0)
