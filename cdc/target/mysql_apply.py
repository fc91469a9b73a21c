# ruff: noqa: S608 — identifiers come quoted from the plan, values from mysql_literals: there are no others here.
"""Applies net changes to MySQL tables in bulk, so that only the rows of the given primary keys ever change.

`INSERT … ON DUPLICATE KEY UPDATE` fires on *any* unique index and would then change another row. Three facts make it safe:

1. A table whose one unique index is its primary key has no other row to hit.
2. Of a row whose primary key is there and locked, InnoDB meets the duplicate in the clustered index before it looks at any
   other index, so the update is of that row.
3. Rows that are not there are inserted by a plain INSERT, which fails on any duplicate.

So tables of the first kind take one statement. Others are tried, each try under a savepoint, as: updates of rows that were
counted and locked, plain inserts; then sorted into rows that are there and rows that are not; then, where values move
between unique keys in a circle, by taking the rows out and putting them back whole.
"""

from collections.abc import Callable, Iterator, Sequence

import pymysql

from cdc.model.batch import Key, TableBatch
from cdc.model.change import Row
from cdc.model.compiled_received import ReceivedRows
from cdc.model.errors import RowRefused
from cdc.target.mysql_errors import is_duplicate
from cdc.target.mysql_literals import (
    Encoder,
    key_texts,
    parameter_kinds,
    pieces,
    received_encoders,
    row_texts,
    size_bytes,
)
from cdc.target.mysql_session import Session
from cdc.target.mysql_tables import TargetTable
from cdc.target.row_images import key_of, missing_row, shown_key, sorted_by_image
from cdc.target.sql.typemap import INTEGERS

# Up to here InnoDB's optimizer stays with ranges of the primary key (range_optimizer_max_mem_size), MariaDB's does not
# make a join of the list (in_predicate_conversion_threshold).
_MAX_KEYS = 900
# A DELETE by keys with a LIMIT of as many goes by ranges of the primary key even in a small table, which would else be
# read (and locked, row by row, against other lanes) from end to end.
_MAX_DELETES = 250
# `CASE` compares each row with each key of its statement.
_MAX_CASES = 100
_MAX_PROBES = 200
_MAX_ROWS = 50_000

_SCRATCH = "`_cdc_rearranged`"


class Applier:
    """Writes through one session, inside its open transaction. Driver errors pass through; RowRefused is raised for rows
    that are missing or too large."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def delete(self, table: TargetTable, keys: Sequence[Key]) -> None:
        for part, listed in self._listed(table, keys, _MAX_DELETES):
            self._session.run(
                f"DELETE FROM {table.plan.quoted} WHERE {table.key_columns} IN ({listed}) LIMIT {len(part)}"
            )

    def write(self, table: TargetTable, batch: TableBatch, *, tolerant: bool) -> None:
        """The batch's updates, then its inserts."""
        if not batch.updates and not batch.inserts:
            return
        if not table.other_unique and _is_received(batch.updates) and _is_received(batch.inserts):
            self._write_received(table, batch, tolerant=tolerant)
            return
        whole, partial = _images(table, batch)
        # A row of which only some columns came cannot be made where it is missing.
        self._require(table, [key_of(table.plan, row) for row in (partial if tolerant else batch.updates)])
        if not table.other_unique:
            self._update_columns(table, partial)
            self._upsert(table, whole)
            return
        tries: list[Callable[[TargetTable, TableBatch], None]] = [self._write_sorted, self._write_rearranged]
        if not tolerant:
            tries.insert(0, self._write_straight)
        self._first_that_fits(table, batch, tries)

    def _write_received(self, table: TargetTable, batch: TableBatch, *, tolerant: bool) -> None:
        """Whole rows of a table whose one unique index is its primary key (fact 1)."""
        if not tolerant:
            self._update_received(table, batch.updates)
        elif batch.updates:
            self._upsert_received(table, batch.updates)
        if batch.inserts:
            self._upsert_received(table, batch.inserts)

    def _update_received(self, table: TargetTable, rows: Sequence[Row]) -> None:
        """The upsert itself tells whether all rows were there. Where it does not (a row was as it is to be), it is asked first.
        Only of integers it is sure that two keys are two rows."""
        if not rows:
            return
        if all(table.plan.schema.column(name).type in INTEGERS for name in table.plan.key):
            self._session.run("SAVEPOINT cdc_update")
            if self._upsert_received(table, rows) == len(rows):
                self._session.run("RELEASE SAVEPOINT cdc_update")
                return
            self._session.run("ROLLBACK TO SAVEPOINT cdc_update")
        self._require(table, [key_of(table.plan, row) for row in rows])
        self._upsert_received(table, rows)

    def _upsert_received(self, table: TargetTable, rows: Sequence[Row]) -> int:
        """How many of the rows were there and became others, as far as the server says so."""
        assert isinstance(rows, ReceivedRows)  # noqa: S101 - see _is_received
        head, tail = self._insert_head(table, None).encode(), self._upsert_tail(table).encode()
        of_column = received_encoders(table.plan)
        encoders = [of_column[i] for i in table.written]
        start, changed = self._upsert_prepared(table, rows, encoders, head, tail)
        room = self._session.max_statement_bytes - len(head) - len(tail)
        while start < len(rows):
            text, end = rows.mysql_values(start, table.written, encoders, room, _MAX_ROWS)
            if end == start + 1 and len(text) > self._session.max_row_bytes:
                raise self._too_large(table, rows[start])
            changed += self._session.run_upsert(head + text + tail) or 0
            start = end
        return changed

    def _upsert_prepared(
        self, table: TargetTable, rows: ReceivedRows, encoders: Sequence[str | Encoder], head: bytes, tail: bytes
    ) -> tuple[int, int]:
        """The first rows, as many as prepared statements take: how many these are, and how many of them became others."""
        kinds = parameter_kinds(encoders)
        count = self._session.prepared_rows(len(encoders))
        if kinds is None or not 0 < count <= len(rows):
            return 0, 0
        values = b"(" + b",".join([b"?"] * len(encoders)) + b")"
        statement = head + b",".join([values] * count) + tail
        start = changed = 0
        while start + count <= len(rows):
            parameters = rows.mysql_parameters(start, count, table.written, kinds, self._session.max_statement_bytes)
            if parameters is None:
                break
            done, became = self._session.run_prepared_upsert(statement, parameters)
            if not done:
                break
            changed += became or 0
            start += count
        return start, changed

    def _first_that_fits(
        self, table: TargetTable, batch: TableBatch, tries: Sequence[Callable[[TargetTable, TableBatch], None]]
    ) -> None:
        for attempt in tries[:-1]:
            self._session.run("SAVEPOINT cdc_write")
            try:
                attempt(table, batch)
            except pymysql.err.MySQLError as error:
                if not is_duplicate(error):
                    raise
                self._session.run("ROLLBACK TO SAVEPOINT cdc_write")
            else:
                return
        tries[-1](table, batch)

    def _write_straight(self, table: TargetTable, batch: TableBatch) -> None:
        """Updates are known to be there; inserts are mostly new."""
        whole, partial = _images(table, batch)
        self._update_columns(table, partial)
        self._upsert(table, whole[: len(whole) - len(batch.inserts)])
        self._insert(table, batch.inserts)

    def _write_sorted(self, table: TargetTable, batch: TableBatch) -> None:
        """A replay: what is there is updated, what is not is inserted."""
        whole, partial = _images(table, batch)
        there = self._present(table, [key_of(table.plan, row) for row in whole])
        self._update_columns(table, partial)
        self._upsert(table, [row for row, is_there in zip(whole, there, strict=True) if is_there])
        self._insert(table, [row for row, is_there in zip(whole, there, strict=True) if not is_there])

    def _write_rearranged(self, table: TargetTable, batch: TableBatch) -> None:
        """Unique values that change places among the batch's rows: a copy without the unique indexes takes the changes.

        Rows leave the table and come back in one transaction with their columns that are not ours; the rows that refer
        to them stay as they are, so the foreign keys are not looked at while they leave, but are when they come back.
        """
        run, columns = self._session.run, ",".join(table.stored_columns)
        key = ",".join(table.plan.quoted_key)
        whole, partial = _images(table, batch)
        keys = [key_of(table.plan, row) for row in (*whole, *partial)]
        run(f"DROP TEMPORARY TABLE IF EXISTS {_SCRATCH}")
        run(
            f"CREATE TEMPORARY TABLE {_SCRATCH} (PRIMARY KEY ({key})) ENGINE=InnoDB "
            f"SELECT {columns} FROM {table.plan.quoted} WHERE FALSE"
        )
        for _, listed in self._listed(table, keys, _MAX_KEYS):
            run(
                f"INSERT INTO {_SCRATCH} ({columns}) SELECT {columns} FROM {table.plan.quoted} "
                f"WHERE {table.key_columns} IN ({listed}) FOR UPDATE"
            )
        self._upsert(table, whole, into=_SCRATCH)
        self._update_columns(table, partial, into=_SCRATCH)
        run("SET SESSION foreign_key_checks = 0")
        try:
            self.delete(table, keys)
        finally:
            run("SET SESSION foreign_key_checks = 1")
        run(f"INSERT INTO {table.plan.quoted} ({columns}) SELECT {columns} FROM {_SCRATCH}")
        run(f"DROP TEMPORARY TABLE {_SCRATCH}")

    def _upsert(self, table: TargetTable, rows: Sequence[Row], into: str | None = None) -> None:
        """Only where the module's facts 1 or 2 hold."""
        self._insert(table, rows, into=into, tail=self._upsert_tail(table))

    def _upsert_tail(self, table: TargetTable) -> str:
        changed = [i for i in table.written if i not in table.plan.key_indexes] or list(table.plan.key_indexes)
        quoted = [table.plan.quoted_columns[i] for i in changed]
        if self._session.has_row_alias:
            # Quoted: NEW is a keyword in triggers, and a column could be called so.
            return " AS `_cdc_new` ON DUPLICATE KEY UPDATE " + ",".join(f"{c}=`_cdc_new`.{c}" for c in quoted)
        return " ON DUPLICATE KEY UPDATE " + ",".join(f"{c}=VALUES({c})" for c in quoted)

    def _insert(self, table: TargetTable, rows: Sequence[Row], *, into: str | None = None, tail: str = "") -> None:
        plan = table.plan
        head = self._insert_head(table, into)
        names = [plan.source_columns[i] for i in table.written]
        texts = row_texts([table.encode[i] for i in table.written], names, rows)
        room = self._session.max_statement_bytes - size_bytes(head) - size_bytes(tail)
        for part in pieces(texts, max_bytes=room, max_count=_MAX_ROWS):
            self._fits(table, texts[part], rows[part])
            self._session.run(head + ",".join(texts[part]) + tail)

    def _insert_head(self, table: TargetTable, into: str | None) -> str:
        listed = ",".join(table.plan.quoted_columns[i] for i in table.written)
        return f"INSERT INTO {into or table.plan.quoted} ({listed}) VALUES "

    def _update_columns(self, table: TargetTable, rows: Sequence[Row], into: str | None = None) -> None:
        """Rows of which only some columns came (binlog_row_image not FULL); the others stay as they are."""
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            groups.setdefault(tuple(name for name in table.plan.source_columns if name in row), []).append(row)
        for names, group in groups.items():
            indexes = [table.plan.index(name) for name in names]
            changed = [i for i in indexes if i in table.written and i not in table.plan.key_indexes]
            if not changed:
                continue
            texts = row_texts(
                [table.encode[i] for i in changed], [table.plan.source_columns[i] for i in changed], group
            )
            for part in pieces(texts, max_bytes=self._session.max_statement_bytes // 2, max_count=_MAX_CASES):
                self._fits(table, texts[part], group[part])
                self._session.run(_case_update(table, changed, group[part], into))

    def _require(self, table: TargetTable, keys: Sequence[Key]) -> None:
        """Raises RowRefused unless all are there; locks them where a safe update rests on that (fact 2)."""
        for part, listed in self._listed(table, keys, _MAX_KEYS):
            if self._count(table, listed) == len(part):
                continue
            for key, is_there in zip(part, self._probe(table, part), strict=True):
                if not is_there:
                    raise missing_row(table.plan, key)
            raise RowRefused(
                f"table {table}: two of the keys to update are one row at the target",
                hint="give its key columns the source's collation; `cdc check` names them",
            )

    def _present(self, table: TargetTable, keys: Sequence[Key]) -> list[bool]:
        """Whether each row is there; those that are, are locked."""
        found: list[bool] = []
        for part, listed in self._listed(table, keys, _MAX_KEYS):
            count = self._count(table, listed)
            found += [count > 0] * len(part) if count in {0, len(part)} else self._probe(table, part)
        return found

    def _count(self, table: TargetTable, listed: str) -> int:
        """How many of the keys are there. Locks only where a safe update rests on it: the optimizer may read a small table
        whole, and should then not wait for the rows of other lanes."""
        lock = " FOR UPDATE" if table.other_unique else ""
        ((count,),) = self._session.rows(
            f"SELECT COUNT(*) FROM {table.plan.quoted} FORCE INDEX (PRIMARY) WHERE {table.key_columns} IN ({listed}){lock}"
        )
        return int(count)

    def _probe(self, table: TargetTable, keys: Sequence[Key]) -> list[bool]:
        """Key by key, but not trip by trip: the server compares, so no spelling of a value can mislead us."""
        there = [False] * len(keys)
        for start in range(0, len(keys), _MAX_PROBES):
            selects = (
                f"(SELECT {start + i} FROM {table.plan.quoted} WHERE {_matches(table, key)} FOR UPDATE)"
                for i, key in enumerate(keys[start : start + _MAX_PROBES])
            )
            for (index,) in self._session.rows(" UNION ALL ".join(selects)):
                there[int(index)] = True
        return there

    def _listed(self, table: TargetTable, keys: Sequence[Key], max_count: int) -> Iterator[tuple[Sequence[Key], str]]:
        """Keys, some at a time, and the same as the inside of `IN (…)`."""
        texts = key_texts(table.key_encode, keys)
        for part in pieces(texts, max_bytes=self._session.max_statement_bytes - 1024, max_count=max_count):
            yield keys[part], ",".join(texts[part])

    def _fits(self, table: TargetTable, texts: Sequence[str], rows: Sequence[Row]) -> None:
        """The server would cut the connection of a statement beyond max_allowed_packet."""
        if len(texts) == 1 and size_bytes(texts[0]) > self._session.max_row_bytes:
            raise self._too_large(table, rows[0])

    def _too_large(self, table: TargetTable, row: Row) -> RowRefused:
        return RowRefused(
            f"table {table}, key {shown_key(table.plan, key_of(table.plan, row))}: the row is larger than the target's "
            f"max_allowed_packet ({self._session.max_row_bytes} bytes are left for a row)",
            hint="raise max_allowed_packet at the target, up to 1 GB",
        )


def _case_update(table: TargetTable, changed: Sequence[int], rows: Sequence[Row], into: str | None) -> str:
    """`UPDATE t SET c = CASE WHEN k=1 THEN … WHEN k=2 THEN … END WHERE k IN (1,2)`: literals take the columns' collations and
    types, which a join with a table of values would not."""
    plan, keys = table.plan, [key_of(table.plan, row) for row in rows]
    matches = [_matches(table, key) for key in keys]
    sets = []
    for index in changed:
        encode, name, quoted = table.encode[index], plan.source_columns[index], plan.quoted_columns[index]
        cases = " ".join(f"WHEN {m} THEN {encode(row[name])}" for m, row in zip(matches, rows, strict=True))
        sets.append(f"{quoted}=CASE {cases} END")
    listed = ",".join(key_texts(table.key_encode, keys))
    return f"UPDATE {into or plan.quoted} FORCE INDEX (PRIMARY) SET {','.join(sets)} WHERE {table.key_columns} IN ({listed})"


def _matches(table: TargetTable, key: Key) -> str:
    parts = zip(table.plan.quoted_key, table.key_encode, key, strict=True)
    return " AND ".join(f"{column}={encode(value)}" for column, encode, value in parts)


def _images(table: TargetTable, batch: TableBatch) -> tuple[list[Row], list[Row]]:
    """Whole rows (updates, then inserts), and updates of which only some columns came."""
    whole, partial = sorted_by_image(table.plan, batch)
    return [*whole, *batch.inserts], partial


def _is_received(rows: Sequence[Row]) -> bool:
    return not rows or isinstance(rows, ReceivedRows)
