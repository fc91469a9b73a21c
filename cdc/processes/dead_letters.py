"""Dead letters: what a target refused, and what waits behind it; looked at, applied after all, or given up.

Why a retry never puts an old image over a newer one: all letters of a row are settled in one transaction, as their net change in
the order of their sequences; as long as one of them is parked, the sink parks every later change of that row behind it, whatever
lane brings it; and `settle` changes nothing where somebody else has settled one of them. What the retry applies is therefore
the row's present state.

After a change of the number of lanes a row may have letters in two. Lane after lane would be wrong: given up, the older ones
take along the insert, or the columns, on which the newer ones build; applied on their own, they may be refused although
the net change is not.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from cdc.model.batch import TableBatch
from cdc.model.change import Change, parse
from cdc.model.errors import PoisonMessage, RowRefused, TableRefused
from cdc.model.schema import TableSchema
from cdc.processes.compactor import compact, runs
from cdc.queue.port import Queue
from cdc.target.port import StoredLetter, Target

PAGE_LETTERS = 2000


class RowOf(NamedTuple):
    """A row's name: whose letters are settled together."""

    db: str
    table: str
    key: bytes

    @classmethod
    def of(cls, letter: StoredLetter) -> "RowOf":
        return cls(letter.db, letter.table, letter.key_json)

    @property
    def shown(self) -> str:
        """The key's values, for people."""
        return ", ".join(str(value) for value in orjson.loads(self.key).values())


@dataclass(slots=True)
class Settled:
    """What became of the letters: `applied` or dropped, and for each row that the target refuses again, why."""

    letters: int = 0
    rows: int = 0
    refused: dict[RowOf, str] = field(default_factory=dict)


def pages(target: Target) -> Iterator[Sequence[StoredLetter]]:
    """All letters, oldest first; each page brings those that the ones before did not. Letters may vanish between pages."""
    seen, limit = 0, PAGE_LETTERS
    while True:
        page = target.dead_letters(limit)
        fresh = [letter for letter in page if letter.id > seen]
        if fresh:
            seen = fresh[-1].id
            yield fresh
        if len(page) < limit:
            return
        limit += 0 if fresh else PAGE_LETTERS


def chosen(target: Target, ids: Sequence[int] | None) -> list[StoredLetter]:
    """The letters of `ids` (all: None), and with each all other letters of its row."""
    letters = [letter for page in pages(target) for letter in page]
    if ids is None:
        return letters
    rows = {RowOf.of(letter) for letter in letters if letter.id in set(ids)}
    return [letter for letter in letters if RowOf.of(letter) in rows]


def drop(target: Target, letters: Sequence[StoredLetter]) -> Settled:
    """Gives the letters up; raises what the target raises."""
    done = Settled()
    for together in _together(letters):
        target.settle(together, [])
        _count(done, together)
    return done


def retry(target: Target, queue: Queue, letters: Sequence[StoredLetter]) -> Settled:
    """Applies the net change of each row and removes its letters. A lane's rows go in one transaction; where the target
    refuses that, row by row, so that one bad row keeps no other waiting. Raises what target and queue raise but RowRefused."""
    schema_of = _Schemas(queue)
    done = Settled()
    for together in _together(letters):
        if not _at_once(target, together, schema_of, done):
            _row_by_row(target, together, schema_of, done)
    return done


def _at_once(target: Target, letters: Sequence[StoredLetter], schema_of: "_Schemas", done: Settled) -> bool:
    """Whether all could be settled in one transaction; if not, nothing has changed."""
    changes = [_change(letter) for letter in letters]
    if len(list(runs(changes))) > 1:
        return False
    try:
        target.settle(letters, compact(changes, schema_of))
    except RowRefused:
        return False
    _count(done, letters)
    return True


def _row_by_row(target: Target, letters: Sequence[StoredLetter], schema_of: "_Schemas", done: Settled) -> None:
    for row, of_row in _by_row(letters):
        try:
            target.settle(of_row, _net_of_row(row, [_change(letter) for letter in of_row], schema_of))
            _count(done, of_row)
        except RowRefused as error:
            done.refused[row] = error.message


def _net_of_row(row: RowOf, changes: Sequence[Change], schema_of: Callable[[str], TableSchema]) -> list[TableBatch]:
    """Of a row that changed under several versions of its table, the last version's image is whole, or it is a delete."""
    last = [change for change in changes if change.schema == changes[-1].schema]
    batches = compact(last, schema_of)
    columns = {column.name for batch in batches for column in batch.schema.columns}
    if len(last) < len(changes) and any(
        columns - image.keys() for batch in batches for image in (*batch.updates, *batch.inserts)
    ):
        raise TableRefused(
            f"the dead letters of {row.db}.{row.table} span a change of the table, and the last one has not all columns",
            hint="drop them, then `cdc replay` from before the first of them",
        )
    return batches


def _change(letter: StoredLetter) -> Change:
    parsed = parse(letter.key_json, letter.value)
    if isinstance(parsed, Change):
        return parsed
    raise PoisonMessage(
        f"dead letter {letter.id} is not a change event",
        hint=f"look at it: cdc dlq show FILE --id {letter.id}; then drop it",
    )


class _Schemas:
    """Published schemas by fingerprint, each asked for once."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._known: dict[str, TableSchema] = {}

    def __call__(self, fingerprint: str) -> TableSchema:
        if fingerprint not in self._known:
            schema = self._queue.schema(fingerprint)
            if schema is None:
                raise TableRefused(
                    f"the queue has no schema {fingerprint} any more",
                    hint="start the reader and change a row of the table: it publishes the schema again",
                )
            self._known[fingerprint] = schema
        return self._known[fingerprint]


def _together(letters: Sequence[StoredLetter]) -> list[list[StoredLetter]]:
    """What is settled in one transaction, in the order of the source: all rows that have their letters in the same lanes.
    Most have them in one, and then only that lane's sink waits."""
    lanes: dict[RowOf, set[str]] = {}
    for letter in letters:
        lanes.setdefault(RowOf.of(letter), set()).add(letter.lane)
    groups: dict[frozenset[str], list[StoredLetter]] = {}
    for letter in sorted(letters, key=_age):
        groups.setdefault(frozenset(lanes[RowOf.of(letter)]), []).append(letter)
    return list(groups.values())


def _age(letter: StoredLetter) -> tuple[tuple[int, ...], int]:
    """The order of changes across lanes and generations; ids tell it only within a lane."""
    return tuple(map(int, letter.seq.split(":"))), letter.id


def _by_row(letters: Sequence[StoredLetter]) -> list[tuple[RowOf, list[StoredLetter]]]:
    rows: dict[RowOf, list[StoredLetter]] = {}
    for letter in letters:
        rows.setdefault(RowOf.of(letter), []).append(letter)
    return list(rows.items())


def _count(done: Settled, letters: Sequence[StoredLetter]) -> None:
    done.letters += len(letters)
    done.rows += len({RowOf.of(letter) for letter in letters})
