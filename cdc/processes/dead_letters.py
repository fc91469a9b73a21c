"""Dead letters: what a target refused, and what waits behind it; looked at, applied after all, or given up.

Why a retry never puts an old image over a newer one: all letters of a row are settled in one transaction, as their net change in
the order of their sequences; as long as one of them is parked, the sink parks every later change of that row behind it, whatever
lane brings it; and `settle` changes nothing where somebody else has settled one of them. What the retry applies is therefore
the row's present state.

After a change of the number of lanes a row may have letters in two. Lane after lane would be wrong: given up, the older ones
take along the insert, or the columns, on which the newer ones build; applied on their own, they may be refused although
the net change is not.

A letter that its table's changes have overtaken is first brought to the shape that the table has now (cdc.target.carried); what
cannot be brought there exactly stays where it is, with the reason.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
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
    for together in _together(_carried(letters, schema_of, done)):
        if not _at_once(target, together, schema_of, done):
            _row_by_row(target, together, schema_of, done)
    return done


def _at_once(target: Target, letters: Sequence[StoredLetter], schema_of: "_Schemas", done: Settled) -> bool:
    """Whether all could be settled in one transaction; if not, nothing has changed."""
    changes = _changes(letters, schema_of)
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
            target.settle(of_row, _net_of_row(row, _changes(of_row, schema_of), schema_of))
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


def _changes(letters: Sequence[StoredLetter], schema_of: "_Schemas") -> list[Change]:
    """Each under its table's present name and shape. Of two shapes with the same columns the later one counts: a change event's
    own may differ from what a schema change left in what no value shows, and a row's net change is made of one."""
    changes = [_present(letter, schema_of) for letter in letters]
    last: dict[tuple[str, str], str] = {}
    for place in range(len(changes) - 1, -1, -1):
        change = changes[place]
        known = last.setdefault((change.db, change.table), change.schema)
        if letters[place].changes and known != change.schema and _alike(schema_of(known), schema_of(change.schema)):
            changes[place] = change._replace(schema=known)
        else:
            last[change.db, change.table] = change.schema
    return changes


def _alike(one: TableSchema, other: TableSchema) -> bool:
    return one.key == other.key and {c.name for c in one.columns} == {c.name for c in other.columns}


def _present(letter: StoredLetter, schema_of: "_Schemas") -> Change:
    """Raises RowRefused or TableRefused where the row cannot be brought to its table's present shape."""
    change = _change(letter)
    moved = (letter.db, letter.table) != (change.db, change.table)
    if not moved and not letter.since:
        return change
    from cdc.target.carried import carried  # noqa: PLC0415 - it brings SQLAlchemy, which a list of letters needs not

    schema = replace(schema_of(change.schema), db=letter.db, table=letter.table)
    after, schema = carried(change.after, schema, letter.changes)
    return change._replace(db=letter.db, table=letter.table, after=after, schema=schema_of.learn(schema))


def _carried(letters: Sequence[StoredLetter], schema_of: "_Schemas", done: Settled) -> list[StoredLetter]:
    """The letters of rows that can all be brought to their tables' present shape."""
    for letter in letters:
        try:
            _present(letter, schema_of)
        except (RowRefused, TableRefused) as error:
            done.refused.setdefault(RowOf.of(letter), f"{error.message}; {error.hint}")
    return [letter for letter in letters if RowOf.of(letter) not in done.refused]


class _Schemas:
    """Schemas by fingerprint: published ones, each asked for once, and those that rows were brought to."""

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

    def learn(self, schema: TableSchema) -> str:
        """Its fingerprint, by which it is found from now on."""
        return self._known.setdefault(schema.fingerprint(), schema).fingerprint()


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
