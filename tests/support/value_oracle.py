"""The server's own SELECT as the oracle of decoded values: one table of one column, inserted, updated, deleted, compared."""

import itertools
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from pymysql.converters import conversions

from cdc.binlog.decoder.port import Decoder
from cdc.binlog.decoder.rows import ABSENT, DecodedRow, Values
from cdc.model.change import Value
from tests.fixtures.servers import Database
from tests.support.binlog_dump import end_of_binlog, events_since, rows_events

Rendering = Callable[[Any], Value]

# Encoders alone: the answers then come as the server's text (bytes where binary), not as PyMySQL's Python objects.
TEXT_ANSWERS = {kind: encode for kind, encode in conversions.items() if not isinstance(kind, int)}
_SHIFT = 1_000_000
_numbers = itertools.count(1)


def base64(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def exact(value: Value) -> str:
    """Tells 1 from 1.0 and 0.0 from -0.0, and proves that the value can be sent."""
    assert orjson.loads(orjson.dumps(value)) == value
    return repr(value)


class Oracle:
    """Compares what the decoder makes of the binlog with what SELECT says, on one server."""

    def __init__(self, database: Database, decoder: Decoder) -> None:
        self._database = database
        self._decoder = decoder
        self._connection = database.connect(conv=TEXT_ANSWERS)
        self.flavor = database.server.kind
        self._run("SET time_zone = '+00:00'")
        self._run("SET sql_mode = 'ALLOW_INVALID_DATES'")

    def close(self) -> None:
        self._connection.close()

    def compare(
        self,
        definition: str,
        values: Iterable[Any],
        *,
        select: str = "v",
        render: Rendering = str,
        insert: str = "%s",
    ) -> list[Value]:
        """Inserts `values` (each as `insert` with it as the parameter) into `v <definition>`; returns what was decoded.

        `select` is an expression over v, `render` makes of its text what the event must hold. Every value is seen in a
        create, in both images of an update, and in a delete.
        """
        table = f"v{next(_numbers)}"
        self._run(f"CREATE TABLE {table} (id INT PRIMARY KEY, v {definition})")
        begin = end_of_binlog(self._connection)
        rows = list(enumerate([*values, None]))
        with self._connection.cursor() as cursor:
            cursor.executemany(f"INSERT IGNORE INTO {table} VALUES (%s, {insert})", rows)
            cursor.execute(f"SELECT id, {select} FROM {table} ORDER BY id")
            expected = [(int(number), None if text is None else render(text)) for number, text in cursor.fetchall()]
        assert len(expected) == len(rows)
        self._run(f"UPDATE {table} SET id = id + {_SHIFT} ORDER BY id DESC")
        self._run(f"DELETE FROM {table}")
        self._check(begin, table, expected)
        return [value for _, value in expected]

    def _check(self, begin: Any, table: str, expected: Sequence[tuple[int, Value]]) -> None:
        created, before, after, deleted = [], [], [], []
        with self._database.connect() as dump:
            for rows in rows_events(events_since(dump, begin), self._decoder):
                if rows.table.table != table or rows.table.db != self._database.dbname:
                    continue
                for op, old, new in rows.decode(self._decoder):
                    {"c": created, "u": after, "d": []}[op].append(new)
                    {"c": [], "u": before, "d": deleted}[op].append(old)
        shifted = [(number + _SHIFT, value) for number, value in expected]
        assert _comparable(created) == _comparable(expected)
        assert _comparable(before) == _comparable(expected)
        assert _comparable(after) == _comparable(shifted)
        assert _comparable(deleted) == _comparable(shifted)

    def _run(self, sql: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)


def _comparable(rows: Iterable[Any]) -> list[tuple[int, str]]:
    return sorted((number, exact(value)) for number, value in rows)


class Mirror:
    """A table as its rows events make it: applied one after the other, each image held against the row before it. The first
    column is the key."""

    def __init__(self) -> None:
        self.rows: dict[Value, list[Value]] = {}

    def apply(self, rows: Iterable[DecodedRow]) -> None:
        for op, before, after in rows:
            if op == "c":
                assert after is not None
                assert ABSENT not in after
                self._add(list(after))
                continue
            assert before is not None
            row = self.rows.pop(before[0])
            self._is(row, before)
            if op == "u":
                assert after is not None
                self._add([had if has is ABSENT else has for had, has in zip(row, after, strict=True)])

    def _add(self, row: list[Value]) -> None:
        assert row[0] not in self.rows
        self.rows[row[0]] = row

    @staticmethod
    def _is(row: Sequence[Value], image: Values) -> None:
        for has, says in zip(row, image, strict=True):
            if says is not ABSENT:
                assert exact(has) == exact(says)

    def must_be(self, expected: Mapping[Value, Sequence[Value]]) -> None:
        """Fails with the first row that differs, which pytest shows better than all of them."""
        assert sorted(self.rows) == sorted(expected)
        for key, row in expected.items():
            assert [exact(value) for value in self.rows[key]] == [exact(value) for value in row]


@contextmanager
def row_metadata(connection: Any, setting: str) -> Iterator[None]:
    """`binlog_row_metadata` of the whole server, for a while: a session cannot choose it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.binlog_row_metadata")
        (before,) = cursor.fetchone()
        cursor.execute(f"SET GLOBAL binlog_row_metadata = {setting}")
        try:
            yield
        finally:
            cursor.execute(f"SET GLOBAL binlog_row_metadata = {before}")
