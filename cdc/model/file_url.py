"""`file:///backups/binlogs/mysql-bin.000042:4`: URLs of archived binlogs, as `--from`, `source.start` and `source.archives` take
them."""

import re
from typing import NamedTuple
from urllib.parse import unquote

_PART = re.compile(r"file://(?:localhost)?(?P<path>/[^?#]*?)(?::(?P<offset>\d+))?")
_EXAMPLE = "write it like file:///backups/binlogs/ or file:///backups/binlogs/mysql-bin.000042:4"


class FileUrl(NamedTuple):
    """An absolute path, percent-decoded, of a file or a folder; `offset` where the text ends in `:digits`."""

    path: str
    offset: int | None = None

    def __str__(self) -> str:
        return self.path if self.offset is None else f"{self.path}:{self.offset}"


def is_file_urls(text: str) -> bool:
    """Whether the text is meant as one or several such URLs."""
    return text.lstrip().lower().startswith("file:")


def file_urls(text: str) -> tuple[FileUrl, ...]:
    """Reads a comma-separated list (a comma or a colon of a path's own is written %2C, %3A); raises ValueError."""
    return tuple(_file_url(part.strip()) for part in text.split(","))


def _file_url(part: str) -> FileUrl:
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(f"'{part}' is not a file URL: {_EXAMPLE}")
    path = unquote(match["path"])
    if "\0" in path:
        raise ValueError(f"'{part}' is not a file URL: it has a zero byte")
    return FileUrl(path, int(match["offset"]) if match["offset"] else None)
