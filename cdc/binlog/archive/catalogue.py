"""Which binlog files an archive has: files and folders by URL, listed anew at each question, since backups come and go."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cdc.binlog.archive.event_file import EventFile, Head, unreadable
from cdc.binlog.port import BinlogFile
from cdc.model.errors import PositionError
from cdc.model.file_url import FileUrl, file_urls
from cdc.model.position import file_number

_NAME = re.compile(r".+\.\d{6,}")
_COMPRESSED_NAME = re.compile(r"(?P<name>.+\.\d{6,})\.(?:gz|zst|bz2|xz|lz4|zip|Z)")
_UNCOMPRESS = "uncompress it, under the binlog's own name"


class ArchivedFile(NamedTuple):
    """A copy of the binlog file `name`."""

    name: str
    path: Path
    size_bytes: int

    def as_binlog(self) -> BinlogFile:
        return BinlogFile(self.name, self.size_bytes)


class Listing(NamedTuple):
    """Copies by the number of their file; `compressed`: names of files of which there is a compressed copy only."""

    files: Sequence[ArchivedFile]
    compressed: frozenset[str]

    def find(self, name: str) -> ArchivedFile | None:
        return next((file for file in self.files if file.name == name), None)


class Catalogue:
    """The files that `urls` name, and those in the folders that they name. Never opens a file that it is not asked for."""

    def __init__(self, urls: Sequence[FileUrl]) -> None:
        self._urls = urls

    def __bool__(self) -> bool:
        return bool(self._urls)

    def __str__(self) -> str:
        return ", ".join(url.path for url in self._urls)

    def listing(self) -> Listing:
        """Raises PositionError: a path that cannot be read (it names the machine too), files of two base names, two different
        files of one name."""
        kept: dict[str, ArchivedFile] = {}
        compressed = set()
        for path in self._paths():
            if match := _COMPRESSED_NAME.fullmatch(path.name):
                compressed.add(match["name"])
                continue
            file = ArchivedFile(path.name, path, _size(path))
            other = kept.get(file.name)
            kept[file.name] = file if other is None else _fuller(other, file)
        self._require_one_base(kept)
        files = sorted(kept.values(), key=lambda file: file_number(file.name))
        return Listing(files, frozenset(compressed - kept.keys()))

    def first(self) -> ArchivedFile:
        """Of the first URL: the file that it names, or the lowest in the folder. Raises PositionError where there is none."""
        path = Path(self._urls[0].path)
        listing = Catalogue(self._urls[:1]).listing()
        if not listing.files:
            raise _nothing(path, listing)
        return listing.files[0]

    def _paths(self) -> Iterator[Path]:
        for url in self._urls:
            path = Path(url.path)
            try:
                if not path.is_dir():
                    path.stat()
                    yield _named(path)
                    continue
                entries = sorted(path.iterdir())
            except OSError as error:
                raise unreadable(path, error) from error
            if url.offset is not None:
                raise PositionError(f"{url} gives an offset in a folder", hint="name the file, or leave the offset out")
            for entry in entries:
                if (_NAME.fullmatch(entry.name) or _COMPRESSED_NAME.fullmatch(entry.name)) and entry.is_file():
                    yield entry

    def _require_one_base(self, kept: dict[str, ArchivedFile]) -> None:
        bases: dict[str, Path] = {}
        for name, file in kept.items():
            bases.setdefault(name.rpartition(".")[0], file.path)
        if len(bases) > 1:
            one, other = list(bases.values())[:2]
            raise PositionError(
                f"archived binlogs of two base names: {one} and {other}",
                hint="keep the files of each server, and relay logs, in a folder of their own",
            )


def urls_of(text: str) -> tuple[FileUrl, ...]:
    """What a `--from` or `start:` text names. Raises PositionError."""
    try:
        return file_urls(text)
    except ValueError as error:
        raise PositionError(str(error), hint="name files or folders, several with commas between them") from None


def following(name: str) -> str:
    """The next file's name; six digits are the least (MySQL manual, "The Binary Log")."""
    return f"{name.rpartition('.')[0]}.{file_number(name) + 1:06d}"


def head(file: ArchivedFile) -> Head:
    """Raises what EventFile raises."""
    opened = EventFile(file.path)
    opened.close()
    return opened.head


def _named(path: Path) -> Path:
    if _NAME.fullmatch(path.name) or _COMPRESSED_NAME.fullmatch(path.name):
        return path
    raise PositionError(
        f"{path} has not the name of a binlog file",
        hint="it ends in the file's number, like mysql-bin.000042: positions are made of it",
    )


def _nothing(path: Path, listing: Listing) -> PositionError:
    if listing.compressed:
        return PositionError(f"{path} has compressed copies only ({min(listing.compressed)})", hint=_UNCOMPRESS)
    return PositionError(f"{path} has no binlog files", hint="their names end in a number, like mysql-bin.000042")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise unreadable(path, error) from error


def _fuller(one: ArchivedFile, other: ArchivedFile) -> ArchivedFile:
    """The longer of two copies of one file: binlogs only grow."""
    heads = head(one), head(other)
    if heads[0] != heads[1]:
        raise PositionError(
            f"two different files of one name: {one.path} and {other.path}",
            hint="keep the files of each server, and those of before a RESET, in a folder of their own",
        )
    return max(one, other, key=lambda file: file.size_bytes)
