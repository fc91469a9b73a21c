"""What the pipeline asks of a target. Every adapter and the in-memory twin pass tests/contract/test_target.py.

The progress table `_cdc_progress`, the dead letters `_cdc_dead_letters` and `_cdc_copies` live in the target; the progress row
moves in the same transaction as the rows. Errors: TargetUnavailable, TargetBusy (again, after rollback), Fenced (stop; nothing
was written), RowRefused (these values, for good), TargetRefused (stop).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import orjson

from cdc.model.batch import DeadLetter, Key, TableBatch
from cdc.model.checkpoint import Progress
from cdc.model.errors import CdcError, RowRefused, TargetRefused
from cdc.model.finding import Finding
from cdc.model.schema import TableSchema
from cdc.model.schema_change import SchemaChange
from cdc.target.rows_port import TableRows

AT_ONCE_CHANGES: Final = 200


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter as it lies in the store; `id` is the store's, ascending in the order they were parked.

    `key` is the key for people (a JSON array). `parse(key_json, value)` gives the change event back: `value` is the message
    as it came, `key_json` an object of the key's values in key order, its names being of no account. `db` and `table` are the
    table's names now; the message has those that it had then. `since`: a line for each alteration of the table since then, a
    line feed and its JSON, oldest first.
    """

    id: int
    lane: str
    db: str
    table: str
    key: str
    seq: str
    reason: str
    parked_at: str
    key_json: bytes
    value: bytes
    since: bytes = b""

    @property
    def changes(self) -> tuple[SchemaChange, ...]:
        """The alterations of its table since it was parked, oldest first."""
        return tuple(SchemaChange.from_json(orjson.loads(line)) for line in self.since.split(b"\n")[1:])


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row whose values the target cannot hold, whatever else is there: by its source table and key, with the reason."""

    db: str
    table: str
    key: Key
    reason: str


class RowsRefused(RowRefused):
    """RowRefused that knows some of the rows that are to blame, one at least; not all of them need be among `rows`. None of
    those can be applied alone or with others, now or later, so nobody needs to try; about all other rows it says nothing."""

    def __init__(self, message: str, *, hint: str, rows: Sequence[RefusedRow]) -> None:
        super().__init__(message, hint=hint)
        self.rows = tuple(rows)


def without_rows(error: CdcError) -> CdcError:
    """The error of a statement that looks at a table or makes it. The same codes may tell of rows elsewhere (MySQL's "row size
    too large"), but here no row is to blame: were every row of the table parked for it, the table would never be made."""
    if not isinstance(error, RowRefused):
        return error
    return TargetRefused(
        f"a table cannot be made or read: {error.message}", hint="make it by hand, with types that fit"
    )


@dataclass(frozen=True, slots=True)
class ColumnFinding:
    """Source columns (names joined by commas) that the target's cannot hold: what is lost, and what to do. A `note` stops
    nothing: the values that are lost may never come."""

    column: str
    problem: str
    hint: str
    severity: Literal["error", "note"] = "error"


@dataclass(frozen=True, slots=True)
class Expected:
    """What will be applied, for `Target.findings`: a table as the source has it. `unique`: its columns' sets that are unique
    there beside the primary key. `lanes`: how many lanes run side by side."""

    schema: TableSchema
    unique: tuple[frozenset[str], ...] = ()
    lanes: int = 1


class LaneWriter(Protocol):
    """One worker's connection to the target, for one lane at a time. Not thread-safe.

    take_over, then again and again: begin, (parked, apply, truncate, park)*, commit or rollback; or apply_at_once. After any
    error the caller rolls back; after TargetUnavailable it throws the writer away and opens a new one.
    """

    def take_over(self, lane: str, token: int) -> Progress | None:
        """Compare-and-set of the row's token, committed on return: raises Fenced (with `stored`) unless `token` is above the
        stored one. Returns the progress (with the new token), or None where the lane never had any (a row with ORIGIN
        and `token` is then made). A former holder stopped inside its transaction must not block for ever: after half
        a lease of waiting its session is ended (MySQL), or the server ends it (PostgreSQL: idle-in-transaction limit)."""

    def begin(self) -> Progress:
        """Begins the transaction, locks the lane's progress row, and returns it. Raises Fenced where the token stored is not
        the one taken over with."""

    def parked(self) -> frozenset[tuple[str, str, Key]]:
        """(db, table, key) of all dead letters of this connector and sink, whatever lane parked them, and of those parked in
        this transaction. Cheap where there are none.

        Of all lanes, because another number of lanes brings later changes of a parked row through another lane. A `settle`
        that locks only the letter's own lane may commit at any time in between, and both answers are right: who still sees
        the letter parks behind it, where a later retry finds the change; who does not sees what the settlement applied, and
        applies a later change over it. They never write one row at the same time, since a row is either seen as parked, and
        left alone, or the settlement has committed."""

    def apply(self, batches: Sequence[TableBatch], *, savepoint: bool = False, tolerant: bool = False) -> None:
        """Applies in the order: all deletes, batch by batch; then updates and inserts, batch by batch. Makes missing tables
        first where the sink says so. Bulk: no round trip for each row. With `savepoint` an error (RowRefused) leaves the
        transaction as it was before the call; without, the caller rolls back. An update whose row is missing raises
        RowRefused, naming table and key, unless `tolerant`: then it inserts the whole row. Values that move between
        unique keys within the batch (swaps) must not fail. Only the rows of these primary keys ever change. An adapter that
        can tell which rows are refused for their values raises RowsRefused."""

    def truncate(self, schema_db: str, table: str) -> None:
        """Empties the target's table for the source's `schema_db.table`, inside the transaction (DELETE where TRUNCATE
        would commit), and drops the table's dead letters: a retry must not bring back rows that the source emptied. A table
        that is not there is empty."""

    def change_schema(self, change: SchemaChange) -> None:
        """Brings the target's table to the shape that `change` gives the source's, with DDL made from `change` and quoted, never
        from its text. Called between `begin` and `commit`, with every lane applied up to the change and waiting, in a transaction
        of its own. May be called again for a change that was done before, whole or in part (a crash before the commit), and then
        leaves the same result: PostgreSQL and SQLite have it in the transaction; MySQL commits DDL by itself, so the progress
        row stays locked by this connection while another one works, and what is there is looked at first.

        Rows that are there get `AddColumn.fill`. A column that a user made in advance is taken where it can hold the values.
        A table that is not there (nothing was captured yet, or `create_tables: false`) is made with its first row.
        Raises TargetRefused with what to do by hand, and changes nothing, where a step cannot be repeated exactly: a conversion
        that the target would do in another way than MySQL, an unknown old type, a key change that its rows do not allow, or one
        of a table that has dead letters, which are found by their keys.

        The table's dead letters go with a table that is dropped and follow one that is renamed; an alteration is added to each
        (`StoredLetter.since`). That is done before the table changes, so that a `settle` of what they were before is either
        through, or finds them changed."""

    def forget(self) -> None:
        """Tables may have another shape than at the last `apply` (another lane's `change_schema`): look again."""

    def park(self, letters: Sequence[DeadLetter]) -> None:
        """Stores dead letters, in order, inside the transaction."""

    def remember(self, copies: str) -> None:
        """Stores what the lane was told last of the tables that are being copied (JSON, see cdc.model.copies), inside the
        transaction."""

    def commit(self, progress: Progress) -> None:
        """Moves the progress row and commits, in that order; on return it is durable. `progress.token` must be the
        taken-over one. A connection that dies during COMMIT raises TargetUnavailable: the stored row tells what happened."""

    def apply_at_once(self, batches: Sequence[TableBatch], progress: Progress) -> bool:
        """begin, apply and commit in one step, outside of a transaction, where the adapter can save round trips by it. True: as
        after `commit`. False: nothing has changed, and nothing is open; begin, apply and commit then do it, or say why it cannot
        be done. So it is False where the token stored is not the one taken over with, where anything is parked, where a row
        is refused or lacking, where a table was not looked at yet, and always with an adapter that gains nothing by it. For
        AT_ONCE_CHANGES at most: of many, the round trips are the least.
        Raises TargetUnavailable as `commit` does: the stored row tells what happened."""

    def rollback(self) -> None:
        """Never raises; may be called at any time."""

    def close(self) -> None: ...


class Target(Protocol):
    """The adapter's front for one sink of one connector. Constructing it opens no connection."""

    def writer(self, lease_seconds: float) -> LaneWriter: ...

    def progress(self) -> Mapping[str, Progress]:
        """All lanes' progress rows of this connector and sink, as committed; empty where there is no table yet."""

    def copies(self) -> Mapping[str, str]:
        """What `remember` was given last, by lane, as committed."""

    def inspect(self, schemas: Sequence[TableSchema]) -> Mapping[str, Sequence[ColumnFinding]]:
        """For `cdc check`: by source table `db.table`, the columns that cannot be held, and what those that can will lose;
        raises as above when unreachable, when rights are missing, or (create_tables: false) when a table is missing."""

    def findings(self, tables: Sequence[Expected]) -> Sequence[Finding]:
        """For `cdc check`, beside `inspect`: what else at the target would refuse, change or delay what is applied: keys that the
        source has not, triggers, foreign keys, generated and mandatory columns, collations, rights, modes and time-outs,
        durability, its clock. Tables that are not there yet are passed over. Only reads. Raises as `inspect` does where it
        cannot be asked."""

    def dead_letters(self, limit: int) -> Sequence[StoredLetter]: ...

    def dead_letter_count(self) -> int: ...

    def settle(self, letters: Sequence[StoredLetter], batches: Sequence[TableBatch]) -> None:
        """One transaction: locks the progress rows of the letters' lanes, in the order of their names (so it is serial with
        their sinks, and no two settlements wait for each other), removes `letters`, applies `batches` (tolerant). With no
        batches it drops them.

        Where a letter is not there any more it changes nothing and raises TargetBusy: somebody else has settled it, the sink
        may have written newer changes of its row since, and `batches` would put an old image over them; so it does where the
        table of a letter was changed since it was listed. An error leaves all letters where they are."""

    def rows(self, schema: TableSchema) -> TableRows | None:
        """What the target has of the source's table, as `schema` says that it is; None where there is no such table. Raises
        TargetRefused where a sink could not write it: a column or key is missing, or a column cannot hold its values."""

    def describe(self) -> str:
        """Product and version, for people: `PostgreSQL 15.20`."""

    def close(self) -> None: ...
