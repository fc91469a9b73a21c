"""Which rows of a group have values that the target's types refuse, told by COPY into a table without constraints.

A JSON parameter's error does not name the row, but COPY's does, by its line (in the error's context), and all rows before it
are good. So each refused row costs a short COPY and a rollback to a savepoint, and good ones nothing of their own.
"""

from collections.abc import Sequence

import psycopg

from cdc.model.errors import RowRefused
from cdc.target.port import RefusedRow
from cdc.target.postgresql_bulk import copy_text
from cdc.target.postgresql_connection import Connection
from cdc.target.postgresql_errors import kind_of, mapped
from cdc.target.postgresql_steps import COPY_LINE, Step, place_of

# What comes after a refused row is sent once more: so, less at once where many are refused (one row at least).
_LEAST_BYTES, _MOST_BYTES = 4 * 1024, 256 * 1024
# About half a second's work. The rest is found when the others are tried again, and the lease is looked at in between.
_MOST_FOUND = 500


def refused_rows(connection: Connection, stage: str, step: Step) -> list[RefusedRow]:
    """Some of the rows that are refused, in the order of `step.rows`: all of them, where they are not very many. Leaves the
    transaction and `stage` (an empty table of the step's shape, without constraints) as they were.

    Raises what is no refusal, and RowRefused where rows are not such as the shape says.
    """
    lines = copy_text(step.shape, step.rows).split(b"\n")[:-1]
    connection.execute("SAVEPOINT cdc_probe")
    found: list[RefusedRow] = []
    at, most_bytes = 0, _MOST_BYTES
    while at < len(lines) and len(found) < _MOST_FOUND:
        part = _some(lines, at, most_bytes)
        error = _copied(connection, stage, part)
        if error is None:
            at += len(part)
            most_bytes = min(most_bytes * 2, _MOST_BYTES)
            continue
        connection.execute("ROLLBACK TO SAVEPOINT cdc_probe")
        number = _number(error, len(part))
        if number is None:
            break
        found.append(_refused(error, step, at + number - 1))
        at += number
        most_bytes = max(most_bytes // 2, _LEAST_BYTES)
    connection.execute("ROLLBACK TO SAVEPOINT cdc_probe; RELEASE SAVEPOINT cdc_probe")
    return found


def _some(lines: Sequence[bytes], start: int, most_bytes: int) -> Sequence[bytes]:
    end, room = start + 1, most_bytes - len(lines[start])
    while end < len(lines) and len(lines[end]) <= room:
        room -= len(lines[end])
        end += 1
    return lines[start:end]


def _copied(connection: Connection, stage: str, lines: Sequence[bytes]) -> psycopg.Error | None:
    """None, or how the server refused them."""
    try:
        with connection.cursor() as cursor, cursor.copy(f"COPY {stage} FROM STDIN") as stream:
            stream.write(b"\n".join(lines) + b"\n")
    except psycopg.Error as error:
        if kind_of(error) is not RowRefused:
            raise mapped(error) from None
        return error
    return None


def _number(error: psycopg.Error, lines: int) -> int | None:
    """The line, from 1; None where the server does not tell."""
    told = COPY_LINE.search(error.diag.context or "")
    if told is None:
        return 1 if lines == 1 else None
    return int(told[1]) if 1 <= int(told[1]) <= lines else None


def _refused(error: psycopg.Error, step: Step, at: int) -> RefusedRow:
    plan, row = step.shape.table.plan, step.rows[at]
    reason = mapped(error, place_of(error, step, row)).message
    return RefusedRow(plan.schema.db, plan.schema.table, tuple(row[name] for name in plan.key), reason)
