"""That one binlog file goes on where the one before it ended: nothing that was committed lies in a part that a copy lacks.

A file begins with the GTIDs of all before it (MySQL: Previous_gtids, also with gtid_mode OFF, then empty; MariaDB: Gtid_list).
What an archived file brought is added up and held against that list of the next file, archived or live.
"""

from pymysqlreplication.constants import BINLOG

from cdc.binlog import events, statements
from cdc.binlog.archive.event_file import EventFile
from cdc.binlog.gtid import Gtids, MariadbGtids, MysqlGtids, gtids
from cdc.model.errors import BinlogDamaged, SourceChanged

_GTIDS = (
    BINLOG.GTID_LOG_EVENT,
    BINLOG.ANONYMOUS_GTID_LOG_EVENT,
    BINLOG.MARIADB_GTID_EVENT,
    events.GTID_TAGGED_LOG_EVENT,
)
_LISTS = (BINLOG.PREVIOUS_GTIDS_LOG_EVENT, BINLOG.MARIADB_GTID_GTID_LIST_EVENT)
_WATCHED = frozenset((*_GTIDS, *_LISTS, BINLOG.FORMAT_DESCRIPTION_EVENT))
_COMMITS = (BINLOG.XID_EVENT, BINLOG.XA_PREPARE_EVENT, events.TRANSACTION_PAYLOAD_EVENT)
_COMMIT_WORDS = ("COMMIT", "ROLLBACK", "XA COMMIT", "XA ROLLBACK")
_BEGIN_WORDS = ("BEGIN", "XA START", "XA BEGIN", "XA END")
_SHOWN = 200


class Continuity:
    """Looks at raw events as they pass. `executed`: GTIDs of all before the first event, None where they are not known; then
    the check begins with the second file."""

    def __init__(self, flavor: str, executed: str | None) -> None:
        self._flavor = flavor
        self._known = None if executed is None else gtids(flavor, executed)
        self._pending = ""
        self._last: memoryview | None = None
        self._second_last = 0
        self._anonymous = False
        self._left: EventFile | None = None
        self._checksum = events.CHECKSUM_NONE
        self._query_post_header = 13
        self._server_id = 0
        self.settled = False

    def see(self, raw: memoryview) -> None:
        """One event. Raises BinlogDamaged, SourceChanged."""
        kind = raw[4]
        if self._last is not None:
            self._second_last = self._last[4]
        self._last = raw
        if kind not in _WATCHED:
            return
        if kind == BINLOG.FORMAT_DESCRIPTION_EVENT:
            self._enter(raw)
        elif kind in _LISTS:
            self._listed(raw, kind)
            self.settled = True
        else:
            self._count(raw, kind)

    def leave(self, file: EventFile) -> None:
        """The file's end was reached, and another one follows."""
        if self._last is not None and (file.ended or self._commits(self._last)):
            self._add_pending()
        self._pending = ""
        self._left = file
        self.settled = False

    def _enter(self, raw: memoryview) -> None:
        created, _, server_id, *_ = events.HEADER.unpack_from(raw)
        description = events.format_description(raw[events.HEADER_BYTES :])
        self._checksum, self._query_post_header = description.checksum, description.query_post_header
        self._server_id = server_id
        if self._left is not None and created < self._left.head.created:
            raise SourceChanged(
                f"{self._left.path} was begun after the file that follows it: they are not of one server, or one was reset",
                hint="keep the files of each server, and those of before a RESET, in a folder of their own",
            )

    def _body(self, raw: memoryview) -> memoryview:
        return raw[events.HEADER_BYTES : -events.CHECKSUM_BYTES if self._checksum else None]

    def _count(self, raw: memoryview, kind: int) -> None:
        self._add_pending()
        if kind == events.GTID_TAGGED_LOG_EVENT:
            self._pending = events.tagged_gtid(self._body(raw)).text
        elif kind == BINLOG.GTID_LOG_EVENT:
            self._pending = events.gtid(self._body(raw)).text
        elif kind == BINLOG.ANONYMOUS_GTID_LOG_EVENT:
            self._anonymous = True
        else:
            self._pending = events.mariadb_gtid(self._body(raw), events.HEADER.unpack_from(raw)[2]).text

    def _commits(self, last: memoryview) -> bool:
        """Whether the transaction is whole that ends with this event: it is a commit, or a statement right behind its GTID."""
        kind = last[4]
        if kind in _COMMITS:
            return True
        if kind == BINLOG.QUERY_EVENT:
            words = statements.first_words(events.query(self._body(last), self._query_post_header).sql)
            return words in _COMMIT_WORDS or (self._second_last in _GTIDS and words not in _BEGIN_WORDS)
        return kind == events.MARIADB_QUERY_COMPRESSED_EVENT and self._second_last in _GTIDS

    def _add_pending(self) -> None:
        if self._known is not None and self._pending:
            self._known.add(self._pending)
        self._pending = ""

    def _listed(self, raw: memoryview, kind: int) -> None:
        body = self._body(raw)
        text = (
            events.previous_gtids(body) if kind == BINLOG.PREVIOUS_GTIDS_LOG_EVENT else events.mariadb_gtid_list(body)
        )
        listed = gtids(self._flavor, text)
        left, self._left = self._left, None
        if left is not None and self._known is not None:
            self._require_continued(self._known, listed, left)
        if left is not None or self._known is None:
            self._known, self._anonymous = listed, False

    def _require_continued(self, known: Gtids, listed: Gtids, left: EventFile) -> None:
        missing = self._missing(known, listed)
        if missing:
            raise BinlogDamaged(
                f"{left.path} lacks transactions that the file after it says were before it: {_shortened(missing)}",
                hint="it was copied before the server was done with it, or is another server's: copy it again; "
                "or begin at the file after it",
            )
        told = bool(listed.text() and known.text())
        if not left.ended and (self._anonymous or not told):
            raise BinlogDamaged(
                f"{left.path} ends without a rotation, and without GTIDs nobody can tell whether it is whole",
                hint="it was copied before the server was done with it, or the server crashed: copy it again; "
                "or begin at the file after it, and compare the tables",
            )
        same = told and (self._flavor == "mysql" or known.text() == listed.text())
        if not same and self._server_id != left.head.server_id:
            raise SourceChanged(
                f"{left.path} is of server_id {left.head.server_id}, the file after it of {self._server_id}",
                hint="keep the files of each server in a folder of their own",
            )

    def _missing(self, known: Gtids, listed: Gtids) -> str:
        if isinstance(listed, MysqlGtids) and isinstance(known, MysqlGtids):
            return listed.minus(known).text()
        if isinstance(listed, MariadbGtids) and not known.contains(listed):
            return listed.text()
        return ""


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
