"""What comparisons ask of a target: the rows that it has of a source's table, in the words of change events.

Adapters: Target.rows of all in cdc.target.registry; tests/contract/test_target_rows.py holds them to this.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from cdc.model.batch import Key
from cdc.model.change import Row
from cdc.model.row_digest import RangeDigest


class TableRows(Protocol):
    """One connection that reads one table, as one version of the source's table is kept in it. Not thread-safe. Writes nothing,
    and holds no transaction between calls; each call sees what is committed then.

    Rows and keys come in the wire form of change events, as far as the target still tells it; `differing` knows the rest. A value
    that is none of the column's type comes as it is, and differs. Columns that the target generates by itself are left out.

    Errors: TargetUnavailable, TargetBusy (again, with a new one), TargetRefused (stop; or the table has changed since)."""

    @property
    def ordered(self) -> bool:
        """Whether this table's keys have one order here and at the source, so that a range of keys is the same rows at both: keys
        of integers that are numbers here too. Texts, times and bytes are ordered by rules that differ between servers."""

    def key(self, key: Key) -> Key:
        """The one form of a key by which the methods below name it, of a source's or of theirs. Equal where the keys are."""

    def at(self, keys: Sequence[Key]) -> Mapping[Key, Row]:
        """The rows of these keys, as far as they are there. Bulk: no round trip for each."""

    def between(self, after: Key | None, until: Key | None, limit: int) -> Mapping[Key, Row]:
        """The first `limit` rows in key order behind `after` (None: from the first on) up to `until`, inclusive (None: to the
        last). Only where keys are `ordered`."""

    def digest(self, after: Key | None, until: Key | None) -> RangeDigest | None:
        """Of the rows that `between` would give without a limit, as cdc.model.row_digest describes it. None where keys are not
        `ordered`, or a column has no text that is the source's."""

    def keys_after(self, after: Key | None, limit: int) -> Sequence[Key]:
        """The first `limit` keys behind `after` in the target's own order. Keys that are there all along come once."""

    def differing(self, row: Row, found: Row) -> tuple[str, ...]:
        """The columns in which `found`, of this target, is not what a sink makes of the source's `row`; () where it is. What the
        target keeps in another form by the rules of docs/types.md is no difference."""

    def close(self) -> None: ...
