"""The server's binlog files, and before them what the archive has of those that the server has purged.

The archive is only looked at where the server does not have a file: one that is broken, or on another machine, is in nobody's
way who reads what the server still has.
"""

from collections.abc import Callable
from dataclasses import replace

from cdc.binlog.archive.catalogue import Catalogue, Listing, following
from cdc.binlog.archive.dump import ArchivedEvents
from cdc.binlog.archive.event_file import EventFile
from cdc.binlog.archive.origin import Origin
from cdc.binlog.connection import BinlogConnection, DumpRequest
from cdc.binlog.port import BinlogFile
from cdc.binlog.server import Server
from cdc.binlog.stream import RawEvents
from cdc.model.checkpoint import SourcePoint
from cdc.model.config import SourceConfig
from cdc.model.errors import PositionError
from cdc.model.file_url import file_urls
from cdc.model.position import FilePosition, file_number


class Joined:
    """Each call asks the server, and lists the archive, anew."""

    def __init__(self, config: SourceConfig, server: Server) -> None:
        self._config = config
        self._server = server
        self.catalogue = Catalogue([url for text in config.archives for url in file_urls(text)])

    def files(self, holding: str) -> list[BinlogFile]:
        """The server's files, oldest first; where `holding` is not one of them, but of a lower number, archived ones of
        lower numbers than the server's first stand before them. Raises PositionError."""
        files = self._server.files()
        if not files or not self.catalogue or file_number(holding) >= file_number(files[0].name):
            return files
        return [*self.older_than(files[0].name), *files]

    def all_files(self) -> list[BinlogFile]:
        """The server's, and all archived ones of lower numbers, oldest first. Raises PositionError."""
        files = self._server.files()
        return [*self.older_than(files[0].name), *files] if files else files

    def older_than(self, first: str) -> list[BinlogFile]:
        """Archived files of lower numbers than the server's first, oldest first. Raises PositionError."""
        if not self.catalogue:
            return []
        files = self.catalogue.listing().files
        if files and _base(files[0].name) != _base(first):
            raise PositionError(
                f"archived binlogs are named {files[0].name}, the source's {first}",
                hint="see that source.archives is right",
            )
        return [f.as_binlog() for f in files if file_number(f.name) < file_number(first)]

    def dump(self, request: DumpRequest, executed: str | None = None) -> RawEvents:
        """A dump from `request.position` on: of the server where it has the file (or the request is by GTIDs), else of the
        archive and, from the first file that the server still has, of the server. `executed`: the GTIDs of all before the
        position, so that a part that the archived files lack is noticed. Raises what BinlogConnection and EventFile raise."""
        if not self.catalogue or request.gtid_set is not None:
            return BinlogConnection(self._config, request)
        name, offset = request.position
        if self._serves(name):
            return BinlogConnection(self._config, request)
        copy = self.catalogue.listing().find(name)
        if copy is None:
            return BinlogConnection(self._config, request)  # which says what is wrong with the position
        return ArchivedEvents(
            EventFile(copy.path, offset), offset, lambda left: self._after(left, request), executed=executed
        )

    def require_way(self, file: str, head: Callable[[str], SourcePoint]) -> None:
        """That reading can go from `file` to the server's first one, and that the archive is this server's, as far as can be
        told beforehand. `head`: the beginning of a file of the server. Raises PositionError (a hole, unreadable),
        SourceChanged (another server's files), NotUnderstood, BinlogDamaged."""
        first = self._server.files()[0].name
        if file_number(file) >= file_number(first):
            return
        listing = self.catalogue.listing()
        origin = Origin(self._server, head(first))
        name = file
        while name != first:
            copy = listing.find(name)
            if copy is None:
                raise self._hole(name, first, listing)
            origin.require(copy)
            name = following(name)
        if overlap := listing.find(first):
            origin.require(overlap)

    def purged(self, file: str, way_out: str) -> PositionError:
        """The error for a file that the server has purged and the archive lacks."""
        first = self._server.files()[0].name
        if not self.catalogue:
            return PositionError(f"{file} was purged: the source's first file is {first}", hint=way_out)
        return self._hole(file, first, self.catalogue.listing())

    def _serves(self, name: str) -> bool:
        return any(file.name == name for file in self._server.files())

    def _after(self, left: EventFile, request: DumpRequest) -> EventFile | RawEvents:
        """What follows an archived file: the server's next one where it has it, else the archive's."""
        name = following(left.name)
        if self._serves(name):
            return BinlogConnection(self._config, replace(request, position=FilePosition(name, 4)))
        listing = self.catalogue.listing()
        copy = listing.find(name)
        if copy is None:
            raise self._hole(name, self._server.files()[0].name, listing)
        return EventFile(copy.path)

    def _hole(self, missing: str, first: str, listing: Listing) -> PositionError:
        if missing in listing.compressed:
            return PositionError(
                f"{missing} was purged, and the archive has a compressed copy only",
                hint="uncompress it, under the binlog's own name",
            )
        if file_number(missing) >= file_number(first):
            return PositionError(
                f"the source has no file {missing}: its first is {first}",
                hint="it was reset, or its files are out of order",
            )
        return PositionError(
            f"{missing} is missing: it was purged at the source, whose first file is {first}, and {self.catalogue} lacks it",
            hint="bring it into the archive; or begin at a later file, and copy the tables anew where that leaves changes out",
        )


def _base(name: str) -> str:
    return name.rpartition(".")[0]
