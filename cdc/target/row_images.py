"""Rows by what their image has: whole ones, and those of which only some columns came (binlog_row_image not FULL)."""

from cdc.model.batch import Key, TableBatch
from cdc.model.change import Row
from cdc.model.errors import RowRefused
from cdc.target.sql.names import shown
from cdc.target.sql.plan import TablePlan

MISSING_ROW_HINT = (
    "set sink.missing_rows to insert, which takes whole rows as inserts, and start the sink again; or sink.on_error to "
    "dead_letter, and then `cdc dlq retry`. A rewind, a refresh and `verify --repair` come behind this change, and wait for it"
)


def sorted_by_image(plan: TablePlan, batch: TableBatch) -> tuple[list[Row], list[Row]]:
    """The batch's updates, whole and partial. Raises RowRefused for a row without its key or with a column that the schema has
    not, and for an insert that is not whole: absent is not NULL."""
    names = set(plan.source_columns)
    key = set(plan.key)
    whole, partial = [], []
    for row in batch.updates:
        if row.keys() == names:
            whole.append(row)
        elif key <= row.keys() <= names:
            partial.append(row)
        else:
            raise other_columns(plan)
    if any(row.keys() != names for row in batch.inserts):
        raise other_columns(plan)
    return whole, partial


def other_columns(plan: TablePlan) -> RowRefused:
    return RowRefused(
        f"a row for table {shown(str(plan.name))} has other columns than its schema says, or lacks its key",
        hint="find out who else writes to this queue; `cdc replay` sends the true ones again",
    )


def key_of(plan: TablePlan, row: Row) -> Key:
    return tuple(row[name] for name in plan.key)


def missing_row(plan: TablePlan, key: Key) -> RowRefused:
    return RowRefused(
        f"table {shown(str(plan.name))} has no row with the key {shown_key(plan, key)} to update",
        hint=MISSING_ROW_HINT,
    )


def shown_key(plan: TablePlan, key: Key) -> str:
    """Keys are named in errors, on one line, and cut where they are long."""
    text = shown(", ".join(f"{name}={value}" for name, value in zip(plan.key, key, strict=False)))
    return text if len(text) <= 200 else f"{text[:200]}…"
