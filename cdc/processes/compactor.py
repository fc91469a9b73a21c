"""Within one batch, several changes of a key become the net one: a pure function of changes.

Keeping upserts and deletes apart by kind would lose rows; here the last operation of a key wins, merged with what the
earlier ones of the batch had already made of the row.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from cdc.model.batch import Key, TableBatch
from cdc.model.change import Change, Row
from cdc.model.compiled_received import compact_received, one_version, tally
from cdc.model.errors import PoisonMessage
from cdc.model.schema import TableSchema

_Net = tuple[str, Row]
_DELETED: _Net = ("delete", {})


def compact(
    changes: Sequence[Change], schema_of: Callable[[str], TableSchema], *, upsert: bool = False
) -> list[TableBatch]:
    """The net change of each key, one TableBatch for each table in the order of their first change.

    All changes of one table must be of one schema version (see `runs`). With `upsert`, and for changes that a rewind sends
    again, an update counts as an insert of the whole row, which may be missing. One that lacks columns stays an update: what it
    lacks can only be kept by a row that is there.
    """
    received = compact_received(changes, schema_of, upsert) if isinstance(changes, list) else None
    if received is not None:
        return received
    tables: dict[str, tuple[TableSchema, dict[Key, _Net]]] = {}
    for change in changes:
        if change.schema not in tables:
            tables[change.schema] = (schema_of(change.schema), {})
        schema, nets = tables[change.schema]
        # A row has no other columns than its schema's, so their number tells whether it is whole.
        nets[change.key] = _merge(nets.get(change.key), change, upsert or change.replay, len(schema.columns))
    return [_batch(schema, nets) for schema, nets in tables.values()]


def runs(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """Cuts a batch where a table goes on under another schema version: what comes before must be applied first."""
    if isinstance(changes, list) and one_version(changes):
        yield changes
        return
    run: list[Change] = []
    versions: dict[tuple[str, str], str] = {}
    for change in changes:
        if versions.setdefault((change.db, change.table), change.schema) != change.schema:
            yield run
            run = []
            versions = {(change.db, change.table): change.schema}
        run.append(change)
    if run:
        yield run


def _merge(net: _Net | None, change: Change, upsert: bool, columns: int) -> _Net:
    """`columns`: how many a whole row has."""
    if change.op == "d":
        return _DELETED
    row = change.after
    if row is None:
        raise PoisonMessage(
            f"a change '{change.op}' of {change.db}.{change.table} at {change.seq} has no row",
            hint="find out who else writes to this queue; `cdc replay` sends the true events again",
        )
    if change.op != "u" or (upsert and len(row) >= columns):
        return ("insert", row)
    if net is None or net is _DELETED:
        return ("update", row)
    kind, earlier = net
    return (kind, row if row.keys() == earlier.keys() else {**earlier, **row})


def _batch(schema: TableSchema, nets: dict[Key, _Net]) -> TableBatch:
    deletes: list[Key] = []
    rows: dict[str, list[Row]] = {"insert": [], "update": []}
    for key, (kind, row) in nets.items():
        if kind == "delete":
            deletes.append(key)
        else:
            rows[kind].append(row)
    return TableBatch(schema, deletes, rows["update"], rows["insert"])


def tallied(changes: Sequence[Change]) -> tuple[Mapping[str, int], Mapping[int, int]]:
    """How many changes there are of each operation, and of each commit time."""
    counted = tally(changes) if isinstance(changes, list) else None
    return counted or (Counter(change.op for change in changes), Counter(change.commit_us for change in changes))
