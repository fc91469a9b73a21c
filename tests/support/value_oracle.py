"""The server's own SELECT as the oracle of decoded values: one table of one column, inserted, updated, deleted, compared."""

import itertools
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
from pymysql.converters import conversions

from cdc.binlog.decoder.port import Decoder
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
