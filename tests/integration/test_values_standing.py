"""The standing test: random schemas over all types and charsets, values at their edges, random DML; the decoded binlog is what
SELECT at the source says.

CDC_VALUES_ROWS sets how many rows each type gets (10000 for the full run; the default keeps both servers under a minute).
"""

import os
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc.binlog.decoder import load
from cdc.model.change import Value
from cdc.model.schema import Column, TableSchema
from tests.fixtures.servers import Database
from tests.support.binlog_dump import Place, end_of_binlog, events_since, rows_events
from tests.support.type_space import SQL_MODE, Kind, kinds
from tests.support.value_oracle import TEXT_ANSWERS, Mirror, row_metadata

ROWS = int(os.environ.get("CDC_VALUES_ROWS", "20"))
BATCH = 200
TABLE_WIDTH = 12
DECODER = load("python")
MYSQL, MARIADB = kinds("mysql"), kinds("mariadb")


class Source:
    """One table at the server, of the columns `id`, `c0`, `c1`, …, and what the binlog makes of it."""

    def __init__(self, database: Database, columns: Sequence[Kind], *, image: str = "FULL", options: str = "") -> None:
        self.columns = columns
        self._database = database
        self._connection = database.connect(conv=TEXT_ANSWERS)
        self.run(f"SET time_zone = '+00:00', sql_mode = '{SQL_MODE}', binlog_row_image = {image}")
        if database.server.kind == "mysql":
            self.run(f"SET binlog_row_value_options = '{options}'")
        listed = "".join(f", c{number} {kind.definition}" for number, kind in enumerate(columns))
        self.run("DROP TABLE IF EXISTS t")
        self.run(f"CREATE TABLE t (id INT PRIMARY KEY{listed})")
        self.begin: Place = end_of_binlog(self._connection)
        self.schema = TableSchema(
            database.dbname,
            "t",
            (
                Column("id", "int", nullable=False),
                *(kind.column_named(f"c{number}") for number, kind in enumerate(columns)),
            ),
            ("id",),
        )

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def connection(self) -> Any:
        return self._connection

    def run(self, sql: str) -> Sequence[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()  # type: ignore[no-any-return]

    def selected(self) -> dict[Value, list[Value]]:
        """The table as SELECT says, each value as a change event must hold it."""
        asked = "".join(f", {kind.select.format(c=f'c{number}')}" for number, kind in enumerate(self.columns))
        return {
            int(key): [
                int(key),
                *(None if text is None else kind.render(text) for text, kind in zip(texts, self.columns, strict=True)),
            ]
            for key, *texts in self.run(f"SELECT id{asked} FROM t ORDER BY id")
        }

    def follow(self, mirror: Mirror, *, with_history: bool) -> None:
        """Applies to the mirror what was written since the last time."""
        begin, self.begin = self.begin, end_of_binlog(self._connection)
        names = (self.schema.db, self.schema.table)
        known = {names: self.schema} if with_history else None
        with self._database.connect() as dump:
            for rows in rows_events(events_since(dump, begin), DECODER, known):
                if (rows.table.db, rows.table.table) == names:
                    assert rows.table.schema == self.schema
                    mirror.apply(rows.decode(DECODER))


def _literals(source: Source, rng: Random, number: int) -> list[str]:
    """The values of the row with this number: edges first, then a NULL now and then, then random ones."""
    found = []
    for kind in source.columns:
        if number < len(kind.edges):
            found.append(kind.edges[number])
        else:
            found.append("NULL" if rng.random() < 0.05 else kind.random(rng))
    return found


def _insert(source: Source, rows: Sequence[tuple[int, Sequence[str]]]) -> None:
    names = "".join(f", c{number}" for number in range(len(source.columns)))
    values = ", ".join(f"({', '.join([str(key), *literals])})" for key, literals in rows)
    source.run(f"INSERT INTO t (id{names}) VALUES {values}".replace("%", "%%"))


def _tables(flavor: str) -> list[Any]:
    found = {"mysql": MYSQL, "mariadb": MARIADB}[flavor]
    return [
        pytest.param(flavor, found[start : start + TABLE_WIDTH], id=f"{flavor}-{found[start].name}-and-on")
        for start in range(0, len(found), TABLE_WIDTH)
    ]


@pytest.mark.parametrize(("flavor", "columns"), [*_tables("mysql"), *_tables("mariadb")])
def test_every_value_of_every_type_is_what_select_says(
    flavor: str, columns: list[Kind], request: pytest.FixtureRequest
) -> None:
    """Each in a create, in both images of an update, and in a delete."""
    database: Database = request.getfixturevalue(f"{flavor}_db")
    with_history = any(kind.told_by_history for kind in columns)
    rng = Random(0)
    with Source(database, columns) as source:
        rows = max(ROWS, *(len(kind.edges) + 4 for kind in columns))
        for start in range(0, rows, BATCH):
            mirror = Mirror()
            _insert(
                source, [(number, _literals(source, rng, number)) for number in range(start, min(start + BATCH, rows))]
            )
            source.follow(mirror, with_history=with_history)
            mirror.must_be(source.selected())
            source.run("UPDATE t SET id = id + 1000000 ORDER BY id DESC")
            source.follow(mirror, with_history=with_history)
            mirror.must_be(source.selected())
            source.run("DELETE FROM t")
            source.follow(mirror, with_history=with_history)
            assert not mirror.rows


def _change(source: Source, rng: Random, keys: list[int], *, keys_may_change: bool) -> None:
    """One random statement."""
    draw = rng.random()
    if draw < 0.4 or not keys:
        fresh = [max(keys, default=0) + number for number in range(1, rng.randint(2, 6))]
        _insert(source, [(key, _literals(source, rng, rng.randrange(30))) for key in fresh])
        keys += fresh
    elif draw < 0.85:
        some = rng.sample(range(len(source.columns)), rng.randint(1, len(source.columns)))
        sets = ", ".join(f"c{number} = {_new_value(source, rng, number)}" for number in some)
        source.run(f"UPDATE t SET {sets} WHERE id IN ({_some(rng, keys)})".replace("%", "%%"))
    elif draw < 0.95 or not keys_may_change:
        gone = rng.choice(keys)
        keys.remove(gone)
        source.run(f"DELETE FROM t WHERE id = {gone}")
    else:
        old, new = rng.choice(keys), max(keys) + 100
        keys[keys.index(old)] = new
        source.run(f"UPDATE t SET id = {new} WHERE id = {old}")


def _some(rng: Random, keys: list[int]) -> str:
    return ", ".join(map(str, rng.sample(keys, rng.randint(1, len(keys)))))


def _new_value(source: Source, rng: Random, number: int) -> str:
    """Of a JSON document often a change of one part."""
    kind = source.columns[number]
    if kind.name != "json" or rng.random() < 0.3:
        return _literals(source, rng, rng.randrange(40))[number]
    path = rng.choice(("$.k", "$.aé", '$."bbé"', "$[0]", "$[1]", "$[last]", "$.a[0]", "$[0].aé", "$[7]"))
    value = f"CAST({kind.random(rng)} AS JSON)"
    calls = ("JSON_SET({c}, '{p}', {v})", "JSON_REPLACE({c}, '{p}', {v})", "JSON_REMOVE({c}, '{p}')")
    calls += ("JSON_SET({c}, '$.x', 1, '{p}', {v})",)
    return rng.choice(calls).format(c=f"c{number}", p=path, v=value)


_SETTINGS = settings(max_examples=max(4, ROWS // 5), suppress_health_check=list(HealthCheck))


@_SETTINGS
@given(
    columns=st.lists(st.sampled_from(MYSQL), min_size=1, max_size=8),
    image=st.sampled_from(("FULL", "FULL", "NOBLOB", "MINIMAL")),
    options=st.sampled_from(("", "PARTIAL_JSON")),
    metadata=st.sampled_from(("FULL", "MINIMAL")),
    rng=st.randoms(use_true_random=True),
)
def test_random_tables_and_statements_at_mysql(
    mysql_db: Database, columns: list[Kind], image: str, options: str, metadata: str, rng: Random
) -> None:
    if image == "MINIMAL":
        options = ""  # the document before the change is not in the binlog then, and the decoder stops
    _random_statements(mysql_db, columns, rng, image=image, options=options, metadata=metadata)


@_SETTINGS
@given(
    columns=st.lists(st.sampled_from(MARIADB), min_size=1, max_size=8),
    image=st.sampled_from(("FULL", "FULL", "NOBLOB", "MINIMAL")),
    metadata=st.sampled_from(("FULL", "MINIMAL", "NO_LOG")),
    rng=st.randoms(use_true_random=True),
)
def test_random_tables_and_statements_at_mariadb(
    mariadb_db: Database, columns: list[Kind], image: str, metadata: str, rng: Random
) -> None:
    _random_statements(mariadb_db, columns, rng, image=image, metadata=metadata)


def _random_statements(
    database: Database, columns: list[Kind], rng: Random, *, image: str, metadata: str, options: str = ""
) -> None:
    with_history = metadata != "FULL" or any(kind.told_by_history for kind in columns)
    with Source(database, columns, image=image, options=options) as source, row_metadata(source.connection, metadata):
        mirror, keys = Mirror(), list[int]()
        for _ in range(12):
            _change(source, rng, keys, keys_may_change=image == "FULL")
        source.follow(mirror, with_history=with_history)
        mirror.must_be(source.selected())
