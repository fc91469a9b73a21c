"""Rows that the target refuses: parked with their key, so that later events of the key wait behind them, in order.

Only RowRefused ever parks anything; an outage never does.
"""

from collections.abc import Callable, Sequence

from cdc.model.batch import DeadLetter, Key, TableBatch
from cdc.model.change import Change
from cdc.model.errors import RowRefused
from cdc.observe.logs import fields, get_logger
from cdc.target.port import LaneWriter

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
        self, run: Sequence[Change], compact: Callable[[Sequence[Change]], list[TableBatch]], error: RowRefused
    ) -> int:
        """Halves the keys of a refused run until the refused ones stand alone; parks those, applies all others.

        Returns how many events were parked. Keys keep the order of their first change.
        """
        self._go_on()
        keys = list(dict.fromkeys(map(_name, run)))
        if len(keys) == 1:
            self._park(run, error)
            return len(run)
        half = set(keys[: len(keys) // 2])
        parked = 0
        for part in ([c for c in run if _name(c) in half], [c for c in run if _name(c) not in half]):
            try:
                self._writer.apply(compact(part), savepoint=True)
            except RowRefused as again:
                parked += self.isolate(part, compact, again)
        return parked

    def _park(self, changes: Sequence[Change], error: RowRefused) -> None:
        first, *behind = changes
        letters = [DeadLetter(first, error.message), *(DeadLetter(change, _WAITS) for change in behind)]
        self._writer.park(letters)
        self._parked.add(_name(first))
        log.warning(
            "the target refused a row; its key waits in the dead letters",
            extra=fields(
                action="sink.parked", table=f"{first.db}.{first.table}", events=len(letters), reason=error.message
            ),
        )
