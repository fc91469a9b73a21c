"""Binlog files alone as a source, without any server: what `cdc tail --from file:///…` reads."""

from collections.abc import Callable, Iterator, Sequence

from cdc.binlog.archive.catalogue import ArchivedFile, Catalogue, Listing, following, head, urls_of
from cdc.binlog.archive.dump import ArchivedEvents
from cdc.binlog.archive.event_file import EventFile
from cdc.binlog.connection import DumpRequest
from cdc.binlog.files_between import bytes_between
from cdc.binlog.gtid import gtids, looks_like_gtids
from cdc.binlog.port import Begin, End, Item
from cdc.binlog.reading import transactions_from
from cdc.binlog.scan import Scanner
from cdc.binlog.search import after_gtids, begun_by, committed_since, past_moment
from cdc.binlog.start import DATE
from cdc.binlog.stream import BinlogStream
from cdc.model.checkpoint import SourcePoint
from cdc.model.config import SourceConfig
from cdc.model.errors import PositionError, SourceUnavailable
from cdc.model.file_url import is_file_urls
from cdc.model.position import FilePosition
from cdc.model.table_version import TableVersion
from cdc.observe.logs import get_logger

log = get_logger(__name__)


class FilesSource:
    """The files that `text` names (see docs/archives.md), read from the first one's place to the end of the last.

    Positions are those of the server that wrote them; its identity is the server_id in their format descriptions.
    """

    def __init__(self, config: SourceConfig, text: str) -> None:
        """Raises PositionError where there is nothing to read; what Catalogue and EventFile raise."""
        self._config = config
        self._urls = urls_of(text)
        self._catalogue = Catalogue(self._urls)
        first = head(self._catalogue.first())
        self._flavor = first.flavor
        self._scanner = Scanner(config, first.flavor, f"server-id-{first.server_id}", self._dump)

    def flavor(self) -> str:
        """Of the server that wrote them."""
        return self._flavor

    def bytes_between(self, begin: FilePosition, end: FilePosition) -> int:
        """As cdc.binlog.port.Source.bytes_between."""
        return bytes_between([file.as_binlog() for file in self._listing().files], begin, end)

    def begin(self) -> SourcePoint:
        """The boundary at the place that the first URL names."""
        return self._at(FilePosition(self._catalogue.first().name, self._urls[0].offset or 4))

    def resolve(self, text: str) -> SourcePoint:
        """As cdc.binlog.port.Source.resolve, within the files; `latest` is their end."""
        text = text.strip()
        newest_first = [file.name for file in reversed(self._listing().files)]
        if text == "latest":
            return self._end()
        if text == "earliest":
            return self._scanner.head(newest_first[-1])
        if is_file_urls(text):
            url = urls_of(text)[0]
            name = Catalogue([url]).first().name
            return self._at(FilePosition(name, url.offset or 4))
        if DATE.fullmatch(text):
            moment = past_moment(text)
            begin = begun_by(self._scanner, newest_first, moment) or self._scanner.head(newest_first[-1])
            return committed_since(self._scanner, begin, moment)
        if looks_like_gtids(text):
            found = after_gtids(self._scanner, newest_first, gtids(self._flavor, text))
            if found is None:
                raise PositionError(f"all files begin after transactions that are not in '{text[:200]}'", hint=_EARLIER)
            return found
        return self._at(FilePosition.parse(text))

    def stream(self, point: SourcePoint, tables: Sequence[TableVersion] = ()) -> "FileStream":
        """Ends behind the last whole event. cdc.binlog.port.Stream otherwise."""
        copy = self._copy(point.file)
        raw = ArchivedEvents(EventFile(copy.path, point.offset), point.offset, self._after, executed=point.gtid_set)
        # Whether the server folds names cannot be asked; table maps have them as the server compares them.
        transactions = transactions_from(
            point,
            tables,
            self._config,
            self._flavor,
            scanner=lambda: self._scanner,
            files=lambda: [f.as_binlog() for f in self._listing().files],
        )
        return FileStream(BinlogStream(raw, point, transactions), raw)

    def _listing(self) -> Listing:
        return self._catalogue.listing()

    def _copy(self, name: str) -> ArchivedFile:
        listing = self._listing()
        copy = listing.find(name)
        if copy is None:
            first, last = listing.files[0].name, listing.files[-1].name
            raise PositionError(f"{name} is not among the files: they are {first} … {last}", hint=_EARLIER)
        return copy

    def _at(self, position: FilePosition) -> SourcePoint:
        size = self._copy(position.file).size_bytes
        if position.offset > size:
            raise PositionError(
                f"{position} lies beyond the end of the file ({size})", hint=f"begin at {position.file}:{size} at most"
            )
        if position.offset < 4:
            raise PositionError(f"{position} lies before the first event", hint=f"begin at {position.file}:4")
        if position.offset == size:
            name = following(position.file)
            return self._scanner.head(name) if self._listing().find(name) else self._end()
        return self._scanner.boundary(position)

    def _end(self) -> SourcePoint:
        begin = self._scanner.head(self._listing().files[-1].name)
        end = begin
        for group in self._scanner.groups(begin):
            end = group.end
        return end

    def _dump(self, request: DumpRequest) -> ArchivedEvents:
        name, offset = request.position
        return ArchivedEvents(EventFile(self._copy(name).path, offset), offset, self._after)

    def _after(self, left: EventFile) -> EventFile | None:
        listing = self._listing()
        name = following(left.name)
        if copy := listing.find(name):
            return EventFile(copy.path)
        if listing.files and left.name != listing.files[-1].name:
            what = "there is a compressed copy only" if name in listing.compressed else "other files follow"
            raise PositionError(f"{name} is missing: {what}", hint="bring it back, uncompressed; or begin behind it")
        return None


_EARLIER = "name further files, or a folder, in front of the list or behind it"


class FileStream:
    """A stream that ends. The rows of a transaction that the files have no end of were given as they came."""

    def __init__(self, stream: BinlogStream, raw: ArchivedEvents) -> None:
        self._stream = stream
        self._raw = raw

    def items(self, wait_seconds: Callable[[], float], *, stretches: bool = False) -> Iterator[Item | None]:
        inside = False
        try:
            for item in self._stream.items(wait_seconds):
                inside = isinstance(item, Begin) or (inside and not isinstance(item, End))
                yield item
        except SourceUnavailable:
            if not self._raw.ended:
                raise
        if inside:
            log.warning(
                "the last transaction has no end in these files: what is shown of it may never have been committed"
            )

    def close(self) -> None:
        self._stream.close()
