"""MySQL's generated invisible primary key stays the first column; another column of that name is one like others."""

import pytest

from cdc.binlog.history import Context, History, Place, Session
from cdc.model.table_version import TableVersion

SESSION = Session(utf8mb4_collation=255, explicit_timestamps=True)
CONTEXT = Context(Place("s", 1, 100), "db", 1_700_000_000, "mysql", SESSION)
GENERATED = "my_row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT /*!80023 INVISIBLE */"


@pytest.mark.parametrize(
    ("flavor", "column", "stays"),
    [
        ("mysql", GENERATED, True),
        ("mariadb", GENERATED, False),
        ("mysql", "my_row_id BIGINT NOT NULL AUTO_INCREMENT", False),
        ("mysql", "my_row_id BIGINT UNSIGNED NOT NULL", False),
    ],
)
def test_only_what_mysql_may_have_generated_stays_first(flavor: str, column: str, stays: bool) -> None:
    base = TableVersion("s", 1, 4, "db", "", None, collation="utf8mb4_0900_ai_ci")
    known = History(lambda db, table: True, False, [base])
    context = CONTEXT._replace(flavor=flavor)
    for sql in (f"CREATE TABLE t ({column}, a INT, PRIMARY KEY (my_row_id))", "ALTER TABLE t ADD b INT FIRST"):
        known.statement(sql, context)
    version = known.version("db", "t")
    assert version is not None
    assert version.schema is not None
    names = [column.name for column in version.schema.columns]
    assert names == (["my_row_id", "b", "a"] if stays else ["b", "my_row_id", "a"])
