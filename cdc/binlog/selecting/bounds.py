"""Keys that cut a table into ranges, without a scan of it: a look at both ends of the key's index, and a few for each cut.

Of whole numbers the middle is taken for the middle. How other keys lie between the first and the last one, the server is asked:
what it reckons for EXPLAIN it reads from few pages of the index ("Range Optimization", index dives,
https://dev.mysql.com/doc/refman/9.7/en/range-optimization.html), and some such questions close in on a cut.
"""

from collections.abc import Sequence
from typing import NamedTuple

from cdc.binlog.rows_port import Key
from cdc.binlog.selecting import keys
from cdc.binlog.selecting.key_space import KeySpace, key_space
from cdc.binlog.selecting.session import Session
from cdc.binlog.selecting.table import TablePlan, statistics
from cdc.model.change import Value
from cdc.model.errors import NotUnderstood

_INTEGERS = frozenset(("tinyint", "smallint", "mediumint", "int", "bigint", "year"))
_LEAST_ROWS = 1000  # with fewer the questions cost more than they save
_MOST_HALVINGS = 128  # two questions each, of about a millisecond
_OF_EACH_PART = 8  # so many times smaller than a part is what need not be halved any more
# Places of `rows` from the end, by the number of columns: MySQL has `filtered` behind it ("EXPLAIN Output Format").
_ROWS_OF_EXPLAIN = {12: -3, 10: -2}


def cuts(session: Session, plan: TablePlan, parts: int) -> Sequence[Key]:
    """In key order, each the key of a row that was there. None where what the key begins with has no middle."""
    if parts < 2 or plan.prefix:
        return ()
    if plan.schema.column(plan.schema.key[0]).type in _INTEGERS:
        return _by_distance(session, plan, parts)
    try:
        return _by_estimates(session, plan, parts)
    except (ValueError, NotUnderstood):
        return ()  # a key that cannot be read: who reads the rows will say so


def _by_distance(session: Session, plan: TablePlan, parts: int) -> Sequence[Key]:
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


def _by_estimates(session: Session, plan: TablePlan, parts: int) -> Sequence[Key]:
    """Each cut is looked for behind the last one, so they are in the server's order whatever a guess was worth."""
    first = plan.key[0]
    lowest, highest = _row_at(session, plan, "", backwards=False), _row_at(session, plan, "", backwards=True)
    if lowest is None or highest is None or first.descending:
        return ()
    space = key_space(plan.schema.column(plan.schema.key[0]), lowest[0], highest[0])
    rows = int(statistics(session.texts, plan.schema.db, plan.schema.table)[2] or 0)
    if space is None or rows < _LEAST_ROWS:
        return ()
    found: list[Key] = []
    for number in guesses(_stretches(session, plan, space, rows, parts), parts):
        conditions = [f"{first.quoted} >= {first.literal(space.value(number))}"]
        if found:
            conditions.append(f"({keys.after(plan.key, found[-1])})")
        key = _row_at(session, plan, f" WHERE {' AND '.join(conditions)}", backwards=False)
        if key is not None and key != highest:
            found.append(key)
    return found


class Stretch(NamedTuple):
    """Of the numbers from `low` to before `high`; the server reckons with `rows` there."""

    low: int
    high: int
    rows: int


def _stretches(session: Session, plan: TablePlan, space: KeySpace, rows: int, parts: int) -> list[Stretch]:
    """In order. The one with the most rows is halved again and again: so where keys lie close together there are many. Of a
    large part of a table a server reckons with half of it at most, and badly; of small ones, which are left in the end, well."""
    found = [Stretch(space.low, space.high, rows)]
    for _ in range(_MOST_HALVINGS):
        most = max(found, key=lambda one: one.rows)
        if most.high - most.low < 2 or most.rows * _OF_EACH_PART * parts <= sum(one.rows for one in found):
            break
        middle = (most.low + most.high) // 2
        place = found.index(most)
        found[place : place + 1] = [
            Stretch(low, high, _estimated(session, plan, space, low, high))
            for low, high in ((most.low, middle), (middle, most.high))
        ]
    return found


def guesses(stretches: Sequence[Stretch], parts: int) -> list[int]:
    """Up to `parts` - 1 numbers, ascending, that cut the stretches into parts of about as many rows."""
    total = sum(one.rows for one in stretches)
    found: list[int] = []
    before = 0
    for low, high, rows in stretches:
        while len(found) + 1 < parts and (wanted := total * (len(found) + 1) / parts) < before + rows:
            found.append(low + int((high - low) * max(0.0, wanted - before) / rows))
        before += rows
    return list(dict.fromkeys(found))


def _estimated(session: Session, plan: TablePlan, space: KeySpace, low: int, high: int) -> int:
    """How many rows the server reckons with. Raises ValueError where its answer has another form. With a forced index MySQL would
    not look ("skip index dives")."""
    first = plan.key[0]
    lower, upper = (first.literal(space.value(number)) for number in (low, high))
    (row, *_) = session.ask(
        f"EXPLAIN FORMAT=TRADITIONAL SELECT {first.quoted} FROM {keys.quoted_table(plan.schema.db, plan.schema.table)} "  # noqa: S608
        f"WHERE {first.quoted} >= {lower} AND {first.quoted} < {upper}"
    )
    if len(row) not in _ROWS_OF_EXPLAIN:
        raise ValueError("another form of EXPLAIN")
    return int(row[_ROWS_OF_EXPLAIN[len(row)]] or 0)


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
