"""Tables that the binlog does not describe in full: the schema history fills in what is missing, and is held against the rest."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cdc.binlog.decoder import load
from cdc.binlog.decoder.port import TableMap
from cdc.model.errors import NotUnderstood
from cdc.model.schema import Column, TableSchema
from tests.fixtures.servers import Database
from tests.support.binlog_dump import RawEvent, end_of_binlog, events_since, rows_events
from tests.support.value_oracle import row_metadata

DECODER = load("python")
TABLE_MAP = 19
COLUMNS = (
    Column("id", "int", unsigned=True, nullable=False),
    Column("a", "varchar", length=9, charset="latin1", collation="latin1_bin"),
    Column("b", "varbinary", length=9),
    Column("c", "enum", charset="latin1", collation="latin1_bin", members=("x", "é")),
    Column("d", "decimal", precision=9, scale=3),
    Column("e", "datetime", scale=2),
    Column("f", "text", charset="ucs2", collation="ucs2_bin"),
    Column("g", "polygon"),
    Column("h", "bit", length=12),
    Column("i", "set", charset="utf8mb4", collation="utf8mb4_bin", members=("p", "ö")),
    Column("j", "smallint"),
)
DEFINITIONS = (
    "id INT UNSIGNED PRIMARY KEY, a VARCHAR(9) CHARACTER SET latin1 COLLATE latin1_bin, b VARBINARY(9), "
    "c ENUM('x', 'é') CHARACTER SET latin1 COLLATE latin1_bin, d DECIMAL(9,3), e DATETIME(2), "
    "f TEXT CHARACTER SET ucs2 COLLATE ucs2_bin, g POLYGON, h BIT(12), "
    "i SET('p', 'ö') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, j SMALLINT"
)
ROW = (4294967295, "é", "AP8=", "é", "-1.500", "2024-02-29T01:02:03.45", "中", None, 5, "p,ö", -1)


@pytest.fixture(params=["MINIMAL", "NO_LOG"])
def silent_db(request: pytest.FixtureRequest, any_source_db: Database) -> Iterator[Database]:
    """A database whose server writes no names."""
    if any_source_db.server.kind == "mysql" and request.param == "NO_LOG":
        pytest.skip("MySQL from 8.0 always writes signs and charsets")
    with any_source_db.connect() as connection, row_metadata(connection, request.param):
        yield any_source_db


def _events(database: Database, *statements: str) -> list[RawEvent]:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE t ({DEFINITIONS})")
        begin = end_of_binlog(connection)
        for statement in statements or ("INSERT INTO t (id) VALUES (1)",):
            cursor.execute(statement)
    with database.connect() as dump:
        return list(events_since(dump, begin))


def _table_map(events: list[RawEvent], known: TableSchema | None) -> TableMap:
    return DECODER.table_map(next(event for event in events if event.type == TABLE_MAP).body, known)


def test_names_signs_charsets_members_and_key_come_from_the_history(silent_db: Database) -> None:
    known = TableSchema(silent_db.dbname, "t", COLUMNS, ("id",))
    events = _events(
        silent_db,
        "INSERT INTO t VALUES (4294967295, 'é', x'00ff', 'é', -1.5, '2024-02-29 01:02:03.45', '中', NULL, 5, 'p,ö', -1)",
    )
    (rows,) = rows_events(iter(events), DECODER, {(silent_db.dbname, "t"): known})
    assert rows.table.schema == known
    assert rows.decode(DECODER) == [("c", None, ROW)]


def test_without_names_and_without_a_history_it_stops(silent_db: Database) -> None:
    with pytest.raises(NotUnderstood, match=rf"table {silent_db.dbname}\.t: .*SET GLOBAL binlog_row_metadata=FULL"):
        _table_map(_events(silent_db), None)


CONTRADICTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("id", {"type": "bigint"}, "column id is int in the binlog and bigint in the history"),
    ("a", {"length": 8}, "column a has length 9 in the binlog and 8 in the history"),
    ("c", {"members": tuple(map(str, range(300)))}, "column c is stored in 1 bytes"),
    ("d", {"precision": 10}, "column d has precision 9"),
    ("d", {"scale": 2}, "column d has scale 3"),
    ("e", {"scale": 0}, "column e has scale 2"),
    ("f", {"type": "longtext"}, "column f is text in the binlog and longtext"),
    ("h", {"length": 13}, "column h has length 12"),
    ("i", {"members": tuple(map(str, range(9)))}, "column i is stored in 1 bytes"),
    ("j", {"type": "varchar", "charset": "utf8mb4"}, "column j is smallint"),
]


def test_a_history_of_another_shape_stops_with_the_column(silent_db: Database) -> None:
    events = _events(silent_db)
    for name, change, message in CONTRADICTIONS:
        columns = tuple(replace(column, **change) if column.name == name else column for column in COLUMNS)
        with pytest.raises(NotUnderstood, match=rf"table {silent_db.dbname}\.t: .*{message}"):
            _table_map(events, TableSchema(silent_db.dbname, "t", columns, ("id",)))
    with pytest.raises(NotUnderstood, match="the binlog has 11 columns here, the schema history 10"):
        _table_map(events, TableSchema(silent_db.dbname, "t", COLUMNS[:-1], ("id",)))


TOLD_BY_MINIMAL: list[tuple[str, dict[str, Any], str]] = [
    ("id", {"unsigned": False}, "column id is unsigned in the binlog"),
    ("j", {"unsigned": True}, "column j is signed in the binlog"),
    ("a", {"charset": "latin2"}, "column a has charset latin1"),
    ("b", {"type": "varchar", "charset": "latin1"}, "column b is varbinary"),
    ("g", {"type": "point"}, "column g is polygon"),
]


def test_what_minimal_metadata_tell_is_held_against_the_history(any_source_db: Database) -> None:
    with any_source_db.connect() as connection, row_metadata(connection, "MINIMAL"):
        events = _events(any_source_db)
    for name, change, message in TOLD_BY_MINIMAL:
        columns = tuple(replace(column, **change) if column.name == name else column for column in COLUMNS)
        with pytest.raises(NotUnderstood, match=message):
            _table_map(events, TableSchema(any_source_db.dbname, "t", columns, ("id",)))


def test_with_full_metadata_the_event_is_right_whatever_the_history_says(any_source_db: Database) -> None:
    events = _events(any_source_db)
    stale = TableSchema(any_source_db.dbname, "t", (Column("x", "json"), Column("a", "uuid")), ("x",))
    assert _table_map(events, stale).schema.columns == COLUMNS
    assert _table_map(events, stale).schema.key == ("id",)


def test_a_geometry_without_its_kind_may_be_of_any(silent_db: Database) -> None:
    columns = tuple(replace(column, type="geometry") if column.name == "g" else column for column in COLUMNS)
    table = _table_map(_events(silent_db), TableSchema(silent_db.dbname, "t", columns, ("id",)))
    assert table.schema.column("g").type in ("geometry", "polygon")
