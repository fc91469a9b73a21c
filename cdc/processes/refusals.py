"""Rows that the target refuses: parked with their key, so that later events of the key wait behind them, in order.

Only RowRefused ever parks anything; an outage never does.
"""

from collections.abc import Callable, Sequence

from cdc.model.batch import DeadLetter, Key, TableBatch
from cdc.model.change import Change
from cdc.model.errors import RowRefused
from cdc.observe.logs import fields, get_logger
from cdc.target.port import LaneWriter, RowsRefused

log = get_logger(__name__)

_KeyName = tuple[str, str, Key]
_WAITS = "waits behind a refused event of its key"


def _name(change: Change) -> _KeyName:
    return (change.db, change.table, change.key)


class Refusals:
    """Works inside the writer's open transaction. `allowed`: whether the connector says `on_error: dead_letter`. `go_on` is
    called again and again while refused rows are told from others, which takes long where they are many; it raises to end it."""

    def __init__(self, writer: LaneWriter, allowed: bool, go_on: Callable[[], None]) -> None:
        self._writer = writer
        self.allowed = allowed
        self._go_on = go_on
        self._parked: set[_KeyName] = set()
        self._ask = True

    def begin(self) -> None:
        """Called once in each transaction: `cdc dlq retry` may have emptied the store since the last one.

        Letters of an earlier `on_error: dead_letter` hold their keys back also when the connector says `stop` by now; once
        they are settled there is nothing to ask for.
        """
        if self._ask:
            self._parked = set(self._writer.parked())
            self._ask = self.allowed or bool(self._parked)

    def pass_parked(self, changes: Sequence[Change]) -> Sequence[Change]:
        """The changes that may be applied; those of a parked key are parked behind it."""
        if not self._parked:
            return changes
        waiting = [change for change in changes if _name(change) in self._parked]
        if waiting:
            self._writer.park([DeadLetter(change, _WAITS) for change in waiting])
        return [change for change in changes if _name(change) not in self._parked]

    def isolate(
        self,
        run: Sequence[Change],
        compact: Callable[[Sequence[Change]], list[TableBatch]],
        error: RowRefused,
        *,
        patient: bool = False,
    ) -> int:
        """Of a refused run, parks all changes of the keys that are refused, and applies all others.

        Those keys that the target names (RowsRefused) are set apart at once; where it names none, the keys are halved until the
        refused ones stand alone. `patient`: what may be taken a moment later, and so is not named, raises instead.
        Returns how many events were parked. Keys keep the order of their first change.
        """
        reasons: dict[_KeyName, str] = {}
        waiting = self._parts(run, error, reasons, patient=patient)
        while waiting:
            part = waiting.pop()
            try:
                self._writer.apply(compact(part), savepoint=True)
            except RowRefused as again:
                waiting += self._parts(part, again, reasons, patient=patient)
        return self._park(run, reasons)

    def _parts(
        self, run: Sequence[Change], error: RowRefused, reasons: dict[_KeyName, str], *, patient: bool
    ) -> list[Sequence[Change]]:
        """What of a refused run is to be applied now, the first last; `reasons` gets the keys that are refused for good."""
        self._go_on()
        keys = list(dict.fromkeys(map(_name, run)))
        named = (
            {(row.db, row.table, row.key): row.reason for row in error.rows} if isinstance(error, RowsRefused) else {}
        )
        told = {key: named[key] for key in keys if key in named}
        if not told and patient:
            raise error
        if not told and len(keys) == 1:
            told = {keys[0]: error.message}
        if told:
            reasons |= told
            rest = [change for change in run if _name(change) not in told]
            return [rest] if rest else []
        half = set(keys[: len(keys) // 2])
        return [[c for c in run if _name(c) not in half], [c for c in run if _name(c) in half]]

    def _park(self, run: Sequence[Change], reasons: dict[_KeyName, str]) -> int:
        """All at once: they may be very many."""
        changes: dict[_KeyName, list[Change]] = {}
        for change in run:
            if _name(change) in reasons:
                changes.setdefault(_name(change), []).append(change)
        letters = {
            key: [DeadLetter(first, reasons[key]), *(DeadLetter(change, _WAITS) for change in behind)]
            for key, (first, *behind) in changes.items()
        }
        every = [letter for of_key in letters.values() for letter in of_key]
        self._writer.park(every)
        self._parked |= letters.keys()
        _tell(letters)
        return len(every)


def _tell(letters: dict[_KeyName, list[DeadLetter]]) -> None:
    """A line for each table, however many its rows are."""
    tables: dict[tuple[str, str], list[list[DeadLetter]]] = {}
    for (db, table, _), of_key in letters.items():
        tables.setdefault((db, table), []).append(of_key)
    for (db, table), rows in tables.items():
        log.warning(
            "the target refused rows; their keys wait in the dead letters",
            extra=fields(
                action="sink.parked",
                table=f"{db}.{table}",
                rows=len(rows),
                events=sum(map(len, rows)),
                reason=rows[0][0].reason,
            ),
        )
