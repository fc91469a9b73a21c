"""XA transactions: their rows are logged when they are prepared, and count when they are committed.

Between the two may lie any number of other transactions, other files, and a restart of ours. So the rows are not kept: at
the commit they are read again from where they lie. Where the reading of this stream began after the prepare, that place is
looked for in the files before (MySQL: "XA Transactions", XA_prepare_log_event; MariaDB from 10.5 logs alike).
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from cdc.binlog.events import Event
from cdc.model.errors import PositionError
from cdc.model.position import FilePosition


class Prepared(NamedTuple):
    """Where a prepared transaction lies: from its first event's start to the end of its XA PREPARE."""

    file: str
    start: int
    end: int


class Recall(Protocol):
    """Reads what lies in the binlog elsewhere than where the stream is."""

    def find(self, xid: str, before: FilePosition) -> Prepared | None:
        """The last XA PREPARE of `xid` before a place; None where no file that is left has it."""

    def events(self, place: Prepared) -> Iterator[Event]:
        """The events from `start` to `end`, each valid until the next."""


class PreparedTransactions:
    """Those that this stream has seen prepared, and not yet committed or rolled back. None: one without captured rows."""

    def __init__(self, recall: Recall | None) -> None:
        self._recall = recall
        self._places: dict[str, Prepared | None] = {}

    def prepare(self, xid: str, place: Prepared, *, captured: bool) -> None:
        self._places[xid] = place if captured else None

    def forget(self, xid: str) -> None:
        self._places.pop(xid, None)

    def commit(self, xid: str, at: FilePosition) -> Prepared | None:
        """Where its rows lie; None where none of them is captured. Raises PositionError where they cannot be found."""
        if xid in self._places:
            return self._places.pop(xid)
        place = None if self._recall is None else self._recall.find(xid, at)
        if place is None:
            raise PositionError(
                f"XA COMMIT {xid} of a transaction whose rows were logged before the first binlog file that is left",
                hint="copy what it changed by hand, if it was captured tables; then `cdc replay --from` the position after it",
            )
        return place

    def events(self, place: Prepared) -> Iterator[Event]:
        if self._recall is None:
            raise PositionError("an XA transaction cannot be read again here", hint="report this as a bug")
        return self._recall.events(place)
