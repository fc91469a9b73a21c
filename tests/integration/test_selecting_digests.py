"""Digests that a source makes of ranges: those of the very rows that it gives, for every type that has one."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from cdc.binlog.rows_port import Wanted
from cdc.binlog.source import BinlogSource
from cdc.model.config import SourceConfig
from cdc.model.row_digest import RangeDigest, form_of, row_number, texts_of
from tests.fixtures.servers import Database
from tests.support.type_space import kinds
from tests.support.typed_tables import TypedTables


@pytest.fixture
def opened(any_source_db: Database) -> Iterator[BinlogSource]:
    config = SourceConfig.model_validate(
        {"url": any_source_db.server.url, "server_id": 7788, "tables": [f"{any_source_db.dbname}.*"]}
    )
    with closing(BinlogSource(config, "digests")) as source:
        yield source


def _of_rows(source: BinlogSource, wanted: Wanted) -> RangeDigest:
    chunk = source.chunk(wanted)
    texts = [texts_of(chunk.schema, draft.after or {}) for draft in chunk.rows]
    assert None not in texts
    return RangeDigest(len(texts), sum(row_number(one or ()) for one in texts))


def test_a_range_of_every_type_has_the_digest_of_its_rows(any_source_db: Database, opened: BinlogSource) -> None:
    found = [kind for kind in kinds(any_source_db.server.kind) if form_of(kind.column) and not kind.told_by_history]
    tables = {f"t{number}": [kind] for number, kind in enumerate(found)}
    db = any_source_db.dbname
    with closing(TypedTables(any_source_db, 1, tables)) as source:
        source.insert()
        unlike = [
            f"{kind.name}: {digested.digest} is not {expected}"
            for table, (kind,) in tables.items()
            if (digested := opened.digest(db, table, None, 10_000)) is not None
            and digested.digest != (expected := _of_rows(opened, Wanted(db, table)))
        ]
    assert unlike == []
    assert len(tables) > 50


def test_ranges_follow_one_another_to_the_end(any_source_db: Database, opened: BinlogSource) -> None:
    db = any_source_db.dbname
    with any_source_db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a INT, n BIGINT UNSIGNED, v VARCHAR(9), PRIMARY KEY (n, a))")
        cursor.execute(f"INSERT INTO t VALUES {', '.join(f'({a}, {n}, NULL)' for n in (0, 2**63) for a in range(50))}")
    after, rows, parts = None, 0, 0
    while parts < 100:
        digested = opened.digest(db, "t", after, 30)
        assert digested is not None
        assert digested.digest == _of_rows(opened, Wanted(db, "t", after=after, until=digested.last))
        parts, rows = parts + 1, rows + digested.digest.rows
        if digested.last is None:
            break
        assert digested.digest.rows == 30
        after = digested.last
    assert (rows, parts) == (100, 4)
    assert digested.schema == opened.chunk(Wanted(db, "t", max_rows=1)).schema


@pytest.mark.parametrize(
    "definition",
    [
        "k VARCHAR(9) PRIMARY KEY",
        "k INT PRIMARY KEY, v DOUBLE",
        "k INT PRIMARY KEY, v JSON",
        "k INT PRIMARY KEY, v TIME",
    ],
)
def test_other_tables_have_none(mysql_db: Database, definition: str) -> None:
    with mysql_db.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE t ({definition})")
    config = SourceConfig.model_validate(
        {"url": mysql_db.server.url, "server_id": 7788, "tables": [f"{mysql_db.dbname}.*"]}
    )
    with closing(BinlogSource(config, "digests")) as source:
        assert source.digest(mysql_db.dbname, "t", None, 10) is None


def test_a_masked_column_has_no_digest_and_an_excluded_one_is_left_out(mysql_db: Database) -> None:
    db = mysql_db.dbname
    with mysql_db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (k INT PRIMARY KEY, secret VARCHAR(9), v VARCHAR(9))")
        cursor.execute("INSERT INTO t VALUES (1, 's', 'v')")
    base = {"url": mysql_db.server.url, "server_id": 7788, "tables": [f"{db}.*"]}
    masked = SourceConfig.model_validate({**base, "mask_columns": [f"{db}.t.secret"], "mask_salt": "salt"})
    with closing(BinlogSource(masked, "digests")) as source:
        assert source.digest(db, "t", None, 10) is None
    excluded = SourceConfig.model_validate({**base, "exclude_columns": [f"{db}.t.secret"]})
    with closing(BinlogSource(excluded, "digests")) as source:
        digested = source.digest(db, "t", None, 10)
        assert digested is not None
        assert digested.digest == RangeDigest(1, row_number(["1", "v"]))
