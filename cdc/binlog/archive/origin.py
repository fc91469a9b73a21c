"""Whose an archived file is, as far as its first events and what the server says of itself can tell."""

from typing import NamedTuple

from pymysqlreplication.constants import BINLOG

from cdc.binlog import events
from cdc.binlog.archive.catalogue import ArchivedFile
from cdc.binlog.archive.event_file import EventFile, Head
from cdc.binlog.gtid import gtids
from cdc.binlog.server import Server
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import SourceChanged

APART = "keep the files of each server, and those of before a RESET, in a folder of their own"
_LOOKED_AT = 20
_SHOWN = 200


class Evidence(NamedTuple):
    """`before`: GTIDs of all before the file; `first`: its own first one; "" where its first events do not tell."""

    head: Head
    before: str = ""
    first: str = ""

    @property
    def gtids(self) -> str:
        return ",".join(filter(None, (self.before, self.first)))


def evidence(copy: ArchivedFile) -> Evidence:
    """Reads the file's first events. Raises what EventFile raises."""
    file = EventFile(copy.path)
    try:
        return _first_gtids(file, Evidence(file.head))
    finally:
        file.close()


def _first_gtids(file: EventFile, found: Evidence) -> Evidence:
    for _ in range(_LOOKED_AT):
        raw = file.read()
        if raw is None:
            break
        body = raw[events.HEADER_BYTES : -events.CHECKSUM_BYTES if file.head.checksum else None]
        match raw[4]:
            case BINLOG.PREVIOUS_GTIDS_LOG_EVENT:
                found = found._replace(before=events.previous_gtids(body))
            case BINLOG.MARIADB_GTID_GTID_LIST_EVENT:
                found = found._replace(before=events.mariadb_gtid_list(body))
            case BINLOG.GTID_LOG_EVENT:
                return found._replace(first=events.gtid(body).text)
            case events.GTID_TAGGED_LOG_EVENT:
                return found._replace(first=events.tagged_gtid(body).text)
            case BINLOG.MARIADB_GTID_EVENT:
                gtid = events.mariadb_gtid(body, events.HEADER.unpack_from(raw)[2])
                return found._replace(first=gtid.text)
    return found


def is_copy(copy: ArchivedFile, head: SourcePoint) -> bool:
    """Whether it is a copy of the server's file of that name, whose beginning is `head`."""
    found = evidence(copy)
    return (found.head.created, found.before) == (head.file_created, head.gtid_set)


class Origin:
    """What the server says of itself, asked once; `first`: the beginning of its first file. Files are shown to it in order,
    without a hole."""

    def __init__(self, server: Server, first: SourcePoint) -> None:
        self._product = server.product()
        self._server_id = int(server.variables("server_id").get("server_id", "0"))
        self._executed = gtids(self._product.flavor, server.executed())
        self._first = first
        self._last: tuple[ArchivedFile, Evidence] | None = None

    def require(self, copy: ArchivedFile) -> None:
        """Raises SourceChanged where the file cannot be one that this server wrote before its first one."""
        found = evidence(copy)
        head = found.head
        # MySQL's GTIDs name the server themselves; MariaDB's domains do not, and without GTIDs the number is all there is.
        told = self._product.flavor == "mysql" and found.gtids
        if head.flavor != self._product.flavor or (head.server_id != self._server_id and not told):
            raise SourceChanged(
                f"{copy.path} is of {head.version} with server_id {head.server_id}, "
                f"the source is {self._product.text} with {self._server_id}",
                hint=APART,
            )
        if not self._executed.contains(gtids(self._product.flavor, found.gtids)):
            raise SourceChanged(
                f"{copy.path} has transactions that the source never had: {found.gtids[:_SHOWN]}",
                hint=f"it is another server's, or the source was reset; {APART}",
            )
        self._require_after_last(copy, found)
        if copy.name == self._first.file and not is_copy(copy, self._first):
            raise SourceChanged(f"{copy.path} is not the file that the source has by that name", hint=APART)
        if head.created > self._first.file_created:
            raise SourceChanged(
                f"{copy.path} was begun after {self._first.file}, the source's first file, which has a higher number",
                hint=APART,
            )

    def _require_after_last(self, copy: ArchivedFile, found: Evidence) -> None:
        last, self._last = self._last, (copy, found)
        if last is None:
            return
        file, before = last
        flavor = self._product.flavor
        if found.head.created < before.head.created or not gtids(flavor, found.before).contains(
            gtids(flavor, before.gtids)
        ):
            raise SourceChanged(
                f"{copy.path} does not go on where {file.path} was: they are not of one server", hint=APART
            )
