"""From a `start:` or `--from` text, or a checkpoint, to a boundary that reading can begin at."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from cdc.binlog.archive.catalogue import Catalogue, following, urls_of
from cdc.binlog.archive.joined import Joined
from cdc.binlog.archive.origin import evidence, is_copy
from cdc.binlog.gtid import MysqlGtids, gtids, looks_like_gtids
from cdc.binlog.port import BinlogFile
from cdc.binlog.scan import Scanner
from cdc.binlog.search import after_gtids, begun_by, committed_since, past_moment
from cdc.binlog.server import Server
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import PositionError, SourceChanged
from cdc.model.file_url import is_file_urls
from cdc.model.position import FilePosition, file_number

DATE = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")
_WAY_OUT = (
    "name copies of its binlogs in source.archives, or copy the tables anew; "
    "`cdc replay --from earliest` begins a new generation"
)
_NEW_GENERATION = "`cdc replay --from earliest` begins a new generation with what this server has"


class Starts:
    """Each call asks the server anew: files come and go."""

    def __init__(self, server: Server, joined: Joined, scanner: Scanner, source_id: str) -> None:
        self._server = server
        self._joined = joined
        self._scanner = scanner
        self._source_id = source_id
        self._flavor = server.product().flavor

    def resolve(self, text: str) -> SourcePoint:
        """Raises PositionError: purged, beyond the end, inside an event, unknown, or not a position at all."""
        text = text.strip()
        if text == "latest":
            return self.latest()
        if text == "earliest":
            return self._scanner.head(self._files()[0].name)
        if DATE.fullmatch(text):
            return self._with_a_way(self._at_time(text))
        if looks_like_gtids(text):
            return self._with_a_way(self._after_gtids(text))
        position = self._in_archive(text) if is_file_urls(text) else FilePosition.parse(text)
        return self._with_a_way(self._at_position(position))

    def latest(self) -> SourcePoint:
        """The end, with exactly what was executed before it."""
        status = self._server.status()
        created = self._scanner.head(status.position.file).file_created
        end = SourcePoint(self._source_id, *status.position, status.executed, created)
        if self._flavor == "mysql" and self._server.dumps_by_gtids():
            have = MysqlGtids(status.executed)
            # The set was read before the position; what is not in it was committed between the two, or since.
            return end if have.has_tags else self._first_missing(have) or end
        return end

    def verify(self, point: SourcePoint) -> SourcePoint:
        """See cdc.binlog.port.Source.verify."""
        same = point.source_id == self._source_id
        if not same and not point.gtid_set:
            raise SourceChanged(
                f"the source is {self._source_id}, the checkpoint is of {point.source_id} and has no GTIDs",
                hint=f"connect to the server of the checkpoint; or {_NEW_GENERATION}",
            )
        self._require_executed(point)
        if same:
            self._require_same_file(point)
            return self._with_a_way(point)
        return self._with_a_way(self._after_gtids(point.gtid_set))

    def _require_executed(self, point: SourcePoint) -> None:
        executed = gtids(self._flavor, self._server.executed())
        try:
            known = gtids(self._flavor, point.gtid_set)
        except PositionError as error:
            raise SourceChanged(
                f"the source {self._source_id} is another product than the checkpoint's {point.source_id}",
                hint=f"connect to the server of the checkpoint; or {_NEW_GENERATION}",
            ) from error
        if not executed.contains(known):
            raise SourceChanged(
                f"the source {self._source_id} lacks transactions of the checkpoint: it has "
                f"{_shortened(executed.text())}, the checkpoint {_shortened(known.text())} (of {point.source_id})",
                hint=f"it was reset or restored, or is a replica that is behind; {_NEW_GENERATION}",
            )

    def _with_a_way(self, point: SourcePoint) -> SourcePoint:
        """The point, where it lies in a file of the server, or from its archived file a way leads there."""
        if file_number(point.file) < file_number(self._files()[0].name):
            self._joined.require_way(point.file, self._scanner.head)
        return point

    def _in_archive(self, text: str) -> FilePosition:
        """The place that URLs name, where the reader will find it too: at the server, or in source.archives."""
        urls = urls_of(text)
        file = Catalogue(urls).first()
        if any(file.name == served.name for served in self._files()):
            if not is_copy(file, self._scanner.head(file.name)):
                raise SourceChanged(
                    f"{file.path} is not the file that the source has by that name",
                    hint="it is another server's, or of before a RESET",
                )
        else:
            copy = self._joined.catalogue.listing().find(file.name) if self._joined.catalogue else None
            if copy is None or evidence(copy) != evidence(file):
                raise PositionError(
                    f"the source has purged {file.name}, and source.archives does not name {file.path}",
                    hint="every process that reads the source needs the files: "
                    f"add `archives: [file://{file.path.parent}/]` to the connector's source",
                )
        return FilePosition(file.name, urls[0].offset or 4)

    def _require_same_file(self, point: SourcePoint) -> None:
        files = self._joined.files(point.file)
        size = self._size(point.position, files)
        if size is None:
            raise SourceChanged(
                f"{point.file} is gone, and files of lower numbers are there: the source was reset",
                hint=f"if its data is what you mean, {_NEW_GENERATION}",
            )
        if point.offset > size:
            if self._is_archived(point.file):
                raise PositionError(
                    f"the archived copy of {point.file} ends at {size}, before the checkpoint {point.position}",
                    hint="it was copied before the server was done with it: copy it again",
                )
            raise SourceChanged(
                f"the checkpoint {point.position} lies beyond the end of the file ({size}): the source was reset or restored",
                hint=f"if its data is what you mean, {_NEW_GENERATION}",
            )
        created = self._scanner.head(point.file).file_created
        if point.file_created not in (0, created):
            raise SourceChanged(
                f"{point.file} was begun at {_time(created)}, the checkpoint's at {_time(point.file_created)}: "
                "the source was reset or restored",
                hint=f"if its data is what you mean, {_NEW_GENERATION}",
            )

    def _at_position(self, position: FilePosition) -> SourcePoint:
        files = self._joined.files(position.file)
        size = self._size(position, files)
        if size is None:
            raise PositionError(
                f"{position.file} is not there yet: the last file is {files[-1].name}",
                hint=f"begin at {files[-1].name}:4, or at latest",
            )
        if position.offset > size:
            raise PositionError(
                f"{position} lies beyond the end of the file ({size})", hint=f"begin at {position.file}:{size} at most"
            )
        if position.offset == size and position.file != files[-1].name:
            # Behind the rotation that ends the file.
            return self._scanner.head(following(position.file))
        if position.offset < 4:
            raise PositionError(f"{position} lies before the first event", hint=f"begin at {position.file}:4")
        return self._scanner.boundary(position)

    def _size(self, position: FilePosition, files: list[BinlogFile]) -> int | None:
        """The file's size; None for one that is not there yet. Raises PositionError for a purged or unknown one."""
        for file in files:
            if file.name == position.file:
                return file.size_bytes
        base = position.file.rpartition(".")[0]
        if base != files[0].name.rpartition(".")[0]:
            raise PositionError(
                f"the source has no file {position.file}: its files are {files[0].name} … {files[-1].name}",
                hint="begin at one of them, at latest or at earliest",
            )
        if self._is_archived(position.file):
            raise self._joined.purged(position.file, _WAY_OUT)
        return None

    def _is_archived(self, file: str) -> bool:
        return file_number(file) < file_number(self._files()[0].name)

    def _after_gtids(self, text: str) -> SourcePoint:
        """The boundary where the first transaction that is not in the set begins, or the end."""
        wanted = gtids(self._flavor, text)
        executed = gtids(self._flavor, self._server.executed())
        if not executed.contains(wanted):
            raise PositionError(
                f"the source never had all of {_shortened(wanted.text())}: it has {_shortened(executed.text()) or 'no GTIDs'}",
                hint="name a part of what it has (SELECT @@global.gtid_executed; MariaDB: @@global.gtid_binlog_pos)",
            )
        if isinstance(wanted, MysqlGtids):
            if not self._server.dumps_by_gtids():
                raise PositionError(
                    "the source has gtid_mode OFF", hint="begin at a file:offset, or set gtid_mode=ON there"
                )
            purged = MysqlGtids(self._server.purged()).minus(wanted)
            if not purged.text():
                return self._first_missing(wanted) or self._end(wanted.text())
            if (found := after_gtids(self._scanner, self._older(), wanted)) is None:
                raise PositionError(
                    f"transactions after this GTID set were purged at the source: {_shortened(purged.text())}",
                    hint=_WAY_OUT,
                )
            return found
        if (found := after_gtids(self._scanner, self._newest_first(), wanted)) is None:
            raise PositionError(
                f"the binlogs after {_shortened(wanted.text())} were purged at the source", hint=_WAY_OUT
            )
        return found

    def _newest_first(self) -> Iterator[str]:
        """The archive is looked at when the server's files are through."""
        yield from (file.name for file in reversed(self._files()))
        yield from self._older()

    def _older(self) -> Iterator[str]:
        for file in reversed(self._joined.older_than(self._files()[0].name)):
            yield file.name

    def _end(self, executed: str) -> SourcePoint:
        position = self._server.status().position
        return SourcePoint(self._source_id, *position, executed, self._scanner.head(position.file).file_created)

    def _first_missing(self, have: MysqlGtids) -> SourcePoint | None:
        """Where the first transaction that `have` lacks begins; the server itself passes over the others."""
        begin = SourcePoint(self._source_id, "", 4, have.text())
        group = next(self._scanner.groups(begin, gtid_set=have.encode()), None)
        return None if group is None else group.start

    def _at_time(self, text: str) -> SourcePoint:
        """The first boundary after which everything was committed at that time or later. A time without zone is UTC."""
        moment = past_moment(text)
        begin = begun_by(self._scanner, self._newest_first(), moment)
        if begin is None:
            *_, oldest = self._newest_first()
            begin = self._scanner.head(oldest)
            if file_number(oldest) > 1:
                raise PositionError(
                    f"the binlogs of {text} were purged: the oldest begins at {_time(begin.file_created)}",
                    hint=_WAY_OUT,
                )
        return committed_since(self._scanner, begin, moment)

    def _files(self) -> list[BinlogFile]:
        files = self._server.files()
        if not files:
            raise PositionError("the source has no binlog files", hint="switch log_bin on")
        return files


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def _time(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat()
