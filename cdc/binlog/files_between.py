"""How many bytes of binlog lie between two places: a pure function of the files' sizes."""

from collections.abc import Iterable

from cdc.binlog.port import BinlogFile
from cdc.model.position import FilePosition, file_number


def bytes_between(files: Iterable[BinlogFile], begin: FilePosition, end: FilePosition) -> int:
    """0 where `end` lies before `begin`. `files`: those from the one of `begin` to the one before that of `end`, and others."""
    first, last = file_number(begin.file), file_number(end.file)
    whole = sum(file.size_bytes for file in files if first <= file_number(file.name) < last)
    return max(whole + end.offset - begin.offset, 0) if first <= last else 0
