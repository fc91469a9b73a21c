"""Keys that cut a table into ranges, without a scan of it: a look at both ends of the key's index, and one for each cut.

Of numbers alone: between two of them there is a middle. How texts lie between the first and the last one only a scan would tell.
"""

from collections.abc import Sequence

from cdc.binlog.rows_port import Key
from cdc.binlog.selecting.session import Session
from cdc.binlog.selecting.table import TablePlan
from cdc.model.change import Value

_INTEGERS = frozenset(("tinyint", "smallint", "mediumint", "int", "bigint", "year"))


def cuts(session: Session, plan: TablePlan, parts: int) -> Sequence[Key]:
    """In key order, each the key of a row that was there. None where the key does not begin with an integer."""
    if parts < 2 or plan.prefix or plan.schema.column(plan.schema.key[0]).type not in _INTEGERS:
        return ()
    first = plan.key[0]
    lowest, highest = _row_at(session, plan, "", backwards=False), _row_at(session, plan, "", backwards=True)
    if lowest is None or highest is None:
        return ()
    found: list[Key] = []
    for value in steps(_whole(lowest[0]), _whole(highest[0]), parts):
        sign = "<=" if first.descending else ">="
        key = _row_at(session, plan, f" WHERE {first.quoted} {sign} {value}", backwards=False)
        # Where there is a gap in the numbers several steps lead to one row. The last key would cut nothing off.
        if key is not None and key not in (*found[-1:], highest):
            found.append(key)
    return found


def steps(first: int, last: int, parts: int) -> list[int]:
    """Up to `parts` - 1 numbers between the two, which may be in falling order, at equal distances."""
    span = last - first
    found = dict.fromkeys(first + span * part // parts for part in range(1, parts))
    return [number for number in found if number not in (first, last)]


def _whole(value: Value) -> int:
    return int(value)  # type: ignore[arg-type] # an integer's, as the column's type says


def _row_at(session: Session, plan: TablePlan, condition: str, *, backwards: bool) -> Key | None:
    """The key of the first row in key order, or of the last one."""
    order = ", ".join([f"{column.quoted}{' DESC' if column.descending != backwards else ''}" for column in plan.key])
    rows = session.ask(f"{plan.select_key}{condition} ORDER BY {order} LIMIT 1")
    # No column of a key is NULL.
    return tuple(read(sent or b"") for read, sent in zip(plan.key_readers, rows[0], strict=True)) if rows else None
