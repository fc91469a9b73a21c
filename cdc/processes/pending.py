"""What was read from a lane and not yet committed, and up to where it may be committed: pure bookkeeping.

With `order: key` that is everything. With `order: transaction` only what ends on a source transaction's end may be shown.
"""

from collections.abc import Sequence

from cdc.model.change import Change
from cdc.model.checkpoint import Progress


class Pending:
    """`committed` is the progress as the target has it."""

    def __init__(self, committed: Progress, *, whole_transactions: bool) -> None:
        self.committed = committed
        self._whole = whole_transactions
        self._changes: list[Change] = []
        self._ready = 0
        self._ready_progress = committed
        self._inside = False

    def __len__(self) -> int:
        return len(self._changes)

    @property
    def inside(self) -> bool:
        """Whether a source transaction was begun whose end has not come (`order: transaction` only)."""
        return self._inside

    @property
    def moved(self) -> bool:
        """Whether there is anything to commit."""
        return self._ready_progress != self.committed

    def add(self, change: Change | None, *, ends_transaction: bool) -> bool:
        """A change that counts (None: one that this sink does not want). Returns whether to call `reach` now."""
        if change is not None:
            self._changes.append(change)
        self._inside = self._whole and not ends_transaction
        return self._whole and ends_transaction

    def add_run(self, changes: Sequence[Change], *, ends_transaction: bool) -> None:
        """Changes that count, one after the other; `ends_transaction`: the last message of theirs does."""
        self._changes += changes
        self._inside = self._whole and not ends_transaction

    def reach(self, progress: Progress) -> None:
        """The lane has come to `progress`; it may be committed unless a transaction is under way."""
        if not self._inside:
            self._ready = len(self._changes)
            self._ready_progress = progress

    def take_ready(self) -> tuple[list[Change], Progress]:
        """What may be committed now, and the progress to commit with it."""
        if self._ready == len(self._changes):
            ready, self._changes = self._changes, []
        else:
            ready, self._changes = self._changes[: self._ready], self._changes[self._ready :]
        self._ready = 0
        return ready, self._ready_progress

    def take_part(self) -> list[Change]:
        """The changes of the transaction under way, to be applied without a commit."""
        part, self._changes = self._changes, []
        return part

    def abandon(self) -> Progress:
        """Forgets a transaction whose end will not come (a new generation sends it again from its start); returns the
        progress before it."""
        del self._changes[self._ready :]
        self._inside = False
        return self._ready_progress
